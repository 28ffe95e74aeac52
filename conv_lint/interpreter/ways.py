"""The way of a tensor back to where it came from, along one of its axes, and who did each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import libcst as cst

from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.ops.rule import Op
from conv_lint.values import Value

#: No way is longer than this, as far as we look.
MAX_WAY = 400


@dataclass(frozen=True)
class Scope:
    """Who did a step: the frame and the call in which it was done, and the layer that did it, if one did; for a
    function what it was asked."""

    frame: Frame
    layer: Instance | None
    node: cst.CSTNode | None = None
    op: Op | None = None


@dataclass(frozen=True)
class Scene:
    """The call that failed, for those who judge it once the whole file has run.

    ``locals``: the names of the running functions as they were then, the innermost first.
    """

    frame: Frame
    node: cst.CSTNode | None
    layer: Instance | None
    at: str | None
    locals: tuple[tuple[Frame, dict[str, Value]], ...]


def size_at(step: Step, axis: int) -> Dim | None:
    """The size of what a step made, at an axis from the right."""
    shape = tuple(tuple.__iter__(step.shape))
    return shape[axis] if -len(shape) <= axis < 0 else None


@dataclass(frozen=True)
class Point:
    """A step on a way, and where the axis that is followed stands in what it made, counted from the right."""

    step: Step
    axis: int

    @property
    def size(self) -> Dim | None:
        return size_at(self.step, self.axis)


def way_at(step: Step, axis: int) -> list[Point]:
    """The steps back from one, along the parents that have its size at ``axis``: beside the image that is scaled
    stands a scale of one pixel.  Where dimensions are put in another order, the axis is followed."""
    way = [Point(step, axis)]
    while way[-1].step.parents and len(way) < MAX_WAY:
        parents, size, axis = way[-1].step.parents, way[-1].size, _before(way[-1])
        same = (p for p in parents if size is not None and size_at(p, axis) == size)
        way.append(Point(next(same, parents[0]), axis))
    return way


def decided_by(step: Step, size: object) -> Step:
    """The step that has decided the one size of this value of what a step made; what only passes it on is not."""
    shape = tuple(tuple.__iter__(step.shape))
    axes = [axis - len(shape) for axis, other in enumerate(shape) if other == size]
    if len(axes) != 1:
        return step
    made = step
    for point in way_at(step, axes[0]):
        if point.size != size:
            break
        made = point.step
        if made.made == point.axis:
            break
    return made


def order_of(op: Op, count: int) -> list[int] | None:
    """In which order a permutation or a transposition puts ``count`` dimensions; ``None`` for other operations."""
    order: Any
    if op.name.endswith(".permute"):
        order = op.args.get("dims")
        order = order[0] if isinstance(order, tuple) and len(order) == 1 and isinstance(order[0], tuple) else order
    elif op.name.endswith((".transpose", ".swapaxes", ".swapdims")):
        pair: list[Any] = [value for name, value in op.args.items() if name != "input"]
        if len(pair) != 2 or not all(isinstance(v, int) and -count <= v < count for v in pair):
            return None
        order = list(range(count))
        order[pair[0]], order[pair[1]] = order[pair[1]], order[pair[0]]
    else:
        return None
    if not isinstance(order, (tuple, list)) or len(order) != count or not all(isinstance(v, int) for v in order):
        return None
    return [axis % count for axis in order]


#: What may put a dimension in another place, counted from the right, without changing it.
_REGROUPS = tuple(
    f".{name}" for name in "view reshape flatten unflatten Flatten mean sum amax amin squeeze unsqueeze".split()
)


def _before(point: Point) -> int:
    """Where the axis stands in the input of a step."""
    scope, count = point.step.scope, tuple.__len__(point.step.shape)
    op = scope.op if isinstance(scope, Scope) else None
    if op is None:
        return point.axis
    if op.name.endswith(_REGROUPS):
        return _elsewhere(point)
    order = order_of(op, count)
    return order[point.axis] - count if order is not None and point.axis >= -count else point.axis


def _elsewhere(point: Point) -> int:
    """Where the one dimension of the same size stands in what was regrouped; the same place if there are several."""
    size, parents = point.size, point.step.parents
    before = tuple(tuple.__iter__(parents[0].shape)) if parents else ()
    found = [axis - len(before) for axis, other in enumerate(before) if other == size]
    return found[0] if len(found) == 1 else point.axis
