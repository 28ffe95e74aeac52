"""Functions and methods of one tensor that keep its shape: elementwise mathematics, sorting, casts and copies."""

from __future__ import annotations

from collections.abc import Iterable

from conv_lint.ops.activation import along
from conv_lint.ops.elementwise import broadcast, kind
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import Apart, CannotTell, External, Shape, Unknown

# functions of one tensor ------------------------------------------------------------------------------------

#: The result has the input's kind of numbers.
KEEPING = (
    "abs absolute bitwise_not ceil clone conj conj_physical detach fix floor frac msort nan_to_num neg"
    " negative positive resolve_conj resolve_neg round sgn sign square trunc"
)
#: The result is of floats, also where the input is of ints.
FLOATING = (
    "acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh cos cosh deg2rad"
    " dequantize digamma erf erfc erfinv exp exp2 expm1 i0 lgamma log log10 log1p log2 logit rad2deg reciprocal"
    " rsqrt sigmoid sin sinc sinh sqrt tan tanh"
)
TRUTH = "isfinite isinf isnan isneginf isposinf isreal logical_not signbit"
EXTRA = {"nan_to_num": ", nan=None, posinf=None, neginf=None", "logit": ", eps=None"}
KEYWORDS = {"round": ("decimals=0",), "clone": ("memory_format=None",)}
NO_OUT = frozenset("clone conj dequantize detach isfinite isreal positive resolve_conj resolve_neg".split())


def _rows(names: str) -> Iterable[str]:
    for name in names.split():
        keywords = KEYWORDS.get(name, ())
        yield _row("Tensor.", name, keywords)
        yield _row("torch.", name, keywords if name in NO_OUT else (*keywords, "out=None"))


def _row(surface: str, name: str, keywords: tuple[str, ...]) -> str:
    named = ", ".join(("", "*", *keywords)) if keywords else ""
    return f"{surface}{name}(input{EXTRA.get(name, '')}{named})"


@shape_rule(*_rows(KEEPING), "torch.poisson(input, generator=None)")
def elementwise(op: Op, input: Shape) -> Result:
    """(\\*) to the same."""
    return input


