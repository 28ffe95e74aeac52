"""The option conv-inputs: its grammar, and what it does at each door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conv_lint.check import check
from conv_lint.configured import Inputs, parse, shapes_for


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", ()),
        ("Net=1,3,224,224", (Inputs("Net", ((1, 3, 224, 224),)),)),
        ("\n  Net = (B, 3, H, W)\n  models.*.U-Net? = 1,1,8,8\n", (
            Inputs("Net", (("B", 3, "H", "W"),)), Inputs("models.*.U-Net?", ((1, 1, 8, 8),)))),
        ("Siamese = 1,3,32,32 ; 1,3,64,64", (Inputs("Siamese", ((1, 3, 32, 32), (1, 3, 64, 64))),)),
        ("A=1,2 B=3", (Inputs("A", ((1, 2),)), Inputs("B", ((3,),)))),
        ({"Net": "1,3,8,8"}, (Inputs("Net", ((1, 3, 8, 8),)),)),
        ({"Net": [1, 3, 8, "W"]}, (Inputs("Net", ((1, 3, 8, "W"),)),)),
        ({"Net": [[1, 3, 8, 8], "B,4"]}, (Inputs("Net", ((1, 3, 8, 8), ("B", 4))),)),
    ],
)  # fmt: skip
def test_what_is_read(value: object, found: tuple[Inputs, ...]) -> None:
    assert parse(value) == found


@pytest.mark.parametrize(
    "value",
    ["Net", "Net=", "Net=1,x y", "Net=0,3", "Net=-1,3", "=1,3", "Net=1.5", 3, {"Net": 3}, {"Net": []}, {"Net": [True]}],
)
def test_what_is_refused_in_one_line(value: object) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        parse(value)


def test_names_match_whole_or_by_their_last_part() -> None:
    inputs = parse("Net=1,1\nmodels.*.UNet=2,2\n*Net=3,3\nmodels.deep.Net=4,4")
    assert shapes_for(inputs, "models.deep.Net") == [(4, 4)]
    assert shapes_for(inputs, "models.deep.UNet") == [(3, 3)]
    assert shapes_for(inputs, "other.Encoder") is None
    two = parse("Pair=B,3;B,4")[0].sizes()
    assert two[0][0] is two[1][0]


NET = """
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8 * 30 * 30, 10)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        return self.net(x)


def small():
    return Net()
"""


@pytest.mark.parametrize(
    ("option", "codes"),
    [
        ("Net=1,3,32,32", []),
        ("Net=B,3,32,32", []),
        ("Net=1,3,28,28", ["CONV202"]),
        ("Net=1,1,32,32", ["CONV201"]),
        ("small=1,1,32,32", ["CONV201"]),
        ("Outer=2,3,9,9", ["CONV202"]),
        ("model.N*=1,3,28,28", ["CONV202"]),
        ("Other=1,1,1,1", []),
    ],
)
def test_models_are_fed_what_is_configured(option: str, codes: list[str]) -> None:
    assert [f.code for f in check(NET, "model.py", inputs=parse(option)).findings] == codes


def test_torch_agrees() -> None:
    torch = pytest.importorskip("torch")
    namespace: dict[str, object] = {}
    exec(NET, namespace)
    net = namespace["Net"]()  # type: ignore[operator]
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        net(torch.zeros(1, 3, 28, 28))


def run(folder: Path, *command: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_every_door_takes_it(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(NET)
    wanted = "model.py:10:29: CONV202 fc takes 7200 features but is given 5408 = 8*26*26"
    assert wanted in run(tmp_path, "flake8", "--isolated", "--select", "CONV", "--conv-inputs", "Net=1,3,28,28")[1]
    assert wanted in run(tmp_path, "conv_lint", "check", "--isolated", "--conv-inputs", "Net=1,3,28,28")[1]
    (tmp_path / "setup.cfg").write_text("[flake8]\nselect = CONV\nconv-inputs =\n    Net = 1,3,28,28\n")
    assert wanted in run(tmp_path, "flake8")[1]
    assert wanted in run(tmp_path, "conv_lint", "check")[1]
    (tmp_path / "setup.cfg").unlink()
    (tmp_path / "pyproject.toml").write_text('[tool.conv-lint.conv-inputs]\nNet = "1,3,28,28"\n')
    assert wanted in run(tmp_path, "conv_lint", "check")[1]


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(NET)
    status, said = run(tmp_path, "conv_lint", "check", "--isolated", "--conv-inputs", "Net")
    assert (status, said.count("\n")) == (2, 1)
    assert "Traceback" not in run(tmp_path, "flake8", "--isolated", "--conv-inputs", "Net")[1]


def test_an_example_input_is_fed() -> None:
    text = NET + "\n\nclass Lit(Net):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.example_input_array = torch.zeros(1, 3, 20, 20)\n"
    assert [f.code for f in check(text, "model.py").findings] == ["CONV202"]
