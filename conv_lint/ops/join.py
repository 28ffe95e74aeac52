"""Joining tensors and taking them apart: concatenation, stacking, splits, grids."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq
from conv_lint.ops.elementwise import both_origins, broadcast_all, shown
from conv_lint.ops.given import named
from conv_lint.ops.rule import AXES, Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import Alike, CannotTell, Rest, Shape, Unknown, any_shape

# concatenation ----------------------------------------------------------------------------------------------


@shape_rule(
    "torch.cat(tensors, dim=0, *, out=None)",
    "torch.concat(tensors, dim=0, *, out=None)",
    "torch.concatenate(tensors, dim=0, *, out=None)",
)
def cat(op: Op, tensors: Arg, dim: Arg) -> Result:
    """(\\*, n_i, \\*) -> (\\*, sum of n_i, \\*); all other sizes are the same (torch.cat)."""
    if isinstance(tensors, Alike):
        return _of_many(op, tensors.item, dim)
    return concatenated(op, members(op, tensors), dim)


def _of_many(op: Op, item: Shape, dim: object) -> Shape:
    """So many tensors as nobody knows, joined; each looks like ``item``."""
    joined = concatenated(op, [item], dim)
    axis = op.axis(item, dim) - len(item) if item.rest is None else op.dim(dim)
    assert isinstance(axis, int)
    return joined.replaced(axis, op.unknown(dims.low(item[axis])))


def concatenated(op: Op, given: Sequence[Shape | None], dim: object) -> Shape:
    """The shapes joined along ``dim``; ``None`` stands for a member of which nothing is known."""
    op.dtype = _common_kind(given)
    shapes = [s for s in given if s is None or tuple(tuple.__iter__(s)) != (0,)]
    if not shapes:
        return Shape((0,))
    full = [op.require_rank_from(s, 1) for s in shapes if s is not None and s.rest is None]
    if not full:
        return _of_unknown_rank(op, shapes, dim)
    first = full[0]
    for other in full:
        if len(other) != len(first):
            _disagree(op, first, other, (len(first), len(other)), "count", dim, None)
            raise CannotTell("tensors of different rank")
    axis = op.axis(first, dim)
    shapes = [_of_rank(op, s, len(first)) if s is not None and s.rest is not None else s for s in shapes]
    aligned = [_aligned(s, len(first)) for s in shapes]
    return _join(op, shapes, aligned, axis, dim)


def _of_rank(op: Op, shape: Shape, rank: int) -> Shape:
    """A member of unknown rank has that of the others; what was asked for its sizes before is known then."""
    if len(shape.known) > rank:
        raise CannotTell("a tensor of a higher rank than the others")
    assert shape.rest is not None
    missing = tuple(shape.rest.axis(name) for name in AXES.get(rank, ("N",) * rank)[: rank - len(shape.known)])
    op.world.settle(shape.rest, missing, False)
    return Shape(map(op.world.known, (*missing, *shape.known)), shape.step, shape.dtype)


def _aligned(shape: Shape | None, rank: int) -> list[Dim | None]:
    """The sizes of a member of this rank from the left, ``None`` where one is not known."""
    known: tuple[Dim, ...] = shape.known if shape is not None else ()
    return [*[None] * (rank - len(known)), *known]


def _join(
    op: Op, shapes: Sequence[Shape | None], aligned: Sequence[Sequence[Dim | None]], axis: int, dim: object
) -> Shape:
    """Join members of one rank, or the known ends of members of unknown rank."""
    count = len(aligned[0])
    op.made = axis - count
    out: list[Dim] = []
    reported = False
    for i in range(count):
        column = [sizes[i] for sizes in aligned]
        if i == axis:
            out.append(op.unknown(0) if None in column else _total(c for c in column if c is not None))
            continue
        holder, size = _first_known(column)
        if size is None:
            out.append(op.unknown(0))
            continue
        first = size
        for j, other in enumerate(column):
            if other is None or j == holder or op.equate(first, other) is not False:
                continue
            size = op.unknown()  # one mistake, one finding: nothing behind it is said of this size
            if reported:
                continue
            left, right = shapes[holder], shapes[j]
            assert left is not None
            assert right is not None
            _disagree(op, left, right, (first, other), i, dim, i - count)
            reported = True
        out.append(size)
    return Shape(out)


def _first_known(column: Sequence[Dim | None]) -> tuple[int, Dim | None]:
    return next(((j, size) for j, size in enumerate(column) if size is not None), (0, None))


def _total(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total


def _of_unknown_rank(op: Op, shapes: Sequence[Shape | None], dim: object) -> Shape:
    """Join members of unknown rank along a negative dimension that lies in the known part of one of them."""
    known = [s for s in shapes if s is not None]
    index = op.dim(dim)
    count = max((len(s.known) for s in known), default=0)
    if not known or not isinstance(index, int) or index >= 0 or count < -index:
        raise CannotTell("the number of dimensions")
    aligned = [_aligned(s, count) for s in shapes]
    joined = _join(op, shapes, aligned, index + count, dim)
    rests = {id(s.rest): s.rest for s in known if len(s.known) == count}
    shared = len(rests) == 1 and len(known) == len(shapes) and all(len(s.known) == count for s in known)
    rest = next(iter(rests.values())) if shared else Rest("the number of dimensions")
    return Shape((rest, *joined))  # type: ignore[arg-type]


def _disagree(
    op: Op, left: Shape, right: Shape, sizes: tuple[Dim, Dim], axis: object, dim: object, from_right: int | None
) -> None:
    source = both_origins(op, (left, from_right), (right, from_right))
    facts = {
        "dim": "?" if isinstance(dim, Unknown) else dim,
        "axis": axis,
        "a": sizes[0],
        "b": sizes[1],
        "left": shown(left),
        "right": shown(right),
        "fix": _kept_dimension(left, right),
    }
    op.fail(catalogue.concatenate(**facts, source=source), "tensors")


def _kept_dimension(left: Shape, right: Shape) -> str | None:
    """``keepdim=True`` where a maximum, a sum or the like has taken away the one dimension that is missing."""
    less, more = sorted((left, right), key=lambda shape: len(shape.known))
    if less.rest is not None or more.rest is not None or len(more) != len(less) + 1:
        return None
    step = less.step
    while step is not None and step.parents and len(step.parents[0].shape) == len(less):
        step = step.parents[0]
    if step is None or not step.parents or len(step.parents[0].shape) != len(more) or step.label not in _REDUCING:
        return None
    return f"keepdim=True in {step.label}"


_REDUCING = frozenset("max min amax amin mean sum prod std var norm median argmax argmin logsumexp".split())


#: What takes its tensors as one list; the others take each as an argument.
OF_A_LIST = frozenset(
    f"torch.{n}"
    for n in ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack")
)


def members(op: Op, tensors: object) -> list[Shape | None]:
    """The members of a list of tensors; ``None`` for one of which nothing is known.

    One tensor, or a list without any, is CONV115 (torch: ``cat(): argument 'tensors' (position 1) must be tuple of
    Tensors, not Tensor``).
    """
    takes_list = op.name in OF_A_LIST
    if isinstance(tensors, Shape) and takes_list:
        fix = f"write {op.label}([a, b], ...): parentheses around one tensor make no tuple"
        op.fail(catalogue.tensor_list(given=f"one tensor, {tensors!r}", source=op.origin(tensors), fix=fix), "tensors")
        raise CannotTell("one tensor instead of a list")
    if isinstance(tensors, Unknown) or not isinstance(tensors, (list, tuple)) or isinstance(tensors, Shape):
        raise CannotTell(tensors.reason if isinstance(tensors, Unknown) else "a list of tensors that is not known")
    if not tensors:
        if takes_list:
            op.fail(catalogue.tensor_list(given=f"an empty {type(tensors).__name__}"), "tensors")
        raise CannotTell("an empty list of tensors")
    out: list[Shape | None] = []
    for tensor in tensors:
        if not isinstance(tensor, (Shape, Unknown)):
            if takes_list and isinstance(tensor, tuple):  # the states of an LSTM, beside its output
                what, cure = named(tensor)
                op.fail(catalogue.not_a_tensor(argument="each item", what=what, kind="item", fix=cure), "tensors")
            raise CannotTell("a list of something else than tensors")
        out.append(tensor if isinstance(tensor, Shape) else None)
    return out


def _common_kind(shapes: Iterable[Shape | None]) -> str | None:
    kinds = {s.dtype if s is not None else None for s in shapes}
    return kinds.pop() if len(kinds) == 1 else "float" if "float" in kinds else None


# stacking ---------------------------------------------------------------------------------------------------


@shape_rule("torch.stack(tensors, dim=0, *, out=None)")
def stack(op: Op, tensors: Arg, dim: Arg) -> Result:
    """n tensors (\\*) -> (\\*, n, \\*), the new dimension at ``dim`` (torch.stack)."""
    shapes: Sequence[Shape | None] = [tensors.item] if isinstance(tensors, Alike) else members(op, tensors)
    count: Dim = op.unknown() if isinstance(tensors, Alike) else len(shapes)
    op.dtype = _common_kind(shapes)
    full = [s for s in shapes if s is not None and s.rest is None]
    if not full:
        return _stack_of_unknown_rank(op, shapes, count, dim)
    first = full[0]
    axis = op.axis(first, dim, extra=1)
    sizes = list(first)
    reported = False
    for other in shapes:
        if other is None or other is first or reported:
            continue
        if other.rest is None and len(other) != len(first):
            answer: bool | None = False
        else:
            pairs = zip(reversed(first), reversed(other.known))
            answer = dims.every([op.equate(a, b) for a, b in pairs])
        if answer is False:
            source = both_origins(op, (first, None), (other, None))
            op.fail(catalogue.stack_shapes(left=shown(first), right=shown(other), source=source), "tensors")
            reported = True
    return (*sizes[:axis], count, *sizes[axis:])


def _stack_of_unknown_rank(op: Op, shapes: Sequence[Shape | None], count: Dim, dim: object) -> Shape:
    known = [s for s in shapes if s is not None]
    index = op.dim(dim)
    first = max(known, key=lambda s: len(s.known), default=None)
    if first is None or not isinstance(index, int) or index >= 0 or -index > len(first.known) + 1:
        raise CannotTell("the number of dimensions")
    at = len(first.known) + 1 + index
    return Shape((first.rest, *first.known[:at], count, *first.known[at:]))  # type: ignore[arg-type]


@shape_rule("torch.hstack(tensors, *, out=None)")
def hstack(op: Op, tensors: Arg) -> Result:
    """Joined along dim 1, or along dim 0 where they are 1-D (torch.hstack)."""
    shapes = _at_least(members(op, tensors), 1)
    first = next((s for s in shapes if s is not None and s.rest is None), None)
    if first is None:
        raise CannotTell("the number of dimensions")
    return concatenated(op, shapes, 0 if len(first) == 1 else 1)


@shape_rule("torch.vstack(tensors, *, out=None)", "torch.row_stack(tensors, *, out=None)")
def vstack(op: Op, tensors: Arg) -> Result:
    """Joined along dim 0, as at least 2-D (torch.vstack)."""
    return concatenated(op, _at_least(members(op, tensors), 2), 0)


@shape_rule("torch.dstack(tensors, *, out=None)")
def dstack(op: Op, tensors: Arg) -> Result:
    """Joined along dim 2, as at least 3-D (torch.dstack)."""
    return concatenated(op, _at_least(members(op, tensors), 3), 2)


@shape_rule("torch.column_stack(tensors, *, out=None)")
def column_stack(op: Op, tensors: Arg) -> Result:
    """Joined along dim 1, vectors as columns (torch.column_stack)."""
    shapes = [_column(s) for s in members(op, tensors)]
    return concatenated(op, shapes, 1)


def _column(shape: Shape | None) -> Shape | None:
    if shape is None or shape.rest is not None or len(shape) > 1:
        return shape
    return Shape((dims.product(shape), 1), shape.step, shape.dtype)


def _at_least(shapes: Iterable[Shape | None], rank: int) -> list[Shape | None]:
    return [s if s is None or s.rest is not None else at_least(s, rank) for s in shapes]


def at_least(shape: Shape, rank: int) -> Shape:
    """(n,) -> (1, n) -> (1, n, 1), and (h, w) -> (h, w, 1) (torch.atleast_3d)."""
    sizes = tuple(shape)
    if len(sizes) < 1 <= rank:
        sizes = (1,)
    if len(sizes) < 2 <= rank:
        sizes = (1, *sizes)
    if len(sizes) < 3 <= rank:
        sizes = (*sizes, 1)
    return shape if sizes == tuple(shape) else Shape(sizes, shape.step, shape.dtype)


# taking apart -----------------------------------------------------------------------------------------------

#: Of more pieces than this nothing is said.
MOST_PIECES = 2000


def _few(count: object) -> int:
    """The number of pieces, if it is known and not beyond all bounds."""
    if not isinstance(count, int) or count > MOST_PIECES:
        raise CannotTell("the number of pieces")
    return count


@shape_rule("torch.split(tensor, split_size_or_sections, dim=0)")
def split(op: Op, tensor: Shape, split_size_or_sections: Arg, dim: Arg) -> Result:
    """Pieces of one size (the last may be smaller), or of the given sizes (torch.split)."""
    return _split(op, tensor, split_size_or_sections, dim, "split_size_or_sections")


@shape_rule("Tensor.split(input, split_size, dim=0)")
def split_method(op: Op, input: Shape, split_size: Arg, dim: Arg) -> Result:
    """The same as a method."""
    return _split(op, input, split_size, dim, "split_size")


def _split(op: Op, input: Shape, size: object, dim: object, name: str) -> list[Shape]:
    if isinstance(size, (list, tuple)):
        return pieces_of_sizes(op, input, size, dim, name)
    axis, step = op.axis(op.require_rank_from(input, 1), dim), op.dim(size)
    total = input[axis]
    negative = catalogue.argument_range(argument=name, value=step, allowed="at least 0")
    if not op.require(dims.le(0, step), negative, name):
        raise CannotTell("a negative size")
    if step == 0:
        zero = catalogue.argument_range(argument=name, value=0, allowed="at least 1")
        op.require(eq(total, 0), zero, name)
        return [input]
    if isinstance(step, int) and isinstance(total, int):
        _few(total // step)
        return [input.replaced(axis, min(step, total - start)) for start in range(0, max(total, 1), step)]
    return [input.replaced(axis, step)] * _few(dims.exact_div(total, step))


@shape_rule(
    "torch.split_with_sizes(input, split_sizes, dim=0)",
    "Tensor.split_with_sizes(input, split_sizes, dim=0)",
)
def split_with_sizes(op: Op, input: Shape, split_sizes: Arg, dim: Arg) -> Result:
    """Pieces of the given sizes."""
    return pieces_of_sizes(op, input, split_sizes, dim, "split_sizes")


def pieces_of_sizes(op: Op, input: Shape, sizes: Sequence[object], dim: object, argument: str) -> list[Shape]:
    """Pieces of the given sizes, which must add up to the size that is split."""
    if _is_outside(input, dim):
        return _vague_pieces(len(sizes))
    parts = [op.dim(s) for s in sizes]
    axis = op.axis(op.require_rank_from(input, 1), dim)
    report = catalogue.argument_range(argument=argument, value=tuple(parts), allowed="sizes of at least 0")
    if op.require(dims.every(dims.le(0, part) for part in parts), report, argument):
        total = _total(parts)
        if op.equate(total, input[axis]) is False:
            facts = {"sizes": tuple(parts), "total": total, "axis": axis, "given": input[axis]}
            op.fail(catalogue.split_sizes(**facts, source=op.origin(input, axis)), argument)
    return [input.replaced(axis, p) for p in parts]


def _is_outside(input: Shape, dim: object) -> bool:
    """Is the dimension in the part of the shape that is not known?"""
    inside = isinstance(dim, int) and -len(input.known) <= dim < 0
    return input.rest is not None and isinstance(dim, int) and not inside


def _vague_pieces(count: int) -> list[Shape]:
    """Pieces of a tensor of unknown rank."""
    return [any_shape() for _ in range(count)]


@shape_rule(
    "torch.chunk(input, chunks, dim=0)",
    "torch.unsafe_chunk(input, chunks, dim=0)",
    "Tensor.chunk(input, chunks, dim=0)",
    "Tensor.unsafe_chunk(input, chunks, dim=0)",
)
def chunk(op: Op, input: Shape, chunks: Arg, dim: Arg) -> Result:
    """Pieces of ceil(size / chunks), as many as there are (torch.chunk)."""
    count = _few(op.require_least("chunks", chunks))
    if count < 1:
        raise CannotTell("the number of pieces")
    if _is_outside(input, dim):
        return _vague_pieces(count)
    axis = op.axis(op.require_rank_from(input, 1), dim)
    total = input[axis]
    if isinstance(total, int):
        if total == 0:
            return [input] * count
        step = -(-total // count)
        return [input.replaced(axis, min(step, total - start)) for start in range(0, total, step)]
    if dims.divides(count, total):
        return [input.replaced(axis, total // count)] * count
    if count > 2 and not dims.le(count * (count - 1), total):
        raise CannotTell("a small size has fewer pieces")
    part = -(-total // count)  # so that what is left of two is total // 2
    return [*[input.replaced(axis, part)] * (count - 1), input.replaced(axis, total - (count - 1) * part)]


@shape_rule(
    "torch.tensor_split(input, indices_or_sections, dim=0)",
    "Tensor.tensor_split(input, indices_or_sections, dim=0)",
)
def tensor_split(op: Op, input: Shape, indices_or_sections: Arg, dim: Arg) -> Result:
    """Pieces that differ by at most 1, or between the given indices (torch.tensor_split)."""
    return _tensor_split(
        op, input, op.axis(op.require_rank_from(input, 1), dim), indices_or_sections, "indices_or_sections"
    )


def _tensor_split(op: Op, input: Shape, axis: int, by: object, argument: str) -> list[Shape]:
    if isinstance(by, Shape):
        raise CannotTell("indices in a tensor")
    total = input[axis]
    if isinstance(by, (list, tuple)):
        if not isinstance(total, int) or not all(isinstance(i, int) for i in by):
            return [input.replaced(axis, op.unknown(0)) for _ in range(len(by) + 1)]
        bounds = [0, *by, total]
        return [input.replaced(axis, len(range(total)[a:b])) for a, b in itertools.pairwise(bounds)]
    count = _few(op.require_least(argument, by))
    if count < 1:
        raise CannotTell("the number of pieces")
    if isinstance(total, int):
        return [input.replaced(axis, total // count + (i < total % count)) for i in range(count)]
    return [input.replaced(axis, (total + (count - 1 - i)) // count) for i in range(count)]


@shape_rule("torch.hsplit(input, indices_or_sections)", "Tensor.hsplit(input, indices_or_sections)")
def hsplit(op: Op, input: Shape, indices_or_sections: Arg) -> Result:
    """Pieces along dim 1, or along dim 0 of a vector; a number must divide the size (torch.hsplit)."""
    input = op.require_rank_from(input, 1)
    return _even_split(op, input, 0 if len(input) == 1 else 1, indices_or_sections)


@shape_rule("torch.vsplit(input, indices_or_sections)", "Tensor.vsplit(input, indices_or_sections)")
def vsplit(op: Op, input: Shape, indices_or_sections: Arg) -> Result:
    """Pieces along dim 0; a number must divide the size (torch.vsplit)."""
    return _even_split(op, op.require_rank_from(input, 2), 0, indices_or_sections)


@shape_rule("torch.dsplit(input, indices_or_sections)", "Tensor.dsplit(input, indices_or_sections)")
def dsplit(op: Op, input: Shape, indices_or_sections: Arg) -> Result:
    """Pieces along dim 2; a number must divide the size (torch.dsplit)."""
    return _even_split(op, op.require_rank_from(input, 3), 2, indices_or_sections)


def _even_split(op: Op, input: Shape, axis: int, by: object) -> list[Shape]:
    axis = op.axis(input, axis)
    if isinstance(by, int) and by > 0 and dims.divides(by, input[axis]) is False:
        allowed = f"a divisor of {dims.render(input[axis])}"
        report = catalogue.argument_range(argument="indices_or_sections", value=by, allowed=allowed)
        op.fail(report, "indices_or_sections")
    return _tensor_split(op, input, axis, by, "indices_or_sections")


@shape_rule("torch.unbind(input, dim=0)", "Tensor.unbind(input, dim=0)")
def unbind(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*, n, \\*) -> n times (\\*) (torch.unbind)."""
    input = op.require_rank_from(input, 1)
    axis = op.axis(input, dim)
    count = _few(input[axis])
    sizes = list(tuple.__iter__(input))
    del sizes[axis]
    return [Shape(sizes, input.step, input.dtype)] * count


