"""Names of a function that are given a value which nobody reads: what was forgotten when something else was written.

Worked out from the text alone.  In doubt a value counts as read: by a nested function, in a loop, behind a branch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import libcst as cst

from conv_lint.interpreter.objects import Frame

#: Functions of Python's that read any name of the function in which they are called.
_READS_ALL = frozenset({"locals", "vars", "eval", "exec"})
#: Functions of more names than this are left alone.
MOST = 4000


def is_unread(frame: Frame, name: str) -> bool:
    """Has a name of a running function a value that is never read?"""
    function = frame.function
    return function is not None and isinstance(function.node, cst.FunctionDef) and name in _unread(function.node)


def overwritten(frame: Frame) -> list[tuple[str, cst.CSTNode, cst.CSTNode]]:
    """The names of a running function that lose a value which nobody has read, with the two targets."""
    function = frame.function
    return _overwritten(function.node) if function is not None and isinstance(function.node, cst.FunctionDef) else []


@lru_cache(maxsize=200)
def _overwritten(function: cst.FunctionDef) -> list[tuple[str, cst.CSTNode, cst.CSTNode]]:
    found: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
    for name, bindings in unread(function).items():
        targets = [event.node for event in _Walk().function(function) if event.stores and event.name == name]
        for one, two in pairwise(targets):
            if any(one is node for node in bindings):
                found.append((name, one, two))
    return found


@lru_cache(maxsize=200)
def _unread(function: cst.FunctionDef) -> frozenset[str]:
    return frozenset(unread(function))


@dataclass
class _Event:
    """A name is read, or given a value, in a nest of blocks; the innermost loop around it, if any.

    ``later``: in a function inside the function, which may run at any time.
    """

    name: str
    stores: bool
    blocks: tuple[int, ...]
    loop: int | None
    node: cst.CSTNode
    later: bool = False


def unread(function: cst.FunctionDef) -> dict[str, list[cst.CSTNode]]:
    """For each name the bindings (parameters or targets) whose value is never read."""
    events = list(_Walk().function(function))
    found: dict[str, list[cst.CSTNode]] = {}
    if len(events) > MOST or any(not event.stores and event.name in _READS_ALL for event in events):
        return found
    for position, event in enumerate(events):
        if event.stores and not event.name.startswith("_") and not _is_read(events, position):
            found.setdefault(event.name, []).append(event.node)
    return found


def _is_read(events: list[_Event], position: int) -> bool:
    binding = events[position]
    if any(e.later and e.name == binding.name for e in events):
        return True
    if binding.loop is not None and any(
        not e.stores and e.name == binding.name and binding.loop in e.blocks for e in events
    ):
        return True
    for event in events[position + 1 :]:
        if event.name != binding.name:
            continue
        if not event.stores:
            return True
        if binding.blocks[: len(event.blocks)] == event.blocks:
            return False  # given another value whenever the program comes this way
    return False


class _Walk:
    """The names of a function in the order in which Python meets them."""

    def function(self, node: cst.FunctionDef) -> Iterator[_Event]:
        params = node.params
        for p in (*params.posonly_params, *params.params, *params.kwonly_params):
            if p.name.value not in ("self", "cls"):
                yield _Event(p.name.value, True, (), None, p)
        yield from self.node(node.body, (), None)

    def node(self, node: cst.CSTNode, blocks: tuple[int, ...], loop: int | None) -> Iterator[_Event]:
        match node:
            case cst.Name():
                yield _Event(node.value, False, blocks, loop, node)
            case cst.Attribute():
                yield from self.node(node.value, blocks, loop)
            case cst.Arg():
                yield from self.node(node.value, blocks, loop)
            case cst.Assign():
                yield from self.node(node.value, blocks, loop)
                for target in node.targets:
                    yield from self.target(target.target, blocks, loop)
            case cst.AnnAssign():
                if node.value is not None:
                    yield from self.node(node.value, blocks, loop)
                    yield from self.target(node.target, blocks, loop)
            case cst.AugAssign():
                yield from self.node(node.target, blocks, loop)
                yield from self.node(node.value, blocks, loop)
                yield from self.target(node.target, blocks, loop)
            case cst.NamedExpr():
                yield from self.node(node.value, blocks, loop)
                yield from self.target(node.target, blocks, loop)
            case cst.For():
                yield from self.node(node.iter, blocks, loop)
                inside = (*blocks, id(node))
                yield from self.target(node.target, inside, id(node))
                yield from self.node(node.body, inside, id(node))
                if node.orelse is not None:
                    yield from self.node(node.orelse, inside, id(node))
            case cst.While():
                for child in node.children:
                    yield from self.node(child, (*blocks, id(node)), id(node))
            case cst.If() | cst.Else() | cst.Try() | cst.ExceptHandler() | cst.Finally() | cst.Match():
                for child in node.children:
                    yield from self.node(child, (*blocks, id(node), id(child)), loop)
            case cst.With():
                for item in node.items:
                    yield from self.node(item.item, blocks, loop)
                    if item.asname is not None:
                        yield from self.target(item.asname.name, blocks, loop)
                yield from self.node(node.body, blocks, loop)
            case cst.Annotation():
                return
            case cst.FunctionDef() | cst.Lambda():
                for child in node.children:
                    yield from (replace(event, later=True) for event in self.node(child, blocks, loop))
            case _:
                for child in node.children:
                    yield from self.node(child, blocks, loop)

    def target(self, node: cst.CSTNode, blocks: tuple[int, ...], loop: int | None) -> Iterator[_Event]:
        match node:
            case cst.Name():
                yield _Event(node.value, True, blocks, loop, node)
            case cst.Tuple() | cst.List():
                for element in node.elements:
                    yield from self.target(element.value, blocks, loop)
            case _:
                yield from self.node(node, blocks, loop)
