"""Programs whose loop is in a library: Lightning's Trainer."""

from __future__ import annotations

import pytest

from conv_lint import check_source

MODULE = """
import {library} as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def loader(size):
    return DataLoader(TensorDataset(torch.randn(40, size), torch.zeros(40).long()), batch_size=10)


class Data(pl.LightningDataModule):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def setup(self, stage):
        self.known = self.size

    def train_dataloader(self):
        return loader(self.known)

    def val_dataloader(self):
        return loader(self.known)


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 2)

    def forward(self, x):
        return self.fc(x)

    {own}

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        self.fc(x)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


{run}
"""
OWN = "def train_dataloader(self):\n        return loader(128)"


def lines(run: str, library: str = "pytorch_lightning", own: str = "") -> list[tuple[str, str]]:
    found = check_source(MODULE.format(run=run, library=library, own=own), "script.py")
    return [(f.code, f.message.partition(" (")[0]) for f in found]


@pytest.mark.parametrize("library", ["pytorch_lightning", "lightning", "lightning.pytorch"])
@pytest.mark.parametrize(
    "run",
    [
        "trainer = pl.Trainer(max_epochs=1)\ntrainer.fit(Net(), loader({}))",
        "pl.Trainer().fit(Net(), train_dataloaders=loader({}))",
        "pl.Trainer().fit(Net(), loader(64), loader({}))",
        "pl.Trainer().fit(Net(), loader(64), [loader(64), loader({})])",
        "pl.Trainer().fit(Net(), datamodule=Data({}))",
        "pl.Trainer().fit(Net(), Data({}))",
        "pl.Trainer().validate(Net(), loader({}))",
    ],
)
def test_steps_are_given_the_batches(library: str, run: str) -> None:
    wrong = lines(run.format(128), library)
    assert wrong == [("CONV202", "fc takes 64 features but is given 128")]
    assert not lines(run.format(64), library)


def test_a_module_may_have_its_own_loader() -> None:
    assert lines("pl.Trainer().fit(Net())", own=OWN) == [("CONV202", "fc takes 64 features but is given 128")]
    assert not lines("pl.Trainer().fit(Net(), loader(64))", own=OWN)


def test_what_is_not_known_is_silent() -> None:
    assert not lines("pl.Trainer().fit(Net(), unknown())")
    assert not lines("pl.Trainer().fit(unknown())")
    assert not lines("pl.Trainer().fit(Net(), datamodule=unknown())")
