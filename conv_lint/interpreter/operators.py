"""Operators on values: Python's own on constants, sizes in normal form, torch's rules on tensors."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import libcst as cst

from conv_lint import catalogue, dims, ops
from conv_lint.dims import Expr
from conv_lint.interpreter import faults, kinds, locate, protocols, suppose, tensors
from conv_lint.interpreter.journal import join_samples
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.ops.given import layer_class
from conv_lint.ops.operators import operator_name
from conv_lint.values import Choice, Condition, Dict, External, List, NoTensor, Real, Tensor, Unknown, Value

BINARY: dict[type, tuple[str, Callable[[Any, Any], Any]]] = {
    cst.Add: ("add", operator.add),
    cst.Subtract: ("sub", operator.sub),
    cst.Multiply: ("mul", operator.mul),
    cst.Divide: ("truediv", operator.truediv),
    cst.FloorDivide: ("floordiv", operator.floordiv),
    cst.Modulo: ("mod", operator.mod),
    cst.Power: ("pow", operator.pow),
    cst.MatrixMultiply: ("matmul", operator.matmul),
    cst.BitAnd: ("and", operator.and_),
    cst.BitOr: ("or", operator.or_),
    cst.BitXor: ("xor", operator.xor),
    cst.LeftShift: ("lshift", operator.lshift),
    cst.RightShift: ("rshift", operator.rshift),
}
AUGMENTED: dict[type, type] = {
    cst.AddAssign: cst.Add,
    cst.SubtractAssign: cst.Subtract,
    cst.MultiplyAssign: cst.Multiply,
    cst.DivideAssign: cst.Divide,
    cst.FloorDivideAssign: cst.FloorDivide,
    cst.ModuloAssign: cst.Modulo,
    cst.PowerAssign: cst.Power,
    cst.MatrixMultiplyAssign: cst.MatrixMultiply,
    cst.BitAndAssign: cst.BitAnd,
    cst.BitOrAssign: cst.BitOr,
    cst.BitXorAssign: cst.BitXor,
    cst.LeftShiftAssign: cst.LeftShift,
    cst.RightShiftAssign: cst.RightShift,
}
#: No constant larger than this is computed: ``"a" * 10**9``.
MAX_CONSTANT = 1_000_000
#: No whole number of more bits is computed: no size has them, and squaring in a loop doubles them.
MAX_BITS = 2_048
Number = (int, float, complex)
_WIDE = r"\d{5}|\*"  # a width that would fill the memory


class Ratio(Real):
    """``a / b`` of sizes, kept so that ``int(a / b)`` is known."""

    __slots__ = ("bottom", "top")

    def __init__(self, top: dims.Dim, bottom: dims.Dim) -> None:
        super().__init__(f"{_term(top)} / {_term(bottom)}", (top, bottom))
        self.top, self.bottom = top, bottom


def _term(size: dims.Dim) -> str:
    text = dims.render(size)
    return text if re.fullmatch(r"[\w.]+|\?", text) else f"({text})"


def binary(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode,
    kind: type,
    left: Value,
    right: Value,
    in_place: bool = False,
) -> Value:
    """The value of ``left OP right``, or of ``left OP= right``."""
    left, right = machine.resolve(left), machine.resolve(right)
    if kind is cst.Subtract and left == 1 and type(right) is float and type(left) in (int, float):
        return machine.rest_of(right)
    machine.weigh(left, right)
    if kind not in BINARY:
        return Unknown("an unknown operator")
    name, function = BINARY[kind]
    if name in ("add", "sub", "mul"):
        left, right = _as_one_size(machine, left, right), _as_one_size(machine, right, left)
    if isinstance(left, Choice):
        return machine.choose(frame, left, lambda v: binary(machine, frame, node, kind, v, right, in_place))
    if isinstance(right, Choice):
        return machine.choose(frame, right, lambda v: binary(machine, frame, node, kind, left, v, in_place))
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return tensor_operator(machine, frame, node, name, left, right, in_place)
    if name in ("floordiv", "mod") and isinstance(left, (int, float, Expr)) and right == 0:
        raise PythonRaise("ZeroDivisionError")
    if isinstance(left, Number) and isinstance(right, Number):
        return _constant(name, function, left, right)
    for known, asked in ((left, right), (right, left)):
        if isinstance(known, bool) and isinstance(asked, Condition) and name in ("and", "or", "xor"):
            return _of_truths(name, known, asked)
    if kinds.refuse_operator(machine, frame, node, name, function, left, right):
        return Unknown("an operation that Python refuses")
    sizes = as_sizes(left, right)
    if sizes is not None:
        return _arithmetic(name, *sizes)
    left = _as_number(frame, name, left, right)
    if name in _REAL and all(map(_may_be_number, (left, right))):
        one, two = (v.size() if type(v) is Unknown else v for v in (left, right))
        if name not in ("truediv", "pow") and isinstance(one, (int, Expr)) and isinstance(two, (int, Expr)):
            return _arithmetic(name, one, two)
        return _real(name, left, right)
    return _containers(machine, frame, name, function, left, right)


def _as_one_size(machine: Machine, value: Value, other: Value) -> Value:
    """One of two numbers of which one is an expression, as one symbol: so that twice as much is known to be more."""
    if not isinstance(value, Choice) or not isinstance(other, (int, Expr)) or isinstance(other, bool):
        return value
    options = value.sizes()
    return machine.chosen_size(value) if any(isinstance(size, Expr) for size in options) else value


def _of_truths(name: str, known: bool, asked: Condition) -> Value:
    """``known & asked`` and the like."""
    if name == "xor":
        return asked.inverse() if known else asked
    return known if known == (name == "or") else asked


def _constant(name: str, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Value:
    if name == "pow" and isinstance(right, int) and (abs(right) > 64 or abs(left) > 1e9):
        return Unknown("too large a power")
    if name == "lshift" and right > 64:
        return Unknown("too large a shift")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        return Unknown("too large a number")
    try:
        return function(left, right)
    except (TypeError, ValueError, ArithmeticError):
        return Unknown("an operation that Python refuses")


_REAL = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**"}


def _may_be_number(value: Value) -> bool:
    if type(value) is Unknown and value.size_ is not None:  # an argument that was used as a size
        return all(s.low is not None for s in value.size_.symbols)
    return isinstance(value, (int, float, Expr, Real)) and not isinstance(value, bool)


def _as_number(frame: Frame, name: str, base: Value, power: Value) -> Value:
    """An argument of which a constructor takes a root, ``(dim // heads) ** -0.5``: there, it is no tensor."""
    in_init = frame.function is not None and frame.function.name == "__init__"
    if not in_init or name != "pow" or not isinstance(power, float):
        return base
    size = base.size() if type(base) is Unknown and base.name != "?" else base
    if isinstance(size, Expr):
        for symbol in dims.symbols(size):
            symbol.is_number = True
        return size
    return base


def _real(name: str, left: Value, right: Value) -> Value:
    """Arithmetic with a number with a point, of which one at least is not known, gives another."""
    ratio, times = (left, right) if isinstance(left, Ratio) else (right, left)
    if name == "mul" and isinstance(ratio, Ratio) and isinstance(times, int):
        return Ratio(ratio.top * times, ratio.bottom)
    left, right = (v.size() if type(v) is Unknown else v for v in (left, right))
    words = (_shown(value) for value in (left, right))
    return Real(f" {_REAL[name]} ".join(words), (left, right))


def _shown(value: Value) -> str:
    return value.text if isinstance(value, Real) else dims.render(value) if isinstance(value, Expr) else repr(value)


def as_sizes(left: Value, right: Value) -> tuple[dims.Dim, dims.Dim] | None:
    """Both as sizes, if each is a whole number or may be one and at least one is symbolic."""
    out: list[dims.Dim] = []
    for value in (left, right):
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, Expr, Unknown))
            or isinstance(value, (Condition, Real))
        ):
            return None
        out.append(value.size() if isinstance(value, Unknown) else value)
    if isinstance(left, Unknown) and isinstance(right, Unknown) and "?" in (left.name, right.name):
        return None  # two lists or two tensors as well as two numbers
    return out[0], out[1]


