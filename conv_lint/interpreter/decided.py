"""Where a number that a layer has was decided: the argument that was written, or the call that leaves it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libcst as cst

from conv_lint import ops
from conv_lint.finding import Place, Step
from conv_lint.interpreter.objects import Call, Frame
from conv_lint.interpreter.ways import Scope
from conv_lint.ops.table import Signature


@dataclass(frozen=True)
class Decided:
    """Where the number of an argument was decided: an expression or a call; ``outside`` if it is what the block that
    failed was given itself."""

    place: Place
    frame: Frame
    outside: bool = False


def decided(step: Step, name: str, value: object, user: Frame) -> Decided | None:
    """Where the argument ``name`` of a layer (or function), of this value, was written, or the call that leaves it
    out.  Parameters are followed as far as the block whose ``forward`` is the frame ``user``."""
    call, scope = call_of(step), step.scope
    if call is None or not isinstance(scope, Scope):
        return None
    frame, node = call.frame, call.node
    expression: cst.CSTNode | None = argument_node(node, name, _signature(scope))
    while frame.function is not None:
        frame = frame.holder(expression.value) if isinstance(expression, cst.Name) else frame
        stop = frame is user or (user.self_value is not None and frame.self_value is user.self_value)
        if expression is None:
            outer = frame.call
            if outer is None or stop or not _hands_on(node, frame):
                return Decided(frame.place(node), frame)
            frame, node = outer.frame, outer.node
            expression = argument_node(node, name, None)
            continue
        parameter = _parameter_in(expression, frame, value)
        if stop or parameter is None:
            return Decided(frame.place(expression), frame, parameter is not None)
        written = frame.given(parameter, value)
        if frame.call is None or written is None:
            break
        given, caller = written
        if caller is None:
            return Decided(frame.call.frame.place(frame.call.node), frame.call.frame)
        expression, node, frame = given, frame.call.node, caller
    return Decided(frame.place(expression if expression is not None else node), frame)


def _signature(scope: Scope) -> Signature | None:
    if scope.layer is not None and scope.layer.layer is not None:
        return scope.layer.layer.row.signature
    return ops.FUNCTIONS[scope.op.name].signature if scope.op is not None and scope.op.name in ops.FUNCTIONS else None


def _hands_on(node: cst.CSTNode, frame: Frame) -> bool:
    """Does a call pass on the keyword arguments of the function in which it stands?"""
    if not isinstance(node, cst.Call) or frame.function is None:
        return False
    star = frame.function.node.params.star_kwarg
    names = [a.value.value for a in node.args if a.star == "**" and isinstance(a.value, cst.Name)]
    return star is not None and star.name.value in names


def _parameter_in(expression: cst.CSTNode, frame: Frame, value: object) -> str | None:
    """The parameter from which an expression has its number: ``stride``, or ``(stride, 1, 1)``."""
    if isinstance(expression, cst.Tuple):
        parts = [e.value.value for e in expression.elements if isinstance(e.value, cst.Name)]
    else:
        parts = [expression.value] if isinstance(expression, cst.Name) else []
    held = {name for name in parts if name in frame.arguments and _has(frame.locals.get(name), value)}
    held |= {name for name in parts if name in frame.first and frame.given(name, value) is not None}
    return held.pop() if len(held) == 1 else None


def _has(held: object, value: object) -> bool:
    return held == value or (isinstance(held, tuple) and value in held)


def call_of(step: Step) -> Call | None:
    """Where the layer of a step was constructed, or its function called."""
    scope = step.scope
    if not isinstance(scope, Scope):
        return None
    if scope.layer is not None:
        return scope.layer.layer.call if scope.layer.layer is not None else None
    return Call(scope.node, scope.frame) if scope.node is not None else None


def argument_node(node: object, name: str | None, signature: Signature | None) -> cst.BaseExpression | None:
    """The expression that a call gives for a parameter."""
    if not isinstance(node, cst.Call) or name is None:
        return None
    position = -1 if _names_its_object(node) else 0
    names = signature.positional if signature is not None else ()
    for argument in node.args:
        if argument.star:
            return None
        if argument.keyword is not None:
            if argument.keyword.value == name:
                return argument.value
            continue
        if 0 <= position < len(names) and names[position] == name:
            return argument.value
        position += 1
    return None


def _names_its_object(node: cst.Call) -> bool:
    """``nn.Conv2d.__init__(self, in_channels, ...)``"""
    function = node.func
    return (
        isinstance(function, cst.Attribute)
        and function.attr.value == "__init__"
        and not isinstance(function.value, cst.Call)
    )


def passed_on(made: Call, name: str, positional: Sequence[str]) -> tuple[cst.BaseExpression, Frame] | None:
    """What the caller of ``def conv(*args, **kwargs): return nn.Conv2d(*args, **kwargs)`` wrote for a parameter of what
    is called there, and the caller's frame.  ``positional``: the parameters that are given by position."""
    node, function, outer = made.node, made.frame.function, made.frame.call
    if not isinstance(node, cst.Call) or function is None or outer is None or not isinstance(outer.node, cst.Call):
        return None
    params, given = function.node.params, outer.node.args
    if any(argument.star for argument in given):
        return None
    if _hands_on(node, made.frame) and (found := argument_node(outer.node, name, None)) is not None:
        return found, outer.frame
    stars = [i for i, a in enumerate(node.args) if a.star == "*" and isinstance(a.value, cst.Name)]
    star = params.star_arg.name.value if isinstance(params.star_arg, cst.Param) else None
    if len(stars) != 1 or name not in positional:
        return None
    starred = node.args[stars[0]].value
    if not isinstance(starred, cst.Name) or starred.value != star:
        return None
    in_front = sum(argument.keyword is None for argument in node.args[: stars[0]])
    is_method = function.owner is not None and function.kind != "static"
    bound = is_method and (isinstance(outer.node.func, cst.Attribute) or function.name == "__init__")
    before = len(params.posonly_params) + len(params.params) - bound
    position = positional.index(name) - in_front + before
    places = [argument.value for argument in given if argument.keyword is None]
    return (places[position], outer.frame) if before <= position < len(places) else None
