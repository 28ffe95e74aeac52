"""The same elements in another shape: view, reshape, flatten, unflatten.

What the two shapes have in common is cancelled first, so that ``(B, 16, 5, 5)`` against ``(B, 300)`` is 400 elements
against 300, whatever B is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, Expr, eq
from conv_lint.finding import Origin, Step
from conv_lint.ops.batch import first_batch, last_batch
from conv_lint.ops.rule import Op
from conv_lint.ops.strides import scattered
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, External, Real, Rest, Shape, Unknown

# sizes as arguments -----------------------------------------------------------------------------------------


def sizes_of(op: Op, given: object) -> tuple[Dim, ...]:
    """The sizes of ``f(2, 3)``, ``f((2, 3))`` and ``f([2, 3])``, where ``given`` are the arguments of the star."""
    if isinstance(given, (tuple, list)) and len(given) == 1 and isinstance(given[0], (tuple, list, Unknown)):
        given = given[0]
    if isinstance(given, (int, float, Expr, Real)):
        given = (given,)
    if isinstance(given, Shape) and not len(given):
        raise CannotTell("a size that is the number in a tensor")
    if not isinstance(given, (tuple, list)):
        raise CannotTell(given.reason if isinstance(given, Unknown) else "sizes that are not known")
    if len(given) == 1 and isinstance(given[0], (External, str)):
        raise CannotTell("a view of another dtype")
    return tuple(op.dim(size) for size in given)


def like(input: Shape, sizes: Iterable[Dim | Rest]) -> Shape:
    """A shape of these sizes, of the same kind of numbers and with the same way as ``input``."""
    return Shape(sizes, input.step, input.dtype)  # type: ignore[arg-type]


#: What to do where whole batches fit and the last one does not.
DROP_LAST = "write drop_last=True in the loader"

# view and reshape -------------------------------------------------------------------------------------------


@shape_rule(
    "Tensor.view(input, *shape)",
    "Tensor.reshape(input, *shape)",
    "torch.reshape(input, shape)",
)
def reshape(op: Op, input: Shape, shape: Arg) -> Result:
    """The same number of elements; one size may be -1 (torch.Tensor.view, torch.reshape)."""
    out = reshaped(op, input, sizes_of(op, shape))
    if op.name == "torch.Tensor.view" and input.rest is None:
        permuted = scattered(input, out)
        if permuted is not None:
            source = Origin(permuted.label, permuted.place, permuted)
            op.fail(catalogue.view_strides(given=input, target=out, source=source, fix="reshape instead of view"))
    return like(input, out)


@shape_rule("Tensor.view_as(input, other)", "Tensor.reshape_as(input, other)")
def reshape_as(op: Op, input: Shape, other: Shape) -> Result:
    """The elements of ``input`` in the shape of ``other``."""
    if other.rest is not None:
        return like(input, tuple.__iter__(other))
    return like(input, reshaped(op, input, tuple(other)))


def reshaped(op: Op, input: Shape, target: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """``target`` with its -1 worked out.  Elements that do not fit are CONV404, a batch that is folded CONV407."""
    if input.rest is not None:
        return tuple(op.unknown(0) if size == -1 else size for size in target)
    if _fixes_batch(input, target):
        fix = f"view(x.size(0), {', '.join(map(dims.render, target[1:]))})"
        op.fail(catalogue.fixed_batch(batch=target[0], source=op.origin(input, 0), fix=fix), "shape")
        target = (input[0], *target[1:])
    if not _is_folded(input, target):
        return _filled(op, input, target)
    features = dims.product(input[1:])
    if isinstance(input[0], int) and dims.divides(target[1], dims.product(input)) is False:
        return _filled(op, input, target)
    facts = {"given": input, "features": features, "columns": target[1], "fix": f"view(-1, {features})"}
    op.fail(catalogue.folded_batch(**facts), "shape")
    return (input[0], op.unknown())  # as meant; the layer that follows may be right about the features or not


def _fixes_batch(input: Shape, target: tuple[Dim, ...]) -> bool:
    """Is the batch size that a loader was asked for written as a number, although its last batch may be smaller?"""
    if not len(input) or not isinstance(target[0] if target else None, int) or len(target) < 2:
        return False
    first = input[0]
    return isinstance(first, Expr) and any(s.batch == target[0] for s in first.symbols) and target[0] != 1


def _filled(
    op: Op, input: Shape, target: tuple[Dim, ...], at: str = "shape", axis: int | None = None
) -> tuple[Dim, ...]:
    """``target`` with its -1 worked out, for the elements of the input or the places along one axis of it."""
    have = tuple(input) if axis is None else (input[axis],)
    holes = [i for i, size in enumerate(target) if size == -1]
    wrong = len(holes) > 1 or any(isinstance(size, int) and size < -1 for size in target)
    left, right = _cancelled(have, [size for size in target if size != -1])
    if not wrong and holes:
        fits, hole = _hole(op, left, right)
    else:
        fits, hole = False if wrong else _same(op, left, right), op.unknown(0)
    given: object = input if axis is None else f"dimension {axis} of {input!r}"
    fix = "only one size can be -1" if len(holes) > 1 else _features_fix(op, have, target)
    if fits is None and not _fits_first_batch(op, left, right, holes):
        fits, have = False, tuple(map(first_batch, have))
    elif fits is None and holes and dims.divides(last_batch(right), last_batch(left)) is False:
        fits, have, left = False, tuple(map(last_batch, have)), last_batch(left)
        given = f"the last batch, {Shape(map(last_batch, input))!r},"
        fix = DROP_LAST
    if fits is False:
        whole, beside = dims.product(have), None
        if dims.render(whole) == "?" != dims.render(left):
            whole, beside = left, "beside the sizes that agree"
        facts = {"given": given, "have": whole, "beside": beside, "target": target, "fix": fix}
        op.fail(catalogue.view_elements(**facts, source=op.origin(input, axis)), at)
        if _is_flattening(have, target):
            return (have[0], op.unknown())
        # Which of the other sizes are wrong is not known.
        kept = have[:1] if have and len(target) > 1 and eq(have[0], target[0]) is True else ()
        return (*kept, *(op.unknown(0) for _ in target[len(kept) :]))
    return tuple(hole if size == -1 else size for size in target)


def _fits_first_batch(op: Op, have: Dim, target: Dim, holes: list[int]) -> bool:
    """May the elements of a whole batch of a loader fit?"""
    first, wanted = first_batch(have), first_batch(target)
    if (first, wanted) == (have, target):
        return True
    return (_hole(op, first, wanted)[0] if holes else _same(op, first, wanted)) is not False


def _cancelled(have: Sequence[Dim], target: Sequence[Dim]) -> tuple[Dim, Dim]:
    """The two numbers of elements, without the sizes that stand on both sides."""
    left, right = list(have), []
    for size in target:
        if size != 0 and size in left:
            left.remove(size)
        else:
            right.append(size)
    return dims.product(left), dims.product(right)


def _hole(op: Op, left: Dim, right: Dim) -> tuple[bool | None, Dim]:
    """Does ``right`` divide ``left``, and how often."""
    if right == 0:
        return False, op.unknown(0)
    exact = dims.exact_div(left, right)
    if exact is not None:
        return True, dims.rejoined(exact)
    of_arguments = all(s.is_parameter for s in dims.symbols(left) | dims.symbols(right))
    return dims.divides(right, left), dims.floordiv(left, right) if of_arguments else op.unknown(0)


def _same(op: Op, left: Dim, right: Dim) -> bool | None:
    # A target size that may be -1 says nothing of the others.
    if any(s.low is None for s in dims.symbols(right)):
        return dims.eq(left, right)
    return op.equate(left, right)


def _is_flattening(have: Sequence[Dim], target: tuple[Dim, ...]) -> bool:
    """Is it ``view(-1, K)`` or ``view(B, K)`` of images?"""
    return len(target) == 2 and len(have) > 2 and target[0] in (-1, have[0]) and target[1] != -1


def _features_fix(op: Op, have: Sequence[Dim], target: tuple[Dim, ...]) -> str | None:
    features = dims.product(have[1:])
    if not _is_flattening(have, target) or not isinstance(features, int):
        return None
    return f"write {op.label}(-1, {features})"


# a folded batch ---------------------------------------------------------------------------------------------

#: After one of these the last dimensions are what the author made them, and ``view(-1, K)`` takes them apart.
REARRANGING = frozenset(
    {"permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "view", "reshape"}
    | {"unflatten", "unfold", "rearrange", "stack", "matmul", "bmm", "einsum", "@"}
)


def _is_folded(input: Shape, target: tuple[Dim, ...]) -> bool:
    """Does ``view(-1, K)`` give a sample of an image network another number of rows than one?

    Rows of whole trailing dimensions, or of a part of the last one, are meant: (B, H, W, C) as (-1, C), boxes as
    (-1, 4).  So are several samples in a row where each is one vector: (B*T, C, 1, 1) as (-1, T*C).
    """
    if len(target) != 2 or target[0] != -1 or len(input) < 3 or not _comes_from_layer(input.step):
        return False
    columns, sizes = target[1], input[1:]
    if not isinstance(columns, int) or columns < 1 or not all(isinstance(s, int) and s > 0 for s in sizes):
        return False
    features, last = dims.product(sizes), sizes[-1]
    assert isinstance(features, int)
    assert isinstance(last, int)
    trailing = [dims.product(sizes[i:]) for i in range(len(sizes))]
    if columns in trailing or last % columns == 0:
        return False
    if columns % features == 0 and all(size == 1 for size in sizes[1:]):
        return False
    # A sequence (B, T, C) as rows of several steps.
    return not (len(sizes) == 2 and columns % last == 0 and features % columns == 0)


def _comes_from_layer(step: Step | None) -> bool:
    """Is this what a layer made, with nothing rearranged since?"""
    if step is None or not step.parents:
        return False
    while step is not None and step.parents:
        if step.label in REARRANGING:
            return False
        parent = step.parents[0]
        if tuple.__len__(parent.shape) == tuple.__len__(step.shape) and tuple(parent.shape) != tuple(step.shape):
            return True
        step = parent
    return True


# flatten and unflatten --------------------------------------------------------------------------------------


@shape_rule(
    "torch.flatten(input, start_dim=0, end_dim=-1)",
    "Tensor.flatten(input, start_dim=0, end_dim=-1)",
)
def flatten(op: Op, input: Shape, start_dim: Arg, end_dim: Arg) -> Result:
    """The dimensions from start_dim to end_dim become one (torch.flatten)."""
    return like(input, flattened(op, input, start_dim, end_dim))


@shape_rule("torch.ravel(input)", "Tensor.ravel(input)")
def ravel(op: Op, input: Shape) -> Result:
    """All dimensions become one."""
    return like(input, flattened(op, input, 0, -1))


def flattened(op: Op, input: Shape, start_dim: object, end_dim: object) -> tuple[Dim, ...]:
    """The dimensions from ``start_dim`` to ``end_dim`` (itself included) as one; a number becomes one element."""
    start, end = op.dim(start_dim), op.dim(end_dim)
    if input.rest is not None and not _in_known_part(input, start, end):
        return _flattened_unknown(op, input, start, end)
    first, last = op.axis(input, start, "start_dim"), op.axis(input, end, "end_dim")
    sizes = tuple(tuple.__iter__(input))
    if not sizes:
        return (1,)
    if first > last:
        problem = f"start_dim {start} comes after end_dim {end} of {input!r}"
        op.fail(catalogue.permute_dims(problem=problem, source=op.origin(input)), "start_dim")
        raise CannotTell("start_dim after end_dim")
    stop = last + 1 if last != -1 else len(sizes)
    return (*sizes[:first], dims.rejoined(dims.product(sizes[first:stop])), *sizes[stop:])


def _in_known_part(input: Shape, *axes: Dim) -> bool:
    return all(isinstance(axis, int) and -len(input.known) <= axis < 0 for axis in axes)


def _flattened_unknown(op: Op, input: Shape, start: Dim, end: Dim) -> tuple[Dim, ...]:
    """``flatten(x, 1)`` has two dimensions, whatever the rank of x."""
    if end != -1 or not isinstance(start, int) or start < 0:
        assert input.rest is not None
        raise CannotTell(input.rest.reason)
    return tuple(op.unknown(0) for _ in range(start + 1))


@shape_rule("torch.unflatten(input, dim, sizes)", "Tensor.unflatten(input, dim, *sizes)")
def unflatten(op: Op, input: Shape, dim: Arg, sizes: Arg) -> Result:
    """One dimension becomes several; one of them may be -1 (torch.unflatten)."""
    return like(input, unflattened(op, input, dim, sizes))


def unflattened(op: Op, input: Shape, dim: object, sizes: object) -> tuple[Dim, ...]:
    """``input`` with the dimension ``dim`` taken apart into ``sizes``, one of which may be -1."""
    target = sizes_of(op, sizes)
    axis = op.axis(op.require_rank_from(input, 1), dim)
    if not target:
        op.fail(catalogue.argument_range(argument="sizes", value="()", allowed="one size or more"), "sizes")
        raise CannotTell("no sizes")
    parts = _filled(op, input, target, "sizes", axis)
    before = tuple(tuple.__iter__(input))
    return (*before[:axis], *parts, *(before[axis + 1 :] if axis != -1 else ()))
