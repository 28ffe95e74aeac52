"""Pooling, as layers and as functions."""

from __future__ import annotations

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.ops.rule import Arg, Op, Result, all_le, halved, shape_rule
from conv_lint.values import Shape


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
    input = op.require_rank(input, op.n + 1, op.n + 2)
    out = _pooled(op, input, kernel_size, stride, padding, dilation, ceil_mode)
    return (out, out) if return_indices is True else out


@shape_rule(
    "nn.AvgPool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
    "nn.AvgPool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    "nn.AvgPool3d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    "F.avg_pool{n}d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None)",
    "torch.avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)",
)
def avg_pool(op: Op, input: Shape, kernel_size: Arg, stride: Arg, padding: Arg, ceil_mode: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
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
    input = op.require_rank(input, op.n + 1, op.n + 2)
    return (*input[: -op.n], *_adapted(op, input, output_size))


@shape_rule(
    "nn.AdaptiveMaxPool{n}d(output_size, return_indices=False)",
    "F.adaptive_max_pool{n}d(input, output_size, return_indices=False)",
)
def adaptive_max_pool(op: Op, input: Shape, output_size: Arg, return_indices: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*output_size); ``None`` in output_size keeps the input's size."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
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
