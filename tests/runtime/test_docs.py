"""The examples of docs/runtime.md print what stands there."""

from __future__ import annotations

import re
import runpy
from inspect import signature
from pathlib import Path

import pytest
from click.testing import CliRunner

from conv_lint.cli import main
from conv_lint.runtime import ShapeError

PAGE = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text(encoding="utf-8")
#: Before click 8.2 the two streams were only kept apart if one asked for it.
RUNNER = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))


def section(heading: str) -> tuple[str, str]:
    """The first program of a section, and its first indented block, which is what is printed."""
    text = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    program = text.partition("```python\n")[2].partition("```")[0]
    shown = re.search(r"^(?: {4}.*\n|\n(?= {4}))+", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    assert shown is not None
    return program, re.sub(r"^ {4}", "", shown[0], flags=re.M).strip("\n")


def without_versions(text: str) -> str:
    return re.sub(r"(conv-lint|torch|Python) \d[\w.+]*|^[\d,]+ rows", r"\1", text.strip(), flags=re.M)


def test_enforce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, shown = section("enforce:")
    monkeypatch.chdir(tmp_path)
    Path("block.py").write_text(program, encoding="utf-8")
    with pytest.raises(ShapeError) as caught:
        runpy.run_path(str(tmp_path / "block.py"))
    assert f"ShapeError: {caught.value}" == shown


def test_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, shown = section("conv-lint verify:")
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(program, encoding="utf-8")
    command, _, printed = shown.partition("\n")
    done = RUNNER.invoke(main, command.split()[2:], catch_exceptions=False)
    assert without_versions(done.stdout) == without_versions(printed)


def test_selfcheck() -> None:
    _, shown = section("selfcheck:")
    command, _, printed = shown.partition("\n")
    done = RUNNER.invoke(main, [*command.split()[2:], "--seconds", "0"], catch_exceptions=False)
    assert without_versions(done.stdout) == without_versions(printed)
