"""Tensors made from sizes and from data: zeros, randn, arange, tensor, zeros_like, new_zeros."""

from __future__ import annotations

import math

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, Expr
from conv_lint.ops.elementwise import broadcast
from conv_lint.ops.rearrange import sizes_of
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import Alike, CannotTell, External, Real, Shape, Unknown

OPTIONS = "dtype=None, layout=None, device=None, requires_grad=False"
# A uint8 tensor as an index may be a mask, so its kind is left open; complex numbers have none.
KINDS = {
    "long": "int", "int": "int", "int64": "int", "int32": "int", "int16": "int", "int8": "int", "short": "int",
    "bool": "bool", "float": "float", "float32": "float", "float16": "float", "half": "float",
    "float64": "float", "double": "float", "bfloat16": "float",
}  # fmt: skip


def kind_of(dtype: Arg, default: str | None) -> str | None:
    """The kind of numbers of a ``dtype=`` argument."""
    if isinstance(dtype, External):
        return KINDS.get(dtype.name.rpartition(".")[2])
    return default if dtype is None else None


def kind_of_number(value: Arg) -> str | None:
    """The kind of a number; ``None`` for what is no number or not known."""
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, (int, Expr)) else "float" if isinstance(value, float) else None


# from sizes -------------------------------------------------------------------------------------------------


def _sizes(op: Op, given: object, argument: str = "size") -> tuple[Dim, ...]:
    """Sizes, none of them negative."""
    sizes = sizes_of(op, given)
    report = catalogue.argument_range(argument=argument, value=sizes, allowed="numbers of at least 0")
    if op.require(dims.every(dims.le(0, size) for size in sizes), report, argument):
        return sizes
    return tuple(op.unknown(0) if dims.lt(size, 0) else size for size in sizes)


@shape_rule(*(f"torch.{n}(*size, out=None, {OPTIONS})" for n in ("zeros", "ones", "empty", "rand", "randn")))
def from_sizes(op: Op, size: Arg, dtype: Arg) -> Result:
    """size: numbers, a tuple or a list -> that shape (torch.zeros)."""
    op.dtype = kind_of(dtype, "float")
    return _sizes(op, size)


@shape_rule(f"torch.full(size, fill_value, *, out=None, {OPTIONS})")
def full(op: Op, size: Arg, fill_value: Arg, dtype: Arg) -> Result:
    """size -> that shape, of the kind of fill_value (torch.full)."""
    op.dtype = kind_of(dtype, kind_of_number(fill_value))
    return _sizes(op, (size,))


@shape_rule(f"torch.empty_strided(size, stride, *, {OPTIONS})")
def empty_strided(op: Op, size: Arg, dtype: Arg) -> Result:
    """size -> that shape."""
    op.dtype = kind_of(dtype, "float")
    return _sizes(op, (size,))


@shape_rule(f"torch.randint(low=0, high=None, size=None, *, generator=None, out=None, {OPTIONS})")
def randint(op: Op, high: Arg, size: Arg, dtype: Arg) -> Result:
    """randint(high, size) and randint(low, high, size) -> size, of ints (torch.randint)."""
    op.dtype = kind_of(dtype, "int")
    return _sizes(op, (high if size is None else size,))


@shape_rule("torch.normal(mean, std=1.0, size=None, *, generator=None, out=None)")
def normal(op: Op, mean: Arg, std: Arg, size: Arg) -> Result:
    """size, or mean and std broadcast together (torch.normal)."""
    op.dtype = "float"
    if size is not None:
        return _sizes(op, (size,))
    return tuple(tuple.__iter__(broadcast(op, mean, std)))


@shape_rule(f"torch.eye(n, m=None, *, out=None, {OPTIONS})")
def eye(op: Op, n: Arg, m: Arg, dtype: Arg) -> Result:
    """(n, m), m = n if it is not given (torch.eye)."""
    op.dtype = kind_of(dtype, "float")
    rows = op.require_least("n", n, 0)
    return (rows, rows if m is None else op.require_least("m", m, 0))


@shape_rule(
    f"torch.linspace(start, end, steps, *, out=None, {OPTIONS})",
    f"torch.logspace(start, end, steps, base=10.0, *, out=None, {OPTIONS})",
)
def linspace(op: Op, steps: Arg, dtype: Arg) -> Result:
    """(steps,)."""
    op.dtype = kind_of(dtype, "float")
    return (op.require_least("steps", steps, 0),)


