"""Expressions: each evaluates to a value."""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import libcst as cst

from conv_lint.dims import Expr, eq
from conv_lint.interpreter import attributes, comparing, kinds, missing, operators, suppose
from conv_lint.interpreter.branches import one_for_each_layer
from conv_lint.interpreter.journal import each_of
from conv_lint.interpreter.machine import Flow, Machine, PythonRaise
from conv_lint.interpreter.namespace import LazyImport
from conv_lint.interpreter.objects import MISSING, Class, Frame, Instance, Method
from conv_lint.interpreter.sequences import items_of, members
from conv_lint.values import MAX_JOINED, Choice, Condition, Dict, Iter, List, Tensor, Unknown, Value

Evaluate = Callable[[Machine, Frame, Any], Value]


def evaluate(machine: Machine, frame: Frame, node: cst.CSTNode) -> Value:
    """The value of an expression, with choices that are decided by now taken."""
    machine.tick()
    run = EVALUATE.get(type(node))
    if run is None:
        return machine.unknown(f"{type(node).__name__} is not understood", frame, node)
    value = run(machine, frame, node)
    return machine.resolve(value) if isinstance(value, (Unknown, Expr)) else value


# names and constants ----------------------------------------------------------------------------------------


def look_up(machine: Machine, frame: Frame, name: str) -> Value:
    """The value of a name: local, enclosing, global, builtin; :data:`MISSING` if there is none."""
    scope: Frame | None = frame
    while scope is not None:
        if name in scope.locals:
            value = scope.locals[name]
            if isinstance(value, LazyImport):
                value = scope.locals[name] = value.load(machine)
            return value
        scope = scope.parent
    value = frame.namespace.get(name)
    if value is not MISSING:
        return value
    from conv_lint.interpreter.builtins import BUILTINS

    return BUILTINS.get(name, MISSING)


def _name(machine: Machine, frame: Frame, node: cst.Name) -> Value:
    value = look_up(machine, frame, node.value)
    if value is MISSING:
        return machine.unknown(f"the name {node.value} is not known", frame, node)
    return value


def _literal(machine: Machine, frame: Frame, node: cst.Integer | cst.Float | cst.Imaginary | cst.SimpleString) -> Value:
    try:
        value = _constant(node.value)
        # Floats are told apart by identity: two that were written down are two.
        return value * 1.0 if type(value) is float else value
    except (ValueError, SyntaxError):
        return Unknown("a literal")


@functools.lru_cache(maxsize=4096)
def _constant(text: str) -> Value:
    value: Value = ast.literal_eval(text)
    return value


def _concatenated(machine: Machine, frame: Frame, node: cst.ConcatenatedString) -> Value:
    left, right = evaluate(machine, frame, node.left), evaluate(machine, frame, node.right)
    return operators.binary(machine, frame, node, cst.Add, left, right)


#: A longer format may ask for more padding than there is memory.
SHORT_FORMAT = 4


def _formatted(machine: Machine, frame: Frame, node: cst.FormattedString) -> Value:
    text = ""
    for number, part in enumerate(node.parts):
        if isinstance(part, cst.FormattedStringText):
            text += part.value.replace("{{", "{").replace("}}", "}")
            continue
        if not isinstance(part, cst.FormattedStringExpression):
            return Unknown("a formatted string")
        value = evaluate(machine, frame, part.expression)
        value = suppose.dimensions(machine, value, text, node.parts[number + 1 :])
        machine.weigh(value)
        spec = "".join(s.value if isinstance(s, cst.FormattedStringText) else "{" for s in part.format_spec or ())
        if not isinstance(value, (str, int, float)) or "{" in spec or len(spec) > SHORT_FORMAT:
            return Unknown("a formatted string")
        try:
            text += format(repr(value) if part.conversion == "r" else value, spec)
        except ValueError:
            return Unknown("a formatted string")
    return text


