"""Datasets, transforms and loaders, held against torchvision where it is installed."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from conv_lint import check_source
from conv_lint.interpreter.data import DATASETS

torch = pytest.importorskip("torch")
for operator in ("nms", "qnms"):  # torchvision declares more for them as it is imported; a build may lack them
    with contextlib.suppress(RuntimeError):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
try:
    import torchvision
    from torchvision import datasets, transforms
except (ImportError, RuntimeError):  # not installed, or built for another torch
    torchvision = None

with_torchvision = pytest.mark.skipif(torchvision is None, reason="torchvision cannot be imported")

SCRIPT = """
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
data = datasets.FakeData(size=12, image_size={size}, transform=transforms.Compose([{chain}]))
loader = DataLoader(data, batch_size=4, drop_last=True)
for images, labels in loader:
    x = images  # shape: {comment}
"""


def codes(text: str) -> list[str]:
    return [f.code for f in check_source(text, "script.py")]


def chain(draw: random.Random) -> list[str]:
    """Some transforms of an image, then ToTensor, then some of a tensor."""
    side = draw.randint(4, 20)
    of_images = [
        f"transforms.Resize(({side}, {draw.randint(4, 20)}))",
        f"transforms.Resize({side})",
        f"transforms.CenterCrop({side})",
        f"transforms.CenterCrop(({side}, {draw.randint(4, 20)}))",
        f"transforms.RandomCrop({draw.randint(2, 4)}, padding=1)",
        f"transforms.RandomResizedCrop({side})",
        f"transforms.Pad({draw.randint(0, 3)})",
        f"transforms.Grayscale({draw.choice([1, 3])})",
        "transforms.Grayscale()",
        "transforms.RandomHorizontalFlip()",
        "transforms.ColorJitter(0.1)",
        "transforms.RandomRotation(10)",
        "transforms.RandomApply([transforms.RandomVerticalFlip()], p=0.5)",
    ]
    of_tensors = [
        "transforms.Normalize((0.5,), (0.5,))",
        f"transforms.Resize(({side}, {side}))",
        f"transforms.CenterCrop({side})",
        "transforms.RandomErasing()",
        "transforms.Lambda(lambda x: x.repeat(2, 1, 1))",
        "transforms.Lambda(lambda x: x.view(-1))",
    ]
    middle = draw.sample(of_images, draw.randint(0, 3))
    return [*middle, "transforms.ToTensor()", *draw.sample(of_tensors, draw.randint(0, 1))]


@with_torchvision
@pytest.mark.parametrize("seed", range(60))
def test_transforms_against_torchvision(seed: int) -> None:
    draw = random.Random(seed)
    size = (3, draw.randint(8, 24), draw.randint(8, 24))
    steps = ", ".join(chain(draw))
    namespace: dict[str, Any] = {}
    exec(SCRIPT.format(size=size, chain=steps, comment="(none)"), namespace)
    shape = tuple(namespace["x"].shape)
    assert codes(SCRIPT.format(size=size, chain=steps, comment=shape)) == [], steps
    wrong = (*shape[:-1], shape[-1] + 1)
    assert codes(SCRIPT.format(size=size, chain=steps, comment=wrong)) == ["CONV501"], steps


NORMALIZED = """
from torchvision import datasets, transforms
from torch.utils.data import DataLoader
change = transforms.Compose([transforms.ToTensor(), transforms.Normalize({numbers}, {numbers})])
loader = DataLoader(datasets.FakeData(image_size=({channels}, 8, 8), transform=change))
def batch():
    return next(iter(loader))
"""


@pytest.mark.parametrize(
    ("channels", "count", "fits"), [(1, 3, False), (3, 3, True), (3, 1, True), (3, 4, False), (1, 1, True)]
)
def test_normalize_needs_a_number_for_each_channel(channels: int, count: int, fits: bool) -> None:
    text = NORMALIZED.format(numbers=(0.5,) * count, channels=channels)
    assert codes(text) == ([] if fits else ["CONV203"])
    if torchvision is None or channels == 1:  # FakeData makes RGB images only
        return
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    if fits:
        namespace["batch"]()
    else:
        with pytest.raises(RuntimeError):
            namespace["batch"]()


TRAINING = """
import torch, torch.nn as nn
import torchvision
import torchvision.transforms as T
from tqdm import tqdm
data = torchvision.datasets.{name}("data", {train}, transform=T.ToTensor(), download=True)
loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
net = nn.Sequential(nn.Conv2d({channels}, 4, 1), nn.Flatten(), nn.Linear(4 * {side} * {side}, 10))
for epoch in range(10):
    for i, (images, labels) in enumerate(tqdm(loader)):
        loss = nn.CrossEntropyLoss()(net(images), labels)
