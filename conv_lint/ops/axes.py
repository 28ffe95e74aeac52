"""The same elements with their dimensions in another order, one more, one less, or a part of them."""

from __future__ import annotations

from collections.abc import Sequence

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim
from conv_lint.ops.join import at_least
from conv_lint.ops.rearrange import like, sizes_of
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Rest, Shape, Unknown

# another order ----------------------------------------------------------------------------------------------


@shape_rule("torch.permute(input, dims)", "Tensor.permute(input, *dims)")
def permute(op: Op, input: Shape, dims: Arg) -> Result:
    """Dimension i of the result is dimension ``dims[i]`` of the input; each is named once (torch.permute)."""
    order = sizes_of(op, dims)
    if input.rest is not None:
        if len(input.known) > len(order):  # in a branch for another number of dimensions
            raise CannotTell(input.rest.reason)
        input = op.require_rank(input, len(order))
    if len(input) != len(order):
        count = f"{len(order)} dimension{'s' * (len(order) != 1)}"
        _misordered(op, input, f"{_listed(order)} names {count} but {input!r} has {len(input)}", "dims")
    axes = [op.axis(input, axis, "dims") for axis in order]
    _all_different(op, input, axes, order, "dims")
    return like(input, [input[axis] for axis in axes])


def _misordered(op: Op, input: Shape, problem: str, at: str) -> None:
    op.fail(catalogue.permute_dims(problem=problem, source=op.origin(input)), at)
    raise CannotTell("dimensions that do not fit")


def _all_different(op: Op, input: Shape, axes: Sequence[int], given: Sequence[Dim], at: str) -> None:
    twice = next((axis for axis in axes if axes.count(axis) > 1), None)
    if twice is not None:
        _misordered(op, input, f"{_listed(given)} names dimension {twice} of {input!r} twice", at)


def _listed(numbers: Sequence[Dim]) -> str:
    return f"({', '.join(map(dims.render, numbers))}{',' * (len(numbers) == 1)})"


@shape_rule(
    "torch.transpose(input, dim0, dim1)",
    "torch.swapdims(input, dim0, dim1)",
    "Tensor.transpose(input, dim0, dim1)",
    "Tensor.swapdims(input, dim0, dim1)",
)
def transpose(op: Op, input: Shape, dim0: Arg, dim1: Arg) -> Result:
    """Two dimensions change places."""
    return _swapped(op, input, (dim0, "dim0"), (dim1, "dim1"))


@shape_rule("torch.swapaxes(input, axis0, axis1)", "Tensor.swapaxes(input, axis0, axis1)")
def swapaxes(op: Op, input: Shape, axis0: Arg, axis1: Arg) -> Result:
    """Two dimensions change places."""
    return _swapped(op, input, (axis0, "axis0"), (axis1, "axis1"))


def _swapped(op: Op, input: Shape, first: tuple[object, str], second: tuple[object, str]) -> Shape:
    if input.rest is not None and input.known:
        input = _of_swappable(op, input, first[0], second[0])
    i, j = op.axis(input, *first), op.axis(input, *second)
    sizes = list(tuple.__iter__(input))
    if sizes:
        sizes[i], sizes[j] = sizes[j], sizes[i]
    return like(input, sizes)


def _of_swappable(op: Op, input: Shape, first: object, second: object) -> Shape:
    """An input of unknown rank with the dimensions that change places: those that are counted from the right it must
    have.  ``transpose(1, 2)`` of known features is that of (N, L, E), unless something speaks for one rank more."""
    if not isinstance(first, int) or not isinstance(second, int):
        return input
    if first < 0 and second < 0:
        return op.trailing(input, -min(first, second))
    is_open = input.rest is not None and not input.rest.varies and len(input.known) < 3
    return op.guess_rank(input, 3, 4) if {first, second} == {1, 2} and is_open else input


@shape_rule("torch.t(input)", "Tensor.t(input)")
def matrix_transpose(op: Op, input: Shape) -> Result:
    """(n, m) -> (m, n); a vector stays as it is (torch.t)."""
    return like(input, tuple(op.require_rank(input, 0, 1, 2))[::-1])


@shape_rule("Tensor.H(input)")
def hermitian(op: Op, input: Shape) -> Result:
    """(n, m) -> (m, n)."""
    return like(input, tuple(op.require_rank(input, 0, 2))[::-1])


@shape_rule("Tensor.T(input)")
def reverse(op: Op, input: Shape) -> Result:
    """All dimensions in reverse order."""
    len(input)  # of an unknown rank nothing is known
    return like(input, tuple(input)[::-1])


