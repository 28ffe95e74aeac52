"""Attention and the Transformer layers (torch.nn, "Transformer Layers").

Sequences are (L, N, E), (N, L, E) with ``batch_first``, or (L, E) for one sample.
"""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, divides, eq
from conv_lint.ops.elementwise import fitted
from conv_lint.ops.rule import Op, Plain
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.solving import divisors_near
from conv_lint.values import CannotTell, Shape, Unknown, any_shape

LAYER = (
    "(d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=None, layer_norm_eps=1e-05, batch_first=False,"
    " norm_first=False, bias=True, device=None, dtype=None)"
)


# construction -----------------------------------------------------------------------------------------------


def _check_heads(op: Op, argument: str, embed: Dim, by: str, heads: Dim) -> None:
    """Each head takes an equal part of the features."""
    if divides(heads, embed) is False:
        near = divisors_near(embed, heads)
        fix = f"{by}={near}" if near is not None else None
        op.fail(catalogue.heads(argument=argument, embed=embed, by=by, heads=heads, fix=fix), argument)


@layer_rule(
    "nn.MultiheadAttention(embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False,"
    " kdim=None, vdim=None, batch_first=False, device=None, dtype=None)"
)
def multihead_attention_layer(op: Op, embed_dim: Arg, num_heads: Arg, bias: Arg, kdim: Arg, vdim: Arg) -> Result:
    """in_proj_weight: (3*embed_dim, embed_dim), or one weight each where kdim or vdim differ."""
    embed, heads = op.require_least("embed_dim", embed_dim), op.require_least("num_heads", num_heads)
    _check_heads(op, "embed_dim", embed, "num_heads", heads)
    key = embed if kdim is None else op.dim(kdim)
    value = embed if vdim is None else op.dim(vdim)
    made: dict[str, object] = {"embed_dim": embed, "num_heads": heads, "kdim": key, "vdim": value}
    made["head_dim"] = embed // heads if eq(heads, 0) is False else op.unknown()
    made["in_proj_bias"] = Shape((3 * embed,)) if bias is True else None if bias is False else bias
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    one = dims.every((eq(key, embed), eq(value, embed)))
    if one:
        return {**made, "in_proj_weight": Shape((3 * embed, embed)), **dict.fromkeys(names)}
    separate = {name: Shape((embed, size)) for name, size in zip(names, (embed, key, value))}
    return {**made, "in_proj_weight": None if one is False else Unknown("kdim or vdim"), **separate}


@layer_rule("nn.TransformerEncoderLayer" + LAYER, "nn.TransformerDecoderLayer" + LAYER)
def transformer_layer(op: Op, d_model: Arg, nhead: Arg) -> Result:
    """d_model features, a part for each head."""
    features, heads = op.require_least("d_model", d_model), op.require_least("nhead", nhead)
    _check_heads(op, "d_model", features, "nhead", heads)
    return {"d_model": features, "nhead": heads}


@layer_rule(
    "nn.Transformer(d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048,"
    " dropout=0.1, activation=None, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-05,"
    " batch_first=False, norm_first=False, bias=True, device=None, dtype=None)"
)
def transformer_model(op: Op, d_model: Arg, nhead: Arg, custom_encoder: Arg, custom_decoder: Arg) -> Result:
    """d_model features, a part for each head of the layers that it makes itself."""
    features, heads = op.dim(d_model), op.dim(nhead)
    if custom_encoder is None or custom_decoder is None:
        features, heads = op.require_least("d_model", d_model), op.require_least("nhead", nhead)
        _check_heads(op, "d_model", features, "nhead", heads)
    return {"d_model": features, "nhead": heads}


# what the sequences must agree in ---------------------------------------------------------------------------


