"""Pooling, as layers and as functions."""

from __future__ import annotations

import math

from conv_lint import catalogue
from conv_lint.dims import Dim, Expr, eq, le, lt, render, same
from conv_lint.finding import CONSTRUCTION
from conv_lint.ops.resize import scaled
from conv_lint.ops.rule import Op, all_le, halved
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import Shape, Unknown


@shape_rule(
    "nn.MaxPool{n}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)",
    "F.max_pool{n}d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
    "torch.max_pool{n}d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False)",
)
def max_pool(
    op: Op,
    input: Shape,
    kernel_size: Arg,
    stride: Arg,
    padding: Arg,
    dilation: Arg,
    ceil_mode: Arg,
    return_indices: Arg = False,
) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out."""
    input = _input(op, input)
    out = _pooled(op, input, kernel_size, stride, padding, dilation, ceil_mode)
    return (out, out) if return_indices is True else out


@shape_rule(
    "nn.AvgPool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    "nn.AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    "nn.AvgPool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    "F.avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    *(
        f"F.avg_pool{n}d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,"
        " divisor_override=None)"
        for n in (2, 3)
    ),
    "torch.avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
)
def avg_pool(op: Op, input: Shape, kernel_size: Arg, stride: Arg, padding: Arg, ceil_mode: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out."""
    input = _input(op, input)
    return _averaged(op, input, kernel_size, stride, padding, ceil_mode)


def _input(op: Op, input: Shape) -> Shape:
    """One sample or a batch.  What a convolution of more dimensions has made needs the pool of these dimensions."""
    fix = None
    if op.is_layer and input.rest is None and op.n + 2 < len(input) <= 5:
        way = input.step.way() if input.step is not None else ()
        if any(step.made == 1 - len(input) for step in way):
            fix = f"write {op.name.rpartition('.')[2][:-2]}{len(input) - 2}d"
    return op.require_rank(input, op.n + 1, op.n + 2, fix=fix, at=CONSTRUCTION if fix else None)


def _averaged(op: Op, input: Shape, kernel_size: Arg, stride: Arg, padding: Arg, ceil_mode: Arg) -> tuple[Dim, ...]:
    if op.n == 3:  # torch wants a kernel within the input here, whatever the padding
        for axis, window in enumerate(op.per_axis(kernel_size), -3):
            if lt(input[axis], window):
                source = op.origin(input, axis)
                op.fail(catalogue.kernel_too_large(kernel=window, size=input[axis], source=source), "kernel_size")
                return (*input[:-3], op.unknown(), op.unknown(), op.unknown())
    return _pooled(op, input, kernel_size, stride, padding, 1, ceil_mode)


def _pooled(
    op: Op, input: Shape, kernel_size: Arg, stride: Arg, padding: Arg, dilation: Arg, ceil_mode: Arg
) -> tuple[Dim, ...]:
    # torch reads stride=None and an empty tuple as "the kernel".
    stride = kernel_size if stride is None or stride == () else stride
    kernel, stride, padding, dilation = op.per_axis(kernel_size, stride, padding, dilation)
    most = halved(kernel)
    op.require(
        all_le(padding, most),
        catalogue.pool_padding(padding=_short(padding), kernel=_short(kernel), most=_short(most)),
        at="padding",
    )
    return (*input[: -op.n], *op.sliding(input[-op.n :], kernel, stride, padding, dilation, _flag(ceil_mode)))


def _short(sizes: tuple[Dim, ...]) -> object:
    """One number where all are the same, as people write it."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@shape_rule(
    "nn.AdaptiveAvgPool{n}d(output_size)",
    "F.adaptive_avg_pool{n}d(input, output_size)",
    "torch.adaptive_avg_pool1d(input, output_size)",
)
def adaptive_avg_pool(op: Op, input: Shape, output_size: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*output_size); ``None`` in output_size keeps the input's size."""
    if input.rest is None and op.n > 1 and _may_be_mean(output_size):
        # An output of one value is a mean in torch, which takes any number of dimensions.
        input = op.require_rank_from(input, op.n + isinstance(output_size, (tuple, list)))
    else:
        input = _input(op, input)
    return (*input[: -op.n], *_adapted(op, input, output_size))


def _may_be_mean(output_size: object) -> bool:
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
    return not any(size is None or (isinstance(size, (int, Expr)) and eq(size, 1) is False) for size in sizes)


