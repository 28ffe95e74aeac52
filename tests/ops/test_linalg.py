"""Linear algebra against torch."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape
from tests.ops.oracle import check, compare, real, torch_says


def noisy(rng: random.Random, *shape: int) -> Shape:
    """The shape, seldom with another size or another rank."""
    out = list(shape)
    if out and rng.random() < 0.1:
        out[rng.randrange(len(out))] = rng.choice([1, 5])
    if rng.random() < 0.05:
        out.insert(0, 2)
    if out and rng.random() < 0.05:
        del out[0]
    return Shape(out)


@pytest.mark.parametrize("seed", range(10))
def test_linear_algebra(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        n, leading = rng.choice([1, 2, 3]), tuple(rng.choice([1, 2]) for _ in range(rng.randint(0, 2)))
        square, other = noisy(rng, *leading, n, n), noisy(rng, *leading, n, rng.choice([1, 2, 4]))
        for name in ("det", "logdet", "slogdet", "matrix_exp"):
            check(f"torch.{name}", square)
            check(f"torch.Tensor.{name}", square)
        for name in ("det", "slogdet", "matrix_exp"):
            check(f"torch.linalg.{name}", square)
        for name in ("torch.matrix_power", "torch.Tensor.matrix_power", "torch.linalg.matrix_power"):
            check(name, square, rng.randint(0, 3))
        for name in ("eigh", "eig", "eigvalsh", "eigvals", "matrix_rank", "pinv"):
            check(f"torch.linalg.{name}", other if name in ("matrix_rank", "pinv") else square)
        check("torch.pinverse", other)
        check("torch.Tensor.pinverse", other)
        for name in ("torch.qr", "torch.Tensor.qr"):
            check(name, other, rng.random() < 0.5)
        check("torch.linalg.qr", other, rng.choice(["reduced", "complete", "r"]))
        check("torch.linalg.svd", other, rng.random() < 0.5)
        check("torch.linalg.svdvals", other)
        check("torch.svd", other, rng.random() < 0.5)
        three = [noisy(rng, *leading, 3), noisy(rng, *leading, 3)]
        check("torch.linalg.cross", *three)
        check("torch.cross", *three, -1)
        check("torch.Tensor.cross", *three, len(leading))


@pytest.mark.parametrize("seed", range(10))
def test_several(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        n, leading = rng.choice([1, 2, 3]), tuple(rng.choice([1, 2]) for _ in range(rng.randint(0, 2)))
        ends = rng.choice([(n,), (n, 2), (*leading, n), (*leading, n, 2), (4,)])
        solvable(noisy(rng, *leading, n, n), noisy(rng, *ends))
        sides = [rng.choice([1, 2, 3]) for _ in range(rng.randint(2, 4))]
        matrices = [noisy(rng, a, b) for a, b in itertools.pairwise(sides)]
        if rng.random() < 0.3:
            matrices[rng.choice([0, -1])] = Shape((rng.choice([sides[1], sides[-2]]),))
        check("torch.linalg.multi_dot", matrices, missed=len(matrices) == 1)
        check("torch.chain_matmul", *matrices)
        vectors = noisy(rng, *leading, 3), noisy(rng, *leading, 3)
        check("torch.linalg.vecdot", *vectors)
        check("torch.linalg.vecdot", *vectors, dim=rng.randint(-3, 2))


def solvable(matrices: Shape, right: Shape) -> None:
    """torch says of a matrix of zeros that it is singular, which is no matter of shapes."""
    is_square = len(matrices) > 1 and matrices[-1] == matrices[-2]
    eye = torch.zeros(tuple(matrices)) + (torch.eye(matrices[-1]) if is_square else 0)  # type: ignore[arg-type]
    want, error = torch_says(lambda: torch.linalg.solve(eye, real(right)))
    result, reports = evaluate("torch.linalg.solve", matrices, right)
    compare(f"solve({matrices}, {right})", want, error, result, reports, False, False)


def test_what_is_not_known() -> None:
    rest = Rest()
    some = Shape((rest, 3, 3))  # type: ignore[arg-type]
    assert tuple.__eq__(evaluate("torch.linalg.det", some)[0], (rest,))
    assert tuple.__eq__(evaluate("torch.linalg.inv", some)[0], (rest, 3, 3))
    assert evaluate("torch.linalg.multi_dot", [some, some]) == (None, [])