# grids and broadcasts ---------------------------------------------------------------------------------------


@shape_rule("torch.meshgrid(*tensors, indexing=None)")
def meshgrid(op: Op, tensors: Arg, indexing: Arg) -> Result:
    """(n_1,), ..., (n_k,) -> k times (n_1, ..., n_k); "xy" swaps the first two (torch.meshgrid)."""
    shapes = members(op, _unwrapped(tensors))
    sizes: list[Dim] = []
    for shape in shapes:
        if shape is None:
            sizes.append(op.unknown(0))
        elif shape.rest is not None:
            sizes.append(shape.known[-1] if shape.known else op.unknown(0))
        else:
            sizes.append(dims.product(op.require_rank(shape, 0, 1)))
    if isinstance(indexing, Unknown):
        raise CannotTell(indexing.reason)
    if indexing not in (None, "ij", "xy"):
        raise CannotTell("another indexing")
    if indexing == "xy" and len(sizes) > 1:
        sizes[0], sizes[1] = sizes[1], sizes[0]
    return tuple(Shape(sizes, s.step if s is not None else None, s.dtype if s is not None else None) for s in shapes)


@shape_rule("torch.broadcast_tensors(*tensors)")
def broadcast_tensors(op: Op, tensors: Arg) -> Result:
    """Each expanded to the common shape (torch.broadcast_tensors)."""
    given = _unwrapped(tensors)
    shape = broadcast_all(op, members(op, given))
    return tuple(Shape(tuple.__iter__(shape), s.step, s.dtype) for s in given)