@shape_rule(f"torch.arange(start, end=None, step=1, *, out=None, {OPTIONS})")
def arange(op: Op, start: Arg, end: Arg, step: Arg, dtype: Arg) -> Result:
    """(ceil((end - start) / step),) (torch.arange)."""
    first, last = (0, start) if end is None else (start, end)
    op.dtype = kind_of(dtype, _kind_of_all(first, last, step))
    if not all(isinstance(v, (int, float, Expr, Unknown)) for v in (first, last, step)):
        return (op.unknown(0),)
    if any(isinstance(v, (float, Real)) for v in (first, last, step)):
        numbers = all(isinstance(v, (int, float)) for v in (first, last, step))
        if not numbers or not step or not all(map(math.isfinite, (first, last, step))) or (last - first) / step < 0:
            return (op.unknown(0),)
        return (math.ceil((last - first) / step),)
    begin, stop, by = op.dim(first), op.dim(last), op.dim(step)
    if not _goes_on(op, begin, stop, by):
        return (op.unknown(0),)
    return (dims.ceildiv(stop - begin, by),)


def _kind_of_all(*values: Arg) -> str | None:
    kinds = {kind_of_number(v) for v in values}
    return None if None in kinds else "float" if "float" in kinds else "int"


def _goes_on(op: Op, begin: Dim, stop: Dim, by: Dim) -> bool:
    """Does a step lead from the begin to the end?  torch refuses where it does not, but numpy's arange is empty."""
    if dims.eq(by, 0):
        op.fail(catalogue.argument_range(argument="step", value=by, allowed="other than 0"), "step")
        return False
    if dims.lt(0, by):
        return not dims.lt(stop, begin)
    return bool(dims.lt(by, 0)) and not dims.lt(begin, stop)


@shape_rule(f"torch.randperm(n, *, generator=None, out=None, {OPTIONS})")
def randperm(op: Op, n: Arg, dtype: Arg) -> Result:
    """(n,) of ints (torch.randperm)."""
    op.dtype = kind_of(dtype, "int")
    return (op.require_least("n", n, 0),)


@shape_rule(
    f"torch.tril_indices(row, col, offset=0, *, {OPTIONS})", f"torch.triu_indices(row, col, offset=0, *, {OPTIONS})"
)
def tri_indices(op: Op, row: Arg, col: Arg, offset: Arg) -> Result:
    """(2, number of places in the triangle) (torch.tril_indices)."""
    op.dtype = "int"
    rows, columns, shift = op.require_least("row", row, 0), op.require_least("col", col, 0), op.dim(offset)
    if not (isinstance(rows, int) and isinstance(columns, int) and isinstance(shift, int)):
        return (2, op.unknown(0))
    upper = op.name.endswith("triu_indices")
    below = sum(min(max(r + shift + (not upper), 0), columns) for r in range(rows))
    return (2, rows * columns - below if upper else below)


@shape_rule(
    f"torch.hann_window(window_length, periodic=True, *, {OPTIONS})",
    f"torch.hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, {OPTIONS})",
    f"torch.blackman_window(window_length, periodic=True, *, {OPTIONS})",
    f"torch.bartlett_window(window_length, periodic=True, *, {OPTIONS})",
    f"torch.kaiser_window(window_length, periodic=True, beta=12.0, *, {OPTIONS})",
)
def window(op: Op, window_length: Arg, dtype: Arg) -> Result:
    """(window_length,)."""
    op.dtype = kind_of(dtype, "float")
    return (op.require_least("window_length", window_length, 0),)


# from data --------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)",
    "torch.as_tensor(data, *, dtype=None, device=None)",
    "torch.asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False)",
)
def from_data(op: Op, data: Arg = None, obj: Arg = None, dtype: Arg = None) -> Result:
    """Nested lists of numbers -> the shape of the nesting; a tensor -> its shape (torch.tensor)."""
    return _of_data(op, obj if data is None else data, dtype)


@shape_rule(f"Tensor.new_tensor(input, data, *, {OPTIONS})")
def new_tensor(op: Op, input: Shape, data: Arg, dtype: Arg) -> Result:
    """As torch.tensor; the kind of numbers is the input's (torch.Tensor.new_tensor)."""
    made = _of_data(op, data, dtype)
    op.dtype = kind_of(dtype, input.dtype)
    sizes = tuple.__iter__(made) if isinstance(made, tuple) else ()
    return Shape(sizes, made.step if isinstance(made, Shape) else None, op.dtype)


