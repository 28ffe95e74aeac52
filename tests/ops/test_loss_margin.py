"""The losses that are met less often, against torch."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest
import torch

from conv_lint.ops.rule import evaluate, evaluate_layer
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, check_layer
from tests.ops.test_loss import REDUCTIONS, changed, some


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("seed", range(4))
def test_hinge(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        input = some(rng, 0, 4)
        target, kwargs = Shape(changed(rng, input)), {"reduction": rng.choice(REDUCTIONS)}
        check_layer("torch.nn.HingeEmbeddingLoss", [], kwargs, Shape(input), target)
        check("torch.nn.functional.hinge_embedding_loss", Shape(input), target, **kwargs)


@pytest.mark.parametrize("seed", range(6))
def test_class_margins(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        input = some(rng, 0, 3)
        target = Shape(changed(rng, rng.choice([input[:-1], input[:-1], input[:1], ()])), dtype="int")
        kwargs: dict[str, Any] = {"reduction": rng.choice(REDUCTIONS)}
        check_layer("torch.nn.MultiMarginLoss", [], kwargs, Shape(input), target)
        kwargs["weight"] = rng.choice([None, None, Shape(input[-1:]), Shape((2,))])
        check("torch.nn.functional.multi_margin_loss", Shape(input), target, **kwargs, missed=bool(kwargs["weight"]))


@pytest.mark.parametrize("seed", range(6))
def test_label_margins(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        input = some(rng, 0, 3)
        target, kwargs = Shape(changed(rng, input), dtype="int"), {"reduction": rng.choice(REDUCTIONS)}
        check_layer("torch.nn.MultiLabelMarginLoss", [], kwargs, Shape(input), target)
        check("torch.nn.functional.multilabel_margin_loss", Shape(input), target, **kwargs)
        check_layer("torch.nn.MultiLabelSoftMarginLoss", [], kwargs, Shape(input), Shape(target))
        weight = rng.choice([None, Shape(input), Shape(input[-1:]), Shape(changed(rng, input))])
        check("torch.nn.functional.multilabel_soft_margin_loss", Shape(input), Shape(target), weight, **kwargs)


@pytest.mark.parametrize("seed", range(4))
def test_triplets_with_a_distance(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        first = some(rng, 0, 3)
        inputs = Shape(first), Shape(changed(rng, first)), Shape(changed(rng, first))
        kwargs = {"reduction": rng.choice(REDUCTIONS)}
        check_layer("torch.nn.TripletMarginWithDistanceLoss", [], kwargs, *inputs)
        check("torch.nn.functional.triplet_margin_with_distance_loss", *inputs, **kwargs)


@pytest.mark.parametrize("seed", range(6))
def test_gaussian(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        input = some(rng, 0, 4)
        target = Shape(changed(rng, input))
        var = Shape(changed(rng, rng.choice([input, input, input[:-1], (*input[:-1], 1)])))
        kwargs = {"reduction": rng.choice(REDUCTIONS)}
        check_layer("torch.nn.GaussianNLLLoss", [], kwargs, Shape(input), Shape(input), var, unknown=True)
        check("torch.nn.functional.gaussian_nll_loss", Shape(input), target, 0.5, **kwargs)
        # A variance that fits the output may not fit what output and target broadcast to.
        check("torch.nn.functional.gaussian_nll_loss", Shape(input), target, var, **kwargs, missed=True, unknown=True)


@pytest.mark.parametrize(
    "batches", [(2, 2, 2, 2), (3, 2, 2, 2), (2, 3, 2, 2), (2, 2, 3, 2), (2, 2, 2, 3), (2, 1, 1, 1)]
)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_ctc(batches: tuple[int, ...], reduction: str) -> None:
    a, b, c, d = batches
    shapes = (Shape(s, None, "int") for s in ((b, 2), (c,), (d,)))
    check("torch.nn.functional.ctc_loss", Shape((4, a, 5)), *shapes, reduction=reduction)


@pytest.mark.parametrize("seed", range(3))
def test_ctc_of_any_shape(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        batch = rng.choice([1, 2, 3])
        log_probs = Shape(changed(rng, rng.choice([(4, batch, 5), (4, 5)])))
        targets = Shape(changed(rng, (batch, 2)), None, "int")
        lengths = [rng.choice([Shape(changed(rng, (batch,)), None, "int"), (1,) * batch]) for _ in range(2)]
        # torch looks at the lengths themselves too.
        check_layer("torch.nn.CTCLoss", [], {"reduction": "none"}, log_probs, targets, *lengths, missed=True)


def test_ctc_says_that_time_comes_first() -> None:
    shapes = (Shape(s) for s in ((8, 20, 5), (8, 3), (8,), (8,)))
    _, (report,) = evaluate("torch.nn.functional.ctc_loss", *shapes)
    assert "must be (T, N, C) but is (8, 20, 5); write log_probs.transpose(0, 1)" in report.message()


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_layer_of_their_own(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        input = changed(rng, rng.choice([(4, 8), (4, 8), (8,)]))
        target = Shape(changed(rng, input[:-1]), None, "int")
        kwargs = {"reduction": rng.choice(REDUCTIONS)}
        inner = rng.choice([(), (2,)])
        check_layer(
            "torch.nn.LinearCrossEntropyLoss",
            [8, 10],
            {**kwargs, "out_features": inner},
            Shape(input),
            target,
            missed=bool(inner),
        )
        layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2, 5])
        arguments = ["torch.nn.AdaptiveLogSoftmaxWithLoss", [8, 10, [2, 5]], {}, Shape(input), target]
        result, reports = evaluate_layer(*arguments)
        try:
            output = layer(torch.zeros(input), torch.zeros(tuple(target), dtype=torch.long)).output
        except (RuntimeError, IndexError):
            assert reports, arguments
        else:
            assert not reports, arguments
            # torch squeezes the output of a batch of one.
            assert result == (tuple(output.shape) or tuple(target), ())


@pytest.mark.parametrize("cutoffs", [[2, 5], [5, 2], [0, 2], [2, 10], [], [9], [2, 2]])
def test_cutoffs(cutoffs: list[int]) -> None:
    inputs = Shape((4, 8)), Shape((4,), None, "int")
    check_layer("torch.nn.AdaptiveLogSoftmaxWithLoss", [8, 10, cutoffs], {}, *inputs, missed=not cutoffs)


@pytest.mark.parametrize("name", ["mse_loss", "cross_entropy", "kl_div", "nll_loss", "soft_margin_loss", "ctc_loss"])
@pytest.mark.parametrize("reduction", ["average", "Mean", "batchmean", "elementwise_mean"])
def test_words(name: str, reduction: str) -> None:
    target = Shape((4,), None, "int") if name in ("cross_entropy", "nll_loss") else Shape((4, 3))
    inputs = [Shape((4, 3)), target]
    if name == "ctc_loss":
        inputs = [Shape((4, 2, 5)), Shape((2, 2), None, "int"), Shape((2,), None, "int"), Shape((2,), None, "int")]
    check(f"torch.nn.functional.{name}", *inputs, reduction=reduction)


def test_unknown_shapes_are_silent() -> None:
    rest = Shape((Rest(),))  # type: ignore[arg-type]
    names = "multi_margin_loss multilabel_margin_loss hinge_embedding_loss multilabel_soft_margin_loss"
    for name in names.split():
        for pair in ((rest, rest), (Shape((4, 10)), rest), (rest, Shape((4,))), (rest, Unknown("data"))):
            assert evaluate(f"torch.nn.functional.{name}", *pair) == ((), []), (name, pair)
    for var in (rest, Unknown("variance"), 0.5):
        assert evaluate("torch.nn.functional.gaussian_nll_loss", rest, Shape((4, 1)), var) == ((), [])
