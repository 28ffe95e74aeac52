"""The pages of the rules, ``rules/CODE.md``: inside the installed package, beside it in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def page(code: str) -> str:
    """The page of a rule, in Markdown."""
    here = Path(__file__).parent
    shipped = here / "rules" / f"{code}.md"
    file = shipped if shipped.is_file() else here.parent / "rules" / f"{code}.md"
    return file.read_text(encoding="utf-8")


def summary(code: str) -> str:
    """What is wrong, in one sentence or two: the first paragraph of the page."""
    return " ".join(page(code).split("\n\n")[1].split())
