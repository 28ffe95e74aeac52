"""What an expression may be.

Known ints, floats, strings, bools, ``None`` and tuples are themselves.  An int that is not known is a
:class:`~conv_lint.dims.Expr`.  Everything else is one of the classes below.  Mutable values derive from
:class:`Mutable`, so that a branch that may not be taken can be undone and joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn, SupportsIndex, TypeAlias, overload

from conv_lint import dims
from conv_lint.dims import Dim, Expr
from conv_lint.finding import Step

Value: TypeAlias = object


class CannotTell(Exception):
    """Raised inside a rule when what it needs is not known; the result becomes ``Unknown(reason)``."""


# shapes -----------------------------------------------------------------------------------------------------


class Rest:
    """Stands first in a shape for leading dimensions whose number is not known.

    The same object stands for the same dimensions, so a settled ``Rest`` settles every shape that holds it.
    ``image`` is true for what is fed to a net as a whole, ``varies`` where it is one number or another by a condition.
    """

    __slots__ = ("count", "image", "reason", "varies")

    def __init__(self, reason: str = "number of dimensions", image: bool = False, varies: bool = False) -> None:
        self.reason, self.image, self.varies = reason, image, varies
        self.count = dims.unknown(0)  # how many there are

    def axis(self, name: str) -> Expr:
        """A new size for one of the dimensions: ``B``, ``C`` or a name for one of space, ``H``."""
        if name == "C":
            return dims.unknown(1)
        return dims.image_size(name) if self.image and name != "B" else dims.symbol(name)

    def _unknown(self, *_: object) -> NoReturn:
        raise CannotTell(self.reason)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unknown
    __floordiv__ = __rfloordiv__ = __mod__ = __neg__ = __int__ = __index__ = _unknown

    def __repr__(self) -> str:
        return "..."


class Shape(tuple[Dim, ...]):
    """A shape as the rules see it: a tuple of sizes that also knows the step that made it.

    A shape of unknown rank begins with a :class:`Rest`.  Whatever depends on the unknown part (``len``, an index
    from the left) raises :class:`CannotTell`, so that a rule can be written as if the rank were known; an index or
    a slice from the right works: ``(*x[:-1], features)``.
    """

    step: Step | None
    dtype: str | None
    #: The whole number that a tensor or an array of one number holds, if it is known.
    number: int | None = None

    def __new__(cls, sizes: Iterable[Dim], step: Step | None = None, dtype: str | None = None) -> Shape:
        self = super().__new__(cls, sizes)
        self.step, self.dtype = step, dtype
        return self

    @property
    def rest(self) -> Rest | None:
        """The unknown leading part, or ``None`` if the rank is known."""
        first = next(tuple.__iter__(self), None)
        return first if isinstance(first, Rest) else None

    @property
    def known(self) -> tuple[Dim, ...]:
        """The sizes after the unknown leading part: all of them if the rank is known."""
        sizes = tuple(tuple.__iter__(self))
        return sizes[1:] if sizes and isinstance(sizes[0], Rest) else sizes

    @property
    def rank(self) -> Dim:
        """The number of dimensions; at least that of those which are known."""
        return len(self.known) + (self.rest.count if self.rest is not None else 0)

    def __len__(self) -> int:
        if self.rest is not None:
            raise CannotTell(self.rest.reason)
        return tuple.__len__(self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Dim: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Dim, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Dim | tuple[Dim, ...]:
        rest = self.rest
        if rest is None:
            return tuple.__getitem__(self, index)
        count = tuple.__len__(self) - 1
        if isinstance(index, slice):
            start, stop = index.start, index.stop
            from_right = (start is None or -count <= start < 0) and (stop is None or -count <= stop < 0)
            if from_right and index.step in (None, 1):
                return tuple.__getitem__(self, index)
        elif -count <= index.__index__() < 0:
            return tuple.__getitem__(self, index)
        raise CannotTell(rest.reason)

    def __bool__(self) -> bool:
        return True

    def replaced(self, axis: int, size: Dim) -> Shape:
        """The same shape with the size of one axis changed (negative axes count from the right)."""
        if axis >= 0:
            axis -= len(self)
        tail = tuple.__getitem__(self, slice(axis + 1, None)) if axis != -1 else ()
        return Shape((*self[:axis], size, *tail), self.step, self.dtype)

    def __repr__(self) -> str:
        return render_any(self)


def render_any(sizes: Iterable[object]) -> str:
    """A shape for a reader, ``(..., 64, H)`` where leading dimensions are not known."""
    items = list(tuple.__iter__(sizes)) if isinstance(sizes, tuple) else list(sizes)
    text = ["..." if isinstance(d, Rest) else dims.render(d) for d in items]  # type: ignore[arg-type]
    return f"({text[0]},)" if len(text) == 1 else f"({', '.join(text)})"


def any_shape(reason: str = "number of dimensions", image: bool = False) -> Shape:
    """A shape of which nothing is known; ``image`` for what is fed to a net as a whole."""
    return Shape((Rest(reason, image),))  # type: ignore[arg-type]


def is_mark(size: object) -> bool:
    """Is a size a lone ``?``, of which nothing is known?"""
    if not isinstance(size, Expr) or len(size.symbols) != 1 or size.terms[0][1] != 1:
        return False
    return not any(symbol.given for symbol in size.symbols)


# unknown ----------------------------------------------------------------------------------------------------


class Unknown:
    """A value that the interpreter does not know, and why.

    Reading the same attribute or item twice gives the same unknown, and using it as a size twice gives the same
    symbol: one evaluation, one value.
    """

    __slots__ = ("name", "parts", "reason", "size_")

    def __init__(self, reason: str, name: str = "?") -> None:
        self.reason, self.name = reason, name
        self.parts: dict[object, Value] = {}
        self.size_: Expr | None = None

    def size(self) -> Expr:
        """This value, used as a number."""
        if self.size_ is None:
            self.size_ = dims.unknown() if self.name == "?" else dims.symbol(self.name, None)
        return self.size_

    def part(self, key: object, make: Callable[[], Value]) -> Value:
        """An attribute or an item of the unknown value, the same one each time."""
        if key not in self.parts:
            self.parts[key] = make()
        return self.parts[key]

    def __repr__(self) -> str:
        return f"Unknown({self.reason!r})"


class Alike(Unknown):
    """A list as an argument of a rule: how many items it has is not known, but each looks like ``item``."""

    __slots__ = ("item",)

    def __init__(self, reason: str, item: Shape) -> None:
        super().__init__(reason)
        self.item = item


class Packed(Unknown):
    """A packed sequence (torch.nn.utils.rnn.PackedSequence); ``padded``: what it is when padded, (L, N, \\*)."""

    __slots__ = ("padded",)

    def __init__(self, padded: Shape) -> None:
        super().__init__("a packed sequence")
        self.padded = padded


class Real(Unknown):
    """A number with a point, a quotient or a root, that is not known.

    ``text``: how it was computed, in the reader's words.  ``of``: the sizes that it was computed from.
    """

    __slots__ = ("of", "text")

    #: What stands for a computation that nobody would read.
    UNREADABLE = "a number with a point"

    def __init__(self, text: str, of: tuple[object, ...]) -> None:
        super().__init__("a number that is not known")
        self.text = text if "?" not in text and len(text) <= 40 else self.UNREADABLE
        self.of: tuple[object, ...] = tuple(
            v for value in of for v in (value.of if isinstance(value, Real) else (value,))
        )

    @property
    def is_number(self) -> bool:
        """Is it surely one, and no tensor?  What it was computed from are sizes, or were used as such."""
        return all(
            isinstance(v, (int, float))
            or (isinstance(v, Expr) and all(s.low is not None or s.is_number for s in v.symbols))
            for v in self.of
        )


class Drawn(Real):
    """A random number of [0, 1)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("a random number", ())


