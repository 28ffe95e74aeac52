"""Lines of the user's code: the one that runs, and the one where a layer was made."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import os
import sys
import textwrap
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import cast

import torch
from torch import nn

from conv_lint.finding import Place, SourceFile

_TORCH = os.path.dirname(torch.__file__) + os.sep
_OURS = os.path.dirname(__file__) + os.sep


@dataclass(frozen=True)
class Line:
    """A line of a file.  ``str`` is ``model.py:14``."""

    file: str
    number: int

    @property
    def path(self) -> str:
        """The file as seen from the working directory, if it lies below it."""
        near = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        return self.file if near.startswith("..") else near

    @property
    def text(self) -> str:
        """What stands there; empty if the source is not at hand."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"

    # what a Place needs
    def position(self, node: object) -> tuple[int, int]:
        return self.number, 0


def place(line: Line | LayerLine | None) -> Place | None:
    """The line as the place of a step."""
    return Place(cast(SourceFile, line), line) if line is not None else None


# the line that runs -----------------------------------------------------------------------------------------


@functools.lru_cache(2000)
def is_library(file: str) -> bool:
    """Does the file belong to torch, to einops, to this package, or to Python itself (``<string>``)?"""
    return file.startswith((_TORCH, _OURS, "<frozen")) or f"{os.sep}einops{os.sep}" in file


def is_ours(file: str) -> bool:
    """Does the file belong to this package?"""
    return file.startswith(_OURS)


def running_line(frame: FrameType | None) -> Line | None:
    """The innermost line of the user's code on the stack of ``frame``."""
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return Line(frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


def stack_level() -> int:
    """How far above the caller the user's code is, for ``warnings.warn``."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and is_library(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    return level


def last_user_frame(traceback: TracebackType | None) -> tuple[FrameType, Line] | None:
    """The innermost frame of the user's code on the way of an exception."""
    found = None
    while traceback is not None:
        frame = traceback.tb_frame
        if not is_library(frame.f_code.co_filename):
            found = frame, Line(frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


# the line where a layer was made ----------------------------------------------------------------------------


def constructed(model: nn.Module, path: str) -> Line | None:
    """Where the module at ``path`` was made, as well as reading the ``__init__`` of its owner tells: the call in
    ``self.conv1 = nn.Conv2d(...)``, or the item of a Sequential that is written out."""
    owner, here = model, model
    names: list[str] = []
    for name in path.split(".") if path else ():
        if not is_library_class(type(here)):
            owner, names = here, []
        names.append(name)
        child = here._modules.get(name)
        if child is None:
            return None
        here = child._modules.get("_orig_mod") or child
    if not names or is_library_class(type(owner)):
        return None
    for cls in type(owner).__mro__:
        found = _made_in(cls, names) if "__init__" in vars(cls) and not is_library_class(cls) else None
        if found is not None:
            return found
    return None


def is_library_class(cls: type) -> bool:
    """Is the class one of torch's or einops's?"""
    return cls.__module__.partition(".")[0] in ("torch", "einops")


def _made_in(cls: type, names: list[str]) -> Line | None:
    init = inspect.unwrap(vars(cls)["__init__"])
    parsed = _parsed(init.__code__) if hasattr(init, "__code__") else None
    if parsed is None:
        return None
    function, offset = parsed
    values = [value for node in ast.walk(function) for value in _value_for(node, names[0])]
    if not values:
        return None
    node = values[-1]
    for name in names[1:]:
        inner = _item(node, name)
        if inner is None:
            break
        node = inner
    return Line(init.__code__.co_filename, node.lineno + offset)


@functools.lru_cache(200)
def _parsed(code: CodeType) -> tuple[ast.AST, int] | None:
    """A function parsed, and what to add to its line numbers."""
    try:
        lines, first = inspect.getsourcelines(code)
        return ast.parse(textwrap.dedent("".join(lines))), first - 1
    except (OSError, TypeError, SyntaxError):
        return None


def _value_for(node: ast.AST, name: str) -> list[ast.expr]:
    """What is stored under ``self.<name>`` by this statement, or by ``add_module("<name>", ...)``."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [node.value for t in targets if isinstance(t, ast.Attribute) and t.attr == name]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 2:
        called = node.func.attr in ("add_module", "register_module")
        if called and isinstance(node.args[0], ast.Constant) and node.args[0].value == name:
            return [node.args[1]]
    return []


def _item(node: ast.expr, name: str) -> ast.expr | None:
    """The part of ``nn.Sequential(a, b)``, ``nn.ModuleList([a, b])`` or a dict of modules that is called ``name``."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    first = node.args[0]
    if isinstance(first, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in first.keys]
        return first.values[keys.index(name)] if name in keys else None
    items = first.elts if isinstance(first, (ast.List, ast.Tuple)) else node.args
    if not name.isdigit() or any(isinstance(item, ast.Starred) for item in items) or int(name) >= len(items):
        return None
    return items[int(name)]


class LayerLine:
    """Where a layer was made, looked up only when a message names it."""

    def __init__(self, model: nn.Module, module_path: str) -> None:
        self._model, self._module_path = model, module_path

    @functools.cached_property
    def line(self) -> Line | None:
        return constructed(self._model, self._module_path)

    @property
    def path(self) -> str:
        return self.line.path if self.line is not None else ""

    def position(self, node: object) -> tuple[int, int]:
        return (self.line.number, 0) if self.line is not None else (0, 0)
