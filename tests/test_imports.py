"""What other files bring in: lazily imported packages, ``import *``, decorators that are not worth following."""

from __future__ import annotations

from pathlib import Path

import pytest

from conv_lint.check import check
from conv_lint.interpreter.machine import Limits

HEAD = "import torch\nfrom torch import nn\n"
BLOCK = (
    HEAD
    + """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, 8, 3)

    def forward(self, x):
        return self.conv(x)
"""
)
USE = HEAD + "from {module} import Block\nBlock(3)(torch.zeros(2, {channels}, 8, 8))\n"
#: A package that imports its parts when they are asked for.
LAZY = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .blocks import *
else:
    import sys
    from ._lazy import Lazy, structure_of
    sys.modules[__name__] = Lazy(__name__, structure_of(__file__))
"""
#: The same with another way to ask for it, and parts that need something that may not be there.
LAZY_TOO = """
from typing import TYPE_CHECKING
from ._lazy import Lazy
SLOW = False
if TYPE_CHECKING or SLOW:
    try:
        if not nobody_knows():
            raise ImportError()
    except ImportError:
        pass
    else:
        from .blocks import Block
else:
    import sys
    sys.modules[__name__] = Lazy(__name__, globals()["__file__"])
"""
#: Walks a folder that nobody knows, as the lazy packages do.
LAZY_HELP = """
import os
class Lazy: ...
def structure_of(path):
    found = {}
    for entry in os.scandir(path):
        for inner in os.scandir(entry):
            for line in open(inner):
                for word in line.split():
                    if word.startswith("class"):
                        found[word] = structure_of(entry)
    return found
"""
RENAMED = "from .b import (\n    Block as Inner,\n)\nBlock = Inner\n"
ADDED = '__all__ = []\nfrom .b import Block\n__all__ += ["Block"]\n'


def codes(folder: Path, text: str) -> list[str]:
    path = folder / "use.py"
    path.write_text(text)
    result = check(text, str(path))
    assert not result.out_of_budget
    return [f.code for f in result.findings]


def package(folder: Path, **files: str) -> None:
    (folder / "lib").mkdir()
    for name, text in files.items():
        (folder / "lib" / f"{name}.py").write_text(text)


@pytest.mark.parametrize(("channels", "expected"), [(3, []), (4, ["CONV201"])])
@pytest.mark.parametrize(
    "files",
    [
        {"__init__": LAZY, "_lazy": LAZY_HELP, "blocks": BLOCK},
        {"__init__": LAZY_TOO, "_lazy": LAZY_HELP, "blocks": BLOCK},
        {"__init__": "from .a import *\n", "a": "from .b import *\n", "b": BLOCK},
        {"__init__": "from .other import *\nfrom .b import *\n", "other": HEAD + "Block_ = 1\n", "b": BLOCK},
        {"__init__": "from .b import *\nfrom .a import *\n", "a": '__all__ = ["x"]\nx = Block = 1\n', "b": BLOCK},
        {"__init__": "from .a import *\n", "a": "from . import *\nfrom .b import *\n", "b": BLOCK},
        {
            "__init__": "from .a import *\n",
            "a": "from .b import (\n    Block as Inner,\n)\nBlock = Inner\n",
            "b": BLOCK,
        },
        {
            "__init__": "from .a import *\n",
            "a": '__all__ = []\nfrom .b import Block\n__all__ += ["Block"]\n',
            "b": BLOCK,
        },
    ],
    ids="lazy|lazy in parts|chain|the one that has it|not exported|circle|renamed|exported later".split("|"),
)
def test_a_name_of_a_package(tmp_path: Path, files: dict[str, str], channels: int, expected: list[str]) -> None:
    package(tmp_path, **files)
    assert codes(tmp_path, USE.format(module="lib", channels=channels)) == expected


def test_the_last_star_import_counts(tmp_path: Path) -> None:
    package(
        tmp_path, __init__="from .a import *\nfrom .b import *\n", a=BLOCK, b=BLOCK.replace("width, 8", "width + 1, 8")
    )
    assert codes(tmp_path, USE.format(module="lib", channels=4)) == []
    assert codes(tmp_path, USE.format(module="lib", channels=3)) == ["CONV201"]


def test_what_follows_a_long_decorator_is_checked(tmp_path: Path) -> None:
    text = HEAD + (
        "def document(cls):\n"
        "    for i in range(60):\n"
        "        for j in range(60):\n"
        "            for k in range(60):\n"
        "                cls.number = i + j + k\n"
        "    return cls\n"
    )
    text += BLOCK.replace("class Block", "@document\nclass Block").removeprefix(HEAD)
    assert codes(tmp_path, text + "Block(3)(torch.zeros(2, 3, 8, 8))\n") == []
    assert codes(tmp_path, text + "Block(3)(torch.zeros(2, 4, 8, 8))\n") == ["CONV201"]


@pytest.mark.parametrize("cache", ["functools.lru_cache", "functools.lru_cache(maxsize=None)", "functools.cache"])
def test_a_cached_function_runs_once_for_the_same_arguments(tmp_path: Path, cache: str) -> None:
    text = HEAD + (
        "import functools\n"
        "runs = []\n"
        f"@{cache}\n"
        "def width(n, times=2):\n"
        "    runs.append(n)\n"
        "    return n * times\n"
        "width(3), width(3), width(3, times=3), width(4)\n"
        "nn.Conv2d(len(runs), 8, 3)(torch.zeros(1, {channels}, 8, 8))\n"
        "nn.Conv2d(width(3) + width(3, times=3), 8, 3)(torch.zeros(1, 15, 8, 8))\n"
    )
    assert codes(tmp_path, text.format(channels=3)) == []
    assert codes(tmp_path, text.format(channels=4)) == ["CONV201"]


#: Builders whose keyword arguments were positional once, as torchvision's: the decorators ask for the signature.
LEGACY = (
    HEAD
    + """
