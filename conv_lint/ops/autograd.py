"""Gradients: what ``backward`` starts from (torch.Tensor.backward, torch.autograd.grad)."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.ops.rule import Op, Plain
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import Shape


@shape_rule("Tensor.backward(input, gradient=None, retain_graph=None, create_graph=False, inputs=None)")
def backward(op: Op, input: Shape, gradient: Arg) -> Result:
    """One number, or a tensor and a gradient of its shape -> nothing."""
    if isinstance(gradient, Shape):
        _require_same(op, "gradient", gradient, input)
    elif gradient is None and input.rest is None and dims.eq(dims.product(input), 1) is False:
        fix = "reduce it first, .mean().backward()"
        report = catalogue.rank(takes="one number", given=input, rank=len(input), source=op.origin(input), fix=fix)
        op.fail(report)
    return Plain(None)


@shape_rule(
    "torch.autograd.grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,"
    " allow_unused=None, is_grads_batched=False, materialize_grads=False)"
)
def grad(op: Op, outputs: Arg, inputs: Arg, grad_outputs: Arg, is_grads_batched: Arg) -> Result:
    """The gradients of the outputs, of the shape of each input."""
    if isinstance(outputs, Shape) and isinstance(grad_outputs, Shape) and is_grads_batched is False:
        _require_same(op, "grad_outputs", grad_outputs, outputs)
    several = inputs if isinstance(inputs, (tuple, list)) and not isinstance(inputs, Shape) else (inputs,)
    return tuple(Shape(tuple.__iter__(i), None, i.dtype) if isinstance(i, Shape) else i for i in several)


def _require_same(op: Op, argument: str, gradient: Shape, output: Shape) -> None:
    if gradient.rest is not None or output.rest is not None:
        return
    if len(gradient) != len(output) or dims.same(gradient, output) is False:
        op.fail(catalogue.parameter_shape(argument=argument, given=tuple(gradient), takes=tuple(output)), argument)
