"""Positions of our one code generation against libcst's own provider."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider

import conv_lint
from conv_lint.tree import Tree

FILES = sorted(Path(conv_lint.__file__).parent.rglob("*.py"))[::6]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_positions_agree_with_libcst(path: Path) -> None:
    tree = Tree(str(path), path.read_text(encoding="utf-8"))
    found = MetadataWrapper(tree.module, unsafe_skip_copy=True).resolve(PositionProvider)
    for node, position in found.items():
        if isinstance(node, (cst.BaseExpression, cst.Arg, cst.BaseStatement, cst.BaseSmallStatement, cst.Param)):
            assert tree.position(node) == (position.start.line, position.start.column), type(node)
            assert tree.end(node) == (position.end.line, position.end.column), type(node)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_form_feeds_tabs_and_line_ends(end: str) -> None:
    text = "x = 1\n\f\nif x:\n\ty = (x,\n\t\t# why\n\t\tx)\n\f\n@f  # so\n"
    text += "def g(a, *b, c=1, **d): return -a\ns = 'a\x1cb\u2028'; t = 2\n"
    tree = Tree("a.py", text.replace("\n", end))
    found = MetadataWrapper(tree.module, unsafe_skip_copy=True).resolve(PositionProvider)
    checked = 0
    for node, position in found.items():
        if isinstance(node, (cst.BaseExpression, cst.Arg, cst.BaseStatement, cst.BaseSmallStatement, cst.Param)):
            assert tree.position(node) == (position.start.line, position.start.column), type(node)
            assert tree.end(node) == (position.end.line, position.end.column), type(node)
            checked += 1
    assert checked > 20
    assert tree.source_line(4) == "\ty = (x,"


def test_a_piece_of_a_file_counts_from_its_first_line() -> None:
    tree = Tree("a.py", "x = 1\ny = f(2)\n", first_line=11)
    statement = tree.module.body[1].body[0]
    assert tree.position(statement.value) == (12, 4)
    assert tree.end(statement.value) == (12, 8)
    assert tree.source_line(12) == "y = f(2)"


def test_a_file_without_a_last_newline_ends_on_its_last_line() -> None:
    tree = Tree("a.py", "x = 1\ny = f(2)")
    assert tree.end(tree.module.body[1]) == (2, 8)
