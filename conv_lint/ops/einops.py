"""einops: rearrange, reduce, repeat, einsum, pack, unpack, parse_shape and the layers Rearrange and Reduce.

Patterns are read in :mod:`.einops_pattern`; here they meet shapes.  ``b c (h p) -> b (c p) h`` splits dimension 2
into h and p, of which all but one length must be given, and multiplies the lengths of each group on the right.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, divides, eq, product, rejoined
from conv_lint.ops.einops_pattern import (
    ELLIPSIS,
    REDUCTIONS,
    Axis,
    Group,
    Number,
    Pattern,
    PatternError,
    Side,
    is_axis_name,
    parse,
    parse_side,
    split,
    write,
)
from conv_lint.ops.rule import Op, Plain
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Dict, List, Rest, Shape, any_shape

# rearrange, reduce, repeat ----------------------------------------------------------------------------------


@shape_rule("einops.rearrange(tensor, pattern, **axes_lengths)")
def rearrange(op: Op, tensor: Arg, pattern: Arg, axes_lengths: Arg) -> Result:
    """The same elements under other axes."""
    return _transformed(op, _stacked(op, tensor), pattern, "rearrange", axes_lengths)


@shape_rule("einops.repeat(tensor, pattern, **axes_lengths)")
def repeat(op: Op, tensor: Arg, pattern: Arg, axes_lengths: Arg) -> Result:
    """New axes, named with a length or written as a number, may stand on the right."""
    return _transformed(op, _stacked(op, tensor), pattern, "repeat", axes_lengths)


@shape_rule("einops.reduce(tensor, pattern, reduction, **axes_lengths)")
def reduce(op: Op, tensor: Arg, pattern: Arg, reduction: Arg, axes_lengths: Arg) -> Result:
    """Axes that stand on the left only are reduced away."""
    input = _stacked(op, tensor)
    if reduction in ("rearrange", "repeat"):
        return _transformed(op, input, pattern, reduction, axes_lengths)
    _check_reduction(op, reduction)
    if reduction in ("any", "all"):
        op.dtype = "bool"
    return _transformed(op, input, pattern, "reduce", axes_lengths)


@layer_rule("einops.layers.torch.Rearrange(pattern, **axes_lengths)")
def rearrange_layer(op: Op, pattern: Arg, axes_lengths: Arg) -> Result:
    """The pattern is read at construction; the lengths are kept as pairs."""
    _parsed(op, pattern, "rearrange", axes_lengths)
    return {"axes_lengths": tuple(axes_lengths.items())}


@layer_rule("einops.layers.torch.Reduce(pattern, reduction, **axes_lengths)")
def reduce_layer(op: Op, pattern: Arg, reduction: Arg, axes_lengths: Arg) -> Result:
    """The pattern is read at construction; the lengths are kept as pairs."""
    _check_reduction(op, reduction)
    _parsed(op, pattern, "reduce", axes_lengths)
    return {"axes_lengths": tuple(axes_lengths.items())}


@shape_rule("einops.layers.torch.Rearrange.forward(input)")
def rearrange_forward(op: Op, input: Shape, pattern: Arg, axes_lengths: Arg) -> Result:
    """As einops.rearrange."""
    return _transformed(op, input, pattern, "rearrange", dict(axes_lengths))


@shape_rule("einops.layers.torch.Reduce.forward(input)")
def reduce_forward(op: Op, input: Shape, pattern: Arg, reduction: Arg, axes_lengths: Arg) -> Result:
    """As einops.reduce."""
    if reduction in ("any", "all"):
        op.dtype = "bool"
    return _transformed(op, input, pattern, "reduce", dict(axes_lengths))


def _stacked(op: Op, tensor: object) -> Shape:
    """A list of tensors is stacked on a new first axis."""
    if isinstance(tensor, Shape):
        return tensor
    if not isinstance(tensor, (list, tuple)) or not tensor:
        return any_shape("argument of einops")
    shapes = [t for t in tensor if isinstance(t, Shape)]
    if len(shapes) < len(tensor):
        raise CannotTell("a list with an unknown tensor")
    first = shapes[0]
    op.dtype = first.dtype
    for other in shapes[1:]:
        if first.rest is None and other.rest is None and dims.same(first, other) is False:
            op.fail(catalogue.stack_shapes(left=first, right=other, source=op.origin(other)), "tensor")
            break
    return Shape((len(tensor), *first[:]), first.step, first.dtype)


def _check_reduction(op: Op, reduction: object) -> None:
    if isinstance(reduction, str) and reduction not in REDUCTIONS:
        near = difflib.get_close_matches(reduction, REDUCTIONS, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; it is one of {', '.join(REDUCTIONS)}"
        op.fail(catalogue.einops_pattern(problem=f"there is no reduction '{reduction}'{hint}"), "reduction")


def _parsed(op: Op, pattern: object, operation: str, lengths: object) -> Pattern:
    """The pattern, or CONV409; a layer's was reported at construction."""
    if not isinstance(pattern, str) or not isinstance(lengths, Mapping):
        raise CannotTell("pattern of einops")
    try:
        return parse(pattern, operation, tuple(lengths))
    except PatternError as error:
        raise _refused(op, error) from error