@shape_rule(*_rows(FLOATING))
def elementwise_float(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of floats."""
    op.dtype = "float"
    return input


@shape_rule(*_rows(TRUTH))
def elementwise_truth(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of truth values."""
    op.dtype = "bool"
    return input


@shape_rule("torch.frexp(input, *, out=None)", "Tensor.frexp(input)")
def frexp(op: Op, input: Shape) -> Result:
    """(\\*) -> mantissa (\\*) and exponent (\\*)."""
    return (input, Shape(tuple.__iter__(input), input.step, "int"))


@shape_rule(
    "torch.clamp(input, min=None, max=None, *, out=None)",
    "torch.clip(input, min=None, max=None, *, out=None)",
    "torch.clamp_min(input, min, *, out=None)",
    "torch.clamp_max(input, max, *, out=None)",
    "Tensor.clamp(input, min=None, max=None)",
    "Tensor.clip(input, min=None, max=None)",
    "Tensor.clamp_min(input, min)",
    "Tensor.clamp_max(input, max)",
)
def clamp(op: Op, input: Shape, min: Arg = None, max: Arg = None) -> Result:
    """(\\*) to the same; a bound that is a tensor is broadcast with the input."""
    op.dtype = kind([input, *(bound for bound in (min, max) if bound is not None)])
    for bound in (min, max):
        if isinstance(bound, Shape):
            input = broadcast(op, input, bound)
    return Shape(tuple.__iter__(input), input.step, op.dtype)


@shape_rule(
    "torch.tril(input, diagonal=0, *, out=None)",
    "torch.triu(input, diagonal=0, *, out=None)",
    "Tensor.tril(input, diagonal=0)",
    "Tensor.triu(input, diagonal=0)",
)
def triangle(op: Op, input: Shape) -> Result:
    """(\\*, rows, columns) to the same."""
    return op.require_rank_from(input, 2)


# along one dimension ----------------------------------------------------------------------------------------


@shape_rule(
    "torch.cumsum(input, dim, *, dtype=None, out=None)",
    "torch.cumprod(input, dim, *, dtype=None, out=None)",
    "Tensor.cumsum(input, dim, *, dtype=None)",
    "Tensor.cumprod(input, dim, *, dtype=None)",
)
def cumulated(op: Op, input: Shape, dim: Arg, dtype: Arg) -> Result:
    """(\\*) to the same; sums of truth values are whole numbers."""
    op.dtype = kind_of_dtype(dtype) or ("int" if input.dtype == "bool" else None)
    return along(op, input, dim)


@shape_rule(
    "torch.cummax(input, dim, *, out=None)",
    "torch.cummin(input, dim, *, out=None)",
    "torch.sort(input, dim=-1, descending=False, *, stable=False, out=None)",
    "Tensor.cummax(input, dim)",
    "Tensor.cummin(input, dim)",
    "Tensor.sort(input, dim=-1, descending=False, *, stable=False)",
)
def sorted_with_indices(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) -> values (\\*) and indices (\\*)."""
    along(op, input, dim)
    return (input, Shape(tuple.__iter__(input), input.step, "int"))


@shape_rule(
    "torch.argsort(input, dim=-1, descending=False, *, stable=False, out=None)",
    "Tensor.argsort(input, dim=-1, descending=False, *, stable=False)",
)
def argsort(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same, of indices."""
    op.dtype = "int"
    return along(op, input, dim)


@shape_rule(
    "torch.logcumsumexp(input, dim, *, out=None)",
    "Tensor.logcumsumexp(input, dim)",
)
def logcumsumexp(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same, of floats."""
    op.dtype = "float"
    return along(op, input, dim)


# filling, casting, copying ----------------------------------------------------------------------------------


@shape_rule(
    "torch.bernoulli(input, p=None, *, generator=None, out=None)",
    "Tensor.bernoulli(input, p=None, *, generator=None)",
    "Tensor.cauchy_(input, median=0.0, sigma=1.0, *, generator=None)",
    "Tensor.exponential_(input, lambd=1.0, *, generator=None)",
    "Tensor.geometric_(input, p, *, generator=None)",
    "Tensor.log_normal_(input, mean=1.0, std=2.0, *, generator=None)",
    "Tensor.normal_(input, mean=0.0, std=1.0, *, generator=None)",
    "Tensor.random_(input, from_=0, to=None, *, generator=None)",
    "Tensor.uniform_(input, from_=0.0, to=1.0, *, generator=None)",
    "torch.fill(input, value)",
    "Tensor.fill_(input, value)",
    "Tensor.zero_(input)",
    "Tensor.apply_(input, callable)",
)
def filled(op: Op, input: Shape) -> Result:
    """(\\*) to the same, with other values."""
    return input


@shape_rule(
    "Tensor.contiguous(input, *, memory_format=None)",
    "Tensor.cpu(input, memory_format=None)",
    "Tensor.cuda(input, device=None, non_blocking=False, memory_format=None)",
    "Tensor.xpu(input, device=None, non_blocking=False, memory_format=None)",
    "Tensor.pin_memory(input, device=None)",
    "Tensor.requires_grad_(input, requires_grad=True)",
    "Tensor.share_memory_(input)",
    "Tensor.to_dense(input, dtype=None, *, masked_grad=None)",
)
def elsewhere(op: Op, input: Shape) -> Result:
    """(\\*) to the same, in other memory."""
    return input


@shape_rule(
    "Tensor.bfloat16(input, memory_format=None)",
    "Tensor.double(input, memory_format=None)",
    "Tensor.float(input, memory_format=None)",
    "Tensor.half(input, memory_format=None)",
)
def to_float(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of floats."""
    op.dtype = "float"
    return input


@shape_rule(
    "Tensor.byte(input, memory_format=None)",
    "Tensor.char(input, memory_format=None)",
    "Tensor.int(input, memory_format=None)",
    "Tensor.long(input, memory_format=None)",
    "Tensor.short(input, memory_format=None)",
)
def to_int(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of ints."""
    op.dtype = "int"
    return input


@shape_rule("Tensor.bool(input, memory_format=None)")
def to_bool(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of truth values."""
    op.dtype = "bool"
    return input


@shape_rule("Tensor.type_as(input, other)")
def type_as(op: Op, input: Shape, other: Arg) -> Result:
    """(\\*) to the same, of the numbers of ``other``."""
    return _of_kind(op, input, (other,))


@shape_rule("Tensor.type(input, dtype=None, non_blocking=False)")
def type_(op: Op, input: Shape, dtype: Arg) -> Result:
    """(\\*) to the same; without an argument the name of the type."""
    if dtype is None:
        raise CannotTell("the type of a tensor")
    return _of_kind(op, input, (dtype,))


@shape_rule("Tensor.to(input, *args, **kwargs)")
def to(op: Op, input: Shape, args: Arg, kwargs: Arg) -> Result:
    """(\\*) to the same, on another device or of another dtype."""
    return _of_kind(op, input, (*args, kwargs.get("dtype"), kwargs.get("other")))


def _of_kind(op: Op, input: Shape, arguments: Iterable[object]) -> Shape:
    """The shape with the kind of number that one of the arguments names; none is known where one is unknown."""
    unknown = False
    for value in arguments:
        if kind := value.dtype if isinstance(value, Shape) else kind_of_dtype(value):
            op.dtype = kind
            return input
        unknown = unknown or (isinstance(value, (Shape, Unknown)) and not _is_device(value))
    return Shape(tuple.__iter__(input), input.step) if unknown else input


#: Why the device of a tensor is not known.
DEVICE = "the device of a tensor"


def _is_device(value: Shape | Unknown) -> bool:
    """Is what ``to`` is given a device for sure, and no kind of number?"""
    if not isinstance(value, Unknown):
        return False
    return isinstance(value, Apart) or value.reason == DEVICE


KINDS = {
    "float": ("float", "double", "half", "bfloat"),
    "int": ("int", "long", "short", "char", "byte", "uint"),
    "bool": ("bool",),
}


def kind_of_dtype(value: object) -> str | None:
    """``"float"`` for ``torch.float32`` or ``"torch.FloatTensor"``; ``None`` for what is no dtype."""
    name = value.name if isinstance(value, External) else value
    if not isinstance(name, str):
        return None
    word = name.rpartition(".")[2].lower()
    if word == "tensor":
        return "float"  # another name of torch.FloatTensor
    return next((kind for kind, starts in KINDS.items() if word.startswith(starts)), None)
