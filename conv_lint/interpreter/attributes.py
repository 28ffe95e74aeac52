"""``value.name``: reading, setting and deleting attributes; the members of module containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from conv_lint.interpreter import faults, protocols, samples, tensors
from conv_lint.interpreter.journal import join
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.namespace import names_of
from conv_lint.interpreter.objects import (
    ABSENT,
    MISSING,
    BoundMethod,
    Class,
    Frame,
    Function,
    Inherited,
    Instance,
    Method,
    Native,
    Partial,
    ProjectModule,
    Property,
    Sizes,
    Super,
    condition_of,
)
from conv_lint.interpreter.sequences import is_part, members
from conv_lint.ops import unary
from conv_lint.values import Apart, Choice, Condition, Dict, External, Iter, List, Stream, Tensor, Unknown, Value

if TYPE_CHECKING:
    from conv_lint.interpreter.libraries import Context

_NAMES = ("__name__", "__qualname__", "__module__", "__doc__")


def get(machine: Machine, frame: Frame, node: cst.CSTNode | None, base: Value, name: str) -> Value:
    """The value of ``base.name``."""
    base = machine.resolve(base)
    match base:
        case Choice():
            if base.then is None or base.other is None:
                # The program has made sure that it is not None, or it would fail here.
                machine.assume(base.condition, base.then is not None)
                return get(machine, frame, node, base.then if base.then is not None else base.other, name)
            return machine.choose(frame, base, lambda v: get(machine, frame, node, v, name))
        case Instance():
            return of_instance(machine, frame, base, name)
        case Class():
            return _of_class(machine, frame, base, name)
        case Super():
            return _of_super(machine, frame, base, name)
        case External():
            return _of_library(base, name)
        case Native():
            return Unknown(f"{name} of a function")
        case ProjectModule():
            return _of_module(machine, base, name)
        case Tensor():
            return tensors.attribute(machine, frame, node, base, name)
        case Sizes():
            return Unknown("the number of elements of an unknown shape") if name == "numel" else Method(base, name)
        case Function() if name == "__module__":
            return base.frame.namespace.name
        case Function():
            return base.attrs.get(name, base.name if name in _NAMES else Unknown(f"{name} of a function"))
        case Partial():
            parts: dict[str, Value] = {"func": base.function, "args": base.args, "keywords": Dict(base.kwargs)}
            return parts.get(name, Unknown(f"{name} of a partial"))
        case Property():
            return Method(base, name)
        case Apart():
            return base.part(("attr", name), lambda: Apart(base.reason))
        case Unknown(reason=unary.DEVICE) if name == "type":
            return Choice(Condition("cuda", "the kind of device"), "cuda", "cpu")  # code for others waits for its day
        case Unknown():
            label = f"{base.name}.{name}" if base.name != "?" else "?"
            return base.part(("attr", name), lambda: Unknown(base.reason, label))
        case BoundMethod() if name == "__self__":
            return base.receiver
        case slice():
            return getattr(base, name, None)
        case Stream() if name in ("__next__", "next", "__iter__"):
            return Native(name, lambda c, *_: base if name == "__iter__" else samples.next_batch(c.machine, base))
    if isinstance(base, (List, Dict, Iter, str, tuple, int, float, bytes)) or type(base).__name__ == "Expr":
        return Method(base, name)
    return Unknown(f"{name} of something unknown")


def _of_module(machine: Machine, base: ProjectModule, name: str) -> Value:
    if name == "__dict__":
        return names_of(base.namespace)
    value = base.namespace.get(name)
    if value is MISSING:
        return base.namespace.name if name == "__name__" else Unknown(f"{base.namespace.name} has no {name}")
    return value


def _of_library(base: External, name: str) -> Value:
    from conv_lint.interpreter.libraries import library

    if name in ("__name__", "__qualname__"):
        return base.name.rpartition(".")[2]
    return library(f"{base.name}.{name}")


# classes and instances --------------------------------------------------------------------------------------


def of_instance(machine: Machine, frame: Frame, base: Instance, name: str) -> Value:
    """An attribute of an object: its own, its class's, or one that torch.nn.Module gives it."""
    if name == "__iter__" and "stream" in base.attrs:
        return Native(name, lambda c, *_: base.attrs["stream"])
    found = find(machine, frame, base, name)
    if found is not MISSING:
        return found
    if name == "module" and base.parallel:
        return base
    if base.held is not None and (base.shares_items or _looks_up_items(base)):
        return _of_held(base, name)
    if isinstance(base.cls, Class):
        hook = base.cls.find("__getattr__")
        if isinstance(hook, Function):
            from conv_lint.interpreter.calls import call_function

            return call_function(machine, frame, None, hook, [base, name], {})
    if machine.catching and not base.open:
        raise PythonRaise("AttributeError")
    reason = base.open or f"{base.class_name} has no attribute {name} that is known"
    unknown = Unknown(reason)
    base.attrs.setdefault(name, unknown) if base.open else None
    return unknown


