"""Every fixture compiles, does under torch what its comments say, and gives exactly the findings it expects."""

from __future__ import annotations

import functools
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from conv_lint.catalogue import RULES
from tests.fixture_reader import differences, execute, expectations, trials

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
EXAMPLES = HERE.parent / "examples"
KINDS = ("clean", "faulty", "lessons")
BAD_INPUT = sorted(p for p in (FIXTURES / "bad_input").rglob("*.py") if p.name != "__init__.py")
#: Rules about what torch does without a word, so that no run of torch can confirm them.
ACCEPTED = {"CONV301", "CONV302", "CONV407", "CONV504"}
SECONDS = 14
HANGS = 60

torch.set_num_threads(1)


def files(*kinds: str) -> list[Path]:
    """The fixtures of these folders.  In a package, a file that expects nothing and tries nothing is only a part."""
    found = (p for kind in kinds for p in sorted((FIXTURES / kind).rglob("*.py")))
    return [p for p in found if p.name != "__init__.py"]


def name(path: Path) -> str:
    return str(path.relative_to(HERE.parent))


@functools.cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


every_fixture = pytest.mark.parametrize("path", [*files(*KINDS), *sorted(EXAMPLES.glob("*.py"))], ids=name)


@every_fixture
def test_torch_confirms(path: Path) -> None:
    compile(read(path), str(path), "exec")
    namespace = vars(execute(path))
    wrong = [complaint for trial in trials(read(path)) if (complaint := trial.run(namespace))]
    assert not wrong, "\n".join(wrong)


@every_fixture
def test_checker_agrees(path: Path) -> None:
    wrong = differences(read(path), str(path), expectations(read(path)))
    assert not wrong, "\n".join(wrong)


def test_examples_readme_shows_what_is_printed() -> None:
    from conv_lint import check_source

    shown = re.findall(r"^examples/.*", read(EXAMPLES / "README.md"), re.M)
    printed = []
    for path in sorted(EXAMPLES.glob("*.py")):
        for finding in check_source(read(path), str(path)):
            line, column = finding.position
            printed.append(f"{name(path)}:{line}:{column + 1}: {finding.code} {finding.message}")
    assert shown == printed


# about the fixtures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files("clean"), ids=name)
def test_clean_ones_expect_nothing(path: Path) -> None:
    assert {e.code for e in expectations(read(path))} <= {"CONV302"}
    assert all(t.words is None for t in trials(read(path)))


@pytest.mark.parametrize("path", files("faulty"), ids=name)
def test_faulty_ones_are_refused(path: Path) -> None:
    codes = {e.code for e in expectations(read(path))}
    refused = any(t.words is not None for t in trials(read(path)))
    in_package = (path.parent / "__init__.py").exists()
    assert codes <= set(RULES)
    assert in_package or codes
    assert refused or not codes - ACCEPTED


@pytest.mark.parametrize("path", [p for p in files(*KINDS) if not (p.parent / "__init__.py").exists()], ids=name)
def test_torch_is_asked(path: Path) -> None:
    assert trials(read(path))


def test_silence_is_tested_as_much_as_alarm() -> None:
    assert len(files("clean")) >= len(files("faulty"))


def test_every_rule_is_alarmed_twice() -> None:
    seen = Counter(e.code for path in files("faulty") for e in expectations(read(path)))
    rules = [code for code in RULES if code[4] in "1234"]
    assert not [code for code in rules if seen[code] < 2]


# bad input: an answer, in time ------------------------------------------------------------------------------

CHECK = """
import sys
from conv_lint import check_source
path = sys.argv[1]
data = open(path, "rb").read()
for encoding in ("utf-8", "latin-1"):
    try:
        text = data.decode(encoding)
        break
    except UnicodeDecodeError:
        pass
for finding in check_source(text, path):
    finding.position, finding.message
"""


def check_in_time(path: Path) -> None:
    """In a process of its own, so that neither a hang nor a full stack can take the tests along.

    Processor time is what counts: the time on the clock depends on what else the machine does.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, timeout=HANGS, cwd=HERE.parent
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-2000:]
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


@pytest.mark.parametrize("path", BAD_INPUT, ids=name)
def test_bad_input_gets_an_answer(path: Path) -> None:
    check_in_time(path)


def test_a_long_file_gets_an_answer(tmp_path: Path) -> None:
    block = """
class Block{i}(nn.Module):
    def __init__(self, c={c}):
        super().__init__()
        self.conv1 = nn.Conv2d(c, 2 * c, 3, padding=1)
        self.conv2 = nn.Conv2d(2 * c, c, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(torch.relu(self.conv1(x)))
"""
    blocks = [block.format(i=i, c=1 + i % 64) for i in range(20_000 // block.count("\n"))]
    path = tmp_path / "long.py"
    path.write_text("import torch\nfrom torch import nn\n" + "".join(blocks), encoding="utf-8")
    check_in_time(path)


def test_a_long_function_gets_an_answer(tmp_path: Path) -> None:
    lines = ["import torch", "from torch import nn", "", "", "def build():", "    layers = []"]
    lines += [f"    layers.append(nn.Conv2d({8 + i % 8}, {8 + (i + 1) % 8}, 3, padding=1))" for i in range(5_000)]
    lines += ["    return nn.Sequential(*layers)", ""]
    path = tmp_path / "straight.py"
    path.write_text("\n".join(lines), encoding="utf-8")
    check_in_time(path)
