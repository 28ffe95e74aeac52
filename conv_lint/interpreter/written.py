"""Was a number written down by the code itself, or may somebody else give another one?"""

from __future__ import annotations

import builtins

import libcst as cst

from conv_lint.interpreter import arity
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function
from conv_lint.tree import dotted, walk
from conv_lint.values import External

#: So many names are followed, one from the other.
DEEPEST = 16


def is_written(machine: Machine, frame: Frame, node: cst.CSTNode, depth: int = 0) -> bool:
    """Was every operand of an expression written down in a call that the code makes, or left to its default there?

    What a call that the checker makes up leaves to its default, somebody else may give: ``ws=1`` with
    ``assert ws != 1`` says that it has to be given.
    """
    if depth > DEEPEST:
        return False
    match node:
        case cst.Name(value="True" | "False" | "None"):
            return True
        case cst.Name(value=name):
            return _is_written_name(machine, frame, name, depth)
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="pop" | "get")), args=[_, default]):
            return _is_of_numbers(default.value)
        case cst.Call(func=function, args=args) if _is_known(machine, frame, function):
            return all(is_written(machine, frame, argument.value, depth) for argument in args)
        case cst.Attribute() | cst.Lambda() | cst.FormattedString():
            return False
    return all(is_written(machine, frame, child, depth) for child in node.children)


def _is_written_name(machine: Machine, frame: Frame, name: str, depth: int) -> bool:
    scope: Frame | None = frame
    while scope is not None and name not in scope.locals:
        scope = scope.parent
    if scope is None:
        return False
    if name not in scope.arguments:
        source = _only_source(scope, name)
        return source is not None and is_written(machine, scope, source, depth + 1)
    expression, caller = scope.arguments[name]
    if caller is not None:
        return is_written(machine, caller, expression, depth)
    return leaves_out(machine, scope)


def leaves_out(machine: Machine, frame: Frame) -> bool:
    """Does the code itself call the function, and leave to their defaults what it does not give?"""
    call = frame.call
    if call is None or not isinstance(call.node, cst.Call):
        return False
    return not arity.passes_on_nothing(machine, call.frame, call.node)


def _is_known(machine: Machine, frame: Frame, function: cst.BaseExpression) -> bool:
    """Is it a function of Python's or a library's, or one of the file, which gives the same for the same?"""
    name = dotted(function)
    if not name:
        return False
    first, *others = name.split(".")
    scope: Frame | None = frame
    while scope is not None and first not in scope.locals:
        scope = scope.parent
    value = machine.resolve(scope.locals[first]) if scope is not None else frame.namespace.get(first)
    if others:
        return isinstance(value, External)
    return isinstance(value, (External, Function, Class)) or (value is MISSING and hasattr(builtins, first))


def _is_of_numbers(node: cst.BaseExpression) -> bool:
    """``(224, 224)``: a default that stands for nothing but itself."""
    if not isinstance(node, (cst.Tuple, cst.List)) or not node.elements:
        return False
    return all(isinstance(element.value, (cst.Integer, cst.Float)) for element in node.elements)


def _only_source(frame: Frame, name: str) -> cst.BaseExpression | None:
    """What a name of a function is computed from, if it is set once: by an assignment, or as what a loop runs over."""
    function = frame.function
    sources: list[cst.BaseExpression] = []
    for node in walk(function.node) if function is not None else ():
        match node:
            case cst.Assign(targets=[cst.AssignTarget(target=target)], value=value) if _sets(target, name):
                sources.append(value)
            case cst.For(target=target, iter=value) if _sets(target, name):
                sources.append(value)
            case cst.AugAssign(target=target) | cst.NamedExpr(target=target) | cst.AnnAssign(target=target):
                if _sets(target, name):
                    return None
            case cst.AsName(name=target) | cst.CompFor(target=target) if _sets(target, name):
                return None
    return sources[0] if len(sources) == 1 else None


def _sets(target: cst.CSTNode, name: str) -> bool:
    return any(isinstance(part, cst.Name) and part.value == name for part in walk(target))
