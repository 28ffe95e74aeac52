"""Objects whose classes define the methods behind Python's syntax: ``obj[key] = value``, ``key in obj``, ``for``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Instance, Method, Native
from conv_lint.values import Dict, Iter, List, Unknown, Value

if TYPE_CHECKING:
    from conv_lint.interpreter.libraries import Context

#: An object that is indexed from 0 on is iterated only over so many items.
MAX_ITEMS = 64


def has(value: Instance, name: str) -> bool:
    """Does the object's class, or a base of it in the checked code, define a method?"""
    return isinstance(value.cls, Class) and isinstance(value.cls.find(name), Function)


def run(machine: Machine, frame: Frame, value: Instance, name: str, *args: Value) -> Value:
    """What an object's own method returns."""
    from conv_lint.interpreter.calls import call_method

    return call_method(machine, frame, value, name, list(args))


def of_items(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, held: List | Dict, name: str, args: list[Value]
) -> Value:
    """``super().__setitem__(key, value)``, ``dict.__getitem__(self, key)`` and the like, on the items of an object."""
    from conv_lint.interpreter import assign, comparing, methods, subscripts
    from conv_lint.interpreter.calls import Arguments

    where = node if node is not None else frame.tree.module
    match name, args:
        case "__setitem__", [key, value]:
            assign.set_item(machine, frame, where, held, machine.resolve(key), value)
            return None
        case "__getitem__", [key]:
            return subscripts.item(machine, frame, where, held, machine.resolve(key))
        case "__contains__", [key]:
            return comparing.contains(machine, frame, key, held)
        case "__len__", []:
            return len(held.items) if not held.open else Unknown(held.open)
        case "__iter__", []:
            return Iter(list(held.items), held.open)
        case "__delitem__", [key]:
            assign.delete_item(machine, held, machine.resolve(key))
            return None
    return methods.call(machine, frame, node, Method(held, name), Arguments(args))


#: Classes that give ``get`` and the like to whatever defines ``__getitem__`` (collections.abc, "Mixin Methods").
MAPPINGS = frozenset(
    f"{module}.{name}" for module in ("collections.abc", "typing") for name in ("Mapping", "MutableMapping")
)


def of_mapping(value: Instance, name: str) -> Native | None:
    """``get`` and ``in`` of a class that derives from ``collections.abc.Mapping``, by its own ``__getitem__``."""

    def get(c: Context, key: Value, default: Value = None) -> Value:
        kinds = (Function, Class)
        if isinstance(default, kinds) and isinstance(c.machine.resolve(key), Unknown):
            return default  # what stands for one another is called alike
        found = looked_up(c, key)
        return default if found is MISSING else found

    def contains(c: Context, key: Value) -> Value:
        found = looked_up(c, key)
        return Unknown("a search in a mapping") if isinstance(found, Unknown) else found is not MISSING

    def looked_up(c: Context, key: Value) -> Value:
        c.machine.catching += 1
        try:
            return run(c.machine, c.frame, value, "__getitem__", key)
        except PythonRaise:
            return MISSING
        finally:
            c.machine.catching -= 1

    natives = {"get": get, "__contains__": contains}
    return Native(name, natives[name]) if name in natives and has(value, "__getitem__") else None


def iterated(machine: Machine, value: Instance) -> list[Value] | None:
    """The items over which an object iterates: those of what ``__iter__`` returns, or ``__getitem__`` of 0, 1, 2 ..."""
    from conv_lint.interpreter.sequences import items_of

    frame = value.call.frame if value.call is not None else None
    if frame is None:
        return None
    if has(value, "__iter__"):
        made = run(machine, frame, value, "__iter__")
        return items_of(machine, made) if made is not value else None
    if not has(value, "__getitem__"):
        return None
    count = run(machine, frame, value, "__len__")
    if not isinstance(count, int) or not 0 <= count <= MAX_ITEMS:
        return None
    return [run(machine, frame, value, "__getitem__", i) for i in range(count)]
