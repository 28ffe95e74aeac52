"""Parts of a tensor: indexing and slicing, gather, scatter, index_select, masks.

Where torch and numpy differ, torch is followed: a number (also one in a tensor) takes its dimension away first, and
only lists and tensors are broadcast together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim, Expr
from conv_lint.ops.elementwise import broadcast, broadcast_all, kind, shown, stretches
from conv_lint.ops.rearrange import like
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Choice, External, Real, Rest, Shape, Unknown

# reading and writing a part ---------------------------------------------------------------------------------


@shape_rule("Tensor.__getitem__(input, index)")
def getitem(op: Op, input: Shape, index: Arg) -> Result:
    """``input[index]``: numbers, slices, None, Ellipsis, lists and tensors (torch docs, "Indexing, Slicing")."""
    op.dtype = input.dtype
    return indexed(op, input, index)


@shape_rule("Tensor.__setitem__(input, index, value)")
def setitem(op: Op, input: Shape, index: Arg, value: Arg) -> Result:
    """``input[index] = value``: the value must broadcast into the part; dimensions of 1 in front of it do no harm."""
    try:
        part = Shape(indexed(op, input, index))
    except CannotTell:
        return input
    if isinstance(value, Shape) and part.rest is None:
        _require_fits(op, part, value)
    return input


def _require_fits(op: Op, part: Shape, value: Shape) -> None:
    for axis, given in zip(range(-1, -len(value.known) - 1, -1), reversed(value.known)):
        size = part[axis] if -axis <= len(part) else 1
        if dims.eq(size, given) is False and stretches(given) is False:
            facts = {"left": shown(part), "right": shown(value), "a": size, "b": given, "axis": len(part) + axis}
            op.fail(catalogue.broadcast(**facts, source=op.origin(value, axis)), "value")
            return


# the parts of an index --------------------------------------------------------------------------------------


def indexed(op: Op, input: Shape, index: Arg) -> tuple[Dim, ...]:
    """The shape of ``input[index]``."""
    parts = _parts(index)
    used = sum(map(_axes_used, parts))
    if input.rest is not None and not input.rest.varies and _names_all(parts):
        input = op.require_rank(input, used)
    if input.rest is not None:
        return _of_unknown_rank(op, input, parts)
    if used > len(input):
        shown = _shown(parts)
        facts = {"argument": "index", "value": shown, "given": input, "source": op.origin(input)}
        # As torch itself advises: "Use `tensor.item()` in Python".
        fix = f".item() instead of {shown}, it is one number" if not len(input) else None
        op.fail(catalogue.dim_range(**facts, fix=fix), "index")
        raise CannotTell("too many indices")
    at = _ellipsis(parts)
    return _applied(op, input, [*parts[:at], *[slice(None)] * (len(input) - used), *parts[at + 1 :]])


def _parts(index: Arg) -> list[Arg]:
    """The index for each dimension; whatever may be of another kind than it looks cannot be told."""
    several = isinstance(index, tuple) and not isinstance(index, Shape)
    parts = [None if _is_newaxis(p) else p for p in (index if several else (index,))]
    if not several and isinstance(index, list) and any(isinstance(v, (list, tuple, slice)) for v in index):
        raise CannotTell("a list that may stand for several indices")
    for part in parts:
        _require_clear(part)
    if parts.count(...) > 1:
        raise CannotTell("an index with two ellipses")
    return parts


def _is_newaxis(part: Arg) -> bool:
    return isinstance(part, External) and part.name.endswith(".newaxis")


def _require_clear(part: Arg) -> None:
    """Raise where the kind of index is not known: an unknown may be a number, a slice or a mask."""
    if isinstance(part, Shape):
        if part.dtype is None or (part.dtype == "bool" and part.rest is None and not len(part)):
            raise CannotTell("an index that may be a mask")
        if part.dtype not in ("int", "bool"):
            raise CannotTell("an index that is no whole number")
    elif isinstance(part, (list, tuple)):
        _listed(part)
    elif not (part is None or part is ... or isinstance(part, slice) or _is_number(part)):
        raise CannotTell(part.reason if isinstance(part, Unknown) else "an index that is not known")


def _is_number(part: Arg) -> bool:
    """A number takes its dimension away, also one that stands in a tensor."""
    if isinstance(part, Shape):
        return part.dtype == "int" and part.rest is None and not len(part)
    if isinstance(part, Expr):  # arithmetic on something unknown may be of tensors or arrays as well
        return any(symbol.low is not None for symbol in part.symbols)
    return isinstance(part, (int, Choice)) and not isinstance(part, bool)


def _listed(numbers: Sequence[Arg]) -> tuple[int, ...]:
    """The shape of nested lists of numbers."""
    inner: set[tuple[int, ...]] = set()
    for number in numbers:
        if isinstance(number, (list, tuple)) and not isinstance(number, Shape):
            inner.add(_listed(number))
        elif _is_number(number):
            inner.add(())
        else:
            raise CannotTell("a list of which the numbers are not known")
    if len(inner) > 1:
        raise CannotTell("a list of lists of different lengths")
    return (len(numbers), *(inner.pop() if inner else ()))


def _axes_used(part: Arg) -> int:
    if part is None or part is ...:
        return 0
    return len(part) if isinstance(part, Shape) and part.dtype == "bool" else 1


def _ellipsis(parts: Sequence[Arg]) -> int:
    return next((i for i, part in enumerate(parts) if part is ...), len(parts))


def _names_all(parts: Sequence[Arg]) -> bool:
    """Does an index name every dimension, as far as one can see: ``[:, :, None, None]``, ``[:, None, :]``,
    ``[:, :, :h, :w]``?

    For a dimension that is kept as it is, behind all that changes, nobody writes a colon, nor a None in front of it.
    ``[:, :, :, :w]`` may cut pictures or clips.
    """
    if not all(part is None or isinstance(part, slice) for part in parts):
        return False
    axes = [part for part in parts if part is not None]
    if parts[-2:] == [None, None]:
        return len(axes) > 1
    whole = slice(None)
    if parts[-1:] == [whole]:
        return None in parts[1:]
    return len(axes) > 3 and None not in parts and axes[:2] == [whole, whole] and axes[2] != whole


def _shown(parts: Sequence[Arg]) -> str:
    return f"[{', '.join(map(_word, parts))}]"


def _word(part: Arg) -> str:
    if isinstance(part, slice):
        bounds = ["" if b is None else _word(b) for b in (part.start, part.stop, part.step)]
        return ":".join(bounds if part.step is not None else bounds[:2])
    return "..." if part is ... else "?" if isinstance(part, Unknown) else str(part)


# a known rank -----------------------------------------------------------------------------------------------


def _applied(op: Op, input: Shape, parts: Sequence[Arg]) -> tuple[Dim, ...]:
    """One part for each dimension.  The dimensions of lists and tensors become one block, which stands where they
    stood if they are neighbours and first if they are not."""
    sizes: list[Dim | None] = []  # None: a dimension that belongs to the block
    block: dict[int, Arg] = {}
    axis = 0
    for part in parts:
        if part is None:
            sizes.append(1)
            continue
        if isinstance(part, slice):
            sizes.append(sliced(op, input[axis], part))
        elif _is_number(part):
            _require_inside(op, input, axis, part)
        else:
            block[axis] = part
            sizes += [None] * _axes_used(part)
        axis += _axes_used(part)
    kept = [size for size in sizes if size is not None]
    if not block:
        return tuple(kept)
    places = [i for i, size in enumerate(sizes) if size is None]
    at = places[0] if places[-1] - places[0] < len(places) else 0
    together = broadcast_all(op, [_block(op, input, axis, part) for axis, part in block.items()])
    if together.rest is not None and at:
        raise CannotTell(together.rest.reason)
    result = (*kept[:at], *tuple.__iter__(together), *kept[at:])
    _require_places(op, input, block, together, result)
    return result


def _require_inside(op: Op, input: Shape, axis: int, index: Arg) -> None:
    """A number must lie within the size of its dimension."""
    size = input[axis]
    if isinstance(index, Shape) and size == 0 and all(isinstance(d, int) and d > 0 for d in index):
        _outside(op, input, axis, "0")
    if not isinstance(index, int):
        return
    if dims.le(size, index) if index >= 0 else dims.lt(size, -index):
        _outside(op, input, axis, index)


def _outside(op: Op, input: Shape, axis: int, index: Arg) -> None:
    report = catalogue.dim_range(argument="index", value=index, given=input, source=op.origin(input, axis))
    op.fail(report, "index")


def _require_places(op: Op, input: Shape, block: Mapping[int, Arg], together: Shape, result: tuple[Dim, ...]) -> None:
    """The numbers of a list must lie within the size; where nothing is left of the result, torch does not look."""
    if together.rest is not None or 0 in tuple(together):
        return
    for axis, part in block.items():
        if isinstance(part, Shape):
            if part.dtype == "int" and input[axis] == 0 and all(isinstance(d, int) for d in together):
                _outside(op, input, axis, f"of shape {part!r}")
        elif input[axis] == 0:
            _outside(op, input, axis, part)
        elif dims.every(dims.le(1, size) for size in result):
            for number in part:
                _require_inside(op, input, axis, number)


def _block(op: Op, input: Shape, axis: int, part: Arg) -> Shape:
    """The shape that a list or a tensor of places, or a mask, puts in the place of its dimensions."""
    if not isinstance(part, Shape):
        return Shape(_listed(part))
    if part.dtype != "bool":
        return part
    masked = input[axis : axis + len(part)]
    report = catalogue.parameter_shape(argument="the mask", given=part, takes=Shape(masked))
    op.require(dims.same(part, masked), report, "index")
    return Shape((op.counted(),))


def sliced(op: Op, size: Dim, part: slice) -> Dim:
    """The size of ``[start:stop:step]`` of a dimension."""
    wrong = next((b for b in (part.start, part.stop, part.step) if isinstance(b, (float, Real))), None)
    if wrong is not None:
        shown = wrong.text if isinstance(wrong, Real) else wrong
        op.fail(catalogue.whole_number(argument="bound", value=shown, fix=catalogue.ROUND, number=wrong), "index")
    start, stop, step = (_bound(b) for b in (part.start, part.stop, part.step))
    step = 1 if step is None else step
    if step == -1 and part.start is None and part.stop is None:
        return size  # of an array; torch takes no negative steps
    if start is Ellipsis or stop is Ellipsis or not isinstance(step, (int, Expr)) or not dims.le(1, step):
        return op.unknown(0)
    first, last = _place(size, start, 0), _place(size, stop, size)
    if first is None or last is None:
        width = stop - start if isinstance(start, Expr) and isinstance(stop, Expr) else 0
        if isinstance(width, int) and width > 0 and dims.le(0, start) and dims.le(width, size) is not False:
            return dims.ceildiv(width, step)  # a window, ``[i : i + 8]``, that does not reach beyond the end
        return op.unknown(0)
    return dims.ceildiv(solving.maximum(last - first, 0), step)


def _bound(value: Arg) -> Arg:
    """A bound of a slice; an Ellipsis where it is not known."""
    if isinstance(value, Unknown):
        return value.size()
    if isinstance(value, Shape) and value.number is not None:
        return value.number
    return value if value is None or isinstance(value, (int, Expr)) else ...


def _place(size: Dim, bound: Dim | None, default: Dim) -> Dim | None:
    """Where a bound of a slice lies, counted from the left; ``None`` if it cannot be told."""
    if bound is None:
        return default
    if dims.lt(bound, 0):
        bound = size + bound
        if dims.le(bound, 0):
            return 0
    if not dims.le(0, bound):
        return None
    if dims.le(bound, size):
        return bound
    return size if dims.le(size, bound) else None


# an unknown rank --------------------------------------------------------------------------------------------


def _of_unknown_rank(op: Op, input: Shape, parts: Sequence[Arg]) -> tuple[Dim, ...]:
    """What stands left of ``...`` changes leading dimensions only; what stands right of it, dimensions that may be
    known."""
    at = _ellipsis(parts)
    left, right = parts[:at], parts[at + 1 :]
    if all(part == slice(None) for part in left if part is not ...) and not right:
        return tuple(tuple.__iter__(input))
    assert input.rest is not None
    known, reason = list(input.known), input.rest.reason
    used = sum(map(_axes_used, right))
    if used > len(known) or not all(p is None or isinstance(p, slice) or _is_number(p) for p in right):
        return (Rest(reason), *_untouched(known, parts, reason))  # type: ignore[arg-type]
    cut = len(known) - used
    tail = _applied(op, Shape(known[cut:], input.step), right)
    if not left:
        return (input.rest, *known[:cut], *tail)  # type: ignore[arg-type]
    kept = (*known[sum(map(_axes_used, left)) : cut], *tail) or _untouched(known, parts, reason)
    return (Rest(reason), *kept)  # type: ignore[arg-type]


def _untouched(known: Sequence[Dim], parts: Sequence[Arg], reason: str) -> Sequence[Dim]:
    """The last of the known sizes, where the last parts keep whole dimensions, ``[:, 0, :]``: those are the last ones,
    or there are others behind them that are kept as well."""
    whole = 0
    while whole < len(parts) and parts[-1 - whole] == slice(None):
        whole += 1
    if not known or not whole:
        raise CannotTell(reason)
    return known[-whole:]


# gathering --------------------------------------------------------------------------------------------------


def _require_index(op: Op, input: Shape, dim: Arg, index: Shape, src: Arg = None) -> None:
    """The index must have the input's dimensions and, ``dim`` aside, at most its sizes; and at most those of src."""
    if input.rest is not None:
        return
    axis = op.axis(input, dim)
    if index.rest is not None or 0 in tuple(index):  # of an empty index torch asks no more
        return
    _require_same_rank(op, input, index, "index")
    _require_at_most(op, index, input, [i for i in range(len(index)) if i != axis], "the input")
    if isinstance(src, Shape) and src.rest is None:
        _require_same_rank(op, index, src, "src")
        _require_at_most(op, index, src, range(len(index)), "src")


