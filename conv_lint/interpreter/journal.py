"""What a branch changes, so that it can be undone, and what two branches leave behind, joined."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conv_lint import dims
from conv_lint.dims import Dim, Expr, Symbol
from conv_lint.finding import Step
from conv_lint.interpreter.memory import Memory
from conv_lint.interpreter.namespace import LazyImport
from conv_lint.interpreter.objects import ABSENT, MISSING, Class, Frame, Instance, InstanceState, Pending, condition_of
from conv_lint.values import (
    Choice,
    Condition,
    Dict,
    Iter,
    List,
    Mutable,
    Rest,
    Shape,
    Tensor,
    Unknown,
    Value,
    any_shape,
    birth,
    is_mark,
)

#: Why it is not known how many members a container has; each has its condition.
ONLY_SOMETIMES = "has members only under a condition"
#: The condition that a name is in a registry into which no file that was read has put anything.
UNFILLED = "unfilled"
#: A comparison of shapes of which not all is known.
OF_SHAPES = "shapes"
#: A choice among more alternatives than this is unknown.
MAX_CHOICE_DEPTH = 4


class Facts(Mutable):
    """What is known on the current path.

    ``sizes``: what symbols must be; ``rests``: what unknown leading dimensions are; ``truths``: conditions already
    taken; ``values``: unknown values that a comparison has pinned down; ``options``: of others the constants of which
    they are one; ``waiting``: what holds as soon as a condition is decided.  ``asked``: for which of them it was asked.
    """

    born = 0

    def __init__(self) -> None:
        self.sizes: dict[Symbol, Dim] = {}
        self.rests: dict[Rest, tuple[Dim, ...]] = {}
        self.truths: dict[object, bool] = {}
        self.values: dict[Unknown, Value] = {}
        self.options: dict[Unknown, tuple[Value, ...]] = {}
        self.waiting: dict[object, tuple[tuple[Choice, bool], ...]] = {}
        self.asked: set[Any] = set()

    def truth(self, key: object) -> bool | None:
        """What is known of the condition with this key."""
        self.asked.add(key)
        return self.truths.get(key)

    def value(self, unknown: Unknown) -> Any:
        """What an unknown value is known to be, or :data:`MISSING`."""
        self.asked.add(unknown)
        return self.values.get(unknown, MISSING)

    def awaiting(self, key: object) -> tuple[tuple[Choice, bool], ...]:
        """The choices by this condition of whose results it is known whether they are true."""
        self.asked.add(key)
        return self.waiting.get(key, ())

    def answers(self, asked: Iterable[Any]) -> list[Any]:
        """What is known of conditions and unknown values."""
        tables = self.truths, self.values, self.options, self.waiting
        return [[table.get(key, MISSING) for table in tables] for key in asked]

    def snapshot(self) -> tuple[dict[Any, Any], ...]:
        tables = self.sizes, self.rests, self.truths, self.values, self.options, self.waiting
        return tuple(dict(table) for table in tables)

    def restore(self, saved: tuple[dict[Any, Any], ...]) -> None:
        tables = (dict(table) for table in saved)
        self.sizes, self.rests, self.truths, self.values, self.options, self.waiting = tables


class _Level(dict[Mutable, Any]):
    """An open branch: objects with their states before it.  ``since``: when it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.since = birth()


