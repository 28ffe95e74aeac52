"""What the linter costs.

    python benchmarks/speed.py FOLDER

The time of checking each file of FOLDER against its libcst parse: the median, and the ten slowest.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import libcst as cst

from conv_lint import source
from conv_lint.check import check


def against_parse(folder: Path) -> None:
    """Time of check() against the parse that it contains, per file."""
    rows = []
    for path in sorted(folder.rglob("*.py")):
        text = source.read(str(path))
        if text is None or not source.worth_reading(text):
            continue
        began = time.perf_counter()
        cst.parse_module(text)
        parsed = time.perf_counter()
        result = check(text, str(path))
        checked = time.perf_counter()
        rows.append(((checked - parsed) / (parsed - began), checked - parsed, result.out_of_budget, path.name))
    print(f"check / parse over {len(rows)} files: median {statistics.median(r[0] for r in rows):.1f}")
    print(f"over the time budget: {sum(r[2] for r in rows)}")
    for ratio, seconds, _, name in sorted(rows, key=lambda r: -r[1])[:10]:
        print(f"  {seconds:6.2f} s  {ratio:6.1f} x  {name}")


if __name__ == "__main__":
    against_parse(Path(sys.argv[1]))