def _ellipsis(machine: Machine, frame: Frame, node: cst.Ellipsis) -> Value:
    return ...


# displays ---------------------------------------------------------------------------------------------------


def elements(
    machine: Machine, frame: Frame, nodes: Sequence[cst.BaseElement | cst.BaseDictElement]
) -> tuple[list[Value], str | None]:
    """The values of a display's elements, stars unpacked; and a reason if some are not known."""
    out: list[Value] = []
    for element in nodes:
        value = evaluate(machine, frame, element.value)
        if not isinstance(element, cst.StarredElement):
            out.append(value)
            continue
        items = items_of(machine, value)
        if items is None:
            kinds.refuse_iterating(machine, frame, element.value, value, kinds.NOT_STARRED)
            return out, "unpacks unknown items"
        out.extend(items)
    return out, None


def _tuple(machine: Machine, frame: Frame, node: cst.Tuple) -> Value:
    items, unknown = elements(machine, frame, node.elements)
    return List(items, unknown) if unknown else tuple(items)


def _list(machine: Machine, frame: Frame, node: cst.List) -> Value:
    return List(*elements(machine, frame, node.elements))


def _set(machine: Machine, frame: Frame, node: cst.Set) -> Value:
    items, unknown = elements(machine, frame, node.elements)
    return List(items, unknown)


def _dict(machine: Machine, frame: Frame, node: cst.Dict) -> Value:
    out = Dict()
    for element in node.elements:
        value = evaluate(machine, frame, element.value)
        if isinstance(element, cst.StarredDictElement):
            if isinstance(value, Dict):
                out.merge(value)
            else:
                out.open = "unpacks an unknown dict"
            continue
        assert isinstance(element, cst.DictElement)
        key = evaluate(machine, frame, element.key)
        try:
            hash(key)
        except TypeError:
            key = Unknown("key")
        if isinstance(key, Unknown):
            out.open = "has an unknown key"
        else:
            out.put(key, value)
    return out


# comprehensions ---------------------------------------------------------------------------------------------


def _comprehension(machine: Machine, frame: Frame, node: cst.BaseSimpleComp | cst.DictComp) -> Value:
    out: list[Any] = []
    gap = _rounds(machine, _inner(frame), node, node.for_in, out)
    reason = gap.reason if gap is not None else None
    if isinstance(node, cst.DictComp):
        return Dict({k: v for k, v in out if not isinstance(k, (Unknown, List, Dict))}, reason)
    each = each_of(out) if gap is not None and gap.sampled else None
    return Iter(out, reason, each=each) if isinstance(node, cst.GeneratorExp) else List(out, reason, each=each)


def _inner(frame: Frame) -> Frame:
    """Where the names of a comprehension live."""
    inner = Frame(frame.tree, frame.namespace, parent=frame, function=frame.function, call=frame.call)
    inner.self_value, inner.depth = frame.self_value, frame.depth
    return inner


def extend(machine: Machine, frame: Frame, target: List, node: cst.GeneratorExp) -> None:
    """``y.extend(layer(y[-1]) for layer in layers)``: each item is there when the next one is made."""
    machine.journal.touch(target)
    gap = _rounds(machine, _inner(frame), node, node.for_in, target.items)
    target.open, target.each = target.open or (gap.reason if gap is not None else None), None
    target.keep_within()


class Gap(NamedTuple):
    """Why the items of a comprehension are not all known.  ``sampled``: those that are known stand for all."""

    reason: str
    sampled: bool = False