def _arithmetic(name: str, a: dims.Dim, b: dims.Dim) -> Value:
    match name:
        case "add":
            return a + b
        case "sub":
            return a - b
        case "mul":
            return a * b
        case "floordiv":
            return a // b
        case "mod":
            return a % b
        case "truediv":
            return Ratio(a, b)
        case "pow" if isinstance(b, int) and 0 <= b <= 3:
            return dims.product([a] * b)
        case "pow" if isinstance(b, int) and b < 0:
            return _real(name, a, b)
        case "pow" | "lshift" | "rshift":
            return dims.unknown(1 if a == 2 and name == "pow" else None)
    return Unknown("arithmetic on sizes that are not known")


def _alike_supposed(machine: Machine, left: Value, right: Value) -> tuple[Value, Value]:
    """A list and an argument that nobody gives, ``[in_channels] + widths``: that is one of the same kind."""
    items, other = (left, right) if isinstance(left, (List, tuple)) else (right, left)
    other = suppose.items(machine, other)
    if isinstance(items, tuple) and isinstance(other, List) and not other.open:
        other = tuple(other.items)
    return (items, other) if items is left else (other, items)


def _containers(
    machine: Machine, frame: Frame, name: str, function: Callable[[Any, Any], Any], left: Value, right: Value
) -> Value:
    """Lists, tuples, strings and dicts: ``+``, ``*``, ``%``, ``|``."""
    from conv_lint.interpreter.calls import call_method

    if name == "mul" and isinstance(left, (List, tuple)):
        right = suppose.count(machine, right)
    if name == "add" and isinstance(left, (List, tuple)) != isinstance(right, (List, tuple)):
        left, right = _alike_supposed(machine, left, right)
    match left, right:
        case (List() | tuple(), List() | tuple()) if name == "add" and _length(left) + _length(right) > MAX_CONSTANT:
            return List(open="too long a list")
        case (List(), List()) if name == "add":
            reason = left.open or right.open
            each = join_samples(left.snapshot(), right.snapshot()) if reason else None
            both = List([*left.items, *right.items], reason, each=each)
            both.maybe = left.maybe | {len(left.items) + i: c for i, c in right.maybe.items()}
            if any(part.open and not part.maybe for part in (left, right)):
                both.forget_conditions()
            return both
        case (tuple(), tuple()) if name == "add":
            return (*left, *right)
        case (List(), int()) | (int(), List()) if name == "mul":
            items, times = (left, right) if isinstance(left, List) else (right, left)
            assert isinstance(items, List)
            assert isinstance(times, int)
            if times * len(items.items) > machine.limits.rounds * 10:
                return Unknown("too long a list")
            return List(items.items * times, items.open)
        case (List(), _) | (_, List()) if name in ("mul", "add"):
            return List(open="of unknown length")
        case (tuple(), int()) | (int(), tuple()) if name == "mul":
            return function(left, right) if len(str(right)) < 5 else Unknown("too long a tuple")
        case (str() | bytes(), _):
            return _text(name, function, left, right)
        case (Dict(), Dict()) if name == "or":
            made = left.copy()
            made.merge(right)
            return made
        case (bool(), bool()):
            return function(left, right)
        case (Instance(), _):
            found = call_method(machine, frame, left, f"__{name}__", [right])
            return found if found is not None else Unknown("an operator of an object")
        case (_, Instance()) if protocols.has(right, f"__r{name}__"):
            return protocols.run(machine, frame, right, f"__r{name}__", left)
    reason = next((v.reason for v in (left, right) if isinstance(v, Unknown)), "an operation on unknown values")
    return Unknown(reason)


