"""A model lent for one forward: its tensors exchanged for others, and everything put back afterwards.

What is kept of every module: its class (lazy modules change theirs), its attributes, and the contents of the dicts,
lists and sets among them: parameters, buffers, children, hooks, caches.  So a forward may raise, count, cache or
register what it likes.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

Exchange = Callable[[torch.Tensor], torch.Tensor]


class _Kept:
    """The state of one module."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.cls, self.attributes = module, module.__class__, dict(module.__dict__)
        self.contents = [
            (held, held.copy()) for held in self.attributes.values() if isinstance(held, (dict, list, set))
        ]

    def restore(self) -> None:
        if self.module.__class__ is not self.cls:
            self.module.__class__ = self.cls
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for held, before in self.contents:
            if isinstance(held, list):
                held[:] = before
            else:
                held.clear()
                held.update(before)


@contextlib.contextmanager
def borrowed(model: nn.Module, exchange: Exchange) -> Iterator[None]:
    """Inside, each parameter, buffer and tensor attribute of ``model`` is what ``exchange`` makes of it; compiled
    modules are replaced by what they were compiled from.  Afterwards the model is as it was."""
    modules = list(model.modules())
    kept = [_Kept(module) for module in modules]
    memo: dict[int, torch.Tensor] = {}

    def once(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in memo:
            memo[id(tensor)] = exchange(tensor)
        return memo[id(tensor)]

    try:
        for module in modules:
            _exchange_tensors(module, once)
            _without_compilation(module)
        yield
    finally:
        for one in kept:
            one.restore()


def _exchange_tensors(module: nn.Module, once: Exchange) -> None:
    """Parameters, buffers, and tensors that hang at the module by themselves or in a list, tuple or dict."""
    for name, held in list(module.__dict__.items()):
        if isinstance(held, torch.Tensor):
            module.__dict__[name] = once(held)
        elif isinstance(held, dict):
            for key, item in held.items():
                if isinstance(item, torch.Tensor):
                    held[key] = once(item)
        elif isinstance(held, list):
            held[:] = [once(item) if isinstance(item, torch.Tensor) else item for item in held]
        elif type(held) is tuple and any(isinstance(item, torch.Tensor) for item in held):
            module.__dict__[name] = tuple(once(item) if isinstance(item, torch.Tensor) else item for item in held)


def _without_compilation(module: nn.Module) -> None:
    """``torch.compile`` left out: its trace would hide the layers."""
    if module.__dict__.get("_compiled_call_impl") is not None:
        module.__dict__["_compiled_call_impl"] = None
    for name, child in module._modules.items():
        original = child.__dict__.get("_modules", {}).get("_orig_mod") if child is not None else None
        if original is not None:
            module._modules[name] = original


# exchanges --------------------------------------------------------------------------------------------------


def empty_copy(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor like this one on another device, without its numbers: on the meta device it takes no memory."""
    make: Any = type(tensor)
    if isinstance(tensor, UninitializedParameter):
        return cast(torch.Tensor, make(tensor.requires_grad, device=device, dtype=tensor.dtype))
    if isinstance(tensor, UninitializedBuffer):
        return cast(torch.Tensor, make(device=device, dtype=tensor.dtype))
    if tensor.layout is torch.strided:
        copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
    else:
        copy = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    return _same_kind(copy, tensor)


def working_copy(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor with the same numbers that a forward may change; a parameter that is on the device already is itself."""
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
        return empty_copy(tensor, device)
    if isinstance(tensor, nn.Parameter) and tensor.device == device:
        return tensor
    copy = tensor.detach().to(device) if tensor.device != device else tensor.detach().clone()
    return _same_kind(copy, tensor)


def _same_kind(copy: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(copy, tensor.requires_grad)
    return copy.requires_grad_() if tensor.requires_grad else copy


# random numbers ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def same_random_numbers(device: torch.device) -> Iterator[None]:
    """The generators of torch, Python and numpy are afterwards where they were before."""
    numpy: Any = sys.modules.get("numpy")
    python_state, numpy_state = random.getstate(), numpy.random.get_state() if numpy else None
    devices = [device] if device.type in ("cuda", "xpu", "mps") else []
    try:
        with torch.random.fork_rng(devices=devices, device_type=device.type if devices else "cuda"):
            yield
    finally:
        random.setstate(python_state)
        if numpy:
            numpy.random.set_state(numpy_state)