def _rounds(machine: Machine, frame: Frame, node: Any, loop: cst.CompFor, out: list[Any]) -> Gap | None:
    """Run one ``for ... in ... if ...`` of a comprehension; a gap if its items are not all known."""
    from conv_lint.interpreter.assign import assign
    from conv_lint.interpreter.calls import FURTHER
    from conv_lint.interpreter.loops import element_of

    over = suppose.items(machine, evaluate(machine, frame, loop.iter))
    items = items_of(machine, over)
    further: Gap | None = None
    if isinstance(over, (List, Iter)) and over.open == FURTHER:  # of a call that nobody makes
        items, further = over.items, Gap(FURTHER)
    if items is None:
        items = one_for_each_layer(machine, frame, over, loop, node)
    if not items and machine.by_default and isinstance(over, Instance) and over.is_container:
        items = None  # of an ensemble that is fitted first
    if items is None or len(items) > machine.limits.rounds:
        kinds.refuse_iterating(machine, frame, loop.iter, over)
        reason = over.reason if isinstance(over, Unknown) else "runs over unknown items"
        assign(machine, frame, loop.target, element_of(machine, frame, loop.iter, over)())
        if _changes(node):
            _perhaps(machine, frame, Condition(object(), reason), lambda: _round(machine, frame, node, loop, out))
            return Gap(reason)
        with machine.doubting():  # there may be no item at all
            inner = _round(machine, frame, node, loop, out)
        return Gap(reason, sampled=inner is None or inner.sampled)
    for item in items:
        assign(machine, frame, loop.target, item)
        stopped = _round(machine, frame, node, loop, out)
        if stopped is not None:
            return stopped._replace(sampled=False)
    return further


def _round(machine: Machine, frame: Frame, node: Any, loop: cst.CompFor, out: list[Any]) -> Gap | None:
    for test in loop.ifs:
        truth = truth_of(machine, frame, evaluate(machine, frame, test.test))
        if truth is False:
            return None
        if isinstance(truth, Condition):
            if _changes(node):
                _perhaps(machine, frame, truth, lambda: evaluate(machine, frame, node.elt))
            return Gap("filters by an unknown condition")
    if loop.inner_for_in is not None:
        return _rounds(machine, frame, node, loop.inner_for_in, out)
    if isinstance(node, cst.DictComp):
        out.append((evaluate(machine, frame, node.key), evaluate(machine, frame, node.value)))
    else:
        out.append(evaluate(machine, frame, node.elt))
    return None


#: What a comprehension is written for that is no list of values: ``[layers.append(b) for b in blocks]``.
_CHANGING = frozenset("append appendleft extend insert pop remove update add setdefault add_module".split())


def _changes(node: Any) -> bool:
    call = getattr(node, "elt", None)
    return isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) and call.func.attr.value in _CHANGING


def _perhaps(machine: Machine, frame: Frame, condition: Condition, run: Callable[[], object]) -> None:
    """Run what a comprehension may do or not, so that what it changes is known to differ."""

    def once() -> None:
        with machine.quiet():
            run()

    with contextlib.suppress(PythonRaise):
        machine.branch(frame, condition, once, lambda: None)


# truth ------------------------------------------------------------------------------------------------------


def truth_of(machine: Machine, frame: Frame, value: Value) -> bool | Condition:
    """Is the value true: decided, or a condition that is remembered."""
    value = machine.resolve(value)
    match value:
        case Condition():
            truth = machine.known_truth(value)
            return value if truth is None else truth
        case Choice():
            return _truth_of_choice(machine, frame, value)
        case Unknown():
            condition = Condition(("truth", value), value.reason)
            known = machine.known_truth(condition)
            return condition if known is None else known
        case Expr():
            answer = eq(value, 0)
            return Condition(("size==", value, 0), "a size", negated=True) if answer is None else not answer
        case List() | Dict():
            keys = value.items if isinstance(value, Dict) else range(len(value.items))
            sure = [key for key in keys if key not in value.maybe]
            return bool(sure) if not value.open or sure else Condition(("truth", value), "its length")
        case Tensor():
            numbers = value.numbers[0] if isinstance(value.numbers, list) and len(value.numbers) == 1 else value.numbers
            known = isinstance(numbers, (int, float))
            return bool(numbers) if known else Condition(object(), "the value of a tensor")
        case Instance():
            return _truth_of_instance(machine, value)
        case tuple() | str() | int() | float() | None | bytes() | complex() | range():
            return bool(value)
    return True


