"""Activations and dropout against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint.ops.activation import activation, channel_dropout, dropout, softmax
from conv_lint.ops.rule import evaluate_layer
from conv_lint.ops.table import FUNCTIONS, LAYERS
from conv_lint.values import Rest, Shape
from tests.ops.oracle import check, check_layer

SHAPES = [Shape((2, 3, 4, 2, 3, 2)[:rank]) for rank in range(7)]
REQUIRED: dict[str, list[Any]] = {"Threshold": [0.1, 2.0], "threshold": [0.1, 2.0]}


@pytest.mark.parametrize("name", [n for n, row in LAYERS.items() if row.rule is activation])
def test_activation_layers(name: str) -> None:
    for input in SHAPES:
        check_layer(name, REQUIRED.get(name.rpartition(".")[2], []), {}, input)


@pytest.mark.parametrize("name", [n for n, row in FUNCTIONS.items() if row.rule is activation])
def test_activation_functions(name: str) -> None:
    for input in SHAPES:
        check(name, input, *REQUIRED.get(name.rpartition(".")[2], []))


def test_identity_takes_any_arguments() -> None:
    check_layer("torch.nn.Identity", [54], {"unused_argument1": 0.1}, Shape((2, 3)))


@pytest.mark.parametrize("dim", [-4, -3, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("input", SHAPES[:5])
def test_softmax(input: Shape, dim: int) -> None:
    for name, row in FUNCTIONS.items():
        if row.rule is softmax:
            check(name, input, dim)
    for name, layer in LAYERS.items():
        if layer.rule is softmax:
            check_layer(name, [dim], {}, input)
    check("torch.nn.functional.gumbel_softmax", input, dim=dim)


@pytest.mark.parametrize("input", SHAPES)
def test_softmax_without_dim(input: Shape) -> None:
    check_layer("torch.nn.Softmax", [], {}, input)
    check("torch.nn.functional.log_softmax", input)
    check_layer("torch.nn.Softmax2d", [], {}, input)


@pytest.mark.parametrize("seed", range(20))
def test_glu(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        input = Shape(rng.choice([0, 1, 2, 3, 4, 6]) for _ in range(rng.randint(0, 4)))
        dim = rng.randint(-3, 3)
        check_layer("torch.nn.GLU", [dim], {}, input)
        check("torch.nn.functional.glu", input, dim)


@pytest.mark.parametrize("seed", range(20))
def test_prelu(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        input = Shape(rng.choice([1, 2, 3, 4]) for _ in range(rng.randint(0, 5)))
        slopes = rng.choice([1, 1, 2, 3, 4])
        check_layer("torch.nn.PReLU", [slopes], {}, input)
        weight = Shape(rng.choice([(), (1,), (slopes,), (slopes, 1)]))
        for name in ("torch.nn.functional.prelu", "torch.prelu", "torch.Tensor.prelu"):
            check(name, input, weight)


@pytest.mark.parametrize("p", [-0.1, 0.0, 0, 0.5, 1.0, 1, 1.5])
@pytest.mark.parametrize("training", [False, True])
def test_dropout(p: float, training: bool) -> None:
    for input in SHAPES:
        for name, row in FUNCTIONS.items():
            if row.rule in (dropout, channel_dropout):
                check(name, input, p, training)
        for name, layer in LAYERS.items():
            if layer.rule in (dropout, channel_dropout):
                check_layer(name, [p], {}, input, training=training)


@pytest.mark.parametrize("rank", range(4))
@pytest.mark.parametrize("classes", [1, 5, -1])
def test_one_hot(rank: int, classes: int) -> None:
    input = Shape((2, 3, 4)[:rank], dtype="int")
    check("torch.nn.functional.one_hot", input, classes, unknown=classes == -1)


def test_messages() -> None:
    (report,) = evaluate_layer("torch.nn.PReLU", [8], {}, Shape((2, 16, 4, 4)))[1]
    assert report.message() == "PReLU has 8 slopes but is given 16 channels; write num_parameters=16"
    (report,) = evaluate_layer("torch.nn.GLU", [1], {}, Shape((2, 15, 4, 4)))[1]
    assert report.message() == "GLU needs dimension 1 divisible by 2 but is given 15"


def test_an_unknown_number_of_dimensions_is_kept() -> None:
    input = Shape((Rest(), 4))  # type: ignore[arg-type]
    for name, args in (("ReLU", []), ("Softmax", [1]), ("PReLU", [3]), ("Dropout2d", []), ("Identity", [])):
        result, reports = evaluate_layer(f"torch.nn.{name}", args, {}, input, training=True)
        assert result is input
        assert not reports
    result, _ = evaluate_layer("torch.nn.GLU", [], {}, input)
    assert result.known == (2,)
