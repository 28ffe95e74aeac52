"""Multiply-adds of a forward: convolutions, linear layers, matrix products and attention, as torch itself counts them.

Half of ``torch.utils.flop_counter``'s floating point operations.  Additions, activations, normalizations and
bias terms are not counted, as is usual for "MACs".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class CountMultiplyAdds(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls ``add`` with the multiply-adds of each operation."""

    supports_higher_order_operators = True

    def __init__(self, add: Callable[[int], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.add = add

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(getattr(func, "_overloadpacket", func))
        if formula is not None:
            self.add(formula(*args, **(kwargs or {}), out_val=out) // 2)
        return out
