"""Methods that change the shape of a tensor in place: ``x.unsqueeze_(0)``."""

from __future__ import annotations

import libcst as cst

from conv_lint.interpreter.assign import assign
from conv_lint.interpreter.journal import join_shapes
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Frame, Method
from conv_lint.ops.operators import without_in_place
from conv_lint.values import Shape, Tensor, Unknown, Value, any_shape

#: What changes the dimensions themselves: then nothing is known of them unless the result is.
_RESHAPING = frozenset(
    "resize_ resize_as_ set_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_ as_strided_".split()
)


def follow(machine: Machine, frame: Frame, node: cst.Call, method: Method, result: Value) -> None:
    """Give the variable behind ``x.name_(...)`` the shape that the call has given its tensor."""
    if without_in_place(method.name) is None or not isinstance(method.receiver, Tensor):
        return
    variable = _variable(node)
    if variable is None:
        return
    before = machine.shape(method.receiver.shape)
    if not isinstance(result, Tensor):
        if isinstance(result, Unknown) and method.name in _RESHAPING:
            assign(machine, frame, variable, result)
            _reshape(machine, frame, variable, method.receiver, any_shape(result.reason))
        return
    if method.receiver.numbers is not None:
        method.receiver.numbers = None if machine.is_in_branch else result.numbers
    after = machine.shape(result.shape)
    if method.name not in _RESHAPING and after.rest is not None and before.rest is None:
        return  # by what is not known: a tensor keeps its sizes
    if tuple.__ne__(before, after):
        assign(machine, frame, variable, result)
        _reshape(machine, frame, variable, method.receiver, after)


def _reshape(machine: Machine, frame: Frame, variable: cst.BaseExpression, tensor: Tensor, shape: Shape) -> None:
    """The tensor may have other names: in lists, of the callers.

    What a branch does cannot be undone there: a tensor that the function was given has the one shape or the other then.
    """
    if machine.is_in_branch:
        if isinstance(variable, cst.Name) and variable.value not in frame.arguments:
            return
        before = machine.shape(tensor.shape)
        alike = before.rest is None and shape.rest is None and len(before) == len(shape)
        shape = join_shapes(before, shape) if alike else any_shape("changed in place by a branch")
    machine.journal.memory.forget()
    tensor.shape, tensor.numbers = shape, None


def _variable(node: cst.Call) -> cst.BaseExpression | None:
    """``x`` of ``x.add_(y).relu_()``."""
    value: cst.BaseExpression = node
    while isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute):
        if without_in_place(value.func.attr.value) is None:
            return None
        value = value.func.value
    return value if isinstance(value, (cst.Name, cst.Attribute)) else None