def _refused(op: Op, error: PatternError) -> CannotTell:
    if "input" not in op.args:
        op.fail(catalogue.einops_pattern(problem=str(error)), "pattern")
    return CannotTell("pattern of einops")


def _transformed(op: Op, input: Shape, text: object, operation: str, lengths: Mapping[str, object]) -> Result:
    pattern = _parsed(op, text, operation, lengths)
    given: dict[Axis, Dim] = {name: _length(op, pattern, name, value) for name, value in lengths.items()}
    given.update({number: number.length for number in (*pattern.left.numbers, *pattern.right.numbers)})
    left, right = _without_ellipsis(op, input, pattern)
    sizes, whole = dict(given), {}
    for index, (group, size) in enumerate(left):
        _solve(op, input, index, group, size, given, sizes)
        if len(group) > 1:
            whole[group] = size
    out = tuple(_multiplied(group, sizes, whole) for group in right)
    for size in out[1:]:
        if isinstance(size, Rest):
            raise CannotTell(size.reason)
    return out


def _length(op: Op, pattern: Pattern, name: str, value: object) -> Dim:
    if isinstance(value, float):
        if any(name in group and len(group) > 1 for group in pattern.left.groups if not isinstance(group, str)):
            problem = f"{name}={value} is not a whole number; divide with // where / stands"
            op.fail(catalogue.einops_pattern(problem=problem), "pattern")
        return op.unknown()
    size = op.dim(value)
    if size == 0:
        raise CannotTell(f"{name}=0 divides nothing")
    return size


# left side --------------------------------------------------------------------------------------------------


def _without_ellipsis(
    op: Op, input: Shape, pattern: Pattern
) -> tuple[list[tuple[tuple[Axis, ...], Dim]], list[tuple[Axis, ...]]]:
    """The dimensions of ``input`` with their groups, and the groups of the result; each dimension that ``...`` stands
    for gets an axis of its own."""
    groups = pattern.left.groups
    if ELLIPSIS not in groups:
        sizes = tuple(_ranked(op, input, pattern))
        return list(zip(groups, sizes)), list(pattern.right.groups)  # type: ignore[arg-type]
    before = groups.index(ELLIPSIS)
    after = len(groups) - before - 1
    sizes = tuple(tuple.__iter__(input))
    if input.rest is not None:
        if before or len(input.known) < after:
            raise CannotTell(input.rest.reason)
    elif len(sizes) < before + after:
        _wrong_rank(op, input, pattern, f"at least {before + after}")
    extra = len(sizes) - before - after
    axes: tuple[Axis, ...] = tuple(f"{ELLIPSIS}{i}" for i in range(extra))
    spread = (*groups[:before], *((axis,) for axis in axes), *groups[before + 1 :])
    return list(zip(spread, sizes)), _spread(pattern.right, axes)  # type: ignore[arg-type]


