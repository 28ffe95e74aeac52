"""Resizing images: interpolation and upsampling, pixel and channel shuffles, grid sampling."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable
from fractions import Fraction

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, divides
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown

#: The ranks that each mode takes, the usual one last.
RANKS = {
    "nearest": (3, 5, 4),
    "nearest-exact": (3, 5, 4),
    "area": (3, 5, 4),
    "linear": (3,),
    "bilinear": (4,),
    "bicubic": (4,),
    "lanczos": (4,),
    "trilinear": (5,),
}
SMOOTH = {3: "linear", 4: "bilinear", 5: "trilinear"}


# interpolation ----------------------------------------------------------------------------------------------


@layer_rule(
    "nn.Upsample(size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None)",
    "nn.UpsamplingNearest2d(size=None, scale_factor=None)",
    "nn.UpsamplingBilinear2d(size=None, scale_factor=None)",
)
def upsample_layer(op: Op, scale_factor: Arg) -> Result:
    """torch reads a scale_factor of 0 as none, and takes no list."""
    if isinstance(scale_factor, list) and scale_factor:
        op.fail(catalogue.call_signature(problem="scale_factor is a number or a tuple, not a list"), "scale_factor")
        scale_factor = tuple(scale_factor)
    made: dict[str, object] = {"scale_factor": None if scale_factor == 0 else scale_factor}
    if op.name.endswith("2d"):
        bilinear = "Bilinear" in op.name
        made["mode"] = "bilinear" if bilinear else "nearest"
        made["align_corners"] = True if bilinear else None
    return made


@shape_rule(
    "nn.Upsample.forward(input)",
    "nn.UpsamplingNearest2d.forward(input)",
    "nn.UpsamplingBilinear2d.forward(input)",
    "F.interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None,"
    " recompute_scale_factor=None, antialias=False)",
    "F.upsample(input, size=None, scale_factor=None, mode='nearest', align_corners=None)",
    "F.upsample_nearest(input, size=None, scale_factor=None)",
)
def interpolate(
    op: Op,
    input: Shape,
    size: Arg,
    scale_factor: Arg,
    mode: Arg = "nearest",
    align_corners: Arg = None,
    recompute_scale_factor: Arg = None,
    antialias: Arg = False,
) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*size), or ``floor(size * scale_factor)`` for each (torch.nn.Upsample, "Shape")."""
    if isinstance(scale_factor, Shape):
        raise CannotTell("a scale_factor that a tensor holds")
    mode = _check_mode(op, mode)
    _check_options(op, mode, align_corners, antialias)
    at = _one_of_both(op, size, scale_factor, recompute_scale_factor)
    input = _image(op, input, mode, scale_factor if at == "scale_factor" else size)
    if antialias is True and len(input) != 4 and mode in ("bilinear", "bicubic", "lanczos"):
        op.require_rank(input, 4, takes="a 4-D input with antialias=True")
    out = _sizes(op, size, len(input) - 2) if at == "size" else _scaled(op, input[2:], scale_factor if at else None)
    # "area" is adaptive pooling, which may leave nothing.
    least = 0 if mode == "area" else 1
    wrong = next((new for new in out if mode is not None and dims.lt(new, least)), None)
    if wrong is not None:
        op.fail(catalogue.empty_output(input=input, output=out, source=op.origin(input)), at)
    return (*input[:2], *out)


@shape_rule("F.upsample_bilinear(input, size=None, scale_factor=None)")
def upsample_bilinear(op: Op, input: Shape, size: Arg, scale_factor: Arg) -> Result:
    """(N, C, H, W) -> (N, C, H', W')."""
    return interpolate(op, input, size, scale_factor, "bilinear", True)


def _check_mode(op: Op, mode: object) -> str | None:
    if not isinstance(mode, str):
        return None
    if mode in RANKS:
        return mode
    _unknown_word(op, "mode", mode, tuple(RANKS))
    return None


def _unknown_word(op: Op, argument: str, word: str, allowed: tuple[str, ...]) -> None:
    near = difflib.get_close_matches(word.lower(), allowed, 1)
    facts = {"argument": argument, "value": repr(word), "allowed": ", ".join(map(repr, allowed))}
    op.fail(catalogue.padding_string(**facts, fix=repr(near[0]) if near else None), argument)


def _check_options(op: Op, mode: str | None, align_corners: object, antialias: object) -> None:
    if mode is None:
        return
    problem, at = None, "mode"
    if mode in ("nearest", "nearest-exact", "area") and isinstance(align_corners, bool):
        problem, at = f"align_corners is for linear, bilinear, bicubic and trilinear, not for mode={mode!r}", "mode"
    elif antialias is True and mode not in ("bilinear", "bicubic", "lanczos"):
        problem, at = f"antialias is for bilinear, bicubic and lanczos, not for mode={mode!r}", "antialias"
    elif mode == "lanczos" and (align_corners is True or antialias is False):
        problem = "mode='lanczos' needs antialias=True and no align_corners"
    if problem:
        op.fail(catalogue.call_signature(problem=problem), at)


