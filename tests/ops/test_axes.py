"""Dimensions in another order, one more, one less: against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape, Unknown, any_shape
from tests.ops.oracle import check

B, C, H, W = (dims.symbol(name) for name in "BCHW")


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 1, 2, 3, 4]) for _ in range(rng.randint(least, most)))


def both(name: str, *args: Any, **options: Any) -> None:
    check(f"torch.{name}", *args, **options)
    check(f"torch.Tensor.{name}", *args, **options)


@pytest.mark.parametrize("seed", range(20))
def test_permute(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        order = [i if rng.random() < 0.6 else i - len(shape) for i in range(len(shape))]
        rng.shuffle(order)
        if rng.random() < 0.3:
            order = [rng.randint(-4, 4) for _ in range(rng.randint(1, 4))]
        check("torch.permute", shape, order)
        if order:
            check("torch.Tensor.permute", shape, *order)
        check("torch.Tensor.permute", shape, tuple(order))


@pytest.mark.parametrize("seed", range(20))
def test_swaps(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        shape = Shape(sizes(rng))
        i, j = rng.randint(-4, 4), rng.randint(-4, 4)
        for name in ("transpose", "swapaxes", "swapdims"):
            both(name, shape, i, j)
        both("t", shape)
        both("adjoint", shape)
        source = [rng.randint(-4, 3) for _ in range(rng.randint(0, 3))]
        destination = [rng.randint(-4, 3) for _ in source] + [0] * (rng.random() < 0.1)
        for name in ("movedim", "moveaxis"):
            both(name, shape, i, j)
            both(name, shape, tuple(source), tuple(destination))
        both("rot90", shape, rng.randint(-3, 3), rng.choice([(0, 1), (1, 2), (-1, 0), (i, j), (0,)]))


@pytest.mark.filterwarnings("ignore:The use of .x.T")
def test_properties() -> None:
    for shape in ((), (2,), (2, 3), (2, 3, 4), (1, 2, 3, 4)):
        for name in ("T", "mT", "H", "mH"):
            got = evaluate(f"torch.Tensor.{name}", Shape(shape))
            try:
                want = tuple(getattr(torch.zeros(shape), name).shape)
            except RuntimeError:
                assert got[1], (name, shape)
            else:
                assert got == (want, []), (name, shape)


@pytest.mark.parametrize("seed", range(20))
def test_squeeze(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        both("squeeze", shape)
        both("squeeze", shape, rng.randint(-4, 4))
        both("squeeze", shape, tuple(rng.randint(-4, 4) for _ in range(rng.randint(0, 2))))
        both("unsqueeze", shape, rng.randint(-5, 5))
        shapes = [Shape(sizes(rng)) for _ in range(rng.randint(1, 3))]
        check(f"torch.atleast_{rng.randint(1, 3)}d", *shapes)
        check(f"torch.atleast_{rng.randint(1, 3)}d", shapes)


@pytest.mark.parametrize("seed", range(20))
def test_parts(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        dim = rng.randint(-4, 3) if rng.random() < 0.4 or not shape else rng.randrange(max(len(shape), 1))
        both("narrow", shape, dim, rng.randint(-3, 4), rng.randint(-1, 4))
        both("select", shape, dim, rng.randint(-3, 3))
        check("torch.Tensor.unfold", shape, dim, rng.randint(-1, 4), rng.randint(0, 3))


@pytest.mark.parametrize("seed", range(20))
def test_turned_round(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        shape = Shape(sizes(rng))
        order = [rng.randint(-4, 3) for _ in range(rng.randint(0, 3))]
        check("torch.flip", shape, order)
        if order:
            check("torch.Tensor.flip", shape, *order)
        both("fliplr", shape)
        both("flipud", shape)
        both("roll", shape, rng.choice([1, (1, 2), (3,)]), rng.choice([None, (), 0, 1, -1, (0,), (0, 1), (2, 1)]))


@pytest.mark.parametrize("seed", range(20))
def test_diagonals(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        shape = Shape(sizes(rng))
        offset, i, j = rng.randint(-4, 4), rng.randint(-4, 4), rng.randint(-4, 4)
        both("diagonal", shape)
        both("diagonal", shape, offset, i, j)
        both("diag", shape, offset)
        both("diagflat", shape, offset)
        both("diag_embed", shape, offset)
        both("diag_embed", shape, offset, i, j)


# sizes that are not all known -------------------------------------------------------------------------------


def result(name: str, *args: object) -> tuple[Dim, ...]:
    out, reports = evaluate(name, *args)
    assert not reports
    return tuple(tuple.__iter__(out))


def known(name: str, *args: object) -> tuple[Dim, ...]:
    """What is known of a result of unknown rank."""
    first, *others = result(name, *args)
    assert isinstance(first, Rest)
    return tuple(others)


def test_unknown_rank() -> None:
    rest = Rest()
    some = Shape((rest, 8, 5))
    assert result("torch.transpose", some, -1, -2) == (rest, 5, 8)
    assert evaluate("torch.transpose", some, 0, 1) == (None, [])
    # Of three dimensions, as long as nothing speaks for four.
    assert result("torch.transpose", some, 1, 2)[1:] == (5, 8)
    assert result("torch.Tensor.mT", some) == (rest, 5, 8)
    assert result("torch.unsqueeze", some, -1) == (rest, 8, 5, 1)
    assert result("torch.unsqueeze", some, -3) == (rest, 1, 8, 5)
    assert known("torch.unsqueeze", some, 0) == (8, 5)
    assert evaluate("torch.unsqueeze", some, 1) == (None, [])
    assert result("torch.Tensor.squeeze", Shape((rest, 8, 1)), -1) == (rest, 8)
    assert result("torch.select", some, -1, 0) == (rest, 8)
    assert result("torch.narrow", some, -1, 0, 2) == (rest, 8, 2)
    assert result("torch.Tensor.permute", some, 0, 2, 3, 1)[1:3] == (8, 5)
    assert evaluate("torch.Tensor.permute", some, 0) == (None, [])
    assert result("torch.Tensor.unfold", some, -1, 2, 1) == (rest, 8, 4, 2)
    assert result("torch.flip", some, (0,)) == (rest, 8, 5)


def test_a_size_that_may_be_one() -> None:
    assert known("torch.squeeze", Shape((B, 512, 1, 1))) == (512,)
    assert known("torch.squeeze", Shape((B, 512, H)), 0) == (512, H)
    assert result("torch.squeeze", Shape((B, 512, 1, 1)), (-1, -2)) == (B, 512)
    assert result("torch.squeeze", Shape((B, H + 1)), 1) == (B, H + 1)
    assert known("torch.squeeze", Shape((Rest(), 512, 1, 1))) == (512,)


def test_symbols() -> None:
    assert result("torch.Tensor.permute", Shape((B, C, H, W)), 0, 2, 3, 1) == (B, H, W, C)
    assert result("torch.narrow", Shape((B, C, H)), 2, 0, H - 1) == (B, C, H - 1)
    assert result("torch.Tensor.unfold", Shape((B, C, 2 * H)), 2, 2, 2) == (B, C, H, 2)
    assert result("torch.diagonal", Shape((B, H, H)), 0, 1, 2) == (B, H)
    assert evaluate("torch.rot90", Shape((B, C, H, W)), Unknown("turns"), (2, 3)) == (None, [])
    assert evaluate("torch.Tensor.permute", any_shape(), Unknown("order")) == (None, [])


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("torch.Tensor.permute", (0, 2, 1), "CONV405 permute: (0, 2, 1) names 3 dimensions but (B, 16, 8, 8) has 4"),
        ("torch.permute", ((0, 2, 2, 1),), "CONV405 permute: (0, 2, 2, 1) names dimension 2 of (B, 16, 8, 8) twice"),
        ("torch.transpose", (1, 4), "CONV408 transpose: dim1 4 is out of range for (B, 16, 8, 8)"),
        ("torch.select", (1, 16), "CONV408 select: index 16 is out of range for (B, 16, 8, 8)"),
        (
            "torch.narrow",
            (1, 8, 9),
            "CONV103 narrow: length=9 is out of range, it must be at most what is left of the size 16",
        ),
    ],
)
def test_messages(name: str, args: tuple[object, ...], message: str) -> None:
    (report,) = evaluate(name, Shape((B, 16, 8, 8)), *args)[1]
    assert f"{report.rule.code} {report.message()}" == message
