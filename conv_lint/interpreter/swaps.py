"""Layers that are the odd one by their own numbers: channels that stand in the wrong order, another number of
dimensions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conv_lint.finding import Place, Step
from conv_lint.interpreter.decided import Decided, decided
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.ways import Scope, size_at
from conv_lint.ops.rule import origin

#: What a layer takes and what it gives.
PAIRS = (("in_channels", "out_channels"), ("in_features", "out_features"))
_OF_A_RANK = re.compile(r"\.(?:Conv|ConvTranspose|MaxPool|AvgPool|BatchNorm)[123]d$")


@dataclass(frozen=True)
class Swapped:
    """Where the numbers stand in the wrong order, and what to write."""

    decided: Decided
    fix: str


def swapped(maker: Step, axis: int, takes: int, given: int, user: Frame) -> Swapped | None:
    """``nn.Conv2d(64, 3, 7)`` as the first layer, before layers that take 64 channels."""
    scope = maker.scope
    layer = scope.layer if isinstance(scope, Scope) else None
    if layer is None or not maker.parents or takes == given or not _is_first(maker.parents[0], axis, given):
        return None
    for into, out in PAIRS:
        if layer.attrs.get(into) == takes and layer.attrs.get(out) == given:
            place = decided(maker, into, takes, user)
            fix = f"{into}={given}, {out}={takes} in {maker.label}: they are swapped"
            return Swapped(place, fix) if place is not None else None
    return None


def _is_first(step: Step, axis: int, given: int) -> bool:
    """Is this the input of a model, that may well have so many channels?"""
    found = origin(step, axis)
    size = size_at(step, axis)
    unmade = found is not None and found.step is not None and not found.step.parents
    return unmade and (not isinstance(size, int) or size == given)


def of_another_rank(step: Step, rank: int, wanted: int) -> tuple[Place, str] | None:
    """The one layer on the way that is made for tensors of ``rank`` dimensions, where all others are for ``wanted``."""
    layers = [layer for point in step.way() if (layer := _layer(point)) is not None]
    odd = [layer for layer in layers if _dimensions(layer) == rank - 2]
    if len(odd) != 1 or len(layers) < 2 or any(_dimensions(o) != wanted - 2 for o in layers if o is not odd[0]):
        return None
    made = odd[0].layer.call if odd[0].layer is not None else None
    name = odd[0].class_name
    return (made.frame.place(made.node), f"{name[:-2]}{wanted - 2}d") if made is not None else None


def _layer(step: Step) -> Instance | None:
    layer = step.scope.layer if isinstance(step.scope, Scope) else None
    return layer if layer is not None and _OF_A_RANK.search(layer.torch_name) else None


def _dimensions(layer: Instance) -> int:
    return int(layer.torch_name[-2])
