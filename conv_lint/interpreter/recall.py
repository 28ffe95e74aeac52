"""What was run before is not run again: the second of two equal blocks gives what the first one gave.

A call of a module, or of its class, is described by all that it can see: the attributes of the module down to its
layers, the arguments, and what is known on the path.  Sizes are described up to the names of their symbols, so a
block of one network is known again in the next one.  Where the description is found, the result is copied: with the
symbols, the layers and the callers of this call instead of those of the first.

Only a call that left no trace is remembered: no finding, no note, no fact, no change of what is older than itself.
What a call may have read besides (globals, attributes of classes, and all that hangs on them) must not have changed
since; the journal says so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from conv_lint import dims
from conv_lint.dims import Dim, Expr, Symbol
from conv_lint.finding import Step
from conv_lint.interpreter import coverage, unready
from conv_lint.interpreter.calls import Arguments, bind_parameters, run_function, with_first
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.memory import Cases, Record
from conv_lint.interpreter.objects import BoundMethod, Call, Class, Frame, Function, Instance, Layer, Method, Partial
from conv_lint.interpreter.portraits import Indescribable, Portrait, is_global
from conv_lint.interpreter.ways import Scope
from conv_lint.values import Choice, Dict, List, Shape, Tensor, Value, birth


def module_call(machine: Machine, frame: Frame, node: Any, forward: Function, arguments: Arguments) -> Value:
    """What ``forward`` of a module gives, which is its first argument."""

    def run() -> Value:
        return run_function(machine, frame, node, forward, arguments)

    return _remembered(machine, frame, node, forward, arguments, ("call", id(forward)), run)


def construction(machine: Machine, frame: Frame, node: Any, made: Class, init: Function, arguments: Arguments) -> Value:
    """A new module of a class of the checked code, on which ``init`` is run."""

    def run() -> Instance:
        instance = Instance(made, call=Call(node, frame) if node is not None else frame.call)
        unready.begin(instance, made)
        run_function(machine, frame, node, init, with_first(arguments, instance))
        return instance

    return _remembered(machine, frame, node, init, with_first(arguments, None), ("make", id(made)), run)


def _remembered(
    machine: Machine,
    frame: Frame,
    node: Any,
    function: Function,
    arguments: Arguments,
    what: Hashable,
    run: Callable[[], Value],
) -> Value:
    if machine.demands is not None or machine.watch is not None or not is_global(function):
        return run()
    portrait = Portrait(machine)
    try:
        key = (what, portrait.of_call(arguments), _mode(machine))
    except Indescribable:
        return run()
    memory, facts = machine.journal.memory, machine.facts
    cases = memory.records.get(key)
    record = cases.find(portrait.floats) if cases is not None else None
    if record is not None and facts.answers(record.asked) == record.answers:
        facts.asked.update(record.asked)
        return _repeated(machine, record, Again(portrait, frame, node, function, arguments))
    record = Record(portrait.symbols, portrait.parts, list(portrait.floats), portrait.identities, frame, birth())
    start, weighed = dims.symbol_count(), len(machine.weighed)
    before = _traces(machine, start)
    flags = machine.rank_was_assumed, machine.strained
    machine.rank_was_assumed = machine.strained = False
    memory.oldest.append(record.began)
    asked, facts.asked = facts.asked, set()
    try:
        result = run()
    finally:
        record.asked = list(facts.asked)
        facts.asked |= asked
        oldest = memory.oldest.pop()
        if memory.oldest:
            memory.oldest[-1] = min(memory.oldest[-1], oldest)
        assumed = machine.rank_was_assumed or machine.strained
        machine.rank_was_assumed |= flags[0]
        machine.strained |= flags[1]
    if oldest < record.began or assumed or machine.journal.memory is not memory or _traces(machine, start) != before:
        return result
    count = len(portrait.parts)
    try:
        portrait.closed = True
        portrait.of(result)
    except Indescribable:
        return result
    record.made, record.parts = record.parts[count:], record.parts[:count]
    record.answers = facts.answers(record.asked)
    record.steps = _steps(record.made, record.parts)
    record.result = _Copy(record, machine).value(result)
    seen = set(map(id, machine.weighed[weighed:]))
    deciding = {i for i, value in enumerate(record.floats) if id(value) in seen}
    memory.records.setdefault(key, Cases(())).add(record, deciding)
    return result


def _repeated(machine: Machine, record: Record, again: Again) -> Value:
    """The result of a call that was run before, and the traces that a run would leave in any case."""
    for old, new in zip(record.parts, again.portrait.parts):
        if isinstance(new, Instance) and isinstance(old, Instance) and old.called:
            new.called, new.fits, new.fitted = True, old.fits, old.fitted
            if old.layer is not None and new.layer is not None:
                coverage.note_same(machine, old.layer, new.layer)
    return _Copy(record, machine, again).value(record.result)


def _mode(machine: Machine) -> Hashable:
    """What of the machine itself a call may depend on."""
    training = machine.training if isinstance(machine.training, bool) else None
    doubts = machine.muted > 0, machine.catching > 0, machine.doubts > 0, machine.by_default, machine.is_in_branch
    return doubts, machine.prefer_batched, machine.prefer_usual, machine.is_example, training


def _traces(machine: Machine, before: int) -> tuple[Any, ...]:
    """What a call may leave behind besides its result and its changes; of sizes, what symbols made ``before`` are."""
    facts = machine.facts
    sizes = {symbol: size for symbol, size in facts.sizes.items() if symbol.serial < before}
    known = (sizes, *facts.snapshot()[1:])
    seen = len(machine.findings), len(machine.notes), machine.hooked
    return seen, dims.raised[0], known


def _steps(made: list[object], given: list[object]) -> list[Step]:
    """The steps that lead to what a call has made, from what it was given on, each behind its parents."""
    known = {id(part.step) for part in given if isinstance(part, Tensor)}
    found: list[Step] = []
    todo = [part.step for part in made if isinstance(part, Tensor) and part.step is not None]
    while todo:
        step = todo[-1]
        waiting = [] if id(step) in known else [p for p in step.parents if id(p) not in known]
        if waiting:
            todo += waiting
            continue
        todo.pop()
        if id(step) not in known:
            known.add(id(step))
            found.append(step)
    return found


# copies -----------------------------------------------------------------------------------------------------


@dataclass
class Again:
    """A call that need not be run: its description, and how it is called."""

    portrait: Portrait
    caller: Frame
    node: Any
    function: Function
    arguments: Arguments


class _Copy:
    """The result of a record, made anew for another call; or, without one, to be kept as it is now."""

    def __init__(self, record: Record, machine: Machine, again: Again | None = None) -> None:
        self.record, self.machine, self.again = record, machine, again
        parts = again.portrait.parts if again is not None else record.parts
        symbols = again.portrait.symbols if again is not None else record.symbols
        self.made: dict[int, Any] = {id(old): new for old, new in zip(record.parts, parts)}
        self.frames: dict[int, Frame] = {}
        self.steps: dict[int, Step] = {}
        self.sizes: dict[Expr, Dim] = {}
        self.symbols: dict[Symbol, Dim] = {
            old: Expr((((new,), 1),)) for old, new in zip(record.symbols, symbols) if old is not new
        }
        self.floats: dict[int, float] = {}
        if again is not None:
            self.floats = {id(old): new for old, new in zip(record.floats, again.portrait.floats)}
            for old, new in zip(record.parts, parts):
                if isinstance(old, Tensor) and isinstance(new, Tensor) and old.step is not None:
                    self.steps[id(old.step)] = new.step or old.step
            for step in record.steps:
                self.steps[id(step)] = self._step(step)

    def size(self, dim: Any) -> Any:
        if not isinstance(dim, Expr):
            return dim
        if self.again is None:
            return self.machine.size(dim)
        if not self.symbols:
            return dim
        known = self.sizes.get(dim)
        if known is None:
            known = self.sizes[dim] = dims.substitute(dim, self.symbols)
        return known

    def value(self, value: Value) -> Value:
        """The copy of one value."""
        copy = _COPIED.get(type(value))
        return value if copy is None else copy(self, value)

    def _items(self, values: dict[str, Value]) -> dict[str, Value]:
        return {name: self.value(v) if type(v) in _COPIED else v for name, v in values.items()}

    def _float(self, old: float) -> Value:
        return self.floats.get(id(old), old)

    def _tuple(self, old: tuple[Value, ...]) -> Value:
        return tuple(map(self.value, old))

    def _choice(self, old: Choice) -> Value:
        then, other = self.value(old.then), self.value(old.other)
        return old if then is old.then and other is old.other else Choice(old.condition, then, other)

    def _partial(self, old: Partial) -> Value:
        return Partial(self.value(old.function), tuple(map(self.value, old.args)), self._items(old.kwargs))

    def _bound(self, old: BoundMethod) -> Value:
        return BoundMethod(self.value(old.receiver), old.function)

    def _method(self, old: Method) -> Value:
        return Method(self.value(old.receiver), old.name, old.base)

    def _tensor(self, old: Tensor) -> Value:
        if id(old) in self.made:
            return self.made[id(old)]
        shape = old.shape
        if self.symbols or self.again is None:
            shape = Shape(map(self.size, tuple.__iter__(self.machine.shape(shape))), None, shape.dtype)
        step = self.steps.get(id(old.step), old.step)
        new = self.made[id(old)] = Tensor(shape, step, old.dtype, old.sure, old.parameter)
        new.numbers = old.numbers
        return new

    def _list(self, old: List) -> Value:
        if id(old) in self.made or old.born < self.record.began:
            return self.known(old)
        new = self.made[id(old)] = List(limit=old.limit)
        new.items = [self.value(v) for v in old.items]
        return new

    def _dict(self, old: Dict) -> Value:
        if id(old) in self.made or old.born < self.record.began:
            return self.known(old)
        new = self.made[id(old)] = Dict()
        new.items = {key: self.value(v) for key, v in old.items.items()}
        return new

    def _instance(self, old: Instance) -> Value:
        if id(old) in self.made or old.born < self.record.began:
            return self.known(old)
        new = self.made[id(old)] = Instance(old.cls, training=self.value(old.training), parallel=old.parallel)
        if self.again is None:
            self.record.twins[id(old)] = new
        new.portrait, new.called, new.fits, new.fitted = old.portrait, old.called, old.fits, old.fitted
        if old.owner is not None:
            new.owner = self.known(old.owner[0]), old.owner[1]
        if old.layer is not None:
            made = old.layer.call
            new.layer = Layer(old.layer.row, self._items(old.layer.arguments), Call(made.node, self.frame(made.frame)))
        if old.call is not None:
            new.call = Call(old.call.node, self.frame(old.call.frame))
        new.attrs = self._items(old.attrs)
        new.sometimes = {n: (when, new.attrs[n]) for n, (when, v) in old.sometimes.items() if v is old.attrs.get(n)}
        for name, part in new.attrs.items():
            if isinstance(part, Instance) and part.owner is None and part.is_module:
                part.owner = (new, name)
        return new

    def known(self, value: Any) -> Any:
        """What corresponds to a value, if it is a part of what was given or made; else itself."""
        found = self.made.get(id(value))
        if found is None and id(value) in self.record.twins:
            found = self.made.get(id(self.record.twins[id(value)]))
        return value if found is None else found

    def frame(self, old: Frame) -> Frame:
        """The frame that corresponds to one of the record: as far as findings ask for it, who called whom with what."""
        again = self.again
        if again is None:
            return old
        if old is self.record.caller:
            return again.caller
        if old.born < self.record.began:
            return old
        if id(old) in self.frames:
            return self.frames[id(old)]
        new = self.frames[id(old)] = Frame(old.tree, old.namespace, old.parent, old.function, depth=old.depth)
        new.self_value = self.known(old.self_value)
        if old.call is not None and old.call.frame is self.record.caller and old.function is again.function:
            self._outermost(new, again)
        elif old.call is not None:
            new.call = Call(old.call.node, self.frame(old.call.frame))
            for name, (node, frame) in old.arguments.items():
                new.arguments[name] = node, self.frame(frame) if frame is not None else None
        new.locals = {**old.locals, **new.locals}
        return new

    def _outermost(self, new: Frame, again: Again) -> None:
        caller, above = again.caller, again.caller.call
        node = again.node if again.node is not None else above.node if above is not None else again.function.node
        new.call = Call(node, caller)
        bind_parameters(self.machine, new, caller, again.function, again.arguments)

    def _step(self, old: Step) -> Step:
        label, place, scope = old.label, old.place, old.scope
        if isinstance(scope, Scope):
            layer = self.known(scope.layer)
            if layer is not scope.layer and layer.layer is not None:
                label, made = layer.label, layer.layer.call
                place = made.frame.place(made.node)
            scope = replace(scope, frame=self.frame(scope.frame), layer=layer)
        shape = tuple(map(self.size, old.shape)) if self.symbols else old.shape
        parents = tuple(self.steps.get(id(p), p) for p in old.parents)
        return Step(label, place, shape, parents, scope, old.made, old.doubts)


#: How what holds others, or may change, is copied; everything else is shared.
_COPIED: dict[type, Callable[[_Copy, Any], Value]] = {
    Expr: _Copy.size,
    float: _Copy._float,
    Tensor: _Copy._tensor,
    Instance: _Copy._instance,
    List: _Copy._list,
    Dict: _Copy._dict,
    tuple: _Copy._tuple,
    Choice: _Copy._choice,
    Partial: _Copy._partial,
    BoundMethod: _Copy._bound,
    Method: _Copy._method,
}
