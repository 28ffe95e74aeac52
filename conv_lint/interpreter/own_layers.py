"""Layers of one's own: a parameter that ``__init__`` makes of a number it is given, and an operation of ``forward``.

``F.conv2d(x, self.weight)`` fails inside such a layer, and the number stands where the layer is made, as it does for a
layer of torch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import libcst as cst

from conv_lint import catalogue
from conv_lint.finding import Report, Step
from conv_lint.interpreter.objects import Class, Frame, Instance
from conv_lint.interpreter.ways import Scope
from conv_lint.ops.table import Row
from conv_lint.values import Tensor

#: Functions that make a tensor of the sizes that they are given (torch, "Creation Ops").
_MAKERS = frozenset("empty eye full ones rand randn zeros".split())


@dataclass(frozen=True)
class Number:
    """The number that an own layer was given for a parameter of its ``__init__``, in the frame that ran it, and what it
    would have to be."""

    layer: Instance
    parameter: cst.Name
    frame: Frame
    value: int
    wanted: int


def number_of(report: Report, operands: tuple[Step, ...], frame: Frame) -> Number | None:
    """The number of an own layer's parameter that an operation of its ``forward``, which runs in ``frame``, refuses."""
    layer = frame.self_value
    if not isinstance(layer, Instance) or layer.layer is not None:
        return None
    names = ("a", "b") if report.rule is catalogue.broadcast else ("takes", "given")
    one, two = (report.facts.get(name) for name in names)
    pairs = [(one, two), (two, one)] if report.rule is catalogue.broadcast else [(one, two)]
    own = (value.step for value in layer.attrs.values() if isinstance(value, Tensor) and value.parameter)
    # Where a parameter is worked upon before it is used, it is found among what the layer holds.
    for steps in (operands, [step for step in own if step is not None]):
        made = [m for step in steps for pair in pairs for m in _numbers(step, layer, *pair) if m.frame is not frame]
        if made:
            return made[0] if len(made) == 1 else None
    return None


def _numbers(step: Step, layer: Instance, value: object, wanted: object) -> Iterator[Number]:
    """The parameter of ``__init__`` that gave a tensor a size of this value, if it was made there."""
    maker = _maker(step)
    scope = maker.scope if maker is not None else None
    if not isinstance(scope, Scope) or scope.frame.self_value is not layer or not isinstance(scope.node, cst.Call):
        return
    if type(value) is not int or type(wanted) is not int:
        return
    sizes = {n.value: n for n in _sizes(scope.node) if isinstance(n, cst.Name)}
    names = [n for n in sizes if scope.frame.locals.get(n) == value and scope.frame.given(n, value) is not None]
    if len(names) == 1:
        yield Number(layer, sizes[names[0]], scope.frame, value, wanted)


def _maker(step: Step) -> Step | None:
    """The creation behind what changes no size: ``self.weight * self.scale``."""
    for _ in range(20):
        scope = step.scope
        if isinstance(scope, Scope) and scope.op is not None and scope.op.name.rpartition(".")[2] in _MAKERS:
            return step
        if not step.parents or step.made is not None or (isinstance(scope, Scope) and _cuts(scope)):
            return None
        step = step.parents[0]
    return None


def _cuts(scope: Scope) -> bool:
    """Is it ``self.pe[: x.size(1)]``, which leaves as much whatever there is?"""
    if scope.op is None or not scope.op.name.endswith(".__getitem__"):
        return False
    index = scope.op.args.get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, slice) and part.stop is not None for part in parts)


def _sizes(node: cst.Call) -> Iterator[cst.BaseExpression]:
    """The sizes that a creation is given, one by one or as a tuple."""
    for argument in node.args:
        if argument.star or argument.keyword is not None:
            continue
        if isinstance(argument.value, (cst.Tuple, cst.List)):
            yield from (element.value for element in argument.value.elements)
        else:
            yield argument.value


def stood_in_for(frame: Frame, row: Row, arguments: Mapping[str, Any]) -> Instance | None:
    """The layer that a function does the work of: ``F.conv2d(x, self.weight, ..., self.padding)`` in a class that
    derives from ``nn.Conv2d``."""
    holder = frame.self_value
    made = holder.layer if isinstance(holder, Instance) and isinstance(holder.cls, Class) else None
    if made is None or made.row.name.rpartition(".")[2].lower() != row.name.rpartition(".")[2].replace("_", ""):
        return None
    assert isinstance(holder, Instance)
    alike = (_per_axis(holder.attrs.get(n), row.n) == _per_axis(arguments.get(n), row.n) for n in _SLIDING)
    return holder if all(alike) else None


_SLIDING = ("stride", "padding", "dilation", "groups")


def _per_axis(value: object, n: int) -> object:
    return (value,) * n if isinstance(value, int) else value


def constructed_in(scope: Scope, site: Frame | None) -> Frame | None:
    """The frame that constructed the layer, or the own layer, which has done a step.

    What the module does that constructs the other side too, in ``site``, is no step of a layer.
    """
    if scope.layer is not None:
        return scope.layer.layer.call.frame if scope.layer.layer is not None else None
    holder = scope.frame.self_value
    if site is None or not isinstance(holder, Instance) or holder.call is None or not _has_parameters(holder):
        return None
    return None if any(f.self_value is holder for f in site.stack()) else holder.call.frame


def _has_parameters(holder: Instance) -> bool:
    return any(isinstance(value, Tensor) and value.parameter for value in holder.attrs.values())
