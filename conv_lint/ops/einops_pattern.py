"""The pattern language of einops, ``b (h p) ... -> b h p ...``, as groups of axes, and what can be wrong with it.

Follows einops 0.8 (``einops/parsing.py``, ``einops.einops._prepare_transformation_recipe``).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

ELLIPSIS = "..."
REDUCTIONS = ("min", "max", "sum", "mean", "prod", "any", "all")


class PatternError(Exception):
    """The pattern itself is wrong, whatever tensor it meets."""


class Number:
    """An axis without a name, written as its length.  Two of them are never the same axis."""

    __slots__ = ("length",)

    def __init__(self, length: int) -> None:
        self.length = length

    def __str__(self) -> str:
        return str(self.length)


Axis: TypeAlias = str | Number
#: The axes that make up one dimension; ``()`` is a dimension of length 1, ``"..."`` stands for any number of them.
Group: TypeAlias = tuple[Axis, ...] | str


@dataclass(frozen=True)
class Side:
    """One side of the arrow."""

    groups: tuple[Group, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Every axis in order; a bare ellipsis counts as the axis ``"..."``."""
        return tuple(axis for group in self.groups for axis in ((group,) if isinstance(group, str) else group))

    @property
    def numbers(self) -> tuple[Number, ...]:
        return tuple(axis for axis in self.axes if isinstance(axis, Number))

    @property
    def has_ellipsis(self) -> bool:
        return ELLIPSIS in self.axes


@dataclass(frozen=True)
class Pattern:
    """A whole pattern of rearrange, reduce or repeat, known to be sound."""

    text: str
    left: Side
    right: Side


def write(group: Group) -> str:
    """A group as the pattern has it: ``h``, ``(h p)``, ``1``."""
    if isinstance(group, str):
        return group
    return str(group[0]) if len(group) == 1 else f"({' '.join(map(str, group))})" if group else "1"


# one side ---------------------------------------------------------------------------------------------------


def parse_side(text: str, underscore: bool = False, duplicates: bool = False) -> Side:
    """The groups of one side; raises :class:`PatternError`."""
    if text.count(".") != 3 * text.count(ELLIPSIS):
        raise PatternError(f"the dots in '{text.strip()}' are not an ellipsis '...'")
    if text.count(ELLIPSIS) > 1:
        raise PatternError(f"'{text.strip()}' has more than one ellipsis")
    groups: list[Group] = []
    inside: list[Axis] | None = None
    for token in _tokens(text):
        if token == "(":
            if inside is not None:
                raise PatternError(f"'{text.strip()}' has parentheses inside parentheses")
            inside = []
        elif token == ")":
            if inside is None:
                raise PatternError(f"the parentheses of '{text.strip()}' are not balanced")
            groups.append(tuple(inside))
            inside = None
        elif inside is None:
            groups.append(ELLIPSIS if token == ELLIPSIS else _axes(token, underscore))
        else:
            inside += _axes(token, underscore)
    if inside is not None:
        raise PatternError(f"the parentheses of '{text.strip()}' are not balanced")
    side = Side(tuple(groups))
    if not duplicates:
        _no_duplicates(side, underscore)
    return side


def _tokens(text: str) -> Iterable[str]:
    for char in text:
        if not (char.isalnum() or char in "_.() "):
            raise PatternError(f"{char!r} cannot stand in a pattern")
    # einops reads an ellipsis that touches a letter as part of a name, and refuses that name.
    return text.replace("(", " ( ").replace(")", " ) ").split()


def _axes(token: str, underscore: bool) -> tuple[Axis, ...]:
    """The axes that a word stands for: a name, a length, or nothing for ``1``."""
    if token == ELLIPSIS or (underscore and token == "_"):
        return (token,)
    if token.isdecimal():
        if int(token) == 0:
            raise PatternError("an axis cannot have length 0")
        return () if int(token) == 1 else (Number(int(token)),)
    if not is_axis_name(token):
        raise PatternError(f"'{token}' is not the name of an axis")
    return (token,)


