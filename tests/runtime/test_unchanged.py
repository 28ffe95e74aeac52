"""After ``check`` the model and the world are as they were, whether the forward returned or raised."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from conv_lint.runtime import ShapeError, check
from tests.runtime import models

IMAGE = (2, 3, 8, 8)


class FailsEarly(models.Counter):
    """Changes something and raises an error of its own."""

    def forward(self, x: torch.Tensor) -> Any:
        super().forward(x)
        raise KeyError("lost")


MODELS = [models.Small, models.Counter, models.Fails, FailsEarly, models.Lazy, models.Reads]


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Everything of every module, tensors by identity, version and numbers."""
    out: dict[str, Any] = {}
    for name, module in model.named_modules():
        out[f"{name} class"] = type(module)
        out[f"{name} keys"] = list(module.__dict__)
        for key, value in module.__dict__.items():
            if isinstance(value, dict):
                value = {k: _frozen(v) for k, v in value.items()}
            out[f"{name}.{key}"] = _frozen(value)
    return out


def _frozen(value: Any) -> Any:
    if isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
        return id(value), type(value)
    if isinstance(value, torch.Tensor):
        return id(value), value.device, value.requires_grad, value._version, tuple(value.flatten().tolist()), value.grad
    return list(value) if isinstance(value, list) else id(value) if isinstance(value, nn.Module) else repr(value)


def run(model: nn.Module, device: str) -> None:
    try:
        check(model, IMAGE, device=device)
    except (ShapeError, KeyError):
        assert "Fails" in type(model).__name__
    else:
        assert "Fails" not in type(model).__name__


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", MODELS)
def test_the_model_is_unchanged(make: Any, training: bool, device: str) -> None:
    model = make().train(training)
    before = snapshot(model)
    run(model, device)
    assert snapshot(model) == before
    assert model.training is training


@pytest.mark.parametrize("make", [models.Small, models.Fails])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_random_numbers_are_unchanged(make: Any, device: str) -> None:
    def draw() -> tuple[Any, ...]:
        return torch.rand(3).tolist(), random.random(), numpy.random.rand()

    def seed() -> None:
        torch.manual_seed(1)
        random.seed(1)
        numpy.random.seed(1)

    class Draws(make):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> Any:
            draw()
            return super().forward(x)

    Draws.__name__ = make.__name__
    model = Draws()
    seed()
    want = draw()
    seed()
    run(model, device)
    assert draw() == want


def test_a_model_still_learns_afterwards() -> None:
    model = models.Small()
    check(model, IMAGE)
    model(torch.rand(IMAGE)).sum().backward()
    assert model.conv.weight.grad is not None


def test_a_lazy_model_takes_another_size_afterwards() -> None:
    model = models.Lazy()
    check(model, IMAGE)
    assert isinstance(model.conv, nn.LazyConv2d)
    assert model(torch.rand(2, 5, 9, 9)).shape == (2, 10)


def test_shared_parameters_stay_shared() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
            self.two.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> Any:
            assert self.one.weight is self.two.weight
            return self.two(self.one(x))

    model = Tied()
    assert check(model, (1, 4)).parameters == 16 + 4 + 4
    assert model.one.weight is model.two.weight


def test_hooks_of_the_user_run_and_stay() -> None:
    model, seen = models.Small(), []
    model.conv.register_forward_hook(lambda *_: seen.append(1))
    check(model, IMAGE)
    assert seen == [1]
    assert len(model.conv._forward_hooks) == 1


def test_memory_is_not_taken() -> None:
    """400 GB of activations and 4 GB of weights, on the meta device."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(32_000, 32_000), nn.ReLU())
    assert check(model, (3_000_000, 32_000)).output == (3_000_000, 32_000)
