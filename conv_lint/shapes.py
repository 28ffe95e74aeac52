"""What models demand of their inputs: ``conv-lint shapes``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from conv_lint import source
from conv_lint.check import RECURSION
from conv_lint.dims import render_shape
from conv_lint.interpreter.demands import Demands, accepted
from conv_lint.interpreter.entries import run_all
from conv_lint.interpreter.machine import Limits, Machine
from conv_lint.project import Project
from conv_lint.tree import Tree


@dataclass
class Contract:
    """What one model (a class, or what a factory makes) takes.

    ``shape``: the input in words, ``(B, 3, H, W)``.  ``sizes``: for each free size, or for several that must be alike,
    which are accepted, in words.  ``smallest``: the smallest square input for one sample.  ``accepted``: the sizes from
    1 to :data:`~conv_lint.interpreter.demands.LARGEST` that a square input may have.  ``problem``: why nothing else is
    said.
    """

    path: str
    line: int
    name: str
    shape: str = ""
    sizes: dict[str, str] = field(default_factory=dict)
    smallest: str | None = None
    accepted: tuple[int, ...] = ()
    problem: str | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}: {self.name}"
        if self.problem:
            return f"{where}: {self.problem}"
        said = ", ".join(f"{axis} {words}" for axis, words in self.sizes.items())
        smallest = f"; the smallest input is {self.smallest}" if self.smallest else ""
        return f"{where} takes {self.shape}" + (f" with {said}{smallest}" if said else "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {k: v for k, v in vars(self).items() if v not in (None, "", {}, ())}


def contracts(text: str, path: str, limits: Limits | None = None) -> list[Contract]:
    """The input contract of every model of a file, in the order of the lines."""
    if not source.can_parse(text):
        return []
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        tree = Tree(path, text)
        machine = Machine(tree, Project(path), limits or Limits())
        machine.models = []
        run_all(machine)
        found = {(d.line, d.name): _contract(path, d) for d in machine.models}
    except (cst.ParserSyntaxError, RecursionError, MemoryError):
        return []
    finally:
        sys.setrecursionlimit(before)
    return [found[key] for key in sorted(found)]


def _contract(path: str, demands: Demands) -> Contract:
    made = Contract(path, demands.line, demands.name)
    if demands.failed:
        made.problem = "does not work; 'conv-lint check' says why"
    elif demands.shape is None or demands.shape.rest is not None:
        made.problem = "too little is known of its input; 'conv-lint check --unknowns' says why"
    else:
        made.shape = render_shape(demands.shape)
        made.accepted, answers = accepted(demands)
        made.sizes = {axis: str(sizes) for axis, sizes in answers.items()}
        if made.accepted:
            names = dict.fromkeys(demands.axes, str(made.accepted[0]))
            words = made.shape.strip("()").split(", ")
            made.smallest = f"({', '.join(names.get(w, '1' if w == 'B' else w) for w in words)})"
    return made