import functools, inspect

def positional(function):
    parameters = inspect.signature(function).parameters
    start = next(i for i, p in enumerate(parameters.values()) if p.kind == p.KEYWORD_ONLY)
    names = tuple(inspect.signature(function).parameters)[start:]

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        args, rest = args[:start], args[start:]
        if rest:
            kwargs.update(dict(zip(names, rest)))
        return function(*args, **kwargs)

    return wrapper

def renamed(**options):
    def outer(builder):
        @positional
        @functools.wraps(builder)
        def inner(*args, **kwargs):
            for name, default in options.items():
                if kwargs.get(name) is True:
                    kwargs[name] = default
            return builder(*args, **kwargs)

        return inner

    return outer

@renamed(weights="best")
def build(*, weights=None, progress=True, **kwargs):
    return Net(**kwargs)

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))
"""
)


@pytest.mark.parametrize("given", ["", "True", "False", "True, False", "weights=True", "None, width=8"])
@pytest.mark.parametrize(("features", "expected"), [(8, []), (9, ["CONV202"])])
def test_a_builder_behind_decorators_that_ask_for_its_signature(
    tmp_path: Path, given: str, features: int, expected: list[str]
) -> None:
    (tmp_path / "legacy.py").write_text(LEGACY)
    use = f"net = legacy.build({given})\nnet.fc = nn.Linear({features}, 2)\nnet(torch.randn(2, 3, 9, 9))\n"
    assert codes(tmp_path, HEAD + "import legacy\n" + use) == expected


# packages ----------------------------------------------------------------------------------------------------

FACTORIES = """
from torch import nn
class Factory:
    def __init__(self):
        self.known = {}
    def register(self, name):
        def add(function):
            self.known[name] = function
            return function
        return add
    def get(self, name, *args):
        return self.known[name](*args)
Conv = Factory()
@Conv.register("conv")
def convolution(n):
    return (nn.Conv1d, nn.Conv2d)[n - 1]
"""
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = {made}
        self.b = nn.Conv2d(9, 3, 3)

    def forward(self, x):
        return self.b(self.a(x))
"""


