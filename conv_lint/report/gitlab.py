"""A Code Quality report, which GitLab shows in merge requests.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from conv_lint.report.entry import Entry, Outcome, level

SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def render(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """All findings as one JSON document."""
    yield json.dumps([_issue(found) for found in outcome.entries], indent=2)


def _issue(found: Entry) -> dict[str, Any]:
    return {
        "description": f"{found.code} {found.message}",
        "check_name": found.code,
        "fingerprint": found.fingerprint,
        "severity": SEVERITIES[level(found.rule)],
        "location": {
            "path": found.spot.portable,
            "lines": {"begin": found.spot.line, "end": found.spot.end_line},
        },
    }
