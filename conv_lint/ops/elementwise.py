"""Functions and operators of two or more tensors that are broadcast together.

Sizes are paired from the right; a size of 1 and a dimension that is missing stretch
(PyTorch notes, "Broadcasting semantics").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from conv_lint import catalogue, dims, maps
from conv_lint.dims import Dim, Expr, eq
from conv_lint.finding import Origin
from conv_lint.ops.operators import without_in_place
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Choice, Real, Rest, Shape, render_any

#: What the second operand is called, where a finding points.
SECOND = ("other", "exponent", "mask", "end", "tensor1", "values", "imag", "angle", "src")

# broadcasting -----------------------------------------------------------------------------------------------


def broadcast(op: Op, left: object, right: object) -> Shape:
    """The shape that two operands have together.  Numbers change nothing; sizes that do not fit are CONV205, and the
    left shape stands."""
    tensors = [operand for operand in (left, right) if _is_tensor(operand)]
    if not tensors:
        raise CannotTell("no tensor among the operands")
    first, second = tensors[0], tensors[-1]
    out, fault = fitted(op, first, second)
    if fault is not None:
        count = max(len(first.known), len(second.known))
        axis = fault.axis if first.rest or second.rest else fault.axis + count
        source = both_origins(op, (first, _within(first, fault.axis)), (second, _within(second, fault.axis)))
        facts = {"left": shown(first), "right": shown(second), "a": fault.a, "b": fault.b, "axis": axis}
        amiss = lacking(first, second) or _reordered(first, second)
        if amiss is not None:
            facts["fix"] = f"{amiss[1]} behind the one of {render_any(amiss[0])}"
        op.fail(catalogue.broadcast(**facts, source=source), next((n for n in SECOND if n in op.args), None))
    new = without_in_place(op.label)
    if new is None or fault is not None or not outgrows(first, out):
        return out
    fix = f"{new} instead of {op.label} makes a new tensor" if op.label != "copy_" else None
    op.fail(catalogue.in_place_sizes(held=shown(first), given=shown(out), source=op.origin(first), fix=fix))
    return first


def outgrows(held: Shape, result: Shape) -> bool:
    """Is a result surely larger than the tensor that it is to be written into?"""
    if held.rest is not None or result.rest is not None:
        return False
    if len(result) != len(held):
        return len(result) > len(held)
    return _is_pooled(held, result) or any(a == 1 and stretches(b) is False for a, b in zip(held, result))


def _is_pooled(held: Shape, result: Shape) -> bool:
    """Is the one a pixel, and the other an image: ``gate += x``?  Nobody pools an image of one pixel."""
    if len(held) < 4 or held[-2:] != (1, 1):
        return False
    return all(isinstance(size, Expr) and all(s.image for s in size.symbols) for size in result[-2:])


@dataclass(frozen=True)
class Mismatch:
    """Two sizes that do not fit, and their axis counted from the right."""

    a: Dim
    b: Dim
    axis: int


def fitted(op: Op, left: Shape, right: Shape) -> tuple[Shape, Mismatch | None]:
    """The shape that two tensors have together, or the left shape and the last sizes that do not fit."""
    left, right = _as_image(op, left, right), _as_image(op, right, left)
    chance = _fits_by_chance(left, right)
    if chance is not None:
        return Shape(tuple.__iter__(left), left.step), chance
    rest = _rest(left, right)
    residual = left.rest is right.rest and len(left.known) == len(right.known)
    sizes: list[Dim] = []
    for axis in range(-1, -max(len(left.known), len(right.known)) - 1, -1):
        a, b = _size(left, axis), _size(right, axis)
        if a is None or b is None:
            sizes.append(_alone(op, a, b))
            continue
        size = pair(op, a, b, residual)
        if size is None:
            return Shape(tuple.__iter__(left), left.step), Mismatch(a, b, axis)
        sizes.append(size)
    sizes.reverse()
    return Shape((rest, *sizes) if rest is not None else sizes, left.step), None  # type: ignore[arg-type]


def lacking(left: Shape, right: Shape) -> tuple[Shape, str] | None:
    """Of (N, C, H, W) and (N, C), (N,) or (C,): the one that lacks its last dimensions, and the index that gives
    them."""
    if left.rest is not None or right.rest is not None or len(left) == len(right):
        return None
    short, long = sorted((left, right), key=len)
    missing = len(long) - len(short)
    shared = [(one, other) for one, other in zip(short, long) if one != 1]
    if not shared:
        return None
    if all(eq(one, other) for one, other in shared):
        return short, f"[..., {', '.join(['None'] * missing)}]"
    if len(short) == 1 and missing > 1 and eq(short[0], long[1]):
        return short, f"[:, {', '.join(['None'] * (missing - 1))}]"
    return None


def _reordered(left: Shape, right: Shape) -> tuple[Shape, str] | None:
    """Of (N, L, E) and (L, 1, E), or (N, H, W, C) and (N, C, H, W): the one that has its dimensions in the other order,
    and what puts them right."""
    if left.rest is not None or right.rest is not None or len(left) != len(right):
        return None
    for held, other in sorted(((right, left), (left, right)), key=lambda pair: -pair[0].count(1)):
        order = _order(held, other)
        if order is not None:
            swapped = [axis for axis, source in enumerate(order) if axis != source]
            call = f"transpose({swapped[0]}, {swapped[1]})" if len(swapped) == 2 else f"permute{tuple(order)}"
            return held, f".{call}"
    return None


def _order(held: Shape, other: Shape) -> list[int] | None:
    """The axes of ``held`` in the order of ``other``; what is left over is stretched."""
    left = list(range(len(held)))
    order: list[int | None] = []
    for axis, size in enumerate(other):
        same = sorted((a for a in left if eq(held[a], size)), key=lambda a: a != axis)
        order.append(same[0] if same else None)
        left = [a for a in left if not same or a != same[0]]
    if any(source is None and size != 1 and held[left[0]] != 1 for source, size in zip(order, other)) or len(left) > 1:
        return None
    return [left[0] if source is None else source for source in order]


def _fits_by_chance(left: Shape, right: Shape) -> Mismatch | None:
    """The last sizes that do not fit of a map and what lacks its last dimensions, or has two in the other order, but
    for an image of a chance size.

    ``x * gate`` of (N, C, H, W) and (N, C) pairs the channels with the width, and ``x + y`` of (N, C, L) and (N, L, C)
    with the length.
    """
    if left.rest is not None or right.rest is not None:
        return None
    if len(left) == len(right):
        return _fits_as_square(left, right)
    lacked = lacking(left, right)
    if lacked is None:
        return None
    short, long = lacked[0], right if lacked[0] is left else left
    pairs = [(axis, short[axis], long[axis]) for axis in range(-1, -len(short) - 1, -1)]
    if any(one == 1 or other == 1 or eq(one, other) for _, one, other in pairs):
        return None
    # The batch comes last of the pairs, and may be of one.
    counted = pairs[:-1] if len(short) > 1 else pairs if isinstance(short[0], int) else []
    for axis, one, other in counted:
        if maps.is_extent(other) and not (isinstance(one, Expr) and one.symbols & other.symbols):
            return Mismatch(one, other, axis) if short is left else Mismatch(other, one, axis)
    return None


def _fits_as_square(left: Shape, right: Shape) -> Mismatch | None:
    """The last sizes that do not fit of two tensors of the same sizes, of which one has its channels where the other
    has a length."""
    odd = [axis for axis, (a, b) in enumerate(zip(left, right)) if a != b]
    if len(odd) < 2 or Counter(left) != Counter(right):
        return None
    for axis in reversed(odd):
        a, b = left[axis], right[axis]
        if any(maps.is_width(channels) and maps.is_extent(length) for channels, length in ((a, b), (b, a))):
            return Mismatch(a, b, axis - len(left))
    return None


def _as_image(op: Op, shape: Shape, other: Shape) -> Shape:
    """What is fed to a net and meets one number for each channel, ``(x - mean[:, None, None])``, has channels, a height
    and a width."""
    rest = shape.rest
    if rest is None or not rest.image or shape.known or other.rest is not None or len(other) not in (3, 4):
        return shape
    if tuple(other[-2:]) != (1, 1):
        return shape
    front: tuple[Any, ...] = (Rest(rest.reason, True), dims.unknown(1), rest.axis("H"), rest.axis("W"))
    op.world.settle(rest, front, False)
    return Shape(front, shape.step, shape.dtype)


def broadcast_all(op: Op, operands: Iterable[object]) -> Shape:
    """The shape that several operands have together."""
    first, *others = operands
    for other in others:
        first = broadcast(op, first, other)
    return broadcast(op, first, 0)


#: A kernel that takes so many pixels away may have the size of the whole map, and leaves 1, which is broadcast.
COVERS = 16


def pair(op: Op, a: Dim, b: Dim, residual: bool = False) -> Dim | None:
    """The size that two sizes have together; ``None`` if they do not fit.

    ``residual``: the shapes have one rank, as in a residual addition, where sizes that cannot be compared are taken
    as equal unless one of them may be 1.
    """
    if isinstance(a, int) and a == 1:
        return b
    same = eq(a, b)
    if same or (isinstance(b, int) and b == 1):
        return a
    if isinstance(a, int) or isinstance(b, int):
        if same is False and stretches(a) is False and stretches(b) is False:
            return None
        if same is None and stretches(a) is False and stretches(b) is False:
            op.fixes_batch(a, b)
        return a if isinstance(a, int) else b
    apart = a - b
    if same is False and isinstance(apart, int) and abs(apart) >= COVERS:
        return _undecided(op, a, b, residual)
    if same is False and (isinstance(apart, int) or (stretches(a) is False and stretches(b) is False)):
        return None
    if maps.differ_on_maps(a, b):
        return None
    return _undecided(op, a, b, residual)


def _undecided(op: Op, a: Expr, b: Expr, residual: bool) -> Dim:
    if residual and stretches(a) is False and stretches(b) is False:
        op.equate(a, b)
        return b if is_lone(a) else a
    if is_lone(a) != is_lone(b):
        return b if is_lone(a) else a
    return a if a.symbols == b.symbols else op.unknown(0)


def stretches(size: Dim) -> bool | None:
    """May the size be 1 and so fit any other?"""
    if isinstance(size, int):
        return size == 1
    least = dims.low(size)
    return False if least is not None and least >= 2 else None


def is_lone(size: Dim) -> bool:
    """Is this a mere ``?``, a number of which nothing is known?"""
    if not isinstance(size, Expr) or len(size.terms) != 1 or len(size.terms[0][0]) != 1:
        return False
    return any(not symbol.given for symbol in size.symbols)


def _alone(op: Op, a: Dim | None, b: Dim | None) -> Dim:
    """The size where one of the shapes may or may not have the dimension: what is no 1 stays."""
    size = a if a is not None else b
    assert size is not None
    return op.unknown(0) if size == 1 or is_lone(size) else size


def _size(shape: Shape, axis: int) -> Dim | None:
    """The size at an axis from the right: 1 where a dimension is missing, ``None`` where it is not known."""
    if -axis <= len(shape.known):
        return shape.known[axis]
    return 1 if shape.rest is None else None


def _rest(left: Shape, right: Shape) -> Rest | None:
    """What stands first in the result: nothing where both ranks are known, the unknown part that both share."""
    if left.rest is None and right.rest is None:
        return None
    if left.rest is right.rest and len(left.known) == len(right.known):
        return left.rest
    if right.rest is None and len(right.known) <= len(left.known):
        return left.rest
    if left.rest is None and len(left.known) <= len(right.known):
        return right.rest
    if not right.known and right.rest is None:
        return left.rest
    if not left.known and left.rest is None:
        return right.rest
    return Rest("the number of dimensions")


def _is_tensor(operand: object) -> TypeGuard[Shape]:
    """A tensor, rather than a number.  What is not known may be a tensor of any shape."""
    if isinstance(operand, Shape):
        return True
    if isinstance(operand, (int, float, complex, Expr, Choice)) or (isinstance(operand, Real) and operand.is_number):
        return False
    raise CannotTell("an operand that is not known")


def _within(shape: Shape, axis: int) -> int | None:
    return axis if -axis <= len(shape.known) else None


@dataclass(frozen=True)
class Origins(Origin):
    """Where two numbers come from: ``conv1, line 3 and conv2, line 5``."""

    second: Origin | None = None

    def __str__(self) -> str:
        return f"{self._first} and {self.second}"

    def seen_from(self, path: str) -> str:
        second = self.second.seen_from(path) if self.second is not None else ""
        return f"{self._first.seen_from(path)} and {second}"

    @property
    def _first(self) -> Origin:
        return Origin(self.label, self.place, self.step)


def both_origins(op: Op, left: tuple[Shape, int | None], right: tuple[Shape, int | None]) -> Origin | None:
    """Who made the sizes (of a shape at an axis) that disagree, as far as it is known."""
    first, second = op.origin(*left), op.origin(*right)
    if first is None or second is None or str(first) == str(second):
        return first or second
    return Origins(first.label, first.place, first.step, second)


def shown(shape: Shape) -> object:
    """A shape as a fact of a message."""
    return tuple(shape) if shape.rest is None else render_any(shape)


# kinds of numbers -------------------------------------------------------------------------------------------

_ORDER = ("bool", "int", "float", "complex")


def kind(operands: Iterable[object]) -> str | None:
    """The kind of number of a result of these operands; ``None`` if one is not known."""
    kinds = [_kind_of(operand) for operand in operands]
    known = [k for k in kinds if k is not None]
    if "complex" in known or "float" in known:
        return "complex" if "complex" in known else "float"
    return max(known, key=_ORDER.index) if known and len(known) == len(kinds) else None


def _kind_of(operand: object) -> str | None:
    if isinstance(operand, Shape):
        return operand.dtype
    if isinstance(operand, bool):
        return "bool"
    if isinstance(operand, complex):
        return "complex"
    return "int" if isinstance(operand, (int, Expr)) else "float" if isinstance(operand, (float, Real)) else None


# functions of two tensors -----------------------------------------------------------------------------------


def _rows(names: str, signature: str = "(input, other, *, out=None)") -> Iterable[str]:
    for name in names.split():
        yield f"torch.{name}{signature}"
        yield f"Tensor.{name}{signature.replace(', *, out=None', '').replace(', out=None', '')}"


def _operators(names: str) -> Iterable[str]:
    return (f"Tensor.__{name}__(input, other)" for name in names.split())


@shape_rule(
    *_rows("add sub subtract", "(input, other, *, alpha=1, out=None)"),
    *_rows("mul multiply floor_divide remainder fmod maximum minimum fmax fmin gcd lcm"),
    *_rows("bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift"),
    "torch.rsub(input, other, *, alpha=1)",
    *_operators("add sub mul floordiv mod and or xor lshift rshift"),
)
def binary(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    op.dtype = kind((input, other))
    return broadcast(op, input, other)


@shape_rule("Tensor.copy_(input, src, non_blocking=False)")
def copy(op: Op, input: Shape, src: Shape) -> Result:
    """(\\*), which stays, and (\\*) that broadcasts to it."""
    op.dtype = input.dtype
    broadcast(op, input, src)
    return input


@shape_rule(*_operators("radd rsub rmul rfloordiv rmod rand ror rxor rlshift rrshift"))
def reflected(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to; ``other`` stands on the left."""
    op.dtype = kind((input, other))
    return broadcast(op, other, input)


