"""Losses against torch."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.ops.table import LAYERS
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, check_layer

REDUCTIONS = ("mean", "sum", "none", "none")


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def changed(rng: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape itself, or a near miss: another size, an axis more or fewer."""
    out = list(shape)
    kind = rng.random()
    if kind < 0.45:
        return shape
    if kind < 0.65 and out:
        out[rng.randrange(len(out))] = rng.choice([1, 2, 3, 6])
    elif kind < 0.85:
        out.insert(rng.randint(0, len(out)), rng.choice([1, 1, 2]))
    elif out:
        out.pop(rng.randrange(len(out)))
    return tuple(out)


def some(rng: random.Random, least: int, most: int) -> tuple[int, ...]:
    return tuple(rng.choice([1, 2, 3, 4]) for _ in range(rng.randint(least, most)))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss"])
@pytest.mark.parametrize("seed", range(6))
def test_classes(name: str, seed: int) -> None:
    rng = random.Random(seed)
    function = {"CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss"}[name]
    for _ in range(60):
        input = some(rng, 1, 5)
        exact = (*input[:1], *input[2:]) if len(input) > 1 else ()
        target = Shape(changed(rng, rng.choice([exact, exact, exact, input])), dtype="int")
        classes = input[1] if len(input) > 1 else input[0]
        weight = rng.choice([None, None, Shape((classes,)), Shape((2,)), Shape((1, 2))])
        kwargs = {"weight": weight, "reduction": rng.choice(REDUCTIONS)}
        check(f"torch.nn.functional.{function}", Shape(input), target, **kwargs)
        check_layer(f"torch.nn.{name}", [], {"reduction": kwargs["reduction"]}, Shape(input), target)


@pytest.mark.parametrize("seed", range(5))
def test_class_probabilities(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        input = some(rng, 0, 4)
        target = Shape(changed(rng, input))
        # A float target of another shape is of the wrong dtype first; that is no question of shapes.
        kwargs = {"reduction": rng.choice(REDUCTIONS), "label_smoothing": rng.choice([0.0, 0.1])}
        check("torch.nn.functional.cross_entropy", Shape(input), target, missed=True, **kwargs)


BINARY = {"BCELoss": "binary_cross_entropy", "BCEWithLogitsLoss": "binary_cross_entropy_with_logits"}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("seed", range(6))
def test_binary(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        input = some(rng, 0, 4)
        target, kwargs = Shape(changed(rng, input)), {"reduction": rng.choice(REDUCTIONS)}
        check_layer(f"torch.nn.{name}", [], kwargs, Shape(input), target)
        extra: dict[str, Any] = {"weight": rng.choice([None, Shape(changed(rng, input)), Shape(input[-1:])])}
        if name == "BCEWithLogitsLoss":
            extra["pos_weight"] = rng.choice([None, Shape(changed(rng, input)), Shape(input[-1:])])
        check(f"torch.nn.functional.{BINARY[name]}", Shape(input), target, **kwargs, **extra)


BROADCAST = {
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "SoftMarginLoss": "soft_margin_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
}


@pytest.mark.parametrize("name", BROADCAST)
@pytest.mark.parametrize("seed", range(4))
def test_broadcast(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        input = some(rng, 0, 4)
        target, kwargs = Shape(changed(rng, input)), {"reduction": rng.choice(REDUCTIONS)}
        check_layer(f"torch.nn.{name}", [], kwargs, Shape(input), target)
        if name in ("MSELoss", "L1Loss", "HuberLoss"):
            kwargs["weight"] = rng.choice([None, Shape(input), Shape(changed(rng, input))])
        check(f"torch.nn.functional.{BROADCAST[name]}", Shape(input), target, **kwargs)


THREE = {
    "TripletMarginLoss": "triplet_margin_loss",
    "MarginRankingLoss": "margin_ranking_loss",
    "CosineEmbeddingLoss": "cosine_embedding_loss",
}


@pytest.mark.parametrize("name", THREE)
@pytest.mark.parametrize("seed", range(8))
def test_three_tensors(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        first = some(rng, 0, 3)
        second = first if rng.random() < 0.5 else changed(rng, first)
        third = first[:-1] if name == "CosineEmbeddingLoss" else first
        inputs = Shape(first), Shape(second), Shape(third if rng.random() < 0.5 else changed(rng, third))
        kwargs = {"reduction": rng.choice(REDUCTIONS)}
        check_layer(f"torch.nn.{name}", [], kwargs, *inputs)
        check(f"torch.nn.functional.{THREE[name]}", *inputs, **kwargs)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_ctc(reduction: str) -> None:
    result, reports = evaluate_layer("torch.nn.CTCLoss", [0, reduction], {}, Shape((50, 4, 20)), *[Shape((4,))] * 3)
    assert (result, reports) == (() if reduction == "mean" else (4,), [])


@pytest.mark.parametrize("old", [(None, None), (True, None), (False, None), (None, False), (True, False), (None, True)])
def test_the_older_arguments(old: tuple[bool | None, bool | None]) -> None:
    kwargs = {"size_average": old[0], "reduce": old[1]}
    check("torch.nn.functional.mse_loss", Shape((4, 2)), Shape((4, 2)), **kwargs)


def test_unknown_shapes_are_silent() -> None:
    rest = Shape((Rest(),))  # type: ignore[arg-type]
    batch = dims.symbol("B")
    for name in ("cross_entropy", "nll_loss", "mse_loss", "binary_cross_entropy", "kl_div"):
        for pair in ((rest, rest), (Shape((batch, 10)), rest), (rest, Shape((batch, 1))), (rest, Unknown("data"))):
            assert evaluate(f"torch.nn.functional.{name}", *pair) == ((), [])


SENTENCES = [
    ("CrossEntropyLoss", (8, 10), (32,), "the output has 8 samples but the target has 32: something folded or split"),
    ("CrossEntropyLoss", (32, 10), (32, 1), "the target (32, 1) has an extra axis; write target.squeeze(1)"),
    ("CrossEntropyLoss", (32, 10), (32, 10), "write target.argmax(1) or target.float()"),
    ("NLLLoss", (32, 10), (32, 10), "the target (32, 10) has a value for each class"),
    ("CrossEntropyLoss", (2, 5, 8, 8), (2, 4, 4), "needs class numbers (2, 8, 8) but the target is (2, 4, 4)"),
    ("BCELoss", (4, 1), (4,), "the output is (4, 1) but the target is (4,); write output.squeeze(1)"),
    ("BCEWithLogitsLoss", (4,), (4, 1), "the output is (4,) but the target is (4, 1); write target.squeeze(1)"),
    ("BCELoss", (4, 1, 1, 1), (4,), "the output is (4, 1, 1, 1) but the target is (4,); write output.flatten()"),
    ("MSELoss", (32, 3), (32, 4), "the output (32, 3) and the target (32, 4) do not fit: 3 against 4"),
]


@pytest.mark.parametrize(("name", "input", "target", "words"), SENTENCES)
def test_sentences(name: str, input: tuple[int, ...], target: tuple[int, ...], words: str) -> None:
    _, (report,) = evaluate_layer(f"torch.nn.{name}", [], {}, Shape(input), Shape(target, dtype="int"))
    assert words in report.message()
    assert f"torch.nn.{name}" in LAYERS