@shape_rule("Tensor.mT(input)", "Tensor.mH(input)", "torch.adjoint(input)", "Tensor.adjoint(input)")
def matrices_transpose(op: Op, input: Shape) -> Result:
    """(\\*, n, m) -> (\\*, m, n); a number stays as it is."""
    if input.rest is None and not len(input):
        return input
    return _swapped(op, op.require_rank_from(input, 2), (-2, "dim"), (-1, "dim"))


@shape_rule(
    "torch.movedim(input, source, destination)",
    "torch.moveaxis(input, source, destination)",
    "Tensor.movedim(input, source, destination)",
    "Tensor.moveaxis(input, source, destination)",
)
def movedim(op: Op, input: Shape, source: Arg, destination: Arg) -> Result:
    """The dimensions of ``source`` go to the places of ``destination``; the others keep their order (torch.movedim)."""
    given, wanted = sizes_of(op, (source,)), sizes_of(op, (destination,))
    if len(given) != len(wanted):
        problem = f"source {_listed(given)} and destination {_listed(wanted)} are not of one length"
        _misordered(op, input, problem, "destination")
    count = len(input)
    origins = [op.axis(input, axis, "source") for axis in given]
    places = [op.axis(input, axis, "destination") for axis in wanted]
    _all_different(op, input, origins, given, "source")
    _all_different(op, input, places, wanted, "destination")
    moved = dict(zip(places, origins))
    others = (axis for axis in range(count) if axis not in origins)
    return like(input, [input[moved[i]] if i in moved else input[next(others)] for i in range(count)])


# one less, one more -----------------------------------------------------------------------------------------


@shape_rule("torch.squeeze(input, dim=None)", "Tensor.squeeze(input, dim=None)")
def squeeze(op: Op, input: Shape, dim: Arg) -> Result:
    """Without the dimensions of size 1, or without those of ``dim`` that have size 1 (torch.squeeze).

    Where a size may be 1 or not, the number of dimensions is not known, and only the sizes to the right of it are.
    """
    if isinstance(dim, Unknown):
        raise CannotTell(dim.reason)
    count = len(input.known)
    if dim is None:
        axes = set(range(-count, 0))
    else:
        indices = op.axes(input, dim)
        _all_different(op, input, indices, indices, "dim")
        axes = {axis - count if axis >= 0 else axis for axis in indices}
    kept: list[Dim] = []
    for axis in range(-1, -count - 1, -1):
        size = input.known[axis]
        one = dims.eq(size, 1) if axis in axes else False
        if one is None:
            return like(input, (Rest("whether a size is 1"), *kept))
        if not one:
            kept.insert(0, size)
    if input.rest is not None:
        return like(input, (Rest(input.rest.reason) if dim is None else input.rest, *kept))
    return like(input, kept)


@shape_rule("torch.unsqueeze(input, dim)", "Tensor.unsqueeze(input, dim)")
def unsqueeze(op: Op, input: Shape, dim: Arg) -> Result:
    """A new dimension of size 1 before ``dim`` (torch.unsqueeze)."""
    if input.rest is None:
        axis = op.axis(input, dim, extra=1)
        return like(input, (*input[:axis], 1, *input[axis:]))
    index, known = op.dim(dim), input.known
    if index == 0:
        return like(input, (Rest(input.rest.reason), *known))
    if index == 1 and len(known) == 1 and not input.rest.varies:
        told = op.guess_rank(input, 2, 3)  # (N, E), unless something speaks for (N, L, E)
        return like(told, (told[0], 1, *told[1:]))
    if not isinstance(index, int) or not -len(known) - 1 <= index < 0:
        raise CannotTell(input.rest.reason)
    place = len(known) + 1 + index
    return like(input, (input.rest, *known[:place], 1, *known[place:]))


@shape_rule(*(f"torch.atleast_{n}d(*tensors)" for n in (1, 2, 3)))
def atleast(op: Op, tensors: Arg) -> Result:
    """One tensor or several, with dimensions of size 1 added where there are too few (torch.atleast_3d)."""
    alone = len(tensors) == 1
    if alone and isinstance(tensors[0], (tuple, list)) and not isinstance(tensors[0], Shape):
        alone, tensors = False, tensors[0]
    out = [at_least(shape, op.n) for shape in tensors]
    return out[0] if alone else out


# parts ------------------------------------------------------------------------------------------------------


