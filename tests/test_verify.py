"""``conv-lint verify`` and ``conv-lint selfcheck``: torch beside the linter, exit status, and clear words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from conv_lint import ops
from conv_lint.cli import main
from conv_lint.config import ConfigError
from conv_lint.dims import symbol
from conv_lint.verify import (
    Input,
    RealCall,
    Seen,
    StaticCall,
    StaticRun,
    Unseen,
    compare,
    parse_argument,
    parse_input,
    parse_target,
    side_by_side,
)

#: Before click 8.2 the two streams were only kept apart if one asked for it.
RUNNER = CliRunner(**({"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}))

NET = '''
import sys
import torch
from torch import nn

print("printed by", __name__, sys.argv[1:])


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Net(nn.Module):
    def __init__(self, num_classes=10, channels=16, *, act=True):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), Swish(), nn.MaxPool2d(2))
        self.conv = nn.Conv2d(channels, 32, 3)
        self.lstm = nn.LSTM(32, 8, batch_first=True)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x, mask=None):
        x = self.conv(self.features(x))
        x, _ = self.lstm(x.flatten(2).transpose(1, 2))
        return {"out": self.fc(x.mean(1)), "twice": (self.fc(x), x)}


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, tokens, *, weight):
        return self.norm(self.embed(tokens)) * weight


def make(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())


ready = make(4)
number = 3


class Groups(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, groups=3)


class Hidden(nn.Module):
    """torch is made to do something that no one can read in the code."""

    def __init__(self, channels=8):
        super().__init__()
        self.fc = nn.Linear(channels, 4)
        self.fc.__dict__["forward"] = lambda x: x
        self.last = nn.Linear(8, 2)
        self.unknown = getattr(nn, sys.argv[0][:0] + "Linear")(2, 3)

    def forward(self, x):
        return self.unknown(self.last(self.fc(x)))


def fails(when):
    if when == "exit":
        sys.exit("no model today")
    if when == "made":
        raise KeyError(when)
    return Fails() if when == "forward" else 3


class Fails(nn.Module):
    def forward(self, x):
        return {}[x.dim()]
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*arguments: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(main, ["verify", *arguments], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def rows(text: str) -> dict[str, list[str]]:
    """The cells of the table, by the path of the layer (of its last call)."""
    lines = text.split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    return {line[0]: line[1:] for line in cells}


# a model that works -----------------------------------------------------------------------------------------


def test_side_by_side(folder: Path) -> None:
    status, out, err = verify("net.py:Net", "--input", "2,3,32,32", "--arg", "num_classes=5")
    assert err.splitlines() == [
        "conv-lint: verify executes code: it imports and runs net.py",
        "printed by net []",
    ]
    shape = "[(2, 169, 8), [(1, 2, 8), (1, 2, 8)]]"
    dictionary = "{out: (2, 5), twice: [(2, 169, 5), (2, 169, 8)]}"
    assert rows(out) == {
        "features.0": ["Conv2d", "(2, 16, 30, 30)", "(2, 16, 30, 30)", "agree"],
        "features.1": ["BatchNorm2d", "(2, 16, 30, 30)", "(2, 16, 30, 30)", "agree"],
        "features.3": ["MaxPool2d", "(2, 16, 15, 15)", "(2, 16, 15, 15)", "agree"],
        "conv": ["Conv2d", "(2, 32, 13, 13)", "(2, 32, 13, 13)", "agree"],
        "lstm": ["LSTM", shape, shape, "agree"],
        "fc": ["Linear", "(2, 169, 5)", "(2, 169, 5)", "agree"],
        "(output)": ["Net", dictionary, dictionary, "agree"],
    }
    assert "8 agree, 0 differ, 0 unknown (conv-lint 0.1.0, torch 2." in out
    assert "report" not in out
    assert status == 0


def test_json(folder: Path) -> None:
    status, out, _ = verify("net.py:ready", "--input", "1,3,8,8", "--format", "json")
    document = json.loads(out)
    assert document["rows"][0] == {
        "path": "0", "type": "Conv2d", "static": [1, 4, 6, 6], "real": [1, 4, 6, 6], "mark": "agree", "reason": None,
    }  # fmt: skip
    assert document["rows"][-1]["path"] == "(output)"
    assert document["counts"] == {"agree": 3, "differ": 0, "unknown": 0}
    assert document["command"] == "conv-lint verify net.py:ready --input 1,3,8,8"
    assert (document["error"], document["defect"], document["device"], status) == (None, False, "meta", 0)


def test_dtypes_and_names(folder: Path) -> None:
    status, out, _ = verify("net.py:Tokens", "--input", "1,12:long", "--input", "weight=1,1,8")
    assert rows(out)["(output)"] == ["Tokens", "(1, 12, 8)", "(1, 12, 8)", "agree"]
    assert status == 0


def test_a_factory_in_a_package(folder: Path) -> None:
    package = folder / "zoo" / "nets"
    package.mkdir(parents=True)
    (folder / "zoo" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("from torch import nn\nWIDTH = 6\n", encoding="utf-8")
    text = "from torch import nn\nfrom .parts import WIDTH\ndef make(k=3): return nn.Conv2d(3, WIDTH, k)\n"
    (package / "small.py").write_text(text, encoding="utf-8")
    for target in ("zoo.nets.small:make", os.path.join("zoo", "nets", "small.py") + ":make"):
        status, out, _ = verify(target, "--input", "1,3,8,8", "--arg", "k=5")
        assert rows(out)["(model)"] == ["Conv2d", "(1, 6, 4, 4)", "(1, 6, 4, 4)", "agree"]
        assert status == 0


@pytest.mark.parametrize("name", ["my-net.py", "types.py", "torch.py"])
def test_a_file_that_cannot_be_imported_by_its_name(folder: Path, name: str) -> None:
    (folder / name).write_text("from torch.nn import Linear, Module\nclass Net(Linear): pass\n", encoding="utf-8")
    if name == "torch.py":  # it hides torch from its neighbours, and from itself
        (folder / "torch.py").write_text("class Net: pass\n", encoding="utf-8")
        assert verify("torch.py:Net", "--input", "1,3")[0] == 2
        return
    status, out, _ = verify(f"{name}:Net", "--input", "1,3", "--arg", "in_features=3", "--arg", "out_features=2")
    assert rows(out)["(model)"] == ["Net", "(1, 2)", "(1, 2)", "agree"]
    assert status == 0


# a difference -----------------------------------------------------------------------------------------------


def test_a_difference_is_a_defect_of_ours(folder: Path) -> None:
    status, out, _ = verify("net.py:Hidden", "--input", "1,8")
    assert rows(out)["fc"] == ["Linear", "(1, 4)", "(1, 8)", "differ"]
    assert "conv-lint contradicts torch. This is a defect of conv-lint; please report it with these lines:" in out
    assert "\n  conv-lint verify net.py:Hidden --input 1,8\n" in out
    assert "\n  fc, Linear: conv-lint (1, 4), torch (1, 8)\n" in out
    assert "\n  torch runs it, conv-lint reports CONV202 last takes 8 features but is given 4 (fc, line " in out
    assert status == 1


def test_what_is_unknown_is_no_difference(folder: Path) -> None:
    text = """
