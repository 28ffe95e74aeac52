"""Sliding blocks (fold, unfold), flattening layers, and distances of two tensors."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, divides
from conv_lint.ops.elementwise import broadcast
from conv_lint.ops.rearrange import flattened, unflattened
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Shape

# sliding blocks ---------------------------------------------------------------------------------------------


@shape_rule(
    "nn.Unfold(kernel_size, dilation=1, padding=0, stride=1)",
    "F.unfold(input, kernel_size, dilation=1, padding=0, stride=1)",
)
def unfold(op: Op, input: Shape, kernel_size: Arg, dilation: Arg, padding: Arg, stride: Arg) -> Result:
    """(N, C, H, W) -> (N, C*kH*kW, L) for L places of the kernel (torch.nn.Unfold); N may be left out."""
    input = op.require_rank(input, 3, 4)
    kernel, dilation, padding, stride = _checked(op, kernel_size, dilation, padding, stride)
    places = op.sliding(input[-2:], kernel, stride, padding, dilation)
    return (*input[:-3], input[-3] * dims.product(kernel), dims.product(places))


@shape_rule(
    "nn.Fold(output_size, kernel_size, dilation=1, padding=0, stride=1)",
    "F.fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)",
)
def fold(op: Op, input: Shape, output_size: Arg, kernel_size: Arg, dilation: Arg, padding: Arg, stride: Arg) -> Result:
    """(N, C*kH*kW, L) -> (N, C, \\*output_size) for L places of the kernel (torch.nn.Fold); N may be left out."""
    input = op.require_rank(input, 2, 3)
    size = _pair(op, "output_size", output_size)
    kernel, dilation, padding, stride = _checked(op, kernel_size, dilation, padding, stride)
    block, given = dims.product(kernel), input[-2]
    source = op.origin(input, -2)
    report = catalogue.shuffle_channels(what="C*kH*kW channels", factor=block, given=given, source=source)
    if not op.require(divides(block, given), report, "kernel_size"):
        return (*input[:-2], op.unknown(), *size)
    places: Dim = 1
    for i in (0, 1):
        span, room = dilation[i] * (kernel[i] - 1) + 1, size[i] + 2 * padding[i]
        if dims.lt(room, span):
            op.fail(catalogue.kernel_too_large(kernel=span, size=room), "kernel_size")
            return (*input[:-2], given // block, *size)
        places = places * ((room - span) // stride[i] + 1)
    if op.equate(input[-1], places) is False:
        needed = (*input[:-1], places)
        op.fail(catalogue.parameter_shape(argument="input", given=tuple(input), takes=needed), "output_size")
    return (*input[:-2], given // block, *size)


def _checked(op: Op, kernel_size: object, dilation: object, padding: object, stride: object) -> list[tuple[Dim, ...]]:
    """The four arguments as pairs, within torch's bounds."""
    out = []
    for name, value, least in (
        ("kernel_size", kernel_size, 1),
        ("dilation", dilation, 1),
        ("padding", padding, 0),
        ("stride", stride, 1),
    ):
        sizes = _pair(op, name, value)
        for size in sizes:
            if dims.lt(size, least):
                op.require_least(name, size, least)
                raise CannotTell(f"{name} is out of range")
        out.append(sizes)
    return out


def _pair(op: Op, name: str, value: object) -> tuple[Dim, ...]:
    """One number or two; torch does not take one number in a tuple here."""
    if isinstance(value, (tuple, list)) and len(value) == 1:
        fix = f"write {name}={value[0]}"
        op.fail(catalogue.tuple_length(argument=name, value=f"({value[0]},)", length=1, n=2, fix=fix), name)
    return op.per_axis(value, n=2)  # type: ignore[no-any-return]


# flattening -------------------------------------------------------------------------------------------------


@shape_rule("nn.Flatten(start_dim=1, end_dim=-1)")
def flatten_layer(op: Op, input: Shape, start_dim: Arg, end_dim: Arg) -> Result:
    """The dimensions from start_dim to end_dim become one."""
    return flattened(op, input, start_dim, end_dim)


@layer_rule("nn.Unflatten(dim, unflattened_size)")
def unflatten_construction(op: Op, unflattened_size: Arg) -> Result:
    """torch takes a tuple, also for one size."""
    if isinstance(unflattened_size, int):
        problem = f"unflattened_size is a tuple of sizes, not {unflattened_size}"
        op.fail(catalogue.call_signature(problem=problem), "unflattened_size")
        return {"unflattened_size": (unflattened_size,)}
    return {}


@shape_rule("nn.Unflatten.forward(input)")
def unflatten_layer(op: Op, input: Shape, dim: Arg, unflattened_size: Arg) -> Result:
    """The dimension ``dim`` becomes several."""
    if not isinstance(unflattened_size, (tuple, list)):
        raise CannotTell("unflattened_size")
    return unflattened(op, op.require_rank_from(input, 1), dim, unflattened_size)


# distances --------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.CosineSimilarity(dim=1, eps=1e-08)",
    "nn.CosineSimilarity.forward(x1, x2)",
    "F.cosine_similarity(x1, x2, dim=1, eps=1e-08)",
    "torch.cosine_similarity(x1, x2, dim=1, eps=1e-08)",
)
def cosine_similarity(op: Op, x1: Shape, x2: Shape, dim: Arg) -> Result:
    """The common shape without ``dim``."""
    both = broadcast(op, x1, x2)
    axis = op.axis(both, dim)
    return (*both[:axis], *both[axis:][1:]) if len(both) else ()


@layer_rule("nn.PairwiseDistance(p=2.0, eps=1e-06, keepdim=False)")
def pairwise_distance_layer(op: Op) -> Result:
    """No parameters."""
    return {}


@shape_rule(
    "nn.PairwiseDistance.forward(x1, x2)",
    "F.pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False)",
    "torch.pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False)",
)
def pairwise_distance(op: Op, x1: Shape, x2: Shape, keepdim: Arg) -> Result:
    """The common shape without the last dimension, or with 1 there."""
    both = broadcast(op, x1, x2)
    if both.rest is None and not len(both):
        return ()
    if not isinstance(keepdim, bool):
        raise CannotTell("keepdim")
    return (*both[:-1], 1) if keepdim else both[:-1]
