"""Loops: over known items round by round; otherwise until what the loop changes is stable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import libcst as cst

from conv_lint import dims
from conv_lint.dims import Expr
from conv_lint.interpreter import assign, kinds, samples, suppose
from conv_lint.interpreter.branches import one_for_each_layer
from conv_lint.interpreter.journal import join_states
from conv_lint.interpreter.machine import Flow, Machine, PythonRaise
from conv_lint.interpreter.objects import Class, Frame, Instance, InstanceState
from conv_lint.interpreter.sequences import items_of
from conv_lint.ops.batch import first_batch
from conv_lint.tree import dotted, walk
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
    is_mark,
)

if TYPE_CHECKING:
    from conv_lint.interpreter.libraries import Context

#: A loop with an unknown number of rounds is tried so often before what it changes is given up.
WIDENINGS = 2
#: If one such round takes so many steps, one is enough.
COSTLY_ROUND = 20_000
#: A loop is long if it has more rounds than this.
LONG = 6
#: After so many rounds a loop is costly if all of them would take so many steps.
COSTLY = {2: 200_000, LONG: 20_000}


def run_for(machine: Machine, frame: Frame, node: cst.For) -> Flow | None:
    from conv_lint.interpreter.expressions import evaluate

    over = suppose.items(machine, evaluate(machine, frame, node.iter))
    if node.orelse is None and only_fills(node.body):
        for name in _assigned(node.body):
            assign.bind(machine, frame, name, Unknown("was set in a loop that fills parameters"))
        return None
    return for_each(machine, frame, node, over)


def only_fills(body: cst.BaseSuite) -> bool:
    """Does a block do nothing but fill parameters in place (``nn.init.ones_(m.weight)``), which changes no shape?

    It may compute numbers for that, ``bound = 1 / math.sqrt(m.in_features)``.
    """
    statements = list(_simple_statements(body))
    return any(map(_fills, statements)) and all(
        _fills(s) or isinstance(s, cst.Pass) or _is_docstring(s) or _sets_number(s) for s in statements
    )


def _simple_statements(body: cst.BaseSuite) -> Iterator[cst.CSTNode]:
    """The statements of a block that hold no other, those in its conditions too; whatever else it holds as it is."""
    for line in body.body:
        if isinstance(line, cst.If):
            branch: cst.If | cst.Else | None = line
            while branch is not None:
                yield from _simple_statements(branch.body)
                branch = branch.orelse if isinstance(branch, cst.If) else None
        elif isinstance(line, cst.SimpleStatementLine):
            yield from line.body
        else:
            yield line


def _fills(node: cst.CSTNode) -> bool:
    """``nn.init.zeros_(...)``, ``m.weight.data.fill_(1)``."""
    if not isinstance(node, cst.Expr) or not isinstance(node.value, cst.Call):
        return False
    names = dotted(node.value.func).split(".")
    return names[-1].endswith("_") and not {"init", "weight", "bias", "data"}.isdisjoint(names[:-1])


def _is_docstring(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString)


def _sets_number(node: cst.CSTNode) -> bool:
    match node:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name())], value=value):
            return _is_number(value)
    return False


def _assigned(body: cst.BaseSuite) -> list[str]:
    """The names that the block of a loop that fills parameters has set."""
    return [
        s.targets[0].target.value
        for s in _simple_statements(body)
        if isinstance(s, cst.Assign) and isinstance(s.targets[0].target, cst.Name)
    ]


def _is_number(node: cst.CSTNode) -> bool:
    """Arithmetic on attributes and numbers (``1.0 / math.sqrt(m.out_features)``), with no other call than math's."""
    match node:
        case cst.BinaryOperation(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case cst.Call(func=cst.Attribute(value=cst.Name(value="math" | "np" | "numpy")), args=args):
            return all(_is_number(a.value) for a in args)
        case cst.UnaryOperation(expression=inner) | cst.Subscript(value=inner) | cst.Attribute(value=inner):
            return _is_number(inner)
    return isinstance(node, (cst.Name, cst.Integer, cst.Float))


def _leaves(statement: cst.CSTNode) -> bool:
    """``if i == len(loader) - 1: break``"""
    lines = statement.body.body if isinstance(statement, cst.If) else ()
    last = lines[-1] if lines else None
    return isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], (cst.Break, cst.Continue))