def _spread(side: Side, axes: tuple[Axis, ...]) -> list[tuple[Axis, ...]]:
    out: list[tuple[Axis, ...]] = []
    for group in side.groups:
        if isinstance(group, str):
            out += [(axis,) for axis in axes]
        else:
            out.append(tuple(part for axis in group for part in (axes if axis == ELLIPSIS else (axis,))))
    return out


def _ranked(op: Op, input: Shape, pattern: Pattern) -> Sequence[Dim]:
    """``input`` with one dimension for each group; an unknown rank is settled to that, under the pattern's names."""
    groups = pattern.left.groups
    if input.rest is None:
        if len(input) != len(groups):
            _wrong_rank(op, input, pattern, str(len(groups)))
        return input
    missing = len(groups) - len(input.known)
    if missing < 0:
        _wrong_rank(op, Shape(input.known, input.step), pattern, str(len(groups)))
    sizes = tuple(_named_size(group) for group in groups[:missing])
    op.world.settle(input.rest, sizes, False)
    return (*sizes, *input.known)


def _named_size(group: Group) -> Dim:
    return dims.symbol(str(group[0])) if len(group) == 1 and isinstance(group[0], str) else dims.unknown(1)


def _wrong_rank(op: Op, input: Shape, pattern: Pattern, takes: str) -> None:
    left = pattern.text.split("->")[0].strip()
    problem = f"'{left}' needs {takes} dimension{'s' * (takes != '1')} but the input {input!r} has {len(input)}"
    op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(input)), "pattern")
    raise CannotTell("number of dimensions")


def _solve(
    op: Op,
    input: Shape,
    index: int,
    group: tuple[Axis, ...],
    size: Dim,
    given: Mapping[Axis, Dim],
    sizes: dict[Axis, Dim],
) -> None:
    """Find the one length of ``group`` that is not given, or compare the dimension with the given ones."""
    known = [axis for axis in group if axis in given]
    wanted = [axis for axis in group if axis not in given]
    total = product(given[axis] for axis in known)
    if not known and wanted:
        sizes[wanted[0]] = size
    elif not wanted:
        if op.equate(size, total) is False:
            _fail_at(
                op, input, index, size, f"but {_spelled(group, given)}" if group else "but the pattern has 1 there"
            )
    elif eq(total, 0) is not False and not isinstance(total, dims.Expr):
        raise CannotTell("a length of 0")
    elif divides(total, size) is False:
        _fail_at(op, input, index, size, f"which {_spelled(tuple(known), given)} does not divide")
        sizes[wanted[0]] = op.unknown()
    else:
        sizes[wanted[0]] = size // total


def _fail_at(op: Op, input: Shape, index: int, size: Dim, why: str) -> None:
    problem = f"dimension {index} of {input!r} is {dims.render(size)}, {why}"
    op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(input, index)), "pattern")


def _spelled(axes: tuple[Axis, ...], given: Mapping[Axis, Dim]) -> str:
    """``p=16``, or ``h*p = 2*16 = 32`` for several."""
    values = [dims.render(given[axis]) for axis in axes]
    if len(axes) == 1:
        return values[0] if isinstance(axes[0], Number) else f"{axes[0]}={values[0]}"
    total = dims.render(product(given[axis] for axis in axes))
    return f"{'*'.join(map(str, axes))} = {'*'.join(values)} = {total}"


def _multiplied(group: tuple[Axis, ...], sizes: Mapping[Axis, Dim], whole: Mapping[tuple[Axis, ...], Dim]) -> Dim:
    """The product of a group.  Where all axes of one dimension of the input meet again, its size is taken as it was:
    (h p) of a symbolic H is H once more, not p*(H//p)."""
    left = list(group)
    total: Dim = 1
    for parts, size in whole.items():
        if all(axis in left for axis in parts):
            left = [axis for axis in left if axis not in parts]
            total = size * total
    for i, axis in enumerate(left):
        total = sizes[axis] * total if i or total != 1 else sizes[axis]
    return rejoined(total)


