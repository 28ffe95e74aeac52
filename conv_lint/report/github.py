"""Commands of GitHub's workflows, which become annotations of the lines in a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from conv_lint.report.entry import Entry, Outcome, level

COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """A line for each finding."""
    return map(_command, outcome.entries)


def _command(found: Entry) -> str:
    spot = found.spot
    properties = {"file": spot.portable, "line": spot.line, "endLine": spot.end_line}
    if spot.line == spot.end_line:  # GitHub takes columns of one line only
        properties |= {"col": spot.column, "endColumn": spot.end_column}
    properties["title"] = found.code
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{COMMANDS[level(found.rule)]} {written}::{_data(found.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