@shape_rule(
    "nn.AdaptiveMaxPool{n}d(output_size, return_indices=False)",
    "F.adaptive_max_pool{n}d(input, output_size, return_indices=False)",
)
def adaptive_max_pool(op: Op, input: Shape, output_size: Arg, return_indices: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*output_size); ``None`` in output_size keeps the input's size."""
    input = _input(op, input)
    out = (*input[: -op.n], *_adapted(op, input, output_size))
    return (out, out) if return_indices is True else out


def _adapted(op: Op, input: Shape, output_size: object) -> tuple[Dim, ...]:
    sizes = input[-op.n :]
    if output_size is None:
        return sizes
    if isinstance(output_size, (tuple, list)):
        wanted = [1 if size is None else size for size in output_size]
        out = op._per_axis(tuple(wanted), op.n) if None in output_size else op.per_axis(output_size)
        return tuple(
            old if i < len(output_size) and output_size[i] is None else new
            for i, (old, new) in enumerate(zip(sizes, out))
        )
    return op.per_axis(output_size)  # type: ignore[no-any-return]


# with indices -----------------------------------------------------------------------------------------------


@shape_rule(
    "F.max_pool{n}d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,"
    " return_indices=False)",
)
def max_pool_with_indices(
    op: Op, input: Shape, kernel_size: Arg, stride: Arg, padding: Arg, dilation: Arg, ceil_mode: Arg
) -> Result:
    """(N, C, \\*sizes) -> values and indices (N, C, \\*sizes')."""
    return max_pool(op, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@shape_rule(
    "F.adaptive_max_pool{n}d_with_indices(input, output_size, return_indices=False)",
    "torch.adaptive_max_pool1d(input, output_size)",
)
def adaptive_max_pool_with_indices(op: Op, input: Shape, output_size: Arg) -> Result:
    """(N, C, \\*sizes) -> values and indices (N, C, \\*output_size)."""
    return adaptive_max_pool(op, input, output_size, True)


# power-average pooling --------------------------------------------------------------------------------------


@shape_rule(
    "nn.LPPool{n}d(norm_type, kernel_size, stride=None, ceil_mode=False)",
    "F.lp_pool{n}d(input, norm_type, kernel_size, stride=None, ceil_mode=False)",
)
def lp_pool(op: Op, input: Shape, norm_type: Arg, kernel_size: Arg, stride: Arg, ceil_mode: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
    if isinstance(norm_type, (int, float)) and math.isfinite(norm_type):
        return _averaged(op, input, kernel_size, stride, 0, ceil_mode)
    return _pooled(op, input, kernel_size, stride, 0, 1, ceil_mode)


# fractional pooling -----------------------------------------------------------------------------------------

FRACTIONAL = "(kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None)"


@layer_rule("nn.FractionalMaxPool2d" + FRACTIONAL, "nn.FractionalMaxPool3d" + FRACTIONAL)
def fractional_max_pool_layer(op: Op, kernel_size: Arg, output_size: Arg, output_ratio: Arg) -> Result:
    """Either output_size or output_ratio, which lies between 0 and 1."""
    if output_size is None and output_ratio is None:
        op.fail(catalogue.up_down_factor(problem="neither output_size nor output_ratio is given"), "output_size")
    elif not any(value is None or isinstance(value, Unknown) for value in (output_size, output_ratio)):
        op.fail(catalogue.up_down_factor(problem="both output_size and output_ratio are given"), "output_ratio")
        output_ratio = None
    for ratio in output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,):
        if isinstance(ratio, (int, float)) and not 0 < ratio < 1:
            allowed = "between 0 and 1"
            op.fail(catalogue.argument_range(argument="output_ratio", value=ratio, allowed=allowed), "output_ratio")
    if op.n == 3:  # torch checks this for three dimensions only
        for size in op.per_axis(kernel_size):
            op.require_least("kernel_size", size)
    return {"output_ratio": output_ratio}


@shape_rule(
    "nn.FractionalMaxPool2d.forward(input)",
    "nn.FractionalMaxPool3d.forward(input)",
    "F.fractional_max_pool2d" + FRACTIONAL.replace("(", "(input, ", 1),
    "F.fractional_max_pool3d" + FRACTIONAL.replace("(", "(input, ", 1),
)
def fractional_max_pool(
    op: Op, input: Shape, kernel_size: Arg, output_size: Arg, output_ratio: Arg, return_indices: Arg
) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*output_size), or each ``int(size * output_ratio)``; N may be left out."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
    sizes, kernel = input[-op.n :], op.per_axis(kernel_size)
    if output_size is None and output_ratio is None:
        if not op.is_layer:
            op.fail(catalogue.up_down_factor(problem="neither output_size nor output_ratio is given"), "output_size")
        return _with_indices((*input[: -op.n], *(op.unknown() for _ in sizes)), return_indices)
    if output_size is None:
        out = _by_ratio(op, sizes, output_ratio)
    elif output_ratio is None or not isinstance(output_size, Unknown):
        out = op.per_axis(output_size)
    else:
        out = tuple(op.unknown() for _ in sizes)
    for size, window, new in zip(sizes, kernel, out):
        # torch wants one more for three dimensions.
        most = size - new + (1 if op.n == 2 else 0)
        allowed = f"at most {render(most)} for {render(size)} values to become {render(new)}"
        report = catalogue.argument_range(argument="kernel_size", value=window, allowed=allowed)
        if not op.require(le(window, most), report, "kernel_size"):
            break
    return _with_indices((*input[: -op.n], *out), return_indices)


