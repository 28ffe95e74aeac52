"""What a size is that is not known, and its arithmetic: polynomials with integer coefficients over symbols and floor
divisions, in one sorted normal form."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

from conv_lint.rendering import render, wrapped

_serial = itertools.count()
#: An expression with more terms than this is replaced by one unknown symbol: nothing useful can be said of it.
MAX_TERMS = 48
#: So is one with a product of more atoms: squaring a symbol in a loop doubles them.
MAX_DEGREE = 16


#: Of so many numbers a reader is told which they are.
MOST_TOLD = 3


class Symbol:
    """One unknown whole number.

    ``low`` is the least value it can have (``None``: any).  ``given`` is true for the sizes that a reader would
    name (``B``, ``H``, a parameter) and false for a mere ``?``.  ``image`` is true for the height, width, depth or
    length of what is fed to a net, ``is_parameter`` for an argument of the checked code (see :mod:`conv_lint.maps`),
    ``is_number`` for one that is no tensor for sure.  ``batch`` is what a loader was asked for, ``last`` what is left;
    ``is_count`` is true for what counts its batches, ``varies`` for what is one number or another by a condition;
    ``options`` are those of which it is one.
    """

    __slots__ = (
        "batch", "given", "image", "is_count", "is_number", "is_parameter", "key", "last", "low", "name", "options",
        "serial", "varies",
    )  # fmt: skip

    def __init__(self, name: str = "?", low: int | None = None, given: bool = False, image: bool = False) -> None:
        self.name, self.low, self.given, self.image = name, low, given, image
        self.is_parameter = given and low is None
        self.is_number = self.is_count = self.varies = False
        self.batch: int | None = None
        self.last: int | None = None
        self.options: tuple[Dim, ...] = ()
        self.serial = next(_serial)
        self.key: tuple[object, ...] = (0, self.serial)

    @property
    def can_be_told(self) -> bool:
        """Is it one of a few numbers, ``24 or 32``?"""
        return 0 < len(self.options) <= MOST_TOLD and all(isinstance(size, int) for size in self.options)

    def __repr__(self) -> str:
        return f"({' or '.join(map(str, self.options))})" if self.can_be_told else self.name


class Floor:
    """``numerator // denominator`` that could not be simplified."""

    __slots__ = ("denominator", "key", "numerator")

    def __init__(self, numerator: Dim, denominator: Dim) -> None:
        self.numerator, self.denominator = numerator, denominator
        self.key: tuple[object, ...] = (1, _key(numerator), _key(denominator))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Floor) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"{wrapped(self.numerator)}//{wrapped(self.denominator)}"


Atom: TypeAlias = Symbol | Floor
Monomial: TypeAlias = tuple[Atom, ...]
Dim: TypeAlias = Union[int, "Expr"]


