"""Linear and bilinear maps, and embeddings: everything that works on the last dimension or on indices."""

from __future__ import annotations

import math
import re

from conv_lint import catalogue, dims, maps
from conv_lint.dims import Dim, eq
from conv_lint.finding import CALL, Step
from conv_lint.ops.rule import Op
from conv_lint.ops.strides import name_of
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import Rest, Shape, Unknown

LINEAR = "(in_features, out_features, bias=True, device=None, dtype=None)"
QUANTIZABLE = "nn.modules.linear.NonDynamicallyQuantizableLinear"


# linear -----------------------------------------------------------------------------------------------------


@layer_rule("nn.Linear" + LINEAR, QUANTIZABLE + LINEAR, "nn.LazyLinear" + LINEAR.replace("in_features, ", ""))
def linear_layer(op: Op, out_features: Arg, bias: Arg) -> Result:
    """weight: (out_features, in_features); bias: (out_features,)."""
    out = op.require_least("out_features", out_features, 0)
    lazy = "in_features" not in op.args
    features = op.unknown() if lazy else op.require_least("in_features", op.args["in_features"], 0)
    return {"in_features": features, "weight": Shape((out, features)), "bias": _bias(bias, out)}


@shape_rule(
    "nn.Linear.forward(input)",
    "nn.LazyLinear.forward(input)",
    QUANTIZABLE + ".forward(input)",
    "F.linear(input, weight, bias=None)",
)
def linear(op: Op, input: Shape, weight: Shape, bias: Arg) -> Result:
    """(\\*, in_features) -> (\\*, out_features); a 1-D weight drops the last dimension."""
    input = op.trailing(input, 1)
    op.require_floats(input)
    op.made = -1
    weight = op.require_rank(weight, 1, 2)
    if isinstance(weight[-1], int) and _batch_in_features(op, input, weight[-1]):
        facts = {"takes": weight[-1], "given": catalogue.samples(input[-1]), "source": op.origin(input, -1)}
        op.fail(catalogue.input_features(**facts, fix=catalogue.BATCH_FIRST), CALL)
    elif maps.has_channels_first(tuple.__iter__(input), weight[-1]) or op.equate(input[-1], weight[-1]) is False:
        fix = _wrong_features(op, input, weight[-1])
        if fix is not None and fix.startswith(_FLATTENS) and len(weight) == 2:
            return (input[0], weight[0])  # as it will be then
    if len(weight) == 1:
        return input[:-1]
    if isinstance(bias, Shape) and bias.known and not op.is_layer:
        fits = bias[-1] == 1 or eq(bias[-1], weight[0])
        op.require(
            fits, catalogue.parameter_shape(argument="bias", given=tuple(bias.known), takes=(weight[0],)), "bias"
        )
    return (*input[:-1], weight[0])


def _batch_in_features(op: Op, input: Shape, takes: int) -> bool:
    """Do the rows of a matrix count something else than samples, and its features the samples?

    ``x.view(x.size(1), -1)`` of (B, C, 1, 1): what takes 512 features then takes batches of 512.  ``x.view(BATCH, -1)``
    is right for batches of that size.
    """
    if input.rest is not None or len(input) != 2:
        return False
    rows, features = input
    of_rows = dict.fromkeys(dims.symbols(features), rows)
    if isinstance(rows, int) and rows != takes and of_rows and dims.substitute(features, of_rows) == takes:
        return False
    return op.world.is_batch(input[1]) and not op.world.is_batch(input[0])


#: Advice after which a layer makes one row of each sample.
_FLATTENS = ("torch.flatten(x, 1) first", "F.adaptive_avg_pool2d(x, 1).flatten(1) first")


def _wrong_features(op: Op, input: Shape, takes: Dim) -> str | None:
    """What is wrong with the number of features; returns what to write."""
    given = input[-1]
    product = product_of(input.step, given)
    fix = _before_it(input, takes)
    # What must happen to the input first is written where the layer is called, not where it is made.
    at = CALL if fix is not None and fix.endswith(("first", "no batch")) else "in_features"
    if fix is None and isinstance(given, int) and op.is_layer and "Lazy" not in op.name:
        fix = f"in_features={given}"
        if product is not None and product.startswith(f"{takes}*"):
            fix += ", or pool each channel to one value before the flattening"
    source = op.origin(input, -1)
    op.fail(catalogue.input_features(takes=takes, given=given, source=source, fix=fix, product=product), at)
    return fix


#: Why the input needs another dimension.
ONE_IMAGE = ", one image is no batch"