def _require_same_rank(op: Op, input: Shape, other: Shape, argument: str) -> None:
    count = max(len(input), 1)
    if max(len(other), 1) == count:
        return
    takes = f"an argument {argument} of {count} dimension{'s' * (count != 1)}"
    op.fail(catalogue.rank(takes=takes, given=other, rank=len(other), source=op.origin(other)), argument)
    raise CannotTell(f"{argument} has another number of dimensions")


def _require_at_most(op: Op, index: Shape, limit: Shape, axes: Sequence[int], what: str) -> None:
    for axis in axes:
        most = limit[axis] if len(limit) else 1
        takes = f"at most the {dims.render(most)} of {what} in dimension {axis}"
        report = catalogue.parameter_shape(argument="index", given=index, takes=takes)
        if not op.require(dims.le(index[axis], most), report, "index"):
            return


@shape_rule(
    "torch.gather(input, dim, index, *, sparse_grad=False, out=None)",
    "Tensor.gather(input, dim, index, *, sparse_grad=False)",
)
def gather(op: Op, input: Shape, dim: Arg, index: Shape) -> Result:
    """The shape of index (torch.gather)."""
    _require_index(op, input, dim, index)
    op.dtype = input.dtype
    return tuple(tuple.__iter__(index))


@shape_rule("torch.take_along_dim(input, indices, dim=None)", "Tensor.take_along_dim(input, indices, dim=None)")
def take_along_dim(op: Op, input: Shape, indices: Shape, dim: Arg) -> Result:
    """The size of indices at dim, both broadcast together elsewhere (torch.take_along_dim)."""
    op.dtype = input.dtype
    if dim is None:
        return (dims.product(indices),)
    input = op.require_rank_from(input, 1)
    axis = op.axis(input, dim)
    if input.rest is None and indices.rest is None and len(input) != len(indices):
        takes = f"indices of {len(input)} dimension{'s' * (len(input) != 1)}"
        op.fail(catalogue.rank(takes=takes, given=indices, rank=len(indices), source=op.origin(indices)), "indices")
        raise CannotTell("indices of another number of dimensions")
    out = broadcast(op, input.replaced(axis, 1), indices.replaced(axis, 1))
    return tuple(out.replaced(axis, indices[axis]))


