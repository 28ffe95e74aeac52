"""Products of matrices, einsum and tensordot against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from conv_lint import dims
from conv_lint.finding import Step
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check


def sizes(rng: random.Random, least: int = 0, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 2, 2, 3, 4]) for _ in range(rng.randint(least, most)))


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


@pytest.mark.parametrize("seed", range(20))
def test_matmul(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        left = sizes(rng)
        inner = left[-1] if left else 2
        leading = tuple(1 if rng.random() < 0.3 else s for s in left[:-2])[rng.randint(0, 1) :]
        right = rng.choice([(inner,), (inner, 5), (*leading, inner, 5), (7, *leading, inner, 2)])
        a, b = Shape(left), noisy(rng, *right)
        for name in ("torch.matmul", "torch.linalg.matmul", "torch.Tensor.matmul", "torch.Tensor.__matmul__"):
            check(name, a, b)
        check("torch.Tensor.__rmatmul__", b, a)


@pytest.mark.parametrize("seed", range(20))
def test_of_fixed_rank(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        b, n, m, p = (rng.choice([1, 2, 3, 4, 5]) for _ in range(4))
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.mm", noisy(rng, n, m), noisy(rng, m, p))
            check(f"{surface}.bmm", noisy(rng, b, n, m), noisy(rng, b, m, p))
            check(f"{surface}.mv", noisy(rng, n, m), noisy(rng, m))
            check(f"{surface}.dot", noisy(rng, n), noisy(rng, n))
            check(f"{surface}.vdot", noisy(rng, n), noisy(rng, n))
            check(f"{surface}.outer", noisy(rng, n), noisy(rng, m))
            check(f"{surface}.ger", noisy(rng, n), noisy(rng, m))
            check(f"{surface}.inner", noisy(rng, *sizes(rng), n), noisy(rng, *sizes(rng), n))
            check(f"{surface}.kron", Shape(sizes(rng)), Shape(sizes(rng)))
            matrix = rng.choice([(n, p), (p,), (1, p), (n, 1), (), (1, 1), (2, n, p), (4,)])
            check(f"{surface}.addmm", Shape(matrix), noisy(rng, n, m), noisy(rng, m, p))
            check(f"{surface}.addr", Shape(matrix), noisy(rng, n), noisy(rng, p))
            check(f"{surface}.addbmm", Shape(matrix), noisy(rng, b, n, m), noisy(rng, b, m, p))
            check(f"{surface}.addmv", Shape(rng.choice([(n,), (1,), (), (3,)])), noisy(rng, n, m), noisy(rng, m))
            batch = rng.choice([(b, *matrix), matrix, (b, n, p), (1, n, p)])
            check(f"{surface}.baddbmm", Shape(batch), noisy(rng, b, n, m), noisy(rng, b, m, p))


EQUATIONS = (
    "ij,jk->ik", "bij,bjk->bik", "bhqd,bhkd->bhqk", "nctv,vw->nctw", "...ij,...jk->...ik", "ij,jk", "ii->i", "ii",
    "i,j->ij", "...d,d->...", "b...d,de->b...e", "bchw->bhwc", "ij->", "bnd,bmd->bnm", "ij,ij->", "...ij->...ji",
    "bi,bj,bk->bijk",
    "a b, b c -> a c", "ij->ik", "ij->jj", "BA", "bA,Ac->cb", "...i", "b...", "...ii->...i", "i...,...i->...",
    "...,...", "i,i", "xy,yz,zw->xw",
)  # fmt: skip


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation: str) -> None:
    rng = random.Random(equation)
    for _ in range(50):
        lengths = {c: rng.choice([1, 2, 3, 4]) for c in equation if c.isalpha()}
        middle = sizes(rng, 0, 2)
        operands = []
        for term in equation.partition("->")[0].replace(" ", "").split(","):
            before, dots, after = term.partition("...")
            inside = tuple(1 if rng.random() < 0.2 else s for s in middle) if dots else ()
            operands.append(noisy(rng, *(lengths[c] for c in before), *inside, *(lengths[c] for c in after)))
        if rng.random() < 0.05:
            operands.append(operands[0])
        given: tuple[Any, ...] = (operands,) if rng.random() < 0.3 else tuple(operands)
        check("torch.einsum", equation, *given)


@pytest.mark.parametrize("seed", range(10))
def test_tensordot(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        n, m, p = (rng.choice([2, 3, 4]) for _ in range(3))
        given = rng.choice(
            [0, 1, 2, 3, -1, ([1], [0]), ([0, 1], [1, 2]), ([-1], [-2]), ((1, 0), (0, 1)), ([0], [0, 1])]
        )
        check("torch.tensordot", noisy(rng, p, n, m), noisy(rng, n, m, p), given)
        check("torch.tensordot", noisy(rng, n, m), noisy(rng, m, n), dims=given)


def regular(result: Any) -> Any:
    return tuple(tuple.__iter__(result)) if isinstance(result, tuple) else result


def test_messages() -> None:
    left, right = Step("q", None, (8, 10, 64)), Step("k", None, (8, 10, 64))
    result, (report,) = evaluate("torch.matmul", Shape(left.shape, left), Shape(right.shape, right))
    assert report.message() == "matmul: (8, 10, 64) and (8, 10, 64) cannot be multiplied: 64 against 10 (q and k)"
    assert result == (8, 10, 64)
    _, (report,) = evaluate("torch.matmul", Shape((2, 3, 4)), Shape((5, 4, 3)))
    assert report.message() == "matmul: (2, 3, 4) and (5, 4, 3) cannot be multiplied: 2 against 5"
    _, (report,) = evaluate("torch.einsum", "bij,bjk->bik", Shape((8, 2, 3)), Shape((8, 4, 5)))
    assert report.message() == "einsum: 'j' is 3 in (8, 2, 3) and 4 in (8, 4, 5)"


def test_what_is_not_known() -> None:
    rest, batch, height = Rest(), dims.symbol("B"), dims.symbol("H")
    some = Shape((rest, height, 64))  # type: ignore[arg-type]
    assert regular(evaluate("torch.matmul", some, Shape((64, 10)))[0]) == (rest, height, 10)
    assert regular(evaluate("torch.matmul", some, Shape((rest, 64, height)))[0]) == (rest, height, height)  # type: ignore[arg-type]
    _, (report,) = evaluate("torch.matmul", some, Shape((32, 10)))
    assert report.message() == "matmul: (..., H, 64) and (32, 10) cannot be multiplied: 64 against 32"
    assert evaluate("torch.matmul", some, Unknown("?")) == (None, [])
    assert evaluate("torch.einsum", Unknown("?"), some) == (None, [])
    result, _ = evaluate("torch.einsum", "bqd,bkd->bqk", Shape((batch, height, 64)), Unknown("?"))
    assert [dims.render(d) for d in result] == ["B", "H", "?"]
    assert regular(evaluate("torch.einsum", "...d,de->...e", some, Shape((64, 5)))[0]) == (rest, height, 5)
