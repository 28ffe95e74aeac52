"""text -> libcst tree, with positions worked out when someone asks.  The only file that knows libcst's internals."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from conv_lint import source

try:
    from libcst._nodes.internal import CodegenState
except ImportError:  # pragma: no cover - a libcst that moved its internals: see Tree._by_provider
    CodegenState = None  # type: ignore[assignment,misc]


class Tree:
    """A parsed piece of a file.

    ``first_line`` is the line of the file on which the piece begins (1 for a whole file), so that one definition of an
    imported file can be parsed alone; ``column`` is where its lines begin (an example in a docstring).  Raises
    ``libcst.ParserSyntaxError`` if the text is no Python.
    """

    def __init__(self, path: str, text: str, first_line: int = 1, column: int = 0) -> None:
        self.path, self.text, self.first_line, self.column = path, text, first_line, column
        self.module = cst.parse_module(text)
        self._starts: dict[int, int] | None = None
        self._ends: dict[int, int] = {}
        self._offsets: list[int] = []
        self._lines: list[int] = []
        self._text: str = ""

    def position(self, node: object) -> tuple[int, int]:
        """Line (from 1) and column (from 0) at which a node begins."""
        if self._starts is None:
            self._generate()
        assert self._starts is not None
        return self._at(self._starts.get(id(node)))

    def end(self, node: object) -> tuple[int, int]:
        """Line and column behind the last character of a node."""
        if self._starts is None:
            self._generate()
        return self._at(self._ends.get(id(node)))

    def _at(self, index: int | None) -> tuple[int, int]:
        """Where the token of a number begins."""
        if index is None:
            return self.first_line, 0
        offset = self._offsets[index]
        line = bisect.bisect_right(self._lines, offset) - 1
        return line + self.first_line, offset - self._lines[line] + self.column

    def source_line(self, line: int) -> str:
        """One line of the file, counted as in the file."""
        lines = source.split_lines(self.text)
        index = line - self.first_line
        return lines[index].rstrip("\r\n") if 0 <= index < len(lines) else ""

    def _generate(self) -> None:
        """One code generation that notes at which token each node begins."""
        if CodegenState is None:  # pragma: no cover
            self._by_provider()
            return
        state = _NotingState(self.module.default_indent, self.module.default_newline)
        self.module._codegen(state)
        self._starts, self._ends = state.starts, state.ends
        self._offsets = [0]
        for token in state.tokens:
            self._offsets.append(self._offsets[-1] + len(token))
        self._text = "".join(state.tokens)
        self._lines = _line_starts(self._text)

    def _by_provider(self) -> None:
        """The slow and public way."""
        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        self._lines = _line_starts(self.text)
        self._starts, self._offsets = {}, []
        for node, found in wrapper.resolve(PositionProvider).items():
            self._starts[id(node)] = len(self._offsets)
            self._offsets.append(self._lines[found.start.line - 1] + found.start.column)
            self._ends[id(node)] = len(self._offsets)
            self._offsets.append(self._lines[found.end.line - 1] + found.end.column)


def _line_starts(text: str) -> list[int]:
    starts = [0, *itertools.accumulate(len(line) for line in source.split_lines(text))]
    return starts if text.endswith(("\n", "\r")) else starts[:-1] or starts


if CodegenState is not None:

    class _NotingState(CodegenState):
        """Notes, for each node, the index of its first token and of the one behind its last.

        White space and comments around a node are none of its tokens.
        """

        def __init__(self, default_indent: str, default_newline: str) -> None:
            super().__init__(default_indent, default_newline)
            self.starts: dict[int, int] = {}
            self.ends: dict[int, int] = {}

        def before_codegen(self, node: cst.CSTNode) -> None:
            self.starts.setdefault(id(node), len(self.tokens))

        def after_codegen(self, node: cst.CSTNode) -> None:
            self.ends.setdefault(id(node), len(self.tokens))

        @contextmanager
        def record_syntactic_position(
            self, node: cst.CSTNode, *, start_node: Any = None, end_node: Any = None
        ) -> Iterator[None]:
            self.starts[id(node)] = len(self.tokens)
            yield
            self.ends[id(node)] = len(self.tokens) if end_node is None else self.ends[id(end_node)]
            if start_node is not None:
                self.starts[id(node)] = self.starts[id(start_node)]


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all below it."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        waiting.extend(here.children)
        yield here


def dotted(node: cst.CSTNode | None) -> str:
    """``a.b.c`` of a chain of attributes; empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr.value}" if base else ""
    return ""