"""


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "USPS"])
def test_a_known_dataset_reaches_the_model(name: str) -> None:
    (channels, side, _), _ = DATASETS[name]
    assert side is not None
    assert codes(TRAINING.format(name=name, train="train=True", channels=channels, side=side)) == []
    assert codes(TRAINING.format(name=name, train="train=True", channels=4 - channels, side=side)) == ["CONV201"]
    assert codes(TRAINING.format(name=name, train="train=True", channels=channels, side=side + 1)) == ["CONV202"]


@with_torchvision
def test_the_datasets_exist() -> None:
    assert [name for name in DATASETS if not hasattr(datasets, name)] == []
    assert transforms.Compose


@pytest.mark.parametrize(
    ("call", "lines"),
    [
        ("from torchsummary import summary\nsummary(net, (3, 32, 32))", []),
        ("from torchsummary import summary\nsummary(net, (1, 32, 32))", ["CONV201"]),
        ("from torchinfo import summary\nsummary(net, input_size=(2, 3, 32, 32))", []),
        ("from torchinfo import summary\nsummary(net, (2, 1, 32, 32))", ["CONV201"]),
        ("from thop import profile\nmacs, params = profile(net, inputs=(torch.randn(1, 1, 32, 32),))", ["CONV201"]),
        ("from fvcore.nn import FlopCountAnalysis\nFlopCountAnalysis(net, torch.randn(1, 1, 9, 9))", ["CONV201"]),
        ("from tensorboardX import SummaryWriter\nw = SummaryWriter()\nw.add_graph(net, torch.ones(1, 1, 9, 9))",
         ["CONV201"]),
        ("torch.onnx.export(net, torch.randn(1, 1, 32, 32), 'net.onnx')", ["CONV201"]),
        ("torch.jit.trace(net, torch.randn(1, 1, 32, 32))", ["CONV201"]),
    ],
)  # fmt: skip
def test_who_runs_a_model_on_an_input(call: str, lines: list[str]) -> None:
    assert codes(f"import torch\nimport torch.nn as nn\nnet = nn.Conv2d(3, 8, 3)\n{call}\n") == lines


ALBUMENTATIONS = """
import albumentations as A
import numpy as np
from PIL import Image
from albumentations.pytorch import ToTensorV2
from torch import nn
change = A.Compose([{changes}])
image = change(image=np.array(Image.open("a.jpg").convert("RGB")))["image"]
nn.Conv2d(3, 8, 3)(({batch}).float())
"""


@pytest.mark.parametrize(
    ("changes", "batch", "expected"),
    [
        ("A.LongestMaxSize(64), A.PadIfNeeded(64, 64)", "torch.from_numpy(image)[None]", ["CONV403"]),
        ("A.LongestMaxSize(64), A.PadIfNeeded(min_height=64, min_width=64), ToTensorV2()", "image[None]", []),
        ("A.RandomRotate90(), A.Normalize(), ToTensorV2()", "image[None]", []),
    ],
)
def test_transforms_that_change_the_size(changes: str, batch: str, expected: list[str]) -> None:
    assert codes("import torch\n" + ALBUMENTATIONS.format(changes=changes, batch=batch)) == expected


#: Functions of torchvision.transforms.functional on a tensor, whatever stands before its last three sizes.
FUNCTIONS = [
    "TF.normalize(x, [0.5] * 3, [0.5] * 3)",
    "TF.hflip(x)",
    "TF.adjust_brightness(x, 0.5)",
    "TF.gaussian_blur(x, 3)",
    "TF.rotate(x, 10)",
    "TF.resize(x, [5, 6])",
    "TF.resize(x, (5, 6), antialias=True)",
    "TF.resize(x, 5)",
    "TF.center_crop(x, 4)",
    "TF.center_crop(x, [4, 3])",
    "TF.crop(x, 1, 2, 5, 4)",
    "TF.resized_crop(x, 1, 2, 5, 4, [7, 8])",
    "TF.pad(x, 2)",
    "TF.rgb_to_grayscale(x)",
    "TF.rgb_to_grayscale(x, num_output_channels=3)",
    "TF.hflip(img=x)",
    "T.Resize((5, 6))(x)",
    "T.CenterCrop(4)(x)",
    "T.Grayscale()(x)",
]


@with_torchvision
@pytest.mark.parametrize("call", FUNCTIONS)
@pytest.mark.parametrize("sizes", [(3, 9, 10), (2, 3, 9, 10)])
def test_functions_of_tensors_against_torchvision(call: str, sizes: tuple[int, ...]) -> None:
    import torchvision.transforms.functional as functional

    x = torch.rand(sizes)
    real = tuple(eval(call, {"TF": functional, "T": transforms, "x": x}).shape)
    script = f"""
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as TF
x = torch.rand{sizes}
"""
    assert not codes(f"{script}y = {call}  # shape: {real}\n")
    assert "CONV501" in codes(f"{script}y = {call}  # shape: {(*real[:-1], real[-1] + 1)}\n")


def test_functions_of_an_input() -> None:
    net = """
import torchvision.transforms.functional as TF
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3)
        self.two = nn.Conv2d({takes}, 8, 3)

    def forward(self, x):
        return self.two(self.one(TF.resize(TF.normalize(x, [0.5], [0.5]), [64, 64])))
"""
    assert codes(net.format(takes=8)) == []
    assert codes(net.format(takes=4)) == ["CONV201"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("yacs.config.CfgNode(new_allowed=True)", []),
        ("yacs.config.CfgNode(init_dict={'widths': 8})", []),
        ("yacs.config.CfgNode({'width': 8})", ["CONV602"]),
        ("box.Box(width=8, box_dots=True)", ["CONV602"]),
        ("box.Box(widths=8, box_dots=True)", []),
    ],
)
def test_options_of_dicts_are_no_items(made: str, expected: list[str]) -> None:
    script = f"import yacs.config, box\nfrom torch import nn\n\ncfg = {made}\nnn.Conv2d(3, cfg['widths'], 3)\n"
    assert codes(script) == expected
