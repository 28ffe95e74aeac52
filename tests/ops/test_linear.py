"""Linear maps and embeddings against torch."""

from __future__ import annotations

import random

import pytest

from conv_lint import dims
from conv_lint.finding import Step
from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.values import Rest, Shape
from tests.ops.oracle import check, check_layer


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 2, 3, 4, 5]) for _ in range(rng.randint(least, most)))


@pytest.mark.parametrize("seed", range(20))
def test_linear_layer(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        name, features = rng.choice(["Linear", "Linear", "LazyLinear"]), rng.choice([1, 2, 5])
        given = features if rng.random() < 0.7 else rng.choice([1, 2, 5])
        args = [features, rng.choice([1, 3, 7])] if name == "Linear" else [rng.choice([1, 3])]
        shape = (*sizes(rng), given) if rng.random() < 0.95 else ()
        check_layer(f"torch.nn.{name}", args, {"bias": rng.random() < 0.5}, Shape(shape))


@pytest.mark.parametrize("seed", range(20))
def test_linear_function(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        features, out = rng.choice([1, 2, 5]), rng.choice([1, 3, 7])
        weight = rng.choice([(out, features), (out, features), (features,), (), (2, out, features)])
        bias = rng.choice([None, Shape((out,)), Shape((1,)), Shape(()), Shape((4,))])
        bias = bias if len(weight) != 1 else None
        check("torch.nn.functional.linear", Shape((*sizes(rng), rng.choice([1, 2, 5]))), Shape(weight), bias)


@pytest.mark.parametrize("seed", range(20))
def test_bilinear(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        leading = tuple(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 3)))
        other = leading if rng.random() < 0.7 else tuple(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 2)))
        one, two, out = rng.choice([1, 2, 3]), rng.choice([1, 2, 3]), rng.choice([1, 4])
        inputs = Shape((*leading, one if rng.random() < 0.8 else 2)), Shape((*other, two if rng.random() < 0.8 else 2))
        check_layer("torch.nn.Bilinear", [one, two, out], {"bias": rng.random() < 0.5}, *inputs)
        bias = rng.choice([None, Shape((out,)), Shape((1,)), Shape(())])
        weight = rng.choice([(out, one, two), (one, two)])
        for name in ("torch.nn.functional.bilinear", "torch.bilinear"):
            check(name, *inputs, Shape(weight), bias)
    check("torch.nn.functional.bilinear", Shape(()), Shape(()), Shape((1, 1, 1)))


@pytest.mark.parametrize("seed", range(20))
def test_embedding(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        count, size = rng.choice([2, 3, 10]), rng.choice([1, 4])
        padding_idx = rng.choice([None, 0, 1, -1, -3, 2, 9, 10, -10])
        weight = rng.choice([None, None, Shape((count, size)), Shape((size, count)), Shape((count,))])
        indices = Shape(sizes(rng), dtype="int")
        if weight is None:
            check_layer("torch.nn.Embedding", [count, size, padding_idx], {}, indices)
        else:
            check("torch.nn.functional.embedding", indices, weight, padding_idx, missed=weight == (count,))


@pytest.mark.parametrize("seed", range(20))
def test_embedding_bag(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        bag = Shape(tuple(rng.choice([1, 2, 3]) for _ in range(rng.choice([0, 1, 1, 2, 2, 3]))), dtype="int")
        offsets = rng.choice([None, Shape((1,), dtype="int"), Shape((3,), dtype="int"), Shape((1, 2), dtype="int")])
        weights = rng.choice([None, None, Shape(bag), Shape((2, 2))])
        # torch itself crashes where the only offset is the last one.
        last = rng.random() < 0.3 and offsets != (1,)
        kwargs = {"include_last_offset": last, "mode": "sum", "padding_idx": rng.choice([None, 5, 12, -11])}
        check_layer("torch.nn.EmbeddingBag", [10, 4], kwargs, bag, offsets, weights)
        check("torch.nn.functional.embedding_bag", bag, Shape((10, 4)), offsets, per_sample_weights=weights, **kwargs)


@pytest.mark.parametrize("args", [(-1, 3), (3, -1), (0, 3), (3, 0)])
@pytest.mark.parametrize("name", ["Linear", "Embedding", "EmbeddingBag"])
def test_ranges(name: str, args: tuple[int, int]) -> None:
    check_layer(f"torch.nn.{name}", args, {}, Shape((2, 3), dtype="int" if "E" in name else None), missed=0 in args)


def flattened(*before: int | dims.Expr, features: int) -> Shape:
    """What a flatten of ``before`` and a ReLU leave."""
    start = Step("conv2", None, before)
    flat = Step("flatten", None, (before[0], features), (start,))
    return Shape(flat.shape, Step("relu", None, flat.shape, (flat,)))


def test_the_product_behind_a_flatten_is_named() -> None:
    _, (report,) = evaluate_layer("torch.nn.Linear", [256, 10], {}, flattened(4, 16, 5, 5, features=400))
    assert report.message() == ("Linear takes 256 features but is given 400 = 16*5*5 (flatten); write in_features=400")
    batch = dims.symbol("B")
    _, (report,) = evaluate_layer("torch.nn.Linear", [256, 10], {}, flattened(batch, 512, 1, 1, features=512))
    assert report.facts["product"] == "512*1*1"


def test_a_forgotten_flatten_is_named() -> None:
    _, (report,) = evaluate_layer("torch.nn.Linear", [400, 10], {}, Shape((4, 16, 5, 5)))
    assert report.message().endswith("write torch.flatten(x, 1) first")


def test_an_unknown_number_of_dimensions_is_kept() -> None:
    rest = Rest()
    result, reports = evaluate_layer("torch.nn.Linear", [400, 10], {}, Shape((rest, 400)))  # type: ignore[arg-type]
    assert tuple(tuple.__iter__(Shape(result))) == (rest, 10)
    assert not reports
    _, reports = evaluate("torch.nn.functional.linear", Shape((rest, 4)), Shape((10, 5)))  # type: ignore[arg-type]
    assert [r.rule.code for r in reports] == ["CONV202"]
