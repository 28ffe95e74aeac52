"""Indexing and slicing, gather, scatter, index_select."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, Expr
from conv_lint.ops.elementwise import broadcast
from conv_lint.ops.rule import Arg, Op, Result, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown


@shape_rule("Tensor.__getitem__(input, index)")
def getitem(op: Op, input: Shape, index: Arg) -> Result:
    """``input[index]``: ints, slices, None, Ellipsis, lists and tensors, as numpy reads them."""
    op.dtype = input.dtype
    return indexed(op, input, index)


@shape_rule("Tensor.__setitem__(input, index, value)")
def setitem(op: Op, input: Shape, index: Arg, value: Arg) -> Result:
    """``input[index] = value``: value must broadcast into the part."""
    part = indexed(op, input, index)
    if isinstance(value, Shape) and value.rest is None and len(value) <= len(part):
        for a, b in zip(reversed(tuple(part)), reversed(tuple(value))):
            if isinstance(a, int) and isinstance(b, int) and b not in (1, a):
                op.fail(
                    catalogue.broadcast(
                        left=tuple(part), right=tuple(value), a=a, b=b, axis=len(part) - 1, source=op.origin(value)
                    )
                )
                break
    return input


def indexed(op: Op, input: Shape, index: Arg) -> tuple[Dim, ...]:
    """The shape of ``input[index]``."""
    parts = list(index) if isinstance(index, tuple) and not isinstance(index, Shape) else [index]
    if any(isinstance(p, Unknown) for p in parts) and not _only_numbers(parts):
        raise CannotTell("the index is not known")
    if input.rest is not None:
        return _from_right(op, input, parts)
    used = sum(_axes_used(p) for p in parts)
    if used > len(input):
        op.fail(
            catalogue.dim_range(argument="index", value=_shown(parts), given=input, source=op.origin(input)), "index"
        )
        raise CannotTell("too many indices")
    parts = _without_ellipsis(parts, len(input) - used)
    out: list[Dim] = []
    advanced: list[tuple[Dim, ...]] = []
    places: list[int] = []
    axis = 0
    for position, part in enumerate(parts):
        if part is None:
            out.append(1)
            continue
        if part is True or part is False:
            raise CannotTell("an index that is a truth value")
        size = input[axis]
        axis += _axes_used(part)
        if isinstance(part, slice):
            out.append(sliced(op, size, part))
        elif isinstance(part, (int, Expr, Unknown)):
            _in_range(op, input, axis - 1, part)
            if advanced or any(_is_advanced(p) for p in parts):
                advanced.append(())
                places.append(position)
        else:
            advanced.append(_advanced(op, part))
            if not places or places[-1] != position:
                places.append(position)
            if len(advanced) == 1:
                start = len(out)
    if advanced and any(advanced):
        adjacent = places == list(range(places[0], places[-1] + 1))
        at = _start(parts, places[0]) if adjacent else 0
        out[at:at] = _broadcast_all(op, advanced)
        del start
    return tuple(out)


def _start(parts: list[Arg], place: int) -> int:
    """How many axes of the result stand before the first advanced index."""
    return sum(1 for p in parts[:place] if p is None or isinstance(p, slice))


def _is_advanced(part: Arg) -> bool:
    return isinstance(part, (Shape, list, tuple))


def _only_numbers(parts: list[Arg]) -> bool:
    """May the unknown parts only be numbers?  One of several indices is, one alone need not be."""
    return False


def _axes_used(part: Arg) -> int:
    if part is None or part is ...:
        return 0
    if isinstance(part, Shape) and part.dtype == "bool":
        return len(part)
    return 1


def _without_ellipsis(parts: list[Arg], free: int) -> list[Arg]:
    """The parts with ``...``, or the end, replaced by so many whole slices."""
    whole: list[Arg] = [slice(None)] * free
    for position, part in enumerate(parts):
        if part is ...:
            return [*parts[:position], *whole, *parts[position + 1 :]]
    return [*parts, *whole]


def _from_right(op: Op, input: Shape, parts: list[Arg]) -> tuple[Dim, ...]:
    """An input of unknown rank: ``x[..., i]`` and ``x[..., a:b]`` on the sizes that are known."""
    if not parts or parts[0] is not ... or len(parts) - 1 > len(input.known):
        raise CannotTell(input.rest.reason if input.rest else "")
    tail = parts[1:]
    if not tail:
        return tuple(tuple.__iter__(input))
    if not all(isinstance(p, (int, slice)) for p in tail):
        raise CannotTell(input.rest.reason if input.rest else "")
    sizes = input[-len(tail) :]
    return (*input[: -len(tail)], *(sliced(op, s, p) for s, p in zip(sizes, tail) if isinstance(p, slice)))


def _in_range(op: Op, input: Shape, axis: int, index: Arg) -> None:
    size = input[axis]
    if not isinstance(index, int):
        return
    outside = dims.le(size, index) if index >= 0 else dims.lt(size, -index)
    if outside:
        op.fail(catalogue.dim_range(argument="index", value=index, given=input, source=op.origin(input, axis)), "index")


def sliced(op: Op, size: Dim, part: slice) -> Dim:
    """The size of ``[start:stop:step]`` of an axis."""
    start, stop, step = (_bound(b) for b in (part.start, part.stop, part.step))
    step = 1 if step is None else step
    if not isinstance(step, int) or step < 1:
        return op.unknown(0)
    if isinstance(size, int) and all(b is None or isinstance(b, int) for b in (start, stop)):
        return len(range(*slice(start, stop, step).indices(size)))
    first = _place(size, start, 0)
    last = _place(size, stop, size)
    if first is None or last is None:
        return op.unknown(0)
    length = last - first
    if isinstance(length, int) and length < 0:
        return 0
    return dims.ceildiv(length, step)


def _bound(value: Arg) -> Dim | None:
    if isinstance(value, Unknown):
        return value.size()
    if value is None or isinstance(value, (int, Expr)):
        return value
    raise CannotTell("a bound of a slice is not known")


def _place(size: Dim, bound: Dim | None, default: Dim) -> Dim | None:
    """Where a bound of a slice lies, counted from the left; ``None`` if it cannot be told."""
    if bound is None:
        return default
    if isinstance(bound, int) and bound < 0:
        place = size + bound
        least = dims.low(place)
        return place if least is not None and least >= 0 else None
    if dims.le(bound, size):
        return bound
    if dims.lt(size, bound):
        return size
    return None


def _advanced(op: Op, part: Arg) -> tuple[Dim, ...]:
    """The shape of a list or a tensor used as an index."""
    if isinstance(part, Shape):
        if part.dtype == "bool":
            return (op.unknown(0),)
        if part.dtype is None:
            raise CannotTell("an index that may be a mask")
        return tuple(part)
    if isinstance(part, (list, tuple)):
        if any(isinstance(v, (bool, list, tuple, Shape, Unknown)) for v in part):
            raise CannotTell("an index of which the form is not known")
        return (len(part),)
    raise CannotTell("an index that is not known")


def _broadcast_all(op: Op, shapes: list[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    out = Shape(shapes[0])
    for shape in shapes[1:]:
        out = Shape(tuple.__iter__(broadcast(op, out, Shape(shape))))
    return tuple(out)


def _shown(parts: list[Arg]) -> str:
    words = [
        ":" if isinstance(p, slice) else "..." if p is ... else "?" if isinstance(p, Unknown) else str(p) for p in parts
    ]
    return f"[{', '.join(words)}]"


# gathering --------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.gather(input, dim, index, *, sparse_grad=False, out=None)",
    "Tensor.gather(input, dim, index, *, sparse_grad=False)",
)
def gather(op: Op, input: Shape, dim: Arg, index: Shape) -> Result:
    """The shape of index."""
    op.axis(input, dim) if input.rest is None else None
    if input.rest is None and index.rest is None and len(input) != len(index):
        takes = f"an index of {len(input)} dimensions, as the input has,"
        op.fail(catalogue.rank(takes=takes, given=index, rank=len(index), source=op.origin(index)), "index")
    op.dtype = input.dtype
    return tuple(tuple.__iter__(index))


@shape_rule("torch.take_along_dim(input, indices, dim=None)", "Tensor.take_along_dim(input, indices, dim=None)")
def take_along_dim(op: Op, input: Shape, indices: Shape, dim: Arg) -> Result:
    """The shape of indices, broadcast with the input elsewhere."""
    if dim is None or dims.same(input[: op.axis(input, dim)], indices[: op.axis(input, dim)]) is not True:
        raise CannotTell("indices that are broadcast")
    op.dtype = input.dtype
    return tuple(indices)


@shape_rule(
    "torch.scatter(input, dim, index, src)", "Tensor.scatter(input, dim, index, src=None, *, value=None, reduce=None)",
    "torch.scatter_add(input, dim, index, src)", "Tensor.scatter_add(input, dim, index, src)",
    "torch.index_add(input, dim, index, source, *, alpha=1)", "Tensor.index_add(input, dim, index, source, *, alpha=1)",
    "torch.index_copy(input, dim, index, source)", "Tensor.index_copy(input, dim, index, source)",
    "torch.index_fill(input, dim, index, value)", "Tensor.index_fill(input, dim, index, value)",
)  # fmt: skip
def scatter(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same."""
    return input