def _truth_of_choice(machine: Machine, frame: Frame, value: Choice) -> bool | Condition:
    one = _where(value.condition, True, truth_of(machine, frame, value.then))
    two = _where(value.condition, False, truth_of(machine, frame, value.other))
    if isinstance(one, bool) and isinstance(two, bool):
        if one == two:
            return one
        return value.condition if one else value.condition.inverse()
    for here, there, condition in ((one, two, value.condition), (two, one, value.condition.inverse())):
        if isinstance(here, bool):
            word, first = ("or", condition) if here else ("and", condition.inverse())
            return Condition((word, first, there), value.reason)
    return Condition(("truth", value), value.reason)


def _where(condition: Condition, holds: bool, truth: bool | Condition) -> bool | Condition:
    """A truth where the condition holds, or does not: in ``e if d else d``, which is ``d and e``, the last is false."""
    if isinstance(truth, Condition) and truth.key == condition.key:
        return holds == (truth.negated == condition.negated)
    return truth


def _truth_of_instance(machine: Machine, value: Instance) -> bool | Condition:
    if value.torch_name in ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"):
        return bool(members(value)) if not value.open else Condition(("truth", value), value.open)
    if isinstance(value.cls, Class) and (value.cls.find("__bool__") or value.cls.find("__len__")) is not MISSING:
        has = [n for n in ("__bool__", "__len__") if n in value.cls.attrs]
        return Condition(("truth", value), "its own truth") if has else True
    return True


def _boolean(machine: Machine, frame: Frame, node: cst.BooleanOperation) -> Value:
    left = evaluate(machine, frame, node.left)
    truth = truth_of(machine, frame, left)
    is_and = isinstance(node.operator, cst.And)
    if isinstance(truth, bool):
        return evaluate(machine, frame, node.right) if truth == is_and else left
    right: list[Value] = [None]

    def other() -> Flow | None:
        right[0] = evaluate(machine, frame, node.right)
        return None

    first, second = (other, lambda: None) if is_and else (lambda: None, other)
    try:
        machine.branch(frame, truth, first, second)
    except PythonRaise:
        return Unknown("a boolean expression that raises")
    return _boolean_value(machine, frame, is_and, left, truth, right[0])


def _boolean_value(machine: Machine, frame: Frame, is_and: bool, left: Value, truth: Condition, right: Value) -> Value:
    if isinstance(left, (Condition, bool)) and isinstance(right, (bool, Condition)):
        if isinstance(right, bool):
            if right == is_and:
                return truth
            return right
        return Condition(("and" if is_and else "or", truth, right), truth.reason)
    if isinstance(left, Condition):
        # The result is used for its truth more often than for its value.
        second = truth_of(machine, frame, right)
        if isinstance(second, bool):
            return truth if second == is_and else Choice(truth, right, left) if is_and else Choice(truth, True, right)
        return Condition(("and" if is_and else "or", truth, second), truth.reason)
    if isinstance(right, bool) and right != is_and:
        return right  # whatever the left one is, used for its truth
    made = Choice(truth, right, left) if is_and else Choice(truth, left, right)
    return made if made.depth <= MAX_JOINED else Unknown("a choice among too many")


def _conditional(machine: Machine, frame: Frame, node: cst.IfExp) -> Value:
    truth = truth_of(machine, frame, evaluate(machine, frame, node.test))
    if isinstance(truth, bool):
        return evaluate(machine, frame, node.body if truth else node.orelse)
    flow = machine.branch(
        frame,
        truth,
        lambda: Flow("value", evaluate(machine, frame, node.body)),
        lambda: Flow("value", evaluate(machine, frame, node.orelse)),
    )
    return flow.value if flow is not None else None


