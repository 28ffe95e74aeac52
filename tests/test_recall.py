"""Repeated blocks are not run again, and nobody can tell from what is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conv_lint.check import check
from conv_lint.finding import Finding
from conv_lint.interpreter import recall
from tests.test_bad_input import run
from tests.test_fixtures import HERE, files

HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
BLOCK = """
class Block(nn.Module):
    def __init__(self, width, rate=0.0, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, stride, 1)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.rate = rate

    def forward(self, x):
        out = self.conv2(F.relu(self.norm(self.conv1(x))))
        if self.rate > 0.0 and self.training:
            keep = 1.0 - self.rate
            out = out * torch.empty(x.shape[0], 1, 1, 1).bernoulli_(keep).div_(keep)
        return x + out
"""
NET = """
class Net(nn.Module):
    def __init__(self, depth={depth}):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.blocks = nn.Sequential(*[Block(16, 0.1 * i / depth) for i in range(depth)])
        self.head = nn.Conv2d({head}, 10, 1)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))
"""


def told(finding: Finding) -> tuple[Any, ...]:
    """All that a reader is shown of a finding."""
    places = [(place.file.path, place.position) for place in (finding.place, *finding.calls)]
    return finding.code, finding.message, places, [str(step) for step in finding.trail]


def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def anew(*arguments: Any) -> Any:
        return arguments[-1]()

    monkeypatch.setattr(recall, "_remembered", anew)


def findings(text: str, path: str = "net.py") -> list[tuple[Any, ...]]:
    return [told(finding) for finding in check(text, path).findings]


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Any, ...]]]:
    """The findings in a text, which must be the same with and without memory."""

    def found(text: str) -> list[tuple[Any, ...]]:
        text = HEAD + text
        recalled = findings(text)
        with monkeypatch.context() as context:
            without_memory(context)
            assert recalled == findings(text)
        return recalled

    return found


CLASSICS = sorted((HERE.parent / "benchmarks" / "classics").glob("*.py"))


@pytest.mark.parametrize("path", [*files("clean", "faulty", "lessons"), *CLASSICS], ids=lambda p: p.stem)
def test_fixtures(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text(encoding="utf-8")
    recalled = findings(text, str(path))
    without_memory(monkeypatch)
    assert recalled == findings(text, str(path))


def test_equal_blocks_cost_one() -> None:
    few, many = (run(HEAD + BLOCK + NET.format(depth=depth, head=16)).steps for depth in (4, 40))
    assert many - few < 36 * 30, "each further block costs its own line in the list, not its layers"


def test_an_equal_net_costs_nothing() -> None:
    """The blocks of one net are known in the next one, whose sizes have other names."""
    factory = "\ndef net{number}():\n    return Net({depth})\n"
    one = HEAD + BLOCK + NET.format(depth=4, head=16) + factory.format(number=1, depth=8)
    both = one + factory.format(number=2, depth=9)
    assert run(both).steps - run(one).steps < 600


def test_findings_name_the_layers_of_their_own_call(alike: Any) -> None:
    (found,) = alike(BLOCK.replace("x + out", "out") + NET.format(depth=6, head=32))
    assert found[0] == "CONV201"
    assert "given 16 (blocks[5].conv2, line 10)" in found[1]


def test_a_number_is_followed_to_the_caller_who_wrote_it(alike: Any) -> None:
    text = """
class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = Block(width=16)
        self.two = Block(width=16)

    def forward(self, x):
        return self.two(torch.cat([self.one(x), x], 1))

Pair()(torch.rand(1, 16, 9, 9))
"""
    lines = (HEAD + BLOCK + text).splitlines()
    channels = next(found for found in alike(BLOCK + text) if found[0] == "CONV201")
    assert "self.two = Block" in lines[channels[2][0][1][0] - 1]


def test_an_edited_block_is_another_one(alike: Any) -> None:
    edit = "\nnet = Net()\nnet.blocks[3].conv1 = nn.Conv2d(24, 16, 3, 1, 1)\nnet(torch.rand(1, 3, 33, 33))\n"
    assert [f[0] for f in alike(BLOCK + NET.format(depth=6, head=16) + edit)] == ["CONV201"]


def test_what_globals_say_is_part_of_it(alike: Any) -> None:
    text = """
CONFIG = {"width": 16}

class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(CONFIG["width"], 8, 1)

    def forward(self, x):
        return self.conv(x[:, : CONFIG["width"]])

def main():
    x = torch.rand(1, 32, 8, 8)
    for width in (16, 16, 24, 32):
        CONFIG["width"] = width
        head = Head()
        nn.Conv2d(8, 4, 1)(head(x))
    for width in (32, 32, 24):
        CONFIG["width"] = width
        head(x)

main()
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


def test_what_a_class_says_is_part_of_it(alike: Any) -> None:
    text = """
class Head(nn.Module):
    width = 16

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(self.width, 8, 1)

    def forward(self, x):
        return self.conv(x)

def main():
    x = torch.rand(1, 16, 8, 8)
    Head()(x)
    Head()(x)
    Head.width = 24
    Head()(x)

main()
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


def test_a_block_that_changes_itself_is_run_each_time(alike: Any) -> None:
    text = """
