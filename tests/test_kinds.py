"""The kind of numbers of a result, whole, with a point or true and false, is what torch gives."""

from __future__ import annotations

import pytest
import torch

from conv_lint.interpreter.entries import run_top_level
from conv_lint.interpreter.machine import Machine
from conv_lint.project import Project
from conv_lint.tree import Tree
from conv_lint.values import Tensor

METHODS = """
exp log sqrt sin sigmoid tanh reciprocal abs neg square relu sign clone contiguous cumsum(1) sum prod max min amax
argmax flip(0) long float double half int bool isnan detach any all count_nonzero t flatten unsqueeze(0) squeeze
repeat(2,2) roll(1) tril diagonal clamp(0,3) clamp(0.5) logical_not nonzero unique eq(2) div(2) mul(2) mul(0.5) sub(1)
add(1.5) pow(2) masked_fill(a>3,0) repeat_interleave(2) to(torch.uint8) to(torch.bool) type(torch.float)
type(torch.LongTensor) new_zeros(3) new_tensor([1.5])""".split()
OTHERS = """
a+1 a+1.0 a*2 a/2 a//2 a%2 a**2 a**0.5 2**a a>2 a&1 -a a@a.t() 1/a 1.0-a a-a.float() a+torch.rand(4) a[a>3]
torch.cat([a,a]) torch.cat([a.float(),a]) torch.stack([a,a]) torch.zeros_like(a) torch.full((2,2),1)
torch.full((2,2),1.0) torch.eye(3) torch.linspace(0,1,3) torch.arange(3) torch.arange(3.0) torch.arange(0,1,0.1)
torch.tensor([1,2]) torch.tensor([1.0,2]) torch.tensor([True]) torch.zeros(3) torch.zeros(3,dtype=torch.long)
torch.randint(0,3,(2,)) torch.randperm(4) torch.rand(2) torch.where(a>2,a,a) torch.where(a>2,a,a.float())
torch.where(a>2,1,0) torch.where(a>2,1.0,0.0) torch.nn.functional.one_hot(a) torch.maximum(a,a) torch.mul(a,0.5)
torch.div(a,2) torch.div(a,2,rounding_mode="floor") torch.pow(a,0.5) torch.max(a,1)[1] torch.LongTensor([1])
torch.BoolTensor([True]) torch.Tensor([1]) torch.Tensor(2,2) torch.from_numpy(a.numpy())""".split()


def kind(tensor: torch.Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "float" if tensor.is_floating_point() else "int"


@pytest.mark.parametrize("expression", [*(f"a.{m}" if m[-1] == ")" else f"a.{m}()" for m in METHODS), *OTHERS])
def test_the_kind_is_what_torch_gives(expression: str) -> None:
    made = eval(expression, {"torch": torch, "a": torch.arange(12).view(3, 4)})
    source = f"import torch\na = torch.arange(12).view(3, 4)\nmade = {expression}\n"
    value = run_top_level(Machine(Tree("made.py", source), Project("made.py"))).get("made")
    assert isinstance(value, Tensor)
    assert value.dtype in (kind(made), None)
