"""Counts that nobody gives.

A class that the checker makes up has arguments of which nothing is known.  A loop whose number of rounds hangs on one
of them is supposed to run so many times, :attr:`Machine.rounds`, and a list that is given is supposed to have so many
items.  What is found then holds only if it is found for each of :data:`ROUNDS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import dropwhile, takewhile
from typing import Any, TypeGuard

import libcst as cst

from conv_lint import dims
from conv_lint.dims import Dim, Expr
from conv_lint.finding import Report
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Instance
from conv_lint.values import Choice, Condition, External, List, Real, Shape, Unknown, Value

#: The first is tried; the others where something was found with it.
ROUNDS = (2, 3, 4)
#: An argument is supposed to be at most so large.
LARGEST = 200


def count(machine: Machine, size: Value) -> Value:
    """A number of rounds: the supposed one, if the number hangs on an argument alone."""
    size = machine.resolve(size)
    if machine.rounds is None or not isinstance(size, (Expr, Unknown)):
        return size
    if isinstance(size, Unknown):
        if type(size) is not Unknown or size.name == "?":
            return size
        size = size.size()
    return _fixed(machine, machine.size(size), machine.rounds)


def _fixed(machine: Machine, found: Dim, wanted: int) -> Dim:
    """A size that hangs on arguments alone, supposed to be ``wanted``; else as it is."""
    if not isinstance(found, Expr) or not all(s.is_parameter for s in found.symbols):
        return found
    symbol = max(found.symbols, key=lambda s: s.serial)

    def misses(value: int) -> bool:
        return dims.substitute(found, {symbol: value}) != wanted

    fitting = list(takewhile(lambda value: not misses(value), dropwhile(misses, range(LARGEST))))
    if fitting:
        _suppose(machine, kinds=False)
        # ``n // 2`` rounds: an odd number in one of the runs, even ones in the others.
        machine.fix(symbol, fitting[-1 if machine.rounds == ROUNDS[1] else 0])
    return machine.size(found)


def kind(machine: Machine, items: Mapping[Any, Value] | Sequence[Value], index: Value) -> Value:
    """The key of one of several classes, lists, ``{"basic": Basic, "wide": Wide}[name]``, ``{18: [2], 34: [3]}[n]`` or
    ``(nn.Conv2d, nn.Conv3d)[n]``, where it hangs on an argument: another one in each run."""
    if machine.rounds is None or not (isinstance(index, Expr) or is_argument(index)):
        return index
    pairs = list(items.items() if isinstance(items, Mapping) else enumerate(items))
    picked = _picked(machine.rounds, [value for _, value in pairs])
    if picked is None:
        return index
    key = pairs[picked][0]
    if isinstance(key, int):
        # Only now: whatever was asked for its size counts as a number from then on.
        return _fixed(machine, machine.size(index.size() if isinstance(index, Unknown) else index), key)
    if isinstance(key, str) and isinstance(index, Unknown):
        _suppose(machine)
        machine.assume(Condition(("==", index, key), f"{index.name} is {key}"), True)
        return key
    return index


def layer(machine: Machine, choice: Choice) -> Value | None:
    """One of several classes, ``Basic if depth < 50 else Bottleneck`` or ``nn.Conv2d if dim == 2 else nn.Conv3d``, or
    of layers: as :func:`kind` does it."""
    found = _alternatives(choice)
    picked = _picked(machine.rounds, found) if machine.rounds is not None else None
    if picked is None:
        return None
    value: Value = choice
    while isinstance(value, Choice):
        is_there = any(v is found[picked] for v in _alternatives(value.then))
        machine.assume(value.condition, is_there)
        value = value.then if is_there else value.other
    _suppose(machine)
    return machine.resolve(value)


#: The names of layers that exist for several numbers of dimensions, up to that number.
_DIMENSIONAL = re.compile(r"(?:^|\.)(?:Lazy)?(?:Conv|ConvTranspose|\w+Pool|\w+Norm|\w+Pad|Dropout|Unpool)$")


def dimensions(machine: Machine, value: Value, before: str, behind: Sequence[cst.CSTNode]) -> Value:
    """The number in ``getattr(nn, f"Conv{dim}d")``: images in every other run, volumes in the others."""
    following = behind[0] if behind else None
    is_name = isinstance(following, cst.FormattedStringText) and following.value.startswith("d")
    if machine.rounds is None or not is_name or not _DIMENSIONAL.search(before):
        return value
    size = _size(machine, value)
    return _fixed(machine, size, 2 + machine.rounds % 2) if size is not None else value


def _picked(rounds: int, values: Sequence[Value]) -> int | None:
    """Which of several classes of the checked code a run takes, of several lists (``CFG["vgg16"]``), or of layers that
    differ in their dimensions: those for images in every other run, those for volumes in the others."""
    if values and all(isinstance(v, tuple) or (isinstance(v, List) and not v.open) for v in values):
        return rounds % len(values)
    if all(isinstance(value, Class) and value.is_module for value in values):
        return rounds % len(values) if len({id(value) for value in values}) > 1 else None
    names = [_layer_name(value) for value in values]
    kinds = {re.sub(r"[123]d$", "", name) for name in names}
    if len(kinds) != 1 or len(set(names)) < 2 or not names[0].startswith("torch.nn."):
        return None
    wanted = "2d" if rounds % 2 == 0 else "3d"
    return next((i for i, name in enumerate(names) if name.endswith(wanted)), rounds % len(names))


def number(machine: Machine, condition: Condition) -> None:
    """Behind ``if scale == 2 or scale == 3:`` an argument has one of the two values: another one in each run."""
    if machine.rounds is None or condition.negated or not _are_equations(condition):
        return
    match condition.key:
        case ("or", Condition() as one, Condition() as two):
            _suppose(machine)
            taken = (one, two)[machine.rounds % 2]
            machine.assume(taken, True)
            number(machine, taken)


def _are_equations(condition: Condition) -> bool:
    """Does a condition say which number, or which name, an argument is?"""
    match condition.key:
        case ("size==", int() | Expr() as one, int() | Expr() as two):
            asked = dims.symbols(one) | dims.symbols(two)
            return not condition.negated and bool(asked) and all(s.is_parameter for s in asked)
        case ("==", one, _):
            return not condition.negated and is_argument(one)
        case ("or", Condition() as one, Condition() as two):
            return not condition.negated and _are_equations(one) and _are_equations(two)
    return False


def _alternatives(value: Value) -> list[Value]:
    if isinstance(value, Choice):
        return [*_alternatives(value.then), *_alternatives(value.other)]
    return [value]


def _layer_name(value: Value) -> str:
    return value.name if isinstance(value, External) else value.torch_name if isinstance(value, Instance) else ""


def whole(machine: Machine, value: Real) -> Value | None:
    """The whole number that is made of one with a point that hangs on arguments alone, ``int(math.log2(scale))``: one
    that nobody gives either, the same each time."""
    sizes = [size for size in value.of if isinstance(size, Expr)]
    plain = all(isinstance(size, (int, float, Expr)) for size in value.of)
    if machine.rounds is None or not sizes or not plain or value.text == value.UNREADABLE:
        return None
    if not all(s.is_parameter for size in sizes for s in dims.symbols(machine.size(size))):
        return None
    key = value.text, value.of
    if key not in machine.wholes:
        machine.wholes[key] = dims.symbol(f"int({value.text})", None)
    return machine.wholes[key]


def bounds(machine: Machine, given: tuple[Value, ...]) -> tuple[Value, ...]:
    """The bounds of a ``range``."""
    if machine.rounds is None or not 1 <= len(given) <= 3:
        return given
    start, stop, step = (0, given[0], 1) if len(given) == 1 else (*given, 1)[:3]
    sizes = [_size(machine, value) for value in (start, stop, step)]
    first, last, by = sizes
    if first is None or last is None or by not in (1, -1):  # ``range(0, width, 2)`` counts no blocks
        return given
    count(machine, last - first if by == 1 else first - last)
    return tuple(machine.resolve(v.size() if type(v) is Unknown else v) for v in given)


def _size(machine: Machine, value: Value) -> Dim | None:
    value = machine.resolve(value)
    if is_argument(value):
        return machine.size(value.size())
    return value if isinstance(value, (int, Expr)) else None


def items(machine: Machine, value: Value) -> Value:
    """An argument that is iterated, or of which a part is taken: a list of one item more than there are rounds, for
    most lists of widths are walked in pairs, ``zip(widths[:-1], widths[1:])``."""
    value = machine.resolve(value)
    if machine.rounds is None or not is_argument(value):
        return value
    unknown: Unknown = value
    kind = _INDEX.sub("[]", unknown.name)
    given = machine.given_lists.get(kind, machine.given_lists.get(ALL_LISTS))
    count = machine.lists[kind] = given if given is not None else machine.rounds + 1
    made: list[Value] = []
    known: dict[Unknown, Value] = {}
    for index in range(count):
        from_end = unknown.parts.get(("item", index - count))
        item = _item(unknown, index, index - count if index == count - 1 else index)
        if isinstance(from_end, Unknown):  # ``widths[-1]`` was read before
            known[from_end] = item
        made.append(item)
    _suppose(machine)
    machine.journal.touch(machine.facts)
    machine.facts.values = {**machine.facts.values, **known, unknown: List(made)}
    return machine.resolve(unknown)


#: What stands for the lists that have no number of items of their own.
ALL_LISTS = "*"
#: The place of an item in a list of a supposed length: what is said of one such list is said of all.
_INDEX = re.compile(r"\[-?\d+\]")


def hangs_on_count(told: Sequence[Report]) -> bool:
    """Do the reports of one fault, a run each, show that another number of items would fit?

    ``torch.zeros(1, c, *[s // 2 for s in size])`` has as many dimensions as ``size`` has items; ``c`` times as many
    channels as there are branches are the two that the next layer takes, if there are two.
    """
    if any(len({_lengths(report, name) for report in told}) > 1 for name in told[0].facts):
        return True
    misses = [_miss(report) for report in told]
    if len(misses) < 2 or None in misses or misses[0] == misses[1]:
        return False
    two, three = misses[:2]
    assert two is not None
    assert three is not None
    return 0 in (2 * two - three, 3 * two - 2 * three)  # with one round, with none


def _lengths(report: Report, name: str) -> object:
    """How many dimensions, or items, a fact speaks of."""
    fact = report.facts.get(name)  # not every report of a rule has all that another one tells
    if isinstance(fact, (Shape, tuple)):
        return tuple.__len__(fact)
    if report.rule.code in OF_ITEMS:
        return fact if isinstance(fact, int) else None
    counts = _COUNT.findall(fact) if isinstance(fact, str) else []
    return tuple(counts) if counts else None


#: The faults that count items: so many numbers, so many values for so many names.
OF_ITEMS = frozenset({"CONV104", "CONV406"})
#: ``3 shifts``, ``names 3 dimensions``: counts of items in the words of a report.
_COUNT = re.compile(r"\b\d+(?= (?:shifts|dimensions|numbers|names|values|pieces)\b)")


def _miss(report: Report) -> int | None:
    """By how much what is given misses what is taken, each argument taken for the same number."""
    takes, given = (report.facts.get(name) for name in ("takes", "given"))
    if not isinstance(takes, (int, Expr)) or not isinstance(given, (int, Expr)):
        return None
    missed = given - takes
    left = dims.substitute(missed, dict.fromkeys(dims.symbols(missed), _ANY)) if isinstance(missed, Expr) else missed
    return left if isinstance(left, int) else None


#: The number that stands for every argument: a prime, so that no other is a multiple of it by chance.
_ANY = 97


def is_argument(value: Value) -> TypeGuard[Unknown]:
    """Is it an argument that nobody gives, or a part of one?"""
    return type(value) is Unknown and value.name != "?"


def _item(value: Unknown, index: int, shown: int) -> Value:
    return value.part(("item", index), lambda: Unknown(value.reason, f"{value.name}[{shown}]"))


def _suppose(machine: Machine, kinds: bool = True) -> None:
    machine.supposed = True
    machine.supposed_kinds |= kinds
    machine.journal.memory.forget()  # what is remembered must not hang on it