def _one_of_both(op: Op, size: object, scale_factor: object, recompute: object) -> str | None:
    """Which of size and scale_factor is given; ``None`` if that is not known.  Both or neither is CONV113."""
    problem = None
    if size is None and scale_factor is None:
        problem = "neither size nor scale_factor is given; write scale_factor=2 or size=(height, width)"
    elif not (_maybe_none(size) or _maybe_none(scale_factor)):
        problem = "both size and scale_factor are given; write one of them"
    elif recompute is True and not _maybe_none(size):
        problem = "recompute_scale_factor is for scale_factor, not for size"
    if problem:
        op.fail(catalogue.up_down_factor(problem=problem), "scale_factor" if size is None else "size")
        if size is None:
            raise CannotTell("neither size nor scale_factor")
        return "size"
    if scale_factor is None:
        return "size"
    return "scale_factor" if size is None else None


def _maybe_none(value: object) -> bool:
    return value is None or isinstance(value, Unknown)


def _image(op: Op, input: Shape, mode: str | None, chosen: object) -> Shape:
    """A batch of signals, images or volumes, as the mode or the number of sizes says."""
    many = isinstance(chosen, (tuple, list))
    if input.rest is not None:
        ranks = RANKS.get(mode or "", ())
        if len(ranks) != 1 and not many:
            raise CannotTell(input.rest.reason)
        return op.require_rank(input, ranks[0] if len(ranks) == 1 else len(chosen) + 2)  # type: ignore[arg-type]
    rank = len(input)
    if rank not in (3, 4, 5):
        fix = "write x[None, None] for a batch of one one-channel image" if rank == 2 else None
        input = op.require_rank(input, 3, 5, 4, takes="a batch of images, (N, C, H, W),", fix=fix)
    elif mode is not None and rank not in RANKS[mode]:
        needed = RANKS[mode][0]
        fix = f"write mode={SMOOTH[rank]!r}"
        if rank == 3 and needed == 4:
            fix = "write x.unsqueeze(0) for a batch of one"
        words = f"a {needed}-D input with mode={mode!r}"
        op.fail(catalogue.rank(takes=words, given=input, rank=rank, source=op.origin(input), fix=fix), "mode")
    return input


def _sizes(op: Op, size: object, count: int) -> tuple[Dim, ...]:
    for one in size if isinstance(size, (tuple, list)) else (size,):
        if isinstance(one, float):
            op.fail(catalogue.argument_range(argument="size", value=one, allowed="a whole number"), "size")
            return tuple(op.unknown() for _ in range(count))
    if isinstance(size, (tuple, list)):
        _check_length(op, "size", size, count)
        return tuple(map(op.dim, size))
    return op.per_axis(size, n=count)  # type: ignore[no-any-return]


def _check_length(op: Op, argument: str, values: tuple[object, ...] | list[object], count: int) -> None:
    if len(values) != count:
        # Not per_axis: torch does not take one number in a tuple for all axes here.
        shown = f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"
        op.fail(catalogue.tuple_length(argument=argument, value=shown, length=len(values), n=count), argument)
        raise CannotTell(f"{len(values)} numbers for {count} dimensions")


def _scaled(op: Op, sizes: tuple[Dim, ...], scale_factor: object) -> tuple[Dim, ...]:
    if isinstance(scale_factor, (tuple, list)):
        _check_length(op, "scale_factor", scale_factor, len(sizes))
        return tuple(scaled(size, factor) for size, factor in zip(sizes, scale_factor))
    return tuple(scaled(size, scale_factor) for size in sizes)


def scaled(size: Dim, factor: object) -> Dim:
    """``floor(size * factor)``, also for a symbol where the factor is a simple fraction.

    An unknown factor may be 0.5 as well as 2, so nothing is known of the result.
    """
    if not isinstance(factor, (int, float)) or not math.isfinite(factor):
        return dims.unknown(1)
    if isinstance(size, int):
        return int(size * factor)
    ratio = _ratio(float(factor))
    return size * ratio.numerator // ratio.denominator if ratio else dims.unknown(1)


