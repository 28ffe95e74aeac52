"""One call of torch done again with real zeros of the same shapes.

Without numbers torch checks less (a batch norm takes any number of channels) and says less ("Invalid channel
dimensions").  What one call does with real tensors costs little and is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import _disable_current_modes

#: Elements of all tensors together that a repeated call may have: 128 MB of floats.
LIMIT = 2**25


class _TooLarge(Exception):
    pass


def replay(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Exception | Literal[True] | None:
    """The exception that ``func`` raises with real zeros, true if it raises none, ``None`` if it cannot be tried."""
    left = [LIMIT]
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        try:
            real_args, real_kwargs = _real(tuple(args), left), _real(dict(kwargs), left)
        except Exception:
            return None
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                func(*real_args, **real_kwargs)
        except Exception as error:
            return error.with_traceback(None)
    return True


def _real(value: Any, left: list[int]) -> Any:
    if isinstance(value, torch.Tensor):
        left[0] -= value.numel()
        if left[0] < 0:
            raise _TooLarge
        shape, stride = [int(n) for n in value.shape], [int(n) for n in value.stride()]
        return torch.empty_strided(shape, stride, dtype=value.dtype, device="cpu").zero_()
    if isinstance(value, torch.device):
        return torch.device("cpu")
    if isinstance(value, dict):
        return {key: _real(item, left) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        items = [_real(item, left) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