@shape_rule("torch.cartesian_prod(*tensors)")
def cartesian_prod(op: Op, tensors: Arg) -> Result:
    """(n_1,), ..., (n_k,) -> (product of n_i, k); one alone stays as it is (torch.cartesian_prod)."""
    vectors = [_vector(op, shape) for shape in members(op, tensors)]
    op.dtype = _common_kind(vectors)
    rows = dims.product(vector[0] for vector in vectors)
    return (rows,) if len(vectors) == 1 else (rows, len(vectors))


def _vector(op: Op, shape: Shape | None) -> Shape:
    return Shape((op.unknown(0),)) if shape is None or shape.rest is not None else op.require_rank(shape, 1)


@shape_rule("torch.combinations(input, r=2, with_replacement=False)")
def combinations(op: Op, input: Shape, r: Arg, with_replacement: Arg) -> Result:
    """(n,) -> (number of choices of r, r) (torch.combinations)."""
    count, size = _vector(op, input)[0], op.require_least("r", r, 0)
    if not isinstance(size, int) or size < 0:
        raise CannotTell("the size of the combinations")
    if size == 0:
        return (0,)
    if not isinstance(count, int) or isinstance(with_replacement, Unknown) or count > MOST_PIECES:
        return (op.unknown(0), size)
    return (math.comb(count + size - 1 if with_replacement and count else count, size), size)


@shape_rule("torch.block_diag(*tensors)")
def block_diag(op: Op, tensors: Arg) -> Result:
    """Matrices (n_i, m_i) -> (sum of n_i, sum of m_i); a vector is one row (torch.block_diag)."""
    matrices: list[Shape] = []
    for shape in members(op, tensors):
        if shape is None or shape.rest is not None:
            matrices.append(Shape((op.unknown(0), op.unknown(0))))
        else:
            matrices.append(at_least(op.require_rank(shape, 0, 1, 2), 2))
    return (_total(m[0] for m in matrices), _total(m[1] for m in matrices))


def _unwrapped(tensors: Arg) -> Arg:
    """``f(a, b)`` and ``f([a, b])`` are the same."""
    alone = len(tensors) == 1 and not isinstance(tensors[0], Shape)
    return tensors[0] if alone else tensors