def _looks_up_items(base: Instance) -> bool:
    """``__getattr__ = dict.__getitem__``, or ``dict.get``."""
    hook = base.cls.find("__getattr__") if isinstance(base.cls, Class) else None
    return isinstance(hook, External) and hook.name in ("builtins.dict.__getitem__", "builtins.dict.get")


def _of_held(base: Instance, name: str) -> Value:
    held = base.held
    if not isinstance(held, Dict):
        return Unknown(f"{name} of a list")
    return held.items.get(name, Unknown(held.open or f"{base.class_name} has no {name} that is known"))


def find(machine: Machine, frame: Frame, base: Instance, name: str) -> Value:
    """An attribute of an object, or :data:`MISSING`."""
    if name in base.attrs:
        if name == "weight" and base.layer is not None and base.owner is not None:
            # ``F.linear(x, self.proj.weight)`` in a forward uses the layer; what fills weights before does not.
            base.called = base.called or base.owner[0].called
        return _on_this_path(machine, base, name)
    if name == "__class__":
        return base.cls
    if name == "__module__" and isinstance(base.cls, Class):
        return base.cls.frame.namespace.name
    if name == "__doc__":
        return name
    if name == "__dict__":
        is_plain = isinstance(base.cls, Class) and not base.is_module and faults.has_known_bases(base.cls)
        found = Dict(base.attrs, base.open if is_plain else _SOME)
        found.owner = base
        return found
    if name in _TABLES_OF_HOOKS and base.is_module:
        return Dict(open="the hooks of a module")
    if name == "_modules" and base.is_module:
        return Dict(dict(base.children()), base.open)
    if name == "training" and base.is_module:
        told = machine.resolve(base.training)
        return machine.training if told is None else told
    if name in ("_replace", "_asdict") and isinstance(base.cls, Class) and base.cls.kind == "namedtuple":
        return _of_namedtuple(base, name)
    value = base.cls.find(name) if isinstance(base.cls, Class) else Inherited(base.cls, name)
    if isinstance(value, Inherited):
        return _inherited(machine, base, value)
    return value if value is MISSING else bind(machine, frame, base, value)


def _on_this_path(machine: Machine, base: Instance, name: str) -> Value:
    """An attribute that some branch has set, :data:`MISSING` where this path has not come through any of them."""
    condition = condition_of(base, name)
    if condition is not None and machine.known_truth(condition) is False:
        return MISSING
    return _present(machine, base.attrs[name])


def _present(machine: Machine, value: Value) -> Value:
    """The alternatives of a value that are not :data:`ABSENT` on this path."""
    value = machine.resolve(value)
    if value is ABSENT:
        return MISSING
    if not isinstance(value, Choice):
        return value
    then, other = _present(machine, value.then), _present(machine, value.other)
    if then is value.then and other is value.other:
        return value
    return join(value.condition, then, other)


#: What every module has, and hardly anyone fills (torch.nn.Module).
_TABLES_OF_HOOKS = frozenset(
    "_backward_pre_hooks _backward_hooks _forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called"
    " _forward_pre_hooks _forward_pre_hooks_with_kwargs _state_dict_hooks _load_state_dict_pre_hooks".split()
)


