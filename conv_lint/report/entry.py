"""What is printed of a finding: plain values, cut loose from the tree, so that processes can hand them on."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from conv_lint.catalogue import RULES
from conv_lint.dims import Expr, render, render_shape
from conv_lint.files import Remark
from conv_lint.finding import Finding, Origin, Place, Rule
from conv_lint.finding import Step as Made

Level = Literal["error", "warning", "note"]


def level(rule: Rule) -> Level:
    """How bad it is: what torch refuses is an error, what is opt-in a warning, the checker's own remarks are notes."""
    if rule.code.startswith("CONV9"):
        return "note"
    return "warning" if rule.opt_in else "error"


@dataclass(frozen=True)
class Spot:
    """A part of a file.  Lines and columns count from 1; the end is the column behind the last character."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def portable(self) -> str:
        """The path with slashes, as seen from the working directory if it lies below it."""
        near = os.path.normpath(self.path)
        if os.path.isabs(near):
            relative = os.path.relpath(near)
            near = near if relative.startswith(os.pardir) else relative
        return near.replace(os.sep, "/")


@dataclass(frozen=True)
class Step:
    """One step on the way of a tensor: what it was, the shape that came out, where it stands."""

    label: str
    shape: str
    spot: Spot | None


@dataclass(frozen=True)
class Entry:
    """One finding.

    ``facts`` are the numbers and words of the message by their names.  ``trails`` are the ways of the tensors that it
    is about, each from the input on.  ``calls`` are the other places that it goes through.  ``lines`` is the whole
    statement as flake8 shows it, ``text`` the line alone, ``fingerprint`` the same as long as the line is.
    """

    code: str
    message: str
    spot: Spot
    facts: Mapping[str, Any]
    trails: tuple[tuple[Step, ...], ...]
    calls: tuple[Spot, ...]
    lines: str
    text: str
    fingerprint: str = ""

    @property
    def rule(self) -> Rule:
        return RULES[self.code]


@dataclass(frozen=True)
class Covered:
    """The layers of one class of a file: how many calls of them were checked, of how many; ``reasons`` why not."""

    path: str
    name: str
    checked: int
    total: int
    reasons: tuple[tuple[str, int], ...]


@dataclass
class Outcome:
    """What came of the files: the findings to show, what there is to say besides, and how much was checked."""

    entries: list[Entry] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    covered: list[Covered] = field(default_factory=list)


def entry(finding: Finding, lines: str, text: str, path: str) -> Entry:
    """The entry of a finding in the file that is called ``path``; see ``Entry`` for ``lines`` and ``text``."""
    spot = _spot(finding.place)
    spot = Spot(path, spot.line, spot.column, spot.end_line, spot.end_column)
    calls = {(s.path, s.line): s for s in reversed([*map(_spot, finding.calls)])}
    calls.pop((path, spot.line), None)
    return Entry(
        finding.code,
        finding.message,
        spot,
        {name: _plain(fact) for name, fact in finding.report.facts.items() if fact is not None},
        tuple(tuple(map(_step, made.way())) for made in finding.trail),
        tuple(reversed(calls.values())),
        lines,
        text,
    )


def kept(entries: Iterable[Entry], covered: Iterable[Covered]) -> dict[str, Any]:
    """The findings of a file and what was checked of it, as JSON has them."""
    return {"entries": [asdict(e) for e in entries], "covered": [asdict(c) for c in covered]}


def restored(values: Mapping[str, Any]) -> tuple[list[Entry], list[Covered]]:
    """What ``kept`` was given."""
    covered = [Covered(**{**c, "reasons": tuple(map(tuple, c["reasons"]))}) for c in values["covered"]]
    return [_restored(e) for e in values["entries"]], covered


def _restored(values: Mapping[str, Any]) -> Entry:
    spots = {"spot": Spot(**values["spot"]), "calls": tuple(Spot(**s) for s in values["calls"])}
    trails = tuple(
        tuple(Step(s["label"], s["shape"], Spot(**s["spot"]) if s["spot"] else None) for s in trail)
        for trail in values["trails"]
    )
    return Entry(**{**values, **spots, "trails": trails})


def with_fingerprints(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, each with a fingerprint that other lines of the file do not change.

    It is made of the path, the code and the text of the line; of several alike, each also of its number among them.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    marked = []
    for found in entries:
        key = (found.spot.portable, found.code, found.text.strip())
        whole = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        mark = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
        marked.append(replace(found, fingerprint=mark))
    return marked


def _spot(place: Place) -> Spot:
    (line, column), end = place.position, getattr(place.file, "end", None)
    end_line, end_column = end(place.node) if end is not None else (line, column)
    return Spot(place.file.path, line, column + 1, end_line, end_column + 1)


def _step(made: Made) -> Step:
    return Step(made.label, render_shape(made.shape), _spot(made.place) if made.place is not None else None)


def _plain(fact: object) -> Any:
    """A fact as JSON has it: a shape is a list, an expression its text, an origin the name and the place."""
    match fact:
        case None | bool() | float() | str():
            return fact
        case int():
            return fact if fact.bit_length() <= 64 else _text(fact)
        case Expr():
            return render(fact)
        case Origin():
            return _origin(fact)
        case Sequence():
            return [_plain(f) for f in fact]
        case _:
            return _text(fact)


def _origin(origin: Origin) -> Any:
    """Who made a number, and where; a list if there are two."""
    first: dict[str, Any] = {"label": origin.label}
    if origin.place is not None:
        first |= {"path": origin.place.file.path, "line": origin.place.line}
    second = getattr(origin, "second", None)
    return [first, _origin(second)] if isinstance(second, Origin) else first


def _text(fact: object) -> str:
    try:
        return str(fact)
    except ValueError:  # Python prints no whole number of more than 4,300 digits
        return "a number too long to print"
