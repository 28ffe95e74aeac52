"""Statements: each returns a :class:`Flow` if it leaves its block, else ``None``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from conv_lint.interpreter import assign, checks, classes, contracts, loops, suppose
from conv_lint.interpreter.calls import make_function
from conv_lint.interpreter.expressions import evaluate, truth_of
from conv_lint.interpreter.imports import instead, run_import, run_import_from
from conv_lint.interpreter.journal import join
from conv_lint.interpreter.machine import Flow, Machine, PythonRaise
from conv_lint.interpreter.matching import run_match
from conv_lint.interpreter.objects import MISSING, Frame
from conv_lint.tree import dotted, walk
from conv_lint.values import Condition, Tensor, Value

Execute = Callable[[Machine, Frame, Any], "Flow | None"]


def execute_block(machine: Machine, frame: Frame, body: Sequence[cst.CSTNode]) -> Flow | None:
    """Run statements in order until one leaves the block."""
    for statement in body:
        flow = execute(machine, frame, statement)
        if flow is not None:
            return flow
    return None


def execute(machine: Machine, frame: Frame, node: cst.CSTNode) -> Flow | None:
    """Run one statement."""
    machine.tick()
    run = EXECUTE.get(type(node))
    return run(machine, frame, node) if run is not None else None


def suite(node: cst.BaseSuite) -> Sequence[cst.CSTNode]:
    """The statements of a block, on lines of their own or behind the colon."""
    return node.body


def _line(machine: Machine, frame: Frame, node: cst.SimpleStatementLine | cst.SimpleStatementSuite) -> Flow | None:
    flow = execute_block(machine, frame, node.body)
    if isinstance(node, cst.SimpleStatementLine) and node.trailing_whitespace.comment is not None:
        contracts.hold_comment(machine, frame, node)
    return flow


def _expression(machine: Machine, frame: Frame, node: cst.Expr) -> None:
    value = evaluate(machine, frame, node.value)
    if isinstance(value, Tensor) and frame.function is not None:
        frame.dropped[node.value] = value


def _return(machine: Machine, frame: Frame, node: cst.Return) -> Flow:
    return Flow("return", evaluate(machine, frame, node.value) if node.value else None)


def _raise(machine: Machine, frame: Frame, node: cst.Raise) -> None:
    name = ""
    target = node.exc.func if isinstance(node.exc, cst.Call) else node.exc
    if isinstance(target, cst.Name):
        name = target.value
    raise PythonRaise(name)


def _assert(machine: Machine, frame: Frame, node: cst.Assert) -> None:
    truth = truth_of(machine, frame, evaluate(machine, frame, node.test))
    if truth is False:
        checks.deny(machine, frame, node)
        raise PythonRaise("AssertionError")
    if isinstance(truth, Condition):
        machine.require(truth, True)
        if not (machine.by_default and _asks_a_default(frame, node.test)):
            machine.assume(truth, True)


def _asks_a_default(frame: Frame, test: cst.BaseExpression) -> bool:
    """``assert groups == channels`` of ``groups=1``: whoever gives channels gives groups too."""
    if not isinstance(test, cst.Comparison) or not isinstance(test.comparisons[0].operator, cst.Equal):
        return False
    sides = (test.left, test.comparisons[0].comparator)
    return any(isinstance(side, cst.Name) and frame.has_default(side.value) for side in sides)


def _delete(machine: Machine, frame: Frame, node: cst.Del) -> None:
    targets = [e.value for e in node.target.elements] if isinstance(node.target, cst.Tuple) else [node.target]
    for target in targets:
        assign.delete(machine, frame, target)


def _global(machine: Machine, frame: Frame, node: cst.Global | cst.Nonlocal) -> None:
    kind = "global" if isinstance(node, cst.Global) else "nonlocal"
    frame.declared.update((item.name.value, kind) for item in node.names)


def _function(machine: Machine, frame: Frame, node: cst.FunctionDef) -> None:
    value = make_function(machine, frame, node)
    assign.bind(machine, frame, node.name.value, value)


def _class(machine: Machine, frame: Frame, node: cst.ClassDef) -> None:
    assign.bind(machine, frame, node.name.value, classes.make_class(machine, frame, node))


def _if(
    machine: Machine, frame: Frame, node: cst.If, before: tuple[cst.BaseExpression, ...] | None = ()
) -> Flow | None:
    """``before``: the tests of the ``if`` that an ``elif`` belongs to, ``None`` if one of them is not decided."""
    truth = truth_of(machine, frame, evaluate(machine, frame, node.test))

    tests = None if before is None or isinstance(truth, Condition) else (*before, node.test)

    def then() -> Flow | None:
        if tests is not None:
            checks.refuse(machine, frame, tests, node.body)
        if isinstance(truth, Condition):
            suppose.number(machine, truth)
        return execute_block(machine, frame, suite(node.body))

    def other() -> Flow | None:
        if node.orelse is None:
            return None
        if isinstance(node.orelse, cst.If):
            return _if(machine, frame, node.orelse, tests)
        if tests is not None:
            checks.refuse(machine, frame, tests, node.orelse.body)
        return execute_block(machine, frame, suite(node.orelse.body))

    if isinstance(truth, Condition):
        # Which of them is an array is not known, so each would go both ways.
        with machine.quiet() if _asks_for_arrays(node.test) else contextlib.nullcontext():
            return machine.branch(frame, truth, then, other)
    if not truth and _is_for_types(node.test):
        if isinstance(node.orelse, cst.Else) and any(map(_replaces_module, suite(node.orelse.body))):
            return then()
        _import_for_types(machine, frame, node.body)
    return then() if truth else other()


def _asks_for_arrays(test: cst.BaseExpression) -> bool:
    """``isinstance(x, np.ndarray)``, ``type(x) == np.ndarray``"""
    return any(isinstance(node, cst.Name) and node.value == "ndarray" for node in walk(test))


def _is_for_types(test: cst.BaseExpression) -> bool:
    """``TYPE_CHECKING``, or ``TYPE_CHECKING or SLOW_IMPORT``."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.Or):
        return _is_for_types(test.left) or _is_for_types(test.right)
    return dotted(test).endswith("TYPE_CHECKING")