@shape_rule(
    "torch.scatter(input, dim, index, src=None, *, value=None, reduce=None, out=None)",
    "Tensor.scatter(input, dim, index, src=None, *, value=None, reduce=None)",
    "torch.scatter_add(input, dim, index, src)",
    "Tensor.scatter_add(input, dim, index, src)",
    "torch.scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
    "Tensor.scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
)
def scatter(op: Op, input: Shape, dim: Arg, index: Shape, src: Arg) -> Result:
    """(\\*) to the same (torch.scatter)."""
    _require_index(op, input, dim, index, src)
    return input


@shape_rule("torch.index_select(input, dim, index, *, out=None)", "Tensor.index_select(input, dim, index)")
def index_select(op: Op, input: Shape, dim: Arg, index: Shape) -> Result:
    """Dimension dim gets the length of index (torch.index_select)."""
    axis = op.axis(input, dim)
    if index.rest is not None:
        return input.replaced(axis, op.unknown(0)) if input.known else input
    count = op.require_rank(index, 0, 1)
    if input.rest is None and not len(input):
        report = catalogue.parameter_shape(argument="index", given=index, takes="one place for a number")
        op.require(dims.eq(dims.product(count), 1), report, "index")
        return input
    return input.replaced(axis, count[0] if len(count) else 1)


