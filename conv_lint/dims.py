"""One size of a tensor: an int, or an expression over symbols.

A size is a plain ``int`` when it is known.  Otherwise it is an :class:`Expr`, a polynomial with integer
coefficients over *atoms*: symbols (``B``, ``H``, a constructor parameter, or a ``?`` that stands for one unknown
number) and floor divisions.  Expressions are kept in one sorted normal form, so two sizes that are the same are
equal tuples, and ``a - b`` of two equal sizes is the int 0.

Comparisons have three answers: ``True`` and ``False`` hold for every value of the symbols, ``None`` means that it
cannot be told.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

from conv_lint.polynomials import (
    Atom,
    Dim,
    Expr,
    Floor,
    Monomial,
    Symbol,
    at_least,
    cancelled,
    ceildiv,
    exact_div,
    floordiv,
    image_size,
    one_of,
    product,
    raised,
    rejoined,
    substitute,
    symbol,
    symbol_count,
    symbols,
    terms_of,
    undivided,
    unknown,
)
from conv_lint.rendering import render, render_shape, wrapped

__all__ = [
    "Atom",
    "Dim",
    "Expr",
    "Floor",
    "Monomial",
    "Symbol",
    "at_least",
    "cancelled",
    "ceildiv",
    "divides",
    "eq",
    "every",
    "exact_div",
    "floordiv",
    "high",
    "image_size",
    "le",
    "low",
    "lt",
    "one_of",
    "product",
    "raised",
    "rejoined",
    "render",
    "render_shape",
    "same",
    "substitute",
    "symbol",
    "symbol_count",
    "symbols",
    "terms_of",
    "undecided",
    "undivided",
    "unknown",
    "wrapped",
]  # fmt: skip

# comparing --------------------------------------------------------------------------------------------------


def low(dim: Dim) -> int | None:
    """The least value that the size can have, if one is known."""
    if isinstance(dim, int):
        return dim
    if dim._low is None or dim._low[0] != raised[0]:
        apart, together = _bound(dim, least=True), _relaxed(dim)
        dim._low = raised[0], max((b for b in (apart, together) if b is not None), default=None)
    return dim._low[1]


def high(dim: Dim) -> int | None:
    """The greatest value that the size can have, if one is known."""
    if isinstance(dim, int):
        return dim
    below = low(-dim)
    return None if below is None else -below


def _relaxed(dim: Expr) -> int | None:
    """A lower bound that sees that a size and its half move together: ``H - H//2`` is at least 1 for H >= 2.

    Each floor division becomes the fraction that bounds it, which leaves a polynomial with fractions; it is bounded
    where every factor but the constant's is positive.  All fractions are counted in units of ``1 / unit``.
    """
    if not any(isinstance(a, Floor) for m, _ in dim.terms for a in m):
        return None
    unit = _denominator(dim)
    if unit is None:
        return None
    parts: dict[Monomial, int] = {}
    _relax(dim, unit, parts)
    total = 0
    for monomial, factor in parts.items():
        bound = _monomial_bound(monomial, True) if factor > 0 or not monomial else None if factor else 0
        if bound is None:
            return None
        total += factor * bound
    return -(-total // unit)


def _denominator(dim: Dim) -> int | None:
    """The common denominator of the fractions that stand for floor divisions; ``None`` where that does not work."""
    common = 1
    for monomial, _ in terms_of(dim):
        for atom in monomial:
            if not isinstance(atom, Floor):
                continue
            if len(monomial) > 1 or not isinstance(atom.denominator, int) or atom.denominator < 1:
                return None
            inner = _denominator(atom.numerator)
            if inner is None:
                return None
            common = math.lcm(common, atom.denominator * inner)
    return common


def _relax(dim: Dim, factor: int, parts: dict[Monomial, int]) -> None:
    """Add ``factor * dim`` to ``parts`` with floor divisions replaced by what bounds them from below."""
    for monomial, count in terms_of(dim):
        share = factor * count
        floor = monomial[0] if monomial else None
        if not isinstance(floor, Floor):
            parts[monomial] = parts.get(monomial, 0) + share
            continue
        assert isinstance(floor.denominator, int)
        _relax(floor.numerator, share // floor.denominator, parts)
        if share > 0:
            parts[()] = parts.get((), 0) - share // floor.denominator * (floor.denominator - 1)


def _bound(dim: Dim, least: bool) -> int | None:
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, factor in dim.terms:
        bound = _monomial_bound(monomial, least == (factor > 0))
        if bound is None:
            return None
        total += factor * bound
    return total


def _monomial_bound(monomial: Monomial, least: bool) -> int | None:
    out = 1
    for atom in monomial:
        bound = _atom_bound(atom, least)
        if bound is None or (bound < 0 and len(monomial) > 1):
            return None
        if not least and len(monomial) > 1:
            lowest = _atom_bound(atom, True)
            if lowest is None or lowest < 0:
                return None
        out *= bound
    return out


def _atom_bound(atom: Atom, least: bool) -> int | None:
    if isinstance(atom, Symbol):
        return atom.low if least else atom.batch
    if isinstance(atom.denominator, int):
        bound = _bound(atom.numerator, least)
        return None if bound is None else bound // atom.denominator
    bottom, top = low(atom.denominator), low(atom.numerator)
    if least and bottom is not None and bottom >= 1 and top is not None and top >= 0:
        return 0
    return None


#: How many comparisons could not be told: who runs a rule can see that its answer hangs on the symbols.
undecided = [0]


def _cannot_tell() -> bool | None:
    undecided[0] += 1
    return None


def eq(a: Dim, b: Dim) -> bool | None:
    """Is ``a == b``: for every value of the symbols, for none, or cannot be told."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    difference = a - b
    if isinstance(difference, int):
        return difference == 0
    least, most = low(difference), high(difference)
    if (least is not None and least > 0) or (most is not None and most < 0):
        return False
    constant = dict(difference.terms).get((), 0)
    common = math.gcd(*(c for m, c in difference.terms if m))
    if constant % common:
        return False
    return _for_each_option(difference, lambda size: eq(size, 0))