def _before_it(input: Shape, takes: Dim) -> str | None:
    """What is missing before the layer, where a reader can tell: the flattening, a pooling, a batch dimension."""
    if input.rest is not None:
        return None
    if _is_one_direction(input.step) and eq(input[-1] * 2, takes) is True:
        return "torch.cat((h[-2], h[-1]), -1), the states of both directions, first"
    if _flat(input, takes):
        return "torch.flatten(x, 1) first"
    if len(input) == 1 and _lost_batch(input.step, input[0], takes):
        return "start_dim=1 in the flattening, which takes the batch too"
    if len(input) == 2 and input[1] == 1 and eq(input[0], takes) is True:
        return "x.squeeze(1), the features are a column, first"
    ranks = _ranks_before(input.step)
    if len(input) == 2 and len(ranks) > 1 and ranks[1] == 3 and eq(dims.product(input), takes) is True:
        return f"x.unsqueeze(0) first{ONE_IMAGE}"
    if len(input) != 4 or set(ranks) != {4}:
        return None
    if eq(input[1], takes) is True:
        return "F.adaptive_avg_pool2d(x, 1).flatten(1) first"
    features = dims.product(input[1:])
    return f"torch.flatten(x, 1) first and in_features={features}" if isinstance(features, int) else None


def _is_one_direction(step: Step | None) -> bool:
    """Is it a part of the states of a recurrent layer with two directions: ``h[-1]``?"""
    if step is None or not step.parents or not name_of(step).endswith("__getitem__"):
        return False
    layer = getattr(step.parents[0].scope, "layer", None)
    recurrent = re.search(r"\.(LSTM|GRU|RNN)$", name_of(step.parents[0]))
    return recurrent is not None and layer is not None and layer.attrs.get("bidirectional") is True


def _lost_batch(step: Step | None, given: Dim, takes: Dim) -> bool:
    """Did a flattening take the batch too, of which each sample has as many features as are wanted?"""
    while step is not None and len(step.shape) < 2:
        step = step.parents[0] if step.parents else None
    if step is None or eq(dims.product(step.shape), given) is not True:
        return False
    return eq(dims.product(step.shape[1:]), takes) is True


def _ranks_before(step: Step | None) -> list[int | None]:
    """The numbers of dimensions on the way back to the input, which may be open; 0 where the dimensions were put in
    another order."""
    ranks: list[int | None] = []
    while step is not None and (step.parents or step.shape or not ranks):
        shape = _sizes(step.shape)
        moved = step.label.startswith(("permute", "transpose", "movedim", "rearrange", "einsum"))
        ranks.append(0 if moved else None if any(isinstance(s, Rest) for s in shape) else len(shape))
        step = step.parents[0] if step.parents else None
    return ranks


def _flat(input: Shape, takes: Dim) -> bool:
    """Is this the (N, C, H, W) of which a layer takes C*H*W features: was the flattening forgotten?"""
    return len(input) > 2 and eq(dims.product(input[1:]), takes) is True


def product_of(step: Step | None, features: Dim) -> str | None:
    """``16*5*5`` where a flatten or view made ``features`` of these sizes, else ``None``.

    Steps that keep the last size (an activation, dropout) are passed over on the way back to the flattening.
    """
    while step is not None and step.parents:
        now, before = _sizes(step.shape), _sizes(step.parents[0].shape)
        if now[-1:] != (features,):
            return None
        if before[-1:] != now[-1:]:
            return _factors(before, features) if len(before) > len(now) else None
        step = step.parents[0]
    return None


def _factors(sizes: tuple[object, ...], features: Dim) -> str | None:
    for count in range(2, len(sizes) + 1):
        tail = [size for size in sizes[-count:] if isinstance(size, int)]
        if len(tail) < count:
            return None
        if math.prod(tail) == features:
            return "*".join(map(str, tail))
    return None


def _sizes(shape: tuple[Dim, ...]) -> tuple[object, ...]:
    """The sizes as a plain tuple, the unknown leading part among them."""
    return tuple(tuple.__iter__(shape))


def _bias(flag: object, size: Dim) -> Shape | None:
    return Shape((size,)) if isinstance(flag, Unknown) or flag else None


# bilinear ---------------------------------------------------------------------------------------------------


@layer_rule("nn.Bilinear(in1_features, in2_features, out_features, bias=True, device=None, dtype=None)")
def bilinear_layer(op: Op, in1_features: Arg, in2_features: Arg, out_features: Arg, bias: Arg) -> Result:
    """weight: (out_features, in1_features, in2_features); bias: (out_features,)."""
    first = op.require_least("in1_features", in1_features)
    second = op.require_least("in2_features", in2_features, 0)
    out = op.require_least("out_features", out_features, 0)
    return {"weight": Shape((out, first, second)), "bias": _bias(bias, out)}


@shape_rule(
    "nn.Bilinear.forward(input1, input2)",
    "F.bilinear(input1, input2, weight, bias=None)",
    "torch.bilinear(input1, input2, weight, bias=None)",
)
def bilinear(op: Op, input1: Shape, input2: Shape, weight: Shape, bias: Arg) -> Result:
    """(\\*, in1_features), (\\*, in2_features) -> (\\*, out_features); the leading sizes are the same."""
    input1, input2 = op.require_rank_from(input1, 1), op.require_rank_from(input2, 1)
    weight = op.require_rank(weight, 3)
    for number, (input, takes) in enumerate(((input1, weight[1]), (input2, weight[2])), 1):
        given, argument = input[-1], f"in{number}_features"
        if op.equate(given, takes) is False:
            fix = f"{argument}={given}" if isinstance(given, int) and op.is_layer else None
            source, product = op.origin(input, -1), product_of(input.step, given)
            report = catalogue.input_features(takes=takes, given=given, source=source, fix=fix, product=product)
            op.fail(report, argument)
    if isinstance(bias, Shape) and bias.rest is None and not op.is_layer:
        needed = catalogue.parameter_shape(argument="bias", given=tuple(bias), takes=(weight[0],))
        op.require(len(bias) > 0 and eq(bias[0], weight[0]), needed, "bias")
    return (*_leading(op, input1, input2), weight[0])