@shape_rule("torch.narrow(input, dim, start, length)", "Tensor.narrow(input, dim, start, length)")
def narrow(op: Op, input: Shape, dim: Arg, start: Arg, length: Arg) -> Result:
    """``length`` of the size at ``dim``, from ``start`` on (torch.narrow)."""
    axis, count = op.axis(op.require_rank_from(input, 1), dim), op.require_least("length", length, 0)
    size = input[axis]
    if not isinstance(start, (Shape, Unknown)):
        first = op.dim(start)
        facts = {"argument": "start", "value": first, "given": input, "source": op.origin(input, axis)}
        if op.require(dims.every((dims.le(-size, first), dims.le(first, size))), catalogue.dim_range(**facts), "start"):
            end = first + count + (size if dims.lt(first, 0) else 0)
            allowed = f"at most what is left of the size {dims.render(size)}"
            report = catalogue.argument_range(argument="length", value=count, allowed=allowed)
            op.require(None if dims.lt(first, 0) is None else dims.le(end, size), report, "length")
    return input.replaced(axis, count)


@shape_rule("torch.select(input, dim, index)", "Tensor.select(input, dim, index)")
def select(op: Op, input: Shape, dim: Arg, index: Arg) -> Result:
    """One place along ``dim``, which goes (torch.select)."""
    axis, place = op.axis(op.require_rank_from(input, 1), dim), op.dim(index)
    size = input[axis]
    report = catalogue.dim_range(argument="index", value=place, given=input, source=op.origin(input, axis))
    op.require(dims.every((dims.le(-size, place), dims.lt(place, size))), report, "index")
    sizes = list(tuple.__iter__(input))
    del sizes[axis]
    return like(input, sizes)


@shape_rule("Tensor.unfold(input, dimension, size, step)")
def unfold(op: Op, input: Shape, dimension: Arg, size: Arg, step: Arg) -> Result:
    """``(n - size)//step + 1`` windows along the dimension; the places within one come last (torch.Tensor.unfold)."""
    axis = op.axis(input, dimension, "dimension")
    window, stride = op.require_least("size", size, 0), op.require_least("step", step)
    sizes = list(tuple.__iter__(input))
    if not sizes:
        sizes, axis = [1], 0
    whole = sizes[axis]
    allowed = f"at most the {dims.render(whole)} of dimension {axis}"
    report = catalogue.argument_range(argument="size", value=window, allowed=allowed)
    fits = op.require(dims.le(window, whole), report, "size")
    certain = fits and not dims.le(stride, 0)
    sizes[axis] = (whole - window) // stride + 1 if certain else op.unknown()
    return like(input, [window] if input.rest is None and not len(input) else [*sizes, window])


# the same shape ---------------------------------------------------------------------------------------------


@shape_rule("torch.flip(input, dims)", "Tensor.flip(input, *dims)")
def flip(op: Op, input: Shape, dims: Arg) -> Result:
    """(\\*) to the same, backwards along each of ``dims``."""
    if input.rest is None and not isinstance(dims, Unknown):
        order = sizes_of(op, dims)
        _all_different(op, input, [op.axis(input, axis, "dims") for axis in order], order, "dims")
    return input


@shape_rule("torch.fliplr(input)", "Tensor.fliplr(input)")
def fliplr(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of at least two dimensions."""
    return op.require_rank_from(input, 2)


@shape_rule("torch.flipud(input)", "Tensor.flipud(input)")
def flipud(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of at least one dimension."""
    return op.require_rank_from(input, 1)


@shape_rule("torch.rot90(input, k=1, dims=(0, 1))", "Tensor.rot90(input, k=1, dims=(0, 1))")
def rot90(op: Op, input: Shape, k: Arg, dims: Arg) -> Result:
    """Two dimensions change places where ``k`` is odd (torch.rot90)."""
    plane = sizes_of(op, (dims,))
    input = op.require_rank_from(input, 2)
    if len(plane) != 2:
        _misordered(op, input, f"dims names two dimensions, not {len(plane)}", "dims")
    axes = [op.axis(input, axis, "dims") for axis in plane]
    _all_different(op, input, axes, plane, "dims")
    turns = op.dim(k)
    if not isinstance(turns, int):
        raise CannotTell("how far it is turned")
    return _swapped(op, input, (axes[0], "dims"), (axes[1], "dims")) if turns % 2 else input


@shape_rule("torch.roll(input, shifts, dims=None)", "Tensor.roll(input, shifts, dims=None)")
def roll(op: Op, input: Shape, shifts: Arg, dims: Arg) -> Result:
    """(\\*) to the same; as many shifts as dims, or one without dims (torch.roll)."""
    if isinstance(shifts, Unknown) or isinstance(dims, Unknown):
        return input
    by, axes = sizes_of(op, (shifts,)), () if dims is None else sizes_of(op, (dims,))
    if len(by) != len(axes) and (axes or len(by) != 1):
        _misordered(op, input, f"{len(by)} shifts for {len(axes)} dimensions", "shifts")
    if input.rest is None and 0 not in tuple(input):  # of an empty tensor torch asks no more
        for axis in axes:
            op.axis(op.require_rank_from(input, 1), axis, "dims")
    return input


# diagonals --------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.diagonal(input, offset=0, dim1=0, dim2=1)",
    "Tensor.diagonal(input, offset=0, dim1=0, dim2=1)",
)
def diagonal(op: Op, input: Shape, offset: Arg, dim1: Arg, dim2: Arg) -> Result:
    """The two dimensions go; the diagonal comes last (torch.diagonal)."""
    input = op.require_rank_from(input, 1)
    i, j = op.axis(input, dim1, "dim1"), op.axis(input, dim2, "dim2")
    if i == j:
        _misordered(op, input, f"dim1 and dim2 are both dimension {i} of {input!r}", "dim2")
    sizes = list(tuple.__iter__(input))
    length = _diagonal(op, sizes[i], sizes[j], offset)
    for axis in sorted((i, j), reverse=i >= 0):
        del sizes[axis]
        if i < 0:
            i, j = i + 1, j + 1
    return like(input, (*sizes, length))


