"""``conv-lint shapes``: the input contract in words, and held against torch."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from conv_lint.cli import main
from conv_lint.interpreter.demands import LARGEST, Accepted
from conv_lint.shapes import contracts

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
MODELS = {
    "padded": """
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            return self.conv(x)
        """,
    "valid": """
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(3, 8, 7, 2), nn.MaxPool2d(3, 2), nn.Conv2d(8, 8, 5))

        def forward(self, x):
            return self.net(x)
        """,
    "features": """
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 5)
            self.fc = nn.Linear(6 * 14 * 14, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv(x)), 2)
            return self.fc(x.view(x.size(0), -1))
        """,
    "skip": """
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 2, 2)
            self.deep = nn.Conv2d(8, 8, 2, 2)
            self.up1 = nn.ConvTranspose2d(8, 8, 2, 2)
            self.up2 = nn.ConvTranspose2d(16, 3, 2, 2)

        def forward(self, x):
            a = self.down(x)
            b = self.up1(self.deep(a))
            return self.up2(torch.cat([a, b], 1)) + x
        """,
    "guarded": """
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            b, c, h, w = x.shape
            if h % 32 != 0 or w % 32 != 0:
                raise ValueError("a multiple of 32")
            assert h <= 256
            return self.conv(x)
        """,
    "patches": """
        def __init__(self):
            super().__init__()
            self.proj = nn.Conv2d(3, 8, 16, 16)
            self.pos = nn.Parameter(torch.zeros(1, 49, 8))

        def forward(self, x):
            return self.proj(x).flatten(2).transpose(1, 2) + self.pos
        """,
    "reflected": """
        def __init__(self):
            super().__init__()
            self.pad = nn.ReflectionPad2d(3)
            self.shuffle = nn.PixelUnshuffle(2)

        def forward(self, x):
            return self.shuffle(self.pad(x))
        """,
}


def source(name: str) -> str:
    return HEAD + "\n\nclass Net(nn.Module):\n" + textwrap.indent(textwrap.dedent(MODELS[name]), "    ")


@pytest.mark.parametrize("name", MODELS)
def test_accepted_sizes_are_those_that_torch_accepts(name: str) -> None:
    torch = pytest.importorskip("torch")
    (contract,) = contracts(source(name), "net.py")
    namespace: dict[str, object] = {}
    exec(source(name), namespace)
    net = namespace["Net"]().eval()  # type: ignore[operator]
    taken = []
    for size in range(1, LARGEST + 1):
        try:
            net.to("meta")(torch.zeros(2, 3, size, size, device="meta"))
        except (RuntimeError, ValueError, AssertionError):
            continue
        taken.append(size)
    assert contract.accepted == tuple(taken)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("padded", "(B, 3, H, W) with H and W at least 1; the smallest input is (1, 3, 1, 1)"),
        ("valid", "(B, 3, H, W) with H and W at least 27; the smallest input is (1, 3, 27, 27)"),
        ("features", "(B, 3, H, W) with H and W 32 to 33; the smallest input is (1, 3, 32, 32)"),
        ("skip", "(B, 3, H, W) with H and W a multiple of 4; the smallest input is (1, 3, 4, 4)"),
    ],
)
def test_the_words(name: str, words: str) -> None:
    (contract,) = contracts(source(name), "net.py")
    assert str(contract) == f"net.py:6: Net takes {words}"


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((), f"no size up to {LARGEST}"),
        ((7,), "exactly 7"),
        (tuple(range(1, LARGEST + 1)), "at least 1"),
        (tuple(range(32, LARGEST + 1, 32)), "a multiple of 32"),
        (tuple(range(64, LARGEST + 1, 32)), "a multiple of 32, at least 64"),
        (tuple(range(5, LARGEST + 1, 4)), "5 and every 4 more"),
        ((3, 4, 5, 9), "3 to 5, 9"),
    ],
)
def test_sets_in_words(sizes: tuple[int, ...], words: str) -> None:
    assert str(Accepted(sizes)) == words


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(source("valid") + "\n\nclass Bad(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                    "        self.net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(5, 4, 1))\n\n"
                    "    def forward(self, x):\n        return self.net(x)\n")  # fmt: skip
    printed = CliRunner().invoke(main, ["shapes", str(file)])
    assert printed.exit_code == 0
    assert "Net takes (B, 3, H, W) with H and W at least 27" in printed.stdout
    assert "Bad: does not work; 'conv-lint check' says why" in printed.stdout
    as_json = json.loads(CliRunner().invoke(main, ["shapes", "--format", "json", str(file)]).stdout)
    assert [(one["name"], one.get("smallest")) for one in as_json] == [("Net", "(1, 3, 27, 27)"), ("Bad", None)]
    assert CliRunner().invoke(main, ["shapes", str(tmp_path / "none.py")]).exit_code == 2
    (tmp_path / "broken.py").write_text("import torch\ndef (:\n")
    assert CliRunner().invoke(main, ["shapes", str(tmp_path / "broken.py")]).stdout == ""
