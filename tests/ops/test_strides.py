"""A view of a permuted tensor: refused exactly where torch refuses it."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace

import pytest
import torch

from conv_lint import dims
from conv_lint.finding import Step
from conv_lint.ops.strides import scattered
from conv_lint.values import Shape


def made(name: str, sizes: tuple[dims.Dim, ...], parent: Step | None = None, **args: object) -> Step:
    scope = SimpleNamespace(op=SimpleNamespace(name=name, args=args), layer=None)
    return Step(name.rpartition(".")[2], None, sizes, (parent,) if parent is not None else (), scope)


def permuted(sizes: tuple[dims.Dim, ...], *orders: tuple[int, ...]) -> Shape:
    step = made("torch.rand", sizes)
    for order in orders:
        sizes = tuple(sizes[i] for i in order)
        step = made("torch.Tensor.permute", sizes, step, dims=order)
    return Shape(sizes, step)


def refuses(tensor: torch.Tensor, target: tuple[int, ...]) -> bool:
    """Does torch refuse the view?"""
    try:
        tensor.view(target)
    except RuntimeError:
        return True
    return False


def splits(number: int, count: int) -> tuple[int, ...]:
    out = []
    for _ in range(count - 1):
        divisor = random.choice([d for d in range(1, number + 1) if number % d == 0])
        out.append(divisor)
        number //= divisor
    return (*out, number)


@pytest.mark.parametrize("seed", range(300))
def test_as_torch_says(seed: int) -> None:
    random.seed(seed)
    rank = random.randint(2, 5)
    sizes = tuple(random.choice((1, 2, 3, 4)) for _ in range(rank))
    orders = [tuple(random.sample(range(rank), rank)) for _ in range(random.randint(1, 2))]
    target = splits(math.prod(sizes), random.randint(1, 4))
    tensor = torch.rand(sizes)
    for order in orders:
        tensor = tensor.permute(order)
    refused = refuses(tensor, target)
    assert (scattered(permuted(sizes, *orders), target) is not None) is refused


@pytest.mark.parametrize("seed", range(200))
def test_behind_what_keeps_the_order(seed: int) -> None:
    """Never refused where torch takes it; and what works on each number changes nothing."""
    random.seed(seed)
    rank = random.randint(2, 4)
    sizes = tuple(random.choice((1, 2, 3, 4)) for _ in range(rank))
    order = tuple(random.sample(range(rank), rank))
    tensor, shape = torch.rand(sizes).permute(order), permuted(sizes, order)
    sliced = False
    for _ in range(random.randint(1, 3)):
        kind = random.choice(["relu", "dropout", "add", "mul", "slice"])
        if kind == "slice":
            index = tuple(slice(random.choice([None, 1, 2])) for _ in range(random.randint(1, rank)))
            tensor, sliced = tensor[index], True
            name, args = "torch.Tensor.__getitem__", {"index": index if len(index) > 1 else index[0]}
        elif kind in ("add", "mul"):
            tensor = getattr(torch, kind)(tensor, torch.rand(tensor.shape))
            name, args = f"torch.{kind}", {}
        else:
            tensor = getattr(torch.nn.functional, kind)(tensor)
            name, args = f"torch.nn.functional.{kind}", {}
        shape = Shape(tuple(tensor.shape), made(name, tuple(tensor.shape), shape.step, **args))
    target = splits(math.prod(tensor.shape), random.randint(1, 4))
    refused = refuses(tensor, target)
    found = scattered(shape, target) is not None
    assert found <= refused if sliced else found is refused


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_layers(kind: str, batch_first: bool) -> None:
    layer = getattr(torch.nn, kind)(4, 5, batch_first=batch_first)
    out = layer(torch.rand(2, 3, 4))[0]
    scope = SimpleNamespace(
        op=None, layer=SimpleNamespace(torch_name=f"torch.nn.{kind}", attrs={"batch_first": batch_first})
    )
    shape = Shape((2, 3, 5), Step(kind, None, (2, 3, 5), (made("torch.rand", (2, 3, 4)),), scope))
    assert (scattered(shape, (6, 5)) is not None) is batch_first
    if batch_first:
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            out.view(6, 5)
    else:
        out.view(6, 5)


def test_sizes_that_nobody_knows() -> None:
    b, h, w = (dims.symbol(name) for name in "BHW")
    image = permuted((b, 8, h, w), (0, 2, 3, 1))
    assert scattered(image, (b, 8 * h * w)) is not None
    assert scattered(image, (b, h * w, 8)) is None
    assert scattered(image, (b * h * w, 8)) is not None
    assert scattered(permuted((1, 8, h, w), (0, 2, 3, 1)), (h * w, 8)) is None
    assert scattered(image, (b, 7, 7, 8)) is None
    pooled = permuted((b, 8, h - 6, w - 6), (0, 2, 3, 1))  # one pixel, if the pool was made for seven
    assert scattered(pooled, (b, 8 * (h - 6) * (w - 6))) is None


def test_only_what_lies_in_order_for_sure() -> None:
    sizes = (2, 3, 4)
    for name in ("torch.Tensor.__getitem__", "torch.Tensor.expand", "torch.Tensor.unfold"):
        step = made("torch.Tensor.permute", (2, 4, 3), made(name, sizes), dims=(0, 2, 1))
        assert scattered(Shape((2, 4, 3), step), (2, 12)) is None


def layers(channels: int) -> dict[str, torch.nn.Module]:
    width = random.choice((1, 2, 3, 4))
    return {
        "torch.nn.Conv2d": torch.nn.Conv2d(channels, width, random.choice((1, 3)), padding=1),
        "torch.nn.ConvTranspose2d": torch.nn.ConvTranspose2d(channels, width, 2, 2),
        "torch.nn.BatchNorm2d": torch.nn.BatchNorm2d(channels).eval(),
        "torch.nn.MaxPool2d": torch.nn.MaxPool2d(2, 1, 1),
        "torch.nn.AvgPool2d": torch.nn.AvgPool2d(2, 1, 1),
        "torch.nn.AdaptiveAvgPool2d": torch.nn.AdaptiveAvgPool2d(random.choice((1, 2))),
        "torch.nn.ReLU": torch.nn.ReLU(),
    }


@pytest.mark.parametrize("seed", range(300))
def test_behind_layers_of_maps(seed: int) -> None:
    """Never refused where torch takes it; and refused where the channels of larger maps lie last."""
    random.seed(seed)
    sizes = tuple(random.choice((1, 2, 3, 5)) for _ in range(4))
    order = random.choice([(0, 3, 1, 2), (0, 1, 2, 3), (0, 3, 2, 1)])
    tensor, shape = torch.rand(sizes).permute(order), permuted(sizes, order)
    plain = order == (0, 3, 1, 2) and min(sizes) > 1
    for _ in range(random.randint(1, 3)):
        name, layer = random.choice(list(layers(tensor.shape[1]).items()))
        tensor = layer(tensor).detach()
        plain = plain and tensor.shape[1] > 1 and tensor.shape[2:].numel() > 1
        shape = Shape(tuple(tensor.shape), made(name, tuple(tensor.shape), shape.step))
    target = (tensor.shape[0], -1) if random.random() < 0.5 else splits(tensor.numel(), random.randint(1, 4))
    target = tuple(tensor.numel() // tensor.shape[0] if size == -1 else size for size in target)
    refused = refuses(tensor, target)
    found = scattered(shape, target) is not None
    assert not found or refused
    assert found is refused or not plain
