"""Fourier transforms and complex numbers against torch."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from conv_lint.dims import symbol
from conv_lint.ops.rule import evaluate
from conv_lint.values import Rest, Shape
from tests.ops.oracle import check

ROUNDS = 120


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def some(rng: random.Random, least: int = 0, most: int = 4) -> Shape:
    return Shape(rng.choice([1, 2, 3, 4, 5]) for _ in range(rng.randint(least, most)))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_axis(name: str) -> None:
    rng = random.Random(name)
    for _ in range(ROUNDS):
        n = rng.choice([None, None, 1, 4, 5, 0, -1])
        check(f"torch.fft.{name}", some(rng), n, rng.choice([-1, -1, 0, 1, -2, 5]))


@pytest.mark.parametrize("last", ["2", "n"])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_several_axes(name: str, last: str) -> None:
    rng = random.Random(name + last)
    for _ in range(ROUNDS):
        kwargs: dict[str, Any] = {}
        if rng.random() < 0.5:
            kwargs["s"] = rng.choice([3, (4,), (2, 5), (-1, 3), (3, -1), (0, 2), (1, 2, 3), ()])
        if rng.random() < 0.5:
            kwargs["dim"] = rng.choice([0, (-1,), (0, 1), (1, -1), (-2, -1), (1, 1), (0, 1, 2), (4, 0), ()])
        check(f"torch.fft.{name}{last}", some(rng), **kwargs)


@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name: str) -> None:
    rng = random.Random(0)
    for _ in range(ROUNDS):
        check(f"torch.fft.{name}", some(rng), rng.choice([None, 0, 1, -1, (0, 1), (-1,), 3]))


@pytest.mark.parametrize("n", [-1, 0, 1, 2, 5, 8])
def test_frequencies(n: int) -> None:
    check("torch.fft.fftfreq", n, missed=n == 0)
    if n >= 0:
        check("torch.fft.rfftfreq", n, missed=n == 0)


def test_stft() -> None:
    rng = random.Random(0)
    for _ in range(3 * ROUNDS):
        size = rng.choice([1, 4, 5, 8])
        kwargs: dict[str, Any] = {"return_complex": rng.random() < 0.7, "center": rng.random() < 0.6}
        kwargs["hop_length"] = rng.choice([None, 1, 2, 3, 0])
        kwargs["win_length"] = rng.choice([None, None, 4, 3, 9, 0])
        kwargs["window"] = rng.choice([None, None, Shape((kwargs["win_length"] or size,)), Shape((3,))])
        kwargs["onesided"] = rng.choice([None, True, False])
        kwargs["pad_mode"] = rng.choice(["reflect", "constant"])
        length = rng.choice([2, 3, 5, 8, 16, 17])
        input = Shape(rng.choice([(length,), (2, length), (2, length), (2, 1, length)]))
        check("torch.stft", input, size, **kwargs)


def test_istft() -> None:
    rng = random.Random(0)
    for _ in range(3 * ROUNDS):
        size = rng.choice([4, 5, 8])
        kwargs: dict[str, Any] = {"center": rng.random() < 0.6, "hop_length": rng.choice([None, 1, 2])}
        kwargs["onesided"] = rng.choice([None, True, False])
        kwargs["length"] = rng.choice([None, None, None, 4, 9])
        rows = rng.choice([size // 2 + 1, size // 2 + 1, size, 3])
        shape = rng.choice([(rows, 5), (2, rows, 5), (2, rows, 1), (2, 1, rows, 5), (rows,)])
        try:
            want = tuple(torch.istft(torch.zeros(shape, dtype=torch.complex64), size, **kwargs).shape)
        except (RuntimeError, IndexError) as error:
            want, refused = None, str(error)
        result, reports = evaluate("torch.istft", Shape(shape), size, **kwargs)
        if want is not None:
            assert (result, reports) == (want, []), (shape, size, kwargs)
        elif "window overlap" not in refused and "empty" not in refused:
            assert reports, (shape, size, kwargs, refused)


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (3, 2), (1,)])
def test_complex_views(shape: tuple[int, ...]) -> None:
    complex_tensor = torch.zeros(shape, dtype=torch.complex64)
    for function in (torch.view_as_real, torch.real, torch.imag):
        want = tuple(function(complex_tensor).shape)
        assert evaluate(f"torch.{function.__name__}", Shape(shape, None, "complex")) == (want, [])
    for name in ("real", "imag"):
        want = tuple(getattr(complex_tensor, name).shape)
        assert evaluate(f"torch.Tensor.{name}", Shape(shape, None, "complex")) == (want, [])
    check("torch.view_as_complex", Shape(shape))


def test_unknown_shapes() -> None:
    rest = Rest()
    loose = Shape((rest, 3, 8, symbol("W")))  # type: ignore[arg-type]
    assert evaluate("torch.fft.fft2", loose) == (loose, [])
    assert evaluate("torch.fft.fftn", loose) == (loose, [])
    result, reports = evaluate("torch.fft.rfft2", loose, (8, 16))
    assert (result[-3:], reports) == ((3, 8, 9), [])
    result, _ = evaluate("torch.fft.rfftn", loose)
    assert result[-2:] == (8, loose[-1] // 2 + 1)
    assert evaluate("torch.fft.fft", loose, None, 0)[0] is None
    b, c, h, w = (symbol(n) for n in "BCHW")
    assert evaluate("torch.fft.irfft2", Shape((b, c, h, w)))[0] == (b, c, h, 2 * w - 2)


def test_a_spectral_block_keeps_its_shape() -> None:
    image = Shape((2, 3, 32, 32))
    half, _ = evaluate("torch.fft.rfft2", image)
    assert half == (2, 3, 32, 17)
    assert evaluate("torch.fft.irfft2", half, (32, 32)) == (image, [])
