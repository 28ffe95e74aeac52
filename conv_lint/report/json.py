"""JSON: a list with one object for each finding.

Lines and columns count from 1; an end is behind the last character.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from conv_lint.report.entry import Entry, Outcome, Spot, Step, level


def render(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """All findings as one JSON document."""
    yield json.dumps([_finding(found) for found in outcome.entries], indent=2)


def _finding(found: Entry) -> dict[str, Any]:
    return {
        "code": found.code,
        "name": found.rule.name,
        "level": level(found.rule),
        "message": found.message,
        "facts": found.facts,
        **_place(found.spot),
        "source": found.text,
        "trail": [[_step(step) for step in trail] for trail in found.trails],
        "calls": [_place(call) for call in found.calls],
        "fingerprint": found.fingerprint,
    }


def _place(spot: Spot) -> dict[str, Any]:
    return {
        "path": spot.path,
        "position": {"line": spot.line, "column": spot.column},
        "end": {"line": spot.end_line, "column": spot.end_column},
    }


def _step(step: Step) -> dict[str, Any]:
    return {"label": step.label, "shape": step.shape, **(_place(step.spot) if step.spot is not None else {})}
