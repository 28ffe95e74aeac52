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

from conv_lint.configured import Inputs
from conv_lint.dims import Expr, Symbol
from conv_lint.finding import Finding, Place
from conv_lint.interpreter.journal import Facts, Journal, join, join_states
from conv_lint.interpreter.knowledge import Knowledge
from conv_lint.interpreter.objects import Class, Frame, Function, Instance, Pending
from conv_lint.project import Project
from conv_lint.tree import Tree
from conv_lint.values import Choice, Condition, List, Mutable, Rest, Unknown, Value

if TYPE_CHECKING:
    from conv_lint.interpreter.demands import Demands

#: So much longer may a file take in which findings are to be confirmed.
LONGER = 1.5
#: So many calls of a function by itself are followed where no known value ends them.
UNDECIDED_CALLS = 2


def _is_of_an_extent(condition: Condition) -> bool:
    """Is an image asked for one certain height or width, ``h.shape[-1] in self.resolutions``?  What hangs on that is
    made for images of another size too."""
    match condition.key:
        case ("size==", Expr() as size, int()):
            return all(symbol.image or not symbol.given for symbol in size.symbols)
    return False


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
class Machine(Knowledge):
    """One run over one file.

    ``catching``, ``doubts``: how many ``try`` are open, and how many other reasons there are why what runs now may not
    be what the program runs. ``outermost``: the open levels of the journal where no branch is open. ``by_default``: the
    entry that runs is a call that the checker makes up; ``entry_born``: when it began. ``shared``: values that calls
    were given which are not followed, by id; ``hooked``: such a call was given a function, or one was too deep to
    follow. ``read_docstring``: the shape of an input is what a docstring says. ``used``: the classes that were
    constructed and the functions that have run; ``visiting``: what runs is another file, that uses this one.
    ``lengths``: of containers of which not all is known, by id and what is known, and ``others``: what dicts hold under
    keys that are not known, by these too. ``wholes``: whole numbers that are made of ones with a point, by what these
    were computed from. ``right_comments``: the lines whose comments have been right at least once, by id. ``supposed``:
    numbers that nobody gives were, and with ``supposed_kinds`` lists or classes, too. ``lists``: how many items the
    supposed lists have, by what they are the argument of, and ``given_lists`` how many they are to have. ``reading``:
    how many items of datasets are being made. ``was_cut``: an entry did not come to its end. ``asked``: the names in
    the last check of the checked code that failed. ``of_defaults``: what was found of a class that was run with its own
    defaults. ``samples``: the sizes that layers took for the number of samples.
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
    supposed_kinds: bool = False
    lists: dict[str, int] = field(default_factory=dict)
    given_lists: dict[str, int] = field(default_factory=dict)
    was_cut: bool = False
    muted: int = 0
    catching: int = 0
    doubts: int = 0
    reading: int = 0
    outermost: int = 0
    by_default: bool = False
    entry_born: int = 0
    shared: dict[int, Value] = field(default_factory=dict)
    hooked: bool = False
    prefer_batched: bool = True
    rank_was_assumed: bool = False
    prefer_usual: bool = True
    guesses: set[int] = field(default_factory=set)
    batches: set[Symbol] = field(default_factory=set)
    samples: set[Symbol] = field(default_factory=set)
    is_batched: bool = False
    asked: frozenset[str] = frozenset()
    lengths: dict[tuple[int, int], tuple[Value, Unknown]] = field(default_factory=dict)
    others: dict[tuple[int, int, object], tuple[Value, Unknown]] = field(default_factory=dict)
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

        condition = value.condition.of_an_offer() if _is_of_an_extent(value.condition) else value.condition
        flow = self.branch(frame, condition, side(value.then), side(value.other))
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

    @property
    def is_in_branch(self) -> bool:
        """Does what runs now hang on a condition that is not decided?"""
        return len(self.journal.levels) > self.outermost

    @contextmanager
    def evaluating(self, really: bool = True) -> Iterator[None]:
        """While it lasts, modules that nobody has told otherwise are in evaluation mode."""
        before, self.training = self.training, not really and self.training
        try:
            yield
        finally:
            self.training = before

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
