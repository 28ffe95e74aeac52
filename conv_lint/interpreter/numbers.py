"""Small tensors and arrays whose numbers are known: ``torch.linspace(0, 0.1, 12).tolist()``, the widths of a RegNet.

Python's own arithmetic on nested lists; only what configuration code computes.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conv_lint.values import List, Tensor, Value

#: A tensor of more numbers is data, not configuration.
MAX_NUMBERS = 4096
Numbers = Any  # a number, or a nested list of them


def numbers_of(value: Value) -> Numbers:
    """The numbers of a value; ``None`` if any is not known."""
    if isinstance(value, Tensor):
        return value.numbers
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (List, tuple)):
        items = value.items if isinstance(value, List) else list(value)
        if isinstance(value, List) and value.open:
            return None
        inner = [numbers_of(i) for i in items]
        return None if any(i is None for i in inner) else inner
    return None


def to_value(numbers: Numbers) -> Value:
    """Nested lists of numbers as the list that ``tolist()`` gives."""
    return List([to_value(n) for n in numbers]) if isinstance(numbers, list) else numbers


def compute(name: str, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Numbers:
    """The numbers of the result of a function or method of torch; ``None`` if they are not known."""
    last = name.rpartition(".")[2].strip("_")
    function = FUNCTIONS.get(last)
    if function is None or not set(kwargs) <= {"dtype", "device", "steps", "start", "end", "rounding_mode"}:
        return None
    given = [numbers_of(a) for a in args] + [numbers_of(kwargs[k]) for k in ("start", "end", "steps") if k in kwargs]
    if any(g is None for g in given) or kwargs.get("rounding_mode") is not None:
        return None
    try:
        out = function(*given)
    except (TypeError, ValueError, ArithmeticError, IndexError):
        return None
    return out if _count(out) <= MAX_NUMBERS else None


def pieces(name: str, whole: Numbers, parts: Sequence[Value]) -> None:
    """Note the numbers of the parts of a row of numbers that was cut: ``linspace(...).split(depths)``."""
    if name.rpartition(".")[2] not in _CUT or not isinstance(whole, list):
        return
    cut = [(p, p.shape[0]) for p in parts if isinstance(p, Tensor) and len(p.shape) == 1]
    known = [(part, length) for part, length in cut if isinstance(length, int)]
    if len(known) != len(parts) or sum(length for _, length in known) != len(whole):
        return
    rest = iter(whole)
    for part, length in known:
        part.numbers = list(itertools.islice(rest, length))


_CUT = ("split", "chunk", "tensor_split", "split_with_sizes", "array_split")


def _count(numbers: Numbers) -> int:
    return sum(_count(n) for n in numbers) if isinstance(numbers, list) else 1


def _each(function: Callable[[Any], Any]) -> Callable[..., Numbers]:
    """A function of one number on every number."""

    def apply(numbers: Numbers) -> Numbers:
        return [apply(n) for n in numbers] if isinstance(numbers, list) else function(numbers)

    return apply


def _pairs(function: Callable[[Any, Any], Any]) -> Callable[..., Numbers]:
    """A function of two numbers with a scalar, or position by position."""

    def apply(left: Numbers, right: Numbers) -> Numbers:
        if isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                raise ValueError("broadcast")
            return [apply(a, b) for a, b in zip(left, right)]
        if isinstance(left, list):
            return [apply(a, right) for a in left]
        return [apply(left, b) for b in right] if isinstance(right, list) else function(left, right)

    return apply


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[..., Numbers]:
    return _pairs(lambda a, b: function(b, a))


def linspace(start: float, end: float, steps: int = 50) -> list[float]:
    """``steps`` numbers from ``start`` to ``end``, both included."""
    if not 0 <= steps <= MAX_NUMBERS:
        raise ValueError("too many")
    return [start + (end - start) * i / max(steps - 1, 1) for i in range(steps)]


def arange(*bounds: float) -> list[float]:
    """Numbers from a start (0) up to an end, by a step (1)."""
    start, end, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    count = max(0, math.ceil((end - start) / step))
    if count > MAX_NUMBERS:
        raise ValueError("too many")
    return [start + step * i for i in range(count)]


def _flat(numbers: Numbers) -> list[float]:
    return [n for part in numbers for n in _flat(part)] if isinstance(numbers, list) else [numbers]


def _differences(numbers: list[Any]) -> list[Any]:
    return [b - a for a, b in itertools.pairwise(numbers)]


def _stacked(rows: list[Numbers], dim: int = 0) -> Numbers:
    if dim != 0:
        raise ValueError("another dimension")
    return rows


def _joined(rows: list[Numbers], dim: int = 0) -> Numbers:
    return [number for row in _stacked(rows, dim) for number in row]


def _turned(rows: Numbers) -> Numbers:
    """The columns of rows; a vector is its own (torch.t)."""
    is_matrix = bool(rows) and all(isinstance(row, list) for row in rows)
    return list(map(list, zip(*rows))) if is_matrix else rows


FUNCTIONS: dict[str, Callable[..., Numbers]] = {
    "add": _pairs(operator.add), "radd": _pairs(operator.add),
    "sub": _pairs(operator.sub), "rsub": _swapped(operator.sub),
    "mul": _pairs(operator.mul), "rmul": _pairs(operator.mul), "multiply": _pairs(operator.mul),
    "truediv": _pairs(operator.truediv), "rtruediv": _swapped(operator.truediv),
    "div": _pairs(operator.truediv), "divide": _pairs(operator.truediv),
    "floordiv": _pairs(operator.floordiv), "mod": _pairs(operator.mod),
    "pow": _pairs(operator.pow), "rpow": _swapped(operator.pow),
    "round": _each(round), "floor": _each(math.floor), "ceil": _each(math.ceil), "log": _each(math.log),
    "log2": _each(math.log2), "exp": _each(math.exp), "sqrt": _each(math.sqrt), "abs": _each(abs),
    "neg": _each(operator.neg),
    "lt": _pairs(operator.lt), "le": _pairs(operator.le), "gt": _pairs(operator.gt), "ge": _pairs(operator.ge),
    "eq": _pairs(operator.eq), "ne": _pairs(operator.ne),
    "int": _each(int), "long": _each(int), "float": _each(float), "double": _each(float),
    "clone": _each(lambda n: n), "detach": _each(lambda n: n), "cpu": _each(lambda n: n), "numpy": _each(lambda n: n),
    "linspace": linspace, "arange": arange, "tensor": _each(lambda n: n), "array": _each(lambda n: n),
    "as_tensor": _each(lambda n: n), "diff": _differences, "cumsum": lambda n, dim=0: list(itertools.accumulate(n)),
    "amax": lambda n: max(_flat(n)), "amin": lambda n: min(_flat(n)),
    "max": lambda n: max(_flat(n)), "min": lambda n: min(_flat(n)),
    "stack": _stacked, "cat": _joined, "concat": _joined, "concatenate": _joined, "t": _turned, "T": _turned,
    "flatten": _flat, "ravel": _flat, "copy": _each(lambda n: n),
    "sum": lambda n, *_: sum(n), "prod": lambda n, *_: math.prod(n),
}  # fmt: skip