def _fill_batches(machine: Machine, value: Value) -> None:
    """Take the batches of a loader for whole ones: where a loop is left early, that may be before the last."""
    for tensor in value if isinstance(value, tuple) else (value,):
        if isinstance(tensor, Tensor) and tensor.shape.rest is None and len(tensor.shape):
            first = machine.size(tuple.__getitem__(tensor.shape, 0))
            whole = first_batch(first)
            if whole != first:
                machine.equate(first, whole)
        elif isinstance(tensor, tuple):
            _fill_batches(machine, tensor)


def for_each(machine: Machine, frame: Frame, node: cst.For, over: Value) -> Flow | None:
    """Run a ``for`` over a value."""
    if isinstance(over, Choice):
        chosen = over
        return machine.branch(
            frame,
            chosen.condition,
            lambda: for_each(machine, frame, node, machine.resolve(chosen.then)),
            lambda: for_each(machine, frame, node, machine.resolve(chosen.other)),
        )
    items = items_of(machine, over)
    if items is None:
        items = one_for_each_layer(machine, frame, over, node, node.body)
    if items is None or len(items) > machine.limits.rounds:
        kinds.refuse_iterating(machine, frame, node.iter, over)
        element = element_of(machine, frame, node.iter, over)

        is_left = any(map(_leaves, node.body.body))

        def one_round() -> Flow | None:
            value = element()
            if is_left:
                _fill_batches(machine, value)
            assign.assign(machine, frame, node.target, value)
            return _body(machine, frame, node.body)

        if machine.is_in_branch or not _has_some(machine, frame, node.iter, over):
            return _unknown_rounds(machine, frame, one_round)
        return _unknown_rounds(machine, frame, one_round, lambda: _surely(machine, one_round))
    began = machine.steps
    for number, item in _live(machine, over, items):
        if number in COSTLY:
            expected = (machine.steps - began) // number * len(items)
            if expected >= COSTLY[number] and _is_stable(machine, frame, node, item):
                break
        assign.assign(machine, frame, node.target, item)
        flow = _body(machine, frame, node.body)
        if flow is not None:
            if flow.kind == "break":
                return _end(machine, frame, None)
            return flow
    return _end(machine, frame, node.orelse)


def _live(machine: Machine, over: Value, items: Sequence[Value]) -> Iterator[tuple[int, Value]]:
    """The items with their numbers; of a list, or an ``enumerate`` of one, also those that the loop itself appends."""
    source = over.source if isinstance(over, Iter) else over
    if not isinstance(source, List) or len(source.items) != len(items):
        yield from enumerate(items)
        return
    for number in range(machine.limits.rounds):
        if number >= len(source.items):
            return  # a list that is open by now may hold more, of which nothing is known
        item = source.items[number]
        yield number, item if source is over else (number, item)


