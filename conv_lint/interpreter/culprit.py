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


def culprit(operands: Sequence[Step], axis: int, sizes: Sequence[Dim]) -> Step | None:
    """The step that alone gave one of the operands another size at ``axis`` (from the right) than all others have.

    ``sizes``: the two sizes that disagree; the input of a model has got its own only after it was written down.
    """
    ways = [_way(step) for step in operands]
    if len(ways) < 2 or not all(ways):
        return None
    shared = set.intersection(*({id(s) for s in way} for way in ways))
    fork = next((s for s in ways[0] if id(s) in shared), None)
    if fork is None:
        return None
    size = _size(fork, axis)
    if size is None:
        size = _kept(ways, fork, axis, sizes)
    if size is None:
        return None
    found: list[Step] = []
    for way in ways:
        made = _size(way[0], axis)
        if way[0] is fork or made == size:
            continue
        if made is None:
            return None
        changes = _changes(way, shared, axis, size)
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


def _kept(ways: Sequence[Sequence[Step]], fork: Step, axis: int, sizes: Sequence[Dim]) -> Dim | None:
    """The size where the ways part, of which nothing is written: what the untouched tensor or most of them have."""
    made = [_size(way[0], axis) for way in ways if way[0] is not fork]
    if len(made) < len(ways):
        left = [size for size in sizes if size not in made]
        return left[0] if len(left) == 1 else None
    return next((size for size in sizes if sum(m == size for m in made) == len(made) - 1 > 1), None)


def _changes(way: Sequence[Step], shared: set[int], axis: int, start: Dim) -> list[Step]:
    """The steps behind the fork, where the size was ``start``, that changed it."""
    found = []
    for step, before in itertools.pairwise(way):
        if id(step) in shared:
            break
        size, old = _size(step, axis), start if id(before) in shared else _size(before, axis)
        if size is None or old is None or dims.eq(size, old) is not True:
            found.append(step)
    return found