class Expr:
    """A polynomial over atoms in normal form; never a mere int (see :func:`_build`)."""

    __slots__ = ("_hash", "_low", "_symbols", "key", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self.key: tuple[object, ...] = tuple((tuple(a.key for a in m), c) for m, c in terms)
        self._hash: int | None = None
        self._symbols: frozenset[Symbol] | None = None
        self._low: tuple[int, int | None] | None = None

    # arithmetic -----------------------------------------------------------------------------------------------
    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return self._shifted(other)
        if not isinstance(other, Expr):
            return NotImplemented
        total = dict(self.terms)
        for monomial, factor in terms_of(other):
            total[monomial] = total.get(monomial, 0) + factor
        return _build(total)

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return Expr(tuple((m, c * other) for m, c in self.terms)) if other else 0
        if not isinstance(other, Expr):
            return NotImplemented
        theirs = other.terms
        if len(self.terms) * len(theirs) > MAX_TERMS or _degree(self.terms) + _degree(theirs) > MAX_DEGREE:
            return unknown()
        total: dict[Monomial, int] = {}
        for (m1, c1), (m2, c2) in itertools.product(self.terms, theirs):
            m = tuple(sorted(m1 + m2, key=_atom_key)) if m1 and m2 else m1 or m2
            total[m] = total.get(m, 0) + c1 * c2
        return _build(total)

    def _shifted(self, constant: int) -> Expr:
        """``self + constant``: the constant is the last term."""
        last, factor = self.terms[-1]
        if last == ():
            return Expr((*self.terms[:-1], (last, factor + constant)) if factor + constant else self.terms[:-1])
        return Expr((*self.terms, ((), constant))) if constant else self

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return self - other * floordiv(self, other)

    def __rmod__(self, other: int) -> Dim:
        return other - self * floordiv(other, self)

    # identity -------------------------------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.key == other.key

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.key)
        return self._hash

    @property
    def symbols(self) -> frozenset[Symbol]:
        """Every symbol in the expression, also those inside floor divisions."""
        if self._symbols is None:
            found: set[Symbol] = set()
            for monomial, _ in self.terms:
                for atom in monomial:
                    if isinstance(atom, Symbol):
                        found.add(atom)
                    else:
                        found |= symbols(atom.numerator) | symbols(atom.denominator)
            self._symbols = frozenset(found)
        return self._symbols

    def __repr__(self) -> str:
        return render(self)


def symbol_count() -> int:
    """How many symbols there have been: each one made from now on has at least this serial."""
    return next(_serial) + 1


def symbol(name: str, low: int | None = 1) -> Expr:
    """A size that the reader knows by a name, ``B`` or ``H``; at least ``low``."""
    return Expr((((Symbol(name, low, given=True),), 1),))


def image_size(name: str) -> Expr:
    """The height or width of an image that nothing is known of; channels last or a list of points, it may be one."""
    return Expr((((Symbol(name, 1, given=True, image=True),), 1),))


#: How often the least value of a symbol was raised: bounds worked out before that may be better now.
raised = [0]


def at_least(dim: Dim, least: int) -> None:
    """A lone symbol is known to be at least this much, what is divided by a number so much more: torch would refuse to
    make a layer otherwise.  So is each factor of a product that is to be above 0, as there are no negative widths."""
    monomial, factor = dim.terms[0] if isinstance(dim, Expr) and len(dim.terms) == 1 else ((), 0)
    is_lone = factor == 1 and len(monomial) == 1
    if is_lone or (factor > 0 and least > 0):
        low = least if is_lone else 1
        for atom in monomial:
            if isinstance(atom, Floor) and isinstance(atom.denominator, int) and atom.denominator > 0:
                at_least(atom.numerator, low * atom.denominator)
            elif isinstance(atom, Symbol) and (atom.low is None or atom.low < low):
                atom.low = low
                raised[0] += 1


def unknown(low: int | None = None, varies: bool = False) -> Expr:
    """One number that is not known, equal to itself alone."""
    symbol = Symbol("?", low)
    symbol.varies = varies
    return Expr((((symbol,), 1),))


def one_of(options: Sequence[Dim]) -> Expr:
    """A size that is one of several, by a condition that is not decided."""
    numbers = [size for size in options if isinstance(size, int)]
    symbol = Symbol("?", min(numbers) if len(numbers) == len(options) else None)
    symbol.options = tuple(options)
    return Expr((((symbol,), 1),))


def symbols(dim: Dim) -> frozenset[Symbol]:
    """The symbols that a size depends on; empty for an int."""
    return dim.symbols if isinstance(dim, Expr) else frozenset()


# building ---------------------------------------------------------------------------------------------------


def _atom_key(atom: Atom) -> tuple[object, ...]:
    return atom.key


def _key(dim: Dim) -> tuple[object, ...]:
    return dim.key if isinstance(dim, Expr) else (((), dim),)


