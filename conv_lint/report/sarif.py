"""SARIF 2.1.0, the format of code scanning (GitHub, Azure, many editors).

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from conv_lint import __version__, pages
from conv_lint.catalogue import RULES
from conv_lint.files import Remark
from conv_lint.finding import Rule
from conv_lint.report.entry import Entry, Outcome, Spot, Step, level

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FAMILIES = {
    "1": "arguments",
    "2": "channels",
    "3": "sizes",
    "4": "layout",
    "5": "contracts",
    "6": "python",
    "9": "notes",
}


def render(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """One run of the tool, with all rules and all findings."""
    rules = list(RULES.values())
    index = {rule.code: number for number, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "conv-lint",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": not any(r.usage for r in outcome.remarks),
                "toolExecutionNotifications": [_notification(r) for r in outcome.remarks],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(found, index[found.code]) for found in outcome.entries],
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: Rule) -> dict[str, Any]:
    page = pages.page(rule.code)
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.name.replace("-", " ")},
        "fullDescription": {"text": pages.summary(rule.code)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(rule), "enabled": not rule.opt_in},
        "properties": {"tags": ["pytorch", FAMILIES[rule.code[4]]]},
    }


def _result(found: Entry, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": index,
        "level": level(found.rule),
        "message": {"text": found.message},
        "locations": [_location(found.spot)],
        "partialFingerprints": {"convLint/v1": found.fingerprint},
    }
    if found.trails:
        result["codeFlows"] = [
            {"threadFlows": [{"locations": [{"location": _step(step)} for step in trail]}]} for trail in found.trails
        ]
    if found.calls:
        result["relatedLocations"] = [
            {**_location(call), "message": {"text": "reached by this"}} for call in found.calls
        ]
    return result


def _step(step: Step) -> dict[str, Any]:
    where = _location(step.spot) if step.spot is not None else {}
    return {**where, "message": {"text": f"{step.label}: {step.shape}"}}


def _notification(remark: Remark) -> dict[str, Any]:
    file = {"artifactLocation": {"uri": _uri(Spot(remark.path, 1, 1, 1, 1).portable)}}
    level = "error" if remark.usage else "warning"
    return {"level": level, "message": {"text": remark.text}, "locations": [{"physicalLocation": file}]}


def _location(spot: Spot) -> dict[str, Any]:
    region = {
        "startLine": spot.line,
        "startColumn": spot.column,
        "endLine": spot.end_line,
        "endColumn": spot.end_column,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(spot.portable)}, "region": region}}


def _uri(path: str) -> str:
    """A path below the working directory stays relative, so that it fits every checkout."""
    if PurePath(path).is_absolute():
        return PurePath(path).as_uri()
    return quote(path, errors="surrogateescape")
