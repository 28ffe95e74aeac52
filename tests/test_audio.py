"""torchaudio's transforms, held against torchaudio where it can be imported."""

from __future__ import annotations

import pytest

from conv_lint import check_source

torch = pytest.importorskip("torch")
try:
    from torchaudio import transforms
except (ImportError, OSError):  # not installed, or built for another torch
    transforms = None

SCRIPT = """
import torch
from torch import nn
from torchaudio import transforms
x = torch.randn(4, 1, 16001)
y = transforms.{transform}(x)  # shape: {shape}
net = nn.Sequential(transforms.{transform})
z = net(x)  # shape: {shape}
"""
#: What each gives of a wave of 16,001 samples.
SHAPES = {
    "Spectrogram()": (4, 1, 201, 81),
    "Spectrogram(n_fft=512)": (4, 1, 257, 63),
    "Spectrogram(512, 400, 100, pad=10)": (4, 1, 257, 161),
    "Spectrogram(center=False)": (4, 1, 201, 79),
    "Spectrogram(onesided=False)": (4, 1, 400, 81),
    "MelSpectrogram()": (4, 1, 128, 81),
    "MelSpectrogram(22050, n_fft=1024, hop_length=512, n_mels=64)": (4, 1, 64, 32),
    "MelSpectrogram(n_fft=512, win_length=300, center=False)": (4, 1, 128, 104),
    "MFCC(n_mfcc=13)": (4, 1, 13, 81),
    "AmplitudeToDB()": (4, 1, 16001),
    "FrequencyMasking(10)": (4, 1, 16001),
    "TimeMasking(10)": (4, 1, 16001),
    "Resample(16000, 8000)": (4, 1, 8001),
    "Resample(8000, 22050)": (4, 1, 44103),
    "Resample(8000, 8000)": (4, 1, 16001),
}
every_transform = pytest.mark.parametrize("transform", SHAPES)


def codes(text: str) -> list[str]:
    return [f.code for f in check_source(text, "script.py")]


@every_transform
def test_shapes(transform: str) -> None:
    shape = SHAPES[transform]
    assert not codes(SCRIPT.format(transform=transform, shape=shape))
    assert codes(SCRIPT.format(transform=transform, shape=(*shape[:-1], shape[-1] + 1))) == ["CONV501", "CONV501"]


@pytest.mark.skipif(transforms is None, reason="torchaudio cannot be imported")
@every_transform
def test_torchaudio_confirms(transform: str) -> None:
    made = eval(f"transforms.{transform}", {"transforms": transforms})
    assert tuple(made(torch.randn(4, 1, 16001)).shape) == SHAPES[transform]


def test_frames_that_are_not_known() -> None:
    text = SCRIPT.format(transform='MFCC(melkwargs={"n_fft": 1024})', shape=(4, 1, 40, 7))
    assert not codes(text)
    assert codes(text.replace("40", "41")) == ["CONV501", "CONV501"]