def _require_features(op: Op, input: Shape, takes: Dim, argument: str, heads: Dim | None = None) -> None:
    given = input[-1]
    if op.equate(given, takes) is not False:
        return
    fix = None
    if input.rest is None and len(input) == 3 and eq(input[1], takes):
        fix = "x.transpose(1, 2) first"
    elif isinstance(given, int) and argument in op.args and (heads is None or divides(heads, given)):
        fix = f"{argument}={given}"
    source = op.origin(input, -1)
    report = catalogue.sequence_features(takes=takes, given=given, argument=argument, source=source, fix=fix)
    op.fail(report, argument)


def _require_rank_of(op: Op, query: Shape, other: Shape, name: str, was: Shape) -> Shape:
    """All sequences of one call are batched, or none is.  ``was``: the query before its rank was settled."""
    if other.rest is not None and other.rest is was.rest:
        other = Shape((*query[: len(query) - len(was.known)], *other.known), other.step, other.dtype)
    elif other.rest is not None:
        other = op.require_rank(other, len(query))
    if len(other) != len(query):
        words = f"a {name} of {len(query)} dimensions here"
        op.fail(catalogue.rank(takes=words, given=other, rank=len(other), source=op.origin(other)))
        raise CannotTell(f"{name} has {len(other)} dimensions")
    return other


def _require_equal(op: Op, left: Shape, right: Shape, axis: int, at: str, is_batch: bool = False) -> None:
    if op.equate(left[axis], right[axis]) is False:
        facts: dict[str, object] = {"left": left, "right": right, "a": left[axis], "b": right[axis]}
        if is_batch and op.is_layer and eq(left[1 - axis], right[1 - axis]) is True:
            facts["fix"] = f"batch_first={axis == 1}, the batch is taken to be dim {axis}"
        op.fail(catalogue.matmul_sizes(**facts, source=op.origin(right, axis)), None if op.is_layer else at)


def _axes(rank: int, batch_first: object) -> tuple[int | None, int]:
    """Where the batch and the length are."""
    if rank == 2:
        return None, 0
    if isinstance(batch_first, Unknown):
        raise CannotTell("batch_first is not known")
    return (0, 1) if batch_first else (1, 0)


def _check_mask(op: Op, mask: object, name: str, *takes: tuple[Dim, ...]) -> None:
    """The mask must have one of the shapes, which differ in rank."""
    if not isinstance(mask, Shape) or mask.rest is not None:
        return
    if all(dims.same(mask, shape) is False for shape in takes):
        wanted = next((shape for shape in takes if len(shape) == len(mask)), takes[0])
        op.fail(catalogue.parameter_shape(argument=name, given=tuple(mask), takes=wanted))


def _check_masks(
    op: Op, sizes: tuple[Dim | None, Dim, Dim], heads: Dim, mask: tuple[str, Arg], padding: tuple[str, Arg]
) -> None:
    """``sizes``: the batch (``None`` for one sample), the length of the query and of the key.

    A mask is (L, S) or (N*heads, L, S), a mask of padding (N, S).
    """
    batch, length, keys = sizes
    many = heads if batch is None else batch * heads
    _check_mask(op, mask[1], mask[0], (length, keys), (many, length, keys))
    _check_mask(op, padding[1], padding[0], (keys,) if batch is None else (batch, keys))


# attention --------------------------------------------------------------------------------------------------


