"""What the runtime half costs.

    python benchmarks/runtime.py watch           a training step of ResNet-18 with and without watch
    python benchmarks/runtime.py check           check(resnet50) beside torchinfo.summary(resnet50)
    python benchmarks/runtime.py torchvision     check() over every classification factory of torchvision

Each measurement of ``check`` and ``torchinfo`` runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.agreement import on_cpu_torch


def watch_cost(repeats: int, batch: int = 8) -> None:
    """Interleaved training steps, with and without a watcher, and with one that looks for NaN; medians."""
    import torch
    from torch import nn
    from torchvision.models import resnet18

    from conv_lint.runtime import attach

    warnings.simplefilter("ignore")
    model, images = resnet18(), torch.randn(batch, 3, 224, 224)
    labels, loss = torch.randint(0, 1000, (batch,)), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> float:
        began = time.perf_counter()
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()
        return time.perf_counter() - began

    ways = {"plain": None, "watched": {}, "watched, nan=True": {"nan": True}, "after detach": "detached"}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, options in ways.items():
            watcher = attach(model, **options) if isinstance(options, dict) else None
            if options == "detached":
                attach(model).detach()
            step()  # the first step with a watcher sees every shape for the first time
            times[name].append(step())
            if watcher is not None:
                watcher.detach()
    plain = statistics.median(times["plain"])
    for name, measured in times.items():
        median = statistics.median(measured)
        ratios = [a / b for a, b in zip(measured, times["plain"])]
        print(
            f"{name:20} {median * 1e3:8.1f} ms a step   {median / plain - 1:+.1%}   "
            f"median of paired ratios {statistics.median(ratios) - 1:+.1%}"
        )
    hooks_alone(model)


def hooks_alone(model: object) -> None:
    """The hooks themselves, without the noise of the arithmetic: a forward on the meta device."""
    import torch

    from conv_lint.runtime import attach

    meta = model.to("meta")  # type: ignore[attr-defined]
    images = torch.empty(8, 3, 224, 224, device="meta")
    medians = []
    for watched in (False, True):
        watcher = attach(meta) if watched else None
        meta(images)
        measured = []
        for _ in range(50):
            began = time.perf_counter()
            meta(images)
            measured.append(time.perf_counter() - began)
        medians.append(statistics.median(measured))
        if watcher is not None:
            watcher.detach()
    print(f"hooks alone          {(medians[1] - medians[0]) * 1e3:8.2f} ms a forward (on the meta device)")


CHECK = """
from conv_lint.runtime import check
text = check(model, ({batch}, 3, 224, 224)).summary
"""
TORCHINFO = """
from torchinfo import summary
found = summary(model, ({batch}, 3, 224, 224), verbose=0, device=next(model.parameters()).device)
text = f"{found.total_params:,} parameters, {found.total_mult_adds:,} multiply-adds"
"""
MEASURE = """
import resource, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {root!r})
from benchmarks.agreement import on_cpu_torch
on_cpu_torch()
import torch
from torchvision.models import resnet50
torch.set_num_threads(2)
{build}
def memory(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, times = memory(), []
for _ in range(5):
    began = time.perf_counter()
{call}
    times.append(time.perf_counter() - began)
print(text)
print(f"   first {{times[0]:.2f}} s, then {{sorted(times[1:])[1]:.2f}} s; peak memory +{{memory() - before:.0f}} MB")
"""


def check_cost() -> None:
    """Time and memory of check and of torchinfo: one image, a batch, and a model without weights."""
    root = str(Path(__file__).resolve().parent.parent)
    real, meta = "model = resnet50()", "with torch.device('meta'): model = resnet50()"
    for kind, build, batch in (("batch 1", real, 1), ("batch 32", real, 32), ("batch 32, meta weights", meta, 32)):
        for name, template in (("check", CHECK), ("torchinfo", TORCHINFO)):
            call = template.replace("{batch}", str(batch))
            indented = "\n".join(f"    {line}" for line in call.strip().splitlines())
            code = MEASURE.format(root=root, build=build, call=indented)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            said = done.stdout or done.stderr.strip().splitlines()[-1]
            print(f"{name}, {kind}: {said.strip()}")


def all_factories() -> None:
    """Every classification factory, in eval and train mode, against the figures that torchvision publishes."""
    on_cpu_torch()
    import torch
    from torchvision import models

    from conv_lint.runtime import check

    warnings.simplefilter("ignore")
    began, count, wrong = time.perf_counter(), 0, []
    for name in models.list_models(module=models):
        published = next(iter(models.get_model_weights(name)))
        size = 224 if name == "vit_h_14" else published.transforms.keywords["crop_size"]
        try:
            with torch.device("meta"):
                model = models.get_model(name, weights=None)
        except NotImplementedError:  # regnet looks at numbers while it is built
            model = models.get_model(name, weights=None)
        for training in (False, True):
            report = check(model.train(training), (2, 3, size, size))
            count += 1
            if report.note:
                wrong.append(f"{name}: {report.note}")
        figures = published.meta
        if name != "vit_h_14" and abs(report.multiply_adds / 2e9 / figures["_ops"] - 1) > 0.02:
            wrong.append(f"{name}: {report.multiply_adds / 2e9:.3f} GMACs, published {figures['_ops']}")
        if report.parameters != figures["num_params"]:
            wrong.append(f"{name}: {report.parameters:,} parameters, published {figures['num_params']:,}")
    print(
        f"{count} forwards in {time.perf_counter() - began:.0f} s, "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB; differing:",
        *wrong,
        sep="\n  ",
    )


def main() -> None:
    """Run the named measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("watch", "check", "torchvision"))
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    if options.what == "watch":
        on_cpu_torch()
        watch_cost(options.repeats)
    elif options.what == "check":
        check_cost()
    else:
        all_factories()


if __name__ == "__main__":
    main()
