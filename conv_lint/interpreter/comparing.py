"""Comparisons: ``==``, ``is``, ``<``, ``in``; what cannot be told is a condition that is remembered."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import libcst as cst

from conv_lint import dims, maps
from conv_lint.dims import Expr
from conv_lint.interpreter import protocols
from conv_lint.interpreter.journal import OF_SHAPES, UNFILLED
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.namespace import registered
from conv_lint.interpreter.objects import (
    MISSING,
    BoundMethod,
    Class,
    Frame,
    Function,
    Instance,
    Native,
    Partial,
    Sizes,
    is_member,
)
from conv_lint.interpreter.operators import as_sizes, tensor_operator
from conv_lint.ops.unary import kind_of_dtype
from conv_lint.values import (
    MAX_JOINED,
    Choice,
    Condition,
    Dict,
    Drawn,
    Dtype,
    External,
    Iter,
    List,
    Tensor,
    Unknown,
    Value,
)


def compare(
    machine: Machine, frame: Frame, node: cst.CSTNode, kind: cst.BaseCompOp, left: Value, right: Value
) -> Value:
    """``True``, ``False``, a :class:`Condition`, or the tensor of a comparison of tensors."""
    left, right = machine.resolve(left), machine.resolve(right)
    if not (_is_bound(left) or _is_bound(right)):
        machine.weigh(left, right)
    match kind:
        case cst.Is():
            return identical(machine, frame, left, right)
        case cst.IsNot():
            return inverse(identical(machine, frame, left, right))
        case cst.In():
            return contains(machine, frame, left, right)
        case cst.NotIn():
            return inverse(contains(machine, frame, left, right))
    name = _COMPARE.get(type(kind))
    if name is None:
        return Condition(object(), "an unknown comparison")
    if isinstance(left, Choice):
        return machine.choose(frame, left, lambda v: compare(machine, frame, node, kind, v, right))
    if isinstance(right, Choice):
        return machine.choose(frame, right, lambda v: compare(machine, frame, node, kind, left, v))
    if (isinstance(left, Tensor) and right is not None) or (isinstance(right, Tensor) and left is not None):
        return tensor_operator(machine, frame, node, name, left, right)
    if name == "eq":
        return equal(machine, frame, left, right)
    if name == "ne":
        return inverse(equal(machine, frame, left, right))
    return _ordered(name, left, right)


def _is_bound(value: Value) -> bool:
    """Is it 0 or 1, the bounds of a rate?"""
    return type(value) in (int, float) and value in (0, 1)


_COMPARE: dict[type, str] = {
    cst.Equal: "eq",
    cst.NotEqual: "ne",
    cst.LessThan: "lt",
    cst.LessThanEqual: "le",
    cst.GreaterThan: "gt",
    cst.GreaterThanEqual: "ge",
}


def inverse(value: Value) -> Value:
    """``not value`` for the result of a comparison."""
    if isinstance(value, Condition):
        return value.inverse()
    if isinstance(value, Choice):
        return Choice(value.condition, inverse(value.then), inverse(value.other))
    return not value if isinstance(value, bool) else value


def _ordered(name: str, left: Value, right: Value) -> Value:
    known = (int, float, str, tuple)
    if isinstance(left, known) and isinstance(right, known):
        try:
            return bool(getattr(operator, name)(left, right))
        except TypeError:
            return Condition(object(), "a comparison that Python refuses")
    if right == math.inf and isinstance(left, (Expr, Unknown)) and name in ("gt", "le"):
        return name == "le"
    if left == math.inf and isinstance(right, (Expr, Unknown)) and name in ("lt", "ge"):
        return name == "ge"
    decided = _of_drawn(name, left, right)
    if decided is not None:
        return decided
    sizes = as_sizes(left, right)
    if sizes is None:
        return Condition(object(), "a comparison of unknown values")
    a, b = sizes
    if name in ("gt", "ge"):
        left, right = right, left
        a, b, name = b, a, {"gt": "lt", "ge": "le"}[name]
    counted = _counted(name, left, right)
    if counted is not None:
        return counted
    if name == "lt":
        a = a + 1
    answer = dims.le(a, b)
    return answer if answer is not None else Condition(("size<=", a, b), "a comparison of sizes")


def _of_drawn(name: str, left: Value, right: Value) -> bool | None:
    """``random.random() < rate`` of a rate that is 0, or 1."""
    if isinstance(right, Drawn):
        left, right, name = right, left, {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}[name]
    if not isinstance(left, Drawn) or not isinstance(right, (int, float)):
        return None
    if right >= 1:
        return name in ("lt", "le")
    below = right < 0 if name in ("le", "gt") else right <= 0
    return name in ("gt", "ge") if below else None


def _counted(name: str, low: Value, high: Value) -> Condition | None:
    """``n > 0`` and ``n < 1`` of an unknown number: an option that counts something is not negative, so that this is
    the question whether it is true, and ``if n:`` elsewhere has the same answer."""
    if isinstance(high, Unknown) and not isinstance(high, Choice) and low == (0 if name == "lt" else 1):
        return Condition(("truth", high), high.reason)
    if isinstance(low, Unknown) and not isinstance(low, Choice) and high == (1 if name == "lt" else 0):
        return Condition(("truth", low), low.reason, negated=True)
    return None


_OBJECTS = (Function, Class, Instance, Native, BoundMethod, Partial, Iter, Sizes, Dict, List, Tensor)


def identical(machine: Machine, frame: Frame, left: Value, right: Value) -> Value:
    """``left is right``."""
    if isinstance(left, Choice):
        return machine.choose(frame, left, lambda v: identical(machine, frame, v, right))
    if isinstance(right, Choice):
        return machine.choose(frame, right, lambda v: identical(machine, frame, left, v))
    if left is right:
        return True
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        one, two = (left, right) if isinstance(left, Unknown) else (right, left)
        assert isinstance(one, Unknown)
        return _pinned(one, two)
    if isinstance(left, (bool, type(None))) or isinstance(right, (bool, type(None))):
        return left is right
    if isinstance(left, External) and isinstance(right, External):
        return left == right
    if isinstance(left, _OBJECTS) or isinstance(right, _OBJECTS):
        return False
    return equal(machine, frame, left, right)


#: Why ``type(x)`` is not known: a tensor or an array, but nothing of Python's own.
TYPE_OF_A_TENSOR = "the type of a tensor"


def _pinned(one: Unknown, two: Value) -> Value:
    """An unknown value compared with another: remembered, and pinned where it is a constant."""
    if one.reason == TYPE_OF_A_TENSOR and isinstance(two, External) and two.name.startswith("builtins."):
        return False
    kinds = one.kind if isinstance(one, Dtype) else None, kind_of_dtype(two)
    if None not in kinds and kinds[0] != kinds[1]:
        return False  # ``ids.dtype == torch.float32``; which of the kind it is, is not known
    if isinstance(two, (int, float, str, type(None), External, Class)) or is_member(two):
        return Condition(("==", one, two), "a comparison with an unknown value")
    if isinstance(two, tuple) and two and all(isinstance(size, (int, Expr)) for size in two):
        return Condition((OF_SHAPES, object()), "a comparison of shapes")
    return Condition(object(), "a comparison of unknown values")


def equal(machine: Machine, frame: Frame, left: Value, right: Value) -> Value:
    """``left == right``."""
    left, right = machine.resolve(left), machine.resolve(right)
    if isinstance(left, (int, Expr)) and isinstance(right, (int, Expr)):
        answer = False if maps.differ_on_maps(left, right) else dims.eq(left, right)
        return answer if answer is not None else Condition(("size==", left, right), "a comparison of sizes")
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        if left is right:
            return True
        one, two = (left, right) if isinstance(left, Unknown) else (right, left)
        assert isinstance(one, Unknown)
        if isinstance(two, Expr) or (isinstance(two, int) and not isinstance(two, bool) and one.size_ is not None):
            return Condition(("size==", one.size(), two), "a comparison of sizes")
        return _pinned(one, two)
    if isinstance(left, List) and isinstance(right, List) and not (left.open or right.open):
        return equal(machine, frame, tuple(left.items), tuple(right.items))
    if isinstance(left, tuple) and isinstance(right, tuple):
        if len(left) != len(right):
            return False
        return all_of([equal(machine, frame, a, b) for a, b in zip(left, right)])
    if isinstance(left, Sizes) or isinstance(right, Sizes):
        return Condition((OF_SHAPES, object()), "a comparison of shapes")
    if isinstance(left, Instance) and isinstance(right, Instance):
        return left is right
    constants = (int, float, str, bytes, type(None), External, tuple)
    if isinstance(left, constants) and isinstance(right, constants):
        return bool(left == right)
    if isinstance(left, (Function, Class, External)) or isinstance(right, (Function, Class, External)):
        return left is right
    if left is None or right is None:
        return False
    if any(isinstance(a, (List, Dict)) and isinstance(b, (str, int, float)) for a, b in ((left, right), (right, left))):
        return False  # a text is no list
    return Condition(object(), "a comparison of unknown values")


def all_of(values: list[Value]) -> Value:
    """``and`` over the results of comparisons."""
    out: Value = True
    for value in values:
        if value is False:
            return False
        if value is not True:
            condition = value if isinstance(value, Condition) else Condition(object(), "an unknown comparison")
            out = condition if out is True else both(out, condition)  # type: ignore[arg-type]
    return out


def both(one: Condition, two: Condition) -> Condition:
    """The condition that two conditions hold."""
    return Condition(("and", one, two), one.reason)


def is_plain(value: Value) -> bool:
    """A number, a text, a tuple of them: equal to what Python says it is."""
    return isinstance(value, (int, float, str)) or (type(value) is tuple and all(map(is_plain, value)))


def contains(machine: Machine, frame: Frame, item: Value, container: Value) -> Value:
    """``item in container``."""
    from conv_lint.interpreter.expressions import truth_of

    if isinstance(item, Choice):
        return machine.choose(frame, item, lambda v: contains(machine, frame, v, container))
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, External) and container.name == "os.environ":
        return False  # as where nobody has set anything
    if isinstance(container, Instance) and protocols.has(container, "__contains__"):
        return truth_of(machine, frame, protocols.run(machine, frame, container, "__contains__", item))
    if isinstance(container, Instance) and container.is_module and isinstance(item, str) and not container.open:
        return item in container.attrs
    keys: list[Value] | None = None
    if isinstance(container, Dict) and isinstance(item, (str, int)) and item in container.items:
        return machine.has_key(container, item)
    if isinstance(container, Dict) and container.home is not None and isinstance(item, str) and not container.items:
        there = registered(machine, container, item) is not MISSING
        return there or Condition((UNFILLED, id(container), item), "a registry that other files may fill")
    if isinstance(container, Dict) and not container.others and not (container.maybe and isinstance(item, Unknown)):
        keys = list(container.items)
    elif isinstance(container, List) and not container.open:
        keys = container.items
    elif isinstance(container, (tuple, range)):
        keys = list(container)
    if keys is None:
        return Condition(object(), "a search in something unknown")
    if isinstance(container, Dict) and not container.maybe and is_plain(item) and all(map(is_plain, keys)):
        return item in container.items
    answers = [equal(machine, frame, item, key) for key in keys]
    if any(a is True for a in answers):
        return True
    if all(a is False for a in answers):
        return False
    return any_of([a for a in answers if a is not False]) or Condition(
        ("in", item, tuple(id(k) for k in keys)), "a search for something unknown"
    )


def any_of(answers: Sequence[Value]) -> Condition | None:
    """Whether one of several equations holds, ``None`` if they are something else or too many."""
    if len(answers) > MAX_JOINED or not all(isinstance(a, Condition) and not a.negated for a in answers):
        return None
    first, *others = (a for a in answers if isinstance(a, Condition))
    for other in others:
        first = Condition(("or", first, other), "a search for something unknown")
    return first
