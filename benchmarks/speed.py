"""What the linter costs.

    python benchmarks/speed.py [FOLDER]

FOLDER is torchvision/models unless another is named.  Printed: the time of checking each of its files against its
libcst parse (the median, and the ten slowest), and flake8 with the plugin against flake8 without it, on FOLDER and
on a package without torch (pip), run in turns: where nothing was checked before, and where nothing has changed since.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import libcst as cst

from conv_lint import cache, source
from conv_lint.check import check

ROUNDS = 3


def folder_of(package: str) -> Path | None:
    """Where a package is installed; it is not imported."""
    spec = importlib.util.find_spec(package)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def against_parse(folder: Path) -> None:
    """Time of check() against the parse that it contains, per file, in seconds of the processor."""
    rows = []
    for path in sorted(folder.rglob("*.py")):
        text = source.read(str(path))
        if text is None or not source.worth_reading(text):
            continue
        began = time.thread_time()
        cst.parse_module(text)
        parsed = time.thread_time()
        result = check(text, str(path))
        checked = time.thread_time()
        rows.append(((checked - parsed) / (parsed - began), checked - parsed, result.out_of_budget, path.name))
    if not rows:
        print(f"no file in {folder} mentions torch")
        return
    print(f"check / parse over {len(rows)} files: median {statistics.median(r[0] for r in rows):.1f}")
    print(f"over the time budget: {sum(r[2] for r in rows)}")
    for ratio, seconds, _, name in sorted(rows, key=lambda r: -r[1])[:10]:
        print(f"  {seconds:6.2f} s  {ratio:6.1f} x  {name}")


#: flake8 as if the plugin were not installed: its entry point is left out before flake8 looks for plugins.
WITHOUT = """
import sys
from flake8.plugins import finder
found = finder._find_importlib_plugins
finder._find_importlib_plugins = lambda: (p for p in found() if not p.entry_point.value.startswith("conv_lint"))
from flake8.main.cli import main
sys.exit(main(sys.argv[1:]))
"""
WITH = "import sys\nfrom flake8.main.cli import main\nsys.exit(main(sys.argv[1:]))"


def against_flake8(folder: Path) -> None:
    """Time of ``flake8 --jobs 1`` without the plugin, with it, and with it once more, in turns."""
    times: dict[str, list[float]] = {"without": [], "with": [], "again": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as kept:
            for case, seconds in times.items():
                began = time.perf_counter()
                code = WITHOUT if case == "without" else WITH
                command = [sys.executable, "-c", code, "--isolated", "--jobs", "1", "--exit-zero", str(folder)]
                environment = {**os.environ, cache.VARIABLE: kept}
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
                seconds.append(time.perf_counter() - began)
    plain, ours, again = map(statistics.median, times.values())
    print(
        f"flake8 on {folder.name}: {plain:.2f} s without, {ours:.2f} s with the plugin: {ours / plain:.2f} x; "
        f"again, with nothing changed: {again:.2f} s: {again / plain:.2f} x",
        flush=True,
    )


def main() -> int:
    """Measure the folder that the command line names, or torchvision's models."""
    torchvision = folder_of("torchvision")
    folder = Path(sys.argv[1]) if sys.argv[1:] else torchvision and torchvision / "models"
    if folder is None:
        print("torchvision is not installed: skipped")
    free = folder_of("pip")
    if free is not None:
        against_flake8(free)
    if folder is not None:
        against_parse(folder)
        against_flake8(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
