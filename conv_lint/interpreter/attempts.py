"""One entry, run on a state of its own; what it finds only by an assumption is run again without that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import libcst as cst

from conv_lint.finding import Finding, Place
from conv_lint.interpreter.feed import OF_RANK
from conv_lint.interpreter.follows import steps
from conv_lint.interpreter.journal import Facts, Journal
from conv_lint.interpreter.machine import Machine, OutOfBudget, PythonRaise
from conv_lint.interpreter.ways import Scene, Scope
from conv_lint.values import Condition, birth


def attempt(machine: Machine, node: cst.CSTNode, entry: Callable[[], object]) -> bool:
    """Run one entry, undo what it changed, and keep the findings that do not hang on an assumed rank.  Returns whether
    the checked program raised."""
    before = len(machine.findings)
    machine.entry = node if isinstance(node, (cst.FunctionDef, cst.ClassDef)) else None
    machine.rank_was_assumed = machine.is_batched = machine.read_docstring = False
    machine.batches, machine.samples = set(), set()
    # What a model demands of its input is what it demands when it is used.
    machine.training = Condition("training", "self.training") if machine.models is None else False
    stopped = _isolated(machine, node, entry)
    found = machine.findings[before:]
    assumed = machine.rank_was_assumed and not machine.is_batched
    guessed = [hangs_on_guess(machine, finding) for finding in found]
    if found and (assumed or any(guessed)):
        machine.prefer_batched, machine.prefer_usual, machine.strained = not assumed, False, False
        with machine.longer():
            raised = _isolated(machine, node, entry)
        machine.prefer_batched = machine.prefer_usual = True
        again = machine.findings[before + len(found) :]
        del machine.findings[before:]
        stands = not assumed or again or raised or machine.strained
        kept = (_either_way(f, again) if hangs else f if stands else None for f, hangs in zip(found, guessed))
        machine.findings += [f for f in kept if f is not None]
    if machine.read_docstring and any(f.code in OF_RANK for f in machine.findings[before:]):
        found = machine.findings[before:]
        machine.reads_docstrings = False
        _isolated(machine, node, entry)
        machine.reads_docstrings = True
        seen = {(f.code, f.place.key) for f in machine.findings[before + len(found) :]}
        machine.findings[before:] = [f for f in found if f.code not in OF_RANK or (f.code, f.place.key) in seen]
    return stopped


def hangs_on_guess(machine: Machine, finding: Finding) -> bool:
    """Is it of what a call has made for which a number of dimensions was guessed, for all that it tells?"""
    if machine.guesses and not finding.trail:
        return finding.code in OF_RANK
    scopes = (step.scope for step in steps(finding.trail)) if machine.guesses else ()
    return any(isinstance(scope, Scope) and id(scope.node) in machine.guesses for scope in scopes)


def _either_way(finding: Finding, again: Sequence[Finding]) -> Finding | None:
    """What a call is refused for, if it is with another rank as well; two numbers that disagree tell more than that."""
    same = [other for other in again if _call(other) == _call(finding)]
    if not same or finding.code.startswith("CONV2"):
        return finding if same else None
    return next((other for other in same if other.code.startswith("CONV2")), finding)


def _call(finding: Finding) -> object:
    """The call that fails, or where a finding stands that is of none."""
    return id(finding.scene.node) if isinstance(finding.scene, Scene) else what_and_where(finding)


def what_and_where(finding: Finding) -> tuple[object, ...]:
    return finding.code, finding.place.file.path, finding.position


def _isolated(machine: Machine, node: cst.CSTNode, entry: Callable[[], object]) -> bool:
    """Run one entry on facts and a journal of its own.  Returns whether the checked program raised."""
    raised = False
    reset(machine)
    machine.entry_start = machine.steps
    machine.refused = {}
    facts, journal, peeks, links = machine.facts, machine.journal, machine.peeks, machine.links
    machine.facts, machine.journal, machine.peeks = Facts(), Journal(journal.memory), dict(peeks)
    journal.memory.horizon = birth()
    machine.links = {key: dict(sizes) for key, sizes in links.items()}
    machine.journal.begin()
    machine.outermost, machine.entry_born, machine.by_default = 1, birth(), False
    try:
        entry()
    except (PythonRaise, OutOfBudget, RecursionError) as error:
        raised = isinstance(error, PythonRaise)
        note_end(machine, node, error)
        del machine.journal.levels[1:]
    machine.journal.end()
    machine.outermost, machine.by_default = 0, False
    machine.facts, machine.journal, machine.peeks, machine.links = facts, journal, peeks, links
    reset(machine)
    return raised


def reset(machine: Machine) -> None:
    machine.muted = machine.catching = machine.doubts = 0
    machine.journal.levels.clear()
    machine.journal.left.clear()


def note_end(machine: Machine, node: cst.CSTNode, error: Exception) -> None:
    """An entry that could not be run to its end says so among the notes: silence about it is no clean bill."""
    machine.was_cut |= isinstance(error, OutOfBudget)
    if not isinstance(error, PythonRaise) and not machine.visiting:
        machine.note("the work allowed is used up: the rest was not checked", Place(machine.tree, node))