def _leading(op: Op, input1: Shape, input2: Shape) -> tuple[Dim, ...]:
    """The sizes before the last, which both inputs must share."""
    if input1.rest is not None or input2.rest is not None:
        return input2[:-1] if input1.rest is not None else input1[:-1]
    if len(input1) != len(input2):
        words = f"two inputs of the same number of dimensions, not {len(input1)} and {len(input2)},"
        op.fail(catalogue.rank(takes=words, given=input2, rank=len(input2), source=op.origin(input2)), "input2")
        return input1[:-1]
    for axis, (a, b) in enumerate(zip(input1[:-1], input2[:-1])):
        if op.equate(a, b) is False:
            facts = {"left": input1, "right": input2, "a": a, "b": b, "axis": axis}
            op.fail(catalogue.broadcast(**facts, source=op.origin(input2, axis)), "input2")
            break
    return input1[:-1]


# embeddings -------------------------------------------------------------------------------------------------


@layer_rule(
    "nn.Embedding(num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0,"
    " scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None)",
    "nn.EmbeddingBag(num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,"
    " mode='mean', sparse=False, _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None)",
)
def embedding_layer(op: Op, num_embeddings: Arg, embedding_dim: Arg, padding_idx: Arg, _weight: Arg) -> Result:
    """weight: (num_embeddings, embedding_dim)."""
    count = op.require_least("num_embeddings", num_embeddings, 0)
    size = op.require_least("embedding_dim", embedding_dim, 0)
    _check_padding_idx(op, padding_idx, count)
    if isinstance(_weight, Shape) and _weight.rest is None:
        report = catalogue.parameter_shape(argument="_weight", given=tuple(_weight), takes=(count, size))
        op.require(dims.same(_weight, (count, size)), report, "_weight")
    return {"weight": Shape((count, size))}


def _check_padding_idx(op: Op, padding_idx: object, count: Dim) -> None:
    if not isinstance(padding_idx, int) or padding_idx == 0:
        return
    inside = dims.lt(padding_idx, count) if padding_idx > 0 else dims.le(-padding_idx, count)
    allowed = f"within the {dims.render(count)} rows"
    op.require(
        inside, catalogue.argument_range(argument="padding_idx", value=padding_idx, allowed=allowed), "padding_idx"
    )


@shape_rule(
    "nn.Embedding.forward(input)",
    "F.embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,"
    " sparse=False)",
)
def embedding(op: Op, input: Shape, weight: Shape, padding_idx: Arg) -> Result:
    """Indices (\\*) -> (\\*, embedding_dim)."""
    op.dtype = "float"
    weight = op.require_rank(weight, 2)
    if not op.is_layer:
        _check_padding_idx(op, padding_idx, weight[0])
    return (*tuple.__iter__(input), weight[1])


@shape_rule(
    "nn.EmbeddingBag.forward(input, offsets=None, per_sample_weights=None)",
    "F.embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode='mean',"
    " sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None)",
)
def embedding_bag(
    op: Op,
    input: Shape,
    weight: Shape,
    offsets: Arg,
    per_sample_weights: Arg,
    include_last_offset: Arg,
    padding_idx: Arg,
) -> Result:
    """Bags (B, N) -> (B, embedding_dim), or indices (N,) with offsets (B,) -> (B, embedding_dim).

    With include_last_offset the offsets are (B + 1,).
    """
    op.dtype = "float"
    weight = op.require_rank(weight, 2)
    if not op.is_layer:
        _check_padding_idx(op, padding_idx, weight[0])
    if input.rest is None:
        input = op.require_rank(input, 1, 2)
    if isinstance(per_sample_weights, Shape) and dims.same(per_sample_weights, input) is False:
        given = tuple(per_sample_weights)
        report = catalogue.parameter_shape(argument="per_sample_weights", given=given, takes=tuple(input))
        op.fail(report, "per_sample_weights")
    if len(input) == 2:
        if isinstance(offsets, Shape):
            op.fail(catalogue.call_signature(problem="a 2-D input of bags takes no offsets"), "offsets")
        return (input[0], weight[1])
    if offsets is None:
        op.fail(catalogue.call_signature(problem="a 1-D input needs offsets, the start of each bag"), "offsets")
        return (op.unknown(), weight[1])
    if not isinstance(offsets, Shape) or isinstance(include_last_offset, Unknown):
        return (op.unknown(), weight[1])
    offsets = op.require_rank(offsets, 1)
    return (offsets[0] - 1 if include_last_offset else offsets[0], weight[1])
