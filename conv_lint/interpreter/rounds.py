"""Entries with counts that nobody gives: run for several of them, and what is found holds if it is found for each.

See :mod:`conv_lint.interpreter.suppose` for what is supposed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import libcst as cst

from conv_lint.finding import Finding, Report
from conv_lint.interpreter.attempts import attempt, what_and_where
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Instance
from conv_lint.interpreter.suppose import ALL_LISTS, ROUNDS, hangs_on_count
from conv_lint.interpreter.tensors import is_of_nothing
from conv_lint.interpreter.ways import Scene


def supposing(machine: Machine, node: cst.CSTNode, entry: Callable[[], object]) -> None:
    """Run one entry with supposed numbers of rounds, and keep the findings that do not hang on them."""
    if machine.models is not None:
        attempt(machine, node, entry)
        return
    before, notes = len(machine.findings), len(machine.notes)
    told: dict[object, list[Report]] = {}
    machine.supposed = machine.supposed_kinds = False
    fitting: list[dict[str, int]] = []
    for machine.rounds in ROUNDS:
        again, used = len(machine.findings), machine.used
        machine.used, machine.was_cut = set(), False
        with machine.longer() if again > before else contextlib.nullcontext():
            _attempt(machine, node, entry, fitting)
        made, machine.used = machine.used, used | machine.used
        for what, report in {what_and_where(f): f.report for f in machine.findings[again:]}.items():
            told.setdefault(what, []).append(report)
        if machine.rounds != ROUNDS[0]:
            seen = {what_and_where(f) for f in machine.findings[again:]}
            old = machine.findings[before:again]
            kept = [f for f in old if what_and_where(f) in seen or (not machine.was_cut and _is_of_none(f, made))]
            machine.findings[before:] = kept
            for key in list(machine.notes)[notes:]:
                del machine.notes[key]
        notes = len(machine.notes)
        if not machine.supposed or len(machine.findings) == before:
            break
    machine.rounds = None
    if machine.supposed:
        machine.findings[before:] = [
            f
            for f in machine.findings[before:]
            if not _hangs_on_kinds(f, machine.supposed_kinds) and not hangs_on_count(told[what_and_where(f)])
        ]


def _attempt(machine: Machine, node: cst.CSTNode, entry: Callable[[], object], fitting: list[dict[str, int]]) -> None:
    """Run one entry, and again where it refuses the supposed lists: ``assert len(sizes) == 2``.

    ``fitting``: the numbers of items that were accepted so far; others are tried first.
    """
    machine.lists, machine.given_lists = {}, {}
    before = len(machine.findings)
    if not attempt(machine, node, entry) or not machine.lists:
        return
    refused, supposed = machine.findings[before:], list(machine.lists)
    every = [{ALL_LISTS: count} for count in COUNTS]
    single = [{name: count} for name in supposed for count in COUNTS] if len(supposed) > 1 else []
    others = [counts for counts in (*every, *single[:MOST_TRIED]) if counts not in fitting]
    for machine.given_lists in (*others, *fitting):
        del machine.findings[before:]
        if not attempt(machine, node, entry):
            if machine.given_lists not in fitting:
                fitting.append(machine.given_lists)
            return
    machine.findings[before:] = refused


#: Numbers of items that a list is supposed to have where those of the rounds are refused.
COUNTS = (2, 4, 1, 6, 5, 8)
#: So often at most only one of several lists is given another number of items.
MOST_TRIED = 24


def _hangs_on_kinds(finding: Finding, supposed: bool) -> bool:
    """Is it of what a supposed list is or holds, or of a size of 0, which a number that nobody would give has made?

    ``supposed``: more than numbers were supposed.
    """
    return finding.code in (OF_KINDS if supposed else OF_LISTS) or is_of_nothing(finding.report)


def _is_of_none(finding: Finding, made: set[object]) -> bool:
    """Is it of a block of which this run has made none, because ``n - 2`` of two rounds is none?"""
    scene = finding.scene
    block = scene.frame.self_value if isinstance(scene, Scene) else None
    return isinstance(block, Instance) and block.is_module and isinstance(block.cls, Class) and block.cls not in made


#: Faults of the items of lists and dicts, which may be as many as there are rounds.
OF_LISTS = frozenset("CONV601 CONV602 CONV603 CONV604 CONV605".split())
#: Faults of what is no tensor, or has too few items or too many: a list that is only supposed to be one says nothing of
#: that.
OF_KINDS = OF_LISTS | frozenset("CONV104 CONV114 CONV115 CONV116 CONV406".split())
