"""Convolutions against torch: random arguments, shapes and errors alike."""

from __future__ import annotations

import random

import pytest

from conv_lint import check_source
from conv_lint.values import Shape
from tests.ops.oracle import check, check_layer

ROUNDS = 300


def per_axis(rng: random.Random, n: int, choices: list[int]) -> int | tuple[int, ...]:
    return rng.choice(choices) if rng.random() < 0.7 else tuple(rng.choice(choices) for _ in range(n))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", range(ROUNDS // 3))
def test_conv_layer(n: int, seed: int) -> None:
    rng = random.Random(seed * 10 + n)
    channels = rng.choice([1, 2, 3, 4, 6, 8])
    kwargs = {
        "stride": per_axis(rng, n, [1, 1, 2, 3]),
        "padding": rng.choice([per_axis(rng, n, [0, 1, 2]), "same", "valid"]),
        "dilation": per_axis(rng, n, [1, 1, 2]),
        "groups": rng.choice([1, 1, 1, 2, 3, channels]),
        "padding_mode": rng.choice(["zeros", "zeros", "replicate"]),
    }
    sizes = [rng.choice([1, 3, 5, 8]) for _ in range(n)]
    given = channels if rng.random() < 0.8 else rng.choice([1, 3, 5])
    leading = (rng.choice([1, 2]),) if rng.random() < 0.8 else ()
    check_layer(
        f"torch.nn.Conv{n}d",
        [channels, rng.choice([1, 4, 6]), per_axis(rng, n, [1, 2, 3])],
        kwargs,
        Shape((*leading, given, *sizes)),
    )


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", range(ROUNDS // 3))
def test_conv_transpose_layer(n: int, seed: int) -> None:
    rng = random.Random(seed * 10 + n)
    channels = rng.choice([1, 2, 3, 4, 6])
    kwargs = {
        "stride": per_axis(rng, n, [1, 2, 3]),
        "padding": per_axis(rng, n, [0, 0, 1, 2]),
        "output_padding": rng.choice([0, 0, 1, 2]),
        "dilation": per_axis(rng, n, [1, 1, 2]),
        "groups": rng.choice([1, 1, 2, channels]),
    }
    given = channels if rng.random() < 0.8 else rng.choice([1, 3, 5])
    check_layer(
        f"torch.nn.ConvTranspose{n}d",
        [channels, rng.choice([2, 4, 6]), per_axis(rng, n, [1, 2, 3])],
        kwargs,
        Shape((2, given, *(rng.choice([1, 3, 5]) for _ in range(n)))),
    )


@pytest.mark.parametrize("rank", range(1, 7))
def test_conv_takes_an_image_or_a_batch(rank: int) -> None:
    check("torch.nn.functional.conv2d", Shape((3,) * rank), Shape((4, 3, 2, 2)))


@pytest.mark.parametrize("padding", ["same", "valid", "full", 1, (1, 2), (1,), (1, 2, 3)])
def test_functional_padding(padding: object) -> None:
    check("torch.nn.functional.conv2d", Shape((1, 3, 8, 8)), Shape((4, 3, 3, 3)), None, 1, padding)


@pytest.mark.parametrize("bias", [4, 3])
def test_functional_bias(bias: int) -> None:
    check("torch.nn.functional.conv2d", Shape((1, 3, 8, 8)), Shape((4, 3, 3, 3)), Shape((bias,)))


def test_the_channels_of_a_convolution_come_from_it_even_if_its_input_had_as_many() -> None:
    text = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3)
        self.same = nn.Conv2d(64, 64, 3)
        self.norm = nn.BatchNorm2d(128)

    def forward(self, x):
        return self.norm(torch.relu(self.same(self.stem(x))))
"""
    (finding,) = check_source(text)
    assert "is given 64 (same, line 10)" in finding.message
