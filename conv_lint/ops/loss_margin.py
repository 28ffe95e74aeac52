"""The losses that are met less often: margins of classes and labels, likelihoods, and those with their own linear layer
(torch.nn, "Loss Functions")."""

from __future__ import annotations

import itertools

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq
from conv_lint.ops.elementwise import fitted
from conv_lint.ops.loss import (
    OLD,
    all_known,
    check_classes,
    check_one_shape,
    check_weight,
    cross_entropy,
    is_elementwise,
    misfit,
    other_batch,
    reduced,
    same_rank,
    together,
)
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown, render_any

# margins ----------------------------------------------------------------------------------------------------


@shape_rule(
    f"nn.MultiMarginLoss(p=1, margin=1.0, weight=None, {OLD})",
    "nn.MultiMarginLoss.forward(input, target)",
    f"F.multi_margin_loss(input, target, p=1, margin=1.0, weight=None, {OLD})",
)
def multi_margin(op: Op, input: Shape, target: Arg, weight: Arg) -> Result:
    """(N, C) against class numbers (N,) -> (N,); (C,) against () -> ()."""
    if input.rest is None:
        input = op.require_rank(input, 0, 1, 2)
        one = len(input) < 2 or eq(input[0], 1) is not False
        if all_known(target):
            # torch takes (1,) and () for one another where there is one sample.
            if one and len(target) < 2 and eq(dims.product(target), 1) is not False:
                return reduced(op, target)
            check_classes(op, Shape(input if len(input) else (1,), input.step), target)
        if len(input):
            check_weight(op, input, weight)
    return reduced(op, input[:-1] if is_elementwise(op) else ())


@shape_rule(
    f"nn.MultiLabelMarginLoss({OLD})",
    "nn.MultiLabelMarginLoss.forward(input, target)",
    f"F.multilabel_margin_loss(input, target, {OLD})",
)
def multilabel_margin(op: Op, input: Shape, target: Arg) -> Result:
    """(N, C) against (N, C) -> (N,); (C,) against (C,) -> ()."""
    if input.rest is None:
        input = op.require_rank(input, 0, 1, 2)
        if all_known(target):
            one = len(input) + len(target) == 1 and eq(dims.product((*input, *target)), 1) is not False
            if not one:
                check_one_shape(op, input, target)
    return reduced(op, input[:-1] if is_elementwise(op) else ())


@shape_rule(
    f"nn.MultiLabelSoftMarginLoss(weight=None, {OLD})",
    "nn.MultiLabelSoftMarginLoss.forward(input, target)",
    f"F.multilabel_soft_margin_loss(input, target, weight=None, {OLD})",
)
def multilabel_soft_margin(op: Op, input: Shape, target: Arg, weight: Arg) -> Result:
    """(N, C) against (N, C) -> (N,), broadcast together; the last axis of the output is averaged."""
    input = op.require_rank_from(input, 1)
    out = together(op, input, target) if isinstance(target, Shape) else input
    if all_known(out, weight):
        out, fault = fitted(op, out, weight)
        if fault is not None:
            op.fail(catalogue.parameter_shape(argument="weight", given=tuple(weight), takes=tuple(out)), "weight")
    if not is_elementwise(op):
        return reduced(op, ())
    axis = len(input) - 1
    return reduced(op, (*out[:axis], *out[axis + 1 :]))


@shape_rule(
    "nn.TripletMarginWithDistanceLoss(*, distance_function=None, margin=1.0, swap=False, reduction='mean')",
    "nn.TripletMarginWithDistanceLoss.forward(anchor, positive, negative)",
    "F.triplet_margin_with_distance_loss(anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False,"
    " reduction='mean')",
)
def triplet_with_distance(op: Op, anchor: Shape, positive: Shape, negative: Shape, distance_function: Arg) -> Result:
    """(N, D) three times -> (N,), unless the distance is another than the Euclidean one."""
    same_rank(op, {"anchor": anchor, "positive": positive, "negative": negative})
    if distance_function is not None:
        if is_elementwise(op):
            raise CannotTell("distance_function")
        return reduced(op, ())
    near = together(op, anchor, positive, ("anchor", "positive"), "positive")
    far = together(op, anchor, negative, ("anchor", "negative"), "negative")
    if not is_elementwise(op):
        return reduced(op, ())
    return reduced(op, together(op, Shape(near[:-1]), Shape(far[:-1]), ("positive", "negative"), "negative"))