class Apart(Unknown):
    """Something that is not known and that no shape depends on: an optimizer, a device, a clock.  Nothing is noted of
    what is done with it."""

    __slots__ = ()


class Dtype(Unknown):
    """The dtype of a tensor, of which the ``kind`` is known at most: ``"float"``, ``"int"``, ``"bool"``."""

    __slots__ = ("kind",)

    def __init__(self, kind: str | None) -> None:
        super().__init__("the dtype of a tensor")
        self.kind = kind


class NoTensor(Unknown):
    """What is no tensor for sure, as an argument of a rule: ``what`` it is, and how to ``fix`` it."""

    __slots__ = ("fix", "what")

    def __init__(self, what: str, fix: str | None = None) -> None:
        super().__init__(f"{what} is no tensor")
        self.what, self.fix = what, fix


#: So deep may conditions be joined of others.
MAX_JOINED = 8


class Condition(Unknown):
    """A truth value that is not known but is remembered: the same ``key`` has the same truth on one path.

    What is joined of more than :data:`MAX_JOINED` others (``ok = ok and check(i)`` in a loop) is like itself only.
    ``offers``: a factory asks which of the things that it offers is wanted; not all of them suit each of its callers.
    """

    __slots__ = ("_hash", "depth", "key", "negated", "offers")
    depth: int

    def __init__(self, key: object, reason: str = "condition", negated: bool = False) -> None:
        super().__init__(reason)
        parts = [part for part in key if isinstance(part, Condition)] if isinstance(key, tuple) else ()
        depth: int = 1 + max((part.depth for part in parts), default=-1)
        self.depth = depth if depth <= MAX_JOINED else 0
        self.key, self.negated = key if depth <= MAX_JOINED else object(), negated
        self.offers = False
        self._hash: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.negated == other.negated and self.key == other.key

    def __hash__(self) -> int:
        if self._hash is None:  # of nested ones that are asked for again and again
            self._hash = hash((self.key, self.negated))
        return self._hash

    def inverse(self) -> Condition:
        made = Condition(self.key, self.reason, not self.negated)
        made.offers = self.offers
        return made

    def of_an_offer(self) -> Condition:
        """The same condition where a factory asks it."""
        made = Condition(self.key, self.reason, self.negated)
        made.offers = True
        return made