def _diagonal(op: Op, rows: Dim, columns: Dim, offset: object) -> Dim:
    shift = op.dim(offset)
    if dims.le(0, shift):
        columns = columns - shift
    elif dims.le(shift, 0):
        rows = rows + shift
    else:
        return op.unknown(0)
    return solving.maximum(solving.minimum(rows, columns), 0)


@shape_rule(
    "torch.diff(input, n=1, dim=-1, prepend=None, append=None)",
    "Tensor.diff(input, n=1, dim=-1, prepend=None, append=None)",
)
def diff(op: Op, input: Shape, n: Arg, dim: Arg, prepend: Arg, append: Arg) -> Result:
    """(\\*, size, \\*) -> (\\*, size - n, \\*)."""
    axis, by = op.axis(input, dim), op.dim(n)
    if prepend is not None or append is not None:
        return tuple(tuple.__iter__(input.replaced(axis, op.unknown(0))))
    return tuple(tuple.__iter__(input.replaced(axis, solving.maximum(input[axis] - by, 0))))


@shape_rule("torch.diag(input, diagonal=0, *, out=None)", "Tensor.diag(input, diagonal=0)")
def diag(op: Op, input: Shape, diagonal: Arg) -> Result:
    """(n,) -> a square matrix with this diagonal; a matrix -> its diagonal (torch.diag)."""
    if input.rest is not None:
        raise CannotTell(input.rest.reason)
    sizes = op.require_rank(input, 1, 2)
    if len(sizes) == 2:
        return like(input, (_diagonal(op, sizes[0], sizes[1], diagonal),))
    side = sizes[0] + _distance(op, diagonal)
    return like(input, (side, side))


def _distance(op: Op, offset: object) -> Dim:
    shift = op.dim(offset)
    return abs(shift) if isinstance(shift, int) else op.unknown(0)


@shape_rule("torch.diagflat(input, offset=0)", "Tensor.diagflat(input, offset=0)")
def diagflat(op: Op, input: Shape, offset: Arg) -> Result:
    """All elements on the diagonal of a square matrix."""
    side = dims.product(input) + _distance(op, offset)
    return like(input, (side, side))


@shape_rule(
    "torch.diag_embed(input, offset=0, dim1=-2, dim2=-1)",
    "Tensor.diag_embed(input, offset=0, dim1=-2, dim2=-1)",
)
def diag_embed(op: Op, input: Shape, offset: Arg, dim1: Arg, dim2: Arg) -> Result:
    """The last dimension becomes the diagonal of two new ones, which stand at dim1 and dim2 (torch.diag_embed)."""
    input = op.require_rank_from(input, 1)
    side = input[-1] + _distance(op, offset)
    if (dim1, dim2) in ((-2, -1), (-1, -2)):
        return like(input, (*input[:-1], side, side))
    larger = Shape((*input, 1), input.step)
    places = [op.axis(larger, dim, name) for dim, name in ((dim1, "dim1"), (dim2, "dim2"))]
    _all_different(op, larger, places, places, "dim2")
    others = iter(input[:-1])
    return like(input, [side if i in places else next(others) for i in range(len(larger))])
