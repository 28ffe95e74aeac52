"""Lists of which it is not known how many items they hold, though each item looks alike.

A list that a loop over the batches of a loader has filled is open, and has a sample, :attr:`List.each`: whatever is
taken out of it looks like that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from conv_lint import dims, loader_sizes
from conv_lint.dims import Dim
from conv_lint.interpreter import journal, protocols
from conv_lint.interpreter.objects import Instance
from conv_lint.interpreter.sequences import stream_of
from conv_lint.values import Dict, Iter, List, Rest, Shape, Stream, Tensor, Unknown, Value, is_mark

if TYPE_CHECKING:
    from conv_lint.interpreter.libraries import Context
    from conv_lint.interpreter.machine import Machine

#: The methods of a list after which it holds no item that it did not hold before.
TAKING = frozenset("pop popleft remove discard sort reverse rotate".split())


def after_call(target: List, method: str, args: Sequence[Value]) -> Value:
    """The sample of an open list, once a method has changed it."""
    if target.each is None or method in TAKING or (method == "extend" and args and isinstance(args[0], Tensor)):
        return target.each  # the rows of a tensor are looked at where they are put in
    if method in ("append", "appendleft", "add") and args:
        return journal.each_of([target.each, args[0]])
    if method == "extend" and args and isinstance(args[0], (List, Iter)) and args[0].open:
        return journal.each_of([target.each, args[0].each])
    return None


def next_batch(machine: Machine, stream: Stream) -> Value:
    """The next batch of a loader; the first one is a whole one."""
    if stream.is_begun:
        return stream.item
    machine.journal.touch(stream)
    stream.is_begun = True
    return first_batch(stream.item)


def first_batch(value: Value) -> Value:
    """The first batch of a loader, which is a whole one."""
    match value:
        case Tensor():
            sizes = tuple(tuple.__iter__(value.shape))
            whole = tuple(size if isinstance(size, Rest) else loader_sizes.of_whole_batch(size) for size in sizes)
            if whole == sizes:
                return value
            step = replace(value.step, shape=whole) if value.step is not None else None
            return Tensor(Shape(whole, value.shape.step, value.shape.dtype), step, value.dtype, value.sure)
        case tuple():
            return tuple(map(first_batch, value))
        case List() if not value.open:
            return List(map(first_batch, value.items))
        case Dict():
            made = value.copy()
            made.items = {key: first_batch(part) for key, part in value.items.items()}
            return made
    return value


def some_item(value: Value) -> Value:
    """An item that looks like a sample; what is not known of the sample may be something else in each item."""
    match value:
        case Tensor():
            sizes = tuple(tuple.__iter__(value.shape))
            made = tuple(_another(size) for size in sizes)
            if all(a is b for a, b in zip(made, sizes)):
                return value
            shape = Shape(made, value.shape.step, value.shape.dtype)
            return Tensor(shape, value.step, value.dtype, value.sure)
        case tuple():
            return tuple(map(some_item, value))
        case List() if not value.open:
            return List(map(some_item, value.items))
        case Unknown() if type(value) is Unknown:
            return Unknown(value.reason)
    return value


def _another(size: Dim) -> Dim:
    if isinstance(size, Rest):
        return Rest(size.reason, size.image)
    return dims.unknown(dims.low(size)) if is_mark(size) else size


def of_each(c: Context, over: Value) -> Value:
    """What every item of something looks like over which a loop runs, or ``None``."""
    from conv_lint.interpreter import data, tensors

    stream = stream_of(over)
    if stream is not None:
        return stream.item
    if isinstance(over, (List, Iter)) and over.open:
        return some_item(over.each)
    if isinstance(over, Tensor) and not over.sure and c.machine.shape(over.shape).rest is not None:
        return tensors.piece(c.machine, over, None)  # an input that may be a list of maps
    return data.item_of(c, over) if isinstance(over, Instance) and _is_indexed(over) else None


def _is_indexed(value: Instance) -> bool:
    """Does a loop over the object take its items 0, 1, 2 and so on: a dataset?"""
    if value.is_module or protocols.has(value, "__iter__"):
        return False
    return "__getitem__" in value.attrs or protocols.has(value, "__getitem__")
