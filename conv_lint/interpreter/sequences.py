"""The items of anything that can be iterated, where they are known."""

from __future__ import annotations

from conv_lint.interpreter import protocols
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Instance
from conv_lint.values import Choice, Dict, Iter, List, Stream, Tensor, Value

#: A tensor is iterated only over so many pieces.
MAX_PIECES = 256


def items_of(machine: Machine, value: Value) -> list[Value] | None:
    """The items in order, or ``None`` if they are not known.  An iterator is used up."""
    value = machine.resolve(value)
    match value:
        case tuple():
            return list(value)
        case str():
            return list(value)
        case List():
            return None if value.open else list(value.items)
        case Dict():
            return None if value.open else list(value.items)
        case Iter():
            if value.open:
                return None
            machine.journal.touch(value)
            return list(value.rest())
        case range():
            return list(value) if len(value) <= machine.limits.rounds else None
        case Tensor():
            return _pieces(machine, value)
        case Instance():
            return _members(machine, value)
        case Class(kind="enum"):
            return list(value.fields.values())
    return None


def stream_of(value: Value) -> Stream | None:
    """The stream that a value iterates over, if it is one or a loader."""
    if isinstance(value, Instance):
        value = value.attrs.get("stream")
    return value if isinstance(value, Stream) else None


def _pieces(machine: Machine, value: Tensor) -> list[Value] | None:
    from conv_lint.interpreter import tensors

    shape = machine.shape(value.shape)
    if shape.rest is not None or not tuple.__len__(shape):
        return None
    count = shape[0]
    if not isinstance(count, int) or not 0 <= count <= MAX_PIECES:
        return None
    return [tensors.piece(machine, value, i) for i in range(count)]


def _members(machine: Machine, value: Instance) -> list[Value] | None:
    """The items of a Sequential, a ModuleList, a ModuleDict (its keys) or a NamedTuple."""
    name = value.torch_name
    if protocols.has(value, "__iter__"):
        return protocols.iterated(machine, value)
    if value.open:
        return None
    if name in ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ParameterList"):
        return members(value)
    if name in ("torch.nn.ModuleDict", "torch.nn.ParameterDict"):
        return list(value.attrs)
    if isinstance(value.cls, Class) and value.cls.kind == "namedtuple":
        return [value.attrs[name] for name in value.cls.fields if name in value.attrs]
    if value.held is not None:
        return items_of(machine, value.held)
    return protocols.iterated(machine, value)


def is_part(value: Value) -> bool:
    """Is it a module, or one of two values of which one is: what a Sequential calls rather than keeps."""
    if isinstance(value, Choice):
        return is_part(value.then) or is_part(value.other)
    return isinstance(value, Instance) and value.is_module


def members(container: Instance) -> list[Value]:
    """The modules (parameters) of a container, in order."""
    if container.torch_name == "torch.nn.ParameterDict":
        return [v for v in container.attrs.values() if isinstance(v, Tensor)]
    if container.torch_name in ("torch.nn.Sequential", "torch.nn.ModuleDict"):
        return [v for v in container.attrs.values() if is_part(v)]
    return [v for n, v in container.attrs.items() if n.isdigit() or is_part(v)]
