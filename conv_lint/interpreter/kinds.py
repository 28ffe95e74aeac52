"""Values of the wrong type for Python's own operators and statements (CONV605): ``4[0]``, ``for c in 4``, ``"8" + 4``.

Only of values whose type is known exactly: constants, tuples, lists that nobody else was given, layers of torch.  What
Python says of them is asked of Python itself, with a value of the same type.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from conv_lint import catalogue, ops
from conv_lint.interpreter import faults, tensors
from conv_lint.interpreter.calls import Arguments
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Frame, Instance, Method
from conv_lint.values import External, List, Tensor, Value

#: A value of each type, to ask Python what it thinks of such a value.
_EXAMPLES: dict[str, Any] = {
    "bool": True, "int": 1, "float": 1.5, "str": "a", "tuple": (1,), "list": [1], "NoneType": None,
}  # fmt: skip
_TYPES: dict[type, str] = {type(value): name for name, value in _EXAMPLES.items() if name != "list"}
#: Builtins that want something to iterate over as their first argument, and those of which all are.
_ITERATING = frozenset("list tuple set frozenset enumerate sum sorted iter any all".split())
_ZIPPING = frozenset({"zip"})
#: Operators that sets and the views of dicts have too, which are lists here.
_OF_SETS = frozenset({"sub", "and", "or", "xor"})


def type_of(machine: Machine, value: Value) -> str | None:
    """Python's name for the type of a value, where it is known for sure."""
    if isinstance(value, List):
        return "list" if faults.is_kept(machine, value) else None
    if isinstance(value, Instance):
        return _layer(value)
    return _TYPES.get(type(value))


def _layer(value: Instance) -> str | None:
    """The class of a layer, of torch or of the file, that is no container and does not act as one."""
    if value.open:
        return None
    if isinstance(value.cls, External):
        return value.class_name if value.cls.name in ops.LAYERS else None
    if not isinstance(value.cls, Class) or value.cls.kind or not faults.has_known_bases(value.cls):
        return None
    bases = [base for base in value.cls.mro if isinstance(base, Class)]
    plain = all(base.node is not None and not base.node.keywords and not base.node.decorators for base in bases)
    own = {name for base in bases for name in base.attrs}
    if value.torch_name != "torch.nn.Module" or not plain or any(map(_is_protocol, own)):
        return None
    return value.class_name


#: Methods of Python's that do not make a class act as a container or as a number.
_HARMLESS = frozenset("__init__ __call__ __doc__ __module__ __repr__ __str__ __constants__ __annotations__".split())


def _is_protocol(name: str) -> bool:
    return name.startswith("__") and name not in _HARMLESS


def _is_placeholder(value: Value) -> bool:
    """Is it what an option holds until somebody gives it: ``None``, 0, an empty text?

    The command line may, though without it the program fails.
    """
    return not isinstance(value, Instance) and not (value.items if isinstance(value, List) else value)


# what is refused --------------------------------------------------------------------------------------------


#: Python's words for what cannot be iterated over, unpacked into names, unpacked by a star.
NOT_ITERABLE = "{!r} object is not iterable"
NOT_UNPACKED = "cannot unpack non-iterable {} object"
NOT_STARRED = "Value after * must be an iterable, not {}"


def refuse_iterating(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, value: Value, words: str = NOT_ITERABLE
) -> bool:
    """Report a value that is iterated over or unpacked but cannot be; returns whether it was certain."""
    value = machine.resolve(value)
    kind = type_of(machine, value)
    if kind is None or kind in ("str", "tuple", "list"):
        return False
    return _report(machine, frame, node, [value], words.format(kind))


def refuse_index(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, index: Value) -> bool:
    """Report ``base[index]`` of what has no items, or has them under numbers only."""
    kind = type_of(machine, base)
    if isinstance(base, Method) and base.name == "size" and isinstance(node, cst.Subscript):
        receiver = machine.resolve(base.receiver)
        if not isinstance(receiver, Tensor) or not tensors.is_surely_one(machine, receiver):
            return False  # a picture has a size of its own
        return _report(machine, frame, node.value, [receiver], "a method is not subscriptable; write .shape for .size")
    if kind is None or not isinstance(node, cst.Subscript):
        return False
    if kind not in ("str", "tuple", "list"):
        return _report(machine, frame, node.value, [base], f"{kind!r} object is not subscriptable")
    given = type_of(machine, index)
    if given not in ("str", "tuple", "list", "NoneType"):
        return False
    words = f"string indices must be integers, not {given!r}"
    problem = words if kind == "str" else f"{kind} indices must be integers or slices, not {given}"
    return _report(machine, frame, node, [base, index], problem)


def refuse_operator(
    machine: Machine, frame: Frame, node: cst.CSTNode, name: str, operator: Callable[[Any, Any], Any], *pair: Value
) -> bool:
    """Report an operator that Python does not have for values of these types."""
    if not isinstance(node, (cst.BinaryOperation, cst.AugAssign)):
        return False
    left, right = (type_of(machine, value) for value in pair)
    if left is None or right is None or (left == "str" and name == "mod"):
        return False
    if "list" in (left, right) and name in _OF_SETS:
        return False
    problem = _refusal(operator, left, right)
    return problem is not None and _report(machine, frame, node, pair, problem)


@functools.cache
def _refusal(operator: Callable[[Any, Any], Any], left: str, right: str) -> str | None:
    """What Python says of an operator between values of two types."""
    one, two = (_EXAMPLES[kind] if kind in _EXAMPLES else type(kind, (), {})() for kind in (left, right))
    try:
        operator(one, two)
    except TypeError as error:
        return str(error)
    except (ValueError, ArithmeticError):
        return None
    return None


def refuse_arguments(machine: Machine, frame: Frame, node: cst.Call, function: Value, arguments: Arguments) -> bool:
    """Report ``len(4)``, ``range("8")``, ``list(4)``: a builtin given what it does not take."""
    if not isinstance(function, External) or not function.name.startswith("builtins.") or arguments.open:
        return False
    name = function.name.removeprefix("builtins.")
    values = [machine.resolve(value) for value in arguments.args]
    if name == "len" and len(values) == 1:
        kind = type_of(machine, values[0])
        if kind is None or kind in ("str", "tuple", "list"):
            return False
        return _report(machine, frame, node, values, f"object of type {kind!r} has no len()")
    if name == "range":
        for value in values:
            kind = type_of(machine, value)
            if kind is not None and kind not in ("int", "bool", "float"):  # a number with a point is CONV117
                return _report(machine, frame, node, [value], f"{kind!r} object cannot be interpreted as an integer")
        return False
    over = values[:1] if name in _ITERATING else values if name in _ZIPPING else []
    return any(refuse_iterating(machine, frame, node, value) for value in over)


def _report(machine: Machine, frame: Frame, node: cst.CSTNode | None, values: Sequence[Value], problem: str) -> bool:
    if node is None or any(map(_is_placeholder, values)):
        return False
    # What an option has by default may be of another type than what everybody gives.
    is_own = isinstance(node, (cst.Integer, cst.Float)) or all(isinstance(value, Instance) for value in values)
    if not faults.is_certain(machine, frame, strictly=not is_own):
        return False
    faults.report(machine, frame, node, catalogue.wrong_type(layer=faults.shown(frame, node), problem=problem))
    return True
