"""Whatever comes in, an answer comes out: strange files, endless programs and huge numbers neither raise nor hang."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from conv_lint import check_source, source
from conv_lint.check import RECURSION
from conv_lint.flake8_plugin import Plugin
from conv_lint.interpreter.entries import run_all
from conv_lint.interpreter.machine import Machine
from conv_lint.project import Project
from conv_lint.tree import Tree
from tests.test_flake8 import flake8

SECONDS = 14
HEAD = "import torch\nfrom torch import nn\n"
FAULT = "nn.Conv2d(3, 8, 3, groups=2)\n"
NET = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x):
"""


def answers(text: str, path: str = "a.py") -> list[tuple[int, int, str]]:
    """Line, column and code of what is found, by both doors, within the time allowed (of the processor)."""
    found = []
    for run in (lambda: check_source(text, path), lambda: list(Plugin(None, path, [text]).run())):
        began = time.process_time()
        found.append(run())
        assert time.process_time() - began < SECONDS
    ours, given = found
    assert [(*f.position, f.code) for f in ours] == [(line, column, t[:7]) for line, column, t, _ in given]
    return [(*f.position, f.code) for f in ours]


@pytest.fixture(autouse=True)
def errors_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONV_LINT_DEBUG", "1")


READ = {
    "as it is": (HEAD + FAULT, 3),
    "no last newline": (HEAD + FAULT.rstrip(), 3),
    "byte order mark": ("\ufeff" + HEAD + FAULT, 3),
    "CRLF": ((HEAD + FAULT).replace("\n", "\r\n"), 3),
    "CR": ((HEAD + FAULT).replace("\n", "\r"), 3),
    "tabs": (HEAD + "if True:\n\t" + FAULT, 4),
    "form feed": (HEAD + "\f\nx = 1\n\f\n" + FAULT, 6),
    "separators that only str.splitlines knows": (HEAD + "s = 'a\x1c\u2028\x85'\n" + FAULT, 4),
    "line joined by a backslash": (HEAD + "x = 1 + \\\n  2\n" + FAULT, 5),
    "non-ASCII names": (HEAD + "größe = 3; " + FAULT, 3),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read_and_the_line_is_right(name: str) -> None:
    text, line = READ[name]
    assert [(at, code) for at, _, code in answers(text)] == [(line, "CONV101")]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xef\xbb\xbf" + (HEAD + FAULT).encode(), 3),
        (b"# -*- coding: latin-1 -*-\n" + (HEAD + "s = 'h\xe9'\n" + FAULT).encode("latin-1"), 5),
        ((HEAD + FAULT).replace("\n", "\r\n").encode(), 3),
        (HEAD.encode() + b"\x0c\n" + FAULT.encode(), 4),
    ],
    ids=["BOM", "Latin-1", "CRLF", "form feed"],
)
def test_bytes_on_disk(tmp_path: Path, data: bytes, line: int) -> None:
    (tmp_path / "a.py").write_bytes(data)
    text = source.decode(data)
    assert text is not None
    assert [at for at, _, _ in answers(text)] == [line]
    (printed,) = flake8(tmp_path, "--select", "CONV", "a.py")
    assert printed.startswith(f"./a.py:{line}:" if printed.startswith("./") else f"a.py:{line}:")


def test_bytes_that_are_no_text() -> None:
    assert source.decode(b"\xff\xfe\x00") is None
    assert source.decode(b"# coding: nobody\n") is None
    assert source.decode(b"# coding: utf-8\ns = '\xe9'\n") is None


NO_PYTHON = {
    "nothing": "",
    "a syntax error": HEAD + "class\n",
    "mixed tabs and spaces": HEAD + "if True:\n\tx = 1\n        y = 2\n",
    "a null byte": HEAD + "x = 1\0\n",
    "a lone surrogate": HEAD + "x = '\udcff'\n",
    "an unknown escape": HEAD + "x = '\\x'\n",
    "only open parentheses": HEAD + "x = " + "(" * 100_000,
    "1,000 parentheses": HEAD + "x = " + "(" * 1000 + "1" + ")" * 1000 + "\n",
    "100,000 parentheses": HEAD + "x = " + "(" * 100_000 + "1" + ")" * 100_000 + "\n",
    "1,000 lists": HEAD + "x = " + "[" * 1000 + "]" * 1000 + "\n",
    "return outside a function": HEAD + "return\nawait x\nyield\n",
}


