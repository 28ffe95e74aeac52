"""Normalization against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint.ops.rule import evaluate_layer
from conv_lint.values import Rest, Shape
from tests.ops.oracle import check, check_layer

SEEDS = range(15)
ROUNDS = 20


def shape(rng: random.Random, *ranks: int, channels: int = 4, axis: int = 1, right: float = 0.75) -> Shape:
    """A random shape of one of the ranks, mostly with the channels where they belong."""
    sizes = [rng.choice([1, 1, 2, 3, 4]) for _ in range(rng.choice(ranks))]
    if len(sizes) > axis and rng.random() < right:
        sizes[axis] = channels
    return Shape(sizes)


@pytest.mark.parametrize("kind", ["BatchNorm", "LazyBatchNorm", "SyncBatchNorm"])
@pytest.mark.parametrize("seed", SEEDS)
def test_batch_norm_layer(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        n, channels = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
        name = kind if kind == "SyncBatchNorm" else f"{kind}{n}d"
        ranks = [1, 2, 3, 4, 5, 6] if kind == "SyncBatchNorm" or rng.random() < 0.3 else [n + 2, n + 2, min(n + 1, 2)]
        kwargs = {"affine": rng.random() < 0.7, "track_running_stats": rng.random() < 0.7, "bias": rng.random() < 0.7}
        if kind == "LazyBatchNorm":
            ranks = [rank for rank in ranks if rank > 1]
        check_layer(
            f"torch.nn.{name}",
            [] if kind == "LazyBatchNorm" else [channels],
            kwargs,
            shape(rng, *ranks, channels=channels),
            training=rng.random() < 0.5,
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_batch_norm_function(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        one, two, three, four = (Shape((4 if rng.random() < 0.8 else rng.choice([1, 3]),)) for _ in range(4))
        mean, var = (None, None) if rng.random() < 0.3 else (one, two)
        training = rng.random() < 0.5
        weight, bias = rng.choice([None, three]), rng.choice([None, four])
        input = shape(rng, 1, 2, 3, 4, 5, 6)
        check("torch.nn.functional.batch_norm", input, mean, var, weight, bias, training)
        check("torch.batch_norm", input, weight, bias, mean, var, training, 0.1, 1e-5, False)


@pytest.mark.parametrize("kind", ["InstanceNorm", "LazyInstanceNorm"])
@pytest.mark.parametrize("seed", SEEDS)
def test_instance_norm_layer(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        n, channels = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
        kwargs = {"affine": rng.random() < 0.5, "track_running_stats": rng.random() < 0.5, "bias": rng.random() < 0.7}
        ranks = [n + 2, n + 2, n + 1, rng.choice([2, 3, 4, 5, 6])]
        args = [channels]
        if kind == "LazyInstanceNorm":
            # torch takes num_features from dimension 1 even of an unbatched input, and then refuses it.
            args, ranks, kwargs["affine"] = [], [n + 2], True
        input = shape(rng, *ranks, channels=channels, axis=rng.choice([0, 1, 1]))
        check_layer(f"torch.nn.{kind}{n}d", args, kwargs, input, training=rng.random() < 0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_instance_norm_function(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        one, two, three, four = (Shape((4 if rng.random() < 0.8 else rng.choice([1, 3]),)) for _ in range(4))
        mean, var = (None, None) if rng.random() < 0.5 else (one, two)
        kwargs = {"weight": rng.choice([None, three]), "bias": rng.choice([None, four])}
        stats, input = rng.random() < 0.5, shape(rng, 1, 2, 3, 4, 5)
        check("torch.nn.functional.instance_norm", input, mean, var, use_input_stats=stats, **kwargs)
        check("torch.instance_norm", input, kwargs["weight"], kwargs["bias"], mean, var, stats, 0.1, 1e-5, False)


@pytest.mark.parametrize("seed", SEEDS)
def test_group_norm(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        channels = rng.choice([1, 2, 4, 6])
        groups = rng.choice([1, 2, 3, channels, channels, -1, 0, 12])
        input = shape(rng, 1, 2, 3, 4, 5, channels=channels)
        kwargs: dict[str, Any] = {"affine": rng.random() < 0.6, "bias": rng.random() < 0.5}
        check_layer("torch.nn.GroupNorm", [groups, channels], kwargs, input)
        weight, bias = (rng.choice([None, Shape((channels,)), Shape((3,)), Shape((2, 2))]) for _ in range(2))
        check("torch.nn.functional.group_norm", input, groups, weight, bias)
        check("torch.group_norm", input, groups, weight, bias)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("seed", SEEDS)
def test_layer_norm(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        input = Shape(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 4)))
        given = tuple(input)[-rng.randint(1, 3) :] if rng.random() < 0.7 else (rng.choice([1, 2, 3]),)
        given = given if rng.random() < 0.9 else (2, *given)
        argument = given[0] if len(given) == 1 and rng.random() < 0.5 else rng.choice([given, list(given)])
        kwargs = {"elementwise_affine": rng.random() < 0.5}
        if name == "LayerNorm":
            kwargs["bias"] = rng.random() < 0.5
        if given:
            check_layer(f"torch.nn.{name}", [argument], kwargs, input)
        weight = rng.choice([None, Shape(given), Shape((3,)), Shape(())])
        function = "layer_norm" if name == "LayerNorm" else "rms_norm"
        check(f"torch.nn.functional.{function}", input, list(given), weight)
        check(f"torch.{function}", input, list(given), weight)


@pytest.mark.parametrize("rank", range(7))
@pytest.mark.parametrize("size", [-1, 0, 1, 2, 9])
def test_local_response_norm(rank: int, size: int) -> None:
    input = Shape((2, 3, 4, 5, 2, 2)[:rank])
    check_layer("torch.nn.LocalResponseNorm", [size], {}, input)
    check("torch.nn.functional.local_response_norm", input, size)
    check_layer("torch.nn.CrossMapLRN2d", [max(size, 1)], {}, input)


@pytest.mark.parametrize("rank", range(4))
@pytest.mark.parametrize("dim", [-3, -1, 0, 1, 2, [0, 1], None])
def test_normalize(rank: int, dim: object) -> None:
    check("torch.nn.functional.normalize", Shape((2, 3, 4)[:rank]), dim=dim)


def message(name: str, args: list[Any], input: Shape, **kwargs: Any) -> str:
    (report,) = evaluate_layer(name, args, {}, input, **kwargs)[1]
    return report.message()


def test_messages() -> None:
    assert message("torch.nn.BatchNorm2d", [64], Shape((8, 32, 4, 4))) == (
        "BatchNorm2d normalizes 64 channels but is given 32; write num_features=32"
    )
    assert message("torch.nn.BatchNorm2d", [64], Shape((8, 64))).endswith("2 dimensions; write BatchNorm1d")
    assert message("torch.nn.BatchNorm2d", [64], Shape((64, 4, 4))).endswith("x.unsqueeze(0) for a batch of one")
    assert message("torch.nn.BatchNorm1d", [64], Shape((8, 10, 64))).endswith("write x.transpose(1, 2) first")
    assert message("torch.nn.LayerNorm", [64], Shape((8, 64, 5, 5))).endswith("write x.permute(0, 2, 3, 1) first")
    assert message("torch.nn.BatchNorm1d", [64], Shape((1, 64)), training=True) == (
        "BatchNorm1d in training needs more than one value per channel but is given (1, 64);"
        " a batch needs at least 2 samples, or call model.eval() first"
    )
    (report,) = evaluate_layer("torch.nn.GroupNorm", [32, 48], {}, Shape((2, 48, 3, 3)))[1]
    assert report.message() == (
        "GroupNorm: num_channels=48 is not divisible by num_groups=32; write num_groups=16 or 24 or 48"
    )


def test_an_unknown_number_of_dimensions_is_kept() -> None:
    for name, args in (("BatchNorm1d", [4]), ("GroupNorm", [2, 4])):
        input = Shape((Rest(), 4))  # type: ignore[arg-type]
        result, reports = evaluate_layer(f"torch.nn.{name}", args, {}, input)
        assert result is input
        assert not reports
