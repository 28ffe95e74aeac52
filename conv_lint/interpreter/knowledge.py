"""What is known on the current path, and what follows from it: of sizes, of numbers of dimensions, of conditions, of
values that were compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conv_lint import dims, solving
from conv_lint.dims import Dim, Expr, Symbol
from conv_lint.interpreter.journal import Facts, Journal
from conv_lint.interpreter.objects import MISSING, is_member
from conv_lint.ops.rule import AXES
from conv_lint.values import Choice, Condition, Dict, Rest, Shape, Tensor, Unknown, Value, any_shape

#: So many sizes may hang on one condition; further ones are not known where it is.
MAX_LINKS = 16


class Knowledge:
    """The facts of the path, and how they grow.

    ``peeks``: sizes that were asked for while the rank was not known; ``links``: sizes that a condition decides, by it;
    ``strained``: only one certain height or width, or one certain argument, would do.
    """

    facts: Facts
    journal: Journal
    peeks: dict[tuple[Rest, int], Expr]
    links: dict[object, dict[Symbol, Choice]]
    strained: bool

    def size(self, dim: Dim) -> Dim:
        """A size with everything that is known by now filled in."""
        return dims.substitute(dim, self.facts.sizes) if self.facts.sizes else dim

    def shape(self, shape: Shape) -> Shape:
        """A shape with everything that is known by now filled in."""
        facts = self.facts
        rest = shape.rest
        if rest is not None and rest not in facts.rests and facts.sizes:
            self._count(rest, len(shape.known))
        if rest is not None and rest in facts.rests:
            shape = self.shape(Shape((*facts.rests[rest], *shape.known), shape.step, shape.dtype))
        if not facts.sizes:
            return shape
        sizes = tuple(d if isinstance(d, (int, Rest)) else self.size(d) for d in tuple.__iter__(shape))
        return Shape(sizes, shape.step, shape.dtype)

    def _count(self, rest: Rest, behind: int) -> None:
        """Name the unknown leading dimensions, if a test of the rank (``len(x.shape) == 4``) has told how many."""
        count = self.size(rest.count)
        if isinstance(count, int) and count >= 0:
            names = AXES.get(count + behind, ("B",))
            self.settle(rest, tuple(rest.axis(names[i] if i < len(names) else "N") for i in range(count)))

    def resolve(self, value: Value) -> Value:
        """A value with choices that are decided by now taken."""
        while isinstance(value, Unknown):
            if isinstance(value, Choice):
                truth = self.known_truth(value.condition)
                if truth is None:
                    return value
                value = value.then if truth else value.other
            elif isinstance(value, Condition):
                truth = self.known_truth(value)
                return value if truth is None else truth
            else:
                known = self.facts.value(value)
                if known is MISSING:
                    return value
                value = known
        if isinstance(value, Expr):
            return self.size(value)
        if isinstance(value, Tensor) and value.step is not None and value.step.doubts:
            return self._undoubted(value)
        return value

    def _undoubted(self, tensor: Tensor) -> Tensor:
        """A tensor that is known but for some cases; nothing is known of it if this is one of them."""
        assert tensor.step is not None
        if not any(self._was_taken(doubt) for doubt in tensor.step.doubts):  # type: ignore[arg-type]
            return tensor
        step = replace(tensor.step, doubts=(), shape=())
        return Tensor(any_shape("differs between branches"), step, tensor.dtype, tensor.sure)

    def _was_taken(self, condition: Condition) -> bool:
        """Is a condition known to hold, by itself or by the sizes that it compares?  It is asked very often, so what
        follows from other conditions is not worked out."""
        key = condition.key
        truth = self.facts.truth(key)
        if truth is None and isinstance(key, tuple) and key[0] == "size==":
            truth = self._concluded(key)
        return truth is not None and truth != condition.negated

    def known_truth(self, condition: Condition) -> bool | None:
        """What the path so far says of a condition."""
        truth = self.facts.truth(condition.key)
        if truth is None and isinstance(condition.key, tuple):
            truth = self._concluded(condition.key)
        return None if truth is None else truth != condition.negated

    def _concluded(self, key: tuple[Any, ...]) -> bool | None:
        """What follows for a condition from what is known of its parts."""
        match key:
            case ("==", unknown, wanted):
                known = self.facts.value(unknown)
                if known is MISSING and unknown.size_ is not None and isinstance(wanted, int):
                    return self.known_truth(Condition(("size==", self.size(unknown.size_), wanted)))
                if known is MISSING and _is_constant(wanted):
                    return False if wanted not in self.facts.options.get(unknown, (wanted,)) else None
                return known == wanted if _is_constant(known) and _is_constant(wanted) else None
            case ("text", unknown, name, args):
                known = self.facts.value(unknown)
                return bool(getattr(known, name)(*args)) if isinstance(known, str) else None
            case ("size==", one, two):
                return dims.eq(self.size(one), self.size(two))
            case ("size<=", one, two):
                return dims.le(self.size(one), self.size(two))
            case ("and" | "or" as word, Condition() as one, Condition() as two):
                truths = self.known_truth(one), self.known_truth(two)
                decisive = word == "or"
                return decisive if decisive in truths else None if None in truths else not decisive
        return None

    def has_key(self, container: Dict, key: object) -> bool | Condition:
        """Is a key that ``container`` may have there on this path."""
        condition = container.maybe.get(key)
        if condition is None:
            return key in container.items
        truth = self.known_truth(condition)
        return condition if truth is None else truth

    def assume(self, condition: Condition, truth: bool) -> None:
        """On this path the condition has this truth."""
        self.journal.touch(self.facts)
        holds = truth != condition.negated
        self.facts.truths[condition.key] = holds
        for symbol, choice in list(self.links.get(condition.key, {}).items()):
            value = choice.then if holds != choice.condition.negated else choice.other
            size = self.chosen_size(value) if isinstance(value, Choice) else value
            if isinstance(size, (int, Expr)) and not isinstance(size, bool) and symbol not in self.facts.sizes:
                self._substitute(symbol, self.size(size))
        key = condition.key
        if isinstance(key, tuple):
            if key[0] == "size==" and holds:
                self.equate(key[1], key[2])
            elif key[0] == "==" and holds:
                self.facts.values[key[1]] = key[2]
                if key[1].size_ is not None and isinstance(key[2], int):
                    self.equate(key[1].size_, key[2])
            elif key[0] == "truth" and isinstance(key[1], Choice):
                self._assume_choice(key[1], holds)
            elif key[0] == "and" and holds:
                self.assume(key[1], True)
                self.assume(key[2], True)
            elif key[0] == "or" and not holds:
                self.assume(key[1], False)
                self.assume(key[2], False)
            elif key[0] == "or":
                self._assume_one([*_equations(key[1]), *_equations(key[2])])
        for choice, answer in self.facts.awaiting(condition.key):
            self._assume_truth(choice.then if holds != choice.condition.negated else choice.other, answer)

    def _assume_one(self, pairs: list[tuple[Unknown, Value]]) -> None:
        """One of several equations holds: what they speak of is none but these constants."""
        unknown = pairs[0][0]
        if all(one is unknown and _is_constant(wanted) for one, wanted in pairs):
            possible = self.facts.options.get(unknown, tuple(wanted for _, wanted in pairs))
            self.facts.options[unknown] = tuple(wanted for _, wanted in pairs if wanted in possible)

    def _assume_choice(self, choice: Choice, holds: bool) -> None:
        """One of two answers is known to be ``holds``: an alternative that says otherwise is not the one."""
        for here, there, condition in (
            (choice.then, choice.other, choice.condition.inverse()),
            (choice.other, choice.then, choice.condition),
        ):
            if isinstance(here, bool) and here != holds:
                self.assume(condition, True)
                if isinstance(there, Condition):
                    self.assume(there, holds)
        if isinstance(choice.then, Condition) and isinstance(choice.other, Condition):
            one, two = (c if holds else c.inverse() for c in (choice.then, choice.other))
            self._assume_one([*_equations(one), *_equations(two)])
        key = choice.condition.key
        self.facts.waiting[key] = (*self.facts.waiting.get(key, ()), (choice, holds))

    def _assume_truth(self, value: Value, holds: bool) -> None:
        """What the choice among answers has come to is this truth."""
        asked = Condition(("truth", value), value.reason) if isinstance(value, Choice) else value
        if isinstance(asked, Condition) and self.known_truth(asked) is None:
            self.assume(asked, holds)

    def equate(self, a: Dim, b: Dim) -> None:
        """From here on the two sizes are equal."""
        a, b = self.size(a), self.size(b)
        self._strain(a, b)
        solved = solving.solve(a, b)
        if solved is None:
            return
        symbol, value = solved
        if isinstance(value, int) and symbol.low is not None and value < symbol.low:
            return
        self.journal.touch(self.facts)
        self._substitute(symbol, value)

    def fix(self, symbol: Symbol, value: int) -> None:
        """From here on a symbol is this number."""
        self.journal.touch(self.facts)
        self._substitute(symbol, value)

    def _substitute(self, symbol: Symbol, value: Dim) -> None:
        known = {symbol: value}
        sizes = dict(self.facts.sizes)
        for other, dim in self.facts.sizes.items():
            if isinstance(dim, Expr) and symbol in dim.symbols:
                sizes[other] = dims.substitute(dim, known)
        sizes[symbol] = value
        self.facts.sizes = sizes

    def chosen_size(self, choice: Choice) -> Expr:
        """One of two numbers as a size; it is known as soon as the condition is."""
        links = self.links.setdefault(choice.condition.key, {})
        sign = choice.condition.negated
        for known in links.values():
            if (known.then, known.other, known.condition.negated) == (choice.then, choice.other, sign):
                choice.size_ = known.size()  # the same two numbers are one size
                return choice.size_
        size = choice.size()
        if len(links) < MAX_LINKS:
            (symbol,) = size.symbols
            links[symbol] = choice
        return size

    def _strain(self, a: Dim, b: Dim) -> None:
        """Note where only one certain height or width, or one certain argument, would do."""
        for one, two in ((a, b), (b, a)):
            if isinstance(one, int) and isinstance(two, Expr):
                spatial = ("H", "W", "L", "D")
                self.strained |= all(s.is_parameter or (s.given and s.name in spatial) for s in two.symbols)

    def settle(self, rest: Rest, sizes: tuple[Dim, ...]) -> None:
        """From here on the unknown leading dimensions are these."""
        self.journal.touch(self.facts)
        self.facts.rests[rest] = sizes
        if any(isinstance(size, Rest) for size in sizes):
            return
        for (peeked, index), expr in list(self.peeks.items()):
            if peeked is rest and -len(sizes) <= index < len(sizes):
                self.equate(expr, sizes[index])

    def peek(self, tensor: Tensor, index: int) -> Dim:
        """``x.shape[index]``; where the rank is not known, a symbol that is bound once it is."""
        shape = self.shape(tensor.shape)
        rest = shape.rest
        known = shape.known
        if rest is None or (index < 0 and -index <= len(known)):
            return known[index]
        key = (rest, index + len(known) if index < 0 else index)
        if key not in self.peeks:
            names = {0: "B", 2: "H", 3: "W", -1: "W", -2: "H"}
            self.peeks[key] = rest.axis(names[index]) if index in names else dims.unknown(1)
        return self.size(self.peeks[key])


def _is_constant(value: Value) -> bool:
    """Is it equal to itself alone, so that no value can be equal to two such?"""
    return isinstance(value, (int, float, str, type(None))) or is_member(value)


def _equations(condition: Condition) -> list[tuple[Unknown, Value]]:
    """The equations of which one holds, ``a == 1 or a == 2``; a pair of nothing if it may be for another reason."""
    match condition.key:
        case ("==", Unknown() as one, wanted) if not condition.negated:
            return [(one, wanted)]
        case ("or", Condition() as one, Condition() as two) if not condition.negated:
            return [*_equations(one), *_equations(two)]
    return [(condition, None)]
