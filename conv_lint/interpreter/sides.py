"""Which of two layers has the odd number, where the one gives what the other does not take.

A layer is the odd one if its number is no number of the function that makes it, while the number of the other side is:
``nn.Conv2d(width, width * 2, 1)`` where the other tensor of a sum has ``width`` channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from conv_lint.dims import Dim
from conv_lint.finding import Place, Step
from conv_lint.interpreter.decided import Decided, decided
from conv_lint.interpreter.objects import Frame
from conv_lint.interpreter.unread import is_unread
from conv_lint.interpreter.ways import Scope, size_at
from conv_lint.ops.rule import origin

GIVES = ("out_channels", "out_features")


@dataclass(frozen=True)
class Maker:
    """A layer that decides a size of a tensor, and where that number was written."""

    step: Step
    size: Dim
    name: str
    decided: Decided

    @property
    def numbers(self) -> dict[str, Dim]:
        """The whole numbers that have a name in the function around the layer."""
        held = self.decided.frame.locals.items()
        return {name: v for name, v in held if isinstance(v, int) and not isinstance(v, bool)}

    @property
    def words(self) -> set[str]:
        """The names in the expression that was written for the number; none if it is one name."""
        node = self.decided.place.node
        if not isinstance(node, cst.CSTNode) or isinstance(node, (cst.Name, cst.Call)):
            return set()
        return set(_names(node))

    def odd_beside(self, size: object) -> bool:
        """Has the function around it a name for ``size``, but none for what the layer makes?"""
        values = self.numbers.values()
        return size in values and self.size not in values


def maker(step: Step, axis: int, user: Frame) -> Maker | None:
    """The layer that has decided a size of what a step made."""
    found = origin(step, axis).step
    scope = found.scope if found is not None else None
    size = size_at(step, axis)
    if found is None or not isinstance(scope, Scope) or scope.layer is None or size is None:
        return None
    for name in GIVES:
        if name in scope.layer.attrs and found.made is not None:
            place = decided(found, name, size, user)
            return Maker(found, size, name, place) if place is not None else None
    return None


@dataclass(frozen=True)
class Blame:
    """Where the odd number stands, and what to write, if that is known."""

    place: Place
    frame: Frame
    fix: str | None = None


def of_a_sum(operands: tuple[Step, ...], axis: int, sizes: tuple[object, object], user: Frame) -> Blame | None:
    """Of tensors that are added or joined and differ at ``axis``, the layer that made one of them so."""
    makers = [m for step in operands if (m := maker(step, axis, user)) is not None]
    a, b = sizes
    odd = [m for m in makers if m.size in sizes and m.odd_beside(b if m.size == a else a)]
    if len({m.decided.place.key for m in odd}) == 1:
        other = b if odd[0].size == a else a
        return Blame(odd[0].decided.place, odd[0].decided.frame, f"{odd[0].name}={other} in {odd[0].step.label}")
    pair = [next((m for m in makers if m.size == size), None) for size in sizes]
    one, two = pair
    if odd or one is None or two is None or one.decided.frame.function is not two.decided.frame.function:
        return None
    # Whichever it is, it is written where both were made.
    last = max(one, two, key=lambda m: m.decided.place.position)
    return Blame(last.decided.place, last.decided.frame)


def of_a_producer(source: Step, axis: int, takes: int, user: Frame, consumer: Frame | None) -> Blame | None:
    """The layer that makes too many or too few channels for the next block, by an expression with a name in it that
    has the number which is needed; or one that makes other channels than a parameter says that nobody reads."""
    parts = source.parents if source.made == axis and not _is_layer(source) else (source,)
    sizes = [size_at(part, axis) for part in parts]
    if not parts or not all(isinstance(size, int) for size in sizes):
        return None
    makers = [maker(part, axis, user) for part in parts]
    for found in makers:
        if found is None or (consumer is not None and consumer.function is found.decided.frame.function):
            continue
        for name in _candidates(found):
            total = 0
            for size, other in zip(sizes, makers):
                same = other is not None and other.decided.place.key == found.decided.place.key
                value = other.numbers.get(name) if same and other is not None else size
                total += value if isinstance(value, int) else 0
            if total == takes:
                return Blame(found.decided.place, found.decided.frame, f"{found.name}={name}")
    return None


def _candidates(found: Maker) -> Iterator[str]:
    numbers = found.numbers
    for name in numbers:
        if name in found.words or is_unread(found.decided.frame, name):
            yield name


def _is_layer(step: Step) -> bool:
    return isinstance(step.scope, Scope) and step.scope.layer is not None


def _names(node: cst.CSTNode) -> Iterator[str]:
    if isinstance(node, cst.Name):
        yield node.value
    for child in node.children if not isinstance(node, cst.Attribute) else ():
        yield from _names(child)