@shape_rule(
    "nn.MultiheadAttention.forward(query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,"
    " average_attn_weights=True, is_causal=False)"
)
def multihead_attention(
    op: Op,
    query: Shape,
    key: Arg,
    value: Arg,
    key_padding_mask: Arg,
    need_weights: Arg,
    attn_mask: Arg,
    average_attn_weights: Arg,
    is_causal: Arg,
    embed_dim: Arg,
    num_heads: Arg,
    kdim: Arg,
    vdim: Arg,
    batch_first: Arg,
    add_bias_kv: Arg,
    add_zero_attn: Arg,
) -> Result:
    """(L, N, E), (S, N, kdim), (S, N, vdim) -> (L, N, E) and weights (N, L, S), or (N, heads, L, S) not averaged.

    Without weights the second result is ``None``.
    """
    embed, heads = op.dim(embed_dim), op.dim(num_heads)
    was, query = query, op.require_rank(query, 2, 3)
    _require_features(op, query, embed, "embed_dim", heads)
    out = Shape((*query[:-1], embed))
    try:
        key, value = _keys(op, query, key, value, was)
        sizes = _agree(op, (query, key, value), (embed, op.dim(kdim), op.dim(vdim)), batch_first)
    except CannotTell as why:
        return out, Plain(None) if need_weights is False else any_shape(str(why))
    if is_causal is False:
        _check_masks(op, sizes, heads, ("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask))
    if isinstance(need_weights, Unknown):
        return out, need_weights
    if not need_weights:
        return out, Plain(None)
    if any(isinstance(flag, Unknown) for flag in (average_attn_weights, add_bias_kv, add_zero_attn)):
        return out, any_shape("the weights of attention")
    batch, length, keys = sizes
    weights = (length, keys + bool(add_bias_kv) + bool(add_zero_attn))
    weights = weights if average_attn_weights else (heads, *weights)  # type: ignore[assignment]
    return out, Shape(weights if batch is None else (batch, *weights))


def _keys(op: Op, query: Shape, key: Arg, value: Arg, was: Shape) -> tuple[Shape, Shape]:
    if not isinstance(key, Shape) or not isinstance(value, Shape):
        raise CannotTell("the key or the value is not known")
    return _require_rank_of(op, query, key, "key", was), _require_rank_of(op, query, value, "value", was)


def _agree(
    op: Op, sequences: tuple[Shape, Shape, Shape], features: tuple[Dim, Dim, Dim], batch_first: Arg
) -> tuple[Dim | None, Dim, Dim]:
    """Check key and value against the query.  The batch (``None`` for one sample), and both lengths."""
    query, key, value = sequences
    embed, kdim, vdim = features
    for name, size, takes in (("kdim", key, kdim), ("vdim", value, vdim)):
        # The same tensor again, or the same wrong size again, is one mistake.
        if eq(size[-1], query[-1]) is not True or eq(takes, embed) is not True:
            _require_features(op, size, takes, "embed_dim" if eq(takes, embed) else name)
    batch_axis, axis = _axes(len(query), batch_first)
    _require_equal(op, key, value, axis, "value")
    if batch_axis is None:
        return None, query[axis], key[axis]
    _require_equal(op, query, key, batch_axis, "key", is_batch=True)
    _require_equal(op, key, value, batch_axis, "value", is_batch=True)
    return query[batch_axis], query[axis], key[axis]


@shape_rule(
    "F.scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, *, scale=None,"
    " enable_gqa=False)"
)
def scaled_dot_product_attention(
    op: Op, query: Shape, key: Shape, value: Shape, attn_mask: Arg, enable_gqa: Arg
) -> Result:
    """(\\*, L, E), (\\*, S, E), (\\*, S, Ev) -> (\\*, L, Ev); the leading sizes are broadcast."""
    query, key, value = (op.require_rank_from(tensor, 2) for tensor in (query, key, value))
    _require_last(op, query, key)
    if len(key.known) > 1 and len(value.known) > 1:
        _require_equal(op, key, value, -2, "value")
    if enable_gqa is not False or query.rest or key.rest or value.rest:
        return (*query[:-1], value[-1])
    leading = Shape(query[:-2])
    for name, tensor in (("key", key), ("value", value)):
        leading, fault = fitted(op, leading, Shape(tensor[:-2]))
        if fault is not None:
            facts = {"left": query, "right": tensor, "a": fault.a, "b": fault.b}
            op.fail(catalogue.matmul_sizes(**facts, source=op.origin(tensor)), name)
    if isinstance(attn_mask, Shape):
        scores = Shape((*leading, query[-2], key[-2]))
        both, fault = fitted(op, scores, attn_mask)
        # The mask is stretched to the scores, never the scores to the mask.
        if fault is not None or (attn_mask.rest is None and dims.same(both, scores) is False):
            report = catalogue.parameter_shape(argument="attn_mask", given=attn_mask.known, takes=tuple(scores))
            op.fail(report, "attn_mask")
    return (*leading, query[-2], value[-1])


def _require_last(op: Op, query: Shape, key: Shape) -> None:
    if query.known and key.known:
        _require_equal(op, query, key, -1, "key")


# transformers -----------------------------------------------------------------------------------------------


@shape_rule(
    "nn.TransformerEncoderLayer.forward(src, src_mask=None, src_key_padding_mask=None, is_causal=False)",
)
def encoder_layer(
    op: Op,
    src: Shape,
    src_mask: Arg,
    src_key_padding_mask: Arg,
    is_causal: Arg,
    d_model: Arg,
    nhead: Arg,
    batch_first: Arg,
) -> Result:
    """(L, N, d_model) -> the same."""
    features, heads = op.dim(d_model), op.dim(nhead)
    src = op.require_rank(src, 2, 3)
    _require_features(op, src, features, "d_model", heads)
    if is_causal is False and not isinstance(batch_first, Unknown):
        batch, axis = _axes(len(src), batch_first)
        sizes = (None if batch is None else src[batch], src[axis], src[axis])
        _check_masks(op, sizes, heads, ("src_mask", src_mask), ("src_key_padding_mask", src_key_padding_mask))
    return src.replaced(-1, features)


@shape_rule(
    "nn.TransformerDecoderLayer.forward(tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,"
    " memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False)",
)
def decoder_layer(op: Op, tgt: Shape, memory: Arg, d_model: Arg, nhead: Arg, batch_first: Arg) -> Result:
    """(T, N, d_model) with a memory (S, N, d_model) -> (T, N, d_model)."""
    features, heads = op.dim(d_model), op.dim(nhead)
    was, tgt = tgt, op.require_rank(tgt, 2, 3)
    _require_features(op, tgt, features, "d_model", heads)
    out = tgt.replaced(-1, features)
    if not isinstance(memory, Shape):
        return out
    try:
        memory = _require_rank_of(op, tgt, memory, "memory", was)
        _second(op, tgt, memory, features, batch_first, "memory")
    except CannotTell:
        pass
    return out


def _second(op: Op, first: Shape, second: Shape, features: Dim, batch_first: Arg, at: str) -> None:
    """The other sequence must have the same batch and the same features."""
    if eq(second[-1], first[-1]) is not True:
        _require_features(op, second, features, "d_model")
    batch, _ = _axes(len(first), batch_first)
    if batch is not None:
        _require_equal(op, first, second, batch, at, is_batch=True)


@shape_rule(
    "nn.TransformerEncoder(encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True)",
    "nn.TransformerEncoder.forward(src, mask=None, src_key_padding_mask=None, is_causal=None)",
)
def encoder(op: Op, src: Shape) -> Result:
    """The shape of src: its layers are checked where they are made."""
    return src


@shape_rule(
    "nn.TransformerDecoder(decoder_layer, num_layers, norm=None)",
    "nn.TransformerDecoder.forward(tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,"
    " memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False)",
)
def decoder(op: Op, tgt: Shape) -> Result:
    """The shape of tgt."""
    return tgt


@shape_rule(
    "nn.Transformer.forward(src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,"
    " tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None,"
    " memory_is_causal=False)",
)
def transformer(op: Op, src: Shape, tgt: Arg, d_model: Arg, nhead: Arg, batch_first: Arg) -> Result:
    """(S, N, d_model), (T, N, d_model) -> (T, N, d_model)."""
    features = op.dim(d_model)
    was, src = src, op.require_rank(src, 2, 3)
    _require_features(op, src, features, "d_model", op.dim(nhead))
    if not isinstance(tgt, Shape):
        raise CannotTell("tgt is not known")
    tgt = _require_rank_of(op, src, tgt, "tgt", was)
    if not isinstance(batch_first, Unknown):
        _second(op, src, tgt, features, batch_first, "tgt")
    return tgt.replaced(-1, features)
