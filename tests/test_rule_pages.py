"""Every rule has a page of one form.  Its Bad block is refused by torch with the words that the page quotes and gives
exactly the findings it expects; its Good block runs and is silent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from conv_lint.catalogue import RULES
from tests.fixture_reader import differences, expectations

PAGES = Path(__file__).parent.parent / "rules"
SECTIONS = ["Why", "torch says", "Bad", "Good", "How to fix", "How to silence"]
#: What torch accepts without a word, and what is no fault of the code.
SILENT = {"CONV301", "CONV302", "CONV407", "CONV412", "CONV501", "CONV503", "CONV504", "CONV901"}
#: The release whose words the pages quote.
QUOTED_TORCH = "2.13"

every_rule = pytest.mark.parametrize("code", sorted(RULES))


def page(code: str) -> str:
    return (PAGES / f"{code}.md").read_text(encoding="utf-8")


def section(code: str, name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page(code), re.M | re.S)
    assert found, name
    return found[1].strip()


def block(code: str, name: str, language: str = "python") -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section(code, name), re.M | re.S)
    assert len(blocks) == 1, f"{name} needs one block"
    return str(blocks[0])


def run(text: str) -> Exception | None:
    """Execute a block; what it raises."""
    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "block"}
    try:
        exec(compile(text, "block", "exec"), namespace)
    except Exception as error:
        return error
    return None


def words(text: str) -> list[str]:
    """The words of an error, whatever the order in which torch prints a set."""
    return sorted(re.findall(r"\w+", text))


def test_pages_are_rules() -> None:
    assert {p.stem for p in PAGES.glob("*.md")} == set(RULES)


@every_rule
def test_page_has_the_form(code: str) -> None:
    text = page(code)
    lines = text.split("\n")
    assert lines[0] == f"# {code}: {RULES[code].name}"
    assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
    assert all(section(code, name) for name in SECTIONS)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    assert not [line for line in prose.split("\n") if len(line) > 120]
    assert "noqa" in section(code, "How to silence") or code == "CONV901"


@every_rule
def test_bad_is_refused_by_torch(code: str) -> None:
    bad = block(code, "Bad")
    assert {e.code for e in expectations(bad)} == {code}
    if code == "CONV901":
        assert "`torch: accepts`" in section(code, "torch says")
        return
    error = run(bad)
    if code in SILENT:
        assert "`torch: accepts`" in section(code, "torch says")
        assert error is None
        return
    assert error is not None
    if torch.__version__.startswith(QUOTED_TORCH):
        quoted = block(code, "torch says", "text")
        assert words(quoted) == words(f"{type(error).__name__}: {error}")


@every_rule
def test_bad_is_found(code: str, tmp_path: Path) -> None:
    bad = block(code, "Bad")
    wanted = [] if code == "CONV901" else expectations(bad)
    assert not differences(bad, str(tmp_path / "bad.py"), wanted)


@every_rule
def test_good_runs_and_is_silent(code: str, tmp_path: Path) -> None:
    good = block(code, "Good")
    assert run(good) is None
    assert not differences(good, str(tmp_path / "good.py"), expectations(good))
