"""Which layer made one of several tensors too large or too small for the others.

Where a residual addition or a concatenation does not fit by a few rows, and only one layer on the way of one tensor
has changed the size since the ways parted, that layer's padding or kernel is what a person would edit.  Where a stride
is involved, either side may be the one that is wrong, and the addition itself is the place.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step

#: No way is longer than this, as far as we look.
MAX_WAY = 400


def culprit(operands: Sequence[Step], axis: int) -> Step | None:
    """The step that alone gave one of the operands another size at ``axis`` (from the right) than all others have."""
    ways = [_way(step) for step in operands]
    if len(ways) < 2 or not all(ways):
        return None
    shared = set.intersection(*({id(s) for s in way} for way in ways))
    fork = next((s for s in ways[0] if id(s) in shared), None)
    size = _size(fork, axis) if fork is not None else None
    if size is None:
        return None
    found: list[Step] = []
    for way in ways:
        made = _size(way[0], axis)
        if made is None:
            return None
        if made == size:
            continue
        changes = _changes(way, shared, axis)
        if len(changes) != 1 or not isinstance(made - size, int):
            return None
        found += changes
    return found[0] if len(found) == 1 else None


def _way(step: Step) -> list[Step]:
    """The steps back from one, along the main parents."""
    way = [step]
    while way[-1].parents and len(way) < MAX_WAY:
        way.append(way[-1].parents[0])
    return way


def _size(step: Step, axis: int) -> Dim | None:
    shape = tuple(tuple.__iter__(step.shape))
    return shape[axis] if -len(shape) <= axis < 0 else None


def _changes(way: Sequence[Step], shared: set[int], axis: int) -> list[Step]:
    """The steps behind the fork that changed the size."""
    found = []
    for step, before in itertools.pairwise(way):
        if id(step) in shared:
            break
        size, old = _size(step, axis), _size(before, axis)
        if size is None or old is None or dims.eq(size, old) is not True:
            found.append(step)
    return found
