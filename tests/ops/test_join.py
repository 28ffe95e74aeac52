"""Joining and taking apart against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.finding import Step
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check, compare, real, resolve, torch_says


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 2, 2, 3]) for _ in range(rng.randint(least, most)))


def similar(rng: random.Random, shape: tuple[int, ...], axis: int) -> Shape:
    """A shape that mostly joins with ``shape`` along ``axis``."""
    out = list(shape)
    if out and rng.random() < 0.8:
        out[axis % len(out)] = rng.choice([0, 1, 2, 5])
    if out and rng.random() < 0.1:
        out[rng.randrange(len(out))] = 4
    if rng.random() < 0.1:
        return Shape(rng.choice([(0,), sizes(rng), (*out, 1)]))
    return Shape(out)


def several(rng: random.Random, axis: int) -> list[Shape]:
    shape = sizes(rng, least=rng.choice([0, 1]))
    out = [Shape(shape)] + [similar(rng, shape, axis) for _ in range(rng.randint(0, 3))]
    rng.shuffle(out)
    return out


@pytest.mark.parametrize("seed", range(20))
def test_cat(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        dim = rng.choice([0, 0, 1, 1, 2, 3, -1, -2])
        shapes: Any = several(rng, dim)
        name = rng.choice(["cat", "cat", "concat", "concatenate"])
        check(f"torch.{name}", tuple(shapes) if rng.random() < 0.3 else shapes, dim)


@pytest.mark.parametrize("seed", range(20))
def test_stack(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        shape = Shape(sizes(rng))
        shapes = [shape if rng.random() < 0.93 else similar(rng, shape, 0) for _ in range(rng.randint(1, 4))]
        check("torch.stack", shapes, rng.choice([0, 0, 1, 1, 2, 3, 5, -1, -2]))
        for name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):
            axis = {"vstack": 0, "row_stack": 0, "dstack": 2}.get(name, 1)
            shape = Shape(sizes(rng))
            shapes = [shape if rng.random() < 0.6 else similar(rng, shape, axis) for _ in range(rng.randint(1, 3))]
            check(f"torch.{name}", shapes)


@pytest.mark.parametrize("seed", range(20))
def test_split(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        shape = Shape(tuple(rng.choice([0, 1, 2, 3, 4, 6, 7]) for _ in range(rng.choice([0, 1, 2, 3, 4]))))
        dim = rng.choice([0, 0, 1, -1, 2, -2])
        by: Any = rng.choice([0, 1, 2, 3, 4, -1, 9])
        if rng.random() < 0.4:
            total = shape[dim] if -len(shape) <= dim < len(shape) else 3
            cut = rng.randint(0, max(total, 1))
            by = [cut, total - cut + rng.choice([0, 0, 0, 1, -1])]
        for name in ("torch.split", "torch.Tensor.split"):
            check(name, shape, by, dim)
        if isinstance(by, list):
            check("torch.split_with_sizes", shape, by, dim)
            check("torch.Tensor.split_with_sizes", shape, by, dim)
        for name in ("torch.chunk", "torch.Tensor.chunk"):
            check_chunk(name, shape, rng.choice([0, 1, 2, 3, 4, -1]), dim)
        sections = rng.choice([0, 1, 2, 3, 4, -1, [1, 2], [1], [2, 1, 5], [-1], [0, 9]])
        check("torch.tensor_split", shape, sections, dim)
        check("torch.Tensor.tensor_split", shape, sections, dim)
        check("torch.unbind", shape, dim)
        check("torch.Tensor.unbind", shape, dim)
        for name in ("hsplit", "vsplit", "dsplit"):
            check(f"torch.{name}", shape, sections)
            check(f"torch.Tensor.{name}", shape, sections)


def check_chunk(name: str, shape: Shape, chunks: int, dim: int) -> None:
    """Of a symbolic size there may be fewer pieces than are asked for, so only the ints are compared there."""
    want, error = torch_says(lambda: resolve(name)(real(shape), chunks, dim))
    if error is None and len(want) == chunks:
        check(name, shape, chunks, dim)
    else:
        compare(f"{name}({shape}, {chunks}, {dim})", want, error, *evaluate(name, shape, chunks, dim), False, False)


@pytest.mark.parametrize("seed", range(5))
def test_grids(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        shapes = [Shape(rng.choice([(2,), (3,), (1,), (), (5,), (2, 2)])) for _ in range(rng.randint(1, 4))]
        indexing = rng.choice(["ij", "xy", None])
        if {(), (2, 2)} & set(shapes) and len(set(shapes)) > 1:
            shapes = [s for s in shapes if len(s) == 1] or [Shape((2,))]
        check("torch.meshgrid", *shapes, indexing=indexing)
        check("torch.meshgrid", shapes, indexing=indexing)
        shape = sizes(rng)
        shapes = [Shape(s if rng.random() < 0.7 else 1 for s in shape[rng.randint(0, 1) :]) for _ in range(3)]
        check("torch.broadcast_tensors", *shapes)


@pytest.mark.parametrize("seed", range(5))
def test_products(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        choices = [(0,), (1,), (2,), (3,), (2,), (3,), (), (2, 2)]
        vectors = [Shape(rng.choice(choices)) for _ in range(rng.randint(1, 3))]
        check("torch.cartesian_prod", *vectors)
        check("torch.combinations", vectors[0], rng.randint(-1, 4), rng.random() < 0.5, unknown=True)
        check("torch.block_diag", *(Shape(sizes(rng, most=2)) for _ in range(rng.randint(1, 3))))
        check("torch.block_diag", Shape((2, 3, 4)))


def names(result: Any) -> list[str] | None:
    """The sizes in the words of a message."""
    if result is None:
        return None
    return ["..." if isinstance(d, Rest) else dims.render(d) for d in tuple.__iter__(result)]


def test_the_message_of_cat() -> None:
    up, skip = Step("up1", None, (1, 64, 56, 56)), Step("enc1", None, (1, 64, 57, 57))
    result, (report,) = evaluate("torch.cat", [Shape(up.shape, up), Shape(skip.shape, skip)], 1)
    assert report.message() == (
        "cat along dim 1: the tensors must agree elsewhere but dimension 2 is 56 and 57:"
        " (1, 64, 56, 56) and (1, 64, 57, 57) (up1 and enc1)"
    )
    assert tuple(result)[:2] == (1, 128)
    _, (report,) = evaluate("torch.cat", [Shape((2, 3)), Shape((2, 3, 4))], 1)
    assert "dimension count is 2 and 3" in report.message()


def test_cat_of_what_is_not_known() -> None:
    batch, rest, other = dims.symbol("B"), Rest(), Rest()
    known = Shape((batch, 64, 8, 8))
    assert names(evaluate("torch.cat", [known, Unknown("?")], 1)[0]) == ["B", "?", "8", "8"]
    assert names(evaluate("torch.cat", [known, Unknown("?")], 0)[0]) == ["?", "64", "8", "8"]
    assert names(evaluate("torch.cat", [known, Shape((rest, 8))], 1)[0]) == ["B", "?", "8", "8"]  # type: ignore[arg-type]
    assert names(evaluate("torch.cat", [known, Shape((rest, 5, 8, 8))], 1)[0]) == ["B", "69", "8", "8"]  # type: ignore[arg-type]
    parts = [Shape((rest, 64, 8)), Shape((rest, 32, 8))]  # type: ignore[arg-type]
    assert tuple(tuple.__iter__(evaluate("torch.cat", parts, -2)[0])) == (rest, 96, 8)
    parts = [Shape((rest, 64, 8)), Shape((other, 7))]  # type: ignore[arg-type]
    result, (report,) = evaluate("torch.cat", parts, -2)
    assert names(result) == ["...", "?", "?"]
    assert report.rule.code == "CONV206"
    assert evaluate("torch.cat", [Shape((rest,)), Shape((other,))], 1) == (None, [])  # type: ignore[arg-type]
    assert evaluate("torch.cat", Unknown("?"), 1) == (None, [])
    assert names(evaluate("torch.stack", [Shape((rest, 8)), Unknown("?")], -1)[0]) == ["...", "8", "2"]  # type: ignore[arg-type]


def test_pieces_of_symbolic_sizes() -> None:
    channels, rest = dims.symbol("C"), Rest()
    one, two = evaluate("torch.chunk", Shape((2, 2 * channels)), 2, 1)[0]
    assert (one, two) == ((2, channels), (2, channels))
    one, two = evaluate("torch.chunk", Shape((2, channels)), 2, 1)[0]
    assert names(one) == ["2", "C - C//2"]
    assert names(two) == ["2", "C//2"]
    assert evaluate("torch.chunk", Shape((2, channels)), 3, 1) == (None, [])
    assert evaluate("torch.chunk", Shape((2, 10**9)), 10**9, 1) == (None, [])
    assert evaluate("torch.split", Shape((2, 3 * channels)), channels, 1)[0] == [(2, channels)] * 3
    assert evaluate("torch.split", Shape((2, channels)), 4, 1) == (None, [])
    assert evaluate("torch.unbind", Shape((channels, 3))) == (None, [])
    _, (report,) = evaluate("torch.split", Shape((2, 10)), [3, 6], 1)
    assert report.message() == "split: the sizes (3, 6) add up to 9 but dimension 1 is 10"
    assert [names(p) for p in evaluate("torch.split", Shape((rest, 8)), [3, 5], 1)[0]] == [["..."]] * 2  # type: ignore[arg-type]
    assert names(evaluate("torch.split", Shape((rest, 8)), [3, 5], -1)[0][1]) == ["...", "5"]  # type: ignore[arg-type]
