"""Does the interpreter see the shapes that torch sees?

    python benchmarks/agreement.py torchvision.models.resnet18 torchvision.models.inception_v3:1,3,299,299
    python benchmarks/agreement.py --torchvision      every image model of torchvision.models
    python benchmarks/agreement.py --smp              segmentation-models-pytorch: each decoder on three encoders
    python benchmarks/agreement.py --efficientnet     efficientnet-pytorch: b0 to b3
    python benchmarks/agreement.py --classics         the scripts in benchmarks/classics

Each model is built with its factory's defaults and run in evaluation mode on one input.  torch runs it on the meta
device; the interpreter reads a script that does the same (``conv_lint.verify``).  Every call of a layer of torch is
compared, in order: agreed, differed, or unknown to us (with the reasons, most frequent first).
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import importlib
import importlib.util
import operator
import sys
import warnings
from pathlib import Path
from typing import Any

from conv_lint.verify import AGREE, DIFFER, UNKNOWN, Target, interpret, parse_input, script, side_by_side

SIZE = "1,3,224,224"
DECODERS = ("Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3Plus", "Linknet", "MAnet", "PAN")
ENCODERS = ("resnet34", "mobilenet_v2", "efficientnet-b0")
#: The scripts of benchmarks/classics: file.factory, input.
CLASSICS = """
    cifar_resnet.resnet20:2,3,32,32 cifar_resnet.resnet56:2,3,32,32 cifar_resnet.resnet50_cifar:2,3,32,32
    unet.UNet:1,3,160,160 unet.UNet:1,3,161,161:bilinear=True unet.ListUNet:1,3,161,161
    dcgan.Generator:2,100,1,1 dcgan.Discriminator:2,3,64,64 dcgan.MLPGenerator:2,100 dcgan.UpGenerator:2,100
    dcgan.BlockDiscriminator:2,3,32,32 vae.VAE:16,1,28,28 vae.ConvVAE:2,3,64,64
    srgan.Generator:1,3,24,24 srgan.Discriminator:1,3,96,96 srgan.GeneratorRRDB:1,3,24,24
    ssd.build_ssd:1,3,300,300 yolo.Darknet:1,3,416,416 yolo.YOLOv3:1,3,416,416
    homework.LeNet:4,1,32,32 homework.AlexNet homework.Net:2,1,50,50 homework.MiniVGG:2,3,32,32
    mobilenet.MobileNet:1,3,32,32 mobilenet.MobileNetV2 mobilenet.MobileNetV3Small
    densenet.densenet_cifar:1,3,32,32 densenet.CRNN:2,1,32,100