# einsum -----------------------------------------------------------------------------------------------------


@shape_rule("einops.einsum(*tensors_and_pattern)")
def einsum(op: Op, tensors_and_pattern: Arg) -> Result:
    """torch.einsum with names: a name is one size (or 1) in all tensors; names that are not on the right are summed."""
    *tensors, pattern = tensors_and_pattern
    if not isinstance(pattern, str):
        raise CannotTell("pattern of einops.einsum")
    try:
        inputs, output = _einsum_sides(pattern)
    except PatternError as error:
        raise _refused(op, error) from error
    if len(inputs) != len(tensors):
        problem = f"'{pattern}' names {len(inputs)} tensors but {len(tensors)} are given"
        op.fail(catalogue.einops_pattern(problem=problem))
        raise CannotTell("number of tensors")
    sizes: dict[Axis, Dim] = {}
    ellipsis: tuple[Dim, ...] = ()
    for i, (side, tensor) in enumerate(zip(inputs, tensors)):
        shape = tensor if isinstance(tensor, Shape) else any_shape("argument of einsum")
        ellipsis = _einsum_operand(op, i, side, shape, sizes, ellipsis)
    return tuple(s for axis in output.axes for s in (ellipsis if axis == ELLIPSIS else (sizes[axis],)))


def _einsum_sides(pattern: str) -> tuple[list[Side], Side]:
    left, right = split(pattern)
    inputs = [parse_side(text, underscore=True, duplicates=True) for text in left.split(",")]
    output = parse_side(right, underscore=True)
    names = {axis for side in inputs for axis in side.axes} | {ELLIPSIS}
    for side in (*inputs, output):
        if any(not isinstance(group, str) and (len(group) != 1 or side.numbers) for group in side.groups):
            raise PatternError(f"'{pattern}': einsum takes names only, no parentheses and no numbers")
    for axis in output.axes:
        if axis not in names:
            raise PatternError(f"'{axis}' is only on the right of '{pattern}'")
    return inputs, output


def _einsum_operand(
    op: Op, i: int, side: Side, shape: Shape, sizes: dict[Axis, Dim], ellipsis: tuple[Dim, ...]
) -> tuple[Dim, ...]:
    """Enter the sizes of one tensor; returns the dimensions that ``...`` stands for so far."""
    axes = side.axes
    count = len(axes) - side.has_ellipsis
    if shape.rest is None and (len(shape) < count or (len(shape) > count and not side.has_ellipsis)):
        words = " ".join(map(str, axes))
        problem = f"'{words}' needs {count} dimensions but tensor {i + 1}, {shape!r}, has {len(shape)}"
        op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(shape)))
        raise CannotTell("number of dimensions")
    if shape.rest is not None and not side.has_ellipsis:
        missing = max(count - len(shape.known), 0)
        leading = tuple(dims.symbol(str(axis)) for axis in axes[:missing])
        if count < len(shape.known):
            raise CannotTell("number of dimensions")
        op.world.settle(shape.rest, leading, False)
        shape = Shape((*leading, *shape.known), shape.step, shape.dtype)
    before = axes.index(ELLIPSIS) if side.has_ellipsis else count
    extra = len(shape) - count
    within: dict[Axis, Dim] = {}
    for axis, size in zip((*axes[:before], *axes[before + 1 :]), (*shape[:before], *shape[before + extra :])):
        _same_name(op, shape, axis, size, within, strict=True)
    for axis, size in within.items():
        _same_name(op, shape, axis, size, sizes, strict=False)
    return _broadcast(op, shape, ellipsis, shape[before : before + extra])


