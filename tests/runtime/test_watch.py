"""What ``watch`` and ``attach`` say of a training loop."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from conv_lint.runtime import NotFiniteWarning, ShapeError, ShapeWarning, attach, watch
from tests.runtime import models


class Net(nn.Module):
    """A strided convolution, then whatever ``tail`` does."""

    def __init__(self, tail: Any = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 10)
        self.tail = tail

    def forward(self, x: torch.Tensor) -> Any:
        y = self.bn(self.conv(x))
        return self.tail(self, y) if self.tail is not None else self.fc(y.mean((2, 3)))


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape or (4, 3, 16, 16))


def said(net: nn.Module, *batches: torch.Tensor, nan: bool = False) -> list[warnings.WarningMessage]:
    """What is said while the net takes these batches."""
    with warnings.catch_warnings(record=True) as recorded, watch(net, nan=nan):
        warnings.simplefilter("always")
        for batch in batches:
            net(batch)
    return [w for w in recorded if issubclass(w.category, ShapeWarning)]


def test_a_good_loop_is_silent() -> None:
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with warnings.catch_warnings(), watch(net, nan=True):
        warnings.simplefilter("error")
        for batch in (4, 4, 2):
            optimizer.zero_grad()
            net(images(batch, 3, 16, 16)).sum().backward()
            optimizer.step()


@pytest.mark.parametrize("nan", [False, True])
def test_nothing_is_left_behind(nan: bool) -> None:
    net = Net()
    before = {n: (len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in net.named_modules()}
    watcher = attach(net, nan=nan)
    assert net._forward_pre_hooks
    watcher.detach()
    watcher.detach()
    with pytest.raises(ShapeError), watch(net, nan=nan):
        net(images(4, 5, 16, 16))
    assert {n: (len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in net.named_modules()} == before


@pytest.mark.parametrize("way", [attach, watch])
def test_a_layer_that_cannot_take_its_input(way: Any) -> None:
    net = Net()
    watcher = way(net)
    with pytest.raises(ShapeError) as caught:
        net(images(4, 16, 16, 3))
    watcher.detach()
    assert (caught.value.code, caught.value.module) == ("CONV403", "conv")
    assert caught.value.report is not None
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_function_between_the_layers() -> None:
    net = Net(lambda m, y: y + y[:, :3])
    with pytest.raises(ShapeError) as caught, watch(net):
        net(images())
    assert caught.value.code == "CONV205"
    assert "must match the size" in str(caught.value.__cause__)


def test_other_failures_pass_through_the_block() -> None:
    def fail(net: nn.Module, y: torch.Tensor) -> None:
        raise RuntimeError("the size is mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        said(Net(fail), images())
    assert not isinstance(caught.value, ShapeError)


def test_a_changed_size_is_said_once() -> None:
    (warning,) = said(Net(), *(images(4, 3, size, size) for size in (16, 16, 32, 64, 32)))
    assert str(warning.message) == (
        "conv is given samples of (3, 32, 32), the first batch had (3, 16, 16): the height or width changed (said once)"
    )
    assert warning.filename == __file__


def test_a_changed_number_of_channels() -> None:
    (warning,) = said(nn.Sequential(nn.MaxPool2d(2)), images(), images(4, 5, 16, 16))
    assert "the number of channels changed" in str(warning.message)


def test_a_layer_used_at_several_sizes_is_no_change() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: torch.Tensor) -> Any:
            return self.pool(self.pool(x))

    assert not said(Twice(), images(), images())


def test_training_and_evaluation_may_differ() -> None:
    net = Net()
    with warnings.catch_warnings(), watch(net):
        warnings.simplefilter("error")
        net(images())
        net.eval()
        net(images(4, 3, 32, 32))


def test_rows_that_are_never_read() -> None:
    (warning,) = said(nn.Sequential(nn.Conv2d(3, 4, 4, stride=4)), images(2, 3, 18, 18), images(2, 3, 18, 18))
    assert str(warning.message).startswith("CONV301 Sequential[0]: (18 - 4 + 2*0) / 4 = 3.5 is not whole")


def test_a_batch_folded_into_the_features() -> None:
    (warning,) = said(Net(lambda m, y: m.fc(y.reshape(-1, 8))), images(), images())
    assert str(warning.message).startswith("a batch of 4 comes in and 256 rows come out: fc is given 256 rows")


def test_numbers_that_are_not_finite() -> None:
    net = Net()
    with torch.no_grad():
        net.bn.weight[2] = float("nan")
    (warning,) = said(net, images(), images(), nan=True)
    assert warning.category is NotFiniteWarning
    assert str(warning.message).startswith("bn (BatchNorm2d) makes numbers that are not finite: 256 NaN of 2048")


def test_numbers_are_not_looked_at_unless_asked() -> None:
    net = Net()
    with warnings.catch_warnings(), watch(net):
        warnings.simplefilter("error")
        net(images() * float("nan"))


def test_numbers_that_come_from_between_the_layers() -> None:
    (warning,) = said(Net(lambda m, y: m.fc((y * float("inf")).mean((2, 3)))), images(), nan=True)
    assert str(warning.message).startswith("fc (Linear) is given, and passes on,")


def test_wrapped_models() -> None:
    small = models.Small()
    with watch(nn.DataParallel(small)) as watcher:
        assert watcher.model is small


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_models_are_refused() -> None:
    scripted = torch.jit.script(nn.ReLU())
    with pytest.raises(TypeError, match="scripted"):
        watch(scripted)


def test_the_numbers_are_the_same() -> None:
    net = models.Small().eval()
    x = images()
    want = net(x)
    with watch(net, nan=True):
        assert torch.equal(net(x), want)


def test_a_lookup_is_all_that_a_known_shape_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[ShapeWarning.__module__]
    calls = []
    original = module.judge_layer
    monkeypatch.setattr(module, "judge_layer", lambda *a: calls.append(1) or original(*a))
    net = Net()
    with watch(net):
        net(images())
        first = len(calls)
        net(images())
        assert len(calls) == first == 3