class Choice(Unknown):
    """One of two values, by a condition: what a branch that was not decided leaves behind."""

    __slots__ = ("condition", "depth", "other", "then")

    def __init__(self, condition: Condition, then: Value, other: Value) -> None:
        super().__init__("differs between branches")
        self.condition, self.then, self.other = condition, then, other
        self.depth: int = 1 + max(v.depth if isinstance(v, Choice) else 0 for v in (then, other))

    def size(self) -> Expr:
        if self.size_ is None:
            sizes = self.sizes()
            self.size_ = dims.one_of(sizes) if sizes else dims.unknown()
        return self.size_

    def sizes(self) -> list[Dim]:
        """The sizes of which it is one; none if it may be something else, too."""
        found: list[Dim] = []
        for value in (self.then, self.other):
            if isinstance(value, Choice):
                more = value.sizes()
            else:
                more = [value] if isinstance(value, (int, Expr)) and not isinstance(value, bool) else []
            if not more:
                return []
            found += more
        return found


# tensors ----------------------------------------------------------------------------------------------------


class Tensor:
    """A tensor: its shape as far as it is known, the kind of its numbers, and the step that made it.

    ``sure`` is false for an argument of ``forward`` that may be something else (a list, a dict).  ``numbers``: a number
    or nested lists of them where they are known, ``None`` otherwise.
    """

    __slots__ = ("attrs", "dtype", "numbers", "parameter", "shape", "step", "sure")

    def __init__(
        self,
        shape: Shape,
        step: Step | None = None,
        dtype: str | None = None,
        sure: bool = True,
        parameter: bool = False,
    ) -> None:
        self.shape, self.step, self.dtype, self.sure, self.parameter = shape, step, dtype, sure, parameter
        self.attrs: dict[str, Value] = {}
        self.numbers: Any = None

    def __repr__(self) -> str:
        return f"Tensor{self.shape!r}"


# mutable containers -----------------------------------------------------------------------------------------


#: When a mutable value was made, counted.
birth = itertools.count(1).__next__


class Mutable:
    """A value that can change.  The journal of a branch keeps what ``snapshot`` returns.

    ``born``: when it was made.  What a branch has made itself need not be undone.
    """

    __slots__ = ()
    born: int

    def snapshot(self) -> Any:
        raise NotImplementedError

    def restore(self, saved: Any) -> None:
        raise NotImplementedError


class List(Mutable):
    """A list.  ``open`` gives a reason if it may hold more, other or fewer items than ``items``.

    ``limit``: of a deque, how many items it keeps at most.  ``each``: of an open one that a loop has filled, what every
    item looks like, or ``None``.  ``maybe``: of an open one of which all is known, the conditions of the items that are
    not there for sure, by position.
    """

    __slots__ = ("born", "each", "items", "limit", "maybe", "open")

    def __init__(
        self, items: Iterable[Value] = (), open: str | None = None, limit: int | None = None, each: Value = None
    ) -> None:
        self.items = list(items)
        self.open, self.limit, self.each = open, limit, each
        self.maybe: dict[int, Condition] = {}
        self.born = birth()

    def keep_within(self, from_left: bool = True) -> None:
        """What a deque has too much it drops, at the other end."""
        if self.limit is not None and len(self.items) > self.limit:
            surplus = len(self.items) - self.limit
            self.items = self.items[surplus:] if from_left else self.items[: self.limit]

    def forget_conditions(self) -> None:
        """From here on it is only known how the list begins."""
        if self.maybe:
            del self.items[min(self.maybe) :]
            self.maybe = {}

    def snapshot(self) -> tuple[list[Value], str | None, Value, dict[int, Condition]]:
        return list(self.items), self.open, self.each, dict(self.maybe)

    def restore(self, saved: tuple[list[Value], str | None, Value, dict[int, Condition]]) -> None:
        self.items, self.open, self.each, self.maybe = list(saved[0]), saved[1], saved[2], dict(saved[3])

    def __repr__(self) -> str:
        return f"List({self.items!r}{', open' if self.open else ''})"