@pytest.mark.parametrize("name", NO_PYTHON)
def test_what_is_no_python_is_left_to_flake8(name: str) -> None:
    assert answers(NO_PYTHON[name]) == []


DEEP = {
    "190 parentheses": "x = " + "(" * 190 + "1" + ")" * 190,
    "190 lists": "x = " + "[" * 190 + "]" * 190,
    "a sum of 900": "x = " + " + ".join(["1"] * 900),
    "a sum of 5,000": "x = " + " + ".join(["1"] * 5000),
    "a sum of 50,000": "x = " + " + ".join(["1"] * 50_000),
    "5,000 minus signs": "x = " + "-" * 5000 + "1",
    "5,000 attributes": "x = torch" + ".a" * 5000,
    "5,000 calls": "def f(): return f\nx = f" + "()" * 5000,
    "2,000 lambdas": "x = " + "lambda: " * 2000 + "1",
    "3,000 elifs": "if a: x = 1\n" + "elif b: x = 2\n" * 3000,
    "3,000 alternatives": "x = " + "1 if a else " * 3000 + "2",
    "95 nested ifs": "".join(" " * i + "if x:\n" for i in range(95)) + " " * 95 + "y = 1",
    "90 nested functions": "".join(" " * i + f"def f{i}():\n" for i in range(90)) + " " * 90 + "pass",
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting(name: str) -> None:
    assert answers(f"{HEAD}{DEEP[name]}\n") == []


def test_an_imported_file_may_be_deep_too(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("x = " + " + ".join(["1"] * 5000) + "\nc = 3\n")
    text = HEAD + "from deep import c\nnn.Conv2d(c, 8, 3)\n" + FAULT
    assert [line for line, _, _ in answers(text, str(tmp_path / "use.py"))] == [5]


def test_form_feeds_in_an_imported_file_do_not_shift_its_lines(tmp_path: Path) -> None:
    (tmp_path / "blocks.py").write_text("s = 1\n\f\ndef width():\n    return 8\n")
    text = HEAD + "from blocks import width\nnn.Conv2d(3, width(), 3)(torch.zeros(1, width(), 9, 9))\n"
    assert [(line, code) for line, _, code in answers(text, str(tmp_path / "use.py"))] == [(4, "CONV201")]


def test_a_file_of_twenty_thousand_lines() -> None:
    text = HEAD + "".join(f"def f{i}(x):\n    y = nn.Conv2d(3, {i + 1}, 3)(x)\n    return y\n\n" for i in range(5_000))
    answers(text)


# programs that never end -----------------------------------------------------------------------------------

ENDLESS = {
    "while True": NET + "        while True:\n            x = self.conv(x)\n",
    "while True: pass": NET + "        while True:\n            pass\n",
    "while True: continue": NET
    + "        i = 0\n        while True:\n            i += 1\n            x = self.conv(x)\n"
    "            if x.sum() > i:\n                continue\n",
    "10**12 rounds": NET + "        for i in range(10**12):\n            x = self.conv(x)\n        return x\n",
    "fifteen nested loops": NET
    + "".join("        " + " " * i + f"for i{i} in range(1000):\n" for i in range(15))
    + " " * 23
    + "x = self.conv(x)\n",
    "a comprehension of 10**16": HEAD + "x = [1" + "".join(f" for i{i} in range(100)" for i in range(8)) + "]\n",
    "a generator": HEAD
    + "def g():\n    while True:\n        yield 1\nfor i in g():\n    pass\nlist(g())\nx, y = g()\n",
    "itertools": HEAD
    + "import itertools as i\nlist(i.count())\nlist(i.cycle([1]))\nlist(i.product(range(99), repeat=9))\n"
    "list(i.permutations(range(50)))\n",
    "recursion": HEAD + "def f(n):\n    return f(n + 1)\nnn.Conv2d(f(1), 3, 3)\n",
    "recursion of two": HEAD + "def f(n): return g(n)\ndef g(n): return f(n)\nf(1)\n",
    "recursion twice": HEAD + "def f(n):\n    return f(n) + f(n)\nf(1)\n",
    "a lambda of itself": HEAD + "f = lambda g: g(g)\nf(f)\n",
    "a module made of itself": HEAD + "class N(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.a = N()\n        self.b = N()\n    def forward(self, x):\n        return self.b(self.forward(x))\n",
    "special methods of themselves": HEAD + "class N:\n    def __len__(self): return len(self)\n"
    "    def __iter__(self): return iter(self)\n    def __add__(self, o): return self + o\n"
    "    def __getattr__(self, n): return self.q\n    def __bool__(self): return bool(self)\n"
    "n = N()\nlen(n); list(n); n + n; n.p; bool(n)\n",
    "a metaclass": HEAD + "class M(type):\n    def __call__(c, *a): return c(*a)\nclass A(metaclass=M): pass\nA()\n",
    "__new__": HEAD + "class A:\n    def __new__(c): return A()\nA()\n",
    "a decorator": HEAD + "def d(f): return d(f)\n@d\nclass A(nn.Module): pass\n",
    "__init__ of itself": HEAD + "class A(nn.Module):\n    def __init__(self): A.__init__(self)\nA()(1)\n",
    "300 branches": NET + "".join(f"        if x.sum() > {i}: x = self.conv(x)\n" for i in range(300)),
    "300 returns": NET + "".join(f"        if x.sum() > {i}: return self.conv(x)\n" for i in range(300)),
    "a dict that grows": HEAD + "d = dict(a=1)\nfor k in d: d[k + 'x'] = 1\nwhile d: d['a'] = d\n",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_programs(name: str) -> None:
    answers(ENDLESS[name])


# huge values -----------------------------------------------------------------------------------------------

HUGE = {
    "powers": "x = 2**10**9\ny = 10**10**10\nnn.Conv2d(x, 3, 3)\npow(2, 10**9)\n2.0**10**9\n9**9**9**9\n",
    "shifts": "x = 1 << 10**12\n",
    "text": "x = 'a' * 10**12\ny = 10**12 * b'a'\n",
    "lists": "x = [0] * 10**12\ny = (1,) * 10**10\n",
    "ranges": "list(range(10**12))\nsum(range(10**10))\nset(range(10**9))\nsorted(range(10**9))\n"
    "nn.Conv2d(*range(10**9))\n",
    "arithmetic": "import math\nmath.factorial(10**8)\nmath.comb(10**8, 10**7)\nmath.exp(10**9)\n",
    "errors": "1 / 0\n1 % 0\ndivmod(1, 0)\nint('x')\nint('9' * 10000)\nround(1e400)\nint(float('nan'))\n",
    "digits": "y = 0x" + "f" * 10000 + "\nnn.Conv2d(y, 3, 3)(torch.zeros(1, 7, 9, 9))\n",
    "odd arguments": "nn.Conv2d(1e400, 3, 3)\nnn.Conv2d(1j, True, None)\nnn.Conv2d(..., 'a', b'b')\nnn.Conv2d(*1)\n"
    "nn.Conv2d()\n",
    "sizes": "x = torch.zeros(10**30, 10**30)\nx.view(-1)\nx.repeat(10**9, 10**9)\nx.split(1)\nx.unbind()\n"
    "list(torch.zeros(10**9))\na, *b = torch.zeros(10**9)\ntorch.zeros(*[1] * 10000)\n",
    "modules": "nn.ModuleList([nn.Linear(1, 1)] * 10**6)\nnn.Sequential(*[nn.Linear(1, 1) for _ in range(10**7)])\n",
    "5,000 calls of a model": "m = nn.Sequential(nn.Conv2d(3, 3, 3))\n" + "m(torch.zeros(1, 3, 9, 9))\n" * 5000,
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_values(name: str) -> None:
    answers(HEAD + HUGE[name])


GROWING = {
    "list doubled": "x = [1]\nwhile True:\n    x = x + x\n",
    "text doubled": "x = 'a'\nfor i in range(100):\n    x = x + x\n",
    "number squared": "x = 3\nfor i in range(100):\n    x = x * x\n",
    "number to the second": "x = 3\nfor i in range(100):\n    x **= 2\n",
    "padded text": "x = 'a'.ljust(10**11)\ny = 'a'.zfill(10**11)\nz = '\\t'.expandtabs(10**11)\n",
    "formatted text": "x = '%1000000000d' % 1\ny = f'{1:10000000000}'\nz = '{:10000000000}'.format(1)\n",
    "common divisors": "nn.Conv2d(10**12, 10**12, 3, groups=7)\n",
    "symbolic sizes": "def f(x):\n    h, w = x.shape\n    for i in range(200):\n"
    "        h, w = (h + w) * (h + 1), (h + 2 * w) * (w + 3)\n    return x.view(h, w)\n",
    "sizes repeated": "def f(x: 'B C'):\n    for i in range(200):\n        x = x.repeat(1, x.shape[1])\n",
    "cat doubled": "def f(x):\n    for i in range(200):\n        x = torch.cat([x, x], 1)\n"
    "    return nn.Conv2d(3, 3, 3)(x)\n",
    "conditions joined": "ok = input() == '1'\nfor i in range(1900):\n    ok = ok and input() == '2'\n"
    "net = nn.Conv2d(3, 8, 3) if ok else nn.Conv2d(3, 4, 3)\n",
    "conditions doubled": "a, b = input() == '1', input() == '2'\nfor i in range(300):\n"
    "    a, b = (a and b), (a or b)\n",
    "choices doubled": "ok = input()\nfor i in range(60):\n    ok = (ok and input()) or (ok and input())\n",
    "a list in itself": "rows = []\nrows.append(rows)\nfor epoch in range(5000):\n    log = [rows, {'rows': rows}]\n"
    "    for step in range(60):\n        nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 8, 8))\n",
    "pooled 500 times": "def f(x):\n    for i in range(500):\n        x = nn.functional.max_pool2d(x, 3, 2, 1)\n"
    "    return x\n",
}


@pytest.mark.parametrize("name", GROWING)
def test_values_that_grow(tmp_path: Path, name: str) -> None:
    """In a process of its own with 2 GB, since a failure could take the machine with it."""
    (tmp_path / "a.py").write_text(HEAD + FAULT + GROWING[name])
    code = (
        "import resource as r\nr.setrlimit(r.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        f"r.setrlimit(r.RLIMIT_CPU, ({SECONDS}, {SECONDS}))\n"
        "from conv_lint import check_source\n"
        "print(*(f.code for f in check_source(open('a.py').read(), 'a.py')))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    assert "CONV101" in done.stdout


# things that contain themselves ----------------------------------------------------------------------------

CYCLES = {
    "a list": "a = []\na.append(a)\na == [a]; str(a); sorted(a); sum(a, []); nn.Sequential(*a); torch.tensor(a)\n"
    "torch.zeros(a); nn.Conv2d(a, a, a)\nfor q in a: a.append(q)\n",
    "two lists": "a = []\nb = [a]\na.append(b)\na == b; a < b; str(a); max(a, b); nn.ModuleList(a); torch.tensor(a)\n",
    "a dict": "d = {}\nd['d'] = d\nd == d; str(d); d.update(d)\n",
    "a module": "class N(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.me = self\n"
    "        self.l = nn.ModuleList([self])\n    def forward(self, x):\n        return self.me(self.l[0](x))\n"
    "n = N()\nlist(n.modules()); n.eval(); str(n); n(torch.zeros(1)); sum(p.numel() for p in n.parameters())\n",
    "a Sequential": "s = nn.Sequential()\ns.append(s)\ns(torch.zeros(1))\nfor m in s.modules(): m(torch.zeros(3))\n",
    "a class of its own name": "class A(A):\n    def forward(self, x): return nn.Conv2d(3, 8, 3)(x)\n"
    "A()(torch.zeros(1))\n",
    "two classes": "class A(B): pass\nclass B(A): pass\nB()(torch.zeros(1))\n",
    "a missing base": "class A(Missing):\n    def forward(self, x): return nn.Conv2d(3, 8, 3)(x)\nA()\n",
}


@pytest.mark.parametrize("name", CYCLES)
def test_things_that_contain_themselves(name: str) -> None:
    answers(HEAD + CYCLES[name])


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import *\nfrom .b import *\n")
    (package / "a.py").write_text(HEAD + "from .b import g, B\ndef f(n): return g(n)\nclass A(B): pass\n")
    (package / "b.py").write_text(
        HEAD + "from .a import f, A\nfrom . import *\ndef g(n): return f(n)\nclass B(A): pass\n"
    )
    text = HEAD + "from pkg import f, A\nA()(torch.zeros(1))\nnn.Conv2d(f(1), 3, 3)\n" + FAULT
    assert [line for line, _, _ in answers(text, str(tmp_path / "use.py"))] == [6]
    for name in ("__init__.py", "a.py", "b.py"):
        answers((package / name).read_text(), str(package / name))


def test_a_file_that_imports_itself(tmp_path: Path) -> None:
    text = HEAD + "import use\nfrom use import *\nfrom use import a\nuse.use.a\na = use.a\n" + FAULT
    (tmp_path / "use.py").write_text(text)
    assert [line for line, _, _ in answers(text, str(tmp_path / "use.py"))] == [8]


def test_nothing_of_the_checked_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    answers(HEAD + f"open({str(mark)!r}, 'w')\n__import__('os').mkdir({str(mark)!r})\nexec('x')\neval('1 +')\n")
    assert not mark.exists()


SLOW = {
    "recursion over something unknown": """
import os

def structure(path):
    found = {}
    for name in os.listdir(path):
        full = os.path.join(path, name)
        if os.path.isdir(full):
            found[name] = structure(full)
        elif name.endswith(".py"):
            with open(full) as file:
                for line in file:
                    if line.startswith("class "):
                        found.setdefault(name, set()).add(line[6:])
                    elif line.startswith("def "):
                        found.setdefault(name, set()).add(line[4:])
    return found

print(len(structure(os.path.dirname(os.path.abspath(__file__)))))
""",
    "objects that hold unknown objects of their class": """
import yaml

class Config(dict):
    def __init__(self, values=None, path=None):
        values = {} if values is None else values
        path = [] if path is None else path
        for key, value in values.items():
            if type(value) is dict:
                values[key] = Config(value, path=path + [key])
        super(Config, self).__init__(values)

with open("config.yaml") as file:
    config = Config(yaml.safe_load(file))
""",
    "all pairs of all points": """
import itertools

points = list(itertools.product(range(14), range(14)))
offsets, indices = {}, []
for a in points:
    for b in points:
        offset = (abs(a[0] - b[0]), abs(a[1] - b[1]))
        if offset not in offsets:
            offsets[offset] = len(offsets)
        indices.append(offsets[offset])
""",
}


def run(text: str) -> Machine:
    """The machine that has run a text: what it cost, what it found."""
    machine = Machine(Tree("a.py", text), Project("a.py"))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    try:
        run_all(machine)
    finally:
        sys.setrecursionlimit(before)
    return machine


@pytest.mark.parametrize("name", SLOW)
def test_what_costs_little_in_the_end(name: str) -> None:
    """Work that nothing known ends, or that only makes numbers, is cut short long before the budget ends it."""
    machine = run(HEAD + SLOW[name] + FAULT)
    assert [f.code for f in machine.findings] == ["CONV101"]
    assert machine.steps < 100_000
