"""What the caller gives for the inputs of a model, as tensors.

A tuple of whole numbers is the shape of a tensor: ``(1, 3, 224, 224)``.  A tuple, list or dict of anything else is
itself with each member converted.  Tensors keep their shape and dtype; everything else is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from conv_lint.values import Shape


def is_shape(value: object) -> bool:
    """Is this a shape: a ``torch.Size``, or a tuple of one whole number or more?"""
    if isinstance(value, torch.Size):
        return True
    return isinstance(value, tuple) and bool(value) and all(type(size) is int for size in value)


def convert(value: Any, of_shape: Callable[[tuple[int, ...]], Any], of_tensor: Callable[[torch.Tensor], Any]) -> Any:
    """``value`` with ``of_shape`` applied to every shape in it and ``of_tensor`` to every tensor."""
    if isinstance(value, torch.Tensor):
        return of_tensor(value)
    if is_shape(value):
        return of_shape(tuple(value))
    if isinstance(value, Mapping):
        converted = {key: convert(item, of_shape, of_tensor) for key, item in value.items()}
        return converted if type(value) is dict else _like(value, converted)
    if isinstance(value, (tuple, list)):
        items = [convert(item, of_shape, of_tensor) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _like(mapping: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """``items`` in a mapping of the same class, or a plain dict where the class cannot be made from one."""
    try:
        return type(mapping)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor inside tuples, lists, dicts, and the fields of dataclasses (outputs of other libraries)."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name, None))


def shapes_in(value: object) -> Any:
    """The shapes of the tensors in a value, in the same structure; ``None`` where there is no tensor.

    A tensor is a tuple of sizes, a tuple or list of tensors a list, a mapping a dict.
    """
    if isinstance(value, torch.Tensor):
        return tuple(map(int, value.shape))
    if isinstance(value, Mapping):
        return {str(key): shapes_in(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [shapes_in(item) for item in value]
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: shapes_in(getattr(value, name, None)) for name in value.__dataclass_fields__}
    return None


def render_shapes(shapes: Any) -> str:
    """What :func:`shapes_in` gave, for a reader: ``(1, 3, 8, 8)``, ``[(1, 4), (2, 1, 8)]``, ``{out: (1, 10)}``."""
    if shapes is None:
        return "-"
    if isinstance(shapes, tuple):
        return repr(Shape(shapes))
    if isinstance(shapes, dict):
        return "{" + ", ".join(f"{key}: {render_shapes(item)}" for key, item in shapes.items()) + "}"
    parts = [render_shapes(item) for item in shapes if item is not None]
    return parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]" if parts else "-"
