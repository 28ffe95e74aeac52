"""Reductions against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.ops.rule import Plain, evaluate
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check

SEVERAL = [
    "mean",
    "nanmean",
    "sum",
    "nansum",
    "amax",
    "amin",
    "all",
    "any",
    "logsumexp",
    "std",
    "var",
    "norm",
    "count_nonzero",
]
ONE = ["prod", "argmax", "argmin", "max", "min", "median", "nanmedian", "mode"]
NO_KEEPDIM = ("count_nonzero",)
NEEDS_DIM = ("logsumexp",)


def sizes(rng: random.Random, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([1, 2, 2, 3, 4]) for _ in range(rng.randint(0, most)))


def one_dim(rng: random.Random) -> int:
    return rng.choice([0, 0, 1, 1, 2, 3, -1, -1, -2, -3])


def several_dims(rng: random.Random) -> Any:
    dim = [one_dim(rng) for _ in range(rng.randint(1, 3))]
    return rng.choice([None, dim, tuple(dim), dim[0], dim[0], ()])


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("surface", ["torch", "torch.Tensor"])
def test_over_several_dimensions(surface: str, name: str) -> None:
    rng = random.Random(name)
    for _ in range(60):
        kwargs: dict[str, Any] = {"dim": several_dims(rng)}
        if kwargs["dim"] is None and (name in NEEDS_DIM or name in ("amax", "amin") or rng.random() < 0.5):
            kwargs = {"dim": 0} if name in NEEDS_DIM else {}
        if name == "logsumexp" and kwargs["dim"] == ():
            continue  # torch itself stumbles
        if name not in NO_KEEPDIM and kwargs:
            kwargs["keepdim"] = rng.random() < 0.5
        check(f"{surface}.{name}", Shape(sizes(rng)), **kwargs)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("surface", ["torch", "torch.Tensor"])
def test_over_one_dimension(surface: str, name: str) -> None:
    rng = random.Random(name)
    for _ in range(60):
        shape = Shape(sizes(rng))
        if rng.random() < 0.2:
            check(f"{surface}.{name}", shape)
        else:
            check(f"{surface}.{name}", shape, one_dim(rng), rng.random() < 0.5)


@pytest.mark.parametrize("seed", range(10))
def test_others(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        shape, dim, keepdim = Shape(sizes(rng)), one_dim(rng), rng.random() < 0.5
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.topk", shape, rng.choice([0, 1, 1, 2, 3]), dim)
            check(f"{surface}.kthvalue", shape, rng.choice([0, 1, 1, 2, 3]), dim, keepdim)
            check(f"{surface}.aminmax", shape, dim=rng.choice([dim, None]), keepdim=keepdim)
            check(f"{surface}.quantile", shape, 0.5, rng.choice([dim, None]), keepdim)
            check(f"{surface}.nanquantile", shape, 0.5, rng.choice([dim, None]), keepdim)
            check(f"{surface}.trace", Shape(sizes(rng)[:2]))
            for name in ("std", "var"):
                check(f"{surface}.{name}", shape, rng.choice([True, False]))
                check(f"{surface}.{name}", shape, dim, True, keepdim)
                check(f"{surface}.{name}", shape, dim, correction=0, keepdim=keepdim)
            check(f"{surface}.norm", shape, 2, several_dims(rng), keepdim)
            check(f"{surface}.max", shape, Shape(sizes(rng)))
            check(f"{surface}.min", shape, Shape(shape[1:]))
            check(f"{surface}.dist", shape, Shape(shape[1:] if rng.random() < 0.5 else sizes(rng)))
            check(f"{surface}.numel", shape)
        for name in ("std_mean", "var_mean"):
            check(f"torch.{name}", shape, rng.choice([True, False]))
            check(f"torch.{name}", shape, several_dims(rng), True, keepdim)
        check("torch.special.logsumexp", shape, dim, keepdim)


@pytest.mark.parametrize("seed", range(10))
def test_norms_and_distances(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        shape, keepdim = Shape(sizes(rng)), rng.random() < 0.5
        check("torch.linalg.vector_norm", shape, 2, several_dims(rng), keepdim)
        check("torch.linalg.norm", shape, None, rng.choice([None, one_dim(rng), (0, 1), (-1, -2)]), keepdim)
        check("torch.linalg.norm", shape, 2, rng.choice([None, one_dim(rng), (0, 1)]), keepdim)
        check("torch.linalg.matrix_norm", shape, "fro", rng.choice([(0, 1), (-1, -2), (1, 2)]), keepdim)
        left = Shape(sizes(rng))
        leading = left[:-2] if rng.random() < 0.7 else sizes(rng, 2)
        right = Shape((*leading, 5, left[-1] if len(left) and rng.random() < 0.8 else 2))
        check("torch.cdist", left, right)


@pytest.mark.parametrize("seed", range(5))
def test_the_shape_itself(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        shape = Shape(sizes(rng))
        check("torch.Tensor.size", shape, one_dim(rng))
        check("torch.Tensor.dim", shape)
        check("torch.Tensor.ndimension", shape)
        check("torch.Tensor.nelement", shape)
        result, _ = evaluate("torch.Tensor.size", shape)
        assert result == Plain(tuple(shape))


def known(result: Any) -> Any:
    return tuple(tuple.__iter__(result)) if isinstance(result, Shape) else result


def test_an_unknown_number_of_dimensions() -> None:
    rest, height = Rest(), dims.symbol("H")
    image = Shape((rest, 64, height, 8))  # type: ignore[arg-type]
    assert known(evaluate("torch.mean", image, (-1, -2))[0]) == (rest, 64)
    assert known(evaluate("torch.mean", image, (-1, -2), True)[0]) == (rest, 64, 1, 1)
    assert known(evaluate("torch.sum", image, -3)[0]) == (rest, height, 8)
    assert known(evaluate("torch.sum", image)[0]) == ()
    vague = known(evaluate("torch.mean", image, 1)[0])
    assert (len(vague), isinstance(vague[0], Rest), vague[0] is rest) == (1, True, False)
    vague = known(evaluate("torch.mean", Shape((rest,)), (-1, -2), True)[0])  # type: ignore[arg-type]
    assert vague[1:] == (1, 1)
    assert evaluate("torch.Tensor.dim", image)[0] is None
    assert evaluate("torch.Tensor.size", image, -1)[0] == Plain(8)
    assert evaluate("torch.mean", Shape((2, 3)), Unknown("?")) == (None, [])
    assert evaluate("torch.max", Shape((2, 3)), Unknown("?")) == (None, [])
    values, indices = evaluate("torch.topk", image, 3)[0]
    assert known(values) == (rest, 64, height, 3)
    assert indices.dtype == "int"


def test_messages() -> None:
    _, (report,) = evaluate("torch.mean", Shape((2, 3, 4)), 3)
    assert report.message() == "mean: dim 3 is out of range for (2, 3, 4)"
    _, (report,) = evaluate("torch.topk", Shape((2, 3)), 5)
    assert report.message() == "topk: k=5 is out of range, it must be from 0 to the size 3 of the dimension"
    _, (report,) = evaluate("torch.norm", Shape((2, 3, 4)), dim=[0, 1, 2])
    assert report.message() == "norm: dim=[0, 1, 2] is out of range, it must be one or two dimensions"


@pytest.mark.parametrize("seed", range(3))
def test_histc(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        for name in ("torch.histc", "torch.Tensor.histc"):
            check(name, Shape((rng.randint(1, 4),) * rng.randint(0, 2)), rng.randint(-1, 5))


@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
@pytest.mark.parametrize("surface", ["torch", "torch.Tensor"])
def test_different_elements(surface: str, name: str) -> None:
    rng = random.Random(name)
    for _ in range(60):
        asked = rng.choices([True, False], k=2)
        dim = rng.choice([None, None, one_dim(rng)])
        input = Shape((rng.choice([1, 2, 3]), *sizes(rng, 2)))
        check(f"{surface}.{name}", input, return_inverse=asked[0], return_counts=asked[1], dim=dim, unknown=True)
    assert evaluate("torch.unique", Shape((2,)), return_counts=Unknown("?")) == (None, [])