@functools.cache
def _ratio(factor: float) -> Fraction | None:
    """The simple fraction that multiplies every size as the float does."""
    if not 0 < factor < 1e6:
        return None
    ratio = Fraction(factor).limit_denominator(64)
    p, q = ratio.numerator, ratio.denominator
    exact = Fraction(factor) == ratio or all(int(size * factor) == size * p // q for size in range(1, 4097))
    return ratio if exact else None


# shuffles ---------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.PixelShuffle(upscale_factor)",
    "F.pixel_shuffle(input, upscale_factor)",
    "torch.pixel_shuffle(input, upscale_factor)",
)
def pixel_shuffle(op: Op, input: Shape, upscale_factor: Arg) -> Result:
    """(\\*, C*r*r, H, W) -> (\\*, C, H*r, W*r)."""
    input, factor = _shuffled(op, input, upscale_factor, "upscale_factor")
    square = factor * factor
    channels = input[-3]
    _require_divisible(op, input, -3, square, "channels", "upscale_factor")
    return (*input[:-3], channels // square, input[-2] * factor, input[-1] * factor)


@shape_rule(
    "nn.PixelUnshuffle(downscale_factor)",
    "F.pixel_unshuffle(input, downscale_factor)",
    "torch.pixel_unshuffle(input, downscale_factor)",
)
def pixel_unshuffle(op: Op, input: Shape, downscale_factor: Arg) -> Result:
    """(\\*, C, H*r, W*r) -> (\\*, C*r*r, H, W)."""
    input, factor = _shuffled(op, input, downscale_factor, "downscale_factor")
    if _require_divisible(op, input, -2, factor, "a height", "downscale_factor"):
        _require_divisible(op, input, -1, factor, "a width", "downscale_factor")
    return (*input[:-3], input[-3] * factor * factor, input[-2] // factor, input[-1] // factor)


def _shuffled(op: Op, input: Shape, factor: object, argument: str) -> tuple[Shape, Dim]:
    input = op.require_rank_from(input, 3)
    number = op.require_least(argument, factor)
    if dims.lt(number, 1):
        raise CannotTell(f"{argument} is out of range")
    return input, number


def _require_divisible(op: Op, input: Shape, axis: int, factor: Dim, what: str, at: str) -> bool:
    given = input[axis]
    fix = None
    if isinstance(given, int) and isinstance(factor, int) and factor > 0:
        near: Iterable[int] = sorted({max(given // factor, 1) * factor, (given // factor + 1) * factor})
        fix = f"{' or '.join(map(str, near))} would fit"
    facts = {"what": what, "factor": factor, "given": given, "fix": fix}
    return op.require(divides(factor, given), catalogue.shuffle_channels(**facts, source=op.origin(input, axis)), at)


@shape_rule(
    "nn.ChannelShuffle(groups)",
    "F.channel_shuffle(input, groups)",
    "F.native_channel_shuffle(input, groups)",
    "torch.channel_shuffle(input, groups)",
    "torch.native_channel_shuffle(input, groups)",
)
def channel_shuffle(op: Op, input: Shape, groups: Arg) -> Result:
    """(N, C, \\*) to the same, the channels of each group spread out."""
    input = op.require_rank_from(input, 3)
    number = op.require_least("groups", groups)
    if input.rest is None and not dims.lt(number, 1):
        _require_divisible(op, input, 1, number, "channels", "groups")
    return input


# grids ------------------------------------------------------------------------------------------------------


@shape_rule("F.grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=None)")
def grid_sample(op: Op, input: Shape, grid: Shape, mode: Arg, padding_mode: Arg) -> Result:
    """(N, C, H, W) at (N, H', W', 2) -> (N, C, H', W'); (N, C, D, H, W) at (N, D', H', W', 3) likewise."""
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    if isinstance(mode, str) and mode not in modes:
        _unknown_word(op, "mode", mode, modes)
    if isinstance(padding_mode, str) and padding_mode not in paddings:
        _unknown_word(op, "padding_mode", padding_mode, paddings)
    if input.rest is not None:
        input = op.require_rank(input, len(grid))
    input = op.require_rank(input, 5, 4) if mode != "bicubic" else op.require_rank(input, 4)
    grid = op.require_rank(grid, len(input))
    needed = (input[0], *grid[1:-1], len(input) - 2)
    if dims.every((op.equate(grid[0], input[0]), op.equate(grid[-1], needed[-1]))) is False:
        op.fail(catalogue.parameter_shape(argument="grid", given=tuple(grid), takes=needed), "grid")
    return (*input[:2], *grid[1:-1])


@shape_rule("F.affine_grid(theta, size, align_corners=None)")
def affine_grid(op: Op, theta: Shape, size: Arg) -> Result:
    """(N, 2, 3) and a size (N, C, H, W) -> (N, H, W, 2); (N, 3, 4) and (N, C, D, H, W) -> (N, D, H, W, 3)."""
    if not isinstance(size, (tuple, list)):
        raise CannotTell("the size of a grid")
    sizes = tuple(map(op.dim, size))
    if len(sizes) not in (4, 5):
        op.fail(catalogue.tuple_length(argument="size", value=sizes, length=len(sizes), n="4 or 5"), "size")
        raise CannotTell(f"a size of {len(sizes)} numbers")
    n = len(sizes) - 2
    for value in sizes:
        op.require(
            dims.le(1, value), catalogue.argument_range(argument="size", value=value, allowed="at least 1"), "size"
        )
    takes = (sizes[0], n, n + 1)
    if theta.rest is not None:
        theta = op.require_rank(theta, 3)
    if len(theta) != 3 or dims.every(op.equate(a, b) for a, b in zip(theta, takes)) is False:
        op.fail(catalogue.parameter_shape(argument="theta", given=tuple(theta), takes=takes), "theta")
    return (sizes[0], *sizes[2:], n)
