"""Tensors made from sizes and from data: zeros, randn, arange, tensor, zeros_like, new_zeros."""

from __future__ import annotations

from conv_lint import dims
from conv_lint.dims import Dim, Expr
from conv_lint.ops.rearrange import sizes_of
from conv_lint.ops.rule import Arg, Op, Result, shape_rule
from conv_lint.values import CannotTell, External, Shape, Unknown

OPTIONS = "dtype=None, layout=None, device=None, requires_grad=False"
KINDS = {
    "long": "int", "int": "int", "int64": "int", "int32": "int", "int16": "int", "int8": "int", "uint8": "int",
    "short": "int", "bool": "bool", "float": "float", "float32": "float", "float16": "float", "half": "float",
    "float64": "float", "double": "float", "bfloat16": "float",
}  # fmt: skip


def kind_of(dtype: Arg, default: str | None) -> str | None:
    """The kind of numbers of a ``dtype=`` argument."""
    if isinstance(dtype, External):
        return KINDS.get(dtype.name.rpartition(".")[2])
    return default if dtype is None else None


# from sizes -------------------------------------------------------------------------------------------------


@shape_rule(
    *(f"torch.{n}(*size, out=None, {OPTIONS})" for n in ("zeros", "ones", "empty", "rand", "randn")),
)
def from_sizes(op: Op, size: Arg, dtype: Arg) -> Result:
    """size: numbers, a tuple or a list -> that shape."""
    op.dtype = kind_of(dtype, "float")
    return tuple(sizes_of(op, size))


@shape_rule(
    f"torch.full(size, fill_value, *, out=None, {OPTIONS})",
    f"torch.empty_strided(size, stride, *, {OPTIONS})",
)
def from_one_size(op: Op, size: Arg, dtype: Arg) -> Result:
    """size -> that shape."""
    op.dtype = kind_of(dtype, None)
    return tuple(sizes_of(op, (size,)))


@shape_rule(f"torch.randint(low, high=None, size=None, *, generator=None, out=None, {OPTIONS})")
def randint(op: Op, low: Arg, high: Arg, size: Arg, dtype: Arg) -> Result:
    """randint(high, size) and randint(low, high, size) -> size, of ints."""
    op.dtype = kind_of(dtype, "int")
    return tuple(sizes_of(op, (high if size is None else size,)))


@shape_rule("torch.normal(mean, std, size=None, *, generator=None, out=None)")
def normal(op: Op, mean: Arg, std: Arg, size: Arg) -> Result:
    """size, or the shape of mean or std."""
    if size is not None:
        return tuple(sizes_of(op, (size,)))
    return next(v for v in (mean, std) if isinstance(v, Shape))


@shape_rule(f"torch.eye(n, m=None, *, out=None, {OPTIONS})")
def eye(op: Op, n: Arg, m: Arg) -> Result:
    """(n, m), m = n if it is not given."""
    op.dtype = "float"
    return (op.dim(n), op.dim(n if m is None else m))


@shape_rule(
    f"torch.linspace(start, end, steps, *, out=None, {OPTIONS})",
    f"torch.logspace(start, end, steps, base=10.0, *, out=None, {OPTIONS})",
)
def linspace(op: Op, steps: Arg) -> Result:
    """(steps,)."""
    op.dtype = "float"
    return (op.dim(steps),)