def _comparison(machine: Machine, frame: Frame, node: cst.Comparison) -> Value:
    left = evaluate(machine, frame, node.left)
    answers: list[Value] = []
    for part in node.comparisons:
        right = evaluate(machine, frame, part.comparator)
        answers.append(comparing.compare(machine, frame, node, part.operator, left, right))
        left = right
    return answers[0] if len(answers) == 1 else comparing.all_of(answers)


# others -----------------------------------------------------------------------------------------------------


def _binary(machine: Machine, frame: Frame, node: cst.BinaryOperation) -> Value:
    left = evaluate(machine, frame, node.left)
    right = evaluate(machine, frame, node.right)
    return operators.binary(machine, frame, node, type(node.operator), left, right)


def _unary(machine: Machine, frame: Frame, node: cst.UnaryOperation) -> Value:
    return operators.unary(machine, frame, node, evaluate(machine, frame, node.expression))


def _attribute(machine: Machine, frame: Frame, node: cst.Attribute) -> Value:
    base = evaluate(machine, frame, node.value)
    value = attributes.get(machine, frame, node, base, node.attr.value)
    if type(value) is Unknown and isinstance(base, Instance) and base.is_module:
        missing.check(machine, frame, node, base)
    return value


def _walrus(machine: Machine, frame: Frame, node: cst.NamedExpr) -> Value:
    from conv_lint.interpreter.assign import assign

    value = evaluate(machine, frame, node.value)
    assign(machine, frame, node.target, value)
    return value


def _await(machine: Machine, frame: Frame, node: cst.Await) -> Value:
    return evaluate(machine, frame, node.expression)


def _yield(machine: Machine, frame: Frame, node: cst.Yield) -> Value:
    """The values of a generator are collected by its frame."""
    scope: Frame | None = frame
    while scope is not None and scope.yields is None:
        scope = scope.parent
    from conv_lint.interpreter import methods
    from conv_lint.interpreter.calls import Arguments

    is_from = isinstance(node.value, cst.From)
    given = node.value.item if isinstance(node.value, cst.From) else node.value
    value = evaluate(machine, frame, given) if given is not None else None
    if scope is not None and scope.yields is not None:
        added = Method(scope.yields, "extend" if is_from else "append")
        methods.call(machine, frame, node, added, Arguments([value]))
    return Unknown("the result of yield from" if is_from else "what is sent to a generator")


def _lambda(machine: Machine, frame: Frame, node: cst.Lambda) -> Value:
    from conv_lint.interpreter.calls import make_function

    return make_function(machine, frame, node)


def _call(machine: Machine, frame: Frame, node: cst.Call) -> Value:
    from conv_lint.interpreter.calls import evaluate_call

    return evaluate_call(machine, frame, node)


def _subscript(machine: Machine, frame: Frame, node: cst.Subscript) -> Value:
    from conv_lint.interpreter.subscripts import evaluate_subscript

    return evaluate_subscript(machine, frame, node)


EVALUATE: dict[type, Evaluate] = {
    cst.Name: _name,
    cst.Integer: _literal,
    cst.Float: _literal,
    cst.Imaginary: _literal,
    cst.SimpleString: _literal,
    cst.ConcatenatedString: _concatenated,
    cst.FormattedString: _formatted,
    cst.Ellipsis: _ellipsis,
    cst.Tuple: _tuple,
    cst.List: _list,
    cst.Set: _set,
    cst.Dict: _dict,
    cst.ListComp: _comprehension,
    cst.SetComp: _comprehension,
    cst.GeneratorExp: _comprehension,
    cst.DictComp: _comprehension,
    cst.BooleanOperation: _boolean,
    cst.IfExp: _conditional,
    cst.Comparison: _comparison,
    cst.BinaryOperation: _binary,
    cst.UnaryOperation: _unary,
    cst.Attribute: _attribute,
    cst.NamedExpr: _walrus,
    cst.Await: _await,
    cst.Yield: _yield,
    cst.Lambda: _lambda,
    cst.Call: _call,
    cst.Subscript: _subscript,
}