@shape_rule(
    *_rows("div divide", "(input, other, *, rounding_mode=None, out=None)"),
)
def divide(op: Op, input: Arg, other: Arg, rounding_mode: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to; floats unless rounded."""
    op.dtype = "float" if rounding_mode is None else kind((input, other))
    return broadcast(op, input, other)


@shape_rule(
    *_rows("true_divide atan2 arctan2 hypot xlogy copysign nextafter logaddexp logaddexp2 ldexp"),
    *_operators("truediv"),
    "torch.special.xlogy(input, other, *, out=None)",
    "torch.special.xlog1py(input, other, *, out=None)",
    "torch.special.zeta(input, other, *, out=None)",
)
def binary_float(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to, of floats."""
    op.dtype = "float"
    return broadcast(op, input, other)


@shape_rule(*_operators("rtruediv"))
def reflected_float(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to, of floats; ``other`` stands on the left."""
    op.dtype = "float"
    return broadcast(op, other, input)


@shape_rule("torch.complex(real, imag, *, out=None)")
def complex_(op: Op, real: Shape, imag: Shape) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    return broadcast(op, real, imag)


@shape_rule("torch.polar(abs, angle, *, out=None)")
def polar(op: Op, abs: Shape, angle: Shape) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    return broadcast(op, abs, angle)


@shape_rule(*_rows("heaviside", "(input, values, *, out=None)"))
def heaviside(op: Op, input: Shape, values: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    op.dtype = input.dtype
    return broadcast(op, input, values)


@shape_rule(*_rows("pow float_power", "(input, exponent, *, out=None)"))
def power(op: Op, input: Arg, exponent: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    op.dtype = "float" if op.name.endswith("float_power") else kind((input, exponent))
    return broadcast(op, input, exponent)


@shape_rule("Tensor.__pow__(input, other)")
def power_operator(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to."""
    op.dtype = kind((input, other))
    return broadcast(op, input, other)


@shape_rule("Tensor.__rpow__(input, other)")
def reflected_power(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to; ``other`` stands on the left."""
    op.dtype = kind((input, other))
    return broadcast(op, other, input)


@shape_rule(
    *_rows("eq ne not_equal lt less le less_equal gt greater ge greater_equal"),
    *_rows("logical_and logical_or logical_xor"),
    *_rows("isclose", "(input, other, rtol=1e-05, atol=1e-08, equal_nan=False)"),
    *_operators("eq ne lt le gt ge"),
)
def comparison(op: Op, input: Arg, other: Arg) -> Result:
    """(\\*) and (\\*) to what they broadcast to, of truth values."""
    op.dtype = "bool"
    return broadcast(op, input, other)


@shape_rule("Tensor.__neg__(input)", "Tensor.__pos__(input)", "Tensor.__abs__(input)", "Tensor.__invert__(input)")
def unary_operator(op: Op, input: Shape) -> Result:
    """(\\*) to the same."""
    return input


# functions of three tensors ---------------------------------------------------------------------------------


@shape_rule(*_rows("lerp", "(input, end, weight, *, out=None)"))
def lerp(op: Op, input: Shape, end: Arg, weight: Arg) -> Result:
    """(\\*), (\\*) and (\\*) or a number to what they broadcast to."""
    op.dtype = "float"
    return broadcast_all(op, (input, end, weight))


@shape_rule(*_rows("addcmul addcdiv", "(input, tensor1, tensor2, *, value=1, out=None)"))
def addc(op: Op, input: Shape, tensor1: Arg, tensor2: Arg) -> Result:
    """(\\*), (\\*) and (\\*) to what they broadcast to."""
    op.dtype = kind((input, tensor1, tensor2))
    return broadcast_all(op, (input, broadcast_all(op, (tensor1, tensor2))))


@shape_rule("torch.masked_fill(input, mask, value)", "Tensor.masked_fill(input, mask, value)")
def masked_fill(op: Op, input: Shape, mask: Arg) -> Result:
    """(\\*) and a mask (\\*) to what they broadcast to."""
    op.dtype = input.dtype
    return broadcast(op, input, mask)