@shape_rule(f"torch.arange(start, end=None, step=1, *, out=None, {OPTIONS})")
def arange(op: Op, start: Arg, end: Arg, step: Arg, dtype: Arg) -> Result:
    """(ceil((end - start) / step),) (torch.arange)."""
    first, last = (0, start) if end is None else (start, end)
    numbers = (first, last, step)
    op.dtype = kind_of(dtype, "int" if all(isinstance(v, (int, Expr)) for v in numbers) else None)
    if any(isinstance(v, float) for v in numbers):
        if all(isinstance(v, (int, float)) for v in numbers) and step:
            return (max(0, -int(-((last - first) / step) // 1)),)
        return (op.unknown(0),)
    count = dims.ceildiv(op.dim(last) - op.dim(first), op.dim(step))
    return (dims.maximum(count, 0) if isinstance(count, int) else count,)


@shape_rule(f"torch.randperm(n, *, generator=None, out=None, {OPTIONS})")
def randperm(op: Op, n: Arg) -> Result:
    """(n,) of ints."""
    op.dtype = "int"
    return (op.dim(n),)


@shape_rule(
    f"torch.tril_indices(row, col, offset=0, *, {OPTIONS})", f"torch.triu_indices(row, col, offset=0, *, {OPTIONS})"
)
def tri_indices(op: Op, row: Arg, col: Arg) -> Result:
    """(2, number of places)."""
    op.dtype = "int"
    return (2, op.unknown(0))


@shape_rule(
    f"torch.hann_window(window_length, periodic=True, *, {OPTIONS})",
    f"torch.hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, {OPTIONS})",
    f"torch.blackman_window(window_length, periodic=True, *, {OPTIONS})",
    f"torch.bartlett_window(window_length, periodic=True, *, {OPTIONS})",
)
def window(op: Op, window_length: Arg) -> Result:
    """(window_length,)."""
    return (op.dim(window_length),)


# from data --------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)",
    "torch.as_tensor(data, dtype=None, device=None)",
    "torch.asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False)",
)
def from_data(op: Op, data: Arg = None, obj: Arg = None, dtype: Arg = None) -> Result:
    """Nested lists of numbers -> the shape of the nesting; a tensor -> its shape."""
    value = obj if data is None else data
    if isinstance(value, Shape):
        op.dtype = kind_of(dtype, value.dtype)
        return value
    sizes, kind = _nested(value)
    op.dtype = kind_of(dtype, kind)
    return sizes


def _nested(value: object) -> tuple[tuple[Dim, ...], str | None]:
    if isinstance(value, bool):
        return (), "bool"
    if isinstance(value, (int, Expr)):
        return (), "int"
    if isinstance(value, (float, complex)):
        return (), "float"
    if isinstance(value, Shape):
        return tuple(value), value.dtype
    if not isinstance(value, (list, tuple)):
        raise CannotTell("the data is not known")
    if not value:
        return (0,), "float"
    if any(isinstance(v, Unknown) for v in value) and not all(isinstance(v, Unknown) for v in value):
        return (len(value),), None
    if all(isinstance(v, Unknown) for v in value):
        raise CannotTell("the data is not known")
    inner, kind = _nested(value[0])
    kinds = {_nested(v)[1] for v in value}
    return (len(value), *inner), kind if len(kinds) == 1 else "float" if kinds == {"int", "float"} else None


@shape_rule("torch.scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False)")
def scalar(op: Op) -> Result:
    """()."""
    return ()


# like another -----------------------------------------------------------------------------------------------


@shape_rule(
    *(
        f"torch.{n}_like(input, {first}*, {OPTIONS}, memory_format=None)"
        for n, first in (
            ("zeros", ""), ("ones", ""), ("empty", ""), ("rand", ""), ("randn", ""), ("full", "fill_value, ")
        )
    ),
    f"torch.randint_like(input, low=None, high=None, *, {OPTIONS}, memory_format=None)",
)  # fmt: skip
def like(op: Op, input: Shape, dtype: Arg) -> Result:
    """(\\*) to the same."""
    op.dtype = kind_of(dtype, input.dtype)
    return Shape(tuple.__iter__(input), input.step, op.dtype)


@shape_rule(*(f"Tensor.new_{n}(input, *size, {OPTIONS})" for n in ("zeros", "ones", "empty")))
def new(op: Op, input: Shape, size: Arg, dtype: Arg) -> Result:
    """size -> that shape."""
    op.dtype = kind_of(dtype, input.dtype)
    return tuple(sizes_of(op, size))


@shape_rule(f"Tensor.new_full(input, size, fill_value, *, {OPTIONS})")
def new_full(op: Op, input: Shape, size: Arg, dtype: Arg) -> Result:
    """size -> that shape."""
    op.dtype = kind_of(dtype, input.dtype)
    return tuple(sizes_of(op, (size,)))


@shape_rule(f"Tensor.new_tensor(input, data, *, {OPTIONS})")
def new_tensor(op: Op, input: Shape, data: Arg) -> Result:
    """Nested lists of numbers -> the shape of the nesting."""
    return data if isinstance(data, Shape) else _nested(data)[0]
