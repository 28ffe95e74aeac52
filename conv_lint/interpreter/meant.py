"""What was meant, where the rest of the function or the net says it: the tensor that the sibling of a layer is given,
one number of pixels in both directions, patches that lie side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import libcst as cst

from conv_lint.finding import Place, Step
from conv_lint.interpreter.decided import Decided, decided
from conv_lint.interpreter.follows import steps
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.repair import window_of
from conv_lint.interpreter.ways import Point, Scene, Scope, size_at
from conv_lint.tree import walk


def calls_of_siblings(scene: Scene) -> Iterator[tuple[str, str]]:
    """``("hx", "convr")`` for each ``self.convr(hx)`` beside a failing ``self.convz(h)`` in its function."""
    frame, node = scene.frame, scene.node
    if frame.function is None or not isinstance(frame.self_value, Instance):
        return
    for found in walk(frame.function.node.body):
        if found is node or not isinstance(found, cst.Call) or len(found.args) != 1:
            continue
        name, layer = found.args[0].value, found.func
        if isinstance(name, cst.Name) and isinstance(layer, cst.Attribute) and _is_self(layer.value, frame):
            yield name.value, layer.attr.value


def _is_self(node: cst.CSTNode, frame: Frame) -> bool:
    return isinstance(node, cst.Name) and frame.locals.get(node.value) is frame.self_value


def uneven_pool(trail: tuple[Step, ...], takes: object) -> tuple[Place, str] | None:
    """An adaptive pool to several sizes, ``(1, 2)``, where one of them for all makes what a layer takes behind the
    flattening, and what to write."""
    for step in steps(trail):
        scope = step.scope
        if not isinstance(scope, Scope) or step.place is None:
            continue
        name: str = scope.layer.torch_name if scope.layer is not None else scope.op.name if scope.op is not None else ""
        found = re.search(r"\.[Aa]daptive.*([123])d$", name)
        if found is None:
            continue
        sizes, n = tuple(tuple.__iter__(step.shape)), int(found[1])
        pixels, channels = sizes[len(sizes) - n :], size_at(step, -n - 1)
        if n < 2 or len(set(pixels)) == 1 or not isinstance(channels, int):
            return None
        for size in sorted({p for p in pixels if isinstance(p, int)}):
            if channels * size**n == takes:
                return step.place, f"output_size={size}"
    return None


@dataclass(frozen=True)
class Patches:
    """The argument of a convolution that makes as many patches as the net counts on, and its value."""

    decided: Decided
    name: str
    value: int


def patches(trail: tuple[Step, ...], given: object, wanted: object, user: Frame) -> Patches | None:
    """Of a convolution over a square image whose pixels become tokens: kernel, stride or padding.

    ``given``, ``wanted``: the numbers of tokens, one for the class or the like among them.
    """
    if not isinstance(given, int) or not isinstance(wanted, int):
        return None
    for step in steps(trail):
        window = window_of(Point(step, -1))
        side, before = size_at(step, -1), size_at(step.parents[0], -1) if step.parents else None
        if window is None or not isinstance(side, int) or side != size_at(step, -2):
            continue
        more = given - side * side
        aim = math.isqrt(wanted - more) if wanted > more else 0
        if not 0 <= more <= 2 or not aim or aim * aim != wanted - more:
            return None
        # The input of a model may have got its size only after it was written down: what would give this map is tried.
        least = (side - 1) * window.stride + window.span - 2 * window.padding
        sizes = (
            [before] if isinstance(before, int) else [s for s in range(least, least + window.stride) if s % aim == 0]
        )
        ideas = {"kernel_size": window.stride, "stride": window.kernel_size, "padding": (window.span - 1) // 2}
        for name, value in ideas.items():
            other = replace(window, **{name: value})  # type: ignore[arg-type]
            if other != window and any(other.over(size) == aim for size in sizes):
                place = decided(step, name, getattr(window, name), user)
                return Patches(place, name, value) if place is not None else None
        return None
    return None
