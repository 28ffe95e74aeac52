"""Where a finding stands: the expression that a person would edit, in the file that is being linted.

A number passed on as a parameter is followed to the caller who wrote it, up to the place where both sides of the
disagreement were made: two layers of one block disagree inside the block, two blocks where both were constructed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.finding import Finding, Origin, Place, Report, Step
from conv_lint.interpreter.culprit import culprit
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
    wrong = _culprit(report, trail, frame)
    _keep(machine, report, [wrong, *places] if wrong is not None else places, trail)


def _culprit(report: Report, operands: tuple[Step, ...], frame: Frame) -> Place | None:
    """Of tensors that do not fit by a few rows, the layer that made one of them so: where the module that joins them
    has constructed it, else where it was constructed."""
    axis, shape = report.facts.get("axis"), report.facts.get("left")
    if report.rule not in (catalogue.broadcast, catalogue.concatenate) or not isinstance(axis, int):
        return None
    if not isinstance(shape, tuple):
        return None
    sizes = [report.facts[name] for name in ("a", "b")]
    step = culprit(operands, axis - len(shape), sizes)  # type: ignore[arg-type]
    layer = step.scope.layer if step is not None and isinstance(step.scope, Scope) else None
    if layer is None or layer.layer is None or not _is_one(layer.attrs.get("stride")):
        return None
    if axis - len(shape) < -layer.layer.row.n:  # its channels: the other side may be wrong as well
        return None
    made = layer.layer.call
    calls = [made, *(f.call for f in made.frame.stack() if f.call is not None)]
    own = [c for c in calls if c.frame.self_value is not None and c.frame.self_value is frame.self_value]
    call = own[0] if own else made
    assert step is not None
    made_size = tuple(tuple.__iter__(step.shape))[axis - len(shape)]
    others = [size for size in sizes if size != made_size]
    report.facts["fix"] = _padding(step, layer, axis - len(shape), others[0]) if others else None  # type: ignore[arg-type]
    return call.frame.place(call.node)


def _padding(step: Step, layer: Instance, axis: int, kept: Dim) -> str | None:
    """The padding with which a convolution or pool of stride 1 keeps the size, if a whole number of rows does it."""
    missing = kept - tuple(tuple.__iter__(step.shape))[axis]
    padding = layer.attrs.get("padding")
    if isinstance(padding, tuple) and len(set(padding)) == 1:
        padding = padding[0]
    if not isinstance(padding, int) or not isinstance(missing, int) or missing % 2 or padding + missing // 2 < 0:
        return None
    return f"padding={padding + missing // 2} in {step.label}"


def _is_one(stride: object) -> bool:
    return stride == 1 or (isinstance(stride, tuple) and all(s == 1 for s in stride))


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
