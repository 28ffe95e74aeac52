"""Recurrent layers and cells against torch."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.rule import evaluate_layer
from conv_lint.ops.table import LAYERS
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check_layer, resolve


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def state(rng: random.Random, *sizes: int) -> Shape:
    """The state of these sizes, or one that is wrong somewhere."""
    out = list(sizes)
    if rng.random() < 0.3:
        out[rng.randrange(len(out))] = rng.choice([1, 2, 3])
    return Shape(out if rng.random() < 0.9 else out[1:])


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("seed", range(6))
def test_layers(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        features, hidden, layers = rng.choice([1, 3, 5]), rng.choice([2, 4]), rng.choice([1, 1, 2, 3])
        kwargs: dict[str, Any] = {"num_layers": layers, "batch_first": rng.random() < 0.5}
        kwargs["bidirectional"], kwargs["bias"] = rng.random() < 0.5, rng.random() < 0.7
        out = hidden
        if name == "LSTM" and rng.random() < 0.3:
            kwargs["proj_size"] = rng.choice([0, 1, hidden - 1, hidden])
            out = kwargs["proj_size"] or hidden
        given = features if rng.random() < 0.75 else rng.choice([1, 3, 5])
        input = (*(rng.choice([1, 2, 4]) for _ in range(rng.choice([1, 1, 2, 2, 2, 2, 0, 3]))), given)
        batch = () if len(input) != 3 else (input[0 if kwargs["batch_first"] else 1],)
        states = layers * (2 if kwargs["bidirectional"] else 1)
        hx: Any = None
        if rng.random() < 0.5:
            hx = state(rng, states, *batch, out)
            hx = (hx, state(rng, states, *batch, hidden)) if name == "LSTM" else hx
        check_layer(f"torch.nn.{name}", [features, hidden], kwargs, Shape(input), hx)


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("seed", range(6))
def test_cells(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        features, hidden = rng.choice([1, 3, 5]), rng.choice([2, 4])
        given = features if rng.random() < 0.75 else rng.choice([1, 3, 5])
        input = (*(rng.choice([1, 2, 4]) for _ in range(rng.choice([0, 1, 1, 1, 2]))), given)
        hx: Any = None
        if rng.random() < 0.5:
            hx = state(rng, *input[:-1], hidden)
            hx = (hx, state(rng, *input[:-1], hidden)) if name == "LSTMCell" else hx
        check_layer(f"torch.nn.{name}", [features, hidden], {"bias": rng.random() < 0.5}, Shape(input), hx)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("args", [(0, 4), (4, 0), (4, 4, 0), (-1, 4)])
def test_ranges(name: str, args: tuple[int, ...]) -> None:
    check_layer(f"torch.nn.{name}", args, {}, Shape((2, 3, 4)))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("both", [False, True])
def test_weights(name: str, both: bool) -> None:
    kwargs = {} if "Cell" in name else {"num_layers": 2, "bidirectional": both}
    want = {k: tuple(v.shape) for k, v in resolve(f"torch.nn.{name}")(3, 4, **kwargs).named_parameters()}
    row = LAYERS[f"torch.nn.{name}"]
    made: dict[str, Any] = {}
    assert row.build is not None
    rule, row.rule = row.rule, lambda op: made.update(op.args)
    try:
        evaluate_layer(f"torch.nn.{name}", [3, 4], kwargs, Shape((1, 3)))
    finally:
        row.rule = rule
    assert {k: tuple(v) for k, v in made.items() if k in want} == want


def test_an_unknown_rank_is_settled() -> None:
    loose = Shape((Rest(), 64))  # type: ignore[arg-type]
    (out, (h, c)), reports = evaluate_layer("torch.nn.LSTM", [64, 128], {"batch_first": True}, loose)
    assert not reports
    assert len(out) == 3
    assert out[-1] == 128
    assert h[0] == c[0] == 1
    assert h[1] == out[0]


def test_a_packed_sequence_keeps_the_structure() -> None:
    (out, (h, _)), reports = evaluate_layer("torch.nn.LSTM", [64, 128], {}, Unknown("packed"))
    assert isinstance(out, Unknown)
    assert h.known == (128,)
    assert not reports


def test_sentences() -> None:
    batch = dims.symbol("B")
    _, (report,) = evaluate_layer("torch.nn.LSTM", [64, 128], {}, Shape((batch, 25, 256)))
    assert report.message() == "LSTM takes 64 features (input_size) but is given 256; write input_size=256"
    _, (report,) = evaluate_layer("torch.nn.GRU", [64, 128], {}, Shape((batch, 64, 256)))
    assert report.message().endswith("write x.transpose(1, 2) first")
    _, (report,) = evaluate_layer("torch.nn.RNN", [64, 128], {}, Shape((batch, 64, 8, 8)))
    assert report.rule.code == "CONV401"
