"""The smallest input of a net of which something is left where a kernel does not fit."""

from __future__ import annotations

from itertools import pairwise

from conv_lint.finding import Step
from conv_lint.interpreter.repair import window_of
from conv_lint.interpreter.ways import way_at


def smallest(step: Step, axis: int, needed: int) -> int | None:
    """The input with which ``step`` makes ``needed`` at ``axis``; ``None`` where a step is not understood."""
    way = way_at(step, axis)
    for point, before in pairwise(way):
        window = window_of(point)
        if window is None:
            if before.size != point.size or before.axis != point.axis:
                return None
        elif window.ceil:
            return None
        else:
            needed = max((needed - 1) * window.stride + window.span - 2 * window.padding, 1)
    return needed if not way[-1].step.parents else None
