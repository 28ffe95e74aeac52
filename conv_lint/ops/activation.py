"""Activations and dropout.

Most leave the shape as it is and ask nothing of it; those that do (a ``dim`` that must exist, slopes per channel, an
even size to halve) have a rule of their own.
"""

from __future__ import annotations

import contextlib

from conv_lint import catalogue, dims
from conv_lint.dims import divides, eq
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown

# activations ------------------------------------------------------------------------------------------------


@shape_rule("nn.Identity(*args, **kwargs)")
def identity(op: Op, input: Arg) -> Result:
    """Whatever is given, a tuple of tensors too."""
    if isinstance(input, Shape) or (isinstance(input, tuple) and all(isinstance(part, Shape) for part in input)):
        return input
    raise CannotTell(
        input.reason if isinstance(input, Unknown) else "something that is no tensor goes through Identity"
    )


@shape_rule(
    "nn.CELU(alpha=1.0, inplace=False)",
    "nn.ELU(alpha=1.0, inplace=False)",
    "nn.GELU(approximate='none')",
    "nn.Hardshrink(lambd=0.5)",
    "nn.Hardsigmoid(inplace=False)",
    "nn.Hardswish(inplace=False)",
    "nn.Hardtanh(min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None)",
    "nn.LeakyReLU(negative_slope=0.01, inplace=False)",
    "nn.LogSigmoid()",
    "nn.Mish(inplace=False)",
    "nn.RReLU(lower=0.125, upper=0.3333333333333333, inplace=False)",
    "nn.ReLU(inplace=False)",
    "nn.ReLU6(inplace=False)",
    "nn.SELU(inplace=False)",
    "nn.SiLU(inplace=False)",
    "nn.Sigmoid()",
    "nn.Softplus(beta=1.0, threshold=20.0)",
    "nn.Softshrink(lambd=0.5)",
    "nn.Softsign()",
    "nn.Tanh()",
    "nn.Tanhshrink()",
    "nn.Threshold(threshold, value, inplace=False)",
    "F.celu(input, alpha=1.0, inplace=False)",
    "F.elu(input, alpha=1.0, inplace=False)",
    "F.gelu(input, *, approximate='none')",
    "F.hardshrink(input, lambd=0.5)",
    "F.hardsigmoid(input, inplace=False)",
    "F.hardswish(input, inplace=False)",
    "F.hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False)",
    "F.leaky_relu(input, negative_slope=0.01, inplace=False)",
    "F.logsigmoid(input)",
    "F.mish(input, inplace=False)",
    "F.relu(input, inplace=False)",
    "F.relu6(input, inplace=False)",
    "F.rrelu(input, lower=0.125, upper=0.3333333333333333, training=False, inplace=False)",
    "F.selu(input, inplace=False)",
    "F.sigmoid(input)",
    "F.silu(input, inplace=False)",
    "F.softplus(input, beta=1, threshold=20)",
    "F.softshrink(input, lambd=0.5)",
    "F.softsign(input)",
    "F.tanh(input)",
    "F.tanhshrink(input)",
    "F.threshold(input, threshold, value, inplace=False)",
    "torch.celu(input, alpha=1.0)",
    "torch.hardshrink(input, lambd=0.5)",
    "torch.relu(input)",
    "torch.rrelu(input, lower=0.125, upper=0.3333333333333333, training=False, generator=None)",
    "torch.selu(input)",
    "torch.threshold(input, threshold, value)",
    "Tensor.hardshrink(input, lambd=0.5)",
    "Tensor.relu(input)",
)
def activation(op: Op, input: Shape) -> Result:
    """(\\*) to the same."""
    return input


@layer_rule("nn.PReLU(num_parameters=1, init=0.25, device=None, dtype=None)")
def prelu_layer(op: Op, num_parameters: Arg) -> Result:
    """weight: (num_parameters,)."""
    return {"weight": Shape((op.require_least("num_parameters", num_parameters, 0),))}


@shape_rule(
    "nn.PReLU.forward(input)",
    "F.prelu(input, weight)",
    "torch.prelu(input, weight)",
    "Tensor.prelu(input, weight)",
)
def prelu(op: Op, input: Shape, weight: Shape) -> Result:
    """(N, C, \\*) to the same; one slope, or one for each channel."""
    if input.rest is not None or weight.rest is not None:
        return input
    slopes = dims.product(weight)
    channels = input[1] if len(input) > 1 else 1
    if len(weight) > 1:
        op.fail(catalogue.parameter_shape(argument="weight", given=tuple(weight), takes=(channels,)), "weight")
    elif eq(slopes, 1) is False and op.equate(slopes, channels) is False:
        fix = f"num_parameters={channels}" if isinstance(channels, int) and op.is_layer else None
        source = op.origin(input, 1) if len(input) > 1 else op.origin(input)
        report = catalogue.prelu_channels(takes=slopes, given=channels, source=source, fix=fix)
        op.fail(report, "num_parameters" if op.is_layer else "weight")
    return input


