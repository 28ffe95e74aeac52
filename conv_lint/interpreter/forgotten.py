"""What was made and then forgotten: a tensor whose name got another value or that got no name at all, a layer of a
block on the way that is never called, a layer that hangs nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from conv_lint.dims import Dim
from conv_lint.finding import Place, Step
from conv_lint.interpreter.follows import steps
from conv_lint.interpreter.objects import Call, Frame, Instance
from conv_lint.interpreter.unread import is_unread, overwritten
from conv_lint.interpreter.ways import Scene, Scope, way_at
from conv_lint.values import Tensor


@dataclass(frozen=True)
class Overwritten:
    """A tensor that its name has lost before anyone read it, and the expression of the next value."""

    name: str
    value: Tensor
    place: Place
    line: int


@dataclass(frozen=True)
class Dropped:
    """A statement whose value nobody gets, the name that was meant to get it, and what was meant, as it is written."""

    name: str
    meant: str
    place: Place


def overwritten_tensors(scene: Scene, trail: tuple[Step, ...]) -> Iterator[Overwritten]:
    """Of the running functions, where the next value of the name is on the way to the failing call."""
    way = {id(step) for step in steps(trail)}
    for frame, _ in scene.locals:
        for name, lost, target in overwritten(frame):
            value, following = frame.bound.get(id(lost)), frame.bound.get(id(target))
            if value is None or following is None or id(following.step) not in way:
                continue
            expression = _assigned_to(frame, target)
            if expression is not None:
                yield Overwritten(name, value, frame.place(expression), frame.place(lost).line)


def dropped_tensors(scene: Scene, trail: tuple[Step, ...]) -> Iterator[Dropped]:
    """Of the functions on the way to the failing call, what a statement makes of a tensor on that way and gives to
    nobody: ``x.view(-1, 576)``, ``x - self.classifier(x)`` where ``x = ...`` was meant."""
    way = list(steps(trail))
    on_way = {id(step) for step in way}
    frames = dict.fromkeys([f for f, _ in scene.locals] + [s.scope.frame for s in way if isinstance(s.scope, Scope)])
    for frame in frames:
        for expression, value in frame.dropped.items():
            step = value.step
            if step is None or id(step) in on_way or not any(id(parent) in on_way for parent in step.parents):
                continue
            if isinstance(expression, cst.Call) and tuple.__eq__(step.shape, step.parents[0].shape):
                continue  # ``pe.cuda()``: with it nothing would fit better
            meant = _meant(expression)
            if meant is not None and isinstance(step.scope, Scope) and step.scope.node is expression:
                name, wanted = meant
                yield Dropped(name, frame.tree.module.code_for_node(wanted), frame.place(expression))


def _meant(expression: cst.BaseExpression) -> tuple[str, cst.BaseExpression] | None:
    """The name that should have got a dropped value, and the value."""
    match expression:
        case cst.Call(func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value=method))):
            if name in ("torch", "F") and expression.args and isinstance(expression.args[0].value, cst.Name):
                name = expression.args[0].value.value
            return None if method.endswith("_") else (name, expression)
        case cst.BinaryOperation(left=cst.Name(value=name), operator=cst.Subtract(), right=right):
            return name, right
        case cst.Comparison(
            left=cst.Name(value=name),
            comparisons=[cst.ComparisonTarget(operator=cst.Equal(), comparator=right)],
        ):
            return name, right
    return None


def _assigned_to(frame: Frame, target: cst.CSTNode) -> cst.CSTNode | None:
    """The expression whose value a target gets."""
    waiting: list[cst.CSTNode] = [frame.function.node] if frame.function is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, cst.Assign) and any(t.target is target for t in node.targets):
            return node.value
        waiting += node.children
    return None


def passed(step: Step, axis: int, size: Dim) -> Iterator[tuple[Instance, Place]]:
    """The modules through which a size came unchanged, the last one first, each with the last call in its function."""
    seen: set[int] = set()
    for point in way_at(step, axis):
        scope = point.step.scope
        if point.size != size or not isinstance(scope, Scope):
            return
        node = scope.node
        for frame in scope.frame.stack():
            module = frame.self_value
            if isinstance(module, Instance) and module.is_module and id(module) not in seen and node is not None:
                seen.add(id(module))
                yield module, frame.place(node)
            node = frame.call.node if frame.call is not None else None


def unattached(user: Frame) -> Iterator[tuple[str, Instance, Call]]:
    """Layers that a function has made and given to nobody, with the call that makes the block that fails."""
    block = user.self_value
    call = block.call if isinstance(block, Instance) else None
    while call is not None:
        for name, value in call.frame.locals.items():
            is_free = isinstance(value, Instance) and value.is_module and value.owner is None and not value.called
            if isinstance(value, Instance) and is_free and is_unread(call.frame, name):
                yield name, value, call
        call = call.frame.call