def le(a: Dim, b: Dim) -> bool | None:
    """Is ``a <= b``: for every value of the symbols, for none, or cannot be told."""
    difference = b - a
    least, most = low(difference), high(difference)
    if least is not None and least >= 0:
        return True
    if most is not None and most < 0:
        return False
    return _for_each_option(difference, lambda size: le(0, size))


#: So many combinations of sizes that are one of several are tried.
MOST_OPTIONS = 16


def _for_each_option(dim: Dim, ask: Callable[[Dim], bool | None]) -> bool | None:
    """The answer to a question about a size, if it is the same whatever the symbols are that are one of several."""
    several = [symbol for symbol in symbols(dim) if symbol.options]
    if not several or math.prod(len(symbol.options) for symbol in several) > MOST_OPTIONS:
        return _cannot_tell()
    choices = itertools.product(*(symbol.options for symbol in several))
    answers = {ask(substitute(dim, dict(zip(several, sizes)))) for sizes in choices}
    return answers.pop() if len(answers) == 1 else _cannot_tell()


def lt(a: Dim, b: Dim) -> bool | None:
    """Is ``a < b``: for every value of the symbols, for none, or cannot be told."""
    return le(a + 1, b)


def divides(divisor: Dim, dim: Dim) -> bool | None:
    """Is ``dim`` a multiple of ``divisor``."""
    if isinstance(divisor, int) and isinstance(dim, int):
        return None if divisor == 0 else dim % divisor == 0
    if exact_div(dim, divisor) is not None:
        return True
    smaller = cancelled(dim, divisor) if isinstance(divisor, Expr) else None
    if smaller is not None:
        return divides(smaller[1], smaller[0])
    if isinstance(divisor, int) and isinstance(dim, Expr) and divisor:
        rest = {m: c % divisor for m, c in dim.terms}
        if not any(c for m, c in rest.items() if m):
            return False
        common = math.gcd(divisor, *(c for m, c in rest.items() if m))
        if rest.get((), 0) % common:
            return False
    return _cannot_tell()


def same(a: Iterable[Dim], b: Iterable[Dim]) -> bool | None:
    """Are two shapes equal; ``False`` if their lengths differ or any size does."""
    left, right = tuple(a), tuple(b)
    if len(left) != len(right):
        return False
    return every(eq(x, y) for x, y in zip(left, right))


def every(answers: Iterable[bool | None]) -> bool | None:
    """``False`` if any answer is, else ``None`` if any cannot be told, else ``True``."""
    out: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            out = None
    return out