@shape_rule("nn.GLU(dim=-1)", "F.glu(input, dim=-1)")
def glu(op: Op, input: Shape, dim: Arg) -> Result:
    """The size at ``dim`` is halved."""
    input = op.require_rank_from(input, 1)
    axis = op.axis(input, dim)
    size = input[axis]
    report = catalogue.shuffle_channels(what=f"dimension {axis}", factor=2, given=size, source=op.origin(input, axis))
    op.require(divides(2, size), report, "dim")
    return input.replaced(axis, size // 2)


# softmax --------------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.Softmax(dim=None)",
    "nn.Softmin(dim=None)",
    "nn.LogSoftmax(dim=None)",
    "F.softmax(input, dim=None, _stacklevel=3, dtype=None)",
    "F.softmin(input, dim=None, _stacklevel=3, dtype=None)",
    "F.log_softmax(input, dim=None, _stacklevel=3, dtype=None)",
    "torch.softmax(input, dim, dtype=None, *, out=None)",
    "torch.log_softmax(input, dim, dtype=None, *, out=None)",
    "Tensor.softmax(input, dim, dtype=None)",
    "Tensor.log_softmax(input, dim, dtype=None)",
)
def softmax(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same; without ``dim`` torch picks one and warns."""
    op.dtype = "float"
    return along(op, input, dim)


@shape_rule("F.gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1)")
def gumbel_softmax(op: Op, logits: Shape, dim: Arg) -> Result:
    """(\\*) to the same."""
    return along(op, logits, dim)


@shape_rule("nn.Softmax2d()")
def softmax_2d(op: Op, input: Shape) -> Result:
    """(N, C, H, W) or (C, H, W) to the same, over the channels."""
    return op.require_rank(input, 3, 4)


def along(op: Op, input: Shape, dim: object) -> Shape:
    """The dimension must exist; the shape stays, also after a finding."""
    if dim is not None:
        with contextlib.suppress(CannotTell):
            op.axis(input, dim)
    return input


# dropout ----------------------------------------------------------------------------------------------------


@layer_rule(
    "nn.Dropout(p=0.5, inplace=False)",
    "nn.Dropout{n}d(p=0.5, inplace=False)",
    "nn.AlphaDropout(p=0.5, inplace=False)",
    "nn.FeatureAlphaDropout(p=0.5, inplace=False)",
)
def dropout_layer(op: Op, p: Arg) -> Result:
    """No parameters."""
    _check_probability(op, p)
    return {}


@shape_rule(
    "nn.Dropout.forward(input)",
    "nn.AlphaDropout.forward(input)",
    "F.dropout(input, p=0.5, training=True, inplace=False)",
    "F.alpha_dropout(input, p=0.5, training=False, inplace=False)",
    "torch.dropout(input, p, train)",
    "torch.alpha_dropout(input, p, train)",
)
def dropout(op: Op, input: Shape, p: Arg) -> Result:
    """(\\*) to the same."""
    if not op.is_layer:
        _check_probability(op, p)
    return input


@shape_rule(
    "nn.Dropout{n}d.forward(input)",
    "nn.FeatureAlphaDropout.forward(input)",
    "F.dropout{n}d(input, p=0.5, training=True, inplace=False)",
    "F.feature_alpha_dropout(input, p=0.5, training=False, inplace=False)",
    "torch.feature_dropout(input, p, train)",
    "torch.feature_alpha_dropout(input, p, train)",
)
def channel_dropout(op: Op, input: Shape, p: Arg, training: Arg = None, train: Arg = None) -> Result:
    """(N, C, \\*) to the same: whole channels are dropped.

    Dropout1d refuses other ranks; the others warn, and need a channel axis only while they drop something.
    """
    if not op.is_layer:
        _check_probability(op, p)
    if op.n == 1:
        return input if input.rest is not None else op.require_rank(input, 2, 3)
    drops = (
        True in (op.training if op.is_layer else None, training, train) and isinstance(p, (int, float)) and 0 < p < 1
    )
    # Dropout3d adds a batch axis to an input that is not 5-D.
    return op.require_rank_from(input, 1 if op.n == 3 else 2) if drops else input


def _check_probability(op: Op, p: object) -> None:
    if isinstance(p, (int, float)) and not 0 <= p <= 1:
        op.fail(catalogue.argument_range(argument="p", value=p, allowed="between 0 and 1"), "p")


@shape_rule("F.one_hot(input, num_classes=-1)")
def one_hot(op: Op, input: Shape, num_classes: Arg) -> Result:
    """(\\*) -> (\\*, num_classes); -1 takes the number from the largest value."""
    op.dtype = "int"
    count = op.dim(num_classes)
    known = not isinstance(num_classes, int) or num_classes > 0
    return (*tuple.__iter__(input), count if known else op.unknown())