class Journal:
    """Keeps, for each open branch, the objects as they were before it first changed them.

    What was made in the branch itself is not kept: nobody outside knows it.  ``memory`` is told of every change.
    ``left``: branches that have left their loop or function early; for them is kept what changes without them.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self.levels: list[_Level] = []
        self.left: list[Pending] = []
        self.memory = memory if memory is not None else Memory()

    def touch(self, target: Mutable) -> None:
        """Call before every change of a mutable value."""
        self.memory.notice(target)
        if self.levels:
            level = self.levels[-1]
            if target.born < level.since and target not in level:
                level[target] = target.snapshot()
        for pending in self.left:
            if target.born < pending.since and target not in pending.before:
                pending.before[target] = target.snapshot()

    def forget(self, pending: Pending) -> None:
        """A branch that left is joined, or nobody asks for it any more."""
        if pending in self.left:
            self.left.remove(pending)

    def begin(self) -> None:
        self.levels.append(_Level())

    def end(self) -> dict[Mutable, Any]:
        """Close a branch: undo what it changed, and return each changed object's state after it."""
        before = self.levels.pop()
        after = {target: target.snapshot() for target in before}
        for pending in self.left:
            if pending.since > before.since:  # what the branch had changed before it left is undone here
                for target, state in after.items():
                    pending.before.setdefault(target, state)
        for target, state in before.items():
            if state != after[target]:
                self.memory.notice(target)
            target.restore(state)
        return after

    def apply(self, states: dict[Mutable, Any]) -> None:
        """Put objects into given states, as changes of the branch that is now open."""
        for target, state in states.items():
            self.touch(target)
            target.restore(state)

    def merge(self, condition: Condition | None, one: dict[Mutable, Any], two: dict[Mutable, Any]) -> None:
        """Join the states after two branches into the branch that is now open."""
        for target in {**one, **two}:
            now = target.snapshot() if target not in one or target not in two else None
            left = one.get(target, now)
            right = two.get(target, now)
            self.touch(target)
            target.restore(join_states(condition, target, left, right))


# joining ----------------------------------------------------------------------------------------------------


def join_states(condition: Condition | None, target: Mutable, one: Any, two: Any) -> Any:
    """The state of an object that is in either of two states."""
    match target:
        case Frame() | Class():
            return _join_dicts(condition, one, two)
        case Instance():
            return _join_instances(condition, target, one, two)
        case List():
            return _join_lists(condition, one, two)
        case Dict():
            return _join_keyed(condition, one, two)
        case Iter():
            return min(one, two)
        case Facts():
            return _join_facts(one, two)
    return one


def _join_dicts(condition: Condition | None, one: dict[Any, Value], two: dict[Any, Value]) -> dict[Any, Value]:
    return {key: join(condition, one.get(key, MISSING), two.get(key, MISSING)) for key in {**one, **two}}


def _join_instances(
    condition: Condition | None, target: Instance, one: InstanceState, two: InstanceState
) -> InstanceState:
    """The state of an object: an attribute of one side only is there under the condition."""
    differ = one.attrs.keys() ^ two.attrs.keys() if target.is_container else ()
    reason = one.open or two.open
    if differ and reason is None:
        in_order = condition is not None and not any(name.isdigit() for name in differ)
        reason = ONLY_SOMETIMES if in_order else "has other members in other cases"
    training = join(condition, one.training, two.training)
    joined = InstanceState({}, one.layer or two.layer, reason, training, {})
    for name in {**one.attrs, **two.attrs}:
        here = name in one.attrs, name in two.attrs
        when = condition_of(one, name), condition_of(two, name)
        left, right = one.attrs.get(name, MISSING), two.attrs.get(name, MISSING)
        only: Condition | None = None
        if all(here):
            if when[0] is not None and when[1] is not None and same(when[0], when[1]):
                only = when[0]
            elif condition is not None and not same(left, right):
                left, right = (v if w is None else Choice(w, v, ABSENT) for v, w in zip((left, right), when))
        elif condition is not None:
            only = condition if here[0] else condition.inverse()
            inner = when[0] or when[1]
            only = only if inner is None else Condition(("and", only, inner), only.reason)
        value = joined.attrs[name] = join(condition, left, right)
        if only is not None:
            joined.sometimes[name] = only, value
    return joined


def _join_keyed(condition: Condition | None, one: Any, two: Any) -> tuple[Any, ...]:
    """The state of a dict: a key of one side only is there under the condition."""
    items, others = _join_dicts(condition, one[0], two[0]), one[1] or two[1]
    maybe: dict[Any, Condition] = {}
    for key in items:
        if key in one[0] and key in two[0]:
            left, right = one[2].get(key), two[2].get(key)
            if left is None and right is None:
                continue
            if left is not None and right is not None and same(left, right):
                maybe[key] = left
                continue
            maybe[key] = Condition(object(), "a key that is there only sometimes")
        elif condition is None:
            others = others or "keys change in a loop"
        else:
            here, inner = (condition, one[2].get(key)) if key in one[0] else (condition.inverse(), two[2].get(key))
            maybe[key] = here if inner is None else Condition(("and", here, inner), here.reason)
    return items, others, maybe


