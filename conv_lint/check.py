"""One file, from text to findings."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction

import libcst as cst

from conv_lint import catalogue, source
from conv_lint.configured import Inputs
from conv_lint.dims import Expr
from conv_lint.finding import Finding, Origin, Report
from conv_lint.interpreter.coverage import Coverage, coverage
from conv_lint.interpreter.entries import run_all
from conv_lint.interpreter.judge import OF_CHANNELS
from conv_lint.interpreter.machine import Limits, Machine, Note
from conv_lint.interpreter.users import run_users
from conv_lint.interpreter.verdict import judged
from conv_lint.interpreter.ways import decided_by
from conv_lint.project import Project
from conv_lint.tree import Tree

#: The interpreter recurses with the checked program; each of its calls costs some thirty frames of Python.
RECURSION = 12_000
#: How many more objects must have been made before Python looks for cycles, in each of its generations.
COLLECTION = (50_000, 10, 10)


@dataclass
class Result:
    """What came of checking a file: findings, what was not understood, and why nothing was checked if so.

    ``coverage``: how many of its layers were reached with what is known, by class, if that was asked for.
    """

    findings: list[Finding]
    notes: list[Note]
    out_of_budget: bool = False
    problem: str | None = None
    coverage: list[Coverage] = field(default_factory=list)
    file: Tree | None = None

    def unknowns(self) -> list[Finding]:
        """What was not understood in the file itself, as findings (CONV901), once for each place."""
        waiting: Counter[str] = Counter()
        for one in self.coverage:
            waiting.update(one.reasons)
        found: dict[object, Finding] = {}
        for note in self.notes:
            if note.place is None or note.place.file is not self.file:
                continue
            layers = waiting.get(note.reason, 0)
            words = f"{layers} layer call{'s' * (layers != 1)} could not be checked for it" if layers else None
            report = catalogue.not_understood(reason=note.reason, waiting=words)
            found.setdefault((note.place.position, note.reason), Finding(report, note.place))
        return sorted(found.values(), key=lambda f: f.position)


def check(
    text: str, path: str, limits: Limits | None = None, measure: bool = False, inputs: Sequence[Inputs] = ()
) -> Result:
    """Check the text of a file as if it lay at ``path``; ``measure`` how much of it was reached, too.

    ``inputs``: the shapes that are configured for its models.
    """
    if not source.can_parse(text):
        return Result([], [], problem="the file is no Python, or nested too deeply")
    began = time.thread_time()
    try:
        with _roomy():
            tree = Tree(path, text)
            machine = Machine(tree, Project(path), limits or Limits(), started=began, inputs=inputs)
            unused = run_all(machine)
            if unused:
                run_users(machine, unused)
            measured = coverage(machine) if measure else []
    except (cst.ParserSyntaxError, RecursionError, MemoryError):
        return Result([], [], problem="the file is too large or nested too deeply")
    return Result(_unique(judged(machine)), list(machine.notes.values()), machine.stop, coverage=measured, file=tree)


@contextmanager
def _roomy() -> Iterator[None]:
    """Deeper recursion than Python allows by itself, and garbage collected less often: most of what is made is kept
    until the file is done, so that looking for garbage would be a third of the work."""
    depth, thresholds = sys.getrecursionlimit(), gc.get_threshold()
    sys.setrecursionlimit(max(depth, RECURSION))
    if thresholds[0]:  # zero: whoever runs us has switched collection off
        gc.set_threshold(*(max(a, b) for a, b in zip(thresholds, COLLECTION)))
    try:
        yield
    finally:
        sys.setrecursionlimit(depth)
        gc.set_threshold(*thresholds)


#: So many layers that all are given the same wrong multiple by one producer: then the producer is the place to edit.
WITNESSES = 3


#: What is wrong with a tensor itself, whoever uses it: its number of dimensions, or their order.
OF_ONE_TENSOR = frozenset({"CONV401", "CONV403", "CONV408"})


def _maker(finding: Finding) -> Origin | None:
    """Who made the number that a finding speaks of; what only put it in another place is passed over."""
    source, given = (finding.report.facts.get(name) for name in ("source", "given"))
    if not isinstance(source, Origin) or source.step is None or not isinstance(given, Expr):
        return source if isinstance(source, Origin) else None
    made = decided_by(source.step, given)
    return Origin(made.label, made.place, made) if made is not source.step else source


def _gathered(findings: Iterable[Finding]) -> list[Finding]:
    """What many layers say of one producer is one finding, at the producer."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        takes, given = (finding.report.facts.get(name) for name in ("takes", "given"))
        maker = _maker(finding)
        place = maker.place if maker is not None else None
        key: object = id(finding)
        ours = place is not None and place.file is finding.place.file
        if place is not None and ours and isinstance(takes, int) and isinstance(given, int):
            # Blocks of other widths are given the same multiple.
            key = (finding.code, place.key, Fraction(takes, given or 1))
        elif place is not None and ours and finding.report.rule in OF_CHANNELS:
            key = (OF_CHANNELS, place.key, takes, given)
        elif place is not None and finding.code in OF_ONE_TENSOR:
            # The tensor has the wrong number of dimensions, or the wrong order: that is said where it is first used.
            if (finding.code, place.key) in groups:
                continue
            key = (finding.code, place.key)
        groups.setdefault(key, []).append(finding)
    kept: list[Finding] = []
    for group in groups.values():
        if len({f.position for f in group}) < WITNESSES:
            kept += group
            continue
        first = group[0]
        facts = {name: fact for name, fact in first.report.facts.items() if name != "fix"}
        maker = facts["source"] = _maker(first)
        assert isinstance(maker, Origin)
        assert maker.place is not None
        report = Report(first.report.rule, facts)
        kept.append(replace(first, report=report, place=maker.place, calls=(first.place, *first.calls)))
    return kept


#: What torch accepts: whoever does not want to hear of it must hear of the fault at the same place all the same.
REMARKS = frozenset({"CONV301", "CONV302"})


def _unique(findings: list[Finding]) -> list[Finding]:
    """Each mistake once: the first finding at each place, in the order of the lines."""
    first: dict[tuple[str, tuple[int, int]], Finding] = {}
    for finding in findings:
        first.setdefault((finding.code, finding.position), finding)
    by_line = sorted(_gathered(first.values()), key=lambda f: (f.position, f.code in REMARKS, f.code))
    kept: list[Finding] = []
    elsewhere: set[object] = set()
    for finding in by_line:
        # A line of another file that is wrong for several calls here is said at the first of them.
        line = (finding.code, finding.report.facts.get("elsewhere", id(finding)))
        if line in elsewhere:
            continue
        elsewhere.add(line)
        same_place = [k for k in kept if k.position == finding.position and k.code[4] == finding.code[4] != "1"]
        if not same_place:
            kept.append(finding)
    return kept
