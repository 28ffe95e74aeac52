"""A comma at the end of a line, which makes a tuple of one value: ``x = self.conv(x),``."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from conv_lint.interpreter.objects import Class, Frame, Instance


def fix_of(expression: cst.CSTNode | None, frame: Frame) -> str | None:
    """What to write if the tuple that an expression holds was made by such a comma alone."""
    while isinstance(expression, cst.Name) and expression.value in frame.arguments:
        expression, caller = frame.arguments[expression.value]
        if caller is None:
            return None
        frame = caller
    scope = _scope(expression, frame)
    if expression is None or scope is None:
        return None
    found = [value for value in _assigned(scope, expression) if _has_comma(value)]
    if len(found) != 1:
        return None
    return f"line {frame.place(found[0]).line} ends with a comma that makes it a tuple; remove it"


def _scope(expression: cst.CSTNode | None, frame: Frame) -> cst.CSTNode | None:
    """The function or class that gives a name its value."""
    if isinstance(expression, cst.Name):
        return frame.function.node if frame.function is not None else frame.tree.module
    owner = frame.self_value.cls if isinstance(frame.self_value, Instance) else None
    is_own = isinstance(owner, Class) and owner.tree is frame.tree
    return owner.node if isinstance(expression, cst.Attribute) and isinstance(owner, Class) and is_own else None


def _assigned(node: cst.CSTNode, name: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Assign) and any(target.target.deep_equals(name) for target in node.targets):
        yield node.value
    for child in node.children:
        yield from _assigned(child, name)


def _has_comma(value: cst.CSTNode) -> bool:
    return isinstance(value, cst.Tuple) and len(value.elements) == 1 and not value.lpar