def is_axis_name(word: str) -> bool:
    """Names are Python identifiers that neither start nor end with an underscore."""
    return word.isidentifier() and word[0] != "_" and word[-1] != "_"


def _no_duplicates(side: Side, underscore: bool) -> None:
    seen: set[Axis] = set()
    for axis in side.axes:
        if axis in seen and not (underscore and axis == "_"):
            raise PatternError(f"'{axis}' stands twice on one side of the pattern")
        seen.add(axis)


# both sides -------------------------------------------------------------------------------------------------


@functools.lru_cache(256)
def parse(text: str, operation: str, given: tuple[str, ...]) -> Pattern:
    """A pattern for ``operation`` (``"rearrange"``, ``"repeat"``, or a reduction), with the names of the axes whose
    lengths are given; raises :class:`PatternError`."""
    pattern = Pattern(text, *(parse_side(side) for side in split(text)))
    _check_ellipsis(pattern)
    _check_names(pattern, operation, given)
    _check_given(pattern, given)
    for group in pattern.left.groups:
        _check_inferable(group, given)
    return pattern


def split(text: str) -> tuple[str, str]:
    """The two sides of the arrow."""
    sides = text.split("->")
    if len(sides) != 2:
        raise PatternError(f"the pattern '{text}' has {'no' if len(sides) == 1 else 'more than one'} '->'")
    return sides[0], sides[1]


def _check_ellipsis(pattern: Pattern) -> None:
    if pattern.right.has_ellipsis and not pattern.left.has_ellipsis:
        raise PatternError(f"'{pattern.text}' has an ellipsis on the right side only")
    if pattern.left.has_ellipsis and ELLIPSIS not in pattern.left.groups:
        raise PatternError(f"'{pattern.text}' has its ellipsis inside parentheses on the left side")


def _check_names(pattern: Pattern, operation: str, given: Sequence[str]) -> None:
    left, right = pattern.left.axes, pattern.right.axes
    only_left = [axis for axis in left if axis not in right]
    only_right = [axis for axis in right if axis not in left]
    if operation == "rearrange":
        for number in (*pattern.left.numbers, *pattern.right.numbers):
            raise PatternError(f"rearrange takes no numbers but 1: name the axis of {number} and give its length")
        if only_left:
            raise PatternError(
                f"{_listed(only_left)} only on the left of '{pattern.text}'; rearrange keeps every axis,"
                " reduce drops some"
            )
        if only_right:
            raise PatternError(
                f"{_listed(only_right)} only on the right of '{pattern.text}'; rearrange makes no new axis, repeat does"
            )
    elif operation == "repeat":
        if only_left:
            raise PatternError(f"{_listed(only_left)} only on the left of '{pattern.text}'; repeat keeps every axis")
        sizeless = [axis for axis in only_right if isinstance(axis, str) and axis not in given]
        if sizeless:
            raise PatternError(f"the new axis '{sizeless[0]}' has no length; write {sizeless[0]}=...")
    elif only_right:
        raise PatternError(f"{_listed(only_right)} only on the right of '{pattern.text}'; reduce makes no new axis")


def _listed(axes: Sequence[Axis]) -> str:
    names = list(dict.fromkeys(f"'{axis}'" for axis in axes))
    return names[0] + " is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"


def _check_given(pattern: Pattern, given: Sequence[str]) -> None:
    axes = (*pattern.left.axes, *pattern.right.axes)
    for name in given:
        if not is_axis_name(name):
            raise PatternError(f"'{name}' is not the name of an axis")
        if name not in axes:
            raise PatternError(f"{name}=... is given but '{pattern.text}' has no axis '{name}'")


def _check_inferable(group: Group, given: Sequence[str]) -> None:
    open_axes = [] if isinstance(group, str) else [a for a in group if isinstance(a, str) and a not in given]
    if len(open_axes) > 1:
        raise PatternError(
            f"the lengths of {' and '.join(map(str, open_axes))} in {write(group)} cannot be worked out;"
            f" write {open_axes[-1]}=..."
        )
