"""Attributes of modules that nothing sets: a layer by a wrong name, or one that was never made."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import libcst as cst

from conv_lint import catalogue
from conv_lint.interpreter import faults
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import MISSING, OF_MODULES, Class, Frame, Function, Inherited, Instance
from conv_lint.tree import Tree, walk
from conv_lint.values import External

#: ``model.module`` is the model inside a ``DataParallel``, into which it may be wrapped or not.
_OF_WRAPPERS = "module"
#: How like one another two names are of which one is a slip of the pen.
ALIKE = 0.75
#: What makes an object answer for names that nothing sets.
_HOOKS = ("__getattr__", "__getattribute__", "__new__", "__setattr__", "__dir__")


def check(machine: Machine, frame: Frame, node: cst.Attribute, base: Instance) -> None:
    """CONV607 where a module surely has no attribute of this name, and no line of its file could have set one.

    Of a class that the checked file itself does not use, others may set what it reads: then only a name that is like
    one that it has is no name of theirs.
    """
    name = node.attr.value
    if name in base.attrs or name in base.sometimes or not isinstance(base.cls, Class) or base.open:
        return
    if name in OF_MODULES or name == _OF_WRAPPERS or name.startswith("__") or id(base) in machine.shared:
        return
    is_own = not (base.cls.find(name) is MISSING or isinstance(base.cls.find(name), Inherited))
    if is_own or not _is_plain(base.cls) or not faults.is_certain(machine, frame):
        return
    trees = {id(c.tree): c.tree for c in base.cls.mro if isinstance(c, Class)} | {id(frame.tree): frame.tree}
    asked = _asked(trees.values())
    if any(name in _told(tree, asked) for tree in trees.values()):
        return
    own = [*base.attrs, *(n for c in base.cls.mro if isinstance(c, Class) for n in c.attrs)]
    like = difflib.get_close_matches(name, own, n=1, cutoff=ALIKE)
    if machine.by_default and (not like or _is_abstract(base.cls)):
        return
    fix = f"self.{like[0]}" if like and isinstance(node.value, cst.Name) and node.value.value == "self" else None
    faults.report(machine, frame, node, catalogue.missing_attribute(cls=base.cls.name, name=name, fix=fix))
    machine.journal.touch(base)
    base.attrs[name] = machine.unknown(f"{base.class_name} has no attribute {name}")


def _is_abstract(made: Class) -> bool:
    """Does a class leave something to those that derive from it?"""
    words = ("NotImplementedError", "NotImplemented", "abstractmethod", "ABC")
    nodes = (node for c in made.mro if isinstance(c, Class) and c.node for node in walk(c.node))
    return any(isinstance(node, cst.Name) and node.value in words for node in nodes)


def _is_plain(made: Class) -> bool:
    """Is all known of a class: its bases, and that it answers for nothing else?"""
    bases = (base for base in made.mro if not isinstance(base, Class))
    known = all(isinstance(b, External) and b.name in ("torch.nn.Module", "object", "builtins.object") for b in bases)
    return known and made.metaclass is None and not any(isinstance(made.find(hook), Function) for hook in _HOOKS)


def _told(tree: Tree, asked: set[str]) -> set[str]:
    """The names that a file sets on anything, and those that it writes as a text, for ``setattr`` and the like.  What a
    method would set that nothing can run is not set: ``def _init_(self)``."""
    found: set[str] = set()
    waiting: list[cst.CSTNode] = [tree.module]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, cst.FunctionDef) and _never_runs(node, asked)):
            found.update(_names(node))
            waiting.extend(node.children)
    return found


def _asked(trees: Iterable[Tree]) -> set[str]:
    """The attributes that files read, and what they write as a text."""
    nodes = [node for tree in trees for node in walk(tree.module)]
    texts = {node.raw_value for node in nodes if isinstance(node, cst.SimpleString)}
    return texts | {node.attr.value for node in nodes if isinstance(node, cst.Attribute)}


def _never_runs(node: cst.FunctionDef, asked: set[str]) -> bool:
    """Is it a method whose name is a slip of ``__init__``, and which nothing else names?"""
    name = node.name.value
    return name.strip("_") in ("init", "int") and name not in ("__init__", "__int__", "init") and name not in asked


def _names(node: cst.CSTNode) -> Iterator[str]:
    match node:
        case cst.AssignTarget() | cst.AugAssign() | cst.AnnAssign() | cst.For() | cst.CompFor() | cst.AsName():
            target = node.name if isinstance(node, cst.AsName) else node.target
            yield from (n.attr.value for n in walk(target) if isinstance(n, cst.Attribute))
        case cst.SimpleString():
            yield node.raw_value
        case cst.FormattedStringText():
            yield node.value
