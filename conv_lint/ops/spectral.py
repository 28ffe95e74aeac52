"""Fourier transforms (torch.fft, torch.stft, torch.istft) and the parts of complex tensors."""

from __future__ import annotations

from collections.abc import Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq, le, render
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown

ONE = "(input, n=None, dim=-1, norm=None, *, out=None)"
TWO = "(input, s=None, dim=(-2, -1), norm=None, *, out=None)"
ALL = "(input, s=None, dim=None, norm=None, *, out=None)"


# torch.fft --------------------------------------------------------------------------------------------------


@shape_rule("torch.fft.fft" + ONE, "torch.fft.ifft" + ONE)
def fft(op: Op, input: Shape, n: Arg, dim: Arg) -> Result:
    """(\\*, L, \\*) -> (\\*, n, \\*), n being L if not given."""
    op.dtype = "complex"
    axis, size = _one(op, input, n, dim)
    return input.replaced(axis, size)


@shape_rule("torch.fft.rfft" + ONE, "torch.fft.ihfft" + ONE)
def rfft(op: Op, input: Shape, n: Arg, dim: Arg) -> Result:
    """(\\*, L, \\*) -> (\\*, n//2 + 1, \\*): half of the spectrum of a real signal."""
    op.dtype = "complex"
    axis, size = _one(op, input, n, dim)
    return input.replaced(axis, size // 2 + 1)


@shape_rule("torch.fft.irfft" + ONE, "torch.fft.hfft" + ONE)
def irfft(op: Op, input: Shape, n: Arg, dim: Arg) -> Result:
    """(\\*, L, \\*) -> (\\*, n, \\*), n being 2*(L - 1) if not given."""
    op.dtype = "float"
    axis, size = _one(op, input, n, dim)
    return input.replaced(axis, size if n is not None else _doubled(op, input, size))


@shape_rule("torch.fft.fft2" + TWO, "torch.fft.ifft2" + TWO, "torch.fft.fftn" + ALL, "torch.fft.ifftn" + ALL)
def fftn(op: Op, input: Shape, s: Arg, dim: Arg) -> Result:
    """Each axis of ``dim`` gets its size of ``s``; without ``s`` the shape stays."""
    op.dtype = "complex"
    if s is None and dim is None:
        return input
    return _resized(input, _several(op, input, s, dim))


@shape_rule("torch.fft.rfft2" + TWO, "torch.fft.ihfft2" + TWO, "torch.fft.rfftn" + ALL, "torch.fft.ihfftn" + ALL)
def rfftn(op: Op, input: Shape, s: Arg, dim: Arg) -> Result:
    """As fftn; of the last axis half of the spectrum is kept, n//2 + 1."""
    op.dtype = "complex"
    *others, (axis, size) = _last_known(op, input, s, dim)
    return _resized(input, [*others, (axis, size // 2 + 1)])


@shape_rule("torch.fft.irfft2" + TWO, "torch.fft.hfft2" + TWO, "torch.fft.irfftn" + ALL, "torch.fft.hfftn" + ALL)
def irfftn(op: Op, input: Shape, s: Arg, dim: Arg) -> Result:
    """As fftn; the last axis becomes 2*(L - 1) if ``s`` does not say what."""
    op.dtype = "float"
    *others, (axis, size) = _last_known(op, input, s, dim)
    last = s[-1] if isinstance(s, (tuple, list)) and s else s
    if last is None or eq(op.dim(last), -1):
        size = _doubled(op, input, size)
    return _resized(input, [*others, (axis, size)])


@shape_rule("torch.fft.fftshift(input, dim=None)", "torch.fft.ifftshift(input, dim=None)")
def fftshift(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same, rolled."""
    op.require_rank_from(input, 1)
    if dim is not None:
        op.axes(input, dim)
    return input


FREQUENCIES = "(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False)"


@shape_rule("torch.fft.fftfreq" + FREQUENCIES, "torch.fft.rfftfreq" + FREQUENCIES)
def fftfreq(op: Op, n: Arg) -> Result:
    """(n,), or (n//2 + 1,) for the half spectrum."""
    op.dtype = "float"
    if op.name.endswith("rfftfreq"):
        return (op.dim(n) // 2 + 1,)
    return (op.require_least("n", n, 0),)


def _one(op: Op, input: Shape, n: object, dim: object) -> tuple[int, Dim]:
    """The axis and the length of a transform along one axis."""
    input = op.require_rank_from(input, 1)
    axis = op.axis(input, dim)
    return axis, input[axis] if n is None else _length(op, "n", op.dim(n))


def _length(op: Op, argument: str, size: Dim) -> Dim:
    if le(1, size) is False:
        op.fail(catalogue.argument_range(argument=argument, value=size, allowed="at least 1"), argument)
        return op.unknown()
    return size


def _doubled(op: Op, input: Shape, size: Dim) -> Dim:
    """The length of the real signal with ``size`` frequencies."""
    if eq(size, 1):
        op.fail(catalogue.empty_output(input=input, output=0, source=op.origin(input)))
        return op.unknown()
    return 2 * (size - 1)


def _last_known(op: Op, input: Shape, s: object, dim: object) -> list[tuple[int, Dim]]:
    """As :func:`_several`, for transforms in which the last axis is a matter of its own."""
    input = op.require_rank_from(input, 1)
    if s is None and dim is None:
        return [(-1, op.trailing(input, 1)[-1])]
    found = _several(op, input, s, dim)
    if not found:
        op.fail(catalogue.argument_range(argument="dim", value="()", allowed="at least one dimension"), "dim")
        raise CannotTell("no dimension to transform")
    return found


def _several(op: Op, input: Shape, s: object, dim: object) -> list[tuple[int, Dim]]:
    """The axes of a transform along several, each with its length."""
    if isinstance(s, Unknown) or isinstance(dim, Unknown):
        raise CannotTell("the sizes or dimensions of a Fourier transform")
    wanted = None if s is None else tuple(s) if isinstance(s, (tuple, list)) else (s,)
    axes = _axes(op, input, wanted, dim)
    if wanted is None:
        return [(axis, input[axis]) for axis in axes]
    if len(wanted) != len(axes):
        facts = {"argument": "s", "value": tuple(wanted), "length": len(wanted), "n": len(axes)}
        op.fail(catalogue.tuple_length(**facts, fix="write one for each dimension of dim"), "s")
        raise CannotTell("sizes of a Fourier transform")
    sizes = [op.dim(size) for size in wanted]
    return [(a, input[a] if eq(size, -1) else _length(op, "s", size)) for a, size in zip(axes, sizes)]


def _axes(op: Op, input: Shape, wanted: Sequence[object] | None, dim: object) -> tuple[int, ...]:
    if dim is not None:
        axes = op.axes(op.require_rank_from(input, 1) if dim != () else input, dim)
        if len(set(axes)) < len(axes) and input.rest is None:
            op.fail(catalogue.argument_range(argument="dim", value=dim, allowed="each dimension once"), "dim")
            raise CannotTell("dimensions of a Fourier transform")
        return axes
    count = len(wanted or ())
    if input.rest is None and count > len(input):
        report = catalogue.rank(
            takes=f"{count} sizes s, for an input of at least {count} dimensions,", given=input, rank=len(input)
        )
        op.fail(report, "s")
        raise CannotTell("number of dimensions")
    return tuple(range(-count, 0))


def _resized(input: Shape, sizes: Sequence[tuple[int, Dim]]) -> Shape:
    for axis, size in sizes:
        input = input.replaced(axis, size)
    return input


# short-time transforms --------------------------------------------------------------------------------------


@shape_rule(
    "torch.stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode='reflect',"
    " normalized=False, onesided=None, return_complex=None, align_to_window=None)",
    "Tensor.stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode='reflect',"
    " normalized=False, onesided=None, return_complex=None, align_to_window=None)",
)
def stft(
    op: Op,
    input: Shape,
    n_fft: Arg,
    hop_length: Arg,
    win_length: Arg,
    window: Arg,
    center: Arg,
    pad_mode: Arg,
    onesided: Arg,
    return_complex: Arg,
    align_to_window: Arg,
) -> Result:
    """(B?, L) -> (B?, N, T): N is n_fft//2 + 1, or n_fft not onesided, and T is 1 + L//hop_length, centered.

    With return_complex=False a last axis of 2 is added.  torch refuses a signal of real numbers for which it is not
    given at all, as older versions do not.
    """
    if any(isinstance(flag, Unknown) for flag in (center, onesided, return_complex, align_to_window)):
        raise CannotTell("an option of stft")
    if return_complex is None and input.dtype != "complex":
        raise CannotTell("stft without return_complex")
    input = op.require_rank(input, 1, 2)
    size = op.require_least("n_fft", n_fft)
    _check_window(op, window, win_length, size)
    length = input[-1]
    if center:
        pad = size // 2
        if pad_mode == "reflect":
            report = catalogue.reflect_too_large(
                padding=pad, allowed="less than", size=length, source=op.origin(input, -1)
            )
            if not op.require(dims.lt(pad, length), report, "n_fft"):
                length = op.unknown()
        length = length + 2 * pad
    elif align_to_window:
        raise CannotTell("align_to_window")
    room = length - size
    if dims.lt(room, 0):
        op.fail(catalogue.kernel_too_large(kernel=size, size=length, source=op.origin(input, -1)), "n_fft")
        frames = op.unknown()
    else:
        frames = 1 + room // _hop(op, hop_length, size)
    half = onesided if onesided is not None else input.dtype != "complex"
    op.dtype = "complex" if return_complex else "float"
    return (*input[:-1], size // 2 + 1 if half else size, frames, *(() if return_complex is not False else (2,)))


def _hop(op: Op, hop_length: object, size: Dim) -> Dim:
    return _length(op, "hop_length", size // 4 if hop_length is None else op.dim(hop_length))


def _check_window(op: Op, window: object, win_length: object, size: Dim) -> None:
    """The window has win_length values, at most n_fft."""
    if isinstance(win_length, Unknown):
        return
    length = size if win_length is None else op.dim(win_length)
    allowed = f"from 1 to n_fft={render(size)}"
    inside = dims.every((le(1, length), le(length, size)))
    op.require(inside, catalogue.argument_range(argument="win_length", value=length, allowed=allowed), "win_length")
    if isinstance(window, Shape) and window.rest is None and dims.same(window, (length,)) is False:
        op.fail(catalogue.parameter_shape(argument="window", given=tuple(window), takes=(length,)), "window")


@shape_rule(
    "torch.istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False,"
    " onesided=None, length=None, return_complex=False)",
    "Tensor.istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False,"
    " onesided=None, length=None, return_complex=False)",
)
def istft(
    op: Op,
    input: Shape,
    n_fft: Arg,
    hop_length: Arg,
    win_length: Arg,
    window: Arg,
    center: Arg,
    onesided: Arg,
    length: Arg,
    return_complex: Arg,
) -> Result:
    """(B?, N, T) -> (B?, length), or what T frames cover."""
    if any(isinstance(flag, Unknown) for flag in (center, onesided, return_complex)):
        raise CannotTell("an option of istft")
    op.dtype = "complex" if return_complex else "float"
    input = op.require_rank(input, 2, 3)
    size = op.require_least("n_fft", n_fft)
    _check_window(op, window, win_length, size)
    whole = eq(input[-2], size) if onesided is None else not onesided
    if whole is not None:  # of an unknown height either may be meant
        rows = size if whole else size // 2 + 1
        op.require_size(input, -2, rows, catalogue.sequence_features, "n_fft", argument="frequencies of n_fft")
    if length is not None:
        return (*input[:-2], _length(op, "length", op.dim(length)))
    covered = size + _hop(op, hop_length, size) * (input[-1] - 1)
    if center:
        covered = covered - 2 * (size // 2)
    if eq(covered, 0):
        op.fail(catalogue.empty_output(input=input, output=0, source=op.origin(input)))
        covered = op.unknown()
    return (*input[:-2], covered)


# complex numbers --------------------------------------------------------------------------------------------


@shape_rule("torch.view_as_real(input)")
def view_as_real(op: Op, input: Shape) -> Result:
    """(\\*) -> (\\*, 2)."""
    op.dtype = "float"
    return (*tuple.__iter__(input), 2)


@shape_rule("torch.view_as_complex(input)")
def view_as_complex(op: Op, input: Shape) -> Result:
    """(\\*, 2) -> (\\*)."""
    op.dtype = "complex"
    input = op.trailing(input, 1)
    if op.equate(input[-1], 2) is False:
        report = catalogue.parameter_shape(argument="input", given=tuple(input.known), takes=(*input.known[:-1], 2))
        op.fail(report, "input")
    return input[:-1]


@shape_rule("torch.real(input)", "Tensor.real(input)", "torch.imag(input)", "Tensor.imag(input)")
def part(op: Op, input: Shape) -> Result:
    """(\\*) to the same, of floats."""
    op.dtype = "float" if input.dtype == "complex" else input.dtype
    return input
