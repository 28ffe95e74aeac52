"""Receptive field and stride of a tensor against the input of the model, one number for each axis.

A window of ``k`` with stride ``s`` and dilation ``d`` makes a field ``f`` of step ``j`` into ``f + d*(k - 1)*j`` of
step ``j*s``.  What keeps height and width keeps the field; where branches join, the larger one counts.  Behind
anything else (a flattening, an upsampling, a product over positions) the field is not defined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

SLIDING = frozenset(
    f"{name}{n}d" for name in ("conv", "max_pool", "avg_pool", "lp_pool") for n in (1, 2, 3)
) | frozenset(f"max_pool{n}d_with_indices" for n in (1, 2, 3))
#: These mix positions, or move them, although the shape may stay the same.
MIXING = frozenset(
    "matmul mm bmm baddbmm addmm einsum linear bilinear scaled_dot_product_attention multi_head_attention_forward"
    " lstm gru rnn_tanh rnn_relu cumsum cumprod flip roll rot90 transpose permute t swapaxes swapdims movedim fft"
    " ifft rfft irfft fft2 ifft2 sort argsort gather index_select grid_sample __matmul__ __rmatmul__".split()
)
PADDING = frozenset({"pad"})


@dataclass(frozen=True)
class Field:
    """The receptive field and the stride along each spatial axis, in pixels of the input."""

    size: tuple[int, ...]
    stride: tuple[int, ...]


def of_input(tensor: torch.Tensor) -> Field | None:
    """A pixel of the input sees itself.  Batches of signals, images and volumes have spatial axes from the third on."""
    n = tensor.dim() - 2
    return Field((1,) * n, (1,) * n) if 1 <= n <= 3 else None


def joined(fields: Sequence[Field]) -> Field | None:
    """The larger field and stride along each axis; ``None`` of nothing."""
    same = [f for f in fields if len(f.size) == len(fields[0].size)]
    if not same:
        return None
    return Field(tuple(map(max, zip(*(f.size for f in same)))), tuple(map(max, zip(*(f.stride for f in same)))))


def after(
    name: str, bound: Mapping[str, Any], inputs: Sequence[tuple[torch.Tensor, Field]], output: torch.Tensor
) -> Field | None:
    """The field of what a function made of inputs whose fields are known.

    ``bound`` are the arguments of a window by their names.
    """
    if name in SLIDING:
        return slid(inputs[0][1], bound) if inputs else None
    if name in MIXING or not inputs:
        return None
    if name in PADDING:
        return inputs[0][1]
    return kept(inputs, output)


def kept(inputs: Sequence[tuple[torch.Tensor, Field]], output: torch.Tensor) -> Field | None:
    """The field behind an operation that leaves height and width alone."""
    fields = [field for tensor, field in inputs if _same_places(tensor, output, len(field.size))]
    return joined(fields)


def _same_places(tensor: torch.Tensor, output: torch.Tensor, n: int) -> bool:
    return tensor.dim() == output.dim() and tensor.shape[-n:] == output.shape[-n:]


def slid(field: Field, bound: Mapping[str, Any]) -> Field | None:
    """The field behind a window."""
    n = len(field.size)
    weight = bound.get("weight")
    kernel = tuple(weight.shape[2:]) if isinstance(weight, torch.Tensor) else _per_axis(bound.get("kernel_size"), n)
    stride = bound.get("stride")
    strides = kernel if stride is None or stride == () or stride == [] else _per_axis(stride, n)
    dilation = _per_axis(bound.get("dilation", 1), n)
    if kernel is None or strides is None or dilation is None or len(kernel) != n:
        return None
    size = tuple(f + d * (k - 1) * j for f, d, k, j in zip(field.size, dilation, kernel, field.stride))
    return Field(size, tuple(j * s for j, s in zip(field.stride, strides)))


def _per_axis(value: Any, n: int) -> tuple[int, ...] | None:
    if isinstance(value, int):
        return (value,) * n
    if isinstance(value, (tuple, list)) and all(isinstance(v, int) for v in value):
        return tuple(value) * n if len(value) == 1 else tuple(value) if len(value) == n else None
    return None


def one_number(sizes: tuple[int, ...] | None) -> int | list[int] | None:
    """``7`` for ``(7, 7)``, the list where the axes differ."""
    if sizes is None:
        return None
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)