def _is_stable(machine: Machine, frame: Frame, node: cst.For, item: Value) -> bool:
    """Would the rest of a long loop (the epochs of a training) repeat what was seen?

    One more round is run.  If it changes only numbers, those of names and those in lists, dicts and objects, and the
    rest would cost much, then these numbers are unknown from here on and the loop ends.
    """
    if not all(isinstance(i, int) for i in (item if isinstance(item, tuple) else (item,))):
        return False
    machine.journal.begin()
    pending = len(frame.pending)
    leaves = True
    try:
        with machine.quiet():
            assign.assign(machine, frame, node.target, item)
            leaves = _body(machine, frame, node.body) is not None
    except PythonRaise:
        pass
    finally:
        before = dict(machine.journal.levels[-1])
        after = machine.journal.end()
        machine.forget_pending(frame, pending)
    if leaves:
        return False
    changed = {target: state for target, state in after.items() if _differs(state, before[target])}
    held: dict[Mutable, dict[Any, tuple[Value, Value]]] = {}
    for target, state in changed.items():
        if isinstance(target, Instance) and _differs(state[1:], before[target][1:]):
            return False  # another layer, or another mode
        held[target] = changes = _changes(target, before[target], state)
        if not all(_are_alike(old, new) for old, new in changes.values()):
            return False
    for target, changes in held.items():
        machine.journal.touch(target)
        given_up = {key: _unknown_from_here(new, "changes in a long loop") for key, (_, new) in changes.items()}
        if isinstance(target, Frame):
            target.locals.update(given_up)
        elif isinstance(target, (Instance, Class)):
            target.attrs.update(given_up)
        elif isinstance(target, List):
            target.open = "items are added in a long loop"
        elif isinstance(target, Dict):
            target.items.update((key, value) for key, value in given_up.items() if key in target.items)
            target.others = target.others or "keys are added in a long loop"
    return True


def _changes(target: Mutable, before: Any, after: Any) -> dict[Any, tuple[Value, Value]]:
    """What a round has changed of an object: the old and the new value of each name, key or position."""
    if isinstance(target, List):
        return {i: (None, value) for i, value in enumerate(after[0]) if i >= len(before[0])}
    if isinstance(target, (Dict, Instance)):
        before, after = before[0], after[0]
    if not isinstance(after, dict):
        return {}
    return {name: (before.get(name), v) for name, v in after.items() if _differs(v, before.get(name))}


#: Values nested deeper than this, perhaps in themselves, are not looked at.
NESTED = 8


def _is_plain(value: Value, depth: int = 0) -> bool:
    """A number, a text, something unknown, or a tuple, list or dict of them: no tensor, no module."""
    if isinstance(value, (tuple, List, Dict)):
        return depth < NESTED and all(_is_plain(v, depth + 1) for v in _held(value))
    return isinstance(value, (int, float, str, type(None), range, Expr, Unknown))


def _held(value: tuple[Value, ...] | List | Dict) -> Sequence[Value]:
    if isinstance(value, tuple):
        return value
    return value.items if isinstance(value, List) else list(value.items.values())


def _are_alike(old: Value, new: Value, depth: int = 0) -> bool:
    """Does the new value tell no more than the old one: plain ones, tensors of other images, what is made of them?"""
    if old is new or _is_plain(new, depth):
        return True
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        was, now = tuple(tuple.__iter__(old.shape)), tuple(tuple.__iter__(new.shape))
        return len(was) == len(now) and all(is_mark(b) or repr(a) == repr(b) for a, b in zip(was, now))
    if not isinstance(old, (tuple, List, Dict)) or not isinstance(new, (tuple, List, Dict)):
        return False
    if type(old) is not type(new) or depth >= NESTED:
        return False
    if isinstance(old, Dict) and isinstance(new, Dict) and old.items.keys() != new.items.keys():
        return False
    one, two = _held(old), _held(new)
    return len(one) == len(two) and all(_are_alike(a, b, depth + 1) for a, b in zip(one, two))


def _unknown_from_here(value: Value, reason: str) -> Value:
    """A value of the same kind of which nothing else is known."""
    if isinstance(value, List):
        return List(open=reason)
    return Tensor(any_shape(reason), value.step) if isinstance(value, Tensor) else Unknown(reason)


def _body(machine: Machine, frame: Frame, body: cst.BaseSuite) -> Flow | None:
    """One round; branches that continued early are joined at its end."""
    from conv_lint.interpreter.statements import execute_block, suite

    before = len(frame.pending)
    try:
        flow = execute_block(machine, frame, suite(body))
    except PythonRaise:
        early = machine.take_pending(frame, "continue", before)
        if not early:
            raise
        flow = None
        for pending in early:
            machine.join_pending(pending, alone=pending is early[0])
    if flow is not None and flow.kind == "continue":
        flow = None
    for pending in machine.take_pending(frame, "continue", before):
        machine.join_pending(pending)
    return flow


