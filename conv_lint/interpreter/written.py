"""Was a number written down by the code itself, or may somebody else give another one?"""

from __future__ import annotations

import builtins
from dataclasses import dataclass

import libcst as cst

from conv_lint.interpreter import arity
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function
from conv_lint.tree import dotted, walk
from conv_lint.values import External

#: So many names are followed, one from the other.
DEEPEST = 16


def is_written(machine: Machine, frame: Frame, node: cst.CSTNode) -> bool:
    """Was every operand of an expression written down in a call that the code makes, or left to its default there?

    What a call that the checker makes up leaves to its default, somebody else may give: ``ws=1`` with
    ``assert ws != 1`` says that it has to be given.  Two numbers that contradict each other,
    ``dim=64, heads=5``, are no such case: whoever leaves one out is refused for it.
    """
    own = set[tuple[int, str]]()
    return _Reading(machine, own).whole(frame, node) and len(own) != 1


@dataclass
class _Reading:
    """Follows names to where they were written; ``own``: the defaults that it met in what the checker calls."""

    machine: Machine
    own: set[tuple[int, str]]
    depth: int = 0

    def whole(self, frame: Frame, node: cst.CSTNode) -> bool:
        """Is it all written?"""
        if self.depth > DEEPEST:
            return False
        match node:
            case cst.Name(value="True" | "False" | "None"):
                return True
            case cst.Name(value=name):
                return self._name(frame, name)
            case cst.Call(func=cst.Attribute(attr=cst.Name(value="pop" | "get")), args=[_, default]):
                return _is_of_numbers(default.value)
            case cst.Call(func=function, args=args) if _is_known(self.machine, frame, function):
                return all(self.whole(frame, argument.value) for argument in args)
            case cst.Attribute(value=cst.Name(value="self")):
                return self._sources(frame, _sources(frame, node))
            case cst.Attribute() | cst.Lambda() | cst.FormattedString():
                return False
        return all(self.whole(frame, child) for child in node.children)

    def _name(self, frame: Frame, name: str) -> bool:
        scope: Frame | None = frame
        while scope is not None and name not in scope.locals:
            scope = scope.parent
        if scope is None:
            return False
        further = _further(scope, name)
        if further is not None and scope.call is not None:
            return self._sources(scope.call.frame, further)
        if name not in scope.arguments:
            return self._sources(scope, _sources(scope, cst.Name(name)))
        expression, caller = scope.arguments[name]
        if caller is not None:
            return self.whole(caller, expression)
        if leaves_out(self.machine, scope):
            return True
        is_own = scope.call is None or not isinstance(scope.call.node, cst.Call)
        if is_own and scope.function is not None and _is_large(expression):
            self.own.add((id(scope.function.node), name))
            return True
        return False

    def _sources(self, frame: Frame, sources: list[cst.BaseExpression]) -> bool:
        self.depth += 1
        try:
            return bool(sources) and all(self.whole(frame, source) for source in sources)
        finally:
            self.depth -= 1


def _is_large(node: cst.CSTNode) -> bool:
    """A number that is more than a mark for something that is not given, or several numbers."""
    if isinstance(node, cst.Integer):
        return node.evaluated_value > 1
    return isinstance(node, cst.BaseExpression) and _is_of_numbers(node)


def _further(frame: Frame, name: str) -> list[cst.BaseExpression] | None:
    """What a call gives for the ``*args`` of a function, if that is the name."""
    params = frame.function.node.params if frame.function is not None else None
    star = params.star_arg if params is not None else None
    call = frame.call.node if frame.call is not None else None
    if not isinstance(star, cst.Param) or star.name.value != name or params is None or not isinstance(call, cst.Call):
        return None
    given = [argument.value for argument in call.args if argument.keyword is None and not argument.star]
    return given[len(params.posonly_params) + len(params.params) :]


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


def _sources(frame: Frame, name: cst.BaseExpression) -> list[cst.BaseExpression]:
    """What a name of a function, or an attribute of its object, is computed from there: by assignments, or by loops.

    Nothing if it may be set otherwise.
    """
    function = frame.function
    sources: list[cst.BaseExpression] = []
    for node in walk(function.node) if function is not None else ():
        match node:
            case cst.Assign(targets=targets, value=value) if any(_sets(t.target, name) for t in targets):
                sources.append(value)
            case cst.For(target=target, iter=value) | cst.CompFor(target=target, iter=value) if _sets(target, name):
                sources.append(_looped_over(target, value, name))
            case cst.AugAssign(target=target) | cst.NamedExpr(target=target) | cst.AnnAssign(target=target):
                if _sets(target, name):
                    return []
            case cst.AsName(name=target) if _sets(target, name):
                return []
    return sources


def _looped_over(target: cst.BaseExpression, over: cst.BaseExpression, name: cst.BaseExpression) -> cst.BaseExpression:
    """What gives a target of a loop its values: ``a`` for ``x`` in ``for x, y in zip(a, b)``."""
    if (
        not isinstance(target, cst.Tuple)
        or not isinstance(over, cst.Call)
        or dotted(over.func) not in ("zip", "enumerate")
    ):
        return over
    position = next(i for i, element in enumerate(target.elements) if _sets(element.value, name))
    if dotted(over.func) == "enumerate":
        return over.args[0].value if position and over.args else cst.Integer("0")
    return over.args[position].value if position < len(over.args) else over


def _sets(target: cst.CSTNode, name: cst.BaseExpression) -> bool:
    """Is a name among the targets, or the attribute?"""
    if isinstance(name, cst.Attribute):
        return isinstance(target, cst.Attribute) and dotted(target) == dotted(name)
    if isinstance(target, (cst.Attribute, cst.Subscript)):
        return False
    return isinstance(name, cst.Name) and any(isinstance(n, cst.Name) and n.value == name.value for n in walk(target))
