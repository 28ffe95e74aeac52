"""Attention and the Transformer layers against torch."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest

from conv_lint.ops.rule import evaluate, evaluate_layer, run
from conv_lint.ops.table import LAYERS
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, check_layer, plain, real, resolve, torch_says


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def near(rng: random.Random, shape: tuple[int, ...], rate: float = 0.2) -> tuple[int, ...]:
    """The shape, now and then with another size or another rank."""
    out = list(shape)
    if rng.random() < rate and out:
        out[rng.randrange(len(out))] = rng.choice([1, 2, 3, 4])
    if rng.random() < rate / 4:
        out = out[1:] if rng.random() < 0.5 else [1, *out]
    return tuple(out)


def sequence(rng: random.Random, batch: int | None, length: int, features: int, first: bool) -> tuple[int, ...]:
    if batch is None:
        return (length, features)
    return (batch, length, features) if first else (length, batch, features)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_multihead_attention(seed: int, training: bool) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        heads = rng.choice([1, 2])
        embed = heads * rng.choice([1, 2]) if rng.random() < 0.95 else 3
        first, batch = rng.random() < 0.5, rng.choice([None, 1, 2, 3])
        kwargs: dict[str, Any] = {"batch_first": first}
        for name in ("add_bias_kv", "add_zero_attn"):
            kwargs[name] = rng.random() < 0.15
        for name in ("kdim", "vdim"):
            kwargs[name] = rng.choice([None, None, None, 3, embed])
        length, keys = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
        query = near(rng, sequence(rng, batch, length, embed, first))
        key = near(rng, sequence(rng, batch, keys, kwargs["kdim"] or embed, first))
        value = near(rng, sequence(rng, batch, keys, kwargs["vdim"] or embed, first))
        if rng.random() < 0.3:
            key = value = query
        mask = rng.choice([None, None, (length, keys), (heads * (batch or 1), length, keys), (keys, length)])
        padding = rng.choice([None, None, (keys,) if batch is None else (batch, keys), (length, keys)])
        inputs = [Shape(query), Shape(key), Shape(value), Shape(padding) if padding else None]
        inputs += [rng.random() < 0.6, Shape(mask) if mask else None, rng.random() < 0.5]
        check_layer("torch.nn.MultiheadAttention", [embed, heads], kwargs, *inputs, training=training)


@pytest.mark.parametrize("seed", range(10))
def test_scaled_dot_product_attention(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        leading = tuple(rng.choice([1, 2, 3]) for _ in range(rng.randint(0, 3)))
        length, keys, embed, last = (rng.choice([1, 2, 3, 4]) for _ in range(4))
        last = embed if rng.random() < 0.6 else last
        query, key = near(rng, (*leading, length, embed)), near(rng, (*leading, keys, embed))
        value = near(rng, (*leading, keys, last))
        mask = rng.choice([None, None, (length, keys), (*leading, length, keys), (1, keys), (keys,)])
        mask = mask and Shape(near(rng, mask))
        # A mask of one dimension is fine for torch's plain kernel and refused by its fused one.
        flat = mask is not None and len(mask) < 2
        if len(query) == 4 and key[-2:-1] != value[-2:-1]:
            continue  # torch's fused kernel reads past the end of the shorter one; every other kernel refuses
        inputs = Shape(query), Shape(key), Shape(value), mask
        check("torch.nn.functional.scaled_dot_product_attention", *inputs, missed=flat)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_encoder_layer(seed: int, training: bool) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        heads = rng.choice([1, 2])
        features = heads * rng.choice([1, 2]) if rng.random() < 0.9 else 3
        first, batch, length = rng.random() < 0.5, rng.choice([None, 1, 2, 3]), rng.choice([1, 2, 4])
        src = near(rng, sequence(rng, batch, length, features, first), 0.4)
        mask = rng.choice([None, (length, length), (heads * (batch or 1), length, length), (length, 3)])
        padding = rng.choice([None, (length,) if batch is None else (batch, length), (3, length)])
        inputs = [Shape(src), Shape(mask) if mask else None, Shape(padding) if padding else None]
        kwargs = {"dim_feedforward": 4, "batch_first": first, "norm_first": rng.random() < 0.5}
        check_layer("torch.nn.TransformerEncoderLayer", [features, heads], kwargs, *inputs, training=training)


@pytest.mark.parametrize("name", ["TransformerDecoderLayer", "Transformer"])
@pytest.mark.parametrize("seed", range(4))
def test_two_sequences(name: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        heads = rng.choice([1, 2])
        features = heads * rng.choice([1, 2]) if rng.random() < 0.9 else 3
        first, batch = rng.random() < 0.5, rng.choice([None, 1, 2, 3])
        one, two = (Shape(near(rng, sequence(rng, batch, rng.choice([1, 2, 4]), features, first))) for _ in range(2))
        kwargs: dict[str, Any] = {"dim_feedforward": 4, "batch_first": first}
        if name == "Transformer":
            kwargs.update(num_encoder_layers=1, num_decoder_layers=1)
        check_layer(f"torch.nn.{name}", [features, heads], kwargs, one, two)


@pytest.mark.parametrize("shape", [(5, 2, 4), (5, 4)])
def test_stacks(shape: tuple[int, ...]) -> None:
    for name in ("Encoder", "Decoder"):
        layer = resolve(f"torch.nn.Transformer{name}Layer")(4, 2, 8)
        stack = resolve(f"torch.nn.Transformer{name}")(layer, 2)
        inputs = [Shape(shape)] * (1 if name == "Encoder" else 2)
        want, error = torch_says(lambda stack=stack, inputs=inputs: stack(*real(inputs)))
        result, reports = evaluate_layer(f"torch.nn.Transformer{name}", [Unknown("a layer"), 2], {}, *inputs)
        assert (plain(result), reports, error) == (want, [], None)


@pytest.mark.parametrize("kwargs", [{}, {"kdim": 3}, {"kdim": 4, "vdim": 4}, {"bias": False, "vdim": 5}])
def test_weights(kwargs: dict[str, Any]) -> None:
    layer = resolve("torch.nn.MultiheadAttention")(4, 2, **kwargs)
    row = LAYERS["torch.nn.MultiheadAttention"]
    from conv_lint.ops.rule import Op
    from conv_lint.ops.world import Recorder

    bound = row.signature.bind([4, 2], kwargs)
    made = run(row.build, Op(row.name, 0, "attention", bound, Recorder()), bound)  # type: ignore[arg-type]
    for name in ("in_proj_weight", "in_proj_bias", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        want = getattr(layer, name)
        assert made[name] == (None if want is None else tuple(want.shape)), name
    assert (made["kdim"], made["vdim"], made["head_dim"]) == (layer.kdim, layer.vdim, layer.head_dim)


def test_an_unknown_rank_is_settled_once() -> None:
    loose = Shape((Rest(), 64))  # type: ignore[arg-type]
    (out, weights), reports = evaluate_layer(
        "torch.nn.MultiheadAttention", [64, 4], {"batch_first": True}, loose, loose, loose
    )
    assert not reports
    assert len(out) == len(weights) == 3
    assert weights[1] == weights[2] == out[1]
    result, reports = evaluate("torch.nn.functional.scaled_dot_product_attention", loose, loose, loose)
    assert (result, reports) == (tuple(tuple.__iter__(loose)), [])


def test_sentences() -> None:
    tokens = Shape((2, 16, 96))
    _, (report,) = evaluate_layer("torch.nn.MultiheadAttention", [64, 4], {"batch_first": True}, *[tokens] * 3)
    assert report.message() == "MultiheadAttention takes 64 features (embed_dim) but is given 96; write embed_dim=96"
    _, (report,) = evaluate_layer("torch.nn.TransformerEncoderLayer", [50, 4], {}, Shape((7, 2, 50)))
    words = "d_model=50 is not divisible by nhead=4; write nhead=1 or 2 or 5"
    assert report.message() == f"TransformerEncoderLayer: {words}"
    _, (report,) = evaluate_layer("torch.nn.TransformerEncoderLayer", [64, 4], {}, Shape((2, 64, 49)))
    assert report.message().endswith("but is given 49; write x.transpose(1, 2) first")