# likelihoods ------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.GaussianNLLLoss(*, full=False, eps=1e-06, reduction='mean')",
    "nn.GaussianNLLLoss.forward(input, target, var)",
    "F.gaussian_nll_loss(input, target, var, full=False, eps=1e-06, reduction='mean')",
)
def gaussian_nll(op: Op, input: Shape, target: Arg, var: Arg) -> Result:
    """(\\*) against (\\*), broadcast; var is of the output's shape, lacks its last axis, or has one axis of 1."""
    out = together(op, input, target) if isinstance(target, Shape) else input
    if all_known(input, var) and not _variance_fits(input, var):
        op.fail(catalogue.parameter_shape(argument="var", given=tuple(var), takes=tuple(input)), "var")
        return reduced(op, out)
    if not is_elementwise(op):
        return reduced(op, ())
    exact = isinstance(var, Shape) and all_known(input, var) and dims.same(var, input) is True
    if isinstance(var, (Shape, Unknown)) and not exact:
        raise CannotTell("how the variance is stretched")
    return reduced(op, out)


def _variance_fits(input: Shape, var: Shape) -> bool:
    """May ``var`` be what torch accepts?  It is compared without broadcasting, but for one axis of length 1."""
    if dims.same(var, input) is not False or (len(input) and dims.same(var, input[:-1]) is not False):
        return True
    # torch adds up the sizes of var that differ, which comes to 1 for one axis of length 1 only.
    differing = (dims.low(b) or 0 for a, b in zip(input, var) if eq(a, b) is False)
    return len(var) == len(input) and sum(differing) <= 1


# losses with a linear layer of their own --------------------------------------------------------------------


@layer_rule(
    "nn.AdaptiveLogSoftmaxWithLoss(in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None,"
    " dtype=None)"
)
def adaptive_log_softmax_layer(op: Op, n_classes: Arg, cutoffs: Arg) -> Result:
    """The cutoffs rise, from 1 to n_classes - 1."""
    numbers = cutoffs if isinstance(cutoffs, (list, tuple)) else ()
    bounds: list[Dim] = [0, *(op.dim(number) for number in numbers), op.dim(n_classes)]
    if any(dims.lt(a, b) is False for a, b in itertools.pairwise(bounds)):
        allowed = f"rising numbers between 0 and n_classes={dims.render(bounds[-1])}"
        report = catalogue.argument_range(argument="cutoffs", value=tuple(bounds[1:-1]), allowed=allowed)
        op.fail(report, "cutoffs")
    return {}


@shape_rule("nn.AdaptiveLogSoftmaxWithLoss.forward(input_, target_)")
def adaptive_log_softmax(op: Op, input_: Shape, target_: Arg, in_features: Arg) -> Result:
    """(N, in_features) against class numbers (N,) -> output (N,) and loss ()."""
    op.dtype = "float"
    input_ = op.require_rank(input_, 1, 2)
    takes = op.dim(in_features)
    fix = f"in_features={input_[-1]}" if isinstance(input_[-1], int) else None
    op.require_size(input_, -1, takes, catalogue.input_features, "in_features", fix=fix)
    if all_known(target_):
        if len(target_) != len(input_) - 1:
            wanted, given = render_any(input_[:-1]), render_any(target_)
            misfit(op, f"an output {render_any(input_)} needs class numbers {wanted} but the target is {given}")
        elif len(target_) and op.equate(input_[0], target_[0]) is False:
            other_batch(op, input_, target_, 0)
    return input_[:-1], ()


@layer_rule(
    "nn.LinearCrossEntropyLoss(in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None,"
    " reduction='mean', weight=None, ignore_index=None, label_smoothing=0.0, options=None)"
)
def linear_cross_entropy_layer(op: Op, in_features: Arg, num_classes: Arg, out_features: Arg) -> Result:
    """linear_weight: (num_classes, \\*out_features, in_features)."""
    inner = tuple(op.dim(size) for size in out_features)
    return {"linear_weight": Shape((op.dim(num_classes), *inner, op.dim(in_features)))}


@shape_rule(
    "nn.LinearCrossEntropyLoss.forward(input, target)",
    "F.linear_cross_entropy(input, linear_weight, target, *, linear_bias=None, weight=None, reduction='mean',"
    " ignore_index=None, label_smoothing=0.0, options=None)",
)
def linear_cross_entropy(op: Op, input: Shape, linear_weight: Shape, target: Arg, weight: Arg) -> Result:
    """(N, in_features) -> the cross entropy of (N, num_classes, \\*out_features)."""
    input = op.require_rank(input, 1, 2)
    linear_weight = op.require_rank_from(linear_weight, 2)
    op.require_size(input, -1, linear_weight[-1], catalogue.input_features, "in_features")
    return cross_entropy(op, Shape((*input[:-1], *linear_weight[:-1]), input.step), target, weight)
