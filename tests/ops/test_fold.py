"""Sliding blocks, flattening layers and distances against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint.ops.rule import evaluate
from conv_lint.values import Shape
from tests.ops.oracle import check, check_layer


def arguments(rng: random.Random) -> dict[str, Any]:
    def pair(choices: list[int]) -> Any:
        one, two = rng.choice(choices), rng.choice(choices)
        return rng.choice([one, one, (one, two), [one, two], (one,)]) if rng.random() < 0.9 else (one, two, one)

    return {
        "kernel_size": pair([1, 2, 2, 3, 0]),
        "dilation": pair([1, 1, 1, 2, 0]),
        "padding": pair([0, 0, 1, 2]),
        "stride": pair([1, 1, 2, 3]),
    }


@pytest.mark.parametrize("seed", range(25))
def test_unfold(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        input = Shape(rng.choice([1, 2, 3, 5, 6]) for _ in range(rng.choice([1, 2, 3, 4, 4, 5])))
        kwargs = arguments(rng)
        check_layer("torch.nn.Unfold", [], kwargs, input)
        check("torch.nn.functional.unfold", input, **kwargs)


def blocks(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1


@pytest.mark.parametrize("seed", range(25))
def test_fold(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        kwargs = arguments(rng)
        output: Any = rng.choice([3, 4, 5, (4, 5), (3, 6), (4,), (4, 4, 4)])
        places, channels = rng.choice([1, 4, 9, 12, 16]), rng.choice([1, 4, 8, 9, 12])
        if rng.random() < 0.7:
            kernel, stride, padding = rng.choice([1, 2, 3]), rng.choice([1, 2]), rng.choice([0, 1])
            output = (rng.choice([3, 4, 5]), rng.choice([4, 6]))
            kwargs = {"kernel_size": kernel, "stride": stride, "padding": padding}
            places = blocks(output[0], kernel, stride, padding) * blocks(output[1], kernel, stride, padding)
            channels = kernel * kernel * rng.choice([1, 3])
        input = Shape(((), (2,), (2,), (2, 3))[rng.randrange(4)] + (channels, places))
        check_layer("torch.nn.Fold", [output], kwargs, input)
        check("torch.nn.functional.fold", input, output, **kwargs)


def test_fold_undoes_unfold() -> None:
    unfolded, _ = evaluate("torch.nn.functional.unfold", Shape((2, 3, 8, 10)), 3, 1, 1, 2)
    assert evaluate("torch.nn.functional.fold", Shape(unfolded), (8, 10), 3, 1, 1, 2) == ((2, 3, 8, 10), [])


@pytest.mark.parametrize("seed", range(10))
def test_flatten_layer(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        input = Shape(rng.choice([1, 2, 3, 4]) for _ in range(rng.randint(0, 5)))
        args = [rng.randint(-4, 4) for _ in range(rng.randint(0, 2))]
        check_layer("torch.nn.Flatten", args, {}, input, missed=tuple(input) == ())


@pytest.mark.parametrize("seed", range(10))
def test_unflatten_layer(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        input = Shape(rng.choice([1, 2, 4, 6, 12]) for _ in range(rng.randint(1, 4)))
        size = rng.choice([(2, 3), (3, 4), (-1, 2), (2, -1), (6,), (2, 2, 3), [1, -1], 12])
        check_layer("torch.nn.Unflatten", [rng.randint(-3, 3), size], {}, input)


@pytest.mark.parametrize("seed", range(20))
def test_distances(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        x1 = tuple(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 3)))
        x2 = x1 if rng.random() < 0.5 else tuple(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 3)))
        pair, dim, keepdim = (Shape(x1), Shape(x2)), rng.randint(-3, 2), rng.random() < 0.5
        check_layer("torch.nn.CosineSimilarity", [dim], {}, *pair)
        check_layer("torch.nn.PairwiseDistance", [], {"keepdim": keepdim}, *pair)
        for owner in ("torch.nn.functional", "torch"):
            check(f"{owner}.cosine_similarity", *pair, dim)
            check(f"{owner}.pairwise_distance", *pair, 2.0, 1e-6, keepdim)
