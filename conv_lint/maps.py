"""Sizes of feature maps: what cannot be told of every image, but of every image that a net is written for."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, TypeGuard

from conv_lint.dims import Dim, Expr, Symbol

#: No image that is larger than this is fed to a net.
LARGEST_IMAGE = 2048


@functools.lru_cache(maxsize=1024)
def differ_on_maps(a: Dim, b: Dim) -> bool:
    """Do the sizes of two feature maps differ for every image that leaves each of them at least 2?

    ``H // 16`` and ``H // 32`` are both 1 for a small enough image, and then nothing is left to convolve: a net is not
    written for that.  Every image up to :data:`LARGEST_IMAGE` is tried.  The same goes for widths that hang on one
    parameter: ``planes`` and ``planes // 2`` channels.
    """
    if not isinstance(a, Expr) or not isinstance(b, Expr) or a.symbols != b.symbols or len(a.symbols) != 1:
        return False
    (one,) = a.symbols
    if not (one.image or one.is_parameter):
        return False
    seen = False
    for value in range(one.low or 1, LARGEST_IMAGE + 1):
        known: dict[Dim, int] = {}
        size, other = _at(a, value, known), _at(b, value, known)
        if size >= 2 and other >= 2:
            if size == other:
                return False
            seen = True
    return seen


def is_extent(size: Dim) -> TypeGuard[Expr]:
    """Is it made of nothing but sizes of what is fed to the net?"""
    return isinstance(size, Expr) and all(s.image or (s.given and not s.is_parameter) for s in size.symbols)


def is_width(size: Dim) -> bool:
    """Is it a number of channels: one of more than one, or one that hangs on the parameters of the checked code?"""
    return size > 1 if isinstance(size, int) else all(symbol.is_parameter for symbol in size.symbols)


def has_channels_first(shape: Iterable[object], takes: Dim) -> bool:
    """Is it that of a map (N, C, H, W) for what takes C along the last dimension?  An image that is as wide as the map
    has channels would fit by chance."""
    sizes: list[Any] = list(shape)
    is_known = len(sizes) >= 4 and isinstance(sizes[0], (int, Expr))
    return is_known and is_width(takes) and sizes[1] == takes and is_extent(sizes[-1])


def _at(dim: Dim, value: int, known: dict[Dim, int]) -> int:
    """A size that depends on one symbol, where that has a value.

    ``known``: the parts that were worked out; the same quotient stands in a size many times.
    """
    if isinstance(dim, int):
        return dim
    if dim not in known:
        total = 0
        for monomial, factor in dim.terms:
            for atom in monomial:
                if isinstance(atom, Symbol):
                    factor *= value
                else:
                    factor *= _at(atom.numerator, value, known) // (_at(atom.denominator, value, known) or 1)
            total += factor
        known[dim] = total
    return known[dim]
