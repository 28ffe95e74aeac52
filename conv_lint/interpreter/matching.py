"""``match`` statements: patterns of values, alternatives, sequences and classes."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from conv_lint.interpreter import comparing
from conv_lint.interpreter.machine import Flow, Machine
from conv_lint.interpreter.objects import Frame
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import Condition, Unknown, Value


def run_match(machine: Machine, frame: Frame, node: cst.Match) -> Flow | None:
    from conv_lint.interpreter.expressions import evaluate

    return _cases(machine, frame, node, evaluate(machine, frame, node.subject), 0)


def _cases(machine: Machine, frame: Frame, node: cst.Match, subject: Value, start: int) -> Flow | None:
    from conv_lint.interpreter.expressions import evaluate, truth_of
    from conv_lint.interpreter.statements import execute_block, suite

    for position in range(start, len(node.cases)):
        case = node.cases[position]
        answer = _matches(machine, frame, case.pattern, subject)
        if answer is True and case.guard is not None:
            answer = truth_of(machine, frame, evaluate(machine, frame, case.guard))

        def body(case: cst.MatchCase = case) -> Flow | None:
            return execute_block(machine, frame, suite(case.body))

        if answer is True:
            return body()
        if isinstance(answer, Condition):
            rest: Callable[[], Flow | None] = lambda at=position + 1: _cases(machine, frame, node, subject, at)  # type: ignore[misc]  # noqa: E731
            return machine.branch(frame, answer, body, rest)
    return None


def _matches(machine: Machine, frame: Frame, pattern: cst.MatchPattern, subject: Value) -> bool | Condition:
    from conv_lint.interpreter.assign import assign
    from conv_lint.interpreter.expressions import evaluate

    match pattern:
        case cst.MatchAs(pattern=inner, name=name):
            answer = _matches(machine, frame, inner, subject) if inner is not None else True
            if name is not None and answer is not False:
                assign(machine, frame, name, subject)
            return answer
        case cst.MatchValue(value=value) | cst.MatchSingleton(value=value):
            machine.weigh(subject)
            return _answer(comparing.equal(machine, frame, subject, evaluate(machine, frame, value)))
        case cst.MatchOr(patterns=patterns):
            answers = [_matches(machine, frame, p.pattern, subject) for p in patterns]
            if True in [a for a in answers if isinstance(a, bool)]:
                return True
            unknown = [a for a in answers if a is not False]
            return comparing.any_of(unknown) or Condition(object(), "a match") if unknown else False
        case cst.MatchTuple(patterns=patterns) | cst.MatchList(patterns=patterns):
            return _sequence(machine, frame, patterns, subject)
    return Condition(object(), "a pattern that is not understood")


def _sequence(machine: Machine, frame: Frame, patterns: object, subject: Value) -> bool | Condition:
    inner = list(patterns) if isinstance(patterns, (list, tuple)) else []
    items = items_of(machine, subject)
    if items is None or any(isinstance(p, cst.MatchStar) for p in inner):
        return (
            Condition(object(), "a sequence that is not known")
            if isinstance(subject, Unknown) or items is None
            else False
        )
    if len(items) != len(inner):
        return False
    out: Value = comparing.all_of([_matches(machine, frame, p.value, item) for p, item in zip(inner, items)])
    return _answer(out)


def _answer(value: Value) -> bool | Condition:
    return value if isinstance(value, (bool, Condition)) else Condition(object(), "a match with something unknown")
