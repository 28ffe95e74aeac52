"""view, reshape, flatten and unflatten against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.ops.rule import evaluate
from conv_lint.values import External, Rest, Shape, Unknown, any_shape
from tests.ops.oracle import check

B, C, H, W = (dims.symbol(name) for name in "BCHW")


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 2, 3, 4, 6]) for _ in range(rng.randint(least, most)))


def regrouped(rng: random.Random, shape: tuple[int, ...]) -> list[int]:
    """Sizes that mostly hold the elements of ``shape``: neighbours joined, ones added, sizes halved, a -1."""
    out = list(shape)
    for _ in range(rng.randint(0, 3)):
        at = rng.randint(0, len(out))
        if len(out) > 1 and rng.random() < 0.5:
            at = rng.randrange(len(out) - 1)
            out[at : at + 2] = [out[at] * out[at + 1]]
        elif out and at < len(out) and out[at] % 2 == 0 and rng.random() < 0.6:
            out[at : at + 1] = [out[at] // 2, 2]
        else:
            out.insert(at, 1)
    if out and rng.random() < 0.5:
        out[rng.randrange(len(out))] = -1
    if out and rng.random() < 0.15:
        out[rng.randrange(len(out))] = rng.choice([-1, 5, 0, -2])
    return out


@pytest.mark.parametrize("seed", range(20))
def test_view(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        target = regrouped(rng, shape)
        check("torch.reshape", shape, target)
        for name in ("view", "reshape"):
            given: list[Any] = target if target and rng.random() < 0.5 else [tuple(target)]
            check(f"torch.Tensor.{name}", shape, *given)
            check(f"torch.Tensor.{name}_as", shape, Shape(abs(size) for size in target))


@pytest.mark.parametrize("seed", range(20))
def test_flatten(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        args = [rng.randint(-5, 5) for _ in range(rng.randint(0, 2))]
        check("torch.flatten", shape, *args)
        check("torch.Tensor.flatten", shape, *args)
        check("torch.ravel", shape)
        check("torch.Tensor.ravel", shape)


@pytest.mark.parametrize("seed", range(20))
def test_unflatten(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = sizes(rng)
        dim = rng.randint(-4, 4)
        target = regrouped(rng, shape[dim : dim + 1 or None] if -len(shape) <= dim < len(shape) else (2,))
        check("torch.unflatten", Shape(shape), dim, target)
        check("torch.Tensor.unflatten", Shape(shape), dim, target)


# sizes that are not all known -------------------------------------------------------------------------------


def result(name: str, *args: object) -> tuple[Dim, ...]:
    out, reports = evaluate(name, *args)
    assert not reports
    return tuple(tuple.__iter__(out))


def codes(name: str, *args: object) -> list[str]:
    return [report.rule.code for report in evaluate(name, *args)[1]]


def test_symbols() -> None:
    view = "torch.Tensor.view"
    assert result(view, Shape((B, 64, H, W)), B, -1) == (B, 64 * H * W)
    assert result(view, Shape((B, 16, 5, 5)), -1, 400) == (B, 400)
    assert result(view, Shape((B, 64, H, W)), B, 8, -1, H * W) == (B, 8, 8, H * W)
    assert result(view, Shape((B, C, H, W)), B * C, -1) == (B * C, H * W)
    assert result(view, Shape((B * C, H, W)), B, C, H, W) == (B, C, H, W)
    assert result(view, Shape((B, 3, H - 1, W - 1)), B, 3, (H - 1) * (W - 1)) == (B, 3, (H - 1) * (W - 1))
    assert result(view, Shape((B, C, H, W)), B, 2, C // 2, H, W) == (B, 2, C // 2, H, W)
    assert codes(view, Shape((B, 128, H, W)), B, 64, H, W) == ["CONV404"]
    assert codes(view, Shape((B, 2 * H + 1)), B, 2, -1) == ["CONV404"]


def test_what_cannot_be_told_is_no_fault() -> None:
    view = "torch.Tensor.view"
    assert codes(view, Shape((B, C, H, W)), -1, 400) == []
    assert codes(view, Shape((B, 512, H, W)), B, 512 * 49) == []
    assert codes(view, any_shape(), 2, 3) == []
    assert result(view, any_shape(), 2, 3) == (2, 3)
    assert evaluate(view, Shape((2, 3)), External("torch.int8")) == (None, [])
    assert evaluate(view, Shape((2, 3)), Unknown("x")) == (None, [])


def test_unknown_rank() -> None:
    some = Shape((Rest(), 8, 5))
    assert len(result("torch.flatten", some, 1)) == 2
    assert len(result("torch.flatten", any_shape())) == 1
    assert result("torch.flatten", some, -2)[1:] == (40,)
    assert result("torch.unflatten", some, -1, (5, 1))[1:] == (8, 5, 1)
    assert evaluate("torch.flatten", some, 0, 1) == (None, [])


# messages ---------------------------------------------------------------------------------------------------


def from_layer(*sizes: Dim, label: str = "pool") -> Shape:
    image = Step("x", None, (sizes[0], 3, 32, 32))
    return Shape(sizes, Step(label, None, sizes, (image,)))


def said(name: str, *args: object) -> str:
    (report,) = evaluate(name, *args)[1]
    return f"{report.rule.code} {report.message()}"


def test_messages() -> None:
    assert said("torch.Tensor.view", from_layer(B, 16, 6, 6), B, 400) == (
        "CONV404 view: (B, 16, 6, 6) has 576*B elements (pool), which (B, 400) cannot hold; write view(-1, 576)"
    )
    assert said("torch.Tensor.view", from_layer(B, 16, 6, 6), -1, 400) == (
        "CONV407 view: one sample of (B, 16, 6, 6) has 576 features, so view(-1, 400) folds pixels into the batch;"
        " write view(-1, 576)"
    )
    assert said("torch.Tensor.view", Shape((2, 6)), -1, -1) == (
        "CONV404 view: (2, 6) has 12 elements, which (-1, -1) cannot hold; only one size can be -1"
    )
    assert said("torch.Tensor.unflatten", Shape((B, 64, H)), 1, (9, -1)) == (
        "CONV404 unflatten: dimension 1 of (B, 64, H) has 64 elements, which (9, -1) cannot hold"
    )


@pytest.mark.parametrize("columns", [400, 64, 128, 576 * 2, 144])
@pytest.mark.parametrize("batch", [B, 400])
def test_folded_batch(columns: int, batch: Dim) -> None:
    assert codes("torch.Tensor.view", from_layer(batch, 16, 6, 6), -1, columns) == ["CONV407"]
    assert codes("torch.Tensor.reshape", from_layer(batch, 16, 6, 6), (-1, columns)) == ["CONV407"]


@pytest.mark.parametrize("target", [(-1, 400), (B, 400)])
def test_after_a_fault(target: tuple[Dim, ...]) -> None:
    """A layer for 400 features is no second fault, and one for 576 is right."""
    rows, columns = evaluate("torch.Tensor.view", from_layer(B, 16, 6, 6), *target)[0]
    assert (rows, dims.eq(columns, 400), dims.eq(columns, 576)) == (B, None, None)
    kept, *others = evaluate("torch.Tensor.view", Shape((B, 256)), B, 64, 4, 4)[0]
    assert (kept, [dims.eq(size, 32) for size in others]) == (B, [None, None, None])


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        (from_layer(B, 16, 6, 6), 576),
        (from_layer(B, 16, 6, 6), 36),  # one row for each channel
        (from_layer(B, 16, 6, 6), 6),
        (from_layer(B, 16, 6, 6), 1),
        (from_layer(B, 7, 7, 256, label="permute"), 128),
        (from_layer(B, 38, 38, 16), 4),  # boxes
        (from_layer(B, 512, 1, 1), 8 * 512),  # the frames of a clip
        (from_layer(B, 10, 64), 128),  # steps of a sequence
        (from_layer(B, C, 6, 6), 100),
        (from_layer(B, 16), 100),
        (Shape((B, 16, 6, 6)), 100),  # data
        (Shape((B, 16, 6, 6), Step("x", None, (B, 16, 6, 6))), 100),
    ],
)
def test_rows_that_are_meant(shape: Shape, columns: int) -> None:
    assert codes("torch.Tensor.view", shape, -1, columns) == []
