"""Sequences of different lengths, padded to one tensor or packed (torch.nn.utils.rnn)."""

from __future__ import annotations

from conv_lint import catalogue, dims
from conv_lint.dims import Dim
from conv_lint.ops.join import members
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Packed, Shape

RNN = "torch.nn.utils.rnn."


@shape_rule(RNN + "pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True)")
def pack_padded_sequence(op: Op, input: Shape, lengths: Arg, batch_first: Arg) -> Result:
    """(L, N, \\*), or (N, L, \\*) with ``batch_first``, and N lengths -> a packed sequence."""
    if input.rest is not None:
        raise CannotTell(input.rest.reason)
    op.require_rank_from(input, 2)
    first = _flag(batch_first)
    batch = input[0] if first else input[1]
    count = _count(lengths)
    if count is not None and op.equate(count, batch) is False:
        report = catalogue.parameter_shape(argument="lengths", given=(count,), takes=(batch,))
        op.fail(report, "lengths")
    return Packed(Shape((op.unknown(), batch, *input[2:]), input.step, input.dtype))


@shape_rule(RNN + "pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None)")
def pad_packed_sequence(op: Op, sequence: Arg, batch_first: Arg, total_length: Arg) -> Result:
    """A packed sequence -> (L, N, \\*), or (N, L, \\*) with ``batch_first``, and the N lengths."""
    if not isinstance(sequence, Packed):
        raise CannotTell("what may be a packed sequence")
    length, batch, *others = sequence.padded
    length = op.dim(total_length) if total_length is not None else length
    sizes = (batch, length, *others) if _flag(batch_first) else (length, batch, *others)
    return Shape(sizes, sequence.padded.step, sequence.padded.dtype), Shape((batch,), None, "int")


@shape_rule(RNN + "pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side='right')")
def pad_sequence(op: Op, sequences: Arg, batch_first: Arg) -> Result:
    """n sequences (L_i, \\*) -> (L, n, \\*), or (n, L, \\*) with ``batch_first``; L is the longest of them."""
    length, count, others = _joined(op, sequences)
    return (count, length, *others) if _flag(batch_first) else (length, count, *others)


@shape_rule(RNN + "pack_sequence(sequences, enforce_sorted=True)")
def pack_sequence(op: Op, sequences: Arg) -> Result:
    """n sequences (L_i, \\*) -> a packed sequence."""
    length, count, others = _joined(op, sequences)
    return Packed(Shape((length, count, *others), None, op.dtype))


def _joined(op: Op, sequences: Arg) -> tuple[Dim, Dim, tuple[Dim, ...]]:
    """The longest length, the number of sequences, and the sizes that all must share."""
    if not isinstance(sequences, (tuple, list)) or isinstance(sequences, Shape):
        raise CannotTell("sequences that are not known")
    known = [shape for shape in members(op, sequences) if shape is not None and shape.rest is None]
    if not known:
        raise CannotTell("sequences that are not known")
    first = op.require_rank_from(known[0], 1)
    op.dtype = first.dtype
    for other in known[1:]:
        if len(other) != len(first) or dims.same(other[1:], first[1:]) is False:
            # As the copy into the padded tensor says it, of what stands behind the length.
            op.fail(catalogue.stack_shapes(left=first, right=other), "sequences")
            break
    lengths = {shape[0] for shape in known}
    every = len(known) == len(sequences) and all(isinstance(length, int) for length in lengths)
    longest: Dim = max(lengths, key=lambda n: n if isinstance(n, int) else 0) if every else op.unknown()
    return longest, len(sequences), first[1:]


def _flag(value: Arg) -> bool:
    if not isinstance(value, bool):
        raise CannotTell("a layout that is not known")
    return value


def _count(lengths: Arg) -> Dim | None:
    if isinstance(lengths, Shape):
        return lengths[0] if lengths.rest is None and len(lengths) == 1 else None
    return len(lengths) if isinstance(lengths, (list, tuple)) else None