class Dict(Mutable):
    """A dict, OrderedDict or Counter with known keys; ``open`` gives a reason if its keys are not these for sure.

    ``maybe``: the keys that are there only under a condition.  ``others``: a reason if there may be further ones.
    ``default`` is the factory of a defaultdict.  ``home``: the file whose package fills it, for a registry.
    ``owner``: the object whose attributes the items are, of ``config.__dict__``.
    """

    __slots__ = ("born", "default", "home", "items", "maybe", "others", "owner")

    def __init__(
        self, items: Mapping[Any, Value] | None = None, open: str | None = None, default: Value = None
    ) -> None:
        self.items: dict[Any, Value] = dict(items or {})
        self.maybe: dict[Any, Condition] = {}
        self.others, self.default = open, default
        self.home: str | None = None
        self.owner: object = None
        self.born = birth()

    @property
    def open(self) -> str | None:
        return self.others or ("has keys only under a condition" if self.maybe else None)

    @open.setter
    def open(self, reason: str | None) -> None:
        self.others = reason

    def put(self, key: Any, value: Value) -> None:
        """``self[key] = value``."""
        self.items[key] = value
        self.maybe.pop(key, None)

    def remove(self, key: Any) -> None:
        """``del self[key]``, if it is there."""
        self.items.pop(key, None)
        self.maybe.pop(key, None)

    def merge(self, other: Dict) -> None:
        """``self.update(other)``."""
        for key, value in other.items.items():
            condition = other.maybe.get(key)
            if condition is None:
                self.put(key, value)
            elif key in self.items:
                self.items[key] = Choice(condition, value, self.items[key])
                if key in self.maybe:
                    self.maybe[key] = Condition(("or", condition, self.maybe[key]), condition.reason)
            else:
                self.items[key], self.maybe[key] = value, condition
        self.others = self.others or other.others

    def copy(self) -> Dict:
        """A dict with the same items."""
        made = Dict(self.items, self.others, self.default)
        made.maybe = dict(self.maybe)
        return made

    def snapshot(self) -> tuple[dict[Any, Value], str | None, dict[Any, Condition]]:
        return dict(self.items), self.others, dict(self.maybe)

    def restore(self, saved: tuple[dict[Any, Value], str | None, dict[Any, Condition]]) -> None:
        self.items, self.others, self.maybe = dict(saved[0]), saved[1], dict(saved[2])

    def __repr__(self) -> str:
        return f"Dict({self.items!r})"


class Iter(Mutable):
    """An iterator over known values: a generator, ``iter(...)``, ``zip``, ``map``.

    ``source``: the list that an ``enumerate`` counts from 0; it may grow meanwhile.  ``each``: as of a :class:`List`.
    """

    __slots__ = ("born", "each", "items", "open", "position", "source")

    def __init__(
        self, items: Iterable[Value], open: str | None = None, source: List | None = None, each: Value = None
    ) -> None:
        self.items, self.open, self.position, self.source, self.each = list(items), open, 0, source, each
        self.born = birth()

    def snapshot(self) -> int:
        return self.position

    def restore(self, saved: int) -> None:
        self.position = saved

    def rest(self) -> Iterator[Value]:
        while self.position < len(self.items):
            self.position += 1
            yield self.items[self.position - 1]


class Stream(Mutable):
    """What can be iterated, and every item looks alike, however many there are: the batches of a loader.

    ``is_begun``: an item has been taken, so that the next one is not the first.
    """

    __slots__ = ("born", "is_begun", "item", "reason")

    def __init__(self, item: Value, reason: str) -> None:
        self.item, self.reason, self.is_begun = item, reason, False
        self.born = birth()

    def snapshot(self) -> bool:
        return self.is_begun

    def restore(self, saved: bool) -> None:
        self.is_begun = saved


# names of libraries -----------------------------------------------------------------------------------------


class External:
    """A name of a library that is not read: ``torch.nn.Conv2d``, ``math.ceil``."""

    __slots__ = ("_hash", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._hash = hash(name)  # keys of remembered conditions: hashed a million times

    def __eq__(self, other: object) -> bool:
        return isinstance(other, External) and other.name == self.name

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"External({self.name})"