@pytest.mark.parametrize(
    ("files", "linted"),
    [
        (
            {
                "factories.py": FACTORIES,
                "net.py": HEAD + "from factories import Conv\n" + NET.format(made='Conv.get("conv", 2)(3, 8, 3)'),
            },
            "net.py",
        ),
        (
            {
                "pk/__init__.py": "",
                "pk/models/__init__.py": "",
                "pk/util.py": HEAD + "def conv(a, b):\n    return nn.Conv2d(a, b, 3)\n",
                "pk/models/net/net.py": HEAD + "from ...util import conv\n" + NET.format(made="conv(3, 8)"),
            },
            "pk/models/net/net.py",
        ),
        (
            {
                "pk/__init__.py": "from .blocks import *\nfrom .net import *\n",
                "pk/blocks.py": HEAD + "class Blur(nn.Module):\n    def forward(self, x):\n        return x\n",
                "pk/net.py": "from collections import OrderedDict\n"
                + HEAD
                + "from pk import *\n"
                + NET.format(made='nn.Sequential(OrderedDict([("a", nn.Conv2d(3, 8, 3)), ("b", Blur())]))'),
            },
            "pk/net.py",
        ),
    ],
    ids=["decorated by a method", "folder without __init__", "a package that imports itself"],
)
def test_packages(tmp_path: Path, files: dict[str, str], linted: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = check(files[linted], str(tmp_path / linted)).findings
    assert [f.message.partition(" (")[0] for f in found] == ["b takes 9 input channels but is given 8"]


def test_a_name_is_looked_up_behind_the_budget(tmp_path: Path) -> None:
    """Whether a function makes layers is asked when all work is used up; what it would have to import is not run."""
    (tmp_path / "layers.py").write_text("from torch.nn import Conv2d as Conv\n" * 9, encoding="utf-8")
    text = "from layers import Conv\n\n\ndef make(n):\n    return Conv(3, n, 3)\n"
    for steps in range(1, 30):
        assert check(text, str(tmp_path / "net.py"), Limits(steps=steps)).findings == []


#: Checks of another file, in what it does with an input.
CHECKING = (
    HEAD
    + """
class Encoder(nn.Module):
    def __init__(self, size=224, stride=32):
        super().__init__()
        self.size, self.stride = size, stride
        self.conv = nn.Conv2d(3, 8, stride, stride)

    def fits(self, x):
        h, w = x.shape[-2:]
        if h % self.stride != 0 or w % self.stride != 0:
            raise RuntimeError(f"Expected a height and a width that {self.stride} divides")

    def forward(self, x):
        n, c, h, w = x.shape
        torch._assert(h == self.size, f"Wrong height! Expected {self.size} but got {h}!")
        return self.conv(x)


class Free(Encoder):
    def forward(self, x):
        self.fits(x)
        return self.conv(x)
"""
)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("Encoder()(torch.zeros(1, 3, 256, 256))", "'Wrong height! Expected 224 but got 256!' (h=256, self.size=224)"),
        ("Free()(torch.zeros(1, 3, 250, 256))", "RuntimeError, 'Expected a height and a width that 32 divides' (h=250"),
        ("Encoder()(torch.zeros(1, 3, 224, 256))", ""),
        ("Free()(torch.zeros(1, 3, 256, 320))", ""),
        ("Free(stride=25)(torch.zeros(1, 3, 250, 250))", ""),
        ("try:\n    Free()(torch.zeros(1, 3, 250, 250))\nexcept RuntimeError:\n    pass", ""),
        ("def test_wrong_height_fails():\n    Free()(torch.zeros(1, 3, 250, 250))", ""),
    ],
)
def test_a_check_of_another_file_refuses_what_this_one_gives(tmp_path: Path, use: str, message: str) -> None:
    (tmp_path / "checking.py").write_text(CHECKING, encoding="utf-8")
    path = tmp_path / "main.py"
    source = f"{HEAD}from checking import Encoder, Free\n\n{use}\n"
    found = [f.message for f in check(source, str(path)).findings]
    assert len(found) == bool(message)
    assert message in "".join(found)