@shape_rule("torch.index_select(input, dim, index, *, out=None)", "Tensor.index_select(input, dim, index)")
def index_select(op: Op, input: Shape, dim: Arg, index: Shape) -> Result:
    """(\\*) -> axis dim of the length of index."""
    axis = op.axis(input, dim)
    return input.replaced(axis, index[0] if len(index) else 1)


@shape_rule("torch.take(input, index)", "Tensor.take(input, index)")
def take(op: Op, input: Shape, index: Shape) -> Result:
    """The shape of index."""
    op.dtype = input.dtype
    return tuple(tuple.__iter__(index))


@shape_rule("torch.masked_select(input, mask, *, out=None)", "Tensor.masked_select(input, mask)")
def masked_select(op: Op, input: Shape) -> Result:
    """One axis; how long, the values tell."""
    return (op.unknown(0),)


@shape_rule("torch.nonzero(input, *, out=None, as_tuple=False)", "Tensor.nonzero(input, *, as_tuple=False)")
def nonzero(op: Op, input: Shape, as_tuple: Arg) -> Result:
    """(number of places, rank), or one tensor of places for each axis."""
    op.dtype = "int"
    if as_tuple is not False:
        many = op.unknown(0)
        return [(many,) for _ in range(len(input))]
    return (op.unknown(0), len(input))


@shape_rule(
    "torch.searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None)",
    "torch.bucketize(input, boundaries, *, out_int32=False, right=False)",
)
def searchsorted(op: Op, input: Arg) -> Result:
    """The shape of the values that are sought."""
    op.dtype = "int"
    return input if isinstance(input, Shape) else ()
