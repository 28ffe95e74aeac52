"""Finds PyTorch convolution models that cannot work, before anything runs.

text -> libcst tree (tree) -> interpreter (interpreter: values, sizes, branches) -> op rules (ops: pure functions of
shapes) -> findings (finding, catalogue) -> flake8 (flake8_plugin).  Imports of the checked file are followed as
source (project); nothing of it is ever executed, and torch is never imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv_lint.finding import Finding

__version__ = "0.1.0"


def check_source(text: str, path: str = "<string>") -> list[Finding]:
    """The findings of one file, in the order of their lines.  Empty if the text is no Python or has no torch."""
    from conv_lint import source

    if not source.worth_reading(text):
        return []
    from conv_lint.check import check

    return check(text, path).findings