"""


def real_run(target: Target, size: str, arguments: dict[str, Any]) -> Any:
    """What torch does, with weights on the meta device where the constructor allows that."""
    import torch

    from conv_lint.runtime.verify import forward

    build = operator.attrgetter(target.name)(importlib.import_module(target.module))
    try:
        with torch.device("meta"):
            model = build(**arguments)
    except NotImplementedError:  # the constructor computes with tensors
        model = build(**arguments).to("meta")
    return forward(model.eval(), parse_input(size).sizes)


def compare(factory: str, size: str, arguments: str = "") -> dict[str, Any]:
    """Agreed, differed and unknown calls of one model."""
    target = target_of(factory)
    made_with = {k.arg: ast.literal_eval(k.value) for k in _keywords(arguments)}
    real = real_run(target, size, made_with)
    static = interpret(target, script(target, made_with, [parse_input(size)], training=False))
    rows = side_by_side(static, real.calls)
    counts = collections.Counter(row.mark for row in rows)
    first = next((f"{row.path}: torch {row.real}, we {row.static}" for row in rows if row.mark == DIFFER), None)
    return {
        **{kind: counts[mark] for kind, mark in (("agreed", AGREE), ("differed", DIFFER), ("unknown", UNKNOWN))},
        "seconds": static.seconds,
        "notes": [row.reason for row in rows if row.mark == UNKNOWN],
        "first": first,
        "findings": [text for code, text in static.findings if code != "CONV302"],
    }


def target_of(factory: str) -> Target:
    """The factory of a dotted name; it may be the method of a class."""
    module, _, name = factory.rpartition(".")
    while not _is_module(module):
        module, _, first = module.rpartition(".")
        name = f"{first}.{name}"
    return Target(factory, module, name, (str(Path(__file__).resolve().parent),))


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _keywords(arguments: str) -> list[ast.keyword]:
    return ast.parse(f"f({arguments})", mode="eval").body.keywords


def torchvision_models() -> list[str]:
    """Every image model factory of torchvision.models with its input, as the package lists them."""
    import torchvision.models as models

    out = []
    for name in models.list_models():
        builder = models.get_model_builder(name)
        factory = f"{builder.__module__}.{builder.__name__}"
        if "detection" in factory or "optical_flow" in factory:
            continue
        if ".video." in factory:
            size = "1,3,16,224,224" if "mvit" in name or "swin" in name or "s3d" in name else "1,3,8,112,112"
        else:
            size = "1,3,299,299" if "inception" in name else SIZE
        if ".quantization." in factory:
            continue
        offline = ":weights_backbone=None" if ".segmentation." in factory else ""
        out.append(f"{factory}:{size}{offline}")
    return out


def segmentation_models() -> list[str]:
    """Each decoder of segmentation-models-pytorch on each of three encoders, without a download of weights."""
    return [
        f'segmentation_models_pytorch.{decoder}:{SIZE}:encoder_name="{encoder}",encoder_weights=None'
        for decoder in DECODERS
        for encoder in ENCODERS
    ]


def efficientnets() -> list[str]:
    """EfficientNets of efficientnet-pytorch, which are made by a class method."""
    return [f'efficientnet_pytorch.EfficientNet.from_name:{SIZE}:model_name="efficientnet-b{n}"' for n in range(4)]


def chosen(options: argparse.Namespace) -> list[str]:
    """What the command line asks for, one model an item."""
    return [
        *options.factories,
        *(torchvision_models() if options.torchvision else []),
        *(segmentation_models() if options.smp else []),
        *(efficientnets() if options.efficientnet else []),
        *(f"classics.{item}" for item in CLASSICS.split() if options.classics),
    ]


def main() -> int:
    """Compare the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("factories", nargs="*", help="package.module.factory[:B,C,H,W[:keyword=value]]")
    parser.add_argument("--torchvision", action="store_true")
    parser.add_argument("--smp", action="store_true", help="segmentation-models-pytorch (needs timm)")
    parser.add_argument("--efficientnet", action="store_true", help="efficientnet-pytorch")
    parser.add_argument("--classics", action="store_true")
    parser.add_argument("--reasons", type=int, default=3, help="print so many reasons per model")
    options = parser.parse_args()
    with contextlib.suppress(ImportError):
        on_cpu_torch()
    warnings.simplefilter("ignore")
    total: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    for item in chosen(options):
        factory, _, rest = item.partition(":")
        size, _, arguments = rest.partition(":")
        row = compare(factory, size or SIZE, arguments)
        total.update({k: row[k] for k in ("agreed", "differed", "unknown")})
        reasons.update(row["notes"])
        print(
            f"{label(factory, arguments):60} agreed {row['agreed']:4} differed {row['differed']:3}"
            f" unknown {row['unknown']:4}  {row['seconds']:.2f} s"
        )
        if row["first"]:
            print("    differs:", row["first"])
        for text in row.get("findings", ())[:3]:
            print("    finding:", text)
        if row["unknown"]:
            for reason, count in collections.Counter(row["notes"]).most_common(options.reasons):
                print(f"    {count} x {reason}")
    for reason, count in reasons.most_common():
        print(f"unknown {count:5} x {reason}")
    calls = sum(total.values()) or 1
    print(f"{dict(total)}: {total['agreed'] / calls:.1%} of {calls} calls known")
    return 1 if total["differed"] else 0


def label(factory: str, arguments: str) -> str:
    """A model by its factory and the names among its arguments."""
    names = [k.value.value for k in _keywords(arguments) if isinstance(k.value, ast.Constant)]
    return " ".join([factory, *(name for name in names if isinstance(name, str))])


def on_cpu_torch() -> None:
    """torchvision's wheel defines operators in CUDA code; where it cannot load, declare what its import needs."""
    import torch

    try:
        torch.ops.torchvision.nms  # noqa: B018
    except (AttributeError, RuntimeError):
        library = torch.library.Library("torchvision", "DEF")
        for schema in (
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        ):
            library.define(schema)
        globals()["_library"] = library


if __name__ == "__main__":
    sys.exit(main())
