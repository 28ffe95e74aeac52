"""expand, repeat, tile and repeat_interleave against torch."""

from __future__ import annotations

import random

import pytest

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape, Unknown, any_shape
from tests.ops.oracle import check

B, H, W = (dims.symbol(name) for name in "BHW")


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 1, 2, 3, 4]) for _ in range(rng.randint(least, most)))


def harmless(shape: tuple[int, ...], numbers: list[int]) -> bool:
    """torch takes negative numbers where nothing is left of the tensor; we do not."""
    return 0 in (*shape, *numbers) and min(numbers) < 0


@pytest.mark.parametrize("seed", range(20))
def test_expand(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        target = [rng.choice([size, size, -1, 3 if size == 1 else size]) for size in shape]
        target = [*(rng.choice([2, 1, 0]) for _ in range(rng.randint(0, 2))), *target]
        if rng.random() < 0.3:
            target = [rng.choice([-2, -1, 0, 1, 2, 3]) for _ in range(rng.randint(1, 5))]
        new = target[: max(len(target) - len(shape), 0)]
        if (target and harmless(shape, target) and min(new, default=0) < 0) or min(target, default=0) < -1:
            continue
        check("torch.Tensor.expand", shape, target)
        if target:
            check("torch.Tensor.expand", shape, *target)
        check("torch.broadcast_to", shape, target)
        check("torch.Tensor.broadcast_to", shape, tuple(target))
        check("torch.Tensor.expand_as", shape, Shape(abs(size) for size in target))


@pytest.mark.parametrize("seed", range(20))
def test_repeat(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        times = [rng.choice([0, 1, 2, 3, 1, 2, -1]) for _ in range(rng.randint(0, 5))]
        if times and harmless(shape, times):
            continue
        check("torch.Tensor.repeat", shape, tuple(times))
        check("torch.Tensor.tile", shape, tuple(times))
        check("torch.tile", shape, times)
        if times:
            check("torch.Tensor.repeat", shape, *times)
            check("torch.Tensor.tile", shape, *times)


@pytest.mark.parametrize("seed", range(20))
def test_repeat_interleave(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(sizes(rng))
        dim = rng.choice([None, 0, 1, -1, 2, 3, -4])
        for name in ("torch.repeat_interleave", "torch.Tensor.repeat_interleave"):
            check(name, shape, rng.randint(-1, 3), dim)
            counts = Shape(rng.choice([(), (1,), (2,), (3,), (0,), (4,), (2, 2)]), dtype="int")
            check(name, shape, counts, dim, unknown=True)


@pytest.mark.parametrize("seed", range(3))
def test_as_strided(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        size = [rng.choice([1, 2]) for _ in range(rng.randint(0, 3))]
        stride = [1] * (len(size) if rng.random() < 0.8 else 2)
        check("torch.as_strided", Shape((8, 8)), size, stride)
        check("torch.Tensor.as_strided", Shape((8, 8)), size, stride)


# sizes that are not all known -------------------------------------------------------------------------------


def result(name: str, *args: object) -> tuple[Dim, ...]:
    out, reports = evaluate(name, *args)
    assert not reports
    return tuple(tuple.__iter__(out))


def test_unknown_rank() -> None:
    rest = Rest()
    some = Shape((rest, 1, 5))
    assert result("torch.Tensor.expand", some, B, 3, 4, -1) == (B, 3, 4, 5)
    assert result("torch.Tensor.expand", any_shape(), 2, 3) == (2, 3)
    assert result("torch.Tensor.repeat", some, 1, 1, 2)[1:] == (1, 10)
    assert evaluate("torch.Tensor.expand", some, 5) == (None, [])
    assert evaluate("torch.Tensor.repeat", some, 5) == (None, [])
    assert result("torch.tile", some, (2,)) == (rest, 1, 10)
    assert result("torch.tile", some, (3, 2)) == (rest, 3, 10)
    assert result("torch.repeat_interleave", some, 2, -1) == (rest, 1, 10)


def test_symbols() -> None:
    assert result("torch.Tensor.expand", Shape((1, 64, 1, 1)), B, -1, H, W) == (B, 64, H, W)
    assert result("torch.Tensor.expand", Shape((B, 1, W)), -1, 8, W) == (B, 8, W)
    assert result("torch.Tensor.expand", Shape((H, W)), H, 8) == (H, 8)
    assert result("torch.Tensor.repeat", Shape((1, 64, H)), B, 1, 2) == (B, 64, 2 * H)
    assert evaluate("torch.Tensor.expand", any_shape(), Unknown("sizes")) == (None, [])


def test_messages() -> None:
    (report,) = evaluate("torch.Tensor.expand", Shape((1, 64, 1, 1)), B, 32, 8, 8)[1]
    assert report.message() == (
        "expand: (1, 64, 1, 1) and (B, 32, 8, 8) cannot be broadcast together: 64 against 32 in dimension 1"
    )
    (report,) = evaluate("torch.Tensor.repeat", Shape((1, 64, 1, 1)), 2, 2)[1]
    assert report.message() == (
        "repeat takes at most as many dimensions as repeats, which are 2, but is given (1, 64, 1, 1), 4 dimensions"
    )
