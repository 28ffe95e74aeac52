"""Losses: what the output and the target must agree in (torch.nn, "Loss Functions").

Only what torch refuses is a finding: ``mse_loss`` of (N, 1) against (N,) warns and broadcasts, and is left alone.
Reduced to a mean or a sum, every loss is a scalar whatever else is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, eq, render
from conv_lint.finding import CALL, Origin
from conv_lint.ops.batch import first_batch
from conv_lint.ops.elementwise import both_origins, fitted
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown, render_any

OLD = "size_average=None, reduce=None, reduction='mean'"


# results ----------------------------------------------------------------------------------------------------


def reduced(op: Op, elementwise: Sequence[Dim]) -> Result:
    """The loss of each element, or one number: by ``reduction`` and the two older arguments in its place."""
    op.dtype = "float"
    _check_word(op)
    return Shape(tuple.__iter__(tuple(elementwise))) if is_elementwise(op) else ()


def _check_word(op: Op) -> None:
    word = op.args.get("reduction")
    allowed = ("none", "mean", "sum", *(("batchmean",) if op.name.endswith(("KLDivLoss", "kl_div")) else ()))
    older = op.args.get("size_average") is not None or op.args.get("reduce") is not None
    if older or not isinstance(word, str) or word in (*allowed, "elementwise_mean"):
        return
    near = difflib.get_close_matches(word, allowed, 1)
    facts = {"argument": "reduction", "value": repr(word), "allowed": ", ".join(map(repr, allowed))}
    op.fail(catalogue.padding_string(**facts, fix=repr(near[0]) if near else None), "reduction")


def is_elementwise(op: Op) -> bool:
    size_average, reduce = op.args.get("size_average"), op.args.get("reduce")
    if size_average is not None or reduce is not None:
        if isinstance(reduce, Unknown):
            raise CannotTell(reduce.reason)
        return reduce is not None and not reduce
    reduction = op.args.get("reduction")
    if isinstance(reduction, Unknown):
        raise CannotTell(reduction.reason)
    return reduction == "none"


def misfit(op: Op, problem: str, source: Origin | None = None, at: str = "target", **facts: object) -> None:
    """``facts``: the ``left`` and ``right`` shapes, and the sizes ``a`` and ``b`` in which they differ."""
    op.fail(catalogue.loss_shapes(problem=problem, source=source, **facts), None if op.is_layer else at)


def whole(shape: Shape) -> tuple[Dim, ...]:
    """A shape of the first batch of a loader."""
    return tuple(map(first_batch, shape))


def all_known(*shapes: object) -> bool:
    """Are these tensors of known rank?"""
    return all(isinstance(shape, Shape) and shape.rest is None for shape in shapes)


@layer_rule(
    "nn.CrossEntropyLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean',"
    " label_smoothing=0.0)",
    "nn.NLLLoss(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
    "nn.NLLLoss2d(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
    f"nn.BCELoss(weight=None, {OLD})",
    f"nn.BCEWithLogitsLoss(weight=None, {OLD}, pos_weight=None)",
)
def weighted_loss(op: Op, weight: Arg, pos_weight: Arg = None) -> Result:
    """The weights are buffers."""
    return {"weight": weight, "pos_weight": pos_weight}


# classes ----------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.CrossEntropyLoss.forward(input, target)",
    "F.cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean',"
    " label_smoothing=0.0)",
)
def cross_entropy(op: Op, input: Shape, target: Arg, weight: Arg) -> Result:
    """(N, C, \\*sizes) against class numbers (N, \\*sizes) or probabilities (N, C, \\*sizes) -> (N, \\*sizes).

    N may be left out: (C,) against () or (C,).  Targets of the input's shape are probabilities.
    """
    if all_known(input, target) and len(input) > 0 and dims.same(whole(input), whole(target)) is not False:
        if dims.same(input, target) and target.dtype in ("int", "bool"):
            words = "has the output's shape, so it is read as probabilities, which cannot be whole numbers"
            axis = min(len(input) - 1, 1)
            misfit(op, f"the target {render_any(target)} {words}; write target.argmax({axis}) or target.float()")
        check_weight(op, input, weight)
        return _per_sample(op, input)
    return nll(op, input, target, weight)


@shape_rule(
    "nn.NLLLoss.forward(input, target)",
    "nn.NLLLoss2d.forward(input, target)",
    "F.nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean')",
)
def nll(op: Op, input: Shape, target: Arg, weight: Arg) -> Result:
    """(N, C, \\*sizes) against class numbers (N, \\*sizes) -> (N, \\*sizes); (C,) against () or (1,) -> ()."""
    if input.rest is None:
        input = op.require_rank_from(input, 1)
        if all_known(target):
            check_classes(op, input, target)
        check_weight(op, input, weight)
    return _per_sample(op, input)


def _per_sample(op: Op, input: Shape) -> Result:
    if not is_elementwise(op):
        return reduced(op, ())
    return reduced(op, (*input[:1], *input[2:]) if len(input) > 1 else ())


def check_classes(op: Op, input: Shape, target: Shape) -> None:
    """The target is the input without its dimension of classes."""
    takes = (input[0], *input[2:]) if len(input) > 1 else ()
    if not takes and dims.same(whole(target), (1,)) is not False:
        return
    answers = [op.equate(a, b) for a, b in zip(takes, target)]
    if len(target) == len(takes) and False not in answers:
        if target.dtype in ("float", "bool"):
            _other_kind(op, target, "whole numbers, the classes", "target.long()")
        return
    output, given, wanted = render_any(input), render_any(target), render_any(takes)
    batch = answers[0] is False if answers else False
    if batch:
        other_batch(op, input, target, 0)
    elif (axis := extra_axis(target, takes)) is not None:
        misfit(op, f"the target {given} has an extra axis; write target.squeeze({axis})", op.origin(target))
    elif dims.same(input, target):
        fix = f"write target.argmax({min(len(input) - 1, 1)})"
        misfit(op, f"the target {given} has a value for each class, but class numbers {wanted} are needed; {fix}")
    else:
        misfit(op, f"an output {output} needs class numbers {wanted} but the target is {given}", op.origin(input))


_KINDS = {"int": "whole numbers", "float": "floats", "bool": "truth values"}


def _other_kind(op: Op, target: Shape, needs: str, fix: str) -> None:
    """A target of another kind of numbers than a loss computes with (torch: "expected target dtype to be Long")."""
    problem = f"needs {needs}, but the target is of {_KINDS[str(target.dtype)]}"
    op.fail(catalogue.dtype(problem=problem, source=op.origin(target), fix=fix), CALL)


def other_batch(op: Op, input: Shape, target: Shape, axis: int) -> None:
    a, b = input[axis], target[axis]
    why = "something folded or split the batch" if eq(a * b, 0) is False and _one_divides(a, b) else None
    problem = f"the output has {render(a)} samples but the target has {render(b)}"
    misfit(op, f"{problem}: {why}" if why else problem, both_origins(op, (input, axis), (target, axis)))


def _one_divides(a: Dim, b: Dim) -> bool:
    return bool(dims.divides(a, b) or dims.divides(b, a))


def extra_axis(longer: Sequence[Dim], shorter: Sequence[Dim]) -> int | None:
    """The axis of size 1 without which the two shapes are equal."""
    if len(longer) != len(shorter) + 1:
        return None
    for axis in reversed(range(len(longer))):
        if longer[axis] == 1 and dims.same((*longer[:axis], *longer[axis + 1 :]), shorter):
            return axis
    return None


def check_weight(op: Op, input: Shape, weight: object) -> None:
    """One weight for each class; with more than two dimensions torch only counts them."""
    if not isinstance(weight, Shape) or weight.rest is not None:
        return
    classes = input[1] if len(input) > 1 else input[0]
    if (len(weight) != 1 and len(input) < 3) or eq(dims.product(weight), classes) is False:
        op.fail(catalogue.parameter_shape(argument="weight", given=tuple(weight), takes=(classes,)), "weight")


# one shape --------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.BCELoss.forward(input, target)",
    f"F.binary_cross_entropy(input, target, weight=None, {OLD})",
    "nn.BCEWithLogitsLoss.forward(input, target)",
    f"F.binary_cross_entropy_with_logits(input, target, weight=None, {OLD}, pos_weight=None)",
)
def binary_cross_entropy(op: Op, input: Shape, target: Arg, weight: Arg, pos_weight: Arg = None) -> Result:
    """(\\*) against (\\*) -> (\\*); the weights are broadcast."""
    fits = not all_known(input, target) or check_one_shape(op, input, target)
    if fits and isinstance(target, Shape) and target.dtype in ("int", "bool"):
        _other_kind(op, target, "floats, the probabilities", "target.float()")
    for name, operand in (("weight", weight), ("pos_weight", pos_weight)):
        if all_known(input, operand):
            _check_factor(op, input, operand, name)
    return reduced(op, input)


def _check_factor(op: Op, input: Shape, factor: Shape, name: str) -> None:
    """A factor is stretched to the input, never the input to the factor."""
    out, fault = fitted(op, input, factor)
    if fault is not None or dims.same(out, input) is False:
        op.fail(catalogue.parameter_shape(argument=name, given=tuple(factor), takes=tuple(input)), name)


def check_one_shape(op: Op, input: Shape, target: Shape) -> bool:
    """The target has the shape of the output; returns false if it was reported."""
    answers = [op.equate(a, b) for a, b in zip(input, target)]
    if len(input) == len(target) and False not in answers:
        return True
    output, given = render_any(input), render_any(target)
    problem = f"the output is {output} but the target is {given}"
    if len(input) == len(target):
        if answers[0] is False and answers.count(False) == 1 and 1 not in (input[0], target[0]):
            other_batch(op, input, target, 0)
            return False
        axis = answers.index(False)
        numbers = f"{render(input[axis])} against {render(target[axis])} in dimension {axis}"
        facts: dict[str, Any] = {"left": tuple(input), "right": tuple(target), "a": input[axis], "b": target[axis]}
        misfit(op, f"{problem}: {numbers}", both_origins(op, (input, axis), (target, axis)), **facts)
        return False
    fix = _one_rank(input, target)
    advice = f"; write {fix}" if fix else _of_classes(op, input, target)
    misfit(op, f"{problem}{advice}", op.origin(input))
    return False


def _of_classes(op: Op, input: Shape, target: Shape) -> str:
    """Several outputs for each sample, and one target: the number of its class."""
    if len(input) != 2 or len(target) != 1 or eq(input[0], target[0]) is not True:
        return ""
    if not isinstance(input[1], int) or input[1] < 2:
        return ""
    made = op.origin(input, 1)
    maker = made.label if made is not None and made.step is not None and made.step.made == -1 else "the model"
    name = op.name.rpartition(".")[2]
    other = "nn.CrossEntropyLoss" if op.is_layer else "F.cross_entropy"
    return f"; class numbers need {other}; for {name} let {maker} give 1 value and squeeze it"


def _one_rank(input: Shape, target: Shape) -> str | None:
    """What brings both to one number of dimensions, where the number of elements allows it."""
    for name, longer, shorter in (("output", input, target), ("target", target, input)):
        axis = extra_axis(longer, shorter)
        if axis is not None:
            return f"{name}.squeeze({axis})"
        if len(shorter) == 1 and eq(dims.product(longer), shorter[0]):
            return f"{name}.flatten()"
    return "target.view_as(output)" if eq(dims.product(input), dims.product(target)) else None


# broadcast --------------------------------------------------------------------------------------------------


@shape_rule(
    f"nn.MSELoss({OLD})",
    "nn.MSELoss.forward(input, target)",
    f"F.mse_loss(input, target, {OLD}, weight=None)",
    f"nn.L1Loss({OLD})",
    "nn.L1Loss.forward(input, target)",
    f"F.l1_loss(input, target, {OLD}, weight=None)",
    f"nn.SmoothL1Loss({OLD}, beta=1.0)",
    "nn.SmoothL1Loss.forward(input, target)",
    f"F.smooth_l1_loss(input, target, {OLD}, beta=1.0)",
    "nn.HuberLoss(reduction='mean', delta=1.0)",
    "nn.HuberLoss.forward(input, target)",
    "F.huber_loss(input, target, reduction='mean', delta=1.0, weight=None)",
    f"nn.KLDivLoss({OLD}, log_target=False)",
    "nn.KLDivLoss.forward(input, target)",
    f"F.kl_div(input, target, {OLD}, log_target=False)",
    f"nn.HingeEmbeddingLoss(margin=1.0, {OLD})",
    "nn.HingeEmbeddingLoss.forward(input, target)",
    f"F.hinge_embedding_loss(input, target, margin=1.0, {OLD})",
    "F.poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None,"
    " reduction='mean')",
)
def broadcast_loss(op: Op, input: Shape, target: Arg, weight: Arg = None) -> Result:
    """(\\*) against (\\*) -> (\\*), broadcast together."""
    if not isinstance(target, Shape):
        if is_elementwise(op):
            raise CannotTell("the target is not known")
        return reduced(op, ())
    out = together(op, input, target)
    if isinstance(weight, Shape) and all_known(weight, input) and dims.same(weight, input) is False:
        report = catalogue.parameter_shape(argument="weight", given=tuple(weight), takes=tuple(input))
        op.fail(report, "weight")
    return reduced(op, out)


@shape_rule(
    "nn.PoissonNLLLoss(log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction='mean')",
    "nn.PoissonNLLLoss.forward(log_input, target)",
)
def poisson_nll(op: Op, log_input: Shape, target: Arg) -> Result:
    """(\\*) against (\\*) -> (\\*), broadcast together."""
    return broadcast_loss(op, log_input, target)


@shape_rule(
    f"nn.SoftMarginLoss({OLD})",
    "nn.SoftMarginLoss.forward(input, target)",
    f"F.soft_margin_loss(input, target, {OLD})",
)
def soft_margin(op: Op, input: Shape, target: Arg) -> Result:
    """(\\*) against (\\*) -> (\\*); the target is stretched to the input, never the input to the target."""
    if all_known(input, target) and dims.same(together(op, input, target), input) is False:
        misfit(op, f"the output is {render_any(input)} but the target is {render_any(target)}", op.origin(input))
    return reduced(op, input)


def together(
    op: Op, left: Shape, right: Shape, names: tuple[str, str] = ("output", "target"), at: str = "target"
) -> Shape:
    """The shape that two tensors have together; sizes that do not fit are CONV213, and the left shape stands."""
    out, fault = fitted(op, left, right)
    if fault is None:
        return out
    if all_known(left, right) and len(left) == len(right) and fault.axis == -len(left) and names[0] == "output":
        other_batch(op, left, right, 0)
        return out
    first, second = (f"the {name} {render_any(shape)}" for name, shape in zip(names, (left, right)))
    problem = f"{first} and {second} do not fit: {render(fault.a)} against {render(fault.b)}"
    fix = _one_rank(left, right) if names[0] == "output" and all_known(left, right) else None
    axes = [fault.axis if -fault.axis <= len(shape.known) else None for shape in (left, right)]
    source = both_origins(op, (left, axes[0]), (right, axes[1]))
    facts: dict[str, Any] = {"a": fault.a, "b": fault.b}
    if all_known(left, right):
        facts |= {"left": tuple(left), "right": tuple(right)}
    misfit(op, f"{problem}; write {fix}" if fix else problem, source, at, **facts)
    return out


# pairs and triplets -----------------------------------------------------------------------------------------


@shape_rule(
    f"nn.TripletMarginLoss(margin=1.0, p=2.0, eps=1e-06, swap=False, {OLD})",
    "nn.TripletMarginLoss.forward(anchor, positive, negative)",
    f"F.triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-06, swap=False, {OLD})",
)
def triplet_margin(op: Op, anchor: Shape, positive: Shape, negative: Shape) -> Result:
    """(N, D) three times -> (N,); (D,) three times -> ()."""
    same_rank(op, {"anchor": anchor, "positive": positive, "negative": negative})
    near = together(op, anchor, positive, ("anchor", "positive"), "positive")
    far = together(op, anchor, negative, ("anchor", "negative"), "negative")
    if not is_elementwise(op):
        return reduced(op, ())
    return reduced(op, together(op, Shape(near[:-1]), Shape(far[:-1]), ("positive", "negative"), "negative"))


@shape_rule(
    f"nn.MarginRankingLoss(margin=0.0, {OLD})",
    "nn.MarginRankingLoss.forward(input1, input2, target)",
    f"F.margin_ranking_loss(input1, input2, target, margin=0, {OLD})",
)
def margin_ranking(op: Op, input1: Shape, input2: Shape, target: Shape) -> Result:
    """(N,), (N,) and a target (N,) of signs -> (N,)."""
    same_rank(op, {"input1": input1, "input2": input2, "target": target})
    both = together(op, input1, input2, ("input1", "input2"), "input2")
    return reduced(op, together(op, both, target, ("inputs", "target")))


def same_rank(op: Op, named: dict[str, Shape]) -> None:
    """All must have one number of dimensions.  Raises :class:`CannotTell` after a finding."""
    if not all_known(*named.values()) or len({len(shape) for shape in named.values()}) == 1:
        return
    shapes = ", ".join(f"{name} {render_any(shape)}" for name, shape in named.items())
    misfit(op, f"the tensors must have the same number of dimensions: {shapes}", at=next(reversed(named)))
    raise CannotTell("tensors of different numbers of dimensions")


@shape_rule(
    f"nn.CosineEmbeddingLoss(margin=0.0, {OLD})",
    "nn.CosineEmbeddingLoss.forward(input1, input2, target)",
    f"F.cosine_embedding_loss(input1, input2, target, margin=0, {OLD})",
)
def cosine_embedding(op: Op, input1: Shape, input2: Shape, target: Shape) -> Result:
    """(N, D) twice and a target (N,) of signs -> (N,); (D,) twice and () -> ()."""
    if all_known(input1, input2, target) and not (len(input1) == len(input2) == len(target) + 1 <= 2):
        fix = (
            f"; write target.squeeze({extra_axis(target, input1[:1])})"
            if extra_axis(target, input1[:1]) is not None
            else ""
        )
        shapes = f"{render_any(input1)} and {render_any(input2)} with a target {render_any(target)}"
        misfit(op, f"(N, D) twice and a target (N,) are needed, not {shapes}{fix}", op.origin(target))
        raise CannotTell("shapes that do not belong together")
    both = together(op, input1, input2, ("input1", "input2"), "input2")
    if not is_elementwise(op) and not all_known(both):
        return reduced(op, ())
    return reduced(op, together(op, Shape(both[:-1]), target, ("similarity", "target")))


@shape_rule(
    "nn.CTCLoss(blank=0, reduction='mean', zero_infinity=False)",
    "nn.CTCLoss.forward(log_probs, targets, input_lengths, target_lengths)",
    "F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction='mean', zero_infinity=False)",
)
def ctc(op: Op, log_probs: Shape, targets: Arg, input_lengths: Arg, target_lengths: Arg) -> Result:
    """(T, N, C), targets (N, S) or all in one row, and N lengths of each -> (N,); (T, C) -> ()."""
    if log_probs.rest is not None and not is_elementwise(op):
        return reduced(op, ())
    log_probs = op.require_rank(log_probs, 2, 3)
    batch = log_probs[1] if len(log_probs) == 3 else 1
    rows = targets[0] if isinstance(targets, Shape) and targets.rest is None and len(targets) == 2 else None
    given = {"targets": rows, "input_lengths": _count(input_lengths), "target_lengths": _count(target_lengths)}
    for name, count in given.items():
        if count is not None and op.equate(count, batch) is False:
            misfit(op, _ctc_problem(log_probs, batch, name, count), op.origin(log_probs), name)
            break
    return reduced(op, (batch,) if len(log_probs) == 3 else ())


def _count(lengths: object) -> Dim | None:
    """How many lengths there are, in a tensor or a tuple."""
    if isinstance(lengths, Shape):
        return dims.product(lengths) if lengths.rest is None else None
    return len(lengths) if isinstance(lengths, (list, tuple)) else None


def _ctc_problem(log_probs: Shape, batch: Dim, name: str, count: Dim) -> str:
    shape, samples = render_any(log_probs), render(count)
    if len(log_probs) == 2:
        return f"log_probs {shape} is one sample (T, C), but {name} has {samples}"
    if eq(log_probs[0], count):
        return f"log_probs must be (T, N, C) but is {shape}; write log_probs.transpose(0, 1) for {samples} samples"
    return f"log_probs {shape} has {render(batch)} samples in dimension 1, but {name} has {samples}"
