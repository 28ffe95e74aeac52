"""One file, from text to findings."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import libcst as cst

from conv_lint import source
from conv_lint.finding import Finding
from conv_lint.interpreter.entries import run_all
from conv_lint.interpreter.machine import Limits, Machine, Note
from conv_lint.project import Project
from conv_lint.tree import Tree

#: The interpreter recurses with the checked program; each of its calls costs some thirty frames of Python.
RECURSION = 12_000


@dataclass
class Result:
    """What came of checking a file: findings, what was not understood, and why nothing was checked if so."""

    findings: list[Finding]
    notes: list[Note]
    out_of_budget: bool = False
    problem: str | None = None


def check(text: str, path: str, limits: Limits | None = None) -> Result:
    """Check the text of a file as if it lay at ``path``."""
    if source.parse(text) is None:
        return Result([], [], problem="the file is no Python, or nested too deeply")
    before, began = sys.getrecursionlimit(), time.thread_time()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        tree = Tree(path, text)
        machine = Machine(tree, Project(path), limits or Limits(), started=began)
        run_all(machine)
    except (cst.ParserSyntaxError, RecursionError, MemoryError):
        return Result([], [], problem="the file is too large or nested too deeply")
    finally:
        sys.setrecursionlimit(before)
    return Result(_unique(machine.findings), machine.notes, machine.stop)


def _unique(findings: list[Finding]) -> list[Finding]:
    """Each mistake once: the first finding at each place, in the order of the lines."""
    first: dict[tuple[str, tuple[int, int]], Finding] = {}
    for finding in findings:
        first.setdefault((finding.code, finding.position), finding)
    by_line = sorted(first.values(), key=lambda f: (f.position, f.code))
    kept: list[Finding] = []
    for finding in by_line:
        same_place = [k for k in kept if k.position == finding.position and k.code[4] == finding.code[4] != "1"]
        if not same_place:
            kept.append(finding)
    return kept