def _length(value: List | tuple[Value, ...]) -> int:
    return len(value.items if isinstance(value, List) else value)


def _text(name: str, function: Callable[[Any, Any], Any], left: Any, right: Value) -> Value:
    if name == "mod":
        if re.search(_WIDE if isinstance(left, str) else _WIDE.encode(), left):
            return Unknown("a wide string")
        values = right if isinstance(right, tuple) else (right,)
        if not all(isinstance(v, (int, float, str)) for v in values):
            return Unknown("a formatted string")
    elif name == "mul" and not (isinstance(right, int) and right * len(left) < MAX_CONSTANT):
        return Unknown("a repeated string")
    elif name == "add" and (not isinstance(right, type(left)) or len(left) + len(right) > MAX_CONSTANT):
        return Unknown("a string that is not known")
    try:
        return function(left, right)
    except (TypeError, ValueError):
        return Unknown("a string that Python cannot make")


def tensor_operator(
    machine: Machine, frame: Frame, node: cst.CSTNode, name: str, left: Value, right: Value, in_place: bool = False
) -> Value:
    other = right if isinstance(left, Tensor) else left
    what = tensors.to_rule(machine, other) if isinstance(other, (Instance, External)) else None
    if isinstance(what, NoTensor) or (isinstance(what, External) and what.name in ops.LAYERS):
        return _no_operand(machine, frame, node, name, what, left if isinstance(left, Tensor) else right)
    left, right = _float_of(left), _float_of(right)
    if isinstance(left, Tensor):
        return tensors.call(machine, frame, node, f"torch.Tensor.__{'i' * in_place}{name}__", [left, right], {})
    if isinstance(left, (List, tuple)) and name == "add" and not isinstance(left, Tensor):
        return Unknown("a list added to a tensor")
    return tensors.call(machine, frame, node, f"torch.Tensor.__r{name}__", [right, left], {})