def _same_name(op: Op, shape: Shape, axis: Axis, size: Dim, sizes: dict[Axis, Dim], strict: bool) -> None:
    old = sizes.setdefault(axis, size)
    new = _joined(old, size, strict)
    if new is None:
        problem = f"'{axis}' is {dims.render(old)} in one tensor and {dims.render(size)} in another"
        if strict:
            problem = f"'{axis}' is both {dims.render(old)} and {dims.render(size)} in one tensor"
        op.fail(catalogue.einsum_sizes(problem=problem, source=op.origin(shape)))
        new = old
    sizes[axis] = new


def _joined(a: Dim, b: Dim, strict: bool) -> Dim | None:
    """The common size, a size of 1 being stretched unless ``strict``; ``None`` if there is none."""
    answer = eq(a, b)
    if answer:
        return a
    if not strict and eq(a, 1):
        return b
    if not strict and eq(b, 1):
        return a
    if answer is False and (strict or (eq(a, 1) is False and eq(b, 1) is False)):
        return None
    # One of the two sizes may be a 1 that is stretched, but what is larger than 1 stays.
    return next((x for x in (a, b) if isinstance(x, int)), dims.unknown(1) if not strict else a)


def _broadcast(op: Op, shape: Shape, a: tuple[Dim, ...], b: tuple[Dim, ...]) -> tuple[Dim, ...]:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    out = list(longer)
    for i, size in enumerate(shorter, len(longer) - len(shorter)):
        joined = _joined(longer[i], size, strict=False)
        if joined is None:
            problem = f"'...' is {dims.render_shape(a)} in one tensor and {dims.render_shape(b)} in another"
            op.fail(catalogue.einsum_sizes(problem=problem, source=op.origin(shape)))
            break
        out[i] = joined
    return tuple(out)


# pack, unpack, parse_shape ----------------------------------------------------------------------------------


@shape_rule("einops.pack(tensors, pattern)")
def pack(op: Op, tensors: Arg, pattern: Arg) -> Result:
    """The dimensions that ``*`` stands for are flattened and joined: (packed, the list of what they were)."""
    if not isinstance(tensors, (list, tuple)) or not tensors:
        raise CannotTell("tensors of einops.pack")
    before, after = _packing(op, pattern)
    total: Dim = 0
    packed_shapes: list[object] = []
    for tensor in tensors:
        if not isinstance(tensor, Shape):
            raise CannotTell("tensors of einops.pack")
        if len(tensor) < before + after:
            problem = f"'{pattern}' needs at least {before + after} dimensions but {tensor!r} has {len(tensor)}"
            op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(tensor)), "tensors")
            raise CannotTell("number of dimensions")
        middle = tensor[before : len(tensor) - after]
        packed_shapes.append(middle)
        total = product(middle) + total
    first = tensors[0]
    op.dtype = first.dtype
    kept = (*first[:before], *first[len(first) - after :])
    for other in tensors[1:]:
        theirs = (*other[:before], *other[len(other) - after :])
        if dims.same(kept, theirs) is False:
            problem = f"the dimensions beside * in '{pattern}' must agree but are {_shape(kept)} and {_shape(theirs)}"
            op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(other)), "tensors")
            break
    return (*kept[:before], total, *kept[before:]), Plain(List(packed_shapes))


