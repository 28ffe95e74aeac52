"""nn.Sequential: its layers one behind the other, also where some of them are there only under a condition."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import libcst as cst

from conv_lint import catalogue
from conv_lint.interpreter import arity, faults
from conv_lint.interpreter.calls import Arguments, call_value
from conv_lint.interpreter.journal import ONLY_SOMETIMES
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Frame, Instance, Native, condition_of
from conv_lint.interpreter.sequences import is_part
from conv_lint.values import Choice, Condition, Tensor, Value, any_shape

#: A layer, and the condition under which it is there.
Item = tuple[Value, Condition | None]


def run(machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments) -> Value:
    """What a Sequential makes of its input."""
    from conv_lint.interpreter.modules import step_of

    if module.open and module.open != ONLY_SOMETIMES:
        machine.unknown(module.open, frame, node)
        return Tensor(any_shape(module.open), step_of(machine, frame, node, module, arguments))
    if not arguments.args:
        return machine.unknown("a Sequential is called without an input", frame, node)
    given = len(arguments.args)
    if given > 1 and not arguments.open and isinstance(node, cst.Call) and faults.is_certain(machine, frame):
        problem = f"a Sequential takes 1 input but {given} are given"
        faults.report(machine, frame, node, catalogue.call_signature(layer=module.label, problem=problem))
    items = [
        (child, condition_of(module, name))
        for name, child in module.attrs.items()
        if not name.isidentifier() or is_part(machine.resolve(child))  # else an attribute of a subclass
    ]
    return _run_items(machine, frame, node, items, arguments.args[0])


def _run_items(machine: Machine, frame: Frame, node: cst.CSTNode | None, items: list[Item], value: Value) -> Value:
    """Layers under one condition run as a whole: what the first of them makes is what the next one is given."""

    def on_both_ways(asked: Condition, several: list[Item], given: Value) -> Value:
        either = Choice(asked, True, False)
        return machine.choose(frame, either, lambda _: _run_items(machine, frame, node, several, given))

    position = 0
    while position < len(items):
        child, only = items[position]
        asked = _undecided(machine, only)
        if asked is not None:
            several = _asking(asked, items[position:])
            value = on_both_ways(asked, several, value)
            position += len(several)
            continue
        position += 1
        child = machine.resolve(child if only is None else Choice(only, child, _SKIPPED))
        arity.check(machine, frame, node, child, Arguments([value]))
        value = call_value(machine, frame, node, child, [value], {})
    return value


def _asking(condition: Condition, items: list[Item]) -> list[Item]:
    """The layers at the beginning that hang on a condition."""
    return list(itertools.takewhile(lambda item: condition.key in _keys(item[1]), items))


_SKIPPED = Native("skipped", lambda c, x: x)


def _undecided(machine: Machine, only: Condition | None) -> Condition | None:
    """The first part of a condition that is not decided, if the whole is not."""
    if only is None or machine.known_truth(only) is not None:
        return None
    match only.key:
        case ("and" | "or", Condition() as one, Condition() as two):
            return _undecided(machine, one) or _undecided(machine, two)
    return only.inverse() if only.negated else only


def _keys(condition: Condition | None) -> Iterator[object]:
    """A condition and those of which it is made."""
    if condition is None:
        return
    yield condition.key
    match condition.key:
        case ("and" | "or", Condition() as one, Condition() as two):
            yield from _keys(one)
            yield from _keys(two)
