"""Decorators: those that change what a name means; all others leave the function or class as it is."""

from __future__ import annotations

import libcst as cst

from conv_lint.interpreter.machine import Machine, PythonRaise, TooLong
from conv_lint.interpreter.objects import BoundMethod, Class, Frame, Function, Native, Property
from conv_lint.tree import dotted
from conv_lint.values import External, Unknown, Value

#: A decorator that takes more steps than this writes documentation and the like: what it decorates stands as it is.
STEPS = 2_000


def decorate(machine: Machine, frame: Frame, node: cst.FunctionDef | cst.ClassDef, value: Value) -> Value:
    """Apply decorators, the nearest first."""
    for decorator in reversed(node.decorators):
        value = _apply(machine, frame, decorator.decorator, value)
    return value


def _apply(machine: Machine, frame: Frame, node: cst.BaseExpression, value: Value) -> Value:
    from conv_lint.interpreter.calls import call_value
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.libraries import NATIVES

    name = dotted(node.func if isinstance(node, cst.Call) else node)
    if isinstance(value, Function):
        changed = _of_function(machine, frame, name, value)
        if changed is not None:
            return changed
    last = name.rpartition(".")[2]
    if isinstance(value, Class) and last == "dataclass":
        value.kind = value.kind or "dataclass"
        return value
    decorator = evaluate(machine, frame, node)
    if isinstance(decorator, External) and decorator.name in NATIVES:
        return (
            call_value(machine, frame, node, decorator, [value], {})
            if decorator.name.startswith("functools.")
            else value
        )
    if not isinstance(decorator, (Function, Native, BoundMethod)):
        return value  # a library's decorator, or one that is not known: registries, no_grad, jit, docs
    what = id(decorator.function.node if isinstance(decorator, BoundMethod) else getattr(decorator, "node", decorator))
    if what in machine.tedious:
        return value
    try:
        with machine.at_most(STEPS):
            made = call_value(machine, frame, node, decorator, [value], {})
    except PythonRaise:
        return value
    except TooLong:
        machine.tedious.add(what)
        return value
    return value if made is None or isinstance(made, (Unknown, External)) else made


def _of_function(machine: Machine, frame: Frame, name: str, value: Function) -> Value | None:
    match name.rpartition(".")[2]:
        case "staticmethod":
            value.kind = "static"
        case "classmethod":
            value.kind = "class"
        case "property" | "cached_property" | "lazy_property":
            return Property(value)
        case "setter":
            before = frame.locals.get(name.partition(".")[0])
            return Property(before.getter, value) if isinstance(before, Property) else value
        case "lru_cache" | "cache":
            value.known = {}
        case "contextmanager" | "asynccontextmanager":
            return value  # a generator: ``with`` takes what it yields first
        case "overload":
            return Unknown("one form of a function")
        case _:
            return None
    return value