def _join_items(condition: Condition | None, one: list[Value], two: list[Value]) -> tuple[list[Value], bool]:
    if len(one) == len(two):
        return [join(condition, a, b) for a, b in zip(one, two)], True
    shared = min(len(one), len(two))
    return [join(condition, a, b) for a, b in zip(one[:shared], two[:shared])], False


#: Why it is not known how many items a list has; each has its condition.
ITEMS_SOMETIMES = "has items only under a condition"
#: So many items may be there or not.
MAX_MAYBE = 16


def _join_lists(condition: Condition | None, one: tuple[Any, ...], two: tuple[Any, ...]) -> tuple[Any, ...]:
    """The state of a list that is in either of two states: what only one of them has is there under the condition."""
    known = condition is not None and {one[1], two[1]} <= {None, ITEMS_SOMETIMES}
    if condition is None or not known or (len(one[0]) == len(two[0]) and not one[3] and not two[3]):
        sure = [items[: min(maybe, default=len(items))] for items, _, _, maybe in (one, two)]
        items, closed = _join_items(condition, sure[0], sure[1])
        reason = one[1] or two[1] or (None if closed else "length differs between branches")
        return items, reason, join_samples(one, two) if reason else None, {}
    pairs = enumerate(zip(one[0], two[0]))
    alike = (i for i, (a, b) in pairs if not (same(a, b) and _same_condition(one[3].get(i), two[3].get(i))))
    start = next(alike, min(len(one[0]), len(two[0])))
    items, maybe = list(one[0][:start]), {i: c for i, c in one[3].items() if i < start}
    for state, when in ((one, condition), (two, condition.inverse())):
        for i in range(start, len(state[0])):
            inner = state[3].get(i)
            maybe[len(items)] = when if inner is None else Condition(("and", when, inner), when.reason)
            items.append(state[0][i])
    if len(maybe) > MAX_MAYBE:
        return items[: min(maybe)], "length differs between branches", join_samples(one, two), {}
    return items, ITEMS_SOMETIMES if maybe else None, join_samples(one, two) if maybe else None, maybe


def _same_condition(one: Condition | None, two: Condition | None) -> bool:
    return one is two or (one is not None and two is not None and one == two)


#: Of longer lists no sample is made.
MAX_SAMPLED = 32


def join_samples(one: tuple[Any, ...], two: tuple[Any, ...]) -> Value:
    """What every item of a list looks like that is in either of two states."""
    samples: list[Value] = []
    for items, reason, each, maybe in (one, two):
        if reason and each is None and not maybe:
            return None
        samples += items if each is None else [each, *items]
    return each_of(samples)


def each_of(samples: list[Value]) -> Value:
    """What all of some values look like, ``None`` if no shape is known of them."""
    if not 0 < len(samples) <= MAX_SAMPLED or not all(map(_is_shaped, samples)):
        return None
    each, *others = samples
    for other in others:
        each = join(None, each, other)
    return each if _is_shaped(each) else None


def _is_shaped(value: Value) -> bool:
    """Is it a tensor, or a row with one?"""
    if isinstance(value, List):
        return not value.open and any(map(_is_shaped, value.items))
    return isinstance(value, Tensor) or (isinstance(value, tuple) and any(map(_is_shaped, value)))


def _common(one: dict[Any, Any], two: dict[Any, Any]) -> dict[Any, Any]:
    """What two dicts have in common.  Keys are dear to hash, and there are many: a copy hashes none of them."""
    out = dict(one)
    for key, value in one.items():
        other = two.get(key, MISSING)
        if other is not value and (other != value or type(other) is not type(value)):
            del out[key]
    return out


