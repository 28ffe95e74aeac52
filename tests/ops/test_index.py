"""Indexing, gather, scatter and masks against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.dims import Dim, Expr
from conv_lint.ops.rule import evaluate
from conv_lint.values import External, Rest, Shape, Unknown, any_shape
from tests.ops.oracle import check

B, H, W = (dims.symbol(name, 2) for name in "BHW")
GET, SET = "torch.Tensor.__getitem__", "torch.Tensor.__setitem__"


def sizes(rng: random.Random, least: int = 0, most: int = 4, of: tuple[int, ...] = (0, 1, 2, 3, 4)) -> tuple[int, ...]:
    return tuple(rng.choice(of) for _ in range(rng.randint(least, most)))


# indexing ---------------------------------------------------------------------------------------------------


def bound(rng: random.Random) -> int | None:
    return rng.choice([None, None, *range(-5, 6)])


def part(rng: random.Random, size: int) -> Any:
    """One index of some kind, mostly one that fits."""
    kind = rng.random()
    if kind < 0.4:
        return slice(bound(rng), bound(rng), rng.choice([None, None, 1, 2, 3]))
    if kind < 0.6:
        return rng.randint(-size, size - 1) if size and rng.random() < 0.95 else rng.randint(-5, 5)
    if kind < 0.7:
        return None
    if kind < 0.85:
        return Shape(sizes(rng, 0, 2, (1, 1, 2, 2, 3)), dtype="int")
    numbers = [rng.randrange(size) if size else 0 for _ in range(rng.choice([1, 2, 2]))]
    return [*numbers, 7] if rng.random() < 0.03 else numbers


def index(rng: random.Random, shape: tuple[int, ...]) -> Any:
    axes = list(shape)[: rng.randint(0, len(shape))]
    parts = [part(rng, size) for size in axes]
    if rng.random() < 0.3:
        parts.insert(rng.randint(0, len(parts)), ...)
    if rng.random() < 0.05:
        parts.append(0)
    if len(parts) == 1 and rng.random() < 0.5:
        return parts[0]
    return tuple(parts)


@pytest.mark.parametrize("seed", range(20))
def test_getitem(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(120):
        shape = sizes(rng, of=(0, 1, 2, 3, 4, 5, 4, 3))
        check(GET, Shape(shape), index(rng, shape))


@pytest.mark.parametrize("seed", range(10))
def test_masks(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        shape = sizes(rng, 1, 4, (1, 2, 3))
        start = rng.randint(0, len(shape) - 1)
        stop = rng.randint(start + 1, len(shape))
        masked = list(shape[start:stop])
        if rng.random() < 0.1:
            masked[-1] += 1
        parts = [part(rng, size) for size in shape[:start] if size > 1]
        parts = [slice(None) if isinstance(p, (Shape, list)) or p is None else p for p in parts]
        parts += [slice(None)] * (start - len(parts))
        check(GET, Shape(shape), (*parts, Shape(masked, dtype="bool")), unknown=True)


@pytest.mark.parametrize("seed", range(10))
def test_setitem(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        shape = sizes(rng, 1, 3, (1, 2, 3))
        at = index(rng, shape)
        target, reports = evaluate(GET, Shape(shape), at)
        if reports or target is None:
            continue
        value = list(target)
        for i, size in enumerate(value):
            if isinstance(size, int) and rng.random() < 0.2:
                value[i] = rng.choice([1, size, size + 1])
        value = [*[1] * rng.choice([0, 0, 1]), *value[rng.choice([0, 0, 1]) :]]
        compare_setitem(shape, at, value)


def compare_setitem(shape: tuple[int, ...], at: Any, value: list[int]) -> None:
    import torch

    from tests.ops.oracle import real

    _, reports = evaluate(SET, Shape(shape), at, Shape(value))
    try:
        torch.zeros(shape)[real(at)] = torch.zeros(value)
    except (RuntimeError, IndexError):
        assert reports, (shape, at, value)
    else:
        assert not reports, (shape, at, value, [r.message() for r in reports])


# sizes that are not all known -------------------------------------------------------------------------------


def result(name: str, *args: object) -> tuple[Dim, ...]:
    out, reports = evaluate(name, *args)
    assert not reports
    return tuple(tuple.__iter__(out))


def get(shape: Shape, *parts: Any) -> tuple[Dim, ...]:
    return result(GET, shape, parts)


def is_unknown(size: Dim) -> bool:
    return isinstance(size, Expr) and dims.render(size) == "?"


def test_symbols() -> None:
    x = Shape((B, 64, H, W))
    colon = slice(None)
    assert get(x, colon, colon, slice(None, -1)) == (B, 64, H - 1, W)
    assert get(x, colon, colon, slice(1, -1)) == (B, 64, H - 2, W)
    assert get(x, colon, colon, slice(None, None, 2), slice(1, None, 2)) == (
        B,
        64,
        dims.ceildiv(H, 2),
        dims.ceildiv(W - 1, 2),
    )
    assert get(x, colon, slice(None, 32)) == (B, 32, H, W)
    assert get(x, colon, slice(32, None)) == (B, 32, H, W)
    assert get(x, colon, colon, slice(None, H // 2)) == (B, 64, H // 2, W)
    assert get(x, colon, colon, slice(H // 2, None)) == (B, 64, H - H // 2, W)
    assert get(x, colon, colon, slice(None, H + 3)) == x
    assert get(x, 0, ..., W - 1) == (64, H)
    assert get(x, colon, 0, None) == (B, 1, H, W)
    assert get(x, colon, External("numpy.newaxis")) == (B, 1, 64, H, W)
    assert get(x, slice(None, None, -1)) == x
    assert get(x, [0, 1], colon, [0, 1]) == (2, 64, W)
    assert get(x, colon, Shape((H,), dtype="int")) == (B, H, H, W)


@pytest.mark.parametrize(
    "part",
    [slice(None, 5), slice(7, None), slice(None, -9), slice(None, Unknown("k")), slice(Unknown("k"), None, 2),
     slice(dims.symbol("i", None), dims.symbol("i", None) + 3), slice(None, None, Unknown("step")),
     slice(None, Shape(()))],
)  # fmt: skip
def test_lengths_that_cannot_be_told(part: slice) -> None:
    size, rest = get(Shape((H, 3)), part)
    assert is_unknown(size)
    assert rest == 3


@pytest.mark.parametrize(
    "at", [Unknown("i"), (0, Unknown("i")), Shape((3,)), Shape((), dtype="bool"), True, [Unknown("i")], [[0, 1]],
           [True, False], (..., 0, ...), External("somewhere.mask")],
)  # fmt: skip
def test_what_cannot_be_told(at: object) -> None:
    assert evaluate(GET, Shape((2,)), at) == (None, [])
    assert evaluate(SET, Shape((2,)), at, Shape((5, 5)))[1] == []


def test_unknown_rank() -> None:
    rest = Rest()
    x = Shape((rest, 8, 5))
    assert get(x, ..., 0) == (rest, 8)
    assert get(x, ..., slice(1, 3)) == (rest, 8, 2)
    assert get(x, ..., None) == (rest, 8, 5, 1)
    assert get(x, ..., slice(None, 4), 0) == (rest, 4)
    assert get(x, ...) == (rest, 8, 5)
    assert get(x, slice(None)) == (rest, 8, 5)
    assert get(x, 0)[1:] == (5,)
    assert get(x, None)[1:] == (8, 5)
    assert get(x, slice(None, 2), ..., None)[1:] == (5, 1)
    assert evaluate(GET, x, (slice(None, 2), ..., 0)) == (None, [])
    assert evaluate(GET, x, (0, 0)) == (None, [])
    assert evaluate(GET, any_shape(), (..., 0)) == (None, [])
    ids = Shape((rest, 7), dtype="int")
    assert get(Shape((100, 16)), ids) == (rest, 7, 16)
    assert evaluate(GET, Shape((100, 16)), (slice(None), ids)) == (None, [])


def said(name: str, *args: object) -> str:
    (report,) = evaluate(name, *args)[1]
    return f"{report.rule.code} {report.message()}"


def test_messages() -> None:
    x = Shape((B, 3, 8))
    assert said(GET, x, (slice(None), 3)).startswith("CONV408 __getitem__: index 3 is out of range for (B, 3, 8)")
    assert said(GET, x, (..., 9)).startswith("CONV408 __getitem__: index 9 is out of range for (B, 3, 8)")
    assert said(GET, Shape((Rest(), 3)), (..., 3)).startswith("CONV408")
    assert said(GET, x, (slice(None), slice(0, 2), 0, slice(None, None, 2))) == (
        "CONV408 __getitem__: index [:, 0:2, 0, ::2] is out of range for (B, 3, 8)"
    )
    assert said(SET, x, (0, slice(1, None)), Shape((3, 8))) == (
        "CONV205 __setitem__: (2, 8) and (3, 8) cannot be broadcast together: 2 against 3 in dimension 0"
    )
    assert said(GET, x, (0, Shape((4, 8), dtype="bool"))) == (
        "CONV214 __getitem__: the mask has shape (4, 8) but (3, 8) is needed"
    )


# gathering --------------------------------------------------------------------------------------------------


def near(rng: random.Random, shape: tuple[int, ...]) -> list[int]:
    out = [rng.choice([size, size, size, max(size - 1, 0), size + 1]) for size in shape]
    if rng.random() < 0.05:
        out.append(1)
    return out


@pytest.mark.parametrize("seed", range(20))
def test_gather(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = sizes(rng, 0, 3, (1, 2, 3))
        where, dim = Shape(near(rng, shape), dtype="int"), rng.randint(-3, 3)
        source = Shape(near(rng, where))
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.gather", Shape(shape), dim, where)
            check(f"{surface}.take_along_dim", Shape(shape), where, dim)
            check(f"{surface}.take_along_dim", Shape(shape), where)
            check(f"{surface}.scatter_add", Shape(shape), dim, where, source)
            check(f"{surface}.scatter", Shape(shape), dim, where, source)
            check(f"{surface}.scatter_reduce", Shape(shape), dim, where, source, "sum")
            check(f"{surface}.scatter", Shape(shape), dim, where, value=1.0)
            check(f"{surface}.take", Shape(shape), where)


@pytest.mark.parametrize("seed", range(20))
def test_index_select(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = sizes(rng, 0, 3, (1, 2, 3))
        where, dim = Shape(sizes(rng, 0, 1, (1, 1, 2)), dtype="int"), rng.randint(-3, 3)
        if rng.random() < 0.05:
            where = Shape((1, 2), dtype="int")
        source = list(shape)
        if -len(shape) <= dim < len(shape):
            source[dim] = where[0] if len(where) else 1  # type: ignore[assignment]
        source = near(rng, tuple(source)) if rng.random() < 0.5 else source
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.index_select", Shape(shape), dim, where)
            check(f"{surface}.index_fill", Shape(shape), dim, where, 1.0, missed=True)
            check(f"{surface}.index_add", Shape(shape), dim, where, Shape(source), missed=True)
            check(f"{surface}.index_copy", Shape(shape), dim, where, Shape(source), missed=True)
            check(f"{surface}.index_reduce", Shape(shape), dim, where, Shape(source), "mean", missed=True)


@pytest.mark.parametrize("seed", range(10))
def test_masked(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = sizes(rng)
        mask = Shape([rng.choice([size, size, 1, size]) for size in shape][rng.randint(0, 1) :], dtype="bool")
        if rng.random() < 0.1:
            mask = Shape(sizes(rng), dtype="bool")
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.masked_select", Shape(shape), mask, unknown=True)
            check(f"{surface}.masked_scatter", Shape(shape), mask, Shape((200,)))
            check(f"{surface}.nonzero", Shape(shape), unknown=True)
            check(f"{surface}.nonzero", Shape(shape), as_tuple=True, unknown=True)
            check(f"{surface}.argwhere", Shape(shape), unknown=True)
        check("torch.where", Shape(shape, dtype="bool"), unknown=True)
        check("torch.searchsorted", Shape((4,)), Shape(shape))
        check("torch.bucketize", Shape(shape), Shape((4,)))
    check("torch.searchsorted", Shape((4,)), 3.0)


def test_gathering_what_is_not_known() -> None:
    ids = Shape((Rest(), 4), dtype="int")
    assert len(result("torch.index_select", Shape((5, 6)), 0, ids)) == 2
    assert result("torch.index_select", Shape((Rest(), 5)), -1, Shape((3,)))[1:] == (3,)
    assert result("torch.gather", any_shape(), 1, Shape((B, 4))) == (B, 4)
    assert result("torch.scatter", any_shape(), 1, Shape((B, 4)), 1.0) is not None
    assert len(result("torch.nonzero", any_shape())) == 2
    assert evaluate("torch.gather", Shape((B, 100)), 1, Shape((H, 1)))[1] == []
    assert said("torch.gather", Shape((B, 10)), 1, Shape((B,), dtype="int")) == (
        "CONV401 gather takes an argument index of 2 dimensions but is given (B,), 1 dimensions"
    )
    assert said("torch.gather", Shape((2, 10)), 1, Shape((3, 1), dtype="int")) == (
        "CONV214 gather: index has shape (3, 1) but at most the 2 of the input in dimension 0 is needed"
    )
