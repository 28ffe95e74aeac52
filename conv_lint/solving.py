"""What sizes must be for two of them to be equal, and which of two is the larger."""

from __future__ import annotations

from conv_lint.dims import Dim, Expr, Symbol, exact_div, le, low, symbols, unknown


def solve(a: Dim, b: Dim) -> tuple[Symbol, Dim] | None:
    """The symbol, and what it must be, for ``a == b`` to hold; ``None`` where no symbol stands alone.

    A ``?`` is preferred to a named symbol, and a later symbol to an earlier one, so that names that a reader
    knows survive.
    """
    difference = a - b
    if not isinstance(difference, Expr):
        return None
    best: tuple[Symbol, Dim] | None = None
    for monomial, factor in difference.terms:
        if len(monomial) != 1 or not isinstance(monomial[0], Symbol):
            continue
        candidate = monomial[0]
        rest = difference - Expr(((monomial, factor),))
        if candidate in symbols(rest):
            continue
        value = exact_div(-rest, factor)
        if value is None:
            continue
        if best is None or _preference(candidate) > _preference(best[0]):
            best = (candidate, value)
    return best


def _preference(candidate: Symbol) -> tuple[bool, tuple[object, ...]]:
    return (not candidate.given, candidate.key)


def maximum(a: Dim, b: Dim) -> Dim:
    """``max(a, b)``; unknown where the two cannot be compared, but known to be at least the larger lower bound."""
    if le(a, b):
        return b
    if le(b, a):
        return a
    return unknown(max((x for x in (low(a), low(b)) if x is not None), default=None))


def minimum(a: Dim, b: Dim) -> Dim:
    """``min(a, b)``; unknown where the two cannot be compared."""
    if le(a, b):
        return a
    if le(b, a):
        return b
    least_a, least_b = low(a), low(b)
    return unknown(None if least_a is None or least_b is None else min(least_a, least_b))


def divisors_near(number: Dim, wanted: Dim) -> str | None:
    """The three divisors of a number that are nearest to the one that was given, for a reader: ``4 or 5 or 10``."""
    if not isinstance(number, int) or not isinstance(wanted, int) or not 0 < number <= LARGEST:
        return None
    counts = [n for n in range(1, number + 1) if number % n == 0]
    return " or ".join(map(str, sorted(sorted(counts, key=lambda n: abs(n - wanted))[:3])))


#: Of no larger number the divisors are looked for.
LARGEST = 100_000
