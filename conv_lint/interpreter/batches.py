"""What says that code is written for batches: nobody would do this to a single sample.

An input of unknown rank is taken to be a batch, and what is wrong only then is not said (see ``entries.py``): torch's
layers take single samples too.  Code that keeps the first dimension apart from the others has decided that itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conv_lint.dims import Dim, Expr
from conv_lint.interpreter.machine import Machine
from conv_lint.values import Shape


def speaks_of_one(machine: Machine, name: str, arguments: Mapping[str, Any]) -> bool:
    """Does an operation keep the first dimension of maps, which was taken to be the batch, apart from the others?

    ``torch.flatten(x, 1)``, ``x.flatten(2)``, ``x.view(x.size(0), -1)``, concatenated channels, and
    ``x + y[:, :, None, None]``: a number for each channel of each sample.
    """
    last = name.rpartition(".")[2]
    if last.strip("_") in _ELEMENTWISE:
        left, right = arguments.get("input"), arguments.get("other")
        return _is_stretched(machine, left, right) or _is_stretched(machine, right, left)
    match last:
        case "flatten":
            # Of a single sample ``flatten(2)`` would leave everything as it is.
            return arguments["start_dim"] in (1, 2) and _is_batch(machine, arguments["input"])
        case "view" | "reshape":
            shape, input = arguments["shape"], arguments["input"]
            if not isinstance(shape, (tuple, list)):
                return False
            sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
            return len(sizes) == 2 and _is_batch(machine, input) and sizes[0] in (input[0], input[1])
        case "cat" | "concat" | "concatenate":
            tensors = arguments["tensors"]
            maps = tensors if isinstance(tensors, (tuple, list)) else ()
            return arguments["dim"] == 1 and bool(maps) and all(_is_batch(machine, each) for each in maps)
    return False


_ELEMENTWISE = frozenset(
    f"{prefix}{name}" for prefix in ("", "r", "i") for name in ("add", "sub", "mul", "truediv", "div")
)


def _is_stretched(machine: Machine, maps: Any, other: Any) -> bool:
    """Is there something for each sample beside a batch of maps, the same all over the image or along it?"""
    if not _is_batch(machine, maps) or not isinstance(other, Shape) or other.rest is not None:
        return False
    sizes = tuple(other)
    return len(sizes) == len(maps) and sizes[0] != 1 and 1 in sizes[-2:]


def _is_batch(machine: Machine, value: Any) -> bool:
    """Is it a batch of maps, whose first size is that of what was taken to be a batch?"""
    if not isinstance(value, Shape) or value.rest is not None or tuple.__len__(value) < 4:
        return False
    first: Dim = tuple.__getitem__(value, 0)
    return isinstance(first, Expr) and any(symbol in machine.batches for symbol in first.symbols)
