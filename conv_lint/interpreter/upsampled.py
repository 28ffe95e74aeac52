"""The transposed convolution that makes a size smaller than what it is held against, by less than its stride.

A strided convolution makes of two sizes one, and ``output_padding`` says which of them its inverse makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from conv_lint.dims import Dim
from conv_lint.finding import Place, Step
from conv_lint.interpreter.decided import decided
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.repair import number
from conv_lint.interpreter.ways import Point, Scope, size_at, way_at

OUTPUT_PADDING = "output_padding"


@dataclass(frozen=True)
class Padded:
    """Where ``output_padding`` is written, or the layer without it, and what to write."""

    place: Place
    frame: Frame
    fix: str


def padded(step: Step, short: tuple[Dim, ...], long: tuple[Dim, ...], user: Frame) -> Padded | None:
    """The fix that makes what ``step`` made as long as ``long`` is."""
    if len(short) != len(long):
        return None
    differ = [axis - len(short) for axis, (a, b) in enumerate(zip(short, long)) if a != b]
    point = _transposed(step, differ[-1]) if differ else None
    layer = _layer(point)
    if point is None or layer is None or layer.layer is None:
        return None
    n = layer.layer.row.n
    wanted = [_wanted(layer, axis, n, short, long) for axis in range(-n, 0)]
    values = [value for value in wanted if value is not None]
    if len(values) < n:
        return None
    value = values[0] if len(set(values)) == 1 else tuple(values)
    place = decided(point.step, OUTPUT_PADDING, layer.attrs.get(OUTPUT_PADDING), user)
    fix = f"{OUTPUT_PADDING}={value} in {point.step.label}"
    return Padded(place.place, place.frame, fix) if place is not None else None


def is_short(step: Step, axis: int) -> bool:
    """Does the layer that has made a size give less than its stride times its input, whatever it is given?  One that
    gives just that is right, and a pool before it has dropped a row."""
    point = _transposed(step, axis)
    layer = _layer(point)
    if point is None or layer is None or layer.layer is None or not point.step.parents:
        return False
    stride, before = number(layer.attrs.get("stride"), axis, layer.layer.row.n), size_at(point.step.parents[0], axis)
    return stride is not None and before is not None and point.size is not None and point.size != before * stride


def _transposed(step: Step, axis: int) -> Point | None:
    """The layer that has made a size, if only steps that keep it come after."""
    way = way_at(step, axis)
    for point, before in pairwise(way):
        if before.axis != axis:
            return None
        if before.size != point.size:
            return point if _layer(point) is not None else None
    return None


def _layer(point: Point | None) -> Instance | None:
    scope = point.step.scope if point is not None else None
    layer = scope.layer if isinstance(scope, Scope) else None
    return layer if layer is not None and "ConvTranspose" in layer.torch_name else None


def _wanted(layer: Instance, axis: int, n: int, short: tuple[Dim, ...], long: tuple[Dim, ...]) -> int | None:
    """The ``output_padding`` along an axis; ``None`` if torch takes none that large."""
    now, stride = (number(layer.attrs.get(name), axis, n) for name in (OUTPUT_PADDING, "stride"))
    missing = long[axis] - short[axis]
    if now is None or stride is None or not isinstance(missing, int) or missing < 0 or now + missing >= stride:
        return None
    return now + missing
