"""Results that are kept: given again as long as nothing has changed, and no longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import conv_lint.check
from conv_lint import cache, cli, disk
from conv_lint.configured import parse
from conv_lint.flake8_plugin import Plugin

NET = """\
import torch
from torch import nn

from widths import WIDTH


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)

    def forward(self, x):
        return self.conv2(self.conv1(x))
"""
FILES = {"net.py": NET, "widths.py": "WIDTH = 16\n", "pyproject.toml": "", "other.py": "import torch\n"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    folder = tmp_path / "project"
    for name, text in FILES.items():
        write(folder / name, text)
    return folder


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files that were checked in earnest."""
    seen: list[str] = []
    really = conv_lint.check.check

    def noted(text: str, path: str, *more: object, **options: object) -> conv_lint.check.Result:
        seen.append(Path(path).name)
        return really(text, path, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(conv_lint.check, "check", noted)
    return seen


def plugin(path: Path) -> list[str]:
    """What flake8 is told of a file."""
    lines = path.read_text().splitlines(keepends=True)
    return [f"{line}: {text}" for line, _, text, _ in Plugin(None, str(path), lines).run()]


def check(*arguments: str) -> str:
    return CliRunner().invoke(cli.main, ["check", "--isolated", "-j1", *arguments], catch_exceptions=False).stdout


def test_what_has_not_changed_is_not_checked_again(project: Path, runs: list[str]) -> None:
    first = plugin(project / "net.py")
    assert "CONV201 conv2 takes 32 input channels but is given 16" in first[0]
    assert plugin(project / "net.py") == first
    assert runs == ["net.py"]


@pytest.mark.parametrize("form", ["text", "full", "json", "sarif", "github", "gitlab"])
def test_every_format_is_the_same_the_second_time(project: Path, runs: list[str], form: str) -> None:
    arguments = str(project / "net.py"), "--format", form, "--unknowns"
    first = check(*arguments)
    assert "CONV201" in first
    assert check(*arguments) == first
    assert runs == ["net.py"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "the file itself": lambda p: write(p / "net.py", NET.replace("32", "48")),
    "a file that it imports": lambda p: write(p / "widths.py", "WIDTH = 2 * 12\n"),
    "that file is gone": lambda p: (p / "widths.py").unlink(),
    "another file of that name stands before it": lambda p: write(p / "widths/__init__.py", "WIDTH = 24\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_has_changed_is_checked_again(project: Path, runs: list[str], change: Callable[[Path], object]) -> None:
    first = plugin(project / "net.py")
    change(project)
    assert plugin(project / "net.py") != first
    assert runs == ["net.py"] * 2


def test_a_new_user_of_a_file_is_heard(project: Path, runs: list[str]) -> None:
    write(
        project / "blocks.py",
        NET.replace("def __init__(self)", "def __init__(self, width)").replace("WIDTH,", "width,"),
    )
    assert not plugin(project / "blocks.py")
    write(project / "user.py", "import torch\nfrom blocks import Net\n\nNet(16)(torch.zeros(1, 3, 8, 8))\n")
    assert "takes 32 input channels" in plugin(project / "blocks.py")[0]


def test_settings_belong_to_the_result(project: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(project / "net.py")
    monkeypatch.setattr(Plugin, "inputs", parse("Net = 1,3,2,2"))
    assert any("CONV303" in line for line in plugin(project / "net.py"))
    assert runs == ["net.py"] * 2
    check(str(project / "net.py"))
    assert check(str(project / "net.py"), "--ignore", "CONV2") == ""  # what is shown is decided behind it
    assert len(runs) == 3


def test_a_file_that_was_only_touched_has_not_changed(project: Path, runs: list[str]) -> None:
    plugin(project / "net.py")
    os.utime(project / "widths.py")
    plugin(project / "net.py")
    assert runs == ["net.py"]


def test_a_result_that_lacked_time_is_not_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = conv_lint.check.Result([], [], out_of_budget=True)
    monkeypatch.setattr(conv_lint.check, "check", lambda *_, **__: late)
    assert not plugin(project / "net.py")
    monkeypatch.undo()
    monkeypatch.setenv(cache.VARIABLE, str(project.parent / "kept"))
    assert plugin(project / "net.py")


def test_it_can_be_switched_off(project: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    check(str(project / "net.py"))
    check(str(project / "net.py"), "--no-cache")
    monkeypatch.setattr(Plugin, "caches", False)
    plugin(project / "net.py")
    monkeypatch.setattr(Plugin, "caches", True)
    monkeypatch.setenv(cache.VARIABLE, "")
    plugin(project / "net.py")
    assert runs == ["net.py"] * 4


def test_what_cannot_be_read_or_written_is_no_matter(project: Path, runs: list[str]) -> None:
    first = plugin(project / "net.py")
    kept = project.parent / "kept"
    (file,) = kept.glob("??/*")
    for data in (b"", b"x", file.read_bytes()[:40], file.read_bytes()[:-3]):
        file.write_bytes(data)
        assert plugin(project / "net.py") == first
    assert len(runs) == 5
    for path in (file, file.parent, kept / cache.TAG, kept):
        path.unlink() if path.is_file() else path.rmdir()
    kept.write_text("a file where the folder should be")
    assert plugin(project / "net.py") == first


def test_what_nobody_asks_for_is_thrown_away(project: Path) -> None:
    plugin(project / "net.py")
    kept = project.parent / "kept"
    (old,) = kept.glob("??/*")
    long_ago = time.time() - 2 * cache.UNUSED
    os.utime(old, (long_ago, long_ago))
    plugin(project / "other.py")
    assert old.exists()  # it is looked for such once a day
    os.utime(kept / cache.TAG, (long_ago, long_ago))
    write(project / "other.py", "import torch  # changed\n")
    plugin(project / "other.py")
    assert not old.exists()


def test_the_answers_that_are_noted_are_the_first() -> None:
    with disk.noting() as answers:
        assert disk.stamp(__file__) is not None
        assert not disk.is_file(__file__ + "x")
        assert disk.modules(os.path.dirname(__file__))
    assert disk.asked_again(answers) == answers
    disk.stamp(os.path.dirname(__file__))
    assert len(answers) == 3
