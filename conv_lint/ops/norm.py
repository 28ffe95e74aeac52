"""Normalization: batch, instance, group, layer and RMS norms, local response norms, and ``F.normalize``."""

from __future__ import annotations

import contextlib

from conv_lint import catalogue, dims, maps
from conv_lint.dims import Dim, divides, eq, render
from conv_lint.finding import CONSTRUCTION, Report
from conv_lint.ops.batch import last_batch
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.solving import divisors_near
from conv_lint.values import CannotTell, Shape, Unknown

BATCH = (
    "(num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *,"
    " bias=True)"
)
INSTANCE = BATCH.replace("affine=True, track_running_stats=True", "affine=False, track_running_stats=False")
LAYER = "(normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None)"


# batch norm -------------------------------------------------------------------------------------------------


@layer_rule(
    "nn.BatchNorm{n}d" + BATCH,
    "nn.LazyBatchNorm{n}d" + BATCH.replace("num_features, ", ""),
    "nn.InstanceNorm{n}d" + INSTANCE,
    "nn.LazyInstanceNorm{n}d" + BATCH.replace("num_features, ", ""),
    "nn.SyncBatchNorm" + BATCH.replace("device=", "process_group=None, device="),
)
def channel_norm_layer(op: Op, affine: Arg, track_running_stats: Arg, bias: Arg) -> Result:
    """weight, bias, running_mean, running_var: (num_features,); num_batches_tracked: ().

    ``None`` where affine, bias or track_running_stats is false.
    """
    number = op.args.get("num_features")
    if isinstance(number, float) and affine is track_running_stats is False:
        number = int(number)  # torch only compares it with the channels
    features = op.unknown() if number is None else op.require_least("num_features", number, 0)
    vector = Shape((features,))
    return {
        "num_features": features,
        "weight": _made(affine, vector),
        "bias": _made(affine, vector) if isinstance(bias, Unknown) or bias else None,
        "running_mean": _made(track_running_stats, vector),
        "running_var": _made(track_running_stats, vector),
        "num_batches_tracked": _made(track_running_stats, Shape((), dtype="int")),
    }


def _made(flag: object, shape: Shape) -> object:
    """The parameter, ``None`` without it, or the flag itself if that is not known."""
    return flag if isinstance(flag, Unknown) else shape if flag else None