def _by_ratio(op: Op, sizes: tuple[Dim, ...], ratio: object) -> tuple[Dim, ...]:
    if isinstance(ratio, (tuple, list)):
        return tuple(scaled(size, one) for size, one in zip(sizes, (*ratio, *ratio[-1:] * len(sizes))))
    if op.n == 2 and not op.is_layer and isinstance(ratio, float):
        op.fail(catalogue.call_signature(problem="output_ratio is a tuple of 2 numbers here"), "output_ratio")
    return tuple(scaled(size, ratio) for size in sizes)


def _with_indices(out: tuple[Dim, ...], return_indices: object) -> Result:
    return (out, out) if return_indices is True else out


# unpooling --------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.MaxUnpool{n}d(kernel_size, stride=None, padding=0)",
    "nn.MaxUnpool{n}d.forward(input, indices, output_size=None)",
    "F.max_unpool{n}d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
)
def max_unpool(
    op: Op, input: Shape, indices: Shape, kernel_size: Arg, stride: Arg, padding: Arg, output_size: Arg
) -> Result:
    """``(size - 1)*stride - 2*padding + kernel`` per axis, or an output_size within one stride of that."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
    if indices.rest is None and same(indices, input) is False:
        needed = catalogue.parameter_shape(argument="indices", given=tuple(indices), takes=tuple(input))
        op.fail(needed, "indices")
    stride = kernel_size if stride is None else stride
    kernel, stride, padding = op.per_axis(kernel_size, stride, padding)
    usual = tuple(
        (size - 1) * step + window - 2 * edge
        for size, step, window, edge in zip(input[-op.n :], stride, kernel, padding)
    )
    sizes = usual if output_size is None else _unpooled(op, usual, stride, output_size)
    for size in sizes:
        if lt(size, 0):
            op.fail(catalogue.empty_output(input=input, output=size, source=op.origin(input)), "padding")
            break
    return (*input[: -op.n], *sizes)


def _unpooled(op: Op, usual: tuple[Dim, ...], stride: tuple[Dim, ...], output_size: object) -> tuple[Dim, ...]:
    """The wanted sizes; a batch and a channel size before them are passed over, as torch does."""
    if isinstance(output_size, Unknown) or not isinstance(output_size, (tuple, list)):
        return tuple(op.unknown() for _ in usual)
    sizes = tuple(map(op.dim, output_size))
    if len(sizes) == op.n + 2:
        sizes = sizes[2:]
    if len(sizes) != op.n:
        wanted = f"{op.n} or {op.n + 2}"
        report = catalogue.tuple_length(argument="output_size", value=sizes, length=len(sizes), n=wanted)
        op.fail(report, "output_size")
        return usual
    for size, near, step in zip(sizes, usual, stride):
        if lt(near - step, size) is False or lt(size, near + step) is False:
            allowed = f"between {render(near - step + 1)} and {render(near + step - 1)}"
            op.fail(catalogue.argument_range(argument="output_size", value=size, allowed=allowed), "output_size")
            break
    return sizes
