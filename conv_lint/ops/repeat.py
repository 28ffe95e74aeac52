"""More of the same elements: expand, repeat, tile, repeat_interleave, and views with strides of their own."""

from __future__ import annotations

from collections.abc import Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq
from conv_lint.ops.elementwise import shown, stretches
from conv_lint.ops.rearrange import like, sizes_of
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Rest, Shape, Unknown

# expand -----------------------------------------------------------------------------------------------------


@shape_rule(
    "Tensor.expand(input, *size, implicit=False)",
    "torch.broadcast_to(input, size)",
    "Tensor.broadcast_to(input, size)",
)
def expand(op: Op, input: Shape, size: Arg) -> Result:
    """Sizes of 1 stretch, -1 keeps a size, new dimensions stand in front (torch.Tensor.expand)."""
    return expanded(op, input, sizes_of(op, size), "size")


@shape_rule("Tensor.expand_as(input, other)")
def expand_as(op: Op, input: Shape, other: Shape) -> Result:
    """(\\*) to the shape of ``other``."""
    if other.rest is not None:
        return like(input, tuple.__iter__(other))
    return expanded(op, input, tuple(other), "other")


def expanded(op: Op, input: Shape, target: tuple[Dim, ...], at: str) -> Shape:
    """The shape ``target`` with each -1 worked out.  A size that is neither 1 nor the one that is wanted is CONV205."""
    _require_no_more(op, input, len(target), "sizes")
    out: list[Dim] = []
    for axis, wanted in enumerate(target):
        place = axis - len(target)
        given = input.known[place] if -place <= len(input.known) else None
        if isinstance(wanted, int) and wanted < 0:
            out.append(_kept(op, input, given, wanted, at))
            continue
        out.append(wanted)
        if given is not None and eq(given, wanted) is False and stretches(given) is False:
            facts = {"left": shown(input), "right": target, "a": given, "b": wanted, "axis": axis}
            op.fail(catalogue.broadcast(**facts, source=op.origin(input, place)), at)
            break
    return like(input, (*out, *target[len(out) :]))


def _kept(op: Op, input: Shape, given: Dim | None, wanted: int, at: str) -> Dim:
    """The size for a -1: of a dimension that the input must have."""
    if wanted == -1 and given is not None:
        return given
    if wanted < -1 or input.rest is None:
        allowed = "at least 0 for a new dimension" if given is None else "at least 0, or -1 to keep a size"
        op.fail(catalogue.argument_range(argument=at, value=wanted, allowed=allowed), at)
    return op.unknown(0)


def _require_no_more(op: Op, input: Shape, count: int, what: str) -> None:
    """There must be a number for each dimension that is known."""
    known = len(input.known)
    if known <= count:
        return
    if input.rest is not None:  # in a branch for another number of dimensions
        raise CannotTell(input.rest.reason)
    words = f"at most as many dimensions as {what}, which are {count},"
    op.fail(catalogue.rank(takes=words, given=shown(input), rank=known, source=op.origin(input)))
    raise CannotTell(f"too few {what}")


# repeat -----------------------------------------------------------------------------------------------------


@shape_rule("Tensor.repeat(input, *repeats)")
def repeat(op: Op, input: Shape, repeats: Arg) -> Result:
    """Each size so many times; numbers in front make new dimensions (torch.Tensor.repeat)."""
    times = sizes_of(op, repeats)
    _require_no_more(op, input, len(times), "repeats")
    _require_counts(op, times, "repeats")
    known = _aligned(op, input, len(times))
    return like(input, [size * n for size, n in zip(known, times)])


@shape_rule("torch.tile(input, dims)", "Tensor.tile(input, *dims)")
def tile(op: Op, input: Shape, dims: Arg) -> Result:
    """Each size so many times; where numbers are missing in front they are 1 (torch.tile)."""
    times = sizes_of(op, dims)
    _require_counts(op, times, "dims")
    if input.rest is None:
        count = max(len(times), len(input))
        padded = (*(1,) * (count - len(times)), *times)
        return like(input, [size * n for size, n in zip(_aligned(op, input, count), padded)])
    known = input.known
    padded = (*(1,) * len(known), *times)[-len(known) :] if known else ()
    rest = input.rest if len(times) <= len(known) else Rest(input.rest.reason)
    return like(input, (rest, *(size * n for size, n in zip(known, padded))))


def _require_counts(op: Op, times: Sequence[Dim], argument: str) -> None:
    report = catalogue.argument_range(argument=argument, value=tuple(times), allowed="numbers of at least 0")
    if not op.require(dims.every(dims.le(0, n) for n in times), report, argument):
        raise CannotTell("a negative number of repeats")


def _aligned(op: Op, input: Shape, count: int) -> list[Dim]:
    """``count`` sizes from the right: 1 where a dimension is missing, unknown where it may be."""
    missing = count - len(input.known)
    fill = [1] * missing if input.rest is None else [op.unknown(0) for _ in range(missing)]
    return [*fill, *input.known]


@shape_rule(
    "torch.repeat_interleave(input, repeats=None, dim=None, *, output_size=None)",
    "Tensor.repeat_interleave(input, repeats, dim=None, *, output_size=None)",
)
def repeat_interleave(op: Op, input: Shape, repeats: Arg, dim: Arg, output_size: Arg) -> Result:
    """Each element along ``dim`` so many times; without ``dim`` the elements of all (torch.repeat_interleave)."""
    if repeats is None:
        op.dtype = "int"
        return (op.unknown(0) if output_size is None else op.dim(output_size),)
    if dim is None:
        input, axis = like(input, [dims.product(input)]), 0
    else:
        axis = op.axis(op.require_rank_from(input, 1), dim)
    return input.replaced(axis, _interleaved(op, input[axis], repeats, output_size))


def _interleaved(op: Op, size: Dim, repeats: object, output_size: object) -> Dim:
    if isinstance(repeats, (list, tuple)) and not isinstance(repeats, Shape):
        repeats = Shape((len(repeats),))
    if isinstance(repeats, Shape):
        counts = op.require_rank(repeats, 0, 1) if repeats.rest is None else repeats
        if counts.rest is None and len(counts) == 1 and counts[0] != 1:
            report = catalogue.parameter_shape(argument="repeats", given=tuple(counts), takes=(size,))
            op.require(None if stretches(counts[0]) is not False else eq(counts[0], size), report, "repeats")
        return op.unknown(0) if output_size is None else op.dim(output_size)
    times = op.require_least("repeats", repeats, 0)
    return op.unknown(0) if dims.lt(times, 0) else size * times


# strides ----------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.as_strided(input, size, stride, storage_offset=None)",
    "Tensor.as_strided(input, size, stride, storage_offset=None)",
)
def as_strided(op: Op, input: Shape, size: Arg, stride: Arg) -> Result:
    """A view of the memory of this size (torch.as_strided)."""
    sizes = sizes_of(op, (size,))
    if not isinstance(stride, Unknown):
        steps = sizes_of(op, (stride,))
        problem = f"size has {len(sizes)} numbers but stride has {len(steps)}"
        op.require(len(steps) == len(sizes), catalogue.call_signature(problem=problem), "stride")
    return like(input, sizes)
