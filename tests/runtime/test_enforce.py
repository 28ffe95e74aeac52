"""``enforce``: declared shapes held against real calls, in the words of the linter."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from conv_lint import check_source
from conv_lint.interpreter.contracts import declarations
from conv_lint.interpreter.entries import run_top_level
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Function
from conv_lint.project import Project
from conv_lint.runtime import ShapeError, ShapeWarning, check, enforce, watch
from conv_lint.runtime.contract import read
from conv_lint.tree import Tree

HEAD = """
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor, nn

"""
#: Annotations as text, without jaxtyping; and as objects of it.
AS_TEXT = f"from __future__ import annotations\n{HEAD}\nif TYPE_CHECKING:\n    from jaxtyping import Float\n\n"
AS_OBJECTS = f"{HEAD}\nfrom jaxtyping import Float\n\n"

_numbers = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a text as a module from a file."""

    def make(text: str, head: str = AS_TEXT) -> ModuleType:
        if head is AS_OBJECTS:
            pytest.importorskip("jaxtyping")
        name = f"declared_{next(_numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(head + text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return made

    return make


BLOCK = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, stride=2)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 8 h//2 w//2"]:
        return self.conv(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.fc = nn.Linear(8, 10)

    def forward(self, image: Float[Tensor, "b 3 h w"], extra: Float[Tensor, "b 8"]) -> Float[Tensor, "b 10"]:
        return self.fc(self.block(image).mean((2, 3)) + extra)
"""


def zeros(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.zeros(shape) for shape in shapes]


def refused(call: Any, *shapes: tuple[int, ...], **kwargs: Any) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        call(*zeros(*shapes), **kwargs)
    return caught.value


@pytest.mark.parametrize("head", [AS_TEXT, AS_OBJECTS], ids=["text", "objects"])
def test_a_model(module: Any, head: str) -> None:
    model = module(BLOCK, head).Net()
    with enforce(model):
        model(*zeros((2, 3, 32, 30), (2, 8)))
        model(image=torch.zeros(2, 3, 32, 30), extra=torch.zeros(2, 8))

        rank = refused(model, (3, 32, 32), (2, 8))
        assert (rank.code, rank.module) == ("CONV502", "")
        text = 'Net.forward is given (3, 32, 32) for image, which is annotated Float[Tensor, "b 3 h w"]'
        assert rank.message == text

        number = refused(model, (2, 4, 32, 32), (2, 8))
        assert (number.code, number.actual) == ("CONV502", (2, 4, 32, 32))

        across = refused(model, (2, 3, 32, 32), extra=torch.zeros(3, 8))
        assert across.message == 'Net.forward is given (3, 8) for extra, which is annotated Float[Tensor, "b 8"]'
        assert across.expected == "(b=2, 8)"
        assert across.line is not None
        assert across.line.file == __file__

        returned = refused(model, (2, 3, 31, 32), (2, 8))  # 31 -> 16, not 15
        assert (returned.code, returned.module) == ("CONV504", "block")
        assert returned.expected == "(b=2, 8, h//2=15, w//2=16)"
        assert returned.message == (
            'Block.forward is annotated to return Float[Tensor, "b 8 h//2 w//2"], but returns (2, 8, 16, 16)'
        )
        assert returned.line is not None
        assert "def forward" in returned.line.text
        assert returned.constructed is not None
        assert returned.constructed.text == "self.block = Block()"
    model(*zeros((2, 3, 31, 31), (2, 8)))


def test_without_data(module: Any) -> None:
    model = module(BLOCK).Net()
    with enforce(model):
        check(model, (2, 3, 32, 32), (2, 8))
        with pytest.raises(ShapeError, match=r"CONV504 Block\.forward"):
            check(model, (2, 3, 31, 32), (2, 8))
        with watch(model):
            assert refused(model, (2, 3, 32, 32), (3, 8)).code == "CONV502"


def hooks_of(model: nn.Module) -> list[Any]:
    return [
        (*part._forward_hooks, *part._forward_pre_hooks, *part._forward_hooks_with_kwargs, *vars(part).keys())
        for part in model.modules()
    ]


def test_nothing_is_left(module: Any) -> None:
    model = module(BLOCK).Net()
    before = hooks_of(model)
    held = enforce(model)
    assert hooks_of(model) != before
    held.detach()
    held.detach()
    assert hooks_of(model) == before
    with pytest.raises(ShapeError), enforce(model):
        model(*zeros((3, 32, 32), (2, 8)))
    assert hooks_of(model) == before


def test_a_call_that_raises_leaves_no_names_behind(module: Any) -> None:
    model = module(BLOCK).Net()
    with enforce(model):
        for _ in range(3):
            with pytest.raises(RuntimeError):
                model.block(torch.zeros(4, 3, 8, 8, dtype=torch.int))
            assert model(*zeros((2, 3, 32, 32), (2, 8))).shape == (2, 10)


def test_comments(module: Any) -> None:
    net = module("""
class Net(nn.Module):
    def forward(
        self,
        x,  # (B, 3, H, W)
        y=None,  # y: (B, 7)
        *,
        z=None,  # shape: (B, H)
    ):
        return x


class Below(nn.Module):
    # (B, 3, H, W)
    @torch.no_grad()
    def forward(self, x, flag=(1, 2)):  # flag: (B, 5)
        return x.flatten(1)
""")
    with enforce(net.Net()) as held:
        model = held.model
        model(*zeros((2, 3, 8, 9), (2, 7)), z=torch.zeros(2, 8))
        model(torch.zeros(2, 3, 8, 9), None)
        said = "Net.forward is given (2, 4, 8, 9) for x, which is annotated (B, 3, H, W)"
        assert refused(model, (2, 4, 8, 9)).message == said
        assert refused(model, (2, 3, 8, 9), (3, 7)).message.endswith("for y, which is annotated (B, 7)")
        assert refused(model, (2, 3, 8, 9), z=torch.zeros(2, 9)).message.endswith("for z, which is annotated (B, H)")
    with enforce(net.Below()) as held:
        held.model(*zeros((2, 3, 8, 8), (2, 5)))
        assert refused(held.model, (3, 8, 8)).message.endswith("for x, which is annotated (B, 3, H, W)")
        assert refused(held.model, (2, 3, 8, 8), (2, 4)).message.endswith("for flag, which is annotated (B, 5)")


FUNCTIONS = """
from conv_lint.runtime import enforce

Image = Float[Tensor, "b 3 h w"]
Named = Annotated[Tensor, "N 3 8 8"]


@enforce
def pooled(x: Image, y: Named = None, n: int = 3) -> Float[Tensor, "b 3"]:
    return x.mean((2, 3)) if n == 3 else x


class Plain:
    @enforce
    def method(self, x: Float[Tensor, "*any 2 k"], y: Float[Tensor, "_b 2*k #k"]) -> Float[Tensor, ""]:
        return x.sum()
"""


def test_functions(module: Any) -> None:
    made = module(FUNCTIONS, AS_OBJECTS)
    assert made.pooled(torch.zeros(2, 3, 4, 4)).shape == (2, 3)
    assert made.pooled.__name__ == "pooled"
    said = 'pooled is given (2, 3, 4) for x, which is annotated Float[Tensor, "b 3 h w"]'
    assert refused(made.pooled, (2, 3, 4)).message == said
    assert refused(made.pooled, (2, 3, 4, 4), (1, 3, 8, 9)).message.endswith("Annotated[Tensor, 'N 3 8 8']")
    assert refused(made.pooled, (2, 3, 4, 4), n=4).code == "CONV504"
    method = made.Plain().method
    assert method(*zeros((5, 6, 2, 4), (9, 8, 1))).shape == ()
    assert method(*zeros((2, 4), (9, 8, 4))).shape == ()
    assert refused(method, (4,), (9, 8, 1)).actual == (4,)
    wrong = refused(method, (2, 4), (9, 7, 1))
    assert wrong.expected == "(_b, 2*k=8, _)"
    assert wrong.message.startswith("Plain.method is given (9, 7, 1) for y")


def test_torchtyping_is_read_as_text(module: Any) -> None:
    net = module("""
class Net(nn.Module):
    def forward(self, x: TensorType["b", 3, 8, 8]) -> TensorType["b", ...]:
        return x
""").Net()
    with enforce(net):
        net(torch.zeros(1, 3, 8, 8))
        assert refused(net, (1, 3, 8, 9)).code == "CONV502"


def test_what_cannot_be_read_is_said_once(module: Any) -> None:
    net = module("""
class Part(nn.Module):
    def forward(self, x: Float[Tensor, "b (h w"], y=None):  # y: (B, 3)
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = Part(), Part()

    def forward(self, x):
        return self.b(self.a(x))
""").Net()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with enforce(net):
            net(torch.zeros(3))
            net(torch.zeros(3))
    assert [str(w.message) for w in said] == [
        """CONV503 Part.forward: the shape annotation Float[Tensor, "b (h w"] of x cannot be read: '(h w' is no size"""
    ]
    assert said[0].category is ShapeWarning
    assert said[0].filename == __file__


def test_functions_without_a_source() -> None:
    pytest.importorskip("jaxtyping")
    names: dict[str, Any] = {}
    text = "from torch import Tensor\nfrom jaxtyping import Float\ndef f(x: Float[Tensor, 'b 3']): return x"
    exec(compile(text, "<typed>", "exec", dont_inherit=True), names)
    held = enforce(names["f"])
    assert refused(held, (2, 4)).message == 'f is given (2, 4) for x, which is annotated Float[Tensor, "b 3"]'


def test_what_declares_nothing_stays_as_it_is() -> None:
    def plain(x: torch.Tensor) -> torch.Tensor:
        return x

    assert enforce(plain) is plain
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    before = hooks_of(model)
    with enforce(model):
        assert hooks_of(model) == before


def test_what_cannot_be_enforced() -> None:
    for target in (nn.Linear, 3):
        with pytest.raises(TypeError, match=r"needs a torch.nn.Module or a function"):
            enforce(target)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="scripted"):
        enforce(torch.jit.script(nn.Linear(2, 2)))


# the same as the linter -------------------------------------------------------------------------------------

DEFINITIONS = """
# (B, 9)

# (B, 3, H, W)
def above(x, y): ...

def behind(x, y):  # y: (B, 3)
    return x  # (B, 4)

def one_line(x): return x  # (B, 3)

def lines(
    x,  # (B, 3)
    # (B, 4)
    y = (
        1,
    ),  # (B, 5)
    *rest,  # (B, 6)
    k: int = 3,  # a number
    l: Float[Tensor, "b 3"] = None  # (B, 7)
):  # k: (B, 8)
    return x

def annotated(x: "Float[Tensor, 'b h']", y: Annotated[Tensor, "B 3 H"], z: Annotated[Tensor, (1, 2)] = (lambda: 0),
              u: Annotated[Tensor, "the image"] = None, *, v: Float[
                  Tensor, "b 4"
              ] = None) -> Float[torch.Tensor, "... b"]:
    return x

def other(x: int, y: "int", z: list[int], u: Float[Tensor, "a ... b"], **kw: Float[Tensor, "b"]) -> None:
    # (B, 3)
    return x

class Net(nn.Module):
    # (B, 3, 8, 8)

    def forward(self, x, y):  # shape: (B, 1, 8, 8)
        return x

    # shape: (B, 2)
    @staticmethod
    # shape: (B, 5)
    def static(x): ...
"""


def test_the_linter_reads_the_same(module: Any) -> None:
    made = module(DEFINITIONS)
    text = Path(made.__file__).read_text(encoding="utf-8")
    machine = Machine(Tree(made.__file__, text), Project(made.__file__))
    names = run_top_level(machine).frame.locals
    seen = {}
    for name, value in names.items():
        for function in value.attrs.values() if isinstance(value, Class) else [value]:
            if isinstance(function, Function):
                live = vars(made.Net).get(function.name) or getattr(made, function.name)
                live = getattr(live, "__func__", live)
                contract = read(live, name)
                ours = dict(contract.parameters)
                if contract.result is not None:
                    ours["return"] = contract.result
                assert ours == {key: shape for key, (shape, _) in declarations(machine, function).items()}, function
                seen[function.name] = sorted(ours)
    assert seen == {
        "above": ["x"],
        "behind": ["y"],
        "one_line": [],
        "lines": ["k", "l", "x", "y"],
        "annotated": ["return", "v", "x", "y", "z"],
        "other": [],
        "forward": ["x"],
        "static": ["x"],
    }


CALLS = [
    ((2, 3, 32, 32), (2, 8), None),
    ((3, 32, 32), (2, 8), "CONV502"),
    ((2, 4, 32, 32), (2, 8), "CONV502"),
    ((2, 3, 32, 32), (3, 8), "CONV502"),
    ((2, 3, 31, 32), (2, 8), "CONV504"),
]


@pytest.mark.parametrize(("image", "extra", "code"), CALLS)
def test_the_linter_says_the_same(
    module: Any, image: tuple[int, ...], extra: tuple[int, ...], code: str | None
) -> None:
    model = module(BLOCK).Net()
    found = check_source(f"{AS_TEXT}{BLOCK}\nNet()(torch.zeros({image}), torch.zeros({extra}))\n", "net.py")
    static = [f.message for f in found if f.code in ("CONV502", "CONV504")]
    with enforce(model):
        if code is None:
            model(*zeros(image, extra))
            assert not static
            return
        error = refused(model, image, extra)
    assert error.code == code
    assert any(text.startswith(error.message) for text in static), static  # the linter adds where it comes from
