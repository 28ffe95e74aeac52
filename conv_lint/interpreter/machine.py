"""The machine: what every part of the interpreter shares.  The current path's facts, the journal of open branches, the
budget, and what has been found."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from conv_lint import dims, solving
from conv_lint.configured import Inputs
from conv_lint.dims import Dim, Expr, Symbol
from conv_lint.finding import Finding, Place
from conv_lint.interpreter.journal import Facts, Journal, join, join_states
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Instance, Pending
from conv_lint.ops.rule import AXES
from conv_lint.project import Project
from conv_lint.tree import Tree
from conv_lint.values import Choice, Condition, Dict, List, Mutable, Rest, Shape, Tensor, Unknown, Value, any_shape

if TYPE_CHECKING:
    from conv_lint.interpreter.demands import Demands

#: So many sizes may hang on one condition; further ones are not known where it is.
MAX_LINKS = 16
#: So much longer may a file take in which findings are to be confirmed.
LONGER = 1.5
#: So many calls of a function by itself are followed where no known value ends them.
UNDECIDED_CALLS = 2
#: What is equal to itself alone, so that a value cannot be equal to two of them.
CONSTANTS = (int, float, str, type(None))


def _is_of_a_factory(frame: Frame, condition: Condition) -> bool:
    """Does a function ask for a name that its callers give, ``if norm == "batch"``, and nobody has given one?"""
    if frame.function is None or frame.self_value is not None or frame.call is None:
        return False
    match condition.key:
        case ("==", str(), _) | ("==", _, str()) | ("in", _, _) | ("text", *_):
            return True
        case ("and" | "or", Condition() as left, Condition() as right):
            return _is_of_a_factory(frame, left) and _is_of_a_factory(frame, right)
    return False


class TooLong(Exception):
    """A part of the file took more steps than it is worth; the rest goes on without it."""


class OutOfBudget(Exception):
    """The work allowed for the file, or for one entry, is used up."""


class PythonRaise(Exception):
    """The checked program raises here, on this path."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.name = name


@dataclass
class Limits:
    """How much work one file may cost: evaluated nodes, seconds of the processor (so that a busy machine finds the same
    as an idle one), depth of calls, rounds of one loop."""

    steps: int = 1_500_000
    entry_steps: int = 400_000
    seconds: float = 8.0
    depth: int = 50
    rounds: int = 2_000


@dataclass
class Note:
    """Something that was not understood, and where."""

    reason: str
    place: Place | None


@dataclass
class Flow:
    """How a statement ended, if not by running on to the next: return, break or continue."""

    kind: str
    value: Value = None


@dataclass
class LayerCall:
    """A call of a layer, for those who watch: its module, and what went in and came out."""

    module: Instance
    inputs: tuple[Value, ...]
    result: Value


