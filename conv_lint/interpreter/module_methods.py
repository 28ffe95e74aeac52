"""The methods that nn.Module and its containers give."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from conv_lint import catalogue
from conv_lint.interpreter import attributes, faults, protocols, tensors, unready
from conv_lint.interpreter.calls import Arguments, call_value
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.modules import add_all, alternatives, count, forward_of, walk
from conv_lint.interpreter.objects import Class, Frame, Function, Instance, Method
from conv_lint.interpreter.sequences import is_part, members
from conv_lint.values import External, Iter, List, Tensor, Unknown, Value

Handler = Callable[[Machine, Frame, Instance, Arguments], Value]
METHODS: dict[str, Handler] = {}


def method(*names: str) -> Callable[[Handler], Handler]:
    """Register a method of nn.Module or of its containers."""

    def register(handler: Handler) -> Handler:
        METHODS.update(dict.fromkeys(names, handler))
        return handler

    return register


def call_method(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, called: Method, arguments: Arguments
) -> Value:
    """Call a method that a library class gives to an object of the checked code."""
    from conv_lint.interpreter.classes import initialize as initialize_base

    receiver, name = called.receiver, called.name
    base = called.base.name if isinstance(called.base, External) else ""
    if isinstance(receiver, Class) and arguments.args:
        # Base.method(self, ...)
        receiver = arguments.args[0]
        arguments = Arguments(
            arguments.args[1:],
            arguments.kwargs,
            arguments.nodes[1:],
            arguments.kw_nodes,
            arguments.others,
            maybe=arguments.maybe,
        )
    if not isinstance(receiver, Instance):
        return Unknown(f"{name} of something unknown")
    if name == "__init__":
        initialize_base(machine, frame, node, receiver, called.base, arguments)
        return None
    if name in ("forward", "__call__"):
        return forward_of(machine, frame, node, receiver, base, arguments)
    if name == "__setattr__" and len(arguments.args) == 2 and isinstance(arguments.args[0], str):
        attributes.put(machine, receiver, arguments.args[0], arguments.args[1])
        return None
    if receiver.held is not None:
        return protocols.of_items(machine, frame, node, receiver.held, name, arguments.args)
    if name in METHODS and not (name == "__len__" and receiver.open):
        return METHODS[name](machine, frame, receiver, arguments)
    return Unknown(f"{name} of {base}")


def argument(arguments: Arguments, position: int, name: str, default: Value = None) -> Value:
    """One argument by position or by name."""
    if position < len(arguments.args):
        return arguments.args[position]
    return arguments.kwargs.get(name, default)


@method("add_module", "register_module")
def _add_module(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    value = machine.resolve(argument(arguments, 1, "module"))
    if module.is_container and isinstance(value, Unknown) and not is_part(value):
        machine.journal.touch(module)
        module.open = module.open or value.reason
    return _register(machine, frame, module, arguments)


def _refuse_name(machine: Machine, frame: Frame, arguments: Arguments, name: str) -> None:
    """torch takes no name with a dot, which stands between the names in a ``state_dict``, and no empty one."""
    node = arguments.nodes[0] if arguments.nodes else arguments.kw_nodes.get("name")
    if (name and "." not in name) or node is None or not faults.is_certain(machine, frame):
        return
    problem = f"a name can't contain a dot; write {name.replace('.', '_')!r}" if name else "a name can't be empty"
    faults.report(machine, frame, node, catalogue.call_signature(layer=repr(name), problem=problem))


@method("register_buffer", "register_parameter")
def _register(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    name = argument(arguments, 0, "name")
    value = next((arguments.kwargs[k] for k in ("module", "tensor", "param") if k in arguments.kwargs), None)
    value = arguments.args[1] if len(arguments.args) > 1 else value
    if isinstance(name, str):
        _refuse_name(machine, frame, arguments, name)
        node = next((n for n in (*arguments.nodes, *arguments.kw_nodes.values()) if n is not None), None)
        if node is not None:
            unready.check(machine, frame, node, module, name, value, registered=True)
        attributes.store(machine, module, name, value)
    else:
        machine.journal.touch(module)
        module.open = module.open or "a module was added under an unknown name"
    return None


@method("append")
def _append(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    attributes.store(machine, module, str(count(module)), argument(arguments, 0, "module"))
    return module


@method("extend", "update")
def _extend(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    add_all(machine, module, argument(arguments, 0, "modules"))
    return module


@method("insert")
def _insert(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    index, value = argument(arguments, 0, "index"), argument(arguments, 1, "module")
    machine.journal.touch(module)
    parts = members(module)
    if not isinstance(index, int):
        module.open = module.open or "a module was inserted at an unknown index"
        return module
    parts.insert(index, value)
    for name in [n for n in module.attrs if n.isdigit()]:
        del module.attrs[name]
    module.attrs.update({str(i): p for i, p in enumerate(parts)})
    return module


@method("pop")
def _pop(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    index = argument(arguments, 0, "key", -1)
    value = attributes.module_item(machine, module, index)
    attributes.delete_module_item(machine, module, index)
    return value


@method("keys")
def _keys(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return List([n for n, v in module.attrs.items() if isinstance(v, (Instance, Tensor))], module.open)


@method("items", "named_children")
def _named_children(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return List([(n, v) for n, v in module.children()], module.open)


@method("values", "children")
def _children(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return List([v for _, v in module.children()], module.open)


@method("modules")
def _modules(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    found = [m for _, m in walk(module)]
    return Iter(found, next((m.open for m in found if m.open and m.is_container), None))


@method("named_modules")
def _named_modules(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    found = list(walk(module))
    pairs: list[Value] = [(name, m) for name, m in found]
    return Iter(pairs, next((m.open for _, m in found if m.open and m.is_container), None))


@method("parameters", "buffers", "named_buffers")
def _parameters(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return Iter([], "parameters")


def _set_training(value: bool | None) -> Handler:
    def handler(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
        mode = argument(arguments, 0, "mode", True) if value is None else value
        for part in alternatives(module):
            machine.journal.touch(part)
            part.training = mode if isinstance(mode, bool) else None
        return module

    return handler


METHODS["train"], METHODS["eval"] = _set_training(None), _set_training(False)


@method(
    "to", "cuda", "cpu", "half", "float", "double", "type", "requires_grad_", "share_memory", "bfloat16", "xpu",
    "to_empty", "ipu", "compile",
)  # fmt: skip
def _itself(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return module


@method("flatten_parameters")
def _flatten(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    """How the weights of a recurrent layer lie in memory."""
    return None


@method("apply")
def _apply(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    """The function is called on each module, unless all that it does is to fill parameters."""
    from conv_lint.interpreter.loops import only_fills

    function = argument(arguments, 0, "fn")
    node = function.node if isinstance(function, Function) else None
    if isinstance(node, cst.FunctionDef) and not only_fills(node.body):
        for _, part in reversed(list(walk(module))):
            call_value(machine, frame, None, function, [part], {})
    return module


@method(
    "zero_grad", "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_backward_hook", "init_weights", "extra_repr", "_get_name", "save_hyperparameters", "log",
)  # fmt: skip
def _nothing(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    faults.share(machine, arguments.args)  # a hook may fill a list
    return None


@method("get_submodule", "__getattr__")
def _get_submodule(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    path = argument(arguments, 0, "target")
    here: Value = module
    for name in path.split(".") if isinstance(path, str) else ():
        here = attributes.get(machine, frame, None, here, name)
    return here if isinstance(path, str) else Unknown("an unknown submodule")


@method("generate_square_subsequent_mask")
def _mask(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    size = argument(arguments, 0, "sz")
    return tensors.call(machine, frame, None, "torch.zeros", [size, size], {})


@method("__getitem__")
def _item(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return attributes.module_item(machine, module, machine.resolve(argument(arguments, 0, "idx")))


@method("__len__")
def _length(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    return len(members(module))