def _of_namedtuple(base: Instance, name: str) -> Native:
    """``args._replace(stride=1)``, ``args._asdict()``."""

    def replaced(c: Context) -> Value:
        if c.arguments.others:
            return Unknown("a named tuple with fields that are not known")
        return Instance(base.cls, {**base.attrs, **c.arguments.kwargs})

    return Native(name, replaced if name == "_replace" else lambda c: Dict(base.attrs))


def bind(machine: Machine, frame: Frame, receiver: Value, value: Value) -> Value:
    """What a class attribute becomes when it is read from an instance."""
    match value:
        case Function(kind="static"):
            return value
        case Function(kind="class"):
            return BoundMethod(receiver.cls if isinstance(receiver, Instance) else receiver, value)
        case Function():
            return BoundMethod(receiver, value)
        case Property():
            from conv_lint.interpreter.calls import call_value

            return call_value(machine, frame, None, value.getter, [receiver], {})
    return value


def _inherited(machine: Machine, base: Instance, found: Inherited) -> Value:
    """An attribute that a library class gives: a method of torch.nn.Module, or unknown."""
    from conv_lint.interpreter.module_methods import METHODS

    name = found.name
    if isinstance(found.base, External):
        if found.base.name in protocols.MAPPINGS and (mixed := protocols.of_mapping(base, name)) is not None:
            return mixed
        if base.is_module and (name in METHODS or name in ("forward", "__call__", "__init__", "__setattr__")):
            return Method(base, name, found.base)
        if base.is_module and not base.open and base.layer is None and found.base.name == "torch.nn.Module":
            return MISSING
        if base.held is not None and name in _METHODS_OF_ITEMS:
            return Method(base.held, name)
        if base.held is not None:
            return MISSING
        if base.torch_name and name in _LIST_METHODS:
            return Method(base, name, found.base)
        if found.base.name.startswith("torch.nn.") and not base.open:
            return MISSING
        return Unknown(f"{name} of {found.base.name}")
    return Unknown(f"{name} of a base class that is not known")


_METHODS_OF_ITEMS = frozenset({*dir(dict), *dir(list)} - {"__init__", "__setattr__", "__getattribute__", "__dict__"})
_LIST_METHODS = frozenset(
    "append extend insert pop keys values items update get __len__ __getitem__ add_module".split()
)


def _of_class(machine: Machine, frame: Frame, base: Class, name: str) -> Value:
    if name in ("__name__", "__qualname__"):
        return base.name
    if name == "__module__":
        return base.frame.namespace.name
    if name == "__doc__":
        return name
    if name == "__mro__":
        return base.mro
    if name == "__bases__":
        return base.bases
    if name == "_fields" and base.kind == "namedtuple":
        return tuple(base.fields)
    if base.kind == "enum" and name in base.fields:
        return base.fields[name]
    value = base.find(name)
    if value is MISSING or isinstance(value, Inherited):
        found = _of_metaclass(base, name)
        value = value if found is MISSING else found
    match value:
        case Function(kind="class"):
            return BoundMethod(base, value)
        case Inherited(base=External(name="torch.autograd.Function")) if name == "apply":
            from conv_lint.interpreter.torch_api import apply_function

            return Native("apply", lambda c, *args: apply_function(c, base, c.arguments))
        case Inherited(base=External() as owner):
            return (
                Method(base, name, owner)
                if name in ("__init__", "forward", "__call__")
                else Unknown(f"{name} of {owner.name}")
            )
        case Inherited():
            return Unknown(f"{name} of a base class that is not known")
    return Unknown(f"{base.name} has no {name}") if value is MISSING else value


