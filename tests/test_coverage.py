"""How much of a file was checked, and what is said of the rest."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from conv_lint.check import check
from conv_lint.cli import main

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\nfrom elsewhere import transform\n"


def measured(text: str) -> dict[str, tuple[int, int, int]]:
    result = check(HEAD + textwrap.dedent(text), "model.py", measure=True)
    return {c.name: (c.checked, c.unknown, c.never) for c in result.coverage}


def test_all_of_a_plain_net_is_checked() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
            self.head = nn.Linear(8, 10)

        def forward(self, x):
            return self.head(self.features(x).mean((2, 3)))
    """
    assert measured(text) == {"Net": (5, 0, 0)}


def test_what_comes_behind_something_unknown_is_not_checked() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3)
            self.conv = nn.Conv2d(8, 8, 3)
            self.spare = nn.Conv2d(8, 8, 3)

        def forward(self, x):
            return self.conv(transform(self.stem(x)))

    net = nn.Conv2d(3, 4, 1)
    net(torch.zeros(1, 3, 8, 8))
    """
    assert measured(text) == {"Net": (1, 1, 1), "": (1, 0, 0)}


def test_layers_that_only_one_branch_builds_are_counted() -> None:
    text = """
    class Net(nn.Module):
        def __init__(self, deep):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            if deep:
                self.more = nn.Conv2d(8, 8, 3)
            else:
                self.more = nn.Identity()

        def forward(self, x):
            return self.more(self.conv(x))
    """
    assert measured(text) == {"Net": (3, 0, 0)}


UNKNOWN = HEAD + textwrap.dedent(
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3)
            self.conv = nn.Conv2d(8, 8, 3)
            self.last = nn.Conv2d(8, 8, 3)

        def forward(self, x):
            x = transform(self.stem(x))
            return self.conv(x) + self.last(x)
    """
)


def test_the_command_line_lists_what_was_not_understood(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(UNKNOWN)
    plain = CliRunner().invoke(main, ["check", "--isolated", str(file)])
    assert (plain.exit_code, plain.output) == (0, "")
    told = CliRunner().invoke(main, ["check", "--isolated", "--unknowns", str(file)])
    lines = told.stdout.splitlines()
    why = "elsewhere.transform is not known (2 layer calls could not be checked for it)"
    assert lines[0].endswith(f"model.py:14:13: CONV901 not understood: {why}")
    assert lines[1].endswith("model.py: Net: 1 of 3 layer calls checked")
    assert lines[2] == "1 of 3 layer calls checked (33%)"
    assert (
        lines[3]
        == "most of the rest, 2 layer calls, would be checked if this were known: elsewhere.transform is not known"
    )
    assert told.exit_code == 1


@pytest.mark.parametrize("setting", ["unknowns = true"])
def test_it_may_stand_in_the_configuration(tmp_path: Path, setting: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.conv-lint]\n{setting}\n")
    file = tmp_path / "model.py"
    file.write_text(UNKNOWN)
    told = CliRunner().invoke(main, ["check", "--config", str(tmp_path / "pyproject.toml"), str(file)])
    assert "CONV901" in told.stdout


def test_what_no_shape_depends_on_is_not_listed() -> None:
    text = HEAD + textwrap.dedent(
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        net = nn.Conv2d(3, 4, 1).to(device)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        for epoch in range(3):
            optimizer.zero_grad()
            net(torch.zeros(1, 3, 8, 8, device=device)).sum().backward()
            optimizer.step()
            scheduler.step()
            print(epoch, scheduler.get_last_lr()[0])
        """
    )
    assert [f.message for f in check(text, "train.py", measure=True).unknowns()] == []
