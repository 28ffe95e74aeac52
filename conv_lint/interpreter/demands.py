"""What a model demands of the height and width of its input.

While a model runs on symbols, every rule that is asked about a size that depends on the input is written down, and so
is every condition on sizes whose other side raises.  Afterwards the same rules are asked again with numbers in place
of the symbols: an input is accepted if none of them objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conv_lint import dims
from conv_lint.dims import Dim, Expr, Symbol
from conv_lint.interpreter.machine import Machine
from conv_lint.ops.rule import Op, run
from conv_lint.ops.world import Recorder
from conv_lint.values import CannotTell, Condition, Shape, Tensor, Unknown

#: Sizes up to this one are tried.
LARGEST = 300
#: Torch takes these without a word.
ACCEPTED = frozenset({"CONV301", "CONV302", "CONV407"})
#: The batch that is tried: a batch of one would hide faults of the batch.
BATCH = 2


@dataclass
class Asked:
    """A rule that was asked, with the arguments of the call."""

    rule: Callable[..., Any]
    op: Op
    values: dict[str, Any]


@dataclass
class Demands:
    """What one model was seen to ask of its input."""

    name: str
    line: int
    input: Tensor
    shape: Shape | None = None
    asked: list[Asked] = field(default_factory=list)
    required: list[tuple[Condition, bool]] = field(default_factory=list)
    failed: bool = False

    def settle(self, machine: Machine) -> None:
        """Fill in what is known now that the model has run; the symbols that are left are those of the input."""
        self.shape = machine.shape(self.input.shape)
        seen: dict[str, Asked] = {}
        any_size: dict[Symbol, Dim] = {s: dims.symbol(name) for name, s in self.axes.items()}
        for asked in self.asked:
            asked.values = {name: _filled(machine, value) for name, value in asked.values.items()}
            if any(s.image for value in asked.values.values() for s in _symbols(value)):
                seen.setdefault(f"{id(asked.rule)} {asked.values!r}", asked)
        self.asked = [asked for asked in seen.values() if _depends(asked, any_size)]

    @property
    def axes(self) -> dict[str, Symbol]:
        """The sizes of the input that may vary, by their names: ``H`` and ``W``."""
        if self.shape is None or self.shape.rest is not None:
            return {}
        return {s.name: s for d in self.shape if isinstance(d, Expr) for s in d.symbols if s.image}

    def accepts(self, sizes: Mapping[str, int]) -> bool:
        """Does no rule object to an input of these sizes (``{"H": 224, "W": 224}``)?"""
        known: dict[Symbol, Dim] = {symbol: sizes[name] for name, symbol in self.axes.items()}
        assert self.shape is not None
        for dim in self.shape:
            if isinstance(dim, Expr):
                known.update({s: BATCH for s in dim.symbols if s.given and not s.image})
        return all(_holds(c, truth, known) for c, truth in self.required) and all(_passes(a, known) for a in self.asked)


def _filled(machine: Machine, value: Any) -> Any:
    if isinstance(value, Shape):
        return machine.shape(value)
    if isinstance(value, Expr):
        return machine.size(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(machine, v) for v in value)
    return value


def _symbols(value: Any) -> Iterable[Symbol]:
    if isinstance(value, Expr):
        yield from value.symbols
    elif isinstance(value, (list, tuple)):
        for part in tuple.__iter__(value) if isinstance(value, Shape) else value:
            yield from _symbols(part)


def _at(value: Any, known: Mapping[Symbol, Dim]) -> Any:
    """A value with numbers for the symbols."""
    if isinstance(value, Shape):
        return Shape(tuple(_at(d, known) for d in tuple.__iter__(value)), value.step, value.dtype)
    if isinstance(value, Expr):
        return dims.substitute(value, known)
    if isinstance(value, (list, tuple)):
        return type(value)(_at(v, known) for v in value)
    return value


def _depends(asked: Asked, known: Mapping[Symbol, Dim]) -> bool:
    """May the rule object to some sizes: does a comparison hang on them, or does it object already?"""
    before = dims.undecided[0]
    return not _passes(asked, known) or dims.undecided[0] != before


def _passes(asked: Asked, known: Mapping[Symbol, Dim]) -> bool:
    world = Recorder()
    op = Op(asked.op.name, asked.op.n, asked.op.label, {k: _at(v, known) for k, v in asked.op.args.items()}, world)
    op.training = False
    try:
        result = run(asked.rule, op, {k: _at(v, known) for k, v in asked.values.items()})
    except (CannotTell, TypeError, ValueError, AttributeError, ArithmeticError, LookupError):
        result = None
    if any(report.rule.code not in ACCEPTED for report in world.reports):
        return False
    return not (isinstance(result, Shape) and any(isinstance(d, int) and d < 0 for d in tuple.__iter__(result)))


def _holds(condition: Condition, truth: bool, known: Mapping[Symbol, Dim]) -> bool:
    answer = _truth(condition, known)
    return answer is None or answer == truth


def _truth(condition: object, known: Mapping[Symbol, Dim]) -> bool | None:
    if isinstance(condition, bool):
        return condition
    if not isinstance(condition, Condition) or not isinstance(condition.key, tuple):
        return None
    kind, *parts = condition.key
    answer: bool | None = None
    if kind in ("size==", "size<="):
        a, b = (_at(part.size() if isinstance(part, Unknown) else part, known) for part in parts)
        answer = dims.eq(a, b) if kind == "size==" else dims.le(a, b)
    elif kind in ("and", "or"):
        one, two = (_truth(part, known) for part in parts)
        decisive = kind == "or"
        answer = decisive if decisive in (one, two) else None if None in (one, two) else not decisive
    return None if answer is None else answer != condition.negated


# the set of accepted sizes, in words -------------------------------------------------------------------------


@dataclass(frozen=True)
class Accepted:
    """The sizes from 1 to :data:`LARGEST` that a model accepts, the other sizes being large enough."""

    sizes: tuple[int, ...]

    def __str__(self) -> str:
        sizes = self.sizes
        if not sizes:
            return f"no size up to {LARGEST}"
        first = sizes[0]
        if sizes == tuple(range(first, LARGEST + 1)):
            return f"at least {first}"
        if len(sizes) == 1:
            return f"exactly {first}"
        step = sizes[1] - first
        if len(sizes) > 2 and sizes == tuple(range(first, LARGEST + 1, step)):
            if first % step == 0:
                return f"a multiple of {step}" + (f", at least {first}" if first > step else "")
            return f"{first} and every {step} more"
        return _runs(sizes)


def _runs(sizes: Sequence[int]) -> str:
    """``17 to 24, 41 to 48, ...``"""
    runs: list[list[int]] = []
    for size in sizes:
        if runs and size == runs[-1][1] + 1:
            runs[-1][1] = size
        else:
            runs.append([size, size])
    words = [str(a) if a == b else f"at least {a}" if b == LARGEST else f"{a} to {b}" for a, b in runs]
    return ", ".join(words[:4]) + (", ..." if len(words) > 4 else "")


def accepted(demands: Demands) -> tuple[tuple[int, ...], dict[str, Accepted]]:
    """The accepted sizes of a square input, and those of each axis; of all axes together where they are the same."""
    axes = list(demands.axes)
    if not axes:
        return (), {}
    alike = tuple(n for n in range(1, LARGEST + 1) if demands.accepts(dict.fromkeys(axes, n)))
    together = {" and ".join(axes): Accepted(alike)}
    if len(axes) < 2 or not alike:
        return alike, together
    roomy = alike[-1]
    apart: dict[str, Accepted] = {}
    for axis in axes:
        sizes = dict.fromkeys(axes, roomy)
        apart[axis] = Accepted(tuple(n for n in range(1, LARGEST + 1) if demands.accepts({**sizes, axis: n})))
    return alike, together if {a.sizes for a in apart.values()} == {alike} else apart
