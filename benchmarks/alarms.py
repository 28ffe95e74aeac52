"""What does the linter say of real packages, most of which work?

    python benchmarks/alarms.py torchvision timm kornia

Each package is linted in place where it is installed, and from its wheel, downloaded for a while, where it is not
(``timm==1.0.9`` names a version of it); nothing of it is imported.  Printed: findings per million lines (the opt-in
CONV302 aside), crashes, files over the time budget, and what share of the layers was checked.  Exits with 1 if the
linter crashed, with 2 if a package could not be had.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conv_lint import source
from conv_lint.check import check


@dataclass
class Tally:
    """What came of one package."""

    files: int = 0
    read: int = 0
    lines: int = 0
    findings: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    checked: int = 0
    unknown: int = 0
    never: int = 0

    @property
    def layers(self) -> str:
        """What share of the calls that construct a layer of torch.nn led to a layer that was checked."""
        total = self.checked + self.unknown + self.never
        shares = [f"{n / max(total, 1):.0%}" for n in (self.checked, self.unknown, self.never)]
        return (
            f"{total} layer calls: {shares[0]} checked, {shares[1]} reached with too little known,"
            f" {shares[2]} never reached"
        )


class NotToBeHad(Exception):
    """Neither is the package installed, nor is there a wheel of it."""


@contextmanager
def sources(package: str) -> Iterator[Path]:
    """The folder (or the file) of a package: the installed one, or its wheel unpacked for a while."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is not None and spec.submodule_search_locations:
        yield Path(next(iter(spec.submodule_search_locations)))
    elif spec is not None and spec.origin:
        yield Path(spec.origin)
    else:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
            done = subprocess.run([*command, "--only-binary=:all:"], capture_output=True, text=True)
            if done.returncode:
                raise NotToBeHad(done.stderr.strip().splitlines()[-1])
            unpacked = Path(folder) / "unpacked"
            for wheel in Path(folder).glob("*.whl"):
                zipfile.ZipFile(wheel).extractall(unpacked)
            yield unpacked


def lint(root: Path) -> Tally:
    """Every file of a package, one after the other, in this process."""
    tally = Tally()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        text = source.read(str(path))
        if text is None:
            continue
        tally.files += 1
        tally.lines += text.count("\n")
        if not source.worth_reading(text):
            continue
        tally.read += 1
        name = str(path.relative_to(root.parent))
        try:
            result = check(text, str(path), measure=True)
        except Exception:
            tally.crashes.append(f"{name}\n{traceback.format_exc(limit=-4)}")
            continue
        for one in result.coverage:
            tally.checked, tally.unknown, tally.never = (
                tally.checked + one.checked,
                tally.unknown + one.unknown,
                tally.never + one.never,
            )
        if result.out_of_budget:
            tally.late.append(name)
        shown = [f for f in result.findings if f.code != "CONV302"]
        tally.findings += [f"{name}:{f.position[0]}:{f.position[1] + 1}: {f.code} {f.message}" for f in shown]
    return tally


def main() -> int:
    """Lint the packages that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    crashed = missing = False
    for package in parser.parse_args().packages:
        try:
            with sources(package) as root:
                tally = lint(root)
        except NotToBeHad as error:
            print(f"{package}: not linted: {error}", flush=True)
            missing = True
            continue
        for line in (
            *tally.findings,
            *(f"CRASH {c}" for c in tally.crashes),
            *(f"over budget: {f}" for f in tally.late),
        ):
            print(f"  {line}")
        rate = len(tally.findings) / max(tally.lines, 1) * 1e6
        print(
            f"{package}: {len(tally.findings)} findings in {tally.lines} lines ({rate:.0f} per million),"
            f" {len(tally.crashes)} crashes, {len(tally.late)} files over the time budget;"
            f" {tally.read} of {tally.files} files mention torch; {tally.layers}",
            flush=True,
        )
        crashed = crashed or bool(tally.crashes)
    return 2 if missing else int(crashed)


if __name__ == "__main__":
    sys.exit(main())