@shape_rule(
    "nn.BatchNorm{n}d.forward(input)",
    "nn.LazyBatchNorm{n}d.forward(input)",
    "nn.SyncBatchNorm.forward(input)",
    "F.batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05)",
    "torch.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled)",
)
def batch_norm(op: Op, input: Shape, running_mean: Arg, running_var: Arg, weight: Arg, bias: Arg) -> Result:
    """(N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) to the same."""
    try:
        input = _batch_input(op, input)
    except CannotTell:
        if input.rest is not None:
            raise
        return input  # as the layer makes it that is to be written instead
    if input.rest is not None:
        return input
    _check_vectors(op, input, 1, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    training = op.training if op.is_layer else op.args["training"]
    if op.is_layer:
        training = training is True or (running_mean is None and running_var is None)
    elif training is False and (running_mean is None or running_var is None):
        op.fail(catalogue.call_signature(problem="running_mean and running_var are needed unless training=True"))
    if training is True and not op.name.startswith("torch.batch_norm"):
        keeps = op.is_layer and isinstance(running_mean, Shape)
        _check_values(op, input, (input[0], *input[2:]), "channel", "in training", keeps)
    return input


def _batch_input(op: Op, input: Shape) -> Shape:
    """Batch norm takes a batch only: one rank each, two for BatchNorm1d."""
    if not op.n:
        return op.require_rank_from(input, 2)
    if op.n == 1 and input.rest is not None and len(input.known) < 3:
        return input
    fix = _other_layer(op, input)
    # Another layer is written where this one is made; a batch of one where it is called.
    at = CONSTRUCTION if op.is_layer and fix and op.name.rpartition(".")[2][:-2] in fix else None
    ranks = (op.n + 2,) if op.n > 1 else (2, 3)
    return op.require_rank(input, *ranks, fix=fix, at=at)


def _other_layer(op: Op, input: Shape) -> str | None:
    """What to write for an input of another rank."""
    if input.rest is not None:
        return None
    rank, features = len(input), op.args.get("num_features")
    if op.n > 1 and rank == op.n + 1 and isinstance(features, int) and input[0] == features:
        return "write x.unsqueeze(0) for a batch of one"
    wanted = {2: 1, 3: 1, 4: 2, 5: 3}.get(rank)
    return f"write {op.name.rpartition('.')[2][:-2]}{wanted}d" if wanted else None


def _check_vectors(op: Op, input: Shape, axis: int, **vectors: object) -> None:
    """Every parameter and buffer has one value per channel; the first that differs is reported."""
    given = input[axis]
    seen: list[Dim] = []
    for name, vector in vectors.items():
        if not isinstance(vector, Shape) or vector.rest is not None:
            continue
        takes = dims.product(vector)
        if takes in seen:
            continue
        seen.append(takes)
        if op.equate(given, takes) is False:
            at = "num_features" if op.is_layer else name
            fix = _channels_fix(op, input, axis, takes, "num_features")
            facts = {"takes": takes, "given": given, "what": "channels", "fix": fix}
            op.fail(catalogue.norm_size(**facts, source=op.origin(input, axis)), at)
            return


def _channels_fix(op: Op, input: Shape, axis: int, takes: Dim, argument: str) -> str | None:
    if _moved := _move_last(input, axis, takes):
        return _moved
    given = input[axis]
    return f"{argument}={given}" if isinstance(given, int) and argument in op.args and "Lazy" not in op.name else None


def _move_last(input: Shape, axis: int, takes: Dim) -> str | None:
    """The channels stand last, as in (N, L, C): move them.  The height and width of an image may be as many."""
    count = len(input)
    if count < 3 or axis != 1 or not isinstance(takes, int) or takes == 1:
        return None
    if eq(input[-1], takes) is not True or any(eq(size, takes) is not False for size in input[1:-1]):
        return None
    order = [0, count - 1, *range(1, count - 1)]
    return "x.transpose(1, 2) first" if count == 3 else f"x.permute({', '.join(map(str, order))}) first"


def _counted(op: Op) -> str | None:
    """The argument that stands for the layer in a finding."""
    return next((n for n in ("num_features", "num_channels", "num_groups") if n in op.args), None)


def _check_values(
    op: Op, input: Shape, sizes: tuple[Dim, ...], what: str, when: str | None = None, keeps: bool = False
) -> None:
    """One value alone has no variance (torch's ``_verify_batch_size``): CONV305, for known sizes only.  ``keeps``:
    a layer that keeps statistics, with which it evaluates."""
    last = tuple(map(last_batch, sizes))
    if all(isinstance(size, int) for size in last) and dims.product(last) == 1:
        given = Shape((last_batch(input[0]), *input[1:]), input.step)
        facts = {"when": when, "what": what, "given": given, "source": op.origin(input)}
        fix = f"a batch needs at least 2 samples{', or call model.eval() first' * keeps}" if when else None
        if last != sizes:
            fix = "write drop_last=True in the DataLoader, its last batch has one sample"
        op.fail(catalogue.one_value_per_channel(**facts, fix=fix), _counted(op))


# instance norm ----------------------------------------------------------------------------------------------


@shape_rule("nn.InstanceNorm{n}d.forward(input)", "nn.LazyInstanceNorm{n}d.forward(input)")
def instance_norm_layer(
    op: Op, input: Shape, num_features: Arg, affine: Arg, running_mean: Arg, track_running_stats: Arg
) -> Result:
    """(N, C, \\*sizes) to the same; N may be left out.

    Without affine and running statistics torch does not use num_features and only warns.
    """
    if op.n == 1 and input.rest is not None and len(input.known) < 3:
        return input
    input = op.require_rank(input, op.n + 1, op.n + 2)
    axis = len(input) - op.n - 1
    if affine is True or (affine is False and isinstance(running_mean, Shape)):
        _check_vectors(op, input, axis, weight=Shape((op.dim(num_features),)))
    if op.training is True or track_running_stats is False:
        _check_values(op, input, input[-op.n :], "channel of an image")
    return input


@shape_rule(
    "F.instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True,"
    " momentum=0.1, eps=1e-05)",
    "torch.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps,"
    " cudnn_enabled)",
)
def instance_norm(
    op: Op, input: Shape, running_mean: Arg, running_var: Arg, weight: Arg, bias: Arg, use_input_stats: Arg
) -> Result:
    """(N, C, \\*sizes) to the same; the function, unlike the layer, wants a batch."""
    input = op.require_rank_from(input, 2)
    if input.rest is not None:
        return input
    _check_vectors(op, input, 1, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if use_input_stats is False and (running_mean is None or running_var is None):
        problem = "running_mean and running_var are needed if use_input_stats is false"
        op.fail(catalogue.call_signature(problem=problem))
    if use_input_stats is True and not op.name.startswith("torch.instance_norm"):
        _check_values(op, input, input[2:], "channel of an image")
    return input


# group norm -------------------------------------------------------------------------------------------------


@layer_rule("nn.GroupNorm(num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None, *, bias=True)")
def group_norm_layer(op: Op, num_groups: Arg, num_channels: Arg, affine: Arg, bias: Arg) -> Result:
    """weight, bias: (num_channels,)."""
    groups = op.require_least("num_groups", num_groups)
    channels = op.require_least("num_channels", num_channels, 0)
    _check_groups(op, channels, groups)
    vector = Shape((channels,))
    return {
        "weight": _made(affine, vector),
        "bias": _made(affine, vector) if isinstance(bias, Unknown) or bias else None,
    }


def _check_groups(op: Op, channels: Dim, groups: Dim) -> None:
    if dims.lt(groups, 1):
        return
    near = divisors_near(channels, groups)
    fix = f"write num_groups={near}" if near is not None else None
    op.require(
        divides(groups, channels), catalogue.norm_groups(channels=channels, groups=groups, fix=fix), "num_groups"
    )


@shape_rule(
    "nn.GroupNorm.forward(input)",
    "F.group_norm(input, num_groups, weight=None, bias=None, eps=1e-05)",
    "torch.group_norm(input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True)",
)
def group_norm(op: Op, input: Shape, num_groups: Arg, weight: Arg, bias: Arg) -> Result:
    """(N, C, \\*) to the same."""
    input = op.require_rank_from(input, 2)
    if input.rest is not None:
        return input
    channels, groups = input[1], op.dim(num_groups)
    if not op.is_layer:
        groups = op.require_least("num_groups", num_groups)
    takes = weight[0] if isinstance(weight, Shape) and weight.rest is None and len(weight) == 1 else channels
    if op.equate(channels, takes) is False:
        fix = _channels_fix(op, input, 1, takes, "num_channels")
        facts = {"takes": takes, "given": channels, "what": "channels", "fix": fix}
        at = "num_channels" if op.is_layer else "weight"
        op.fail(catalogue.norm_size(**facts, source=op.origin(input, 1)), at)
    elif not (op.is_layer and isinstance(weight, Shape)):
        _check_groups(op, channels, groups)
        _check_parameter(op, "weight", weight, (channels,))
        _check_parameter(op, "bias", bias, (channels,))
    if not op.name.startswith("torch.group_norm") and dims.lt(0, groups):
        _check_values(op, input, (input[0], channels // groups, *input[2:]), "group")
    return input


def _check_parameter(op: Op, name: str, value: object, takes: tuple[Dim, ...]) -> None:
    if isinstance(value, Shape) and value.rest is None:
        report = catalogue.parameter_shape(argument=name, given=tuple(value), takes=takes)
        op.require(dims.same(value, takes), report, name)


# layer norm -------------------------------------------------------------------------------------------------


@layer_rule("nn.LayerNorm" + LAYER, "nn.RMSNorm" + LAYER.replace("eps=1e-05", "eps=None").replace(" bias=True,", ""))
def layer_norm_layer(op: Op, normalized_shape: Arg, elementwise_affine: Arg) -> Result:
    """weight, bias: normalized_shape."""
    if isinstance(normalized_shape, Unknown):
        if normalized_shape.size_ is None:
            return {"weight": normalized_shape, "bias": normalized_shape}
        normalized_shape = normalized_shape.size()  # another layer took it for a number
    wide = isinstance(normalized_shape, (tuple, list))
    sizes = tuple(map(op.dim, normalized_shape)) if wide else (op.dim(normalized_shape),)
    for size in sizes:
        op.require_least("normalized_shape", size, 0)
    made: dict[str, object] = {"normalized_shape": sizes, "weight": _made(elementwise_affine, Shape(sizes))}
    if "bias" in op.args:
        bias = op.args["bias"]
        made["bias"] = _made(elementwise_affine, Shape(sizes)) if isinstance(bias, Unknown) or bias else None
    return made


@shape_rule(
    "nn.LayerNorm.forward(input)",
    "F.layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05)",
    "F.rms_norm(input, normalized_shape, weight=None, eps=None)",
    "torch.layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True)",
    "torch.rms_norm(input, normalized_shape, weight=None, eps=None)",
)
def layer_norm(op: Op, input: Shape, normalized_shape: Arg, weight: Arg, bias: Arg = None) -> Result:
    """(\\*, \\*normalized_shape) to the same."""
    if not isinstance(normalized_shape, (tuple, list)):
        return input
    takes = tuple(map(op.dim, normalized_shape))
    if not takes:
        op.fail(catalogue.argument_range(argument="normalized_shape", value="()", allowed="at least one size"))
        return input
    if not op.is_layer:
        _check_parameter(op, "weight", weight, takes)
        _check_parameter(op, "bias", bias, takes)
    input = op.trailing(input, len(takes))
    given = input[-len(takes) :]
    if len(takes) == 1 and maps.has_channels_first(tuple.__iter__(input), takes[0]):
        answers: list[bool | None] = [False]
    else:
        answers = [op.equate(a, b) for a, b in zip(given, takes)]
    if False in answers:
        axis = answers.index(False) - len(takes)
        report = _layer_norm_report(op, input, given, takes, axis)
        op.fail(report, "normalized_shape")
        if str(report.facts.get("fix")).endswith(" first"):
            return Shape((input[0], *input[2:], input[1]), input.step, input.dtype)  # as it will be then
    return input


@shape_rule("nn.RMSNorm.forward(x)")
def rms_norm_layer(op: Op, x: Shape, normalized_shape: Arg, weight: Arg) -> Result:
    """(\\*, \\*normalized_shape) to the same."""
    return layer_norm(op, x, normalized_shape, weight)


def _layer_norm_report(op: Op, input: Shape, given: tuple[Dim, ...], takes: tuple[Dim, ...], axis: int) -> Report:
    one = len(takes) == 1
    fix = None
    if one and input.rest is None and len(input) in (3, 4) and eq(input[1], takes[0]) is True:
        fix = "x.transpose(1, 2) first" if len(input) == 3 else "x.permute(0, 2, 3, 1) first"
    elif op.is_layer and all(isinstance(size, int) for size in given):
        fix = f"normalized_shape={render(given[0]) if one else dims.render_shape(given)}"
    return catalogue.norm_size(
        takes=takes[0] if one else takes,
        given=given[0] if one else given,
        what="features" if one else "as the last sizes",
        source=op.origin(input, axis),
        fix=fix,
    )


# others -----------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.LocalResponseNorm(size, alpha=0.0001, beta=0.75, k=1.0)",
    "F.local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0)",
)
def local_response_norm(op: Op, input: Shape, size: Arg) -> Result:
    """(N, C, \\*) to the same, over ``size`` neighbouring channels."""
    input = op.require_rank_from(input, 3)
    op.require_least("size", size)
    return input


@shape_rule("nn.CrossMapLRN2d(size, alpha=0.0001, beta=0.75, k=1)")
def cross_map_lrn(op: Op, input: Shape) -> Result:
    """(N, C, H, W) to the same."""
    return op.require_rank(input, 4)


@shape_rule("F.normalize(input, p=2.0, dim=1, eps=1e-12, out=None)")
def normalize(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) to the same; a vector norm over ``dim``."""
    with contextlib.suppress(CannotTell):
        op.axes(input, dim)
    return input
