"""Axes moved, added, dropped, repeated: permute, transpose, squeeze, expand, repeat, flip and the like."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq
from conv_lint.ops.rearrange import sizes_of
from conv_lint.ops.rule import Arg, Op, Result, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown

# moving axes ------------------------------------------------------------------------------------------------


@shape_rule("Tensor.permute(input, *dims)", "torch.permute(input, dims)")
def permute(op: Op, input: Shape, dims: Arg) -> Result:
    """(\\*) -> the axes in the order of dims; each must be named once (torch.permute)."""
    order = sizes_of(op, dims)
    if input.rest is not None:
        if len(order) < len(input.known):
            raise CannotTell(input.rest.reason)
        input = op.require_rank(input, len(order))
    if len(order) != len(input):
        problem = f"{len(order)} dimensions are named but the input {input!r} has {len(input)}"
        op.fail(catalogue.permute_dims(problem=problem, source=op.origin(input)), "dims")
        raise CannotTell(problem)
    axes = [op.axis(input, i, "dims") for i in order]
    if len(set(axes)) != len(axes):
        twice = next(i for i in axes if axes.count(i) > 1)
        op.fail(catalogue.permute_dims(problem=f"dimension {twice} is named twice"), "dims")
        raise CannotTell("a dimension is named twice")
    return tuple(input[i] for i in axes)


@shape_rule(
    "torch.transpose(input, dim0, dim1)",
    "Tensor.transpose(input, dim0, dim1)",
    "torch.swapdims(input, dim0, dim1)",
    "Tensor.swapdims(input, dim0, dim1)",
)
def transpose(op: Op, input: Shape, dim0: Arg, dim1: Arg) -> Result:
    """(\\*) -> two axes swapped."""
    return _swapped(op, input, dim0, dim1, "dim0", "dim1")


@shape_rule("torch.swapaxes(input, axis0, axis1)", "Tensor.swapaxes(input, axis0, axis1)")
def swapaxes(op: Op, input: Shape, axis0: Arg, axis1: Arg) -> Result:
    """(\\*) -> two axes swapped."""
    return _swapped(op, input, axis0, axis1, "axis0", "axis1")


def _swapped(op: Op, input: Shape, dim0: Arg, dim1: Arg, name0: str, name1: str) -> Result:
    if input.rest is None and not len(input):
        return input
    i, j = op.axis(input, dim0, name0), op.axis(input, dim1, name1)
    sizes = list(tuple.__iter__(input))
    sizes[i], sizes[j] = sizes[j], sizes[i]
    return tuple(sizes)


@shape_rule("torch.t(input)", "Tensor.t(input)")
def t(op: Op, input: Shape) -> Result:
    """(n, m) -> (m, n); fewer dimensions stay as they are."""
    return tuple(op.require_rank(input, 0, 1, 2)[::-1])


@shape_rule("Tensor.T(input)")
def reversed_axes(op: Op, input: Shape) -> Result:
    """(\\*) -> all axes in reverse order."""
    if input.rest is not None:
        raise CannotTell(input.rest.reason)
    return tuple(input[::-1])


@shape_rule("Tensor.mT(input)", "Tensor.H(input)", "Tensor.mH(input)", "torch.adjoint(input)", "Tensor.adjoint(input)")
def matrix_transpose(op: Op, input: Shape) -> Result:
    """(\\*, n, m) -> (\\*, m, n)."""
    if input.rest is None and len(input) < 2:
        raise CannotTell("fewer than two dimensions")
    return (*input[:-2], input[-1], input[-2])


@shape_rule(
    "torch.movedim(input, source, destination)",
    "Tensor.movedim(input, source, destination)",
    "torch.moveaxis(input, source, destination)",
    "Tensor.moveaxis(input, source, destination)",
)
def movedim(op: Op, input: Shape, source: Arg, destination: Arg) -> Result:
    """(\\*) -> the axes source at the places destination, the others in order."""
    rank = len(input)
    start, to = op.axes(input, source, "source"), op.axes(input, destination, "destination")
    if len(start) != len(to) or len(set(start)) != len(start) or len(set(to)) != len(to):
        problem = f"source {source} and destination {destination} must name as many different dimensions"
        op.fail(catalogue.permute_dims(problem=problem), "destination")
        raise CannotTell(problem)
    rest = iter(i for i in range(rank) if i not in start)
    order = [start[to.index(place)] if place in to else next(rest) for place in range(rank)]
    return tuple(input[i] for i in order)


# axes of size one -------------------------------------------------------------------------------------------


@shape_rule("torch.unsqueeze(input, dim)", "Tensor.unsqueeze(input, dim)")
def unsqueeze(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) -> with an axis of size 1 at dim."""
    if input.rest is not None:
        index = op.dim(dim)
        if not isinstance(index, int) or index >= 0 or -index - 1 > len(input.known):
            raise CannotTell(input.rest.reason)
        sizes = list(tuple.__iter__(input))
        sizes.insert(len(sizes) + index + 1, 1)
        return tuple(sizes)
    axis = op.axis(input, dim, extra=1)
    return (*input[:axis], 1, *input[axis:])