class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.width = 16

    def forward(self, x):
        self.width += 16
        return x.repeat(1, self.width // 16, 1, 1)

grow = Growing()
x = torch.rand(1, 8, 4, 4)
nn.Conv2d(16, 8, 1)(grow(x))
nn.Conv2d(24, 8, 1)(grow(x))
nn.Conv2d(16, 8, 1)(grow(x))
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


def test_a_rate_that_decides_a_width_is_part_of_it(alike: Any) -> None:
    text = """
class Squeeze(nn.Module):
    def __init__(self, width, ratio, rate):
        super().__init__()
        self.ratio = ratio
        self.down = nn.Conv2d(width, int(width * ratio), 1)
        self.drop = nn.Dropout(rate)

    def forward(self, x):
        return self.drop(self.down(x))

x = torch.rand(1, 64, 8, 8)
for ratio in (0.25, 0.25, 0.5):
    out = Squeeze(64, ratio, 0.1)(x)
nn.Conv2d(32, 8, 1)(out)
nn.Conv2d(16, 8, 1)(Squeeze(64, 0.25, 0.3)(x))
nn.Conv2d(int(64 * Squeeze(64, 0.75, 0.25).ratio), 8, 1)(Squeeze(64, 0.75, 0.2)(x))
nn.Conv2d(int(64 * Squeeze(64, 0.25, 0.75).ratio), 8, 1)(Squeeze(64, 0.75, 0.2)(x))
"""
    (found,) = alike(text)
    line = found[2][0][1][0]
    assert found[0] == "CONV201"
    assert "0.25, 0.75" in (HEAD + text).splitlines()[line - 1]


def test_blocks_share_what_they_were_given(alike: Any) -> None:
    text = """
class Wrap(nn.Module):
    def __init__(self, body, widths):
        super().__init__()
        self.body, self.widths = body, widths

    def forward(self, x):
        return self.body(x)

bodies = [nn.Conv2d(8, 8, 1) for _ in range(3)]
widths = [8]
wraps = [Wrap(body, widths) for body in bodies]
bodies[2].weight
wraps[2].body = nn.Conv2d(8, 16, 1)
widths.append(16)
x = torch.rand(1, 8, 4, 4)
for wrap in wraps:
    x = wrap(x)
nn.Conv2d(wraps[1].widths[-1], 4, 1)(x)
nn.Conv2d(wraps[0].widths[0], 4, 1)(x)
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


def test_a_weight_that_is_replaced_makes_another_layer(alike: Any) -> None:
    text = """
class Wrap(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return F.conv2d(x, self.conv.weight)

def main():
    x = torch.rand(1, 8, 4, 4)
    one, two = Wrap(), Wrap()
    one(x)
    two.conv.weight.data = torch.rand(8, 16, 1, 1)
    two(x)

main()
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


def test_a_class_inside_a_function_sees_its_names(alike: Any) -> None:
    text = """
class Wrap(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x)

def main():
    width = 16

    class Cut(nn.Module):
        def forward(self, x):
            return x[:, :width]

    x = torch.rand(1, 32, 4, 4)
    head = nn.Conv2d(16, 4, 1)
    one, two = Wrap(Cut()), Wrap(Cut())
    head(one(x))
    width = 24
    head(two(x))

main()
"""
    assert [f[0] for f in alike(text)] == ["CONV201"]


CLOSURES = """
def norm_of(eps, double):
    return lambda width: nn.BatchNorm2d(width * 2 if double else width, eps=eps)


class Unit(nn.Module):
    def __init__(self, width, norm, act):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = norm(width)
        self.act = act

    def forward(self, x):
        x = self.norm(self.conv(x))
        if self.act and unknown_switch:
            x = F.relu(x)
        return x


class Net(nn.Module):
    def __init__(self, act, depth={depth}):
        super().__init__()
        self.units = nn.Sequential(*[Unit(16, norm_of(1e-5, {double}), act) for _ in range(depth)])

    def forward(self, x):
        return self.units(x)


def net(act=None):
    return Net(act or lib_switch)(torch.zeros(1, 16, 8, 8))
"""


def test_closures_and_what_is_unknown_are_described() -> None:
    def cost(depth: int) -> int:
        machine = run(HEAD + CLOSURES.format(depth=depth, double=False))
        assert not machine.findings
        return int(machine.steps)

    assert cost(8) - cost(4) < 4 * 15  # a few steps for each further unit, instead of some forty


def test_a_closure_is_described_by_what_it_sees(alike: Any) -> None:
    text = CLOSURES.format(depth=3, double=True)
    (finding,) = alike(text)
    assert finding[0] == "CONV203"
    assert "normalizes 32 channels but is given 16" in finding[1]


def test_members_of_an_enum_stay_themselves(tmp_path: Path) -> None:
    package = tmp_path / "layouts"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "layout.py").write_text(
        "from enum import Enum\n\n\nclass Layout(str, Enum):\n    FIRST = 'first'\n    LAST = 'last'\n\n\n"
        "def laid(x, layout):\n    return x.permute(0, 2, 3, 1) if layout == Layout.LAST else x\n",
        encoding="utf-8",
    )
    (package / "embed.py").write_text(
        HEAD
        + "from .layout import Layout, laid\n\n\nclass Embed(nn.Module):\n    def __init__(self, layout):\n"
        + "        super().__init__()\n        self.layout = Layout(layout)\n"
        + "        self.conv = nn.Conv2d(3, 96, 4, 4)\n"
        + "        self.norm = nn.LayerNorm(96)\n\n    def forward(self, x):\n"
        + "        return self.norm(laid(self.conv(x), self.layout))\n",
        encoding="utf-8",
    )
    main = package / "main.py"
    net = (
        "\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.embed = Embed('last')\n\n    def forward(self, x):\n        return self.embed(x)\n"
    )
    nets = "".join(f"\n\ndef net{i}():\n    return Net()(torch.zeros(1, 3, {64 * i}, 64))\n" for i in (1, 2))
    main.write_text(HEAD + "from .embed import Embed\n" + net + nets, encoding="utf-8")
    assert not findings(main.read_text(encoding="utf-8"), str(main))
