"""Does the derived input contract agree with torch?

    python benchmarks/demands.py

For each model the sizes of a square input from 1 to 300 that ``conv-lint shapes`` says are accepted, and those that
torch accepts (evaluation mode, meta device).  Needs torch and torchvision.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import sys
import time
from pathlib import Path

import torch

from conv_lint import source
from conv_lint.interpreter.demands import LARGEST
from conv_lint.interpreter.machine import Limits
from conv_lint.shapes import contracts

MODELS = """
    alexnet.alexnet vgg.vgg11 vgg.vgg16_bn resnet.resnet18 resnet.resnext50_32x4d densenet.densenet121
    googlenet.googlenet inception.inception_v3 squeezenet.squeezenet1_0 squeezenet.squeezenet1_1
    mobilenetv2.mobilenet_v2 mobilenetv3.mobilenet_v3_small mnasnet.mnasnet0_5 shufflenetv2.shufflenet_v2_x0_5
    efficientnet.efficientnet_b0 regnet.regnet_y_400mf convnext.convnext_tiny swin_transformer.swin_t
    segmentation.fcn.fcn_resnet50 segmentation.deeplabv3.deeplabv3_resnet50
""".split()
EXAMPLES = ["first_model.py:Classifier", "alexnet.py:AlexNet", "unet_skip.py:UNet", "small_images.py:Photos"]


def torch_accepts(model: torch.nn.Module, channels: int) -> tuple[int, ...]:
    """The sizes of a square input that a forward takes."""
    model = model.to("meta").eval()
    taken = []
    for size in range(1, LARGEST + 1):
        with contextlib.suppress(RuntimeError, ValueError, AssertionError, IndexError), torch.no_grad():
            model(torch.empty(2, channels, size, size, device="meta"))
            taken.append(size)
    return tuple(taken)


def compare(path: Path, module: str, name: str) -> bool:
    """Print one row: what each side says, and how long ours took."""
    started = time.perf_counter()
    text = source.read(str(path))
    assert text is not None
    found = [c for c in contracts(text, str(path), Limits(seconds=120)) if c.name == name]
    seconds = time.perf_counter() - started
    ours = found[0].accepted if found else ()
    words = str(found[0]).partition(" takes ")[2] if found else "not found"
    channels = int(found[0].shape.strip("()").split(", ")[1]) if found and found[0].shape else 3
    factory = getattr(importlib.import_module(module), name)
    plain = {"weights": None} if module.startswith("torchvision") else {}
    plain |= {"weights_backbone": None} if ".segmentation." in module else {}
    theirs = torch_accepts(factory(**plain), channels)
    same = ours == theirs
    print(f"{name:<24} {'agrees' if same else 'DIFFERS':<8} {seconds:5.1f} s  {words}", flush=True)
    if not same:
        print(
            f"    only ours: {sorted(set(ours) - set(theirs))[:12]}  only torch: {sorted(set(theirs) - set(ours))[:12]}"
        )
    return same


def main() -> int:
    """Compare the models that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[*EXAMPLES, *MODELS], metavar="MODEL")
    for operator in ("nms", "qnms"):  # a build without them cannot be imported otherwise
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    examples = Path(__file__).parent.parent / "examples"
    sys.path.insert(0, str(examples))
    spec = importlib.util.find_spec("torchvision")
    agreed = []
    for model in parser.parse_args().models:
        if ":" in model:
            file, _, name = model.partition(":")
            agreed.append(compare(examples / file, Path(file).stem, name))
        elif spec is not None and spec.submodule_search_locations:
            module, _, name = f"torchvision.models.{model}".rpartition(".")
            root = Path(spec.submodule_search_locations[0]).parent
            agreed.append(compare(root / (module.replace(".", "/") + ".py"), module, name))
    print(f"{sum(agreed)} of {len(agreed)} models agree with torch on all sizes from 1 to {LARGEST}")
    return int(not all(agreed))


if __name__ == "__main__":
    sys.exit(main())