@shape_rule("torch.squeeze(input, dim=None)", "Tensor.squeeze(input, dim=None)")
def squeeze(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) -> without the axes of size 1 (those among dim).  A named size, B or H, is taken to be larger than 1."""
    if input.rest is not None:
        return _squeezed_unknown(op, input, dim)
    chosen = op.axes(input, dim) if len(input) else ()
    if any(any(not s.given for s in dims.symbols(input[i])) for i in chosen):
        raise CannotTell("squeeze of a size that is not known")
    return tuple(size for i, size in enumerate(input) if i not in chosen or eq(size, 1) is not True)


def _squeezed_unknown(op: Op, input: Shape, dim: Arg) -> Result:
    if isinstance(dim, int) and -len(input.known) <= dim < 0 and isinstance(input[dim], int):
        sizes = list(tuple.__iter__(input))
        if sizes[dim] == 1:
            del sizes[dim]
        return tuple(sizes)
    raise CannotTell(input.rest.reason if input.rest else "")


@shape_rule("torch.atleast_1d(input)", "torch.atleast_2d(input)", "torch.atleast_3d(input)")
def atleast(op: Op, input: Shape) -> Result:
    """(\\*) -> at least n axes (torch.atleast_1d, 2d, 3d)."""
    n, rank = int(op.name[-2]), len(input)
    if rank >= n:
        return input
    if n == 3:
        return {0: (1, 1, 1), 1: (1, *input, 1), 2: (*input, 1)}[rank]
    return (*(1,) * (n - rank), *input)


# repeating --------------------------------------------------------------------------------------------------


@shape_rule("Tensor.expand(input, *size)", "torch.broadcast_to(input, size)", "Tensor.broadcast_to(input, size)")
def expand(op: Op, input: Shape, size: Arg) -> Result:
    """(\\*) -> size; axes of size 1 grow, -1 keeps an axis (torch.Tensor.expand)."""
    return _expanded(op, input, sizes_of(op, size))


@shape_rule("Tensor.expand_as(input, other)")
def expand_as(op: Op, input: Shape, other: Shape) -> Result:
    """(\\*) -> the shape of other."""
    if other.rest is not None or input.rest is not None:
        return other
    return _expanded(op, input, tuple(other))


def _expanded(op: Op, input: Shape, target: tuple[Dim, ...]) -> Result:
    if input.rest is not None:
        return tuple(op.unknown() if eq(s, -1) else s for s in target)
    missing = len(target) - len(input)
    if missing < 0:
        problem = f"{len(target)} sizes are given but the input {input!r} has {len(input)} dimensions"
        op.fail(catalogue.permute_dims(problem=problem, source=op.origin(input)))
        raise CannotTell(problem)
    out: list[Dim] = list(target[:missing])
    for axis, (wanted, given) in enumerate(zip(target[missing:], tuple(input)), missing):
        out.append(given if eq(wanted, -1) else wanted)
        if isinstance(given, int) and given != 1 and not eq(wanted, -1) and eq(given, wanted) is False:
            facts = {"left": tuple(input), "right": target, "a": given, "b": wanted, "axis": axis}
            op.fail(catalogue.broadcast(**facts, source=op.origin(input)))
    return tuple(out)


@shape_rule("Tensor.repeat(input, *repeats)")
def repeat(op: Op, input: Shape, repeats: Arg) -> Result:
    """(\\*) -> each axis so many times as long; more repeats than axes add axes in front (torch.Tensor.repeat)."""
    times = sizes_of(op, repeats)
    if len(times) < len(input):
        problem = f"{len(times)} repeats are given but the input {input!r} has {len(input)} dimensions"
        op.fail(catalogue.permute_dims(problem=problem, source=op.origin(input)))
        raise CannotTell(problem)
    return _repeated(input, times)


@shape_rule("Tensor.tile(input, *dims)", "torch.tile(input, dims)")
def tile(op: Op, input: Shape, dims: Arg) -> Result:
    """(\\*) -> each axis so many times as long; missing numbers are 1 (torch.tile)."""
    times = sizes_of(op, dims)
    return _repeated(input, (*(1,) * (len(input) - len(times)), *times))


def _repeated(input: Shape, times: tuple[Dim, ...]) -> Result:
    padded = (*(1,) * (len(times) - len(input)), *input)
    return tuple(size * n for size, n in zip(padded, times))


@shape_rule(
    "torch.repeat_interleave(input, repeats, dim=None, *, output_size=None)",
    "Tensor.repeat_interleave(input, repeats, dim=None, *, output_size=None)",
)
def repeat_interleave(op: Op, input: Shape, repeats: Arg, dim: Arg) -> Result:
    """(\\*) -> axis dim so many times as long; without dim, one axis."""
    many = None if isinstance(repeats, (Shape, list, tuple)) else op.dim(repeats)
    if dim is None:
        return (op.unknown(0) if many is None else dims.product(input) * many,)
    axis = op.axis(input, dim)
    return tuple(input.replaced(axis, op.unknown(0) if many is None else input[axis] * many))


# the same shape ---------------------------------------------------------------------------------------------


@shape_rule(
    "torch.roll(input, shifts, dims=None)",
    "Tensor.roll(input, shifts, dims=None)",
    "torch.flip(input, dims)",
)
def same_shape(op: Op, input: Shape, dims: Arg) -> Result:
    """(\\*) to the same; the axes must exist."""
    if input.rest is None and not isinstance(dims, Unknown) and dims is not None:
        op.axes(input, dims, "dims")
    return input


@shape_rule("Tensor.flip(input, *dims)")
def flip(op: Op, input: Shape, dims: Arg) -> Result:
    """(\\*) to the same; the axes must exist."""
    if input.rest is None:
        op.axes(input, sizes_of(op, dims), "dims")
    return input


@shape_rule("torch.fliplr(input)", "torch.flipud(input)", "Tensor.fliplr(input)", "Tensor.flipud(input)")
def flipped(op: Op, input: Shape) -> Result:
    """(\\*) to the same."""
    return input


@shape_rule("torch.rot90(input, k=1, dims=(0, 1))", "Tensor.rot90(input, k=1, dims=(0, 1))")
def rot90(op: Op, input: Shape, k: Arg, dims: Arg) -> Result:
    """(\\*) -> turned k quarters in the plane of dims."""
    i, j = op.axes(input, dims, "dims")
    turns = op.dim(k)
    if not isinstance(turns, int):
        raise CannotTell("the number of turns is not known")
    sizes = list(input)
    if turns % 2:
        sizes[i], sizes[j] = sizes[j], sizes[i]
    return tuple(sizes)


# parts ------------------------------------------------------------------------------------------------------


@shape_rule("torch.narrow(input, dim, start, length)", "Tensor.narrow(input, dim, start, length)")
def narrow(op: Op, input: Shape, dim: Arg, start: Arg, length: Arg) -> Result:
    """(\\*) -> axis dim of size length."""
    axis, first, many = op.axis(input, dim), start, op.dim(length)
    if isinstance(first, int) and first >= 0 and dims.lt(input[axis], first + many):
        report = catalogue.dim_range(argument="start + length", value=first + many, given=input)
        op.fail(report, "length")
    return tuple(tuple.__iter__(input.replaced(axis, many)))


@shape_rule("torch.select(input, dim, index)", "Tensor.select(input, dim, index)")
def select(op: Op, input: Shape, dim: Arg, index: Arg) -> Result:
    """(\\*) -> without axis dim."""
    axis = op.axis(input, dim)
    if isinstance(index, int) and (dims.le(input[axis], index) or dims.lt(input[axis], -index)):
        op.fail(catalogue.dim_range(argument="index", value=index, given=input, source=op.origin(input, axis)), "index")
    sizes = list(tuple.__iter__(input))
    del sizes[axis]
    return tuple(sizes)


@shape_rule("Tensor.unfold(input, dimension, size, step)")
def unfold(op: Op, input: Shape, dimension: Arg, size: Arg, step: Arg) -> Result:
    """(\\*) -> windows of a size along an axis, the window last (torch.Tensor.unfold)."""
    if input.rest is None and not len(input):
        raise CannotTell("unfold of a number")
    axis = op.axis(input, dimension, "dimension")
    window, stride = op.dim(size), op.dim(step)
    if dims.lt(input[axis], window):
        op.fail(catalogue.kernel_too_large(kernel=window, size=input[axis], source=op.origin(input, axis)), "size")
        raise CannotTell("the window is larger than the axis")
    out = input.replaced(axis, (input[axis] - window) // stride + 1)
    return (*tuple.__iter__(out), window)


@shape_rule("torch.diag(input, diagonal=0)", "Tensor.diag(input, diagonal=0)")
def diag(op: Op, input: Shape, diagonal: Arg) -> Result:
    """(n,) -> (n, n); (n, m) -> its diagonal."""
    input = op.require_rank(input, 1, 2)
    offset = op.dim(diagonal)
    if not isinstance(offset, int):
        raise CannotTell("the diagonal is not known")
    if len(input) == 1:
        return (input[0] + abs(offset),) * 2
    return (dims.maximum(dims.minimum(input[0] + min(offset, 0), input[1] - max(offset, 0)), 0),)


@shape_rule("torch.diagonal(input, offset=0, dim1=0, dim2=1)", "Tensor.diagonal(input, offset=0, dim1=0, dim2=1)")
def diagonal(op: Op, input: Shape, offset: Arg, dim1: Arg, dim2: Arg) -> Result:
    """(\\*) -> without dim1 and dim2, their diagonal last."""
    i, j, by = op.axis(input, dim1, "dim1"), op.axis(input, dim2, "dim2"), op.dim(offset)
    if not isinstance(by, int) or i == j:
        raise CannotTell("the diagonal is not known")
    length = dims.minimum(input[i] + min(by, 0), input[j] - max(by, 0))
    return (*(s for k, s in enumerate(input) if k not in (i, j)), dims.maximum(length, 0))


@shape_rule(
    "torch.diag_embed(input, offset=0, dim1=-2, dim2=-1)", "Tensor.diag_embed(input, offset=0, dim1=-2, dim2=-1)"
)
def diag_embed(op: Op, input: Shape, offset: Arg, dim1: Arg, dim2: Arg) -> Result:
    """(\\*, n) -> (\\*, n, n) for the last two axes."""
    by = op.dim(offset)
    if (dim1, dim2) != (-2, -1) or not isinstance(by, int):
        raise CannotTell("diag_embed into other axes")
    return (*input[:-1], input[-1] + abs(by), input[-1] + abs(by))


@shape_rule(
    "torch.as_strided(input, size, stride, storage_offset=None)",
    "Tensor.as_strided(input, size, stride, storage_offset=None)",
)
def as_strided(op: Op, input: Shape, size: Arg) -> Result:
    """(\\*) -> size."""
    return tuple(op.dim(s) for s in size)
