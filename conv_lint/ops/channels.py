"""What is said when an input has the wrong number of channels: it may be the layout or a missing axis instead."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq, render
from conv_lint.finding import CALL
from conv_lint.ops.batch import first_batch
from conv_lint.ops.rule import Op
from conv_lint.values import CannotTell, Shape


def _is_of_layer(takes: Dim) -> bool:
    """Is it a number that a layer was made with, rather than one of the samples that it is given?"""
    return isinstance(takes, int) or all(s.is_parameter for s in takes.symbols)


def require_channels(op: Op, input: Shape, takes: Dim, at: str = "in_channels") -> Shape:
    """The input of a convolution must have ``takes`` channels in front of its ``op.n`` sizes.

    A mismatch is reported as what really happened: channels last (CONV403), a missing batch or channel axis
    (CONV402), or the wrong number of channels (CONV201).  Returns the input to go on with.
    """
    axis = -op.n - 1
    given = input[axis]
    if len(input) == op.n + 2:
        is_odd = op.world.is_batch(given) and not op.world.is_batch(input[0])
        # A weight for each sample (``groups=batch_size``) has the samples among the channels on purpose.
        if is_odd and _is_of_layer(takes) and eq(given, takes) is None:
            facts = {"takes": takes, "given": catalogue.samples(given), "source": op.origin(input, axis)}
            op.fail(catalogue.input_channels(**facts, fix=catalogue.BATCH_FIRST), CALL)
            return input
        op.world.note_batch(input[0])
    is_batch = len(input) == op.n + 1 and eq(first_batch(given), takes) is False
    if not is_batch and op.equate(given, takes) is not False:
        return input
    if _channels_last(op, input, takes):
        op.fail(catalogue.channels_last(takes=takes, axis=len(input) + axis, given=input, fix=_permute(op, input)))
        return Shape((*input[:axis], input[-1], *input[axis:-1]), input.step, input.dtype)
    if len(input) == op.n + 1 and _missing_axis(op, input, takes):
        raise CannotTell("an axis is missing")
    if op.n == 1 and len(input) == 2 and _missing_length(op, input, takes):
        raise CannotTell("an axis is missing")
    fix = f"{at}={render(given)}" if isinstance(given, int) and at in op.args else None
    if op.n == 1 and len(input) == 3 and eq(input[-1], takes) is True and _features_last(input):
        fix, at = "x.permute(0, 2, 1) first, the features come last", CALL
    if op.is_layer and op.n > 1 and len(input) == op.n + 1 and eq(input[1], takes) is True:
        # Without the leading N torch reads a batch of smaller inputs as one input.
        fix = f"{op.name.rpartition('.')[2][:-2]}{op.n - 1}d for a batch of such inputs"
    facts = {"takes": takes, "given": given, "source": op.origin(input, axis), "fix": fix}
    grouped = _grouped(op, given)
    if grouped:
        at = "weight"
    op.fail(catalogue.input_channels(**{**facts, **grouped}), at)
    if is_batch:
        raise CannotTell("a batch of smaller inputs")
    return input


def _grouped(op: Op, given: Dim) -> dict[str, object]:
    """Of a function with groups, whose weight has the channels of one group only: the numbers, and the weight that
    would fit."""
    weight, groups = op.args.get("weight"), op.args.get("groups")
    if op.is_layer or "transpose" in op.name or not isinstance(weight, Shape) or weight.rest is not None:
        return {}
    if not isinstance(groups, int) or groups < 2:
        return {}
    fits = isinstance(given, int) and given % groups == 0
    fix = f"a weight of {Shape((weight[0], given // groups, *weight[2:]))!r}" if fits else None
    return {"product": f"{render(weight[1])} of the weight {weight!r} * {groups} groups", "fix": fix}


def _channels_last(op: Op, input: Shape, takes: Dim) -> bool:
    """Are the last size the channels that are wanted, and not the width of a square, or of what is as small?"""
    if eq(input[-1], takes) is not True or eq(input[-2], takes) is True or not _is_data(input):
        return False
    image = input[-op.n - 1 : -1]
    return takes in (1, 3, 4) or (op.n > 1 and all(dims.lt(takes, size) is True for size in image))


def _is_data(input: Shape) -> bool:
    """Is the tensor data that at most was moved and scaled, and that no layer has made?"""
    return input.step is None or all(step.made is None for step in input.step.way())


def _features_last(input: Shape) -> bool:
    """Is it data, or what an embedding, a Linear or the like has made, and so (N, L, features)?"""
    made = [step.made for step in input.step.way() if step.made is not None] if input.step is not None else []
    return not made or made[-1] == -1


def _permute(op: Op, input: Shape) -> str:
    count = len(input)
    order = [count - 1, *range(count - op.n - 1, count - 1)]
    if count == op.n + 2:
        order = [0, *order]
    text = f"x.permute({', '.join(map(str, order))})"
    return text if count == op.n + 2 else f"{text}.unsqueeze(0)"


def _missing_axis(op: Op, input: Shape, takes: Dim) -> bool:
    """An (N, H, W) batch of one-channel images, or a (H, W, ...) that was meant to have a channel axis.

    (3, H, W) is a picture in colours.
    """
    if not _is_data(input) or takes != 1 or (op.n == 2 and input[0] == 3):
        return False
    _miss(op, input, takes, "the channel axis", "x.unsqueeze(1)")
    return True


def _missing_length(op: Op, input: Shape, takes: Dim) -> bool:
    """(N, C) where (N, C, L) was meant: the dimension behind the first has as many channels as the layer takes."""
    if not op.is_layer or takes == 1 or eq(input[1], takes) is not True:
        return False
    samples = render(input[0])
    batch = f"x.unsqueeze(2) for {samples} samples of length 1"
    (least,) = _least_sizes(op)
    if least > 1:
        batch = f"an input ({samples}, {render(takes)}, L) with L of at least {least}"
    fix = f"{batch}, or x.t() for one sample of length {samples}"
    _miss(op, input, takes, "the axis of the length", fix)
    return True


def _least_sizes(op: Op) -> tuple[int, ...]:
    """The smallest sizes on which the kernel fits, as far as that is known."""
    padding = op.args.get("padding", 0)
    values = op.per_axis(
        op.args.get("kernel_size", 1), op.args.get("dilation", 1), 0 if isinstance(padding, str) else padding
    )
    least = [1 + d * (k - 1) - 2 * p for k, d, p in zip(*values)]
    return tuple(max(size, 1) if isinstance(size, int) else 1 for size in least)


def _miss(op: Op, input: Shape, takes: Dim, missing: str, fix: str) -> None:
    read = {1: "signal", 2: "image"}.get(op.n, "volume")
    facts = {"rank": len(input), "given": input, "channels": input[0], "takes": takes, "read": read}
    op.fail(catalogue.missing_axis(**facts, missing=missing, fix=fix))
