"""What ``conv-lint verify`` prints: a row for each call of a layer, and what to report if something differs."""

from __future__ import annotations

import collections
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conv_lint.verify import (
    AGREE,
    DIFFER,
    SAID_OF_WORKING_CODE,
    UNKNOWN,
    Row,
    Seen,
    StaticRun,
    Unseen,
    compare,
    side_by_side,
)

if TYPE_CHECKING:
    from conv_lint.runtime.verify import RealRun

HEADINGS = ("layer", "type", "static", "real", "")
OUTPUT = "(output)"


@dataclass(frozen=True)
class Verification:
    """The outcome.

    ``findings``: what conv-lint says of code that torch runs, line by line.  ``found``: of a forward that failed, the
    findings with the same code.  ``error`` and ``code``: why it failed.  ``device`` and ``note``: where it ran, and why
    not without data.
    """

    rows: list[Row]
    findings: list[str]
    error: str | None
    code: str | None
    found: list[str]
    unseen: str
    device: str
    note: str | None
    command: str
    versions: dict[str, str]

    @classmethod
    def of(cls, static: StaticRun, real: RealRun, command: Sequence[str], versions: dict[str, str]) -> Verification:
        """Both halves, compared."""
        rows, error = side_by_side(static, real.calls), real.error
        said = [text for code, text in static.findings if SAID_OF_WORKING_CODE.match(code) is None]
        if error is None:
            kind = real.report.model if real.report is not None else ""
            rows.append(Row(OUTPUT, kind, static.output, real.output, *compare(static.output, real.output)))
        return cls(
            rows,
            said if error is None else [],
            str(error) if error is not None else None,
            error.code if error is not None else None,
            [text for code, text in static.findings if error is not None and code == error.code],
            "it reports " + "; ".join(said) if said else static.reason(error.module if error is not None else ""),
            real.report.device if real.report is not None else "-",
            real.report.note if real.report is not None else None,
            shlex.join(command),
            versions,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many rows agree, differ, are unknown."""
        found = collections.Counter(row.mark for row in self.rows)
        return {mark: found[mark] for mark in (AGREE, DIFFER, UNKNOWN)}

    @property
    def is_defect(self) -> bool:
        """Does conv-lint contradict torch?"""
        return bool(self.findings) or any(row.mark == DIFFER for row in self.rows)

    @property
    def status(self) -> int:
        """The exit status."""
        return int(self.is_defect or self.error is not None)


def lines(outcome: Verification, kind: str) -> Iterator[str]:
    """The report as ``text`` or ``json``."""
    return iter([_json(outcome)]) if kind == "json" else _text(outcome)


# text -------------------------------------------------------------------------------------------------------


def _text(outcome: Verification) -> Iterator[str]:
    yield from _table([HEADINGS, *map(_cells, outcome.rows)])
    if outcome.error is not None:
        yield from ("", "The forward fails for its shapes:" if outcome.rows else "It fails for its shapes:")
        yield from outcome.error.splitlines()
        yield _what_static_finds(outcome)
    counts = ", ".join(f"{count} {mark}" for mark, count in outcome.counts.items())
    versions = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
    yield from ("", f"{counts} ({versions}; ran on {outcome.device})")
    if outcome.note is not None:
        yield outcome.note
    if outcome.is_defect:
        yield from _what_to_report(outcome, versions)


def _cells(row: Row) -> tuple[str, ...]:
    if row.mark not in (AGREE, DIFFER, UNKNOWN):
        return row.path or "(model)", row.type, "", "failed", ""
    mark = f"{row.mark}: {row.reason}" if row.reason else row.mark
    return row.path or "(model)", row.type, shown(row.static), shown(row.real), mark


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def shown(value: Any) -> str:
    """Shapes for a reader: ``(1, 64, 8, 8)``, ``[(1, 4), (2, 1, 8)]``, ``{out: (1, 10)}``, ``?``, ``-``."""
    if isinstance(value, Seen):
        return str(value)
    if isinstance(value, tuple):
        return str(Seen(value))
    if isinstance(value, Unseen):
        return "?"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        parts = [shown(item) for item in value if item is not None]
        return parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]" if parts else "-"
    return "-"


def _what_static_finds(outcome: Verification) -> str:
    if outcome.code is None:
        return f"conv-lint has no rule for it; of the code alone it says: {outcome.unseen}"
    if outcome.found:
        return "conv-lint finds it without running: " + "; ".join(outcome.found)
    return f"conv-lint does not find {outcome.code} without running: {outcome.unseen}"


def _what_to_report(outcome: Verification, versions: str) -> Iterator[str]:
    yield from ("", "conv-lint contradicts torch. This is a defect of conv-lint; please report it with these lines:")
    yield f"  {versions}"
    yield f"  {outcome.command}"
    for row in outcome.rows:
        if row.mark == DIFFER:
            yield f"  {row.path or '(model)'}, {row.type}: conv-lint {shown(row.static)}, torch {shown(row.real)}"
    for text in outcome.findings:
        yield f"  torch runs it, conv-lint reports {text}"
    yield "and with the code of the model, if you may show it."


# json -------------------------------------------------------------------------------------------------------


def _json(outcome: Verification) -> str:
    rows = [
        {
            "path": row.path,
            "type": row.type,
            "static": _plain(row.static),
            "real": _plain(row.real),
            "mark": row.mark,
            "reason": row.reason or None,
        }
        for row in outcome.rows
    ]
    error = None
    if outcome.error is not None:
        error = {"code": outcome.code, "text": outcome.error, "static_findings": outcome.found}
    document = {
        "command": outcome.command,
        "versions": outcome.versions,
        "device": outcome.device,
        "note": outcome.note,
        "rows": rows,
        "counts": outcome.counts,
        "error": error,
        "false_findings": outcome.findings,
        "defect": outcome.is_defect,
    }
    return json.dumps(document, indent=2)


def _plain(value: Any) -> Any:
    """Lists of sizes; a size that is not known is a string, ``"..."`` stands for any number of them."""
    if isinstance(value, Seen):
        return [*(["..."] if value.more else []), *(size if isinstance(size, int) else "?" for size in value.sizes)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, int) else None
