"""Interpolation, shuffles and grids against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.resize import RANKS, scaled
from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, check_layer

SCALES = [2, 2.0, 0.5, 1.5, 3, 0.25, 1 / 3, 0.7, 1.7, 0.3, 1, 0.1]


def image(rng: random.Random, *ranks: int) -> Shape:
    return Shape(rng.choice([1, 2, 3, 4, 7]) for _ in range(rng.choice(ranks)))


def target(rng: random.Random, count: int) -> dict[str, Any]:
    """size or scale_factor, one number or one for each axis; now and then both, none, or a wrong number of them."""
    count = count if rng.random() < 0.9 else rng.choice([1, 2, 3])
    make = rng.choice([tuple, list])
    size: Any = rng.choice([1, 2, 5, 8])
    scale: Any = rng.choice(SCALES)
    if rng.random() < 0.5:
        size, scale = (make(rng.choice(c) for _ in range(count)) for c in ([1, 2, 5, 0], SCALES))
    choice = rng.random()
    if choice < 0.05:
        return {"size": size, "scale_factor": scale}
    return {} if choice < 0.1 else {"size": size} if choice < 0.5 else {"scale_factor": scale}


@pytest.mark.parametrize("seed", range(40))
def test_interpolate(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        mode = rng.choice([*RANKS, "bilinear", "nearest", "cubic"])
        ranks = RANKS.get(mode, (4,)) if rng.random() < 0.8 else (2, 3, 4, 5, 6)
        input = image(rng, *ranks)
        kwargs = target(rng, max(len(input) - 2, 0))
        if mode not in ("nearest", "nearest-exact", "area") or rng.random() < 0.1:
            kwargs["align_corners"] = rng.choice([None, True, False])
        if rng.random() < 0.2:
            kwargs["recompute_scale_factor"] = rng.choice([True, False])
        check_layer("torch.nn.Upsample", [], {**kwargs, "mode": mode}, input)
        if rng.random() < 0.2 or mode == "lanczos":
            kwargs["antialias"] = rng.choice([True, False])
        check("torch.nn.functional.interpolate", input, mode=mode, **kwargs)


@pytest.mark.parametrize("seed", range(10))
def test_old_names(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        input = image(rng, 3, 4, 4, 4, 5)
        kwargs = target(rng, len(input) - 2)
        for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
            check_layer(f"torch.nn.{name}", [], kwargs, input)
        for name in ("upsample", "upsample_nearest", "upsample_bilinear"):
            check(f"torch.nn.functional.{name}", input, **kwargs)


def test_float_sizes_are_refused() -> None:
    check("torch.nn.functional.interpolate", Shape((1, 2, 3, 4)), size=(1.5, 2))
    check("torch.nn.functional.interpolate", Shape((1, 2, 3, 4)), size=3.0)


@pytest.mark.parametrize("factor", [*SCALES, 1 / 49, 2 / 3, 1 / 7, 4 / 3, 0.9, 1.1, 16.0])
def test_scaled_symbols_are_floored_as_floats_are(factor: float) -> None:
    size = dims.symbol("H")
    out = scaled(size, factor)
    (symbol,) = size.symbols
    if any(not s.given for s in dims.symbols(out)):
        assert factor not in (2, 0.5, 1.5, 1 / 3, 0.25)
        return
    for value in range(1, 3000):
        assert dims.substitute(out, {symbol: value}) == int(value * factor)


def test_an_unknown_scale_factor() -> None:
    height = dims.symbol("H")
    for scale in (Unknown("config"), dims.symbol("scale")):
        result, reports = evaluate_layer("torch.nn.Upsample", [None, scale], {}, Shape((1, 2, height, height)))
        assert result[:2] == (1, 2)
        assert all(isinstance(size, dims.Expr) and dims.eq(size, height) is None for size in result[2:])
        assert not reports
    result, reports = evaluate("torch.nn.functional.interpolate", Shape((1, 2, 3, 4)), Unknown("a"), Unknown("b"))
    assert result[:2] == (1, 2)
    assert dims.eq(result[2], 3) is None
    assert not reports


def test_unknown_ranks() -> None:
    rest = Rest()
    result, _ = evaluate(
        "torch.nn.functional.interpolate",
        Shape((rest, 8, 8)),
        scale_factor=2,
        mode="bilinear",  # type: ignore[arg-type]
    )
    assert len(result) == 4
    assert result[2:] == (16, 16)
    result, _ = evaluate("torch.pixel_shuffle", Shape((rest, 8, 5, 5)), 2)  # type: ignore[arg-type]
    assert tuple(tuple.__iter__(result)) == (rest, 2, 10, 10)


@pytest.mark.parametrize("seed", range(20))
def test_shuffles(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        factor = rng.choice([-1, 0, 1, 2, 2, 3])
        input = Shape(rng.choice([1, 2, 3, 4, 6, 8, 9, 12]) for _ in range(rng.choice([0, 1, 2, 3, 4, 4, 5])))
        for layer, name in (("PixelShuffle", "pixel_shuffle"), ("PixelUnshuffle", "pixel_unshuffle")):
            check_layer(f"torch.nn.{layer}", [factor], {}, input)
            check(f"torch.nn.functional.{name}", input, factor)
            check(f"torch.{name}", input, factor)
        check_layer("torch.nn.ChannelShuffle", [factor], {}, input)
        for name in ("channel_shuffle", "native_channel_shuffle"):
            check(f"torch.nn.functional.{name}", input, factor)
            check(f"torch.{name}", input, factor)


@pytest.mark.parametrize("seed", range(20))
def test_grid_sample(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        input = image(rng, 2, 3, 4, 4, 5, 5, 6)
        rank = len(input) if rng.random() < 0.8 else rng.choice([3, 4, 5])
        grid = [input[0], *(rng.choice([1, 2, 5]) for _ in range(rank - 2)), rank - 2]
        if rng.random() < 0.3:
            grid[rng.choice([0, -1])] = rng.choice([1, 2, 3])
        mode, padding = rng.choice(["bilinear", "nearest", "bicubic", "linear"]), rng.choice(["zeros", "border", "x"])
        check("torch.nn.functional.grid_sample", input, Shape(grid), mode, padding)


@pytest.mark.parametrize("seed", range(20))
def test_affine_grid(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        n = rng.choice([1, 2, 2, 3, 3, 4])
        size = [rng.choice([1, 2, 3]) for _ in range(n + 2)]
        if rng.random() < 0.1:
            size[-1] = rng.choice([0, -1])
        theta = [size[0], n, n + 1]
        if rng.random() < 0.3:
            theta[rng.randrange(3)] = rng.choice([1, 2, 3])
        check("torch.nn.functional.affine_grid", Shape(theta if rng.random() < 0.9 else theta[:2]), size)


def test_messages() -> None:
    (report,) = evaluate_layer("torch.nn.PixelShuffle", [2], {}, Shape((1, 30, 4, 4)))[1]
    assert report.message() == ("PixelShuffle needs channels divisible by 4 but is given 30; 28 or 32 would fit")
    (report,) = evaluate("torch.nn.functional.interpolate", Shape((3, 8, 8)), scale_factor=2, mode="bilinear")[1]
    assert report.message() == (
        "interpolate takes a 4-D input with mode='bilinear' but is given (3, 8, 8), 3 dimensions;"
        " write x.unsqueeze(0) for a batch of one"
    )
    (report,) = evaluate_layer("torch.nn.Upsample", [], {}, Shape((1, 3, 8, 8)))[1]
    assert report.message() == (
        "Upsample: neither size nor scale_factor is given; write scale_factor=2 or size=(height, width)"
    )