def _float_of(value: Value) -> Value:
    """An argument that is a number for sure, ``alpha: float``, as one."""
    size = value.size_ if type(value) is Unknown else None
    is_number = size is not None and all(symbol.is_number for symbol in size.symbols)
    return Real(value.name, (size,)) if isinstance(value, Unknown) and is_number else value


def _no_operand(
    machine: Machine, frame: Frame, node: cst.CSTNode, name: str, what: NoTensor | External, tensor: Value
) -> Value:
    """``x + nn.ReLU(y)``: a layer, or a class of layers, beside a tensor (torch: ``unsupported operand type(s)``)."""
    if isinstance(what, External):
        what = NoTensor(*layer_class(what.name.rpartition(".")[2]))
    if name not in ("eq", "ne") and faults.is_certain(machine, frame):
        report = catalogue.not_a_tensor(layer=operator_name(f"__{name}__"), argument="it", what=what.what, fix=what.fix)
        locate.report_at(machine, frame, node, report)
    return tensor


def augmented(machine: Machine, frame: Frame, node: cst.AugAssign, left: Value, right: Value) -> Value:
    """The value after ``left OP= right``; a list or dict is changed in place."""
    left = machine.resolve(left)
    kind = AUGMENTED.get(type(node.operator), cst.Add)
    if isinstance(left, List) and kind is cst.Add:
        from conv_lint.interpreter.sequences import items_of

        machine.journal.touch(left)
        more = items_of(machine, right)
        if more is None:
            left.open = left.open or "extended by unknown items"
        else:
            left.items.extend(more)
            left.keep_within()
        return left
    if isinstance(left, Instance) and left.torch_name == "torch.nn.ModuleList" and kind is cst.Add:
        from conv_lint.interpreter.modules import add_all

        add_all(machine, left, right)
        return left
    if isinstance(left, Dict) and isinstance(right, Dict):
        machine.journal.touch(left)
        left.items.update(right.items)
        left.open = left.open or right.open
        return left
    result = binary(machine, frame, node, kind, left, right, in_place=True)
    is_known = isinstance(result, Tensor) and machine.shape(result.shape).rest is None
    return result if is_known or not isinstance(left, Tensor) else left  # a tensor keeps its sizes in place


def unary(machine: Machine, frame: Frame, node: cst.UnaryOperation, value: Value) -> Value:
    """``-x``, ``+x``, ``~x``, ``not x``."""
    from conv_lint.interpreter.expressions import truth_of

    value = machine.resolve(value)
    machine.weigh(value)
    if isinstance(node.operator, cst.Not):
        truth = truth_of(machine, frame, value)
        return truth.inverse() if isinstance(truth, Condition) else not truth
    if isinstance(value, Choice):
        return machine.choose(frame, value, lambda v: unary(machine, frame, node, v))
    if isinstance(node.operator, cst.Minus) and isinstance(value, (int, float, Expr)):
        return -value
    if isinstance(node.operator, cst.Plus):
        return value
    if isinstance(value, Tensor):
        name = "invert" if isinstance(node.operator, cst.BitInvert) else "neg"
        return tensors.call(machine, frame, node, f"torch.Tensor.__{name}__", [value], {})
    if isinstance(node.operator, cst.BitInvert) and isinstance(value, int):
        return ~value
    if isinstance(value, Unknown) and isinstance(node.operator, cst.Minus) and not isinstance(value, Condition):
        return -value.size()
    return Unknown("an operation on an unknown value")
