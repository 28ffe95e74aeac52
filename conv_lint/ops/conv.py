"""Convolutions and transposed convolutions, as layers and as functions."""

from __future__ import annotations

import math
from typing import Any

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim, Expr, divides, eq, le, lt, render
from conv_lint.finding import CONSTRUCTION
from conv_lint.ops.channels import require_channels
from conv_lint.ops.padding import check_pair
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import Shape, Unknown

CONV = (
    "(in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,"
    " padding_mode='zeros', device=None, dtype=None)"
)
TRANSPOSED = (
    "(in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,"
    " padding_mode='zeros', device=None, dtype=None)"
)
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


# construction -----------------------------------------------------------------------------------------------


@layer_rule("nn.Conv{n}d" + CONV, "nn.LazyConv{n}d" + CONV.replace("in_channels, ", ""))
def conv_layer(
    op: Op,
    out_channels: Arg,
    kernel_size: Arg,
    stride: Arg,
    padding: Arg,
    dilation: Arg,
    groups: Arg,
    bias: Arg,
    padding_mode: Arg,
) -> Result:
    """weight: (out_channels, in_channels/groups, \\*kernel_size); bias: (out_channels,)."""
    made = _layer(op, out_channels, kernel_size, stride, dilation, groups, padding_mode)
    _check_padding(op, padding, stride, made["kernel_size"])
    if not isinstance(padding, str):
        made["padding"] = op.per_axis(padding)
    groups, kernel = op.dim(made["groups"]), made["kernel_size"]
    made["weight"] = Shape((op.dim(out_channels), op.dim(made["in_channels"]) // groups, *kernel))
    made["bias"] = Shape((op.dim(out_channels),)) if bias is not False else None
    return made


@layer_rule("nn.ConvTranspose{n}d" + TRANSPOSED, "nn.LazyConvTranspose{n}d" + TRANSPOSED.replace("in_channels, ", ""))
def conv_transpose_layer(
    op: Op,
    out_channels: Arg,
    kernel_size: Arg,
    stride: Arg,
    padding: Arg,
    output_padding: Arg,
    groups: Arg,
    bias: Arg,
    dilation: Arg,
    padding_mode: Arg,
) -> Result:
    """weight: (in_channels, out_channels/groups, \\*kernel_size); bias: (out_channels,)."""
    if isinstance(padding_mode, str) and padding_mode != "zeros":
        op.fail(
            catalogue.padding_string(
                argument="padding_mode", value=repr(padding_mode), allowed="'zeros'", fix="'zeros'"
            ),
            "padding_mode",
        )
        padding_mode = "zeros"
    made = _layer(op, out_channels, kernel_size, stride, dilation, groups, padding_mode)
    made["padding"], made["output_padding"] = op.per_axis(padding, output_padding)
    groups, kernel = op.dim(made["groups"]), made["kernel_size"]
    made["weight"] = Shape((op.dim(made["in_channels"]), op.dim(out_channels) // groups, *kernel))
    made["bias"] = Shape((op.dim(out_channels),)) if bias is not False else None
    return made


def _layer(
    op: Op, out_channels: Arg, kernel_size: Arg, stride: Arg, dilation: Arg, groups: Arg, padding_mode: Arg
) -> dict[str, Any]:
    in_channels = op.args.get("in_channels")
    if in_channels is None:
        in_channels = op.unknown()
    kernel, stride, dilation = op.per_axis(kernel_size, stride, dilation)
    if isinstance(kernel_size, (tuple, list)) and len(kernel_size) == 1 < op.n:
        # One number stands for all axes elsewhere, but the weight has as many axes as the kernel has numbers.
        facts = {"value": tuple(kernel_size), "length": 1, "n": op.n, "fix": f"kernel_size={render(kernel[0])}"}
        op.fail(catalogue.tuple_length(argument="kernel_size", **facts), "kernel_size")
    _check_ranges(op, {"in_channels": (op.dim(in_channels),), "out_channels": (op.dim(out_channels),)}, least=0)
    _check_ranges(op, {"groups": (op.dim(groups),), "kernel_size": kernel, "stride": stride, "dilation": dilation})
    for channels in (op.dim(in_channels), op.dim(out_channels)):
        dims.at_least(channels, 1)
    # With a wrong number of groups there is no layer; what follows goes on as if there were one group.
    fits = _check_groups(op, op.dim(in_channels), op.dim(out_channels), op.dim(groups))
    if isinstance(padding_mode, str) and padding_mode not in PADDING_MODES:
        _unknown_word(op, "padding_mode", padding_mode, PADDING_MODES)
    made = {"in_channels": in_channels, "kernel_size": kernel, "stride": stride, "dilation": dilation}
    return {**made, "groups": groups if fits else 1}


def _check_ranges(op: Op, named: dict[str, tuple[Dim, ...]], least: int = 1) -> None:
    for name, sizes in named.items():
        for size in sizes:
            if not op.require(
                le(least, size),
                catalogue.argument_range(argument=name, value=size, allowed=f"at least {max(least, 1)}"),
                name,
            ):
                break


def _check_groups(op: Op, in_channels: Dim, out_channels: Dim, groups: Dim) -> bool:
    """Both numbers of channels must be multiples of groups.  Returns false if it was reported."""
    if le(groups, 0):
        return False
    fix = None
    if isinstance(in_channels, int) and isinstance(out_channels, int):
        fix = _common_divisors(in_channels, out_channels)
    facts = {"groups": groups, "fix": fix}
    if _fits(groups, in_channels) is False:
        op.fail(catalogue.in_channels_groups(channels=in_channels, **facts), "groups")
        return False
    if _fits(groups, out_channels) is not False:
        return True
    if eq(groups, in_channels) and isinstance(out_channels, int) and isinstance(groups, int):
        near = max(groups, round(out_channels / groups) * groups)
        facts["fix"] = f"write out_channels={near}"
        op.fail(catalogue.depthwise_multiple(channels=out_channels, **facts), "out_channels")
    else:
        op.fail(catalogue.out_channels_groups(channels=out_channels, **facts), "groups")
    return False


def _fits(groups: Dim, channels: Dim) -> bool | None:
    """Is a number of channels a multiple of groups?  Less than that, ``dim // 2`` for ``dim`` groups, is none."""
    answer = divides(groups, channels)
    return False if answer is None and lt(channels, groups) else answer


def _common_divisors(a: int, b: int) -> str | None:
    common = math.gcd(a, b)
    divisors = [str(d) for d in range(1, min(common, 1000) + 1) if common % d == 0]
    if common > 1000:
        divisors.append(str(common))
    if not divisors:
        return None
    shown = divisors if len(divisors) <= 6 else [*divisors[:4], "...", divisors[-1]]
    return f"groups can be {', '.join(shown)}"


def _check_padding(op: Op, padding: object, stride: object, kernel: tuple[Dim, ...]) -> None:
    if not isinstance(padding, str):
        sizes = () if isinstance(padding, Unknown) else op.per_axis(padding)
        _check_ranges(op, {"padding": sizes}, least=0)
    elif padding not in ("same", "valid"):
        _unknown_word(op, "padding", padding, ("same", "valid"))
    elif padding == "same":
        strides = op.per_axis(stride)
        if any(dims.lt(1, s) for s in strides):
            fix = kernel[0] // 2 if len(set(kernel)) == 1 else tuple(k // 2 for k in kernel)
            op.fail(
                catalogue.same_padding_stride(stride=strides if len(set(strides)) > 1 else strides[0], fix=fix),
                "padding",
            )


def _unknown_word(op: Op, argument: str, word: str, allowed: tuple[str, ...]) -> None:
    import difflib

    near = difflib.get_close_matches(word.lower(), allowed, 1)
    op.fail(
        catalogue.padding_string(
            argument=argument,
            value=repr(word),
            allowed=", ".join(map(repr, allowed)),
            fix=repr(near[0]) if near else None,
        ),
        argument,
    )


# calls ------------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.Conv{n}d.forward(input)",
    "nn.LazyConv{n}d.forward(input)",
    "F.conv{n}d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
    "torch.conv{n}d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)",
)
def conv(
    op: Op, input: Shape, weight: Shape, bias: Arg, stride: Arg, padding: Arg, dilation: Arg, groups: Arg
) -> Result:
    """(N, C_in, \\*sizes) -> (N, C_out, \\*sizes'); the leading N may be left out."""
    input = _image(op, input)
    op.require_floats(input)
    weight = op.require_rank(weight, op.n + 2)
    groups = op.dim(groups)
    takes = weight[1] * groups
    if op.is_layer and not isinstance(groups, int):
        takes = op.dim(op.args.get("in_channels", takes))
    input = require_channels(op, input, takes)
    out_channels, kernel = weight[0], weight[2:]
    op.made = -op.n - 1
    if isinstance(bias, Shape):
        _check_bias(op, bias, out_channels)
    if not op.is_layer:
        _check_padding(op, padding, stride, kernel)
        _check_kernels(op, weight, groups)
    else:
        _check_made(op, out_channels)
    stride, dilation = op.per_axis(stride, dilation)
    _check_mode(op, input, padding, kernel, dilation)
    if padding == "same":
        return (*input[: -op.n - 1], out_channels, *input[-op.n :])
    padding = op.per_axis(0 if isinstance(padding, str) else padding)
    return (*input[: -op.n - 1], out_channels, *op.sliding(input[-op.n :], kernel, stride, padding, dilation))


def _image(op: Op, input: Shape) -> Shape:
    """One input or a batch of them.  Where a batch has the channels that a layer takes and other dimensions behind
    them, the layer was meant to be that of the input's dimensions."""
    fix = None
    if op.is_layer and input.rest is None and op.n + 2 < len(input) <= 5:
        takes = op.args.get("in_channels")
        if isinstance(takes, (int, Expr)) and eq(input[1], takes) is True:
            fix = f"write {op.name.rpartition('.')[2][:-2]}{len(input) - 2}d"
    at = CONSTRUCTION if fix else None
    return op.require_rank(input, op.n + 1, op.n + 2, fix=fix or _as_images(op, input), at=at)


def _as_images(op: Op, input: Shape) -> str | None:
    """What gives rows of pixels, (N, 784), the shape of square images again."""
    takes = op.args.get("in_channels")
    if not op.is_layer or op.n != 2 or input.rest is not None or len(input) != 2 or not isinstance(takes, int):
        return None
    pixels = input[1]
    side = math.isqrt(pixels // takes) if isinstance(pixels, int) and takes else 0
    return f"write x.view(-1, {takes}, {side}, {side})" if side > 3 and takes * side * side == pixels else None


@shape_rule(
    "nn.ConvTranspose{n}d.forward(input, output_size=None)",
    "nn.LazyConvTranspose{n}d.forward(input, output_size=None)",
    "F.conv_transpose{n}d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    "torch.conv_transpose{n}d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
)
def conv_transpose(
    op: Op,
    input: Shape,
    weight: Shape,
    bias: Arg,
    stride: Arg,
    padding: Arg,
    output_padding: Arg,
    groups: Arg,
    dilation: Arg,
) -> Result:
    """``(size - 1)*stride - 2*padding + dilation*(kernel - 1) + output_padding + 1`` per axis."""
    input = _image(op, input)
    op.require_floats(input)
    weight = op.require_rank(weight, op.n + 2)
    input = require_channels(op, input, weight[0])
    out_channels = weight[1] * op.dim(groups)
    op.made = -op.n - 1
    if isinstance(bias, Shape):
        _check_bias(op, bias, out_channels)
    if op.is_layer:
        _check_made(op, out_channels)
    stride, padding, output_padding, dilation = op.per_axis(stride, padding, output_padding, dilation)
    leading = (*input[: -op.n - 1], out_channels)
    wanted = op.args.get("output_size")
    if wanted is not None:
        return (*leading, *(op.unknown() for _ in range(op.n)))
    for o, s, d in zip(output_padding, stride, dilation):
        if lt(o, solving.maximum(s, d)) is False:
            op.fail(catalogue.output_padding_size(output_padding=o, stride=s, dilation=d), "output_padding")
            break
    sizes = []
    for size, kernel, s, p, o, d in zip(input[-op.n :], weight[2:], stride, padding, output_padding, dilation):
        out = (size - 1) * s - 2 * p + d * (kernel - 1) + o + 1
        if lt(out, 0):  # torch accepts an empty output here
            op.fail(catalogue.empty_output(input=input, output=out, source=op.origin(input)))
            out = op.unknown()
        sizes.append(out)
    return (*leading, *sizes)


def _check_kernels(op: Op, weight: Shape, groups: Dim) -> None:
    """``F.conv2d(image, sobel, groups=3)`` wants kernels for each of the three groups."""
    if not isinstance(groups, int) or groups < 2 or divides(groups, weight[0]) is not False:
        return
    ones = ", 1" * (len(weight) - 1)
    fix = f"write weight.repeat({groups}{ones}), kernels for each group" if weight[0] == 1 else None
    op.fail(catalogue.out_channels_groups(channels=weight[0], groups=groups, fix=fix), "groups")


def _check_made(op: Op, out_channels: Dim) -> None:
    """torch makes a layer that gives no channels (``channels // 16`` of 8), but does not run it."""
    report = catalogue.argument_range(argument="out_channels", value=out_channels, allowed="at least 1")
    op.require(le(1, out_channels), report, "out_channels")


def _check_mode(op: Op, input: Shape, padding: Arg, kernel: tuple[Dim, ...], dilation: tuple[Dim, ...]) -> None:
    """A layer whose ``padding_mode`` repeats the input needs so much of it."""
    mode = op.args.get("padding_mode")
    if not isinstance(mode, str) or mode == "zeros" or padding == "valid":
        return
    if padding == "same":
        room = [d * (k - 1) for k, d in zip(kernel, dilation)]
        pairs = [(r // 2, r - r // 2) for r in room]
    else:
        pairs = [(p, p) for p in op.per_axis(padding)]
    for axis, pair in enumerate(pairs, -op.n):
        check_pair(op, input, axis, pair, mode, "padding")


def _check_bias(op: Op, bias: Shape, out_channels: Dim) -> None:
    if bias.rest is None and dims.same(bias, (out_channels,)) is False:
        op.fail(catalogue.parameter_shape(argument="bias", given=tuple(bias), takes=(out_channels,)), "bias")