@shape_rule("einops.unpack(tensor, packed_shapes, pattern)")
def unpack(op: Op, tensor: Shape, packed_shapes: Arg, pattern: Arg) -> Result:
    """One tensor for each of ``packed_shapes``, which takes the place of ``*``; one of their sizes may be -1."""
    before, after = _packing(op, pattern)
    if tensor.rest is None and len(tensor) != before + 1 + after:
        problem = f"'{pattern}' needs {before + 1 + after} dimensions but {tensor!r} has {len(tensor)}"
        op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(tensor)), "tensor")
        raise CannotTell("number of dimensions")
    given = [tuple(op.dim(size) for size in shape) for shape in packed_shapes]
    open_shapes = [shape for shape in given if -1 in shape]
    if len(open_shapes) > 1 or any(shape.count(-1) > 1 for shape in given):
        op.fail(catalogue.einops_pattern(problem="more than one -1 cannot be worked out"), "packed_shapes")
        raise CannotTell("packed_shapes")
    axis = before - before - 1 - after
    known = [product(shape) for shape in given if -1 not in shape]
    left = tensor[axis] - sum(known[1:], known[0]) if known else tensor[axis]
    if open_shapes and dims.lt(left, 0):
        raise CannotTell("packed_shapes")  # Python's slices then wrap around, and torch sometimes returns
    if not open_shapes and eq(left, 0) is False:
        total = dims.render(tensor[axis] - left)
        problem = f"the packed shapes hold {total} in all but dimension {before} is {dims.render(tensor[axis])}"
        op.fail(catalogue.einops_pattern(problem=problem, source=op.origin(tensor, axis)), "packed_shapes")
    head, tail = tensor[:axis], tensor[axis + 1 :] if after else ()
    return [(*head, *_filled(op, shape, left), *tail) for shape in given]


def _filled(op: Op, shape: tuple[Dim, ...], left: Dim) -> tuple[Dim, ...]:
    if -1 not in shape:
        return shape
    rest = product(size for size in shape if size != -1)
    if rest == 0:
        raise CannotTell("a length of 0")
    if divides(rest, left) is False:
        problem = f"{dims.render(left)} left for {_shape(shape)} cannot be divided by {dims.render(rest)}"
        op.fail(catalogue.einops_pattern(problem=problem), "packed_shapes")
        return tuple(op.unknown() if size == -1 else size for size in shape)
    return tuple(left // rest if size == -1 else size for size in shape)


def _packing(op: Op, pattern: object) -> tuple[int, int]:
    """How many axes stand before and after the ``*``."""
    if not isinstance(pattern, str):
        raise CannotTell("pattern of einops")
    axes = pattern.split()
    problem = None
    if axes.count("*") != 1:
        problem = f"the pattern '{pattern}' needs one '*'"
    elif len(set(axes)) != len(axes):
        problem = f"a name stands twice in '{pattern}'"
    elif not all(axis == "*" or is_axis_name(axis) for axis in axes):
        problem = f"'{pattern}' takes names and one '*' only"
    if problem:
        raise _refused(op, PatternError(problem))
    return axes.index("*"), len(axes) - axes.index("*") - 1


def _shape(sizes: Sequence[Dim]) -> str:
    return dims.render_shape(tuple(sizes))


@shape_rule("einops.parse_shape(x, pattern)")
def parse_shape(op: Op, x: Shape, pattern: Arg) -> Result:
    """A dict of the named sizes; ``_`` and ``...`` skip dimensions, numbers must match."""
    if not isinstance(pattern, str):
        raise CannotTell("pattern of einops")
    try:
        side = parse_side(pattern, underscore=True)
        if any(not isinstance(group, str) and len(group) > 1 for group in side.groups):
            raise PatternError(f"parse_shape takes no parentheses: '{pattern}'")
    except PatternError as error:
        raise _refused(op, error) from error
    groups = side.groups
    sizes = _ranked(op, x, Pattern(pattern, side, side)) if ELLIPSIS not in groups else x
    before = groups.index(ELLIPSIS) if ELLIPSIS in groups else len(groups)
    after = len(groups) - before - 1
    if len(sizes) < len(groups) - (ELLIPSIS in groups):
        _wrong_rank(op, x, Pattern(pattern, side, side), f"at least {before + after}")
    named: dict[str, Dim] = {}
    places = [*enumerate(groups[:before]), *zip(range(len(sizes) - max(after, 0), len(sizes)), groups[before + 1 :])]
    for index, group in places:
        axis = group[0] if group else 1
        if isinstance(axis, str):
            named[axis] = sizes[index]
        elif eq(sizes[index], axis.length if isinstance(axis, Number) else 1) is False:
            _fail_at(op, x, index, sizes[index], f"but the pattern has {write(group)} there")
    named.pop("_", None)
    return Plain(Dict(named))