@dataclass
class Machine:
    """One run over one file.

    ``catching``, ``doubts``: how many ``try`` are open, and how many other reasons there are why what runs now may not
    be what the program runs.  ``outermost``: the open levels of the journal where no branch is open.  ``by_default``:
    the entry that runs is a call that the checker makes up; ``entry_born``: when it began.  ``shared``: values that
    calls were given which are not followed, by id; ``hooked``: such a call was given a function, or one
    was too deep to follow.  ``read_docstring``: the shape of an input is what a docstring says.  ``used``: the classes
    that were constructed and the functions that have run; ``visiting``: what runs is another file, that uses this one.
    ``lengths``: of containers of which not all is known, by id and what is known.  ``wholes``: whole numbers that are
    made of ones with a point, by what these were computed from.  ``right_comments``: the lines whose comments have been
    right at least once, by id.  ``asked``: the names in the last
    check of the checked code that failed.  ``of_defaults``: what was found of a class that was run with its own
    defaults.  ``samples``: the sizes that layers took for the number of samples.
    """

    tree: Tree
    project: Project
    limits: Limits = field(default_factory=Limits)
    facts: Facts = field(default_factory=Facts)
    journal: Journal = field(default_factory=Journal)
    findings: list[Finding] = field(default_factory=list)
    notes: dict[object, Note] = field(default_factory=dict)
    namespaces: dict[str, Any] = field(default_factory=dict)
    peeks: dict[tuple[Rest, int], Expr] = field(default_factory=dict)
    links: dict[object, dict[Symbol, Choice]] = field(default_factory=dict)
    active: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    steps: int = 0
    entry_start: int = 0
    tedious: set[int] = field(default_factory=set)
    refused: dict[int, object] = field(default_factory=dict)
    rounds: int | None = None
    supposed: bool = False
    muted: int = 0
    catching: int = 0
    doubts: int = 0
    outermost: int = 0
    by_default: bool = False
    entry_born: int = 0
    shared: dict[int, Value] = field(default_factory=dict)
    hooked: bool = False
    prefer_batched: bool = True
    rank_was_assumed: bool = False
    batches: set[Symbol] = field(default_factory=set)
    samples: set[Symbol] = field(default_factory=set)
    is_batched: bool = False
    asked: frozenset[str] = frozenset()
    lengths: dict[tuple[int, int], tuple[Value, Unknown]] = field(default_factory=dict)
    wholes: dict[object, Expr] = field(default_factory=dict)
    right_comments: set[int] = field(default_factory=set)
    of_defaults: dict[Class, list[Finding]] = field(default_factory=dict)
    strained: bool = False
    reads_docstrings: bool = True
    read_docstring: bool = False
    is_example: bool = False
    exercised: set[Class] = field(default_factory=set)
    well_made: set[Class] = field(default_factory=set)
    used: set[object] = field(default_factory=set)
    visiting: bool = False
    confirming: int = 0
    reached: dict[int, tuple[str, str]] = field(default_factory=dict)
    inputs: Sequence[Inputs] = ()
    demands: Demands | None = None
    models: list[Demands] | None = None
    entry: cst.FunctionDef | cst.ClassDef | None = None
    watch: Callable[[LayerCall], None] | None = None
    weighed: list[float] = field(default_factory=list)
    rests_of: dict[int, tuple[float, float]] = field(default_factory=dict)
    training: Value = True
    started: float = field(default_factory=time.thread_time)
    stop: bool = False

    # budget -------------------------------------------------------------------------------------------------
    def tick(self) -> None:
        """Count one evaluated node."""
        self.steps += 1
        if not self.steps & 1023 and time.thread_time() - self.started > self.limits.seconds:
            self.stop = True
        if self.stop or self.steps > self.limits.steps or self.steps - self.entry_start > self.limits.entry_steps:
            raise OutOfBudget

    @contextmanager
    def at_most(self, steps: int) -> Iterator[None]:
        """Meanwhile the budget is no larger than so many steps; :class:`TooLong` is raised if they are used up."""
        start, most = self.entry_start, self.limits.entry_steps
        self.entry_start = min(start, self.steps + steps - most) if steps < most else start
        try:
            yield
        except OutOfBudget:
            if self.stop or self.steps > self.limits.steps or self.steps - start > most:
                raise
            raise TooLong from None
        finally:
            self.entry_start = start

    @contextmanager
    def longer(self) -> Iterator[None]:
        """Meanwhile there is more time: a finding that could not be confirmed in time would be lost."""
        limits = self.limits
        if not self.visiting and not self.confirming:
            self.limits = replace(limits, seconds=limits.seconds * LONGER)
        self.confirming += 1
        try:
            yield
        finally:
            self.limits = limits
            self.confirming -= 1

    @contextmanager
    def running(self, function: Function, args: Sequence[Value]) -> Iterator[bool]:
        """Keep count of a function that calls itself.  Yields whether nothing known ends that: each of its last calls
        stood behind one more branch that was not decided.  A layer that calls others of its class is no such case.
        """
        receiver = args[0] if args and function.owner is not None and function.name != "__init__" else None
        key = (id(function.node), id(receiver) if isinstance(receiver, Instance) else 0)
        depths = self.active.setdefault(key, [])
        depths.append(len(self.journal.levels))
        last = depths[-UNDECIDED_CALLS:]
        try:
            yield len(last) == UNDECIDED_CALLS and all(a < b for a, b in itertools.pairwise(last))
        finally:
            depths.pop()
            if not depths:
                del self.active[key]

    def weigh(self, *values: Value) -> None:
        """Write down the floats whose value is about to decide something.

        A rate of a dropout that is only handed on, or compared with 0 and 1, decides no shape: see
        :mod:`conv_lint.interpreter.recall`.
        """
        for value in values:
            kind = type(value)
            if kind is float:
                self.weighed.append(value)  # type: ignore[arg-type]
                if id(value) in self.rests_of:
                    self.weigh(self.rests_of[id(value)][1])
            elif kind is tuple or kind is list:
                self.weigh(*value)  # type: ignore[misc]
            elif kind is List:
                self.weigh(*value.items)  # type: ignore[attr-defined]

    def rest_of(self, rate: float) -> float:
        """``1 - rate``, which is above, below or between 0 and 1 as the rate is."""
        rest = 1.0 - rate
        self.rests_of[id(rest)] = rest, rate
        return rest

    # facts --------------------------------------------------------------------------------------------------
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
                return known == wanted if isinstance(known, CONSTANTS) and isinstance(wanted, CONSTANTS) else None
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

    # branches -----------------------------------------------------------------------------------------------
    def branch(
        self, frame: Frame, condition: Condition, then: Callable[[], Flow | None], other: Callable[[], Flow | None]
    ) -> Flow | None:
        """Run both sides of a condition that is not decided, and join what they leave.

        A side that raises is dropped; a side that returns (breaks, continues) is set aside until its function (its
        loop) ends.
        """
        if _is_of_a_factory(frame, condition):
            condition = condition.of_an_offer()
        first = len(self.findings)
        one, after_one = self._side(condition, True, then)
        second = len(self.findings)
        two, after_two = self._side(condition, False, other)
        if condition.offers:
            self._keep_common(frame, first, second, one, two)
        if isinstance(one, PythonRaise) and isinstance(two, PythonRaise):
            raise one
        if isinstance(one, PythonRaise) or isinstance(two, PythonRaise):
            self.require(condition, isinstance(two, PythonRaise))
            self.journal.apply(after_two if isinstance(one, PythonRaise) else after_one)
            return two if isinstance(one, PythonRaise) else one  # type: ignore[return-value]
        if one is None and two is None:
            self.journal.merge(condition, after_one, after_two)
            return None
        if one is not None and two is not None and one.kind == two.kind:
            self.journal.merge(condition, after_one, after_two)
            return Flow(one.kind, join(condition, one.value, two.value))
        if one is not None:
            self._leave(frame, Pending(one.kind, one.value, condition, after_one))
            self.journal.apply(after_two)
            return two
        assert two is not None
        self._leave(frame, Pending(two.kind, two.value, condition.inverse(), after_two))
        self.journal.apply(after_one)
        return None

    def _keep_common(
        self, frame: Frame, first: int, second: int, one: Flow | PythonRaise | None, two: Flow | PythonRaise | None
    ) -> None:
        """Of what a factory offers, nothing is wrong as long as something suits: the findings of its one side, from
        ``first`` on, or of its other, from ``second`` on, are dropped where the other side has none."""
        suits_one = first == second and (not isinstance(one, PythonRaise) or frame.pending)
        suits_two = second == len(self.findings) and (not isinstance(two, PythonRaise) or frame.pending)
        if suits_one or suits_two:
            del self.findings[first:]

    def _leave(self, frame: Frame, pending: Pending) -> None:
        frame.pending.append(pending)
        self.journal.left.append(pending)

    def forget_pending(self, frame: Frame, first: int = 0) -> None:
        """The branches that left early are joined with nothing any more."""
        for pending in frame.pending[first:]:
            self.journal.forget(pending)
        del frame.pending[first:]

    def take_pending(self, frame: Frame, kind: str, first: int = 0) -> list[Pending]:
        """The branches that left in one way, the last one first; they are to be joined."""
        found = [p for p in frame.pending[first:] if p.kind == kind]
        for pending in found:
            frame.pending.remove(pending)
        return found[::-1]

    def _side(
        self, condition: Condition, truth: bool, run: Callable[[], Flow | None]
    ) -> tuple[Flow | PythonRaise | None, dict[Any, Any]]:
        self.journal.begin()
        result: Flow | PythonRaise | None
        try:
            self.assume(condition, truth)
            result = run()
        except PythonRaise as error:
            result = error
        finally:
            after = self.journal.end()
        return result, after

    def require(self, condition: Condition, truth: bool) -> None:
        """The program goes on only if the condition has this truth."""
        if self.demands is not None and not self.muted:
            self.demands.required.append((condition, truth))

    def join_pending(self, pending: Pending, alone: bool = False, but: Mutable | None = None) -> None:
        """Join the state in which a branch left early into the current one; ``alone``: nobody else is left.

        ``but``: an object that nobody needs any more.
        """
        self.journal.forget(pending)
        for target, state in pending.states.items():
            if target is not but:
                self.journal.touch(target)
                target.restore(state if alone else join_states(pending.condition, target, state, target.snapshot()))

    def choose(self, frame: Frame, value: Choice, use: Callable[[Value], Value]) -> Value:
        """Apply ``use`` to both alternatives of a choice, each on its own path, and join the results."""

        def side(alternative: Value) -> Callable[[], Flow]:
            return lambda: Flow("value", use(self.resolve(alternative)))

        flow = self.branch(frame, value.condition, side(value.then), side(value.other))
        return flow.value if flow else None

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Run something that belongs to no branch (the top level of an imported file)."""
        facts, journal, muted = self.facts, self.journal, self.muted
        self.facts, self.journal, self.muted = Facts(), Journal(), muted + 1
        try:
            yield
        finally:
            self.facts, self.journal, self.muted = facts, journal, muted

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Report nothing meanwhile."""
        self.muted += 1
        try:
            yield
        finally:
            self.muted -= 1

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """What runs meanwhile may not run at all, or not like this: nothing of Python itself is reported."""
        self.doubts += 1
        try:
            yield
        finally:
            self.doubts -= 1

    # reports ------------------------------------------------------------------------------------------------
    def unknown(self, reason: str, frame: Frame | None = None, node: cst.CSTNode | None = None) -> Unknown:
        """A value that is not known, remembered with its place."""
        if not self.muted and frame is not None and node is not None:
            self.note(reason, frame.place(node))
        return Unknown(reason)

    def note(self, reason: str, place: Place) -> None:
        """Write down that something was not understood, once for each place."""
        self.notes.setdefault((reason, place.key), Note(reason, place))

    def refused_before(self, number: object) -> bool:
        """Was this very number reported where a whole one is wanted?  One division may reach many layers."""
        if self.muted or id(number) in self.refused:
            return not self.muted
        self.refused[id(number)] = number
        return False

    def report(self, finding: Finding) -> None:
        """Keep a finding, unless reports are muted here."""
        if not self.muted:
            self.findings.append(finding)
