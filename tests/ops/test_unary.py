"""Functions of one tensor that keep its shape against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from conv_lint.ops.rule import Op, evaluate, run
from conv_lint.ops.table import FUNCTIONS
from conv_lint.ops.unary import (
    argsort,
    clamp,
    cumulated,
    elementwise,
    elementwise_float,
    elementwise_truth,
    elsewhere,
    filled,
    frexp,
    logcumsumexp,
    sorted_with_indices,
    to_bool,
    to_float,
    to_int,
    triangle,
)
from conv_lint.ops.world import Recorder
from conv_lint.values import External, Rest, Shape, Unknown
from tests.ops.oracle import check, resolve

SHAPES = [Shape((2, 3, 4, 2, 3)[:rank]) for rank in range(6)]
#: Not for floats, or not on this machine.
ONLY = {"bitwise_not": "int"}
ELSEWHERE = ("cuda", "xpu", "pin_memory")
REQUIRED: dict[str, list[Any]] = {
    "clamp": [0.0],
    "clip": [0.0, 1.0],
    "clamp_min": [0.0],
    "clamp_max": [0.0],
    "fill": [1.0],
    "fill_": [1.0],
    "geometric_": [0.5],
    "apply_": [abs],
}


def rows(*rules: object) -> list[str]:
    return [name for name, row in FUNCTIONS.items() if row.rule in rules]


@pytest.mark.parametrize(
    "name",
    rows(
        *(elementwise, elementwise_float, elementwise_truth, frexp, clamp, filled, elsewhere),
        *(to_float, to_int, to_bool, triangle),
    ),
)
def test_the_shape_stays(name: str) -> None:
    last = name.rpartition(".")[2]
    if last in ELSEWHERE:
        assert hasattr(torch.Tensor, last)
        return
    for input in SHAPES:
        check(name, Shape(input, dtype=ONLY.get(last)), *REQUIRED.get(last, []))


@pytest.mark.parametrize("name", rows(cumulated, logcumsumexp, sorted_with_indices, argsort))
def test_along_one_dimension(name: str) -> None:
    for input in SHAPES:
        for dim in range(-4, 5):
            check(name, input, dim)


@pytest.mark.parametrize("bound", [Shape(()), Shape((2, 3)), Shape((4, 2, 3)), Shape((1, 1)), Shape((3,)), Shape((4,))])
def test_clamp_by_tensors(bound: Shape) -> None:
    check("torch.clamp", Shape((2, 3)), bound)
    check("torch.clamp", Shape((2, 3)), None, bound)


@pytest.mark.parametrize("name", rows(elementwise, elementwise_float, elementwise_truth, to_float, to_int, to_bool))
@pytest.mark.parametrize("dtype", ["int", "float"])
def test_the_kind_of_number(name: str, dtype: str) -> None:
    tensor = torch.ones(2, dtype=torch.long if dtype == "int" else torch.float)
    try:
        want = resolve(name)(tensor).dtype
    except (RuntimeError, TypeError):
        return
    op = Op(name, 0, "", {}, Recorder())
    result = run(FUNCTIONS[name].rule, op, {"input": Shape((2,), None, dtype)})
    assert (op.dtype or result.dtype) == kind(want)


def kind(dtype: torch.dtype) -> str:
    return "bool" if dtype == torch.bool else "float" if dtype.is_floating_point else "int"


@pytest.mark.parametrize(
    ("args", "kwargs", "want"),
    [
        ([External("torch.float32")], {}, "float"),
        ([External("torch.long")], {}, "int"),
        (["cuda"], {}, "bool"),
        (["cuda", External("torch.half")], {}, "float"),
        ([Unknown("device")], {}, None),
        ([], {"device": Unknown("device")}, "bool"),
        ([], {"dtype": External("torch.uint8")}, "int"),
        ([Shape((3,), None, "int")], {}, "int"),
    ],
)
def test_to(args: list[Any], kwargs: dict[str, Any], want: str | None) -> None:
    op = Op("torch.Tensor.to", 0, "to", {}, Recorder())
    values = {"input": Shape((2,), None, "bool"), "args": tuple(args), "kwargs": kwargs}
    result = run(FUNCTIONS["torch.Tensor.to"].rule, op, values)
    assert (op.dtype or result.dtype) == want


def test_an_unknown_number_of_dimensions_is_kept() -> None:
    input = Shape((Rest(), 4))  # type: ignore[arg-type]
    for name in ("torch.exp", "torch.Tensor.contiguous", "torch.Tensor.float", "torch.triu"):
        result, reports = evaluate(name, input)
        assert result is input
        assert not reports
    assert evaluate("torch.cumsum", input, 2)[0] is input
