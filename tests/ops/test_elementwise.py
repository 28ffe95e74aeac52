"""Broadcasting functions and operators against torch."""

from __future__ import annotations

import random

import pytest

from conv_lint import dims
from conv_lint.finding import Report, Step
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape, Unknown
from tests.ops.oracle import check

FLOAT = [
    "add",
    "sub",
    "subtract",
    "mul",
    "multiply",
    "div",
    "divide",
    "true_divide",
    "floor_divide",
    "remainder",
    "fmod",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "atan2",
    "arctan2",
    "hypot",
    "xlogy",
    "copysign",
    "nextafter",
    "logaddexp",
    "logaddexp2",
    "ldexp",
    "pow",
    "float_power",
    "eq",
    "ne",
    "not_equal",
    "lt",
    "less",
    "le",
    "less_equal",
    "gt",
    "greater",
    "ge",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "isclose",
    "heaviside",
]
INT = ["gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"]
TENSORS_ONLY = [
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "atan2",
    "arctan2",
    "hypot",
    "nextafter",
    "logaddexp",
    "logaddexp2",
    "ldexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "isclose",
    "heaviside",
    "gcd",
    "lcm",
]
OPERATORS = [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "pow",
    "rpow",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "mod",
    "floordiv",
    "rfloordiv",
]


def sizes(rng: random.Random, most: int = 4) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, 1, 2, 2, 3]) for _ in range(rng.randint(0, most)))


def partner(rng: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that mostly broadcasts with ``shape``."""
    if rng.random() < 0.2:
        return sizes(rng)
    out = [1 if rng.random() < 0.3 else s if rng.random() < 0.93 else rng.choice([1, 2, 4]) for s in shape]
    return tuple(out[rng.randint(0, len(out)) :]) if rng.random() < 0.4 else tuple(out)


def two(rng: random.Random, dtype: str | None = None) -> tuple[Shape, Shape]:
    first = sizes(rng)
    pair = [first, partner(rng, first)]
    rng.shuffle(pair)
    return Shape(pair[0], dtype=dtype), Shape(pair[1], dtype=dtype)


@pytest.mark.parametrize("name", FLOAT + INT)
def test_functions(name: str) -> None:
    rng = random.Random(name)
    for _ in range(25):
        left, right = two(rng, "int" if name in INT else None)
        other: object = right
        if name not in TENSORS_ONLY and rng.random() < 0.2:
            other = 2
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.{name}", left, other)


@pytest.mark.parametrize("seed", range(10))
def test_copy(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        check("torch.Tensor.copy_", *two(rng))


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    rng = random.Random(name)
    for _ in range(25):
        left, right = two(rng)
        check(f"torch.Tensor.__{name}__", left, right if rng.random() < 0.8 else 2.0)


@pytest.mark.parametrize("name", ["and", "or", "xor"])
def test_operators_on_truth_values(name: str) -> None:
    rng = random.Random(name)
    for _ in range(25):
        left, right = two(rng, "bool")
        check(f"torch.Tensor.__{name}__", left, right)


@pytest.mark.parametrize("seed", range(10))
def test_three_tensors(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        first = sizes(rng)
        a, b, c = Shape(first), Shape(partner(rng, first)), Shape(partner(rng, first))
        for surface in ("torch", "torch.Tensor"):
            check(f"{surface}.lerp", a, b, rng.choice([c, 0.5]))
            check(f"{surface}.addcmul", a, b, c)
            check(f"{surface}.addcdiv", a, b, c, value=2)
            mask = Shape(c, dtype="bool")
            check(f"{surface}.masked_fill", a, mask, 0.0)
        check("torch.where", mask, a, rng.choice([b, 1.0]))
        check("torch.where", mask, 0.0, b)
        check("torch.Tensor.where", a, mask, b)
        check("torch.complex", a, b)
        check("torch.polar", a, b)


def test_unary_operators() -> None:
    for name in ("neg", "pos", "abs"):
        check(f"torch.Tensor.__{name}__", Shape((2, 3)))
    check("torch.Tensor.__invert__", Shape((2, 3), dtype="bool"))


def add(left: object, right: object) -> tuple[object, list[Report]]:
    result, reports = evaluate("torch.Tensor.__add__", left, right)
    return (tuple(tuple.__iter__(result)) if isinstance(result, Shape) else result), reports


def test_what_is_not_known() -> None:
    assert add(Shape((2, 3)), Unknown("?")) == (None, [])
    assert add(Shape((2, 3)), dims.symbol("H"))[0] == (2, 3)


def test_symbols() -> None:
    height, width, lone = dims.symbol("H"), dims.symbol("W"), dims.unknown()
    assert add(Shape((8, height)), Shape((8, height))) == ((8, height), [])
    assert add(Shape((8, height)), Shape((8, 1))) == ((8, height), [])
    assert add(Shape((8, height)), Shape((8, lone))) == ((8, height), [])
    assert add(Shape((8, 56)), Shape((8, height))) == ((8, 56), [])
    mixed, reports = add(Shape((8, height)), Shape((8, width)))
    assert dims.render(mixed[1]) == "?"  # type: ignore[index]
    assert not reports
    around = (height - 1) // 2 * 2 + 2
    assert add(Shape((8, around)), Shape((8, height))) == ((8, around), [])


def test_sizes_that_differ_for_every_value() -> None:
    height = dims.symbol("H")
    result, (report,) = add(Shape((8, 64, height)), Shape((8, 64, height - 2)))
    assert result == (8, 64, height)
    assert (
        report.message()
        == "__add__: (8, 64, H) and (8, 64, H - 2) cannot be broadcast together: H against H - 2 in dimension 2"
    )
    _, reports = add(Shape((8, 2 * height)), Shape((8, 3)))
    assert [r.rule.code for r in reports] == ["CONV205"]
    assert add(Shape((4 * height + 8,)), Shape((height,)))[1] == []


def test_the_message_names_both_makers() -> None:
    left, right = Step("conv1", None, (1, 64, 56, 56)), Step("conv2", None, (1, 128, 28, 28))
    _, (report,) = add(Shape(left.shape, left), Shape(right.shape, right))
    assert report.message() == (
        "__add__: (1, 64, 56, 56) and (1, 128, 28, 28) cannot be broadcast together: 56 against 28 in dimension 3"
        " (conv1 and conv2)"
    )


def test_an_unknown_number_of_dimensions() -> None:
    rest, other = Rest(), Rest()
    assert add(Shape((rest, 64)), Shape((rest, 64)))[0] == (rest, 64)  # type: ignore[arg-type]
    assert add(Shape((rest, 64)), Shape(()))[0] == (rest, 64)  # type: ignore[arg-type]
    result, reports = add(Shape((rest, 64)), Shape((other, 8, 64)))  # type: ignore[arg-type]
    assert isinstance(result[0], Rest)  # type: ignore[index]
    assert (result[0] not in (rest, other), result[1:], reports) == (True, (8, 64), [])  # type: ignore[index]
    _, (report,) = add(Shape((rest, 64)), Shape((2, 32)))  # type: ignore[arg-type]
    assert (
        report.message() == "__add__: (..., 64) and (2, 32) cannot be broadcast together: 64 against 32 in dimension -1"
    )
