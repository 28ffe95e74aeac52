"""Maps of which nobody says how many there are, and a layer for each: as many as there are layers.

``[self.laterals[i](x) for i, x in enumerate(maps)]``
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.samples import some_item
from conv_lint.interpreter.sequences import members
from conv_lint.tree import dotted, walk
from conv_lint.values import Iter, List, Value


def one_for_each_layer(
    machine: Machine, frame: Frame, over: Value, loop: cst.For | cst.CompFor, body: cst.CSTNode
) -> list[Value] | None:
    """The items of ``enumerate(maps)`` or ``range(len(maps))``, where their number picks a layer in the body."""
    if not isinstance(over, Iter) or over.open is None or not isinstance(loop.iter, cst.Call):
        return None
    match dotted(loop.iter.func), [argument.value for argument in loop.iter.args], loop.target:
        case "enumerate", [_], cst.Tuple(elements=[cst.Element(value=cst.Name(value=index)), _]):
            if not isinstance(over.each, tuple):
                return None
        case "range", [cst.Call(func=cst.Name(value="len"))], cst.Name(value=index):
            pass
        case _:
            return None
    count = min(_layers(machine, frame, body, index), default=0)
    if not count or not isinstance(over.each, tuple):
        return list(range(count)) or None
    return [(number, some_item(over.each[1])) for number in range(count)]


def _layers(machine: Machine, frame: Frame, body: cst.CSTNode, index: str) -> Iterator[int]:
    """How many layers each container holds of which the index picks one."""
    from conv_lint.interpreter.expressions import evaluate

    for node in walk(body):
        match node:
            case cst.Subscript(value=holder, slice=[cst.SubscriptElement(slice=cst.Index(value=picked))]):
                if not _is(picked, index) or not dotted(holder):
                    continue
                with machine.quiet():
                    held = machine.resolve(evaluate(machine, frame, holder))
                if isinstance(held, Instance) and held.is_container and not held.open:
                    yield len(members(held))
                elif isinstance(held, List) and not held.open and all(isinstance(v, Instance) for v in held.items):
                    yield len(held.items)


def _is(picked: cst.BaseExpression, index: str) -> bool:
    """Is it the index, or ``str(i)`` of a ``nn.ModuleDict``?"""
    if isinstance(picked, cst.Call) and dotted(picked.func) == "str" and len(picked.args) == 1:
        picked = picked.args[0].value
    return isinstance(picked, cst.Name) and picked.value == index