def _of_super(machine: Machine, frame: Frame, base: Super, name: str) -> Value:
    receiver = base.receiver
    if isinstance(receiver, Class) and base.after not in receiver.mro:
        found = _of_metaclass(receiver, name, base.after)
        return Unknown(f"{name} of a metaclass") if found is MISSING else found
    if isinstance(receiver, Class):
        value = receiver.find(name, after=base.after)
        if name == "__new__" and not isinstance(value, Function):
            return Native("__new__", lambda c, cls=receiver, *_: Instance(cls))
        if name == "__init_subclass__" and not isinstance(value, Function):
            return Native(name, lambda c, *_: None)
        return BoundMethod(receiver, value) if isinstance(value, Function) and value.kind == "class" else value
    if not isinstance(receiver, Instance) or not isinstance(receiver.cls, Class):
        return Unknown("super() of something unknown")
    value = receiver.cls.find(name, after=base.after)
    if name == "__getattribute__" and not isinstance(value, Function):
        return Native(name, lambda c, key=None: _plainly(c.machine, c.frame, receiver, key))
    if name == "__init__" and not isinstance(value, Function):
        generated = next((c for c in receiver.cls.mro if isinstance(c, Class) and c.kind == "dataclass"), None)
        if generated is not None:
            return _generated_init(receiver, receiver.cls)
    if isinstance(value, Inherited):
        if isinstance(value.base, External):
            mixed = protocols.of_mapping(receiver, name) if value.base.name in protocols.MAPPINGS else None
            return mixed if mixed is not None else Method(receiver, name, value.base)
        if name == "__init__":
            receiver.open = receiver.open or "a base class is not known"
        return Unknown(f"{name} of a base class that is not known")
    if value is MISSING:
        return Method(receiver, name, External("object"))
    return bind(machine, frame, receiver, value)


def _plainly(machine: Machine, frame: Frame, base: Instance, name: Value) -> Value:
    """``super().__getattribute__(name)``: an attribute, whatever the class itself makes of it."""
    found = find(machine, frame, base, name) if isinstance(name, str) else Unknown("an attribute under an unknown name")
    if found is MISSING and not base.open:
        raise PythonRaise("AttributeError")
    return Unknown(base.open) if found is MISSING else found  # type: ignore[arg-type]


def _of_metaclass(receiver: Class, name: str, after: Class | None = None) -> Value:
    """What a class has from its metaclass, or :data:`MISSING`; behind ``after`` for ``super()``."""
    value = receiver.metaclass.find(name, after=after) if receiver.metaclass is not None else MISSING
    if isinstance(value, Function):
        return BoundMethod(receiver, value)
    return Native(name, lambda c, *_: None) if after is not None and name == "__init__" else MISSING


def _generated_init(receiver: Instance, cls: Class) -> Native:
    """``__init__`` of a dataclass, called by a class that derives from it."""
    from conv_lint.interpreter.classes import fill

    return Native("__init__", lambda c, *_: fill(c.machine, c.frame, cls, receiver, c.arguments) and None)


# setting ----------------------------------------------------------------------------------------------------


def set_attribute(machine: Machine, frame: Frame, base: Value, name: str, value: Value) -> None:
    """``base.name = value``."""
    base = machine.resolve(base)
    match base:
        case Instance():
            setter = base.cls.find(name) if isinstance(base.cls, Class) else MISSING
            if isinstance(setter, Property) and setter.setter is not None:
                from conv_lint.interpreter.calls import call_value

                call_value(machine, frame, None, setter.setter, [base, value], {})
                return
            if not base.is_module and protocols.has(base, "__setattr__"):
                protocols.run(machine, frame, base, "__setattr__", name, value)
                if name in base.attrs or (isinstance(base.held, Dict) and name in base.held.items):
                    return
            put(machine, base, name, value)
        case Class():
            machine.journal.touch(base)
            base.attrs[name] = value
        case Function():
            machine.journal.memory.forget()
            base.attrs[name] = value
        case ProjectModule():
            machine.journal.memory.forget()
            base.namespace.frame.locals[name] = value
        case Unknown():
            machine.journal.memory.forget()
            base.parts[("attr", name)] = value
        case Tensor():
            machine.journal.memory.forget()
            if name == "data" and isinstance(value, Tensor):
                base.shape = value.shape
            else:
                base.attrs[name] = value


def set_some(machine: Machine, target: Instance, reason: str = "an attribute was set under an unknown name") -> None:
    """An attribute of an object was set, and it is not known which: one of those, most likely, that only marked that
    something was to follow (``Config(vocab_size=-1)``)."""
    machine.journal.touch(target)
    target.open = target.open or reason
    if not target.is_module:
        for name, value in target.attrs.items():
            if value is None or (type(value) is int and value < 0):
                target.attrs[name] = Unknown(reason)