def _end(machine: Machine, frame: Frame, orelse: cst.Else | None) -> Flow | None:
    """After the last round: branches that broke out are joined, then ``else`` runs."""
    from conv_lint.interpreter.statements import execute_block, suite

    for pending in machine.take_pending(frame, "break"):
        machine.join_pending(pending)
    return execute_block(machine, frame, suite(orelse.body)) if orelse is not None else None


def _context(machine: Machine, frame: Frame, node: cst.CSTNode) -> Context:
    from conv_lint.interpreter.calls import Arguments
    from conv_lint.interpreter.libraries import Context

    return Context(machine, frame, node, "", Arguments([]))


def element_of(machine: Machine, frame: Frame, node: cst.CSTNode, over: Value) -> Callable[[], Value]:
    """A maker of "some item" of a value whose items are not all known."""
    from conv_lint.interpreter import tensors

    if isinstance(over, Tensor):
        return lambda: tensors.piece(machine, over, None)
    context = _context(machine, frame, node)
    if samples.of_each(context, over) is not None:
        return lambda: samples.of_each(context, over)
    if isinstance(over, Iter) and over.items and all(isinstance(item, Expr) for item in over.items):
        return lambda: dims.unknown(0)  # a number of a range
    reason = over.reason if isinstance(over, Unknown) else "runs over unknown items"
    return lambda: Unknown(reason)


def _has_some(machine: Machine, frame: Frame, node: cst.CSTNode, over: Value) -> bool:
    """Is it a loader, a dataset or a generator?  Nobody loops over an empty one, as ``range(n)`` may be."""
    if isinstance(over, Iter) and any(not isinstance(item, Expr) for item in over.items):
        return True
    return samples.of_each(_context(machine, frame, node), over) is not None


def _surely(machine: Machine, one_round: Callable[[], Flow | None]) -> Flow | None:
    """A round that is run for sure."""
    machine.outermost += 1
    try:
        return one_round()
    finally:
        machine.outermost -= 1


def _unknown_rounds(
    machine: Machine,
    frame: Frame,
    one_round: Callable[[], Flow | None],
    for_good: Callable[[], Flow | None] | None = None,
) -> Flow | None:
    """A loop of which it is not known how often it runs.

    Silent rounds find out what it changes; that is joined with the state before until it is stable.  Then one round is
    run for good (by ``for_good``) and joined with the state of no round at all; where nothing is reported anyway, only
    if it may leave.
    """
    for attempt in range(WIDENINGS + 1):
        began = machine.steps
        machine.journal.begin()
        pending = len(frame.pending)
        leaves = True
        try:
            with machine.quiet():
                leaves = one_round() is not None
        except PythonRaise:
            pass
        finally:
            after = machine.journal.end()
            leaves = leaves or len(frame.pending) > pending
            machine.forget_pending(frame, pending)
        last = attempt == WIDENINGS or machine.steps - began > COSTLY_ROUND
        if not _widen(machine, after, last):
            if machine.muted and not leaves:
                return None
            break
        if last:
            break
    again = Condition(object(), "one more round of a loop")
    return _as_loop(machine, frame, machine.branch(frame, again, for_good or one_round, lambda: None))


def _as_loop(machine: Machine, frame: Frame, flow: Flow | None) -> Flow | None:
    _end(machine, frame, None)
    return flow if flow is not None and flow.kind == "return" else None


def _widen(machine: Machine, after: dict[Mutable, Any], last: bool) -> bool:
    """Join the state after a round into the state before it.  Returns whether anything changed."""
    from conv_lint.interpreter.journal import Facts

    changed = False
    for target, state in after.items():
        if isinstance(target, Facts):
            continue
        before = target.snapshot()
        joined = join_states(None, target, state, before)
        if _differs(joined, before):
            changed = True
            machine.journal.touch(target)
            target.restore(_given_up(joined, before) if last else joined)
    return changed


