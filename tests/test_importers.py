"""Who imports a file, and what is said in it of the numbers that they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from conv_lint.check import check
from conv_lint.importers import File, Importers
from conv_lint.project import Project

BLOCKS = """
import torch
import torch.nn as nn


class Head(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(400, classes)

    def forward(self, x):
        return self.fc(torch.flatten(x, 1))


class Tail(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(7, classes)

    def forward(self, x):
        return self.fc(x)
"""
NET = """
import torch


def main():
    Head(10)(torch.zeros(2, 8, 5, 5))


if __name__ == "__main__":
    main()
"""


def lay_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def found(path: Path) -> dict[str, dict[str, set[str]]]:
    """Who imports the file at ``path``: by the file's name, its own names and what they lead to."""
    project = Project(str(path))
    names = Importers(project).of(File(project.path, project.name), ("Head", "Tail"))
    return {Path(file.path).name: {name: set(to) for name, to in bound.items()} for file, bound in names}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from zoo.blocks import Head", {"Head": {"Head"}}),
        ("from .blocks import Head as Top  # the last one", {"Top": {"Head"}}),
        ("from .blocks import (\n    Head,  # Tail\n    other,\n)", {"Head": {"Head"}}),
        ("from zoo.blocks import *", {"Head": {"Head"}, "Tail": {"Tail"}}),
        ("from . import blocks", {"blocks": {"Head", "Tail"}}),
        ("from zoo import blocks as b", {"b": {"Head", "Tail"}}),
        ("import zoo.blocks", {"zoo": {"Head", "Tail"}}),
        ("import os, zoo.blocks as b", {"b": {"Head", "Tail"}}),
        ("from zoo import Head", {"Head": {"Head"}}),
        ("    from zoo.blocks import Tail", {"Tail": {"Tail"}}),
        ("from zoo.blocks import other", {}),
        ("from elsewhere.blocks import Head", {}),
        ("import blocks", {"blocks": {"Head", "Tail"}}),
        ("import blocks.Head", {}),
        ("Head = 'from zoo.blocks'", {}),
    ],
)
def test_imports(tmp_path: Path, line: str, names: dict[str, set[str]]) -> None:
    lay_out(tmp_path, {"zoo/__init__.py": "from .blocks import Head", "zoo/blocks.py": BLOCKS, "zoo/user.py": line})
    assert found(tmp_path / "zoo/blocks.py").get("user.py", {}) == names


def test_folders_of_scripts(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "setup.py": "",
            "models/blocks.py": BLOCKS,
            "models/net.py": "from blocks import Head",
            "train.py": "from models.blocks import Head",
            "tools/export.py": "from models.blocks import Tail",
        },
    )
    assert found(tmp_path / "models/blocks.py") == {
        "net.py": {"Head": {"Head"}},
        "train.py": {"Head": {"Head"}},
        "export.py": {"Tail": {"Tail"}},
    }


def codes(folder: Path, name: str) -> list[tuple[int, str]]:
    path = folder / name
    return [(finding.position[0], finding.code) for finding in check(path.read_text(), str(path)).findings]


def test_a_program_gives_the_numbers(tmp_path: Path) -> None:
    lay_out(tmp_path, {"blocks.py": BLOCKS, "net.py": "from blocks import Head\n" + NET})
    assert codes(tmp_path, "blocks.py") == [(9, "CONV202")]


def test_a_program_of_a_program(tmp_path: Path) -> None:
    middle = "from blocks import Head\n\n\ndef make(classes, head=Head):\n    return head(classes)\n"
    net = NET.replace("Head(10)", "make(10)")
    lay_out(tmp_path, {"blocks.py": BLOCKS, "middle.py": middle, "net.py": "from middle import make\n" + net})
    assert codes(tmp_path, "blocks.py") == [(9, "CONV202")]


def test_a_wrong_number_of_another_file_is_said_there(tmp_path: Path) -> None:
    blocks = BLOCKS.replace("nn.Linear(7, classes)", "nn.Linear(classes, 7)")
    lay_out(tmp_path, {"blocks.py": blocks, "net.py": "from blocks import Tail\n" + NET.replace("Head", "Tail")})
    assert codes(tmp_path, "blocks.py") == []
    assert codes(tmp_path, "net.py") == [(7, "CONV202")]


@pytest.mark.parametrize(
    "text",
    [
        "from blocks import Head\n\ndef f(:\n",
        "from blocks import Head\n\nimport net\nraise RuntimeError\nHead(3)\n",
        "from blocks import Head\n\nwhile True:\n    Head(3)\n",
        "from blocks import Head\n\ndef main():\n    return main() + Head(3)\n",
        "from blocks import Head\x00",
        "from blocks import Head\n" + "x = Head(1)\n" * 3000,
    ],
)
def test_whoever_imports_it_may_be_broken(tmp_path: Path, text: str) -> None:
    lay_out(tmp_path, {"blocks.py": BLOCKS, "net.py": text})
    result = check(BLOCKS, str(tmp_path / "blocks.py"))
    assert (result.findings, result.problem, result.out_of_budget) == ([], None, False)