@shape_rule(
    "torch.index_add(input, dim, index, source, *, alpha=1)",
    "Tensor.index_add(input, dim, index, source, *, alpha=1)",
    "torch.index_copy(input, dim, index, source)",
    "Tensor.index_copy(input, dim, index, source)",
    "torch.index_reduce(input, dim, index, source, reduce, *, include_self=True)",
    "Tensor.index_reduce(input, dim, index, source, reduce, *, include_self=True)",
)
def index_add(op: Op, input: Shape, dim: Arg, index: Shape, source: Arg) -> Result:
    """(\\*) to the same; source has the input's sizes, but at dim the length of index (torch.Tensor.index_add_)."""
    if input.rest is not None:
        return input
    axis = op.axis(input, dim)
    count = op.require_rank(index, 0, 1) if index.rest is None else None
    if count is None or not len(input) or not isinstance(source, Shape) or source.rest is not None or not len(source):
        return input
    takes = input.replaced(axis, count[0] if len(count) else 1)
    report = catalogue.parameter_shape(argument="source", given=source, takes=takes)
    op.require(dims.same(source, takes), report, "source")
    return input


@shape_rule(
    "torch.index_fill(input, dim, index, value)",
    "Tensor.index_fill(input, dim, index, value)",
    "torch.select_scatter(input, src, dim, index)",
    "Tensor.select_scatter(input, src, dim, index)",
    "torch.slice_scatter(input, src, dim=0, start=None, end=None, step=1)",
    "Tensor.slice_scatter(input, src, dim=0, start=None, end=None, step=1)",
)
def index_fill(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same."""
    if input.rest is None:
        op.axis(input, dim)
    return input


@shape_rule(
    "torch.index_put(input, indices, values, accumulate=False)",
    "Tensor.index_put(input, indices, values, accumulate=False)",
    "Tensor.put(input, index, source, accumulate=False)",
)
def index_put(op: Op, input: Shape) -> Result:
    """(\\*) to the same."""
    return input


@shape_rule("torch.take(input, index)", "Tensor.take(input, index)")
def take(op: Op, input: Shape, index: Shape) -> Result:
    """The shape of index."""
    op.dtype = input.dtype
    return tuple(tuple.__iter__(index))


# masks and values -------------------------------------------------------------------------------------------


@shape_rule("torch.masked_select(input, mask, *, out=None)", "Tensor.masked_select(input, mask)")
def masked_select(op: Op, input: Shape, mask: Shape) -> Result:
    """One dimension; how long it is, the values tell.  The two are broadcast together (torch.masked_select)."""
    broadcast(op, input, mask)
    op.dtype = input.dtype
    return (op.counted(),)


@shape_rule("torch.masked_scatter(input, mask, source)", "Tensor.masked_scatter(input, mask, source)")
def masked_scatter(op: Op, input: Shape, mask: Shape) -> Result:
    """Input and mask, broadcast together (torch.masked_scatter)."""
    return like(input, tuple.__iter__(broadcast(op, input, mask)))


@shape_rule(
    "torch.nonzero(input, *, out=None, as_tuple=False)",
    "Tensor.nonzero(input, *, as_tuple=False)",
    "torch.argwhere(input)",
    "Tensor.argwhere(input)",
)
def nonzero(op: Op, input: Shape, as_tuple: Arg = False) -> Result:
    """(number of places, rank), or for each dimension one tensor of places (torch.nonzero)."""
    op.dtype = "int"
    if isinstance(as_tuple, Unknown):
        raise CannotTell(as_tuple.reason)
    many = op.counted()
    if as_tuple:
        return [(many,) for _ in range(max(len(input), 1))]
    return (many, len(input) if input.rest is None else op.unknown(0))


@shape_rule("torch.where(condition, input=None, other=None, *, out=None)", "Tensor.where(input, condition, other)")
def where(op: Op, condition: Arg, input: Arg, other: Arg) -> Result:
    """(\\*), (\\*) and (\\*) to what they broadcast to; of a condition alone, the places where it holds."""
    if input is None and other is None:
        return nonzero(op, condition, as_tuple=True)
    op.dtype = kind((input, other))
    return broadcast_all(op, (condition, input, other))


@shape_rule(
    "torch.searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None)",
    "torch.bucketize(input, boundaries, *, out_int32=False, right=False)",
)
def searchsorted(op: Op, input: Arg) -> Result:
    """The shape of the values that are sought."""
    op.dtype = "int"
    if isinstance(input, Unknown):
        raise CannotTell(input.reason)
    return tuple(tuple.__iter__(input)) if isinstance(input, Shape) else ()