def _differs(one: object, two: object) -> bool:
    from conv_lint.interpreter.journal import same

    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() != two.keys() or any(_differs(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) != len(two) or any(_differs(a, b) for a, b in zip(one, two))
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return _shape_differs(one.shape, two.shape)
    if isinstance(one, List) and isinstance(two, List) and not (one.open or two.open):
        return _differs(one.items, two.items)
    if isinstance(one, Unknown) and isinstance(two, Unknown):
        return one is not two and not (one.reason == two.reason == "changes in a loop")
    return not same(one, two)


def _shape_differs(one: Shape, two: Shape) -> bool:
    left, right = tuple(tuple.__iter__(one)), tuple(tuple.__iter__(two))
    return len(left) != len(right) or not all(
        a is b or a == b or (isinstance(a, Rest) and isinstance(b, Rest)) or (is_mark(a) and is_mark(b))
        for a, b in zip(left, right)
    )


def _given_up(joined: object, before: object) -> object:
    """The state with everything that still changes made unknown."""
    if isinstance(joined, dict) and isinstance(before, dict):
        out = {}
        for key, value in joined.items():
            if key in before and not _differs(value, before[key]):
                out[key] = value
            else:
                out[key] = _unknown_from_here(value, "changes in a loop")
        return out
    if isinstance(joined, InstanceState) and isinstance(before, InstanceState):
        attrs: Any = _given_up(joined.attrs, before.attrs)
        return joined._replace(attrs=attrs)
    if isinstance(joined, tuple) and isinstance(before, tuple) and joined and isinstance(joined[0], dict):
        return (_given_up(joined[0], before[0]), *joined[1:])
    if isinstance(joined, tuple) and joined and isinstance(joined[0], list):
        return (joined[0], "changes in a loop", None, {})
    return joined


#: A ``while`` that has not ended after so many rounds, and asks for no known number, waits for something that is not
#: known: an exception, boxes that are dropped for what is in them.
ENDLESS = 128


def run_while(machine: Machine, frame: Frame, node: cst.While) -> Flow | None:
    from conv_lint.interpreter.expressions import evaluate, truth_of

    before = len(frame.pending)
    for number in range(machine.limits.rounds):
        truth = truth_of(machine, frame, evaluate(machine, frame, node.test))
        if truth is False:
            return _end(machine, frame, node.orelse)
        if isinstance(truth, Condition):
            return _unknown_rounds(machine, frame, lambda: _checked(machine, frame, node))
        broke = len([p for p in frame.pending if p.kind == "break"])
        flow = _body(machine, frame, node.body)
        if flow is not None:
            return _end(machine, frame, None) if flow.kind == "break" else flow
        returned = number >= LONG and len(frame.pending) - before > LONG
        endless = number >= ENDLESS and not _counts(frame, node.test)
        if returned or endless or len([p for p in frame.pending if p.kind == "break"]) > broke:
            # It may have left already: from here on the number of rounds is not known.
            return _unknown_rounds(machine, frame, lambda: _checked(machine, frame, node))
    return None


def _counts(frame: Frame, test: cst.BaseExpression) -> bool:
    """Does a test compare numbers that are known?"""
    values = [frame.locals.get(node.value) for node in walk(test) if isinstance(node, cst.Name)]
    return isinstance(test, cst.Comparison) and not any(isinstance(v, (Tensor, Unknown, Expr)) for v in values)


def _checked(machine: Machine, frame: Frame, node: cst.While) -> Flow | None:
    """One round of a ``while`` of which it is not known whether it is the last."""
    from conv_lint.interpreter.expressions import evaluate, truth_of

    truth = truth_of(machine, frame, evaluate(machine, frame, node.test))
    if truth is False:
        return None
    if isinstance(truth, Condition):
        machine.assume(truth, True)
    return _body(machine, frame, node.body)
