"""Does the interpreter see the shapes that torch sees?

    python benchmarks/agreement.py torchvision.models.resnet18 torchvision.models.inception_v3:1,3,299,299
    python benchmarks/agreement.py --torchvision      every image model of torchvision.models

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
import sys
import tempfile
import warnings
from typing import Any

from conv_lint.verify import AGREE, DIFFER, UNKNOWN, Target, interpret, parse_input, script, side_by_side

SIZE = "1,3,224,224"


def real_run(target: Target, size: str, arguments: dict[str, Any]) -> Any:
    """What torch does, with weights on the meta device where the constructor allows that."""
    import torch

    from conv_lint.runtime.verify import forward

    build = getattr(importlib.import_module(target.module), target.name)
    try:
        with torch.device("meta"):
            model = build(**arguments)
    except NotImplementedError:  # the constructor computes with tensors
        model = build(**arguments).to("meta")
    return forward(model.eval(), parse_input(size).sizes)


def compare(factory: str, size: str, arguments: str = "") -> dict[str, Any]:
    """Agreed, differed and unknown calls of one model."""
    module, _, name = factory.rpartition(".")
    target = Target(factory, module, name, (tempfile.gettempdir(),))
    made_with = {k.arg: ast.literal_eval(k.value) for k in ast.parse(f"f({arguments})").body[0].value.keywords}
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


def main() -> int:
    """Compare the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("factories", nargs="*", help="package.module.factory[:B,C,H,W[:keyword=value]]")
    parser.add_argument("--torchvision", action="store_true")
    parser.add_argument("--reasons", type=int, default=3, help="print so many reasons per model")
    options = parser.parse_args()
    with contextlib.suppress(ImportError):
        on_cpu_torch()
    warnings.simplefilter("ignore")
    total: collections.Counter[str] = collections.Counter()
    for item in [*options.factories, *(torchvision_models() if options.torchvision else [])]:
        factory, _, rest = item.partition(":")
        size, _, arguments = rest.partition(":")
        row = compare(factory, size or SIZE, arguments)
        total.update({k: row[k] for k in ("agreed", "differed", "unknown")})
        print(
            f"{factory:60} agreed {row['agreed']:4} differed {row['differed']:3} unknown {row['unknown']:4}"
            f"  {row['seconds']:.2f} s"
        )
        if row["first"]:
            print("    differs:", row["first"])
        for text in row.get("findings", ())[:3]:
            print("    finding:", text)
        if row["unknown"]:
            for reason, count in collections.Counter(row["notes"]).most_common(options.reasons):
                print(f"    {count} x {reason}")
    calls = sum(total.values()) or 1
    print(f"{dict(total)}: {total['agreed'] / calls:.1%} of {calls} calls known")
    return 1 if total["differed"] else 0


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
