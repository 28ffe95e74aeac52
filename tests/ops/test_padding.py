"""Padding against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, check_layer

MODES = ["constant", "reflect", "replicate", "circular"]
KINDS = ["ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"]


def amounts(rng: random.Random, count: int) -> list[int]:
    return [rng.choice([0, 1, 1, 2, 3, -1, -2]) for _ in range(count)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(25))
def test_pad(mode: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        input = Shape(rng.choice([1, 2, 3, 5]) for _ in range(rng.choice([0, 1, 2, 3, 3, 4, 4, 5, 6])))
        count = rng.choice([0, 1, 2, 2, 3, 4, 4, 6, 6, 8])
        pad = rng.choice([tuple, list])(amounts(rng, count))
        check("torch.nn.functional.pad", input, pad, mode, missed=overlaps(mode, pad))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(25))
def test_padding_layers(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        n = rng.choice([1, 2, 3])
        input = Shape(rng.choice([1, 2, 3, 5]) for _ in range(rng.choice([n, n + 1, n + 2, n + 2, n + 3])))
        padding: Any = rng.choice([-1, 0, 1, 2]) if rng.random() < 0.3 else tuple(amounts(rng, 2 * n))
        if rng.random() < 0.1:
            padding = tuple(amounts(rng, rng.choice([1, 2, 3, 4, 6, 8])))
        args = [padding, 0.5] if kind == "ConstantPad" else [padding]
        check_layer(f"torch.nn.{kind}{n}d", args, {}, input, missed=overlaps(kind, padding))


def overlaps(kind: str, padding: Any) -> bool:
    """torch cannot wrap on one side what it cuts off on the other if the two overlap in memory."""
    return kind.lower().startswith("circular") and not isinstance(padding, int) and min(padding, default=0) < 0


@pytest.mark.parametrize("input", [(2, 0), (0, 3), (0, 3, 4)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pad", [(1, 1), (0, 0), (1, 0, 2, 0)])
def test_empty_inputs(input: tuple[int, ...], mode: str, pad: tuple[int, ...]) -> None:
    check("torch.nn.functional.pad", Shape(input), pad, mode, missed=True)


@pytest.mark.parametrize("mode", ["zeros", "REFLECT", *MODES])
@pytest.mark.parametrize("value", [None, 0, 0.0, 1.0])
def test_mode_and_value(mode: str, value: float | None) -> None:
    check("torch.nn.functional.pad", Shape((2, 3, 4)), (1, 1), mode, value)
    check("torch.nn.functional.pad", Shape((2, 3, 4)), 1, mode, value)


def test_a_difference_of_sizes_is_made_up() -> None:
    """The usual crop of a U-Net: pad ``x1`` to the size of ``x2``."""
    height, width, tall = dims.symbol("H"), dims.symbol("W"), dims.symbol("K")
    difference = tall - height
    pad = (0, 0, difference // 2, difference - difference // 2)
    result, reports = evaluate("torch.nn.functional.pad", Shape((1, 8, height, width)), pad)
    assert result == (1, 8, tall, width)
    assert not reports


def test_unknown_ranks_and_paddings() -> None:
    rest = Rest()
    result, _ = evaluate("torch.nn.functional.pad", Shape((rest, 4, 5)), (1, 1))  # type: ignore[arg-type]
    assert tuple(tuple.__iter__(result)) == (rest, 4, 7)
    result, _ = evaluate_layer("torch.nn.ReflectionPad2d", [Unknown("padding")], {}, Shape((2, 3, 4, 4)))
    assert result[:2] == (2, 3)
    assert isinstance(result[2], dims.Expr)


def test_messages() -> None:
    (report,) = evaluate_layer("torch.nn.ReflectionPad2d", [3], {}, Shape((1, 8, 7, 3)))[1]
    assert report.message() == ("ReflectionPad2d: padding 3 must be smaller than the size 3 of the dimension it pads")
    (report,) = evaluate("torch.nn.functional.pad", Shape((1, 8, 7, 7)), (1, 1), "reflect")[1]
    assert report.message() == (
        "pad takes a 2-D or 3-D input for 2 paddings in mode 'reflect' but is given (1, 8, 7, 7), 4 dimensions"
    )
    (report,) = evaluate_layer("torch.nn.ReflectionPad2d", [(1, 1)], {}, Shape((1, 8, 7, 7)))[1]
    assert report.message() == "ReflectionPad2d: padding=(1, 1) has 2 numbers, 4 are needed"
