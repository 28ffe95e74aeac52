"""The plugin through the real flake8: files, folders, stdin, selection, silencing, configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conv_lint import flake8_plugin

WRONG = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)

    def forward(self, x):
        return self.conv2(self.conv1(x))
"""
STRICT = "import torch\nfrom torch import nn\n\nnn.Conv2d(3, 8, 3, 2, 1)(torch.zeros(1, 3, 32, 32))\n"


def flake8(folder: Path, *arguments: str, text: str | None = None, isolated: bool = True) -> list[str]:
    """The lines that flake8 prints."""
    command = [sys.executable, "-m", "flake8", *(["--isolated"] if isolated else []), *arguments]
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(WRONG)
    return tmp_path


@pytest.mark.parametrize("arguments", [["net.py"], ["."], ["--jobs", "2", "net.py", "."]])
def test_files_and_folders(wrong: Path, arguments: list[str]) -> None:
    (line, *_) = flake8(wrong, "--select", "CONV", *arguments)
    assert "net.py:9:32: CONV201 conv2 takes 32 input channels but is given 16 (conv1, line 8)" in line


def test_stdin_resolves_imports_against_the_display_name(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "blocks.py").write_text("from torch import nn\n\n\ndef conv(i, o):\n    return nn.Conv2d(i, o, 3)\n")
    text = "import torch\nfrom .blocks import conv\n\nconv(3, 8)(torch.zeros(1, 1, 9, 9))\n"
    lines = flake8(tmp_path, "--select", "CONV2", "--stdin-display-name", "pkg/use.py", "-", text=text)
    assert [line.split(" ", 2)[:2] for line in lines] == [["pkg/use.py:4:6:", "CONV201"]]


def test_selection_and_silencing(wrong: Path) -> None:
    assert flake8(wrong, "--select", "CONV2", "net.py")
    assert not flake8(wrong, "--select", "CONV3", "net.py")
    assert not flake8(wrong, "--select", "CONV", "--per-file-ignores", "net.py:CONV201", "net.py")
    silenced = WRONG.replace("nn.Conv2d(32, 64, 3)", "nn.Conv2d(32, 64, 3)  # noqa: CONV201")
    (wrong / "net.py").write_text(silenced)
    assert not flake8(wrong, "--select", "CONV", "net.py")


@pytest.mark.parametrize("silenced", ["noqa", "per-file-ignores", "config", "code"])
def test_only_what_is_named_is_silenced(wrong: Path, silenced: str) -> None:
    other = WRONG.replace("nn.Conv2d(32, 64, 3)", "nn.Conv2d(32, 64, 3, groups=3)")
    if silenced == "noqa":
        other = other.replace("groups=3)", "groups=3)  # noqa: CONV201")
    (wrong / "net.py").write_text(other)
    (wrong / "same.py").write_text(WRONG)
    arguments = ["--select", "CONV"]
    if silenced == "per-file-ignores":
        arguments += ["--per-file-ignores", "net.py:CONV201"]
    elif silenced == "config":
        (wrong / "setup.cfg").write_text("[flake8]\nper-file-ignores =\n    net.py: CONV201\n")
    elif silenced == "code":
        arguments = ["--select", "CONV1"]
    codes = {tuple(line.split()[:2]) for line in flake8(wrong, *arguments, "net.py", "same.py", isolated=False)}
    assert ("net.py:9:32:", "CONV201") not in codes
    assert any(code.startswith("CONV10") for _, code in codes)
    assert (("same.py:9:32:", "CONV201") in codes) == (silenced != "code")


def test_one_process_and_two_say_the_same(wrong: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (wrong / name).write_text(WRONG)
    one = flake8(wrong, "--select", "CONV", "--jobs", "1", ".")
    assert len(one) == 4
    assert flake8(wrong, "--select", "CONV", "--jobs", "2", ".") == one


def test_a_folder_named_from_elsewhere_is_a_package_of_its_own(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sizes.py").write_text("WIDTH = 8\n")
    (package / "net.py").write_text(
        "import torch\nfrom torch import nn\nfrom .sizes import WIDTH\n\n"
        "nn.Conv2d(WIDTH, 4, 3)(torch.zeros(1, 3, 9, 9))\n"
    )
    (line,) = flake8(tmp_path.parent, "--select", "CONV", str(package))
    assert "net.py:5:" in line
    assert "CONV201" in line


def test_strict_sizes_are_opt_in(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(STRICT)
    assert not flake8(tmp_path, "a.py")
    assert "CONV302" in flake8(tmp_path, "--select", "CONV", "a.py")[0]
    assert not flake8(tmp_path, "--select", "CONV", "--extend-ignore", "CONV302", "a.py")
    (tmp_path / "setup.cfg").write_text("[flake8]\nselect = CONV\nconv-sizes = lossy\n")
    assert not flake8(tmp_path, "a.py", isolated=False)


def test_unknowns_are_listed_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import torch\nimport nobody\n\nnobody.layer(torch.zeros(1, 3, 8, 8))\n")
    assert not flake8(tmp_path, "--select", "CONV", "a.py")
    assert "CONV901" in flake8(tmp_path, "--select", "CONV", "--conv-unknowns", "a.py")[0]


def test_other_plugins_keep_their_results(wrong: Path) -> None:
    (wrong / "net.py").write_text(WRONG + "x=1\n")
    codes = {line.split()[1] for line in flake8(wrong, "net.py")}
    assert {"CONV201", "E225"} <= codes
    (wrong / "net.py").write_text("import torch\nclass\n")
    assert any("E999" in line for line in flake8(wrong, "net.py"))


def test_an_error_of_ours_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    import conv_lint.check

    def broken(text: str, path: str) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(conv_lint.check, "check", broken)
    monkeypatch.delenv("CONV_LINT_DEBUG", raising=False)
    plugin = flake8_plugin.Plugin(None, "a.py", ["import torch\n"])
    assert list(plugin.run()) == []


def test_work_that_was_cut_short_is_said(tmp_path: Path) -> None:
    from conv_lint.check import check
    from conv_lint.interpreter.machine import Limits

    text = "import torch\n\n\ndef main():\n    for i in range(1000):\n        torch.zeros(i)\n"
    result = check(text, str(tmp_path / "a.py"), Limits(entry_steps=300))
    assert [(n.place.line, "used up" in n.reason) for n in result.notes if n.place] == [(4, True)]
