"""Pooling against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.values import Shape, Unknown
from tests.ops.oracle import check, check_layer

SEEDS = range(20)
ROUNDS = 12


def image(rng: random.Random, n: int, sizes: tuple[int, ...] = (1, 3, 5, 6, 8)) -> Shape:
    rank = n + 2 if rng.random() < 0.75 else rng.choice([n, n + 1, n + 3])
    return Shape([rng.choice([1, 2]) for _ in range(max(rank - n, 0))] + [rng.choice(sizes) for _ in range(n)])


def per_axis(rng: random.Random, n: int, choices: list[int]) -> int | tuple[int, ...]:
    return rng.choice(choices) if rng.random() < 0.7 else tuple(rng.choice(choices) for _ in range(n))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_max_and_avg_pool(n: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        input = image(rng, n)
        kwargs: dict[str, Any] = {
            "kernel_size": per_axis(rng, n, [1, 2, 3]),
            "stride": rng.choice([None, per_axis(rng, n, [1, 2, 3])]),
            "padding": rng.choice([0, 0, per_axis(rng, n, [0, 1])]),
            "ceil_mode": rng.random() < 0.5,
        }
        check_layer(f"torch.nn.AvgPool{n}d", [], kwargs, input)
        check(f"torch.nn.functional.avg_pool{n}d", input, **{k: v for k, v in kwargs.items() if v is not None})
        more = {"dilation": per_axis(rng, n, [1, 1, 2]), "return_indices": rng.random() < 0.3}
        check_layer(f"torch.nn.MaxPool{n}d", [], {**kwargs, **more}, input)
        check(f"torch.nn.functional.max_pool{n}d", input, **kwargs, **more)
        check(f"torch.nn.functional.max_pool{n}d_with_indices", input, **kwargs)
        del kwargs["padding"]
        if n == 1:  # torch's function wants plain numbers
            kwargs = {k: v[0] if isinstance(v, tuple) else v for k, v in kwargs.items()}
        norm = rng.choice([1.0, 2.0, float("inf")])
        check_layer(f"torch.nn.LPPool{n}d", [norm], kwargs, input)
        check(f"torch.nn.functional.lp_pool{n}d", input, norm, **kwargs)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_pool(n: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        input = image(rng, n)
        size: Any = per_axis(rng, n, [1, 2, 7])
        if n > 1 and rng.random() < 0.3:
            size = tuple(rng.choice([None, 1, 3]) for _ in range(n))
        for kind in ("Avg", "Max"):
            check_layer(f"torch.nn.Adaptive{kind}Pool{n}d", [size], {}, input)
            check(f"torch.nn.functional.adaptive_{kind.lower()}_pool{n}d", input, size)
        check(f"torch.nn.functional.adaptive_max_pool{n}d_with_indices", input, size)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_fractional_pool(n: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        input = image(rng, n)
        kwargs: dict[str, Any] = {"kernel_size": per_axis(rng, n, [1, 2, 3])}
        if rng.random() < 0.6:
            kwargs["output_size"] = per_axis(rng, n, [1, 2, 3, 5])
        if "output_size" not in kwargs or rng.random() < 0.1:
            ratios = [0.3, 0.5, 0.9, 1.5]
            kwargs["output_ratio"] = rng.choice([rng.choice(ratios), tuple(rng.choice(ratios) for _ in range(n))])
        kwargs["return_indices"] = rng.random() < 0.3
        if rng.random() < 0.05:
            kwargs = {"kernel_size": 2}
        check_layer(f"torch.nn.FractionalMaxPool{n}d", [], kwargs, input)
        check(f"torch.nn.functional.fractional_max_pool{n}d", input, **kwargs)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_max_unpool(n: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        input = image(rng, n, (1, 2, 3))
        indices = Shape(input if rng.random() < 0.9 else image(rng, n, (1, 2, 3)), dtype="int")
        args: list[Any] = [
            per_axis(rng, n, [1, 2, 3]),
            rng.choice([None, per_axis(rng, n, [1, 2, 3])]),
            rng.choice([0, 0, per_axis(rng, n, [0, 1])]),
        ]
        size = None
        if rng.random() < 0.5:
            size = [rng.choice([1, 2, 3, 4, 5, 6]) for _ in range(rng.choice([n, n, n + 1, n + 2]))]
        check_layer(f"torch.nn.MaxUnpool{n}d", args, {}, input, indices, size)
        check(f"torch.nn.functional.max_unpool{n}d", input, indices, *args, size)


@pytest.mark.parametrize("input", [Shape((2, 3, 8)), Shape((3, 8)), Shape((8,)), Shape((2, 3, 8, 8))])
def test_one_dimension_in_torch(input: Shape) -> None:
    check("torch.max_pool1d", input, 2)
    check("torch.avg_pool1d", input, 2)
    check("torch.adaptive_avg_pool1d", input, 2)
    check("torch.adaptive_max_pool1d", input, 2)


def test_unpooling_undoes_pooling_of_symbols() -> None:
    height = dims.symbol("H")
    pooled, indices = evaluate("torch.nn.functional.max_pool2d", Shape((1, 2, 2 * height, 8)), 2, return_indices=True)[
        0
    ]
    result, reports = evaluate("torch.nn.functional.max_unpool2d", Shape(pooled), Shape(indices), 2)
    assert result == (1, 2, 2 * height, 8)
    assert not reports


def test_unknown_output_sizes() -> None:
    for name in ("FractionalMaxPool2d", "MaxUnpool2d"):
        inputs = [Shape((1, 2, 8, 8))] * (1 if name[0] == "F" else 2)
        args = [2, Unknown("size")] if name[0] == "F" else [2]
        more = [] if name[0] == "F" else [Unknown("size")]
        result, reports = evaluate_layer(f"torch.nn.{name}", args, {}, *inputs, *more)
        assert result[:2] == (1, 2)
        assert all(isinstance(size, dims.Expr) for size in result[2:])
        assert not reports