def _of_data(op: Op, data: Arg, dtype: Arg) -> Result:
    if isinstance(data, Shape):
        op.dtype = kind_of(dtype, data.dtype)
        return Shape(tuple.__iter__(data), data.step, op.dtype)
    sizes, kinds = _nested(op, data, 0)
    op.dtype = kind_of(dtype, _common(kinds))
    return sizes


def _common(kinds: set[str | None]) -> str | None:
    """The kind that holds numbers of all these kinds; an empty list makes floats."""
    if None in kinds:
        return None
    return next((kind for kind in ("float", "int", "bool") if kind in kinds), "float")


def _nested(op: Op, value: Arg, depth: int) -> tuple[tuple[Dim, ...], set[str | None]]:
    """The shape of nested lists and the kinds of their numbers.  An item that is not known is like the others."""
    if isinstance(value, Shape):
        if value.rest is not None:
            raise CannotTell("a list of tensors as data")
        return tuple(value), {value.dtype}  # numpy's nest, torch's must hold one number each
    if isinstance(value, Alike):
        sizes, kinds = _nested(op, value.item, depth + 1)
        return (op.unknown(0), *sizes), kinds
    if isinstance(value, Expr) and not is_surely_number(value):
        raise CannotTell("data computed from something unknown")
    if isinstance(value, (int, float, Expr)):
        return (), {kind_of_number(value)}
    if isinstance(value, complex):
        return (), {None}
    if isinstance(value, Real):
        return (), {"float"}
    if not isinstance(value, (list, tuple)):
        raise CannotTell(value.reason if isinstance(value, Unknown) else "the data is not known")
    if not value:
        return (0,), set()
    known = [v for v in value if not isinstance(v, Unknown) or (isinstance(v, Real) and v.is_number)]
    if not known:
        raise CannotTell(value[0].reason)
    inner = [_nested(op, v, depth + 1) for v in known]
    kinds = set().union(*(kind for _, kind in inner), {None} if len(known) < len(value) else set())
    shapes = [shape for shape, _ in inner]
    if any(shape != shapes[0] for shape in shapes):
        if any(isinstance(v, Shape) for v in known):
            raise CannotTell("arrays of several shapes as data")
        _say_ragged(op, shapes, depth + 1)
    return (len(value), *shapes[0]), kinds


def is_surely_number(value: object) -> bool:
    """Is it a number for sure?  What was computed from something unknown may as well be an array."""
    return not isinstance(value, Expr) or all(s.given or s.is_number or s.low is not None for s in value.symbols)


def _say_ragged(op: Op, shapes: list[tuple[Dim, ...]], depth: int) -> None:
    """Lists of different lengths are a fault where both hold something."""
    lengths = [shape[0] for shape in shapes if shape]
    if len(lengths) == len(shapes) and 0 not in lengths:
        odd = next((n for n in lengths if n != lengths[0]), None)
        if odd is not None:
            problem = f"the lists of the data have {lengths[0]} and {odd} items in dimension {depth}"
            op.fail(catalogue.call_signature(problem=problem), "data")
    raise CannotTell("lists of different lengths as data")


@shape_rule("torch.scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False)")
def scalar(op: Op, dtype: Arg) -> Result:
    """()."""
    op.dtype = kind_of(dtype, "float")
    return ()


# like another -----------------------------------------------------------------------------------------------


@shape_rule(
    *(f"torch.{n}_like(input, *, {OPTIONS}, memory_format=None)" for n in ("zeros", "ones", "empty", "rand", "randn")),
    f"torch.full_like(input, fill_value, *, {OPTIONS}, memory_format=None)",
    f"torch.randint_like(input, low=None, high=None, *, {OPTIONS}, memory_format=None)",
)
def like(op: Op, input: Shape, dtype: Arg) -> Result:
    """(\\*) to the same (torch.zeros_like)."""
    op.dtype = kind_of(dtype, input.dtype)
    return Shape(tuple.__iter__(input), input.step, op.dtype)


@shape_rule(*(f"Tensor.new_{n}(input, *size, {OPTIONS})" for n in ("zeros", "ones", "empty")))
def new(op: Op, input: Shape, size: Arg, dtype: Arg) -> Result:
    """size -> that shape, of the input's kind (torch.Tensor.new_zeros)."""
    op.dtype = kind_of(dtype, input.dtype)
    return _sizes(op, size)


@shape_rule(f"Tensor.new_full(input, size, fill_value, *, {OPTIONS})")
def new_full(op: Op, input: Shape, size: Arg, dtype: Arg) -> Result:
    """size -> that shape, of the input's kind (torch.Tensor.new_full)."""
    op.dtype = kind_of(dtype, input.dtype)
    return _sizes(op, (size,))
