"""The window arithmetic that convolutions and pools share, and what is said of sizes that do not fit."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim

if TYPE_CHECKING:
    from conv_lint.ops.rule import Op


def windows(size: Dim, span: Dim, stride: Dim, padding: Dim, ceil_mode: bool = False) -> Dim:
    """How many windows that span so much fit along one axis (torch.nn.Conv2d and torch.nn.MaxPool2d, "Shape")."""
    room = size + 2 * padding - span
    if not ceil_mode:
        return room // stride + 1
    # A window that hangs over the end counts too, also where the kernel is larger than the whole input; the last one
    # must start inside the input or its left padding.
    return dims.ceildiv(solving.minimum(room + stride, size + padding), stride)


def slide(
    op: Op,
    axis: int,
    size: Dim,
    kernel: Dim,
    stride: Dim,
    padding: Dim,
    dilation: Dim,
    ceil_mode: bool | None,
) -> Dim:
    """The output size along one axis; where it does not fit, that is said."""
    span = dilation * (kernel - 1) + 1
    if isinstance(stride, int) and stride < 1:
        return op.unknown()
    out = windows(size, span, stride, padding, ceil_mode is not False)
    if dims.lt(size + 2 * padding, span) and (ceil_mode is False or dims.lt(out, 1)):
        op.fail(catalogue.kernel_too_large(kernel=span, size=size + 2 * padding, axis=axis - op.n), "kernel_size")
        return op.unknown()
    if ceil_mode is None:
        return op.unknown()
    if not ceil_mode and all(isinstance(v, int) for v in (size, kernel, stride, padding, dilation)):
        _say_of_quotient(op, axis, size, span, stride, padding)  # type: ignore[arg-type]
    return out


def _say_of_quotient(op: Op, axis: int, size: int, span: int, stride: int, padding: int) -> None:
    """CONV301 where rows or columns of the input are never read, CONV302 where only padding is dropped.

    A stride larger than the kernel skips rows between its windows on purpose; skipping some at the end is no loss.
    """
    remainder = (size + 2 * padding - span) % stride
    if not remainder:
        return
    lost = remainder - padding if stride <= span else 0
    quotient = f"{float(Fraction(size + 2 * padding - span, stride)):g}"
    facts = {"size": size, "kernel": span, "padding": padding, "stride": stride, "quotient": quotient}
    near = [str(n) for n in (size - remainder, size - remainder + stride) if n > 0]
    fix = f"an input of {' or '.join(near)} fits exactly"
    if lost > 0:
        what = ("column" if axis == op.n - 1 else "row") if op.n > 1 else "value"
        said = (what, "is") if lost == 1 else (f"{lost} {what}s", "are")
        op.fail(catalogue.lossy_size(**facts, lost=said[0], verb=said[1], fix=fix), "stride")
    else:
        what = "padding" if remainder <= padding else "what the stride skips anyway"
        op.fail(catalogue.floored_size(**facts, what=what, fix=fix), "stride")