import os
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, int(os.getenv("WIDTH") or "8"), 3)
        self.two = getattr(nn, os.getenv("KIND") or "Conv2d")(8, 4, 3)

    def forward(self, x):
        return self.two(self.one(x))
"""
    (folder / "env.py").write_text(text, encoding="utf-8")
    status, out, _ = verify("env.py:Net", "--input", "1,3,8,8")
    assert rows(out)["one"] == ["Conv2d", "(1, ?, 6, 6)", "(1, 8, 6, 6)", "unknown: the size of dimension 1"]
    assert rows(out)["two"][1:3] == ["?", "(1, 4, 4, 4)"]
    assert rows(out)["two"][3].startswith("unknown: ")
    assert status == 0


def test_an_error_of_the_interpreter_is_said_in_a_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AttributeError("oh")

    monkeypatch.setattr("conv_lint.verify.execute", broken)
    status, out, _ = verify("net.py:ready", "--input", "1,3,8,8")
    assert rows(out)["0"][-1] == "unknown: the interpreter itself failed: AttributeError: oh"
    assert status == 0


# a forward that fails ---------------------------------------------------------------------------------------


def test_a_shape_error(folder: Path) -> None:
    status, out, _ = verify("net.py:Net", "--input", "1,3,32,32", "--arg", "channels=8")
    said = "CONV201 conv takes 8 input channels but is given 16 (features[1], line"
    assert rows(out)["conv"] == ["Conv2d", "failed"]
    assert f"The forward fails for its shapes:\n{said}" in out.replace("(features[0]", "(features[1]")
    assert "conv-lint finds it without running: CONV201 conv takes 8" in out
    assert "3 agree, 0 differ, 0 unknown" in out
    assert status == 1


def test_a_shape_error_in_the_constructor(folder: Path) -> None:
    status, out, _ = verify("net.py:Groups", "--input", "1,8,8,8", "--format", "json")
    error = json.loads(out)["error"]
    assert error["code"] == "CONV101"
    assert len(error["static_findings"]) == 1
    assert status == 1


# what cannot be verified ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "said"), [("made", "KeyError: 'made'"), ("exit", "SystemExit: no model today")])
def test_an_exception_of_the_users_is_theirs(folder: Path, when: str, said: str) -> None:
    status, out, err = verify("net.py:fails", "--input", "1,2", "--arg", f"when='{when}'")
    assert "conv-lint: net.py:fails raised an exception while it was made:\nTraceback" in err
    assert err.rstrip().endswith(said)
    assert "conv_lint" not in err
    assert (status, out) == (2, "")


def test_an_exception_in_the_forward(folder: Path) -> None:
    status, _, err = verify("net.py:fails", "--input", "1,2", "--arg", "when='forward'")
    assert "in its forward:\nTraceback" in err
    assert 'net.py", line' in err
    assert err.rstrip().endswith("KeyError: 2")
    assert (status, "conv_lint" in err) == (2, False)


def test_an_exception_in_the_import(folder: Path) -> None:
    (folder / "bad.py").write_text("import torch\nimport nowhere_to_be_found\n", encoding="utf-8")
    (folder / "worse.py").write_text("class Net(:\n", encoding="utf-8")
    status, _, err = verify("bad.py:Net", "--input", "1,2")
    assert err.rstrip().endswith("ModuleNotFoundError: No module named 'nowhere_to_be_found'")
    assert (status, err.count("File "), "bad" in sys.modules) == (2, 1, False)
    status, _, err = verify("worse.py:Net", "--input", "1,2")
    assert (status, "SyntaxError" in err, "conv_lint" in err) == (2, True, False)


USAGE = {
    "no input": (["net.py:Net"], "Missing option '--input'"),
    "no file": (["nix.py:Net", "--input", "1"], "nix.py: there is no such file"),
    "no module": (["nowhere.at_all:Net", "--input", "1"], "nowhere.at_all: there is no module nowhere"),
    "no name given": (["net.py", "--input", "1"], "net.py: write FILE.py:NAME"),
    "no such name": (["net.py:Nett", "--input", "1"], "net.py:Nett: there is no Nett; did you mean Net?"),
    "a folder": ([".:Net", "--input", "1"], ".: is neither a file FILE.py nor the dotted name of a module"),
    "a number": (["net.py:number", "--input", "1"], "it is of type int, no class, function or module"),
    "no model": (["net.py:fails", "--input", "1", "--arg", "when=0"], "it makes a int, not a torch.nn.Module"),
    "bad input": (["net.py:Net", "--input", "1,x"], "--input 1,x: write whole numbers"),
    "negative input": (["net.py:Net", "--input", "1,-3"], "--input 1,-3: write whole numbers"),
    "bad dtype": (["net.py:Net", "--input", "1,3:lon"], "torch has no dtype lon"),
    "bad argument": (["net.py:Net", "--input", "1", "--arg", "x=y"], "--arg x=y: y is no Python literal"),
    "no argument": (["net.py:Net", "--input", "1", "--arg", "x"], "--arg x: write NAME=VALUE"),
    "an instance": (["net.py:ready", "--input", "1", "--arg", "x=1"], "net.py:ready is a module already"),
}


@pytest.mark.parametrize("arguments", USAGE, ids=str)
def test_usage(folder: Path, arguments: str) -> None:
    given, said = USAGE[arguments]
    status, out, err = verify(*given)
    assert said in err
    assert "Traceback" not in err
    assert (status, out) == (2, "")


@pytest.mark.parametrize("command", ["'verify', 'net.py:Net', '--input', '1,3'", "'selfcheck'"])
def test_without_torch(folder: Path, command: str) -> None:
    root = str(Path(__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {root!r}); sys.modules['torch'] = None\n"
    code += f"from conv_lint.cli import main; main([{command}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.stderr.splitlines()[-1].startswith("conv-lint: error: conv_lint.runtime needs torch: pip install")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_the_help_says_that_code_is_executed() -> None:
    assert "THIS EXECUTES THE CODE" in " ".join(RUNNER.invoke(main, ["verify", "--help"]).stdout.split())


# parts ------------------------------------------------------------------------------------------------------


def test_parsing(folder: Path) -> None:
    assert parse_input("1,3,8,8") == Input((1, 3, 8, 8))
    assert parse_input("(4, )") == parse_input("4") == Input((4,))
    assert parse_input(" mask=1, 12:bool ") == Input((1, 12), "mask", "bool")
    assert parse_argument("shape=(1, 2)") == ("shape", (1, 2))
    target = parse_target("net.py:Net.inner")
    assert (target.module, target.name, target.folders) == ("net", "Net.inner", (str(folder),))
    for bad in ("", "1 2", "a=b=1", "1,3:", "1.5", "1e3"):
        with pytest.raises(ConfigError):
            parse_input(bad)


H = symbol("H")
COMPARED: list[tuple[Any, Any, str]] = [
    (Seen((1, 2)), (1, 2), "agree"),
    (Seen((1, 2)), (1, 3), "differ"),
    (Seen((1, 2)), (1, 2, 3), "differ"),
    (Seen((1, H)), (1, 3), "unknown"),
    (Seen((1, H)), (2, 3), "differ"),
    (Seen((4,), "rank"), (1, 4), "unknown"),
    (Seen((4,), "rank"), (1, 5), "differ"),
    (Seen((1, 2, 3), "rank"), (2, 3), "differ"),
    (Seen(()), (), "agree"),
    (Unseen("why"), (1, 2), "unknown"),
    (Unseen("why"), None, "unknown"),
    (None, None, "agree"),
    (None, (1,), "differ"),
    (Seen((1,)), None, "agree"),
    ([Seen((1,)), None], [(1,), None], "agree"),
    ([Seen((1,)), Unseen("why")], [(1,), (2,)], "unknown"),
    ([Seen((2,)), Unseen("why")], [(1,), (2,)], "differ"),
    ([Seen((1,))], [(1,), (2,)], "differ"),
    (None, [None, None], "agree"),
    ({"a": Seen((1,))}, {"a": (1,)}, "agree"),
    ({"a": Seen((1,))}, {"b": (1,)}, "differ"),
]


@pytest.mark.parametrize(("static", "real", "mark"), COMPARED)
def test_compare(static: Any, real: Any, mark: str) -> None:
    assert compare(static, real)[0] == mark


def marks(static: list[int], real: list[int]) -> list[str]:
    """The marks of the calls of one layer, whose outputs are named by their only size."""
    run = StaticRun([StaticCall("a", "A", Seen((size,))) for size in static])
    return [row.mark for row in side_by_side(run, [RealCall("a", "A", (size,)) for size in real])]


def test_calls_are_paired() -> None:
    assert marks([1, 2], [1, 2]) == ["agree", "agree"]
    assert marks([1, 2], [2, 1]) == ["differ", "differ"]
    assert marks([], [1]) == ["unknown"]
    assert marks([1], [1, 2]) == ["agree", "unknown"]  # a loop that was not unrolled
    assert marks([1, 2, 3], [2]) == ["agree"]  # both sides of a branch
    assert marks([1, 2, 3], [4]) == ["differ"]


# selfcheck --------------------------------------------------------------------------------------------------


def test_selfcheck(monkeypatch: pytest.MonkeyPatch) -> None:
    done = RUNNER.invoke(main, ["selfcheck", "--seconds", "0"], catch_exceptions=False)
    assert done.stdout.startswith("1,")
    assert " rows held against torch 2." in done.stdout
    assert done.stdout.endswith(": no problems\n")
    assert done.exit_code == 0
    monkeypatch.setattr(ops.FUNCTIONS["torch.flatten"], "text", "(input, first_dim=0, end_dim=-1)")
    done = RUNNER.invoke(main, ["selfcheck", "--seconds", "0"], catch_exceptions=False)
    problems = done.stdout.splitlines()
    assert all(line.startswith("torch.flatten: ") for line in problems[:-1])
    assert problems[-1].endswith(f": {len(problems) - 1} problems")
    assert done.exit_code == 1