#: Why not all is known of the attributes of a module.
_SOME = "attributes"


def write_back(machine: Machine, items: Dict) -> None:
    """What was put into ``config.__dict__`` is an attribute of the object from now on."""
    owner = items.owner
    if not isinstance(owner, Instance):
        return
    for name, value in items.items.items():
        if isinstance(name, str) and owner.attrs.get(name, MISSING) is not value:
            put(machine, owner, name, value)
    if items.others not in (None, _SOME):
        set_some(machine, owner, items.others)


def put(machine: Machine, target: Instance, name: str, value: Value) -> None:
    """Set an attribute of an object, whatever its class makes of that; some keep attributes among their items."""
    if target.shares_items and isinstance(target.held, Dict):
        machine.journal.touch(target.held)
        target.held.put(name, value)
    else:
        store(machine, target, name, value)


def store(machine: Machine, target: Instance, name: str, value: Value) -> None:
    """Set an attribute of an object; a module learns under which name it hangs."""
    machine.journal.touch(target)
    if isinstance(value, Unknown) and target.is_container and is_part(target.attrs.get(name)):
        target.open = target.open or "a module was replaced by something unknown"
    if isinstance(value, Instance) and value.is_module:
        if value.owner is None and value is not target:
            value.owner = (target, name)
        before = target.attrs.get(name, MISSING)
        if before is None and not name.isdigit():
            del target.attrs[name]  # torch registers a module behind those registered before
        if isinstance(before, Instance) and not before.is_container and _are_made_together(before, value):
            target.replaced[name] = before
    target.attrs[name] = value


def _are_made_together(one: Instance, other: Instance) -> bool:
    """Are two layers made by two lines of one function?"""
    if one.made is None or other.made is None:
        return False
    return one.made.frame is other.made.frame and one.made.node is not other.made.node


def module_item(machine: Machine, container: Instance, index: Value) -> Value:
    """``container[index]`` of a Sequential, ModuleList, ModuleDict, ParameterList."""
    if isinstance(index, str):
        return container.attrs.get(index, Unknown(container.open or f"no module named {index!r}"))
    if container.open:
        return Unknown(container.open)
    parts = members(container)
    if isinstance(index, int) and not isinstance(index, bool):
        if -len(parts) <= index < len(parts):
            return parts[index]
        return Unknown("an index out of range")
    if isinstance(index, slice) and all(b is None or isinstance(b, int) for b in (index.start, index.stop, index.step)):
        return container_of(
            container.cls if isinstance(container.cls, External) else External(container.torch_name), parts[index]
        )
    if parts and all(p is parts[0] for p in parts):
        return parts[0]
    return Unknown("a module at an unknown index")


def container_of(cls: Value, parts: list[Value]) -> Instance:
    """A new Sequential or ModuleList of these modules; they keep the owners that they have."""
    made = Instance(cls)
    for position, part in enumerate(parts):
        made.attrs[str(position)] = part
        if isinstance(part, Instance) and part.owner is None:
            part.owner = (made, str(position))
    return made


def set_module_item(machine: Machine, container: Instance, index: Value, value: Value) -> None:
    """``container[index] = module``."""
    names = [n for n in container.attrs if n.isdigit()]
    if isinstance(index, str):
        store(machine, container, index, value)
    elif isinstance(index, int) and -len(names) <= index < len(names) and not container.open:
        store(machine, container, names[index], value)
    else:
        machine.journal.touch(container)
        container.open = container.open or "a module was set at an unknown index"


def delete_module_item(machine: Machine, container: Instance, index: Value) -> None:
    """``del container[index]``: the modules behind move up."""
    machine.journal.touch(container)
    if isinstance(index, str):
        container.attrs.pop(index, None)
        return
    parts = members(container)
    try:
        del parts[index]  # type: ignore[arg-type]
    except (IndexError, TypeError):
        container.open = container.open or "an unknown module was deleted"
        return
    for name in [n for n in container.attrs if n.isdigit() or isinstance(container.attrs[n], Instance)]:
        del container.attrs[name]
    container.attrs.update({str(i): p for i, p in enumerate(parts)})
