"""Padding by constants, reflection, replication and wrapping, as layers and as ``F.pad``."""

from __future__ import annotations

import difflib
from typing import Any

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, layer_rule, shape_rule
from conv_lint.values import CannotTell, Rest, Shape, Unknown

MODES = ("constant", "reflect", "replicate", "circular")


@layer_rule(
    "nn.ConstantPad{n}d(padding, value)",
    "nn.ZeroPad{n}d(padding)",
    "nn.ReflectionPad{n}d(padding)",
    "nn.ReplicationPad{n}d(padding)",
    "nn.CircularPad{n}d(padding)",
)
def padding_layer(op: Op, padding: Arg) -> Result:
    """One number pads every side; torch keeps a tuple as it is, whatever its length."""
    if isinstance(padding, Unknown) or not isinstance(padding, (tuple, list)):
        return {"padding": op.per_axis(padding, n=2 * op.n)}
    return {"padding": tuple(map(op.dim, padding))}


@shape_rule("nn.ConstantPad{n}d.forward(input)", "nn.ZeroPad{n}d.forward(input)")
def constant_padding(op: Op, input: Shape, padding: Arg) -> Result:
    """The last dimensions grow by the pairs of ``padding``, the last dimension first; any rank is taken."""
    return _padded(op, input, tuple(padding), "constant", "padding")


@shape_rule("nn.ReflectionPad{n}d.forward(input)")
def reflection_padding(op: Op, input: Shape, padding: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out; padding is smaller than the size."""
    return _padded(op, input, tuple(padding), "reflect", "padding")


@shape_rule("nn.ReplicationPad{n}d.forward(input)")
def replication_padding(op: Op, input: Shape, padding: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out."""
    return _padded(op, input, tuple(padding), "replicate", "padding")


@shape_rule("nn.CircularPad{n}d.forward(input)")
def circular_padding(op: Op, input: Shape, padding: Arg) -> Result:
    """(N, C, \\*sizes) -> (N, C, \\*sizes'); N may be left out; padding is at most the size."""
    input = op.require_rank(input, op.n + 1, op.n + 2)
    return _padded(op, input, tuple(padding), "circular", "padding")


@shape_rule("F.pad(input, pad, mode='constant', value=None)")
def pad(op: Op, input: Shape, pad: Arg, mode: Arg, value: Arg) -> Result:
    """The last dimensions grow by the pairs of ``pad``, the last dimension first (torch.nn.functional.pad)."""
    if isinstance(pad, int):
        op.fail(catalogue.call_signature(problem=f"pad is a tuple, one pair for each dimension, not {pad}"), "pad")
        raise CannotTell("pad is not a tuple")
    if not isinstance(pad, (tuple, list)):
        raise CannotTell("the padding")
    if isinstance(mode, str) and mode not in MODES:
        near = difflib.get_close_matches({"zeros": "constant"}.get(mode, mode), MODES, 1)
        facts = {"argument": "mode", "value": repr(mode), "allowed": ", ".join(map(repr, MODES))}
        op.fail(catalogue.padding_string(**facts, fix=repr(near[0]) if near else None), "mode")
        mode = "constant"
    elif mode in MODES[1:] and isinstance(value, (int, float)) and value != 0:
        op.fail(catalogue.call_signature(problem=f"mode={mode!r} takes no value"), "value")
    return _padded(op, input, tuple(map(op.dim, pad)), mode if isinstance(mode, str) else None, "pad")


def _padded(op: Op, input: Shape, amounts: tuple[Dim, ...], mode: str | None, at: str) -> tuple[Dim, ...]:
    count = len(amounts) // 2
    if len(amounts) % 2:
        facts = {"argument": at, "value": amounts, "length": len(amounts), "n": "two for each padded dimension"}
        op.fail(catalogue.tuple_length(**facts), at)
        raise CannotTell("an odd number of paddings")
    if mode == "constant" or mode is None:
        _check_length(op, input, amounts, at)
    else:
        input = _check_rank(op, input, amounts, mode, at)
    if not count:
        return input
    input = _maps(op, input, count)
    pairs = list(zip(amounts[::2], amounts[1::2]))[::-1]
    sizes = []
    for axis, (left, right) in enumerate(pairs, -count):
        size = input[axis]
        allowed = check_pair(op, input, axis, (left, right), mode, at)
        sizes.append(size + left + right if allowed else op.unknown())
    if mode in ("reflect", "replicate") and all(dims.lt(size, 1) for size in sizes):
        op.fail(catalogue.empty_output(input=input, output=sizes[-1], source=op.origin(input)), at)
    return (*input[:-count], *sizes)


def _maps(op: Op, input: Shape, count: int) -> Shape:
    """An input of unknown rank that is padded in so many dimensions, which are those of an image or a volume."""
    names = ("D", "H", "W")[3 - count :]
    if input.rest is None or input.known or not 2 <= count <= 3:
        return input
    front: tuple[Any, ...] = (Rest(input.rest.reason, input.rest.image), *(input.rest.axis(name) for name in names))
    op.world.settle(input.rest, front, False)
    return Shape(front, input.step, input.dtype)


def _check_length(op: Op, input: Shape, amounts: tuple[Dim, ...], at: str) -> None:
    if input.rest is None and len(amounts) > 2 * len(input):
        facts = {"argument": at, "value": amounts, "length": len(amounts)}
        op.fail(catalogue.tuple_length(**facts, n=f"at most two for each of {len(input)} dimensions"), at)
        raise CannotTell("more paddings than dimensions")


def _check_rank(op: Op, input: Shape, amounts: tuple[Dim, ...], mode: str, at: str) -> Shape:
    """Other modes than "constant" pad the last 1, 2 or 3 dimensions behind a channel and maybe a batch."""
    count = len(amounts) // 2
    if count not in (1, 2, 3) or (op.n and count != op.n and input.rest is None and len(input) - count not in (1, 2)):
        needed = 2 * op.n if op.n else "2, 4 or 6"
        op.fail(catalogue.tuple_length(argument=at, value=amounts, length=len(amounts), n=needed), at)
        raise CannotTell("a wrong number of paddings")
    ranks = (count + 1, count + 2)
    words = None
    if not op.n:
        words = f"a {ranks[0]}-D or {ranks[1]}-D input for {len(amounts)} paddings in mode {mode!r}"
    return op.require_rank(input, *ranks, takes=words)


def check_pair(op: Op, input: Shape, axis: int, pair: tuple[Dim, Dim], mode: str | None, at: str) -> bool:
    """Is there so much of a dimension that it can be padded by a pair?  Where not, CONV306 or CONV304."""
    size, (left, right) = input[axis], pair
    most = {"reflect": size - 1, "circular": size}.get(mode or "")
    if most is not None:
        for amount in pair:
            if dims.le(amount, most) is False:
                allowed = "smaller than" if mode == "reflect" else "at most"
                facts = {"padding": amount, "allowed": allowed, "size": size, "source": op.origin(input, axis)}
                op.fail(catalogue.reflect_too_large(**facts), at)
                return True
    out = size + left + right
    if mode in ("constant", None):
        fits = dims.le(0, size + solving.minimum(left, 0) + solving.minimum(right, 0))
    else:
        fits = dims.le(0, out)
    return op.require(fits, catalogue.empty_output(input=input, output=out, source=op.origin(input, axis)), at)
