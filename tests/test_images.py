"""Images of OpenCV and albumentations, held against the libraries where they are installed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from conv_lint import check_source

SCRIPT = """
import cv2
import numpy as np
import torch
import albumentations as A
from albumentations.pytorch import ToTensorV2

image = cv2.imread({path!r}{flag})
image = cv2.resize(image, (40, 30))
{steps}
x = torch.from_numpy(np.ascontiguousarray(image)) if isinstance(image, np.ndarray) else image
x = x  # shape: {comment}
"""


def codes(text: str) -> list[str]:
    return [f.code for f in check_source(text, "script.py") if f.code != "CONV302"]


def steps(draw: random.Random, gray: bool) -> str:
    height, width = draw.randint(8, 28), draw.randint(8, 28)
    of_cv2 = [
        f"image = cv2.resize(image, ({width}, {height}))",
        "image = cv2.GaussianBlur(image, (3, 3), 0)",
        "image = image.astype(np.float32) / 255.0",
        "image = cv2.flip(image, 1)",
    ]
    if gray:
        of_cv2.append("image = image[:, :, np.newaxis]")
        of_cv2.append("image = np.expand_dims(image, 0)")
    else:
        of_cv2.append("image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)")
        of_cv2.append("image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)")
        of_cv2.append("image = image.transpose(2, 0, 1)")
        of_cv2.append("image = np.stack([image, image])")
    composed = [
        f"A.Resize({height}, {width})",
        f"A.CenterCrop({min(height, 20)}, {min(width, 20)})",
        "A.HorizontalFlip(p=1)",
    ]
    chain = ", ".join([*draw.sample(composed, draw.randint(0, 2)), *(["ToTensorV2()"] if draw.random() < 0.7 else [])])
    of_albumentations = [f"image = A.Compose([{chain}])(image=image)['image']"]
    return draw.choice([*of_cv2, *of_albumentations * 3])


@pytest.mark.parametrize("seed", range(60))
def test_shapes_are_those_of_the_libraries(seed: int, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    cv2, np = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    pytest.importorskip("albumentations")
    draw = random.Random(seed)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, np.zeros((36, 44, 3), dtype=np.uint8))
    gray = draw.random() < 0.4
    flag = draw.choice([", 0", ", cv2.IMREAD_GRAYSCALE"]) if gray else draw.choice(["", ", 1", ", cv2.IMREAD_COLOR"])
    filled = {"path": path, "flag": flag, "steps": steps(draw, gray)}
    namespace: dict[str, Any] = {}
    exec(SCRIPT.format(**filled, comment="(none)"), namespace)
    shape = tuple(namespace["x"].shape)
    assert codes(SCRIPT.format(**filled, comment=shape)) == [], filled
    assert codes(SCRIPT.format(**filled, comment=(*shape[:-1], shape[-1] + 1))) == ["CONV501"], filled


def test_channels_last_data_reaches_a_convolution() -> None:
    text = SCRIPT.format(path="x.png", flag="", steps="", comment="(none)")
    text += "import torch.nn as nn\nnn.Conv2d(3, 8, 3)(x.unsqueeze(0).float() / 255)\n"
    assert codes(text) == ["CONV403"]
    assert codes(text.replace("x.unsqueeze(0)", "x.permute(2, 0, 1).unsqueeze(0)")) == []
