"""What a fixture says of itself: ``# expect:`` what the checker must find, ``# torch:`` what torch must do.

::

    self.conv2 = nn.Conv2d(32, 64, 3)  # expect: CONV201 "given 16"; CONV301 "never read"
    # torch: Net()(torch.randn(1, 3, 32, 32)) raises "to have 32 channels"
    # torch: Net(3)(torch.randn(2, 3, 32, 32)) gives (2, 10)

The expression after ``# torch:`` is evaluated in the namespace of the executed file.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

#: Notes of the checker on what it did not understand: no finding, whatever a fixture says.
NOTES = ("CONV901",)
_EXPECT = re.compile(r"#\s*expect:(?P<rest>.*)")
_EXPECTED = re.compile(r'\s*(?P<code>CONV\d{3})\s+"(?P<words>[^"]*)"\s*(?:;|$)')
_TORCH = re.compile(r'#\s*torch: (?P<expression>.*) (?:gives (?P<shape>.+)|raises "(?P<words>.+)")$')


@dataclass(frozen=True)
class Expectation:
    """The checker must find ``code`` on ``line``, with ``words`` in the message."""

    line: int
    code: str
    words: str

    def met_by(self, line: int, code: str, message: str) -> bool:
        return (line, code) == (self.line, self.code) and self.words in message

    def __str__(self) -> str:
        return f'line {self.line}: {self.code} "{self.words}"'


@dataclass(frozen=True)
class Trial:
    """torch must give this shape (or these shapes), or raise with these words, for ``expression``."""

    line: int
    expression: str
    shape: Any = None
    words: str | None = None

    def run(self, namespace: Mapping[str, Any]) -> str | None:
        """Evaluate; what is wrong, or ``None``."""
        torch.manual_seed(0)
        try:
            result = shapes_of(eval(self.expression, {"torch": torch, **namespace}))
        except Exception as error:
            if self.words is not None and self.words in str(error):
                return None
            return f"line {self.line}: {type(error).__name__}: {error}"
        if self.words is not None:
            return f"line {self.line}: torch accepts it: {result}"
        return None if result == self.shape else f"line {self.line}: torch gives {result}"


def shapes_of(value: Any) -> Any:
    """Tensors become their shapes, inside tuples, lists and the values of dicts too."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return tuple(shapes_of(v) for v in value)
    return value


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Every comment with its line."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def expectations(text: str) -> list[Expectation]:
    """What the ``# expect:`` comments say.  A comment that cannot be read is an error, not an empty promise."""
    found = []
    for line, comment in comments(text):
        if match := _EXPECT.search(comment):
            rest = match["rest"]
            while rest.strip():
                one = _EXPECTED.match(rest)
                if one is None:
                    raise ValueError(f"line {line}: cannot read {comment}")
                found.append(Expectation(line, one["code"], one["words"]))
                rest = rest[one.end() :]
    return found


def trials(text: str) -> list[Trial]:
    """What the ``# torch:`` comments say."""
    found = []
    for line, comment in comments(text):
        if match := _TORCH.match(comment):
            shape = ast.literal_eval(match["shape"]) if match["shape"] else None
            found.append(Trial(line, match["expression"], shape, match["words"]))
        elif re.match(r"#\s*torch:", comment):
            raise ValueError(f"line {line}: cannot read {comment}")
    return found


def execute(path: Path) -> ModuleType:
    """Run a file as an imported module (not as ``__main__``); one in a package is imported by its full name."""
    root, name = path.parent, path.stem
    while (root / "__init__.py").exists():
        root, name = root.parent, f"{root.name}.{name}"
    if "." in name:
        sys.path.insert(0, str(root))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(root))
    spec = importlib.util.spec_from_file_location(f"fixture_{path.parent.name}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def differences(text: str, path: str, wanted: Iterable[Expectation]) -> list[str]:
    """How the checker's findings differ from the expected ones, in words; empty if they do not."""
    from conv_lint import check_source

    left = list(wanted)
    wrong = []
    for finding in check_source(text, path):
        line, code, message = finding.position[0], finding.code, finding.message
        if code in NOTES:
            continue
        met = next((e for e in left if e.met_by(line, code, message)), None)
        if met is None:
            wrong.append(f"false alarm: line {line}: {code} {message}")
        else:
            left.remove(met)
    return wrong + [f"missed alarm: {expected}" for expected in left]