def _join_facts(one: tuple[dict[Any, Any], ...], two: tuple[dict[Any, Any], ...]) -> tuple[dict[Any, Any], ...]:
    sizes, truths, values, options, waiting = (_common(one[i], two[i]) for i in (0, 2, 3, 4, 5))
    rests = {
        rest: tuple(join_sizes(a, b) for a, b in zip(here, two[1][rest]))
        for rest, here in one[1].items()
        if rest in two[1] and len(two[1][rest]) == len(here)
    }
    return sizes, rests, truths, values, options, waiting


def join_sizes(a: Dim, b: Dim) -> Dim:
    """One size that is either of two."""
    if a is b or a == b:
        return a
    if isinstance(a, Rest) or isinstance(b, Rest):
        return a
    lows = [x for x in (dims.low(a), dims.low(b)) if x is not None]
    low = min(lows) if len(lows) == 2 else None
    sizes = [size for size in (a, b) if is_mark(size)]
    return dims.unknown(low, varies=all(map(_varies, sizes)))


def _varies(size: Dim) -> bool:
    """Is a size that is not known one of several, rather than any?"""
    return any(symbol.varies for symbol in dims.symbols(size))


def join_shapes(a: Shape, b: Shape) -> Shape:
    """One shape that is either of two; of unknown rank where their ranks differ, but for what the two have at the end:
    (B, T, 64, H, W) and (B, 64, H, W) are (..., 64, ?, ?)."""
    left, right = tuple(tuple.__iter__(a)), tuple(tuple.__iter__(b))
    if left == right:
        return a
    if len(left) != len(right) or a.rest is not b.rest:
        count = min(len(left), len(right))
        pairs = itertools.dropwhile(_differ, zip(left[len(left) - count :], right[len(right) - count :]))
        rest: Any = Rest("the number of dimensions differs between branches", varies=True)
        return Shape((rest, *(join_sizes(x, y) for x, y in pairs)))
    return Shape(tuple(join_sizes(x, y) for x, y in zip(left, right)), a.step, a.dtype)


def _differ(sizes: tuple[Dim, Dim]) -> bool:
    one, two = sizes
    return isinstance(one, Rest) or isinstance(two, Rest) or not (one is two or one == two)


#: A tensor of which nothing is known under more conditions than this is not known at all.
MAX_DOUBTS = 16


def _join_tensors(condition: Condition | None, a: Tensor, b: Tensor) -> Tensor:
    """One tensor that is either of two.  Where nothing is known of the one, it is the other, but for a doubt."""
    dtype = a.dtype if a.dtype == b.dtype else None
    doubts = dict.fromkeys(d for t in (a, b) if t.step is not None for d in t.step.doubts)
    shape, step = join_shapes(a.shape, b.shape), a.step
    if condition is not None and len(doubts) < MAX_DOUBTS and a.step is not None and b.step is not None:
        known = a if _tells_less(b, a) else b if _tells_less(a, b) else None
        if known is not None and not (_asks_for_rank(condition, a) or _asks_for_rank(condition, b)):
            shape, step = known.shape, known.step
            doubts[condition if known is b else condition.inverse()] = None
        elif (shape.rest is None or shape.known) and tuple.__len__(a.shape) == tuple.__len__(b.shape):
            sizes = [
                _known_of(condition, doubts, x, y) for x, y in zip(tuple.__iter__(a.shape), tuple.__iter__(b.shape))
            ]
            shape = Shape(sizes, a.step, a.dtype)
    if step is not None and tuple(doubts) != step.doubts:
        step = replace(step, doubts=tuple(doubts))
    return Tensor(shape, step, dtype, a.sure and b.sure)


def _any_of(value: Unknown, other: Step) -> Tensor:
    """What is not known, as the tensor that it is if the other value of a name is one."""
    return Tensor(any_shape(value.reason), Step("?", None, (), (other,)), sure=False)


def _asks_for_rank(condition: Condition, tensor: Tensor) -> bool:
    """Does a condition ask how many dimensions a tensor has?  Then neither way is an exception."""
    rest = tensor.shape.rest
    if rest is None or not isinstance(condition.key, tuple):
        return False
    if condition.key[0] == OF_SHAPES or _may_be_ranks(condition.key):
        return True
    own = dims.symbols(rest.count)
    return any(not own.isdisjoint(dims.symbols(size)) for size in condition.key if isinstance(size, dims.Expr))