def _import_for_types(machine: Machine, frame: Frame, body: cst.BaseSuite) -> None:
    """The imports under ``if TYPE_CHECKING``, which only annotations use.

    Where a package loads its parts when they are asked for, the whole branch says from where.
    """
    for line in suite(body):
        if isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], (cst.Import, cst.ImportFrom)):
            execute(machine, frame, line)


def _replaces_module(line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and any(map(assign.replaces_module, line.body))


def _with(machine: Machine, frame: Frame, node: cst.With) -> Flow | None:
    expects_error = False
    for item in node.items:
        value = evaluate(machine, frame, item.item)
        expects_error = expects_error or _expects_error(item.item)
        if item.asname is not None:
            assign.assign(machine, frame, item.asname.name, assign.entered(machine, frame, value))
    if not expects_error:
        with machine.doubting() if any(_may_swallow(i.item) for i in node.items) else contextlib.nullcontext():
            return execute_block(machine, frame, suite(node.body))
    try:
        with machine.quiet():
            return execute_block(machine, frame, suite(node.body))
    except PythonRaise:
        return None


def _expects_error(node: cst.BaseExpression) -> bool:
    """``pytest.raises(...)``, ``self.assertRaises(...)``, ``contextlib.suppress(...)``: what is inside may fail."""
    if not isinstance(node, cst.Call):
        return False
    name = node.func.attr.value if isinstance(node.func, cst.Attribute) else getattr(node.func, "value", "")
    return name in ("raises", "suppress") or str(name).startswith("assertRaises")


#: A context manager of such a name may swallow an error.
_SWALLOWS = re.compile(r"rais|suppress|ignor|expect|error|exception|catch|fail|warn", re.IGNORECASE)


def _may_swallow(node: cst.BaseExpression) -> bool:
    return _SWALLOWS.search(dotted(node.func if isinstance(node, cst.Call) else node)) is not None


def _try(machine: Machine, frame: Frame, node: cst.Try) -> Flow | None:
    absent = instead(machine, node)
    if absent is not None:
        return execute_block(machine, frame, suite(absent.body))
    machine.catching += 1
    muted = any(_catches_everything(h) for h in node.handlers)
    machine.muted += muted
    flow: Flow | None = None
    try:
        flow = execute_block(machine, frame, suite(node.body))
    except PythonRaise as error:
        machine.muted -= muted
        machine.catching -= 1
        muted = False
        flow = _handle(machine, frame, node, error)
    else:
        machine.muted -= muted
        machine.catching -= 1
        muted = False
        if flow is None and node.orelse is not None:
            flow = execute_block(machine, frame, suite(node.orelse.body))
    if node.finalbody is not None:
        last = execute_block(machine, frame, suite(node.finalbody.body))
        flow = last or flow
    return flow


def _handle(machine: Machine, frame: Frame, node: cst.Try, error: PythonRaise) -> Flow | None:
    for handler in node.handlers:
        names = _handled(handler)
        broad = _BROAD if error.name != "SystemExit" else {"BaseException"}
        if not names or not error.name or error.name in names or names & broad:
            if handler.name is not None:
                assign.assign(machine, frame, handler.name.name, machine.unknown("a caught exception"))
            with machine.doubting():  # what was caught may be something that we did not understand
                return execute_block(machine, frame, suite(handler.body))
    if node.finalbody is not None:
        execute_block(machine, frame, suite(node.finalbody.body))
    raise error


_BROAD = frozenset({"Exception", "BaseException"})


def _handled(handler: cst.ExceptHandler) -> set[str]:
    if handler.type is None:
        return set()
    types = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    return {t.attr.value if isinstance(t, cst.Attribute) else getattr(t, "value", "") for t in types}


def _catches_everything(handler: cst.ExceptHandler) -> bool:
    """A handler that would see torch's error, so that the program does not fail; one that only raises again does not
    count."""
    names = _handled(handler)
    if names and not names & (_BROAD | {"RuntimeError", "ValueError", "TypeError", "IndexError"}):
        return False
    last = handler.body.body[-1] if handler.body.body else None
    while isinstance(last, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
        last = last.body[-1] if last.body else None
    return not isinstance(last, cst.Raise)


def _leave(kind: str) -> Execute:
    return lambda machine, frame, node: Flow(kind)


def run_body(machine: Machine, frame: Frame, body: Sequence[cst.CSTNode]) -> Value:
    """Run a function's body; the value that it returns, joined over every way that it can return."""
    value: Value
    try:
        try:
            flow = execute_block(machine, frame, body)
            value = flow.value if flow is not None and flow.kind == "return" else None
        except PythonRaise:
            if not any(p.kind == "return" for p in frame.pending):
                raise
            value = MISSING
        for pending in machine.take_pending(frame, "return"):
            machine.join_pending(pending, alone=value is MISSING, but=frame)
            value = pending.value if value is MISSING else join(pending.condition, pending.value, value)
    finally:
        machine.forget_pending(frame)
    return value


EXECUTE: dict[type, Execute] = {
    cst.SimpleStatementLine: _line,
    cst.SimpleStatementSuite: _line,
    cst.Expr: _expression,
    cst.Assign: assign.run_assign,
    cst.AnnAssign: assign.run_annotated,
    cst.AugAssign: assign.run_augmented,
    cst.Return: _return,
    cst.Raise: _raise,
    cst.Assert: _assert,
    cst.Del: _delete,
    cst.Global: _global,
    cst.Nonlocal: _global,
    cst.Import: run_import,
    cst.ImportFrom: run_import_from,
    cst.FunctionDef: _function,
    cst.ClassDef: _class,
    cst.If: _if,
    cst.For: loops.run_for,
    cst.While: loops.run_while,
    cst.With: _with,
    cst.Try: _try,
    cst.Match: run_match,
    cst.Break: _leave("break"),
    cst.Continue: _leave("continue"),
}
