"""What a rule says, and where: Rule -> Report (a rule with its facts) -> Finding (a report at a place)."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from conv_lint.dims import Dim, Expr, Symbol, render, render_shape, substitute, symbol, symbols
from conv_lint.rendering import common_unknown


class SourceFile(Protocol):
    """The part of a parsed file that a finding needs: its path, and positions worked out on demand."""

    path: str

    def position(self, node: object) -> tuple[int, int]:
        """Line (from 1) and column (from 0) of a node."""


#: What a rule may point at besides an argument: the construction of a layer that is itself the wrong one, and the call
#: of a layer where something must happen to its input first.
CONSTRUCTION, CALL = "construction", "call"


@dataclass(frozen=True)
class Place:
    """A node of a file.  The line number is worked out only when someone asks for it."""

    file: SourceFile
    node: object

    @property
    def position(self) -> tuple[int, int]:
        return self.file.position(self.node)

    @property
    def line(self) -> int:
        return self.position[0]

    @property
    def key(self) -> tuple[str, int]:
        return (self.file.path, id(self.node))


@dataclass(frozen=True)
class Step:
    """One operation on the way of a tensor: what it was, where it stands, what came out.

    ``shape`` is the output's shape; ``parents`` are the steps that made the inputs, the main one first.  ``scope`` is
    the interpreter's own note of who did it.  ``made`` is the axis, counted from the right, whose size the operation
    decides, such as the channels of a convolution: they come from here even if the input had as many.  ``doubts``: the
    conditions under which something else was done, of which nothing is known.
    """

    label: str
    place: Place | None
    shape: tuple[Dim, ...]
    parents: tuple[Step, ...] = ()
    scope: object = None
    made: int | None = None
    doubts: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"{self.label}{_at(self.place)} {render_shape(self.shape)}"

    def way(self) -> Iterator[Step]:
        """The steps from the input to this one, along the main parent."""
        steps: list[Step] = []
        step: Step | None = self
        while step is not None:
            steps.append(step)
            step = step.parents[0] if step.parents else None
        return reversed(steps)


@dataclass(frozen=True)
class Origin:
    """Where a number comes from, as a message names it: ``conv1, line 13``."""

    label: str
    place: Place | None
    step: Step | None = None

    def __str__(self) -> str:
        if self.place is None:
            return self.label
        return f"{self.label}, line {self.place.line}"

    def seen_from(self, path: str) -> str:
        """The same for the reader of ``path``: a line of another file is named with its file."""
        if self.place is None or self.place.file.path == path:
            return str(self)
        return f"{self.label}, {shown_path(self.place.file.path)}:{self.place.line}"


def shown_path(path: str) -> str:
    """The path of another file as flake8 shows paths: below the working directory without it."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):  # the working directory is gone, or on another drive
        return path
    return path if relative.startswith(os.pardir) else relative


def _at(place: Place | None) -> str:
    return f" (line {place.line})" if place else ""


@dataclass(frozen=True)
class Rule:
    """One kind of fault.

    ``template`` is the message.  ``{fact}`` is replaced; a part in square brackets is left out when one of its
    facts is missing: ``takes {takes} but is given {given}[ ({source})][; write {fix}]``.
    """

    code: str
    name: str
    template: str
    opt_in: bool = False

    def __call__(self, **facts: object) -> Report:
        return Report(self, facts)


@dataclass
class Report:
    """A rule and the facts of one case: the numbers, who made them, the fix if it could be computed."""

    rule: Rule
    facts: dict[str, object] = field(default_factory=dict)

    def message(self, path: str = "") -> str:
        """The sentence for the reader of the file ``path``."""

        def optional(match: re.Match[str]) -> str:
            names = _FACT.findall(match[1])
            return match[1] if all(self.facts.get(n) is not None for n in names) else ""

        text = _OPTIONAL.sub(optional, self.rule.template)
        # ``r`` and ``r // 2`` of a number that nobody knows are ``n`` and ``n//2`` here.
        unknown = common_unknown(self.facts.get(name) for name in ("takes", "given", "a", "b"))
        names = _told_apart(self.facts.values())
        return _FACT.sub(lambda m: _show(_renamed(self.facts.get(m[1]), names), path, unknown), text)


_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FACT = re.compile(r"\{(\w+)\}")


def _told_apart(facts: Iterable[object]) -> dict[Symbol, Dim]:
    """Other names, ``H'``, where one size has two symbols of one name: ``H' - H`` instead of ``H - H``."""
    sizes = [size for fact in facts for size in (fact if isinstance(fact, tuple) else (fact,))]
    found: dict[Symbol, Dim] = {}
    for size in sizes:
        own = sorted(symbols(size), key=lambda s: s.serial) if isinstance(size, Expr) else []
        for here, other in itertools.combinations([s for s in own if s.given], 2):
            if here.name == other.name and other not in found:
                found[other] = symbol(f"{other.name}'")
    return found


def _renamed(fact: object, names: Mapping[Symbol, Dim]) -> object:
    if not names:
        return fact
    if isinstance(fact, tuple):
        return tuple(_renamed(size, names) for size in fact)
    return substitute(fact, names) if isinstance(fact, Expr) else fact


def _show(fact: object, path: str, unknown: Symbol | None = None) -> str:
    if isinstance(fact, Origin):
        return fact.seen_from(path)
    if isinstance(fact, tuple):
        return render_shape(fact)
    if hasattr(fact, "terms"):
        return render(fact, "n" if unknown in fact.symbols else "")  # type: ignore[arg-type, attr-defined]
    try:
        return str(fact)
    except ValueError:  # Python prints no whole number of more than 4,300 digits
        return "a number too long to print"


@dataclass
class Finding:
    """A report at a place, with the shapes on the way to it and the calls that led there.

    ``scene`` is the interpreter's own note of the call that failed.  ``of_user``: a number that another file gives to
    this one is wrong, for all that one call shows.
    """

    report: Report
    place: Place
    trail: tuple[Step, ...] = ()
    calls: tuple[Place, ...] = ()
    scene: object = None
    of_user: bool = False

    @property
    def code(self) -> str:
        return self.report.rule.code

    @property
    def position(self) -> tuple[int, int]:
        """Line from 1 and column from 0, in the file that is being linted."""
        return self.place.position

    @property
    def message(self) -> str:
        return self.report.message(self.place.file.path)