def terms_of(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return dim.terms if isinstance(dim, Expr) else ((((), dim),) if dim else ())


def _degree(terms: tuple[tuple[Monomial, int], ...]) -> int:
    return max((len(monomial) for monomial, _ in terms), default=0)


def _term_key(term: tuple[Monomial, int]) -> tuple[object, ...]:
    # Long monomials first and the constant last: (H*W + H + 1) reads as people write it.
    return (-len(term[0]), tuple(a.key for a in term[0]))


def _build(total: Mapping[Monomial, int]) -> Dim:
    kept = [(m, c) for m, c in total.items() if c]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    if len(kept) > MAX_TERMS:
        return unknown()
    kept.sort(key=_term_key)
    return Expr(tuple(kept))


def floordiv(a: Dim, b: Dim) -> Dim:
    """``a // b`` with every multiple of ``b`` taken out and nested divisions merged.

    ``(x//p + c)//q`` is ``(x + c*p)//(p*q)``, so a chain of strided layers has one normal form.
    """
    if isinstance(b, int):
        if b == 0:
            return unknown()
        if isinstance(a, int):
            return a // b
        if b == 1:
            return a
        if b < 0:
            return floordiv(-a, -b)
        return _floordiv_int(a, b)
    exact = exact_div(a, b)
    if exact is not None:
        return exact
    smaller = cancelled(a, b)
    return floordiv(*smaller) if smaller is not None else Expr((((Floor(a, b),), 1),))


def cancelled(a: Dim, b: Expr) -> tuple[Dim, Dim] | None:
    """``n*r*r`` and ``4*r*r`` without what they have in common, ``n`` and ``4``."""
    if not isinstance(a, Expr) or len(b.terms) != 1:
        return None
    common = Counter(b.terms[0][0])
    for monomial, _ in a.terms:
        common &= Counter(monomial)
    if not all(isinstance(atom, Symbol) and (atom.low or 0) > 0 for atom in common):
        common = Counter()
    times = math.gcd(*(factor for _, factor in (*a.terms, *b.terms)))
    if not common and times < 2:
        return None
    one, two = ({tuple((Counter(m) - common).elements()): c // times for m, c in dim.terms} for dim in (a, b))
    return _build(one), _build(two)


def _floordiv_int(a: Expr, b: int) -> Dim:
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, factor in a.terms:
        quotient, remainder = divmod(factor, b)
        whole[monomial] = quotient
        rest[monomial] = remainder
    left = _build(rest)
    out = _build(whole)
    if isinstance(left, int):
        return out + left // b
    inner = _single_floor(left)
    if inner is not None and isinstance(inner[0].denominator, int) and inner[0].denominator > 0:
        floor, constant = inner
        p = floor.denominator
        assert isinstance(p, int)
        return out + floordiv(floor.numerator + constant * p, p * b)
    common = math.gcd(b, *(c for _, c in left.terms))
    if common > 1:
        return out + floordiv(_scaled(left, common), b // common)
    constant = dict(left.terms).get((), 0)
    if constant:
        # (g*x + c)//b is (g*x + g*(c//g))//b where g divides b: the constant below g never carries.
        g = math.gcd(b, *(c for m, c in left.terms if m))
        if g > 1:
            return out + floordiv(left - constant % g, b)
    return out + Expr((((Floor(left, b),), 1),))


def _single_floor(a: Expr) -> tuple[Floor, int] | None:
    """``(floor, constant)`` if ``a`` is one floor division plus a constant."""
    parts = dict(a.terms)
    constant = parts.pop((), 0)
    if len(parts) == 1:
        ((monomial, factor),) = parts.items()
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
            return monomial[0], constant
    return None


def _scaled(a: Expr, divisor: int) -> Dim:
    return _build({m: c // divisor for m, c in a.terms})


def ceildiv(a: Dim, b: Dim) -> Dim:
    """``a / b`` rounded up."""
    return floordiv(a + b - 1, b) if isinstance(b, int) and b > 0 else -floordiv(-a, b)


def exact_div(a: Dim, b: Dim) -> Dim | None:
    """``a / b`` if the division leaves nothing for every value of the symbols, else ``None``."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    if a == b:
        return 1
    divisor = terms_of(b)
    if len(divisor) != 1:
        return _long_division(a, b)
    (monomial, factor) = divisor[0]
    out: dict[Monomial, int] = {}
    for m, c in terms_of(a):
        left = list(m)
        for atom in monomial:
            if atom not in left:
                return None
            left.remove(atom)
        if c % factor:
            return None
        out[tuple(left)] = c // factor
    return _build(out)


def _long_division(a: Dim, b: Dim) -> Dim | None:
    """Polynomial division by several terms, leading term first; ``None`` unless it comes out even."""
    head = Expr((terms_of(b)[0],)) if terms_of(b)[0][0] else terms_of(b)[0][1]
    quotient: Dim = 0
    for _ in range(MAX_TERMS):
        if a == 0:
            return quotient
        first = terms_of(a)[0]
        step = exact_div(Expr((first,)) if first[0] else first[1], head)
        if step is None:
            return None
        quotient = quotient + step
        a = a - step * b
    return None


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def substitute(dim: Dim, values: Mapping[Symbol, Dim]) -> Dim:
    """``dim`` with symbols replaced by what they are now known to be."""
    if not isinstance(dim, Expr) or not any(s in values for s in dim.symbols):
        return dim
    total: Dim = 0
    for monomial, factor in dim.terms:
        part: Dim = factor
        for atom in monomial:
            part = part * _substitute_atom(atom, values)
        total = total + part
    return total


def _substitute_atom(atom: Atom, values: Mapping[Symbol, Dim]) -> Dim:
    if isinstance(atom, Symbol):
        return values[atom] if atom in values else Expr((((atom,), 1),))
    return floordiv(substitute(atom.numerator, values), substitute(atom.denominator, values))


def rejoined(size: Dim) -> Dim:
    """The heads of an argument put together again, ``heads * (dim // heads)``, are ``dim``: it is written for a ``dim``
    that ``heads`` divide."""
    if not isinstance(size, Expr):
        return size
    total: Dim = 0
    for monomial, factor in size.terms:
        part = Expr(((monomial, factor),)) if monomial else factor
        for atom in monomial:
            others = exact_div(part, Expr((((atom,), 1),)))
            if isinstance(atom, Floor) and others is not None and _argument_of(atom.numerator) is not None:
                times = exact_div(others, atom.denominator)
                part = times * atom.numerator if times is not None else part
        total = total + part
    return total


def _argument_of(size: Dim) -> Symbol | None:
    """The argument that a size is."""
    symbol = next(iter(symbols(size)), None)
    return symbol if symbol is not None and symbol.is_parameter and terms_of(size) == (((symbol,), 1),) else None


def undivided(sizes: Sequence[Dim]) -> list[Dim]:
    """The sizes where each parameter that is divided is a multiple of what it is divided by, so that
    ``heads * (dim // heads)`` is ``dim``, and what divides is at least 1; as they are where a parameter is divided in
    several ways."""
    divisors: dict[Symbol, Dim] = {}
    for size in sizes:
        for atom in (atom for monomial, _ in terms_of(size) for atom in monomial if isinstance(atom, Floor)):
            symbol = _argument_of(atom.numerator)
            if symbol is None:
                return list(sizes)
            before, here = divisors.get(symbol, 1), atom.denominator
            if isinstance(before, int) and isinstance(here, int) and here > 0:
                here = math.lcm(before, here)
            elif before not in (1, here):
                return list(sizes)
            divisors[symbol] = here
    counts = {s: unknown(1) for divisor in divisors.values() for s in symbols(divisor) if s.is_parameter}
    known = {**counts, **{symbol: substitute(by, counts) * unknown(1) for symbol, by in divisors.items()}}
    return [substitute(size, known) for size in sizes]