def _may_be_ranks(key: tuple[object, ...]) -> bool:
    """May a comparison, ``dims > 4``, be one of the number of dimensions of something that is not known at all?"""
    sizes = [size for size in key[1:] if isinstance(size, int)]
    return len(key) == 3 and len(sizes) == 1 and 2 <= sizes[0] <= MOST_DIMENSIONS and any(map(is_mark, key))


#: No tensor of a net for clips has more dimensions.
MOST_DIMENSIONS = 5


def _known_of(condition: Condition, doubts: dict[object, None], a: Dim, b: Dim) -> Dim:
    """One size that is either of two; the known one, but for a doubt, where nothing is known of the other.

    Nothing at all, ``torch.zeros(0, 4)`` in place of the boxes, is the exception and not the rule.
    """
    if a is b or a == b or is_mark(a) == is_mark(b) or _varies(a if is_mark(a) else b) or 0 in (a, b):
        return join_sizes(a, b)
    doubts[condition if is_mark(a) else condition.inverse()] = None
    return b if is_mark(a) else a


def _tells_less(one: Tensor, other: Tensor) -> bool:
    """Is nothing known of one tensor, or not its rank, where that of the other is known, and not that it is empty?"""
    if other.shape.rest is None and 0 in other.shape:
        return False
    if is_lost(one):
        return not is_lost(other)
    made = one.step is not None and bool(one.step.parents)
    return one.shape.rest is not None and not one.shape.rest.varies and other.shape.rest is None and made


def is_lost(tensor: Tensor) -> bool:
    """Is nothing known of what an operation has made?  An input may be anything, and that is all there is to know."""
    shape, step = tensor.shape, tensor.step
    is_any = shape.rest is not None and not shape.rest.varies and not shape.known
    return is_any and step is not None and bool(step.parents)


def _imported(value: Value) -> Value:
    """What an import made, once somebody asked for it: following it changes nothing."""
    return value.value if isinstance(value, LazyImport) and value.value is not MISSING else value


def same(a: Value, b: Value) -> bool:
    """Are two values one and the same."""
    a, b = _imported(a), _imported(b)
    if a is b:
        return True
    if isinstance(a, (int, float, str, bytes, type(None))) and isinstance(b, (int, float, str, bytes, type(None))):
        return type(a) is type(b) and a == b
    if isinstance(a, Expr) and isinstance(b, Expr):
        return a == b
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, Condition) and isinstance(b, Condition):
        return a.key == b.key and a.negated == b.negated
    return type(a).__name__ == "External" and a == b


def _is_unfilled(condition: Condition) -> bool:
    return type(condition.key) is tuple and condition.key[:1] == (UNFILLED,)


def join(condition: Condition | None, a: Value, b: Value) -> Value:
    """One value that is ``a`` where the condition holds and ``b`` where it does not."""
    if a is MISSING or b is MISSING:
        return b if a is MISSING else a
    if same(a, b):
        return _imported(a)
    if Unknown in (type(a), type(b)) and condition is not None and _is_unfilled(condition):
        return b if type(a) is Unknown else a  # what nobody has put there yet
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return _join_tensors(condition, a, b)
    if condition is not None and type(a) is Unknown and isinstance(b, Tensor) and b.step is not None:
        return _join_tensors(condition, _any_of(a, b.step), b)
    if condition is not None and type(b) is Unknown and isinstance(a, Tensor) and a.step is not None:
        return _join_tensors(condition, a, _any_of(b, a.step))
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return tuple(join(condition, x, y) for x, y in zip(a, b))
    if isinstance(a, List) and isinstance(b, List) and not (a.open or b.open) and len(a.items) == len(b.items):
        return List([join(condition, x, y) for x, y in zip(a.items, b.items)])
    if condition is None:
        return Unknown("changes in a loop")
    choice = Choice(condition, a, b)
    return choice if choice.depth <= MAX_CHOICE_DEPTH else Unknown("differs between branches")
