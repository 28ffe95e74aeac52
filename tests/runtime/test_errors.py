"""What a ``ShapeError`` tells, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from conv_lint.runtime import ShapeError, check
from tests.runtime import models

IMAGE = (2, 3, 32, 32)


class Block(nn.Module):
    """Sixteen channels meet a layer for thirty-two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.act = nn.ReLU()
        self.body = nn.Sequential(
            nn.BatchNorm2d(16),
            nn.Conv2d(32, 8, 1),
        )

    def forward(self, x: torch.Tensor) -> Any:
        x = self.act(self.conv1(x))
        return self.body(x)


class Outer(nn.Module):
    """A block inside a list."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity(), Block()])

    def forward(self, x: torch.Tensor) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


def caught(model: nn.Module, *inputs: Any, **options: Any) -> ShapeError:
    with pytest.raises(ShapeError) as error:
        check(model, *inputs, **options)
    return error.value


def line_of(text: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(i for i, line in enumerate(file, 1) if line.strip().startswith(text))


def test_everything_is_told() -> None:
    error = caught(Outer(), IMAGE)
    assert isinstance(error, RuntimeError)
    assert error.code == "CONV201"
    assert error.module == "blocks.1.body.1"
    assert error.layer == "Conv2d(32, 8, kernel_size=(1, 1), stride=(1, 1))"
    assert error.line is not None
    assert (error.line.number, error.line.text) == (line_of("return self.body(x)"), "return self.body(x)")
    assert error.constructed is not None
    assert error.constructed.text == "nn.Conv2d(32, 8, 1),"
    assert (error.expected, error.actual, error.fix) == (32, 16, "in_channels=16")
    conv1 = line_of("self.conv1 = nn.Conv2d(3, 16")
    assert error.message == (
        f"blocks[1].body[1] takes 32 input channels but is given 16 (blocks[1].conv1, line {conv1});"
        " write in_channels=16"
    )
    assert "to have 32 channels, but got 16 channels instead" in str(error.__cause__)


def test_the_table_goes_up_to_the_failure() -> None:
    error = caught(Outer(), IMAGE)
    assert error.report is not None
    assert [(c.path, c.finished) for c in error.report.calls] == [
        ("", False), ("blocks.0", True), ("blocks.1", False), ("blocks.1.conv1", True), ("blocks.1.act", True),
        ("blocks.1.body", False), ("blocks.1.body.0", True), ("blocks.1.body.1", False),
    ]  # fmt: skip
    lines = str(error).splitlines()
    assert lines[0] == f"CONV201 {error.message}"
    assert any("(2, 16, 32, 32)" in line and "failed" in line for line in lines)
    assert any(line.startswith("  made in:") for line in lines)


def test_a_sign_is_named_as_it_is_written() -> None:
    class Plus(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x + x[:, :2]

    class Add(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return torch.add(x, x[:, :2])

    assert caught(Plus(), IMAGE).message.startswith("+: (2, 3, 32, 32) and (2, 2, 32, 32)")
    assert caught(Add(), IMAGE).message.startswith("add: (2, 3, 32, 32) and (2, 2, 32, 32)")


def test_what_no_rule_knows_still_has_the_numbers() -> None:
    class Strange(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return torch.linalg.lstsq(x, x[:, :, :5]).solution

    error = caught(Strange(), IMAGE)
    assert error.code is None
    assert "[(2, 3, 32, 32), (2, 3, 5, 32)]" in error.message
    assert error.torch_says


def test_einops() -> None:
    einops = pytest.importorskip("einops")

    class Patches(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return einops.rearrange(x, "b c (h p) w -> b (h w) (p c)", p=5)

    assert caught(Patches(), IMAGE).code == "CONV409"


def test_an_exception_that_the_model_catches_is_nothing() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(5, 4), nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> Any:
            try:
                return self.one(x)
            except RuntimeError:
                return self.two(x)

    report = check(Careful(), IMAGE)
    assert report.output == (2, 3, 32, 4)
    assert [(c.path, c.finished) for c in report.calls] == [("", True), ("one", False), ("two", True)]


# what is no shape error -------------------------------------------------------------------------------------


def raising(make: Any) -> nn.Module:
    class Raises(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> Any:
            return make(self, self.conv(x))

    return Raises()


def own(error: BaseException) -> Any:
    def make(*_: Any) -> Any:
        raise error

    return make


def from_ours(module: nn.Module, x: torch.Tensor) -> Any:
    try:
        return x.view(7)
    except RuntimeError as error:
        raise ValueError("size of the input") from error


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda m, x: {}["key"], KeyError, "key"),
        (lambda m, x: m.missing(x), AttributeError, "missing"),
        (own(ValueError("the size is wrong")), ValueError, "the size is wrong"),
        (own(RuntimeError("shape mismatch, says the user")), RuntimeError, "says the user"),
        (own(NotImplementedError("later")), NotImplementedError, "later"),
        (from_ours, ValueError, "size of the input"),
        (lambda m, x: torch.zeros(2, 3).unknown, AttributeError, "unknown"),
        (lambda m, x: m.conv(x, x), TypeError, "positional"),
        (lambda m, x: int("a"), ValueError, "invalid literal"),
        (lambda m, x: (lambda a, b: a)(*[1, 2, 3]), TypeError, "positional"),
        (lambda m, x: [1, 2, 3][5], IndexError, "list index"),
    ],
)
def test_other_failures_pass_unchanged(make: Any, kind: type[Exception], words: str, device: str) -> None:
    with pytest.raises(kind, match=words) as error:
        check(raising(make), IMAGE, device=device)
    assert type(error.value) is kind


def test_a_wrong_dtype_passes() -> None:
    """Only with real numbers: the meta device does not look at them."""
    model = raising(lambda m, x: nn.functional.linear(x, torch.zeros(2, 30, dtype=torch.long)))
    with pytest.raises(RuntimeError, match="dtype") as error:
        check(model, IMAGE, device="cpu")
    assert type(error.value) is RuntimeError


def test_keyboard_interrupts_pass() -> None:
    with pytest.raises(KeyboardInterrupt):
        check(raising(own(KeyboardInterrupt())), IMAGE)


def test_unpacking_what_is_no_shape_passes() -> None:
    def unpack(module: nn.Module, x: torch.Tensor) -> Any:
        a, b = (1, 2, 3)
        return a + b

    with pytest.raises(ValueError, match="too many values"):
        check(raising(unpack), IMAGE)


def test_a_rule_that_is_wrong_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a rule sees a fault where torch sees none, nothing is said."""
    from conv_lint import catalogue, ops

    def liar(op: Any, input: Any) -> Any:
        op.fail(catalogue.input_channels(takes=1, given=2))
        return input

    monkeypatch.setattr(ops.LAYERS["torch.nn.ReLU"], "rule", liar)
    monkeypatch.setattr(ops.FUNCTIONS["torch.mean"], "rule", liar)
    for device in ("meta", "cpu"):
        assert check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), IMAGE, device=device).output == (2, 4, 30, 30)
        assert check(raising(lambda m, x: torch.mean(x)), IMAGE, device=device).output == ()


def test_a_rule_that_crashes_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    from conv_lint import ops

    def broken(op: Any, input: Any) -> Any:
        raise IndexError("our own mistake")

    monkeypatch.setattr(ops.LAYERS["torch.nn.ReLU"], "rule", broken)
    assert check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), IMAGE).output == (2, 4, 30, 30)


def test_the_meta_device_alone_would_not_see_it() -> None:
    """torch takes any batch norm on the meta device with running statistics of its own; real zeros tell."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(32, track_running_stats=False))
    assert caught(model, IMAGE).code == "CONV203"
    assert caught(models.Sequence(), (2, 1, 30, 40)).code == "CONV212"
