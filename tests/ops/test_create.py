"""Tensors from sizes and from data against torch."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.ops.rule import Op, evaluate, run
from conv_lint.ops.table import FUNCTIONS
from conv_lint.ops.world import Recorder
from conv_lint.values import CannotTell, External, Shape, Unknown, any_shape
from tests.ops.oracle import check

N, M = (dims.symbol(name) for name in "NM")


def sizes(rng: random.Random) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 2, 3, 4, 5, 2, 3, -1]) for _ in range(rng.randint(0, 4)))


@pytest.mark.parametrize("seed", range(10))
def test_sizes(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        size = sizes(rng)
        for name in ("zeros", "ones", "empty", "rand", "randn"):
            check(f"torch.{name}", size)
            check(f"torch.{name}", list(size))
            check(f"torch.{name}", size=size)
            if size:
                check(f"torch.{name}", *size)
        check("torch.full", size, 1.0)
        check("torch.full", size=size, fill_value=0)
        check("torch.randint", 5, size)
        check("torch.randint", 1, 5, size)
        check("torch.randint", 5, size=size)
        check("torch.randint", high=5, size=list(size))
        check("torch.normal", 0.0, 1.0, size)
        check("torch.empty_strided", size, (1,) * len(size))
        for name in ("zeros", "ones", "empty"):
            check(f"torch.Tensor.new_{name}", Shape((2, 2)), size)
            if size:
                check(f"torch.Tensor.new_{name}", Shape((2, 2)), *size)
        check("torch.Tensor.new_full", Shape((2, 2)), size, 1.0)


@pytest.mark.parametrize("seed", range(10))
def test_like(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(30):
        shape = Shape(abs(size) for size in sizes(rng))
        for name in ("zeros", "ones", "empty", "rand", "randn"):
            check(f"torch.{name}_like", shape)
        check("torch.full_like", shape, 2.0)
        check("torch.randint_like", shape, 5)
        check("torch.randint_like", shape, 1, 5)
        check("torch.tensor", shape)
        check("torch.as_tensor", shape)
        check("torch.asarray", shape)
        check("torch.Tensor.new_tensor", Shape((2,)), shape)
        other = Shape(rng.choice([size, 1]) for size in shape)
        check("torch.normal", shape, other)
        check("torch.normal", shape, 1.0)
        check("torch.normal", 0.0, other)


@pytest.mark.parametrize("seed", range(10))
def test_arange(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        numbers: list[Any] = [rng.randint(-9, 9) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.4:
            numbers[rng.randrange(len(numbers))] = rng.choice([0.0, 0.1, 0.5, 2.5, -0.3, 7.0])
        check("torch.arange", *numbers, missed=True)


@pytest.mark.parametrize("seed", range(5))
def test_counts(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        n, m = rng.randint(-1, 5), rng.randint(-1, 5)
        check("torch.eye", n)
        check("torch.eye", n, m)
        check("torch.linspace", 0, 1, n)
        check("torch.logspace", 0, 1, steps=n)
        check("torch.randperm", n)
        check("torch.tril_indices", n, m, rng.randint(-6, 6))
        check("torch.triu_indices", n, m, rng.randint(-6, 6))
        for name in ("hann", "hamming", "blackman", "bartlett", "kaiser"):
            check(f"torch.{name}_window", n)
    check("torch.scalar_tensor", 1.0)


def nested(rng: random.Random, depth: int) -> Any:
    if not depth:
        return rng.choice([1, 2, 0.5, True, Shape(())])
    shape = [rng.choice([0, 1, 2, 2, 3]) for _ in range(depth)]

    def made(axis: int) -> Any:
        if axis == depth:
            return rng.choice([1, 2, 0.5, True])
        count = shape[axis] + (rng.random() < 0.03)
        return rng.choice([list, list, tuple])(made(axis + 1) for _ in range(count))

    return made(0)


@pytest.mark.parametrize("seed", range(10))
def test_data(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        data = nested(rng, rng.randint(0, 3))
        for name in ("torch.tensor", "torch.as_tensor", "torch.asarray"):
            check(name, data, missed=True, unknown=True)
        check("torch.Tensor.new_tensor", Shape((2,)), data, missed=True, unknown=True)


# kinds of numbers -------------------------------------------------------------------------------------------


def kind(name: str, *args: Any, **kwargs: Any) -> str | None:
    row = FUNCTIONS[name]
    bound = row.signature.bind(args, kwargs)
    op = Op(name, 0, name, bound, Recorder())
    out = run(row.rule, op, bound)
    return out.dtype if op.dtype is None and isinstance(out, Shape) else op.dtype


def kind_in_torch(made: torch.Tensor) -> str | None:
    if made.dtype == torch.bool:
        return "bool"
    return "float" if made.dtype.is_floating_point else "int"


@pytest.mark.parametrize(
    ("make", "args"),
    [
        (torch.zeros, (2, 3)), (torch.randn, (2,)), (torch.eye, (2,)), (torch.full, ((2,), 1)),
        (torch.full, ((2,), True)), (torch.full, ((2,), 0.5)), (torch.randint, (5, (2,))), (torch.randperm, (4,)),
        (torch.arange, (4,)), (torch.arange, (0, 4, 0.5)), (torch.arange, (4.0,)), (torch.linspace, (0, 1, 5)),
        (torch.tensor, (1,)), (torch.tensor, ([1, 0.5],)), (torch.tensor, ([True, False],)),
        (torch.tensor, ([True, 2],)), (torch.tensor, ([[]],)), (torch.tril_indices, (3, 3)),
        (torch.hann_window, (4,)), (torch.scalar_tensor, (1.0,)),
    ],
)  # fmt: skip
def test_kinds(make: Callable[..., torch.Tensor], args: tuple[Any, ...]) -> None:
    name = f"torch.{make.__name__}"
    assert kind(name, *args) == kind_in_torch(make(*args))
    for dtype in ("int64", "float32", "long", "double"):
        if make in (torch.zeros, torch.full, torch.randint, torch.tensor, torch.scalar_tensor):
            assert kind(name, *args, dtype=External(f"torch.{dtype}")) == kind_in_torch(
                make(*args, dtype=getattr(torch, dtype))
            )


def test_kinds_that_are_not_known() -> None:
    ids = Shape((2,), dtype="int")
    assert kind("torch.zeros_like", ids) == "int"
    assert kind("torch.zeros_like", ids, dtype=External("torch.float32")) == "float"
    assert kind("torch.zeros_like", ids, dtype=Unknown("dtype")) is None
    assert kind("torch.zeros", 2, dtype=External("torch.uint8")) is None  # as an index it may be a mask
    assert kind("torch.Tensor.new_zeros", ids, 2) == "int"
    assert kind("torch.full", (2,), Unknown("x")) is None
    assert kind("torch.arange", Unknown("x")) is None
    assert kind("torch.as_tensor", ids, dtype=Unknown("dtype")) is None
    assert kind("torch.tensor", [1, Unknown("x")]) is None


# sizes that are not all known -------------------------------------------------------------------------------


def result(name: str, *args: object, **kwargs: object) -> tuple[Dim, ...]:
    out, reports = evaluate(name, *args, **kwargs)
    assert not reports
    return tuple(tuple.__iter__(out))


def test_symbols() -> None:
    assert result("torch.zeros", N, 3) == (N, 3)
    assert result("torch.zeros", (N, M - 1)) == (N, M - 1)
    assert result("torch.randn", size=[N, 8]) == (N, 8)
    assert result("torch.arange", N) == (N,)
    assert result("torch.arange", 1, N + 1) == (N,)
    assert result("torch.arange", 0, N, 2) == (dims.ceildiv(N, 2),)
    assert result("torch.arange", N - 1, -1, -1) == (N,)
    assert result("torch.linspace", -1, 1, N) == (N,)
    assert result("torch.eye", N) == (N, N)
    assert result("torch.tril_indices", N, N)[0] == 2
    assert len(result("torch.arange", Unknown("x"), 0.5)) == 1
    assert len(result("torch.arange", 0, Shape(()))) == 1
    assert len(result("torch.arange", 0, 5, Unknown("step"))) == 1
    assert len(result("torch.zeros", Unknown("n"), 3)) == 2


def test_data_in_part_known() -> None:
    x = Unknown("x")
    assert result("torch.tensor", [1, x]) == (2,)
    assert result("torch.tensor", [x, [1, 2]]) == (2, 2)
    assert result("torch.tensor", [N, 2]) == (2,)
    assert result("torch.tensor", [[x, 1], [2, x]]) == (2, 2)
    assert evaluate("torch.tensor", [x, x]) == (None, [])
    assert evaluate("torch.tensor", x) == (None, [])
    assert evaluate("torch.tensor", ["a"]) == (None, [])
    assert result("torch.tensor", [Shape((2,)), Shape((2,))]) == (2, 2)  # arrays
    assert evaluate("torch.tensor", [Shape((2,)), Shape((3,))]) == (None, [])
    assert evaluate("torch.zeros", x) == (None, [])
    assert evaluate("torch.full", x, 1.0) == (None, [])
    assert len(result("torch.tensor", any_shape())) == 1


def test_messages() -> None:
    (report,) = evaluate("torch.zeros", 2, -3)[1]
    assert report.message() == "zeros: size=(2, -3) is out of range, it must be numbers of at least 0"
    (report,) = evaluate("torch.tensor", [[1, 2], [1, 2, 3]])[1]
    assert report.message() == "tensor: the lists of the data have 2 and 3 items in dimension 1"


def test_a_rule_that_gives_up() -> None:
    with pytest.raises(CannotTell):
        kind("torch.zeros", Unknown("sizes"))
