"""Does the interpreter see the shapes that torch sees?

    python benchmarks/agreement.py torchvision.models.resnet18 torchvision.models.inception_v3:1,3,299,299
    python benchmarks/agreement.py --torchvision      every image model of torchvision.models

Each model is built with its factory's defaults and run in evaluation mode on one input.  torch runs it on the meta
device with forward hooks; the interpreter reads a three-line script that does the same.  Every call of a leaf layer is
compared, in order: agreed, differed, or unknown to us (with the reasons, most frequent first).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from conv_lint.check import RECURSION
from conv_lint.interpreter.entries import run_top_level
from conv_lint.interpreter.machine import Limits, Machine
from conv_lint.interpreter.modules import is_leaf, walk
from conv_lint.project import Project
from conv_lint.tree import Tree
from conv_lint.values import Tensor

SIZE = "1,3,224,224"
Call = tuple[str, Any]


def static_calls(factory: str, size: str, arguments: str = "") -> tuple[list[Call], Machine, float]:
    """The leaf layer calls as the interpreter sees them: path, and output shape (``None``: unknown)."""
    module, _, name = factory.rpartition(".")
    script = (
        f"import torch\nfrom {module} import {name}\nmodel = {name}({arguments})\nmodel.eval()\n"
        f"model(torch.zeros({size}))\n"
    )
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "script.py")
        Path(path).write_text(script)
        limits = Limits(steps=50_000_000, entry_steps=50_000_000, seconds=300)
        machine = Machine(Tree(path, script), Project(path), limits)
        seen: list[Any] = []
        machine.watch = seen.append
        namespace = run_top_level(machine)
    model = namespace.frame.locals.get("model")
    paths = {id(m): path for path, m in walk(model)} if hasattr(model, "children") else {}
    calls = [(paths.get(id(c.module), c.module.path()), shape_of(machine, c.result)) for c in seen if is_leaf(c.module)]
    return calls, machine, time.perf_counter() - began


def shape_of(machine: Machine, value: Any) -> Any:
    """A known shape as a tuple, of the first tensor if there are several; else ``None``."""
    if isinstance(value, tuple) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        return None
    shape = machine.shape(value.shape)
    if shape.rest is not None or not all(isinstance(d, int) for d in shape):
        return None
    return tuple(shape)


def real_calls(factory: str, size: str, arguments: str = "") -> list[Call]:
    """The leaf layer calls as torch makes them on the meta device."""
    import torch

    module, _, name = factory.rpartition(".")
    options = eval(f"dict({arguments})")
    build = getattr(importlib.import_module(module), name)
    try:
        with torch.device("meta"):
            model = build(**options).eval()
    except NotImplementedError:  # the constructor computes with tensors
        model = build(**options).eval().to("meta")
    with torch.device("meta"):
        calls: list[Call] = []
        for path, part in model.named_modules():
            if not list(part.children()):
                part.register_forward_hook(_hook(path, calls))
        with torch.no_grad():
            model(torch.zeros(*map(int, size.split(","))))
    return calls


def _hook(path: str, calls: list[Call]) -> Any:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        while isinstance(output, (tuple, list)):
            output = output[0]
        if type(module).__module__.startswith("torch.nn."):
            calls.append((path, tuple(output.shape)))

    return hook


def compare(factory: str, size: str, arguments: str = "") -> dict[str, Any]:
    """Agreed, differed and unknown calls of one model."""
    real = real_calls(factory, size, arguments)
    try:
        ours, machine, seconds = static_calls(factory, size, arguments)
    except Exception as error:
        return {"agreed": 0, "differed": 0, "unknown": len(real), "seconds": 0.0, "notes": [repr(error)], "first": None}
    known = collections.defaultdict(list)
    for path, shape in ours:
        known[path].append(shape)
    counts: collections.Counter[str] = collections.Counter()
    first = None
    for path, shape in real:
        given = known[path].pop(0) if known[path] else None
        verdict = "unknown" if given is None else "agreed" if given == shape else "differed"
        counts[verdict] += 1
        if verdict == "differed" and first is None:
            first = f"{path}: torch {shape}, we {given}"
    notes = [f"{n.place.line if n.place else '?'}: {n.reason}" for n in machine.notes]
    return {
        **{k: counts[k] for k in ("agreed", "differed", "unknown")},
        "seconds": seconds,
        "notes": notes,
        "first": first,
        "findings": [f"{f.code} {f.message}" for f in machine.findings if f.code != "CONV302"],
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
    sys.setrecursionlimit(RECURSION)
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
