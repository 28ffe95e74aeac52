"""Where a finding stands: the expression that a person would edit, in the file that is being linted.

A number passed on as a parameter is followed to the caller who wrote it, up to the place where both sides of the
disagreement were made: two layers of one block disagree inside the block, two blocks where both were constructed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from conv_lint.finding import Finding, Origin, Place, Report, Step
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Call, Frame, Instance
from conv_lint.ops.rule import Signature


@dataclass(frozen=True)
class Scope:
    """Who did a step: the frame in which it was called, and the layer that did it, if one did."""

    frame: Frame
    layer: Instance | None


def report_at(machine: Machine, frame: Frame, node: cst.CSTNode, report: Report, trail: tuple[Step, ...] = ()) -> None:
    """Report something of a node itself."""
    places = [frame.place(node), *_calls(frame)]
    _keep(machine, report, places, trail)


def report_argument(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    report: Report,
    at: str | None,
    signature: Signature | None,
    layer: Instance | None = None,
    trail: tuple[Step, ...] = (),
) -> None:
    """Report something of the argument ``at`` of a call, or of the construction of the layer that was called."""
    source = report.facts.get("source")
    stop = _common_scope(frame, layer, source.step if isinstance(source, Origin) else None)
    places: list[Place] = []
    made = layer.layer.call if layer is not None and layer.layer is not None else None
    if made is not None and at is not None:
        places += _written(made, at, signature, stop)
        places += list(_calls(made.frame))
    if node is not None:
        expression = argument_node(node, at, signature) if at is not None and layer is None else None
        places += _followed(expression, frame, stop) if expression is not None else [frame.place(node)]
    places += _calls(frame)
    _keep(machine, report, places, trail)


def _written(made: Call, at: str, signature: Signature | None, stop: object) -> list[Place]:
    """The argument of a construction, followed to where it was written; the construction itself if it was not given."""
    expression = argument_node(made.node, at, signature)
    if expression is None:
        return [made.frame.place(made.node)]
    return _followed(expression, made.frame, stop)


def _keep(machine: Machine, report: Report, places: list[Place], trail: tuple[Step, ...]) -> None:
    """The first place in the linted file is where the finding stands; the others name the way to it."""
    path = machine.tree.path
    own = [p for p in places if p.file.path == path]
    if own:
        others = tuple(p for p in places if p is not own[0])
        machine.report(Finding(report, own[0], trail, others))


def argument_node(node: object, name: str | None, signature: Signature | None) -> cst.BaseExpression | None:
    """The expression that a call gives for a parameter."""
    if not isinstance(node, cst.Call) or name is None:
        return None
    position = 0
    for argument in node.args:
        if argument.star:
            return None
        if argument.keyword is not None:
            if argument.keyword.value == name:
                return argument.value
            continue
        if signature is not None and position < len(signature.positional) and signature.positional[position] == name:
            return argument.value
        position += 1
    return None


def _followed(expression: cst.CSTNode, frame: Frame, stop: object) -> list[Place]:
    """The expression, and what callers wrote for it if it is a mere parameter; the outermost first."""
    places = [frame.place(expression)]
    while isinstance(expression, cst.Name) and expression.value in frame.arguments:
        if frame is stop or (stop is not None and frame.self_value is stop):
            break
        expression, caller = frame.arguments[expression.value]
        if caller is None:
            assert frame.function is not None
            places.append(Place(frame.function.tree, expression))
            break
        frame = caller
        places.append(frame.place(expression))
    return places[::-1]


def _calls(frame: Frame) -> Iterator[Place]:
    """The calls that led here, the innermost first."""
    return (f.call.frame.place(f.call.node) for f in frame.stack() if f.call is not None)


def _common_scope(frame: Frame, layer: Instance | None, step: Step | None) -> object:
    """Where both sides were made: the frame that constructed both layers, or the module whose forward ran both."""
    scope = step.scope if step is not None else None
    if not isinstance(scope, Scope):
        return None
    if layer is not None and layer.layer is not None and scope.layer is not None and scope.layer.layer is not None:
        theirs = list(scope.layer.layer.call.frame.stack())
        common = next((f for f in layer.layer.call.frame.stack() if f in theirs), None)
        if common is not None and common.function is not None:
            return common
    callers = list(scope.frame.stack())
    shared = next((f for f in frame.stack() if f in callers), None)
    return shared.self_value if shared is not None else None
