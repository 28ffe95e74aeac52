"""torch.nn modules: construction, containers, calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from conv_lint import catalogue, ops
from conv_lint.finding import Step
from conv_lint.interpreter import arity, attributes, coverage, faults, locate, recall, sequential, tensors
from conv_lint.interpreter.calls import Arguments, call_value, call_with, with_first
from conv_lint.interpreter.journal import ONLY_SOMETIMES, is_lost
from conv_lint.interpreter.machine import LayerCall, Machine, PythonRaise
from conv_lint.interpreter.objects import (
    MISSING,
    Call,
    Class,
    Frame,
    Function,
    Inherited,
    Instance,
    Layer,
)
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.ways import Scope
from conv_lint.ops.rule import Op
from conv_lint.ops.table import LayerRow
from conv_lint.values import CannotTell, Choice, Dict, External, List, Shape, Tensor, Unknown, Value, any_shape

CONTAINERS = frozenset(
    f"torch.nn.{n}" for n in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
)

_HOLDS_OTHERS = "holds what is no layer"


# construction -----------------------------------------------------------------------------------------------


def construct(machine: Machine, frame: Frame, node: cst.CSTNode | None, name: str, arguments: Arguments) -> Value:
    """Call a class of torch.nn."""
    if name not in CONTAINERS and name not in ops.LAYERS and name != "torch.nn.Module":
        return machine.unknown(f"{name} is not in the op table", frame, node)
    instance = Instance(External(name), call=Call(node, frame) if node is not None else frame.call)
    initialize(machine, frame, node, instance, name, arguments)
    return instance


def initialize(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, instance: Instance, name: str, arguments: Arguments
) -> None:
    """``__init__`` of a class of torch.nn, on a new object of it or of a class that derives from it."""
    machine.journal.touch(instance)
    if name in CONTAINERS:
        _fill(machine, frame, node, instance, name, arguments)
    elif name in ops.LAYERS:
        _build(machine, frame, node, instance, ops.LAYERS[name], arguments)
    elif name != "torch.nn.Module":
        instance.open = f"{name} is not in the op table"


def _fill(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, container: Instance, name: str, arguments: Arguments
) -> None:
    """The children of a container."""
    if arguments.starred is not None and name == "torch.nn.Sequential":
        _fill_perhaps(machine, container, arguments.starred)
        return
    if arguments.open:
        container.open = f"is made from {arguments.open}"
    values = arguments.args
    if name != "torch.nn.Sequential" or (len(values) == 1 and isinstance(machine.resolve(values[0]), Dict)):
        for value in [*values, *arguments.kwargs.values()]:
            if faults.no_modules(machine, frame, node, container, machine.resolve(value)):
                container.open = _HOLDS_OTHERS
            else:
                add_all(machine, container, value)
        for (_, value), place in zip(_entries(container), _elements(node)):
            if faults.no_module(machine, frame, place, container, machine.resolve(value)):
                container.open = _HOLDS_OTHERS
                break
        return
    for position, value in enumerate(values):
        at = arguments.nodes[position] if position < len(arguments.nodes) else None
        if not container.open and faults.no_module(machine, frame, at or node, container, machine.resolve(value)):
            container.open = _HOLDS_OTHERS
        attributes.store(machine, container, str(position), value)


def _fill_perhaps(machine: Machine, container: Instance, given: List) -> None:
    """``nn.Sequential(*layers)``, where a branch has put some of the layers into the list."""
    for position, value in enumerate(given.items):
        name = str(position)
        attributes.store(machine, container, name, value)
        if position in given.maybe:
            container.sometimes[name] = given.maybe[position], container.attrs[name]
    container.open = ONLY_SOMETIMES


def _entries(container: Instance) -> list[tuple[str, Value]]:
    return [(name, value) for name, value in container.attrs.items() if name != "training"]


def _elements(node: cst.CSTNode | None) -> Iterator[cst.CSTNode | None]:
    """Where the members of ``ModuleList([...])`` are written: in the display, else at the call."""
    if isinstance(node, cst.Call) and len(node.args) == 1:
        display = node.args[0].value
        if isinstance(display, (cst.List, cst.Tuple)) and not any(
            isinstance(e, cst.StarredElement) for e in display.elements
        ):
            yield from (e.value for e in display.elements)
    while True:
        yield node


def add_all(machine: Machine, container: Instance, value: Value) -> None:
    """``extend`` of a ModuleList, ``update`` of a ModuleDict, and the argument of their constructors."""
    value = machine.resolve(value)
    if value is None:
        return
    machine.journal.touch(container)
    if isinstance(value, Dict):
        for key, item in value.items.items():
            attributes.store(machine, container, str(key), item)
        container.open = container.open or value.open
        return
    if isinstance(value, Instance) and value.torch_name == "torch.nn.ModuleDict":
        for key, item in value.children():
            attributes.store(machine, container, key, item)
        container.open = container.open or value.open
        return
    items = items_of(machine, value)
    if items is None:
        container.open = (
            container.open or getattr(value, "reason", None) or getattr(value, "open", None) or "unknown modules"
        )
        return
    pairs = container.torch_name in ("torch.nn.ModuleDict", "torch.nn.ParameterDict")
    for item in items:
        pair = items_of(machine, item) if pairs else None
        if pair is not None and len(pair) == 2:
            attributes.store(machine, container, str(pair[0]), pair[1])
        else:
            attributes.store(machine, container, str(count(container)), item)


def count(container: Instance) -> int:
    """How many numbered members a container has."""
    return sum(1 for name in container.attrs if name.isdigit())


def _build(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, instance: Instance, row: LayerRow, arguments: Arguments
) -> None:
    """Bind the arguments of a layer, check them, make its parameters."""
    site = Call(node, frame) if node is not None else instance.call or Call(frame.tree.module, frame)
    label = row.name.rpartition(".")[2]
    try:
        given = {k: tensors.to_rule(machine, v) for k, v in arguments.kwargs.items()}
        for name in arguments.maybe:  # the program gives what the layer does not take to other layers only
            given.pop(name)
        if open := arguments.open or arguments.rest:
            known = {*row.signature.positional[: len(arguments.args)], *given}
            given.update({n: Unknown(open) for n in row.signature.positional if n not in known})
        bound = row.signature.bind([tensors.to_rule(machine, a) for a in arguments.args], given)
    except TypeError as error:
        instance.open = f"{label}: {error}"
        made_up = str(error).startswith("missing") and arity.passes_on_nothing(machine, frame, node)
        if node is not None and not made_up:
            locate.report_at(machine, frame, node, catalogue.call_signature(layer=label, problem=str(error)))
        return
    if node is not None and faults.is_certain(machine, frame) and _is_meant_as_call(row, arguments):
        name = cst.Module([]).code_for_node(node.func) if isinstance(node, cst.Call) else label
        call = f"{name}()({', '.join(['...'] * len(arguments.args))})"
        problem = f"is given a tensor where it is made, not where it is called; write {call}"
        locate.report_at(machine, frame, node, catalogue.call_signature(layer=label, problem=problem))
        instance.open = tensors.MADE_OF_TENSOR
    tensors.weigh(machine, bound)
    instance.layer = Layer(row, bound, site)
    attrs = {k: List(v) if isinstance(v, list) else v for k, v in bound.items() if k not in ("device", "dtype")}
    instance.attrs.update(attrs)
    if row.name in _STACKS:
        _stack(
            machine, instance, arguments.kwargs.get(_STACKS[row.name], arguments.args[0] if arguments.args else None)
        )
    if row.build is None:
        return
    world = tensors.CallWorld(machine, site.frame, None, row.signature, instance)
    try:
        made = tensors.guarded(row.build, Op(row.name, row.n, label, bound, world), bound)
    except CannotTell as why:
        instance.open = str(why)
        return
    for name, value in made.items():
        if isinstance(value, Shape):
            step = Step(f"{label}.{name}", site.frame.place(site.node), tuple(value.known))
            instance.attrs[name] = Tensor(Shape(tuple.__iter__(value)), step, parameter=True)
        else:
            instance.attrs[name] = value


def _is_meant_as_call(row: LayerRow, arguments: Arguments) -> bool:
    """Is a layer or loss that needs no arguments, or none that are tensors, given what it is to work on:
    ``nn.ReLU(x)``, ``nn.CrossEntropyLoss(output, target)``?"""
    positional = row.signature.positional
    if not arguments.args or arguments.kwargs or set(positional) - set(row.signature.defaults):
        return False
    loose = [isinstance(value, Tensor) and not value.parameter for value in arguments.args]
    return loose[0] and (positional[:1] not in (("weight",), ()) or loose == [True, True])


#: What is said of a layer that does run.
_REMARKS = (catalogue.lossy_size, catalogue.floored_size)


# calling ----------------------------------------------------------------------------------------------------


def call_module(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments
) -> Value:
    """``module(x)``: its ``forward``, defined by its class or given by torch."""
    module.called = True
    found = len(machine.findings)
    was_known = module.fits or (not machine.muted and _is_known_to_fit(machine, module, arguments.args))
    try:
        result = _call(machine, frame, node, module, arguments)
    except PythonRaise:
        module.raised = True
        raise
    is_right = not machine.muted and all(f.report.rule in _REMARKS for f in machine.findings[found:])
    if is_right and _is_fed(machine, arguments) and _is_known_to_fit(machine, module, arguments.args):
        module.fits, module.fitted = was_known, module.fitted or not machine.by_default
    return result


def _is_known_to_fit(machine: Machine, module: Instance, values: Sequence[Value]) -> bool:
    """Has the input the channels or features that a layer takes, rather than as many as nobody knows?"""
    takes = next((module.attrs[name] for name in _TAKES if name in module.attrs), None)
    value = machine.resolve(values[0]) if values else None
    if takes is None or module.layer is None or not isinstance(value, Tensor):
        return True
    shape = machine.shape(value.shape)
    return shape.rest is None and any(size == takes for size in tuple.__iter__(shape))


_TAKES = ("in_channels", "in_features", "num_features")


def _is_fed(machine: Machine, arguments: Arguments) -> bool:
    """Is a module given something, rather than what comes out of an operation that is not understood?"""
    first = machine.resolve(arguments.args[0]) if arguments.args else None
    return not is_lost(first) if isinstance(first, Tensor) else type(first) is not Unknown


def _call(machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments) -> Value:
    if isinstance(module.cls, Class):
        own = module.cls.find("__call__")
        if "forward" in module.attrs and not isinstance(own, Function):  # set on the object, so that it is not bound
            return call_with(machine, frame, node, module.attrs["forward"], arguments)
        forward = own if isinstance(own, Function) else module.cls.find("forward")
        if isinstance(forward, Function):
            given = arguments if forward.kind == "static" else with_first(arguments, module)
            result = recall.module_call(machine, frame, node, forward, given)
            if not machine.muted and module.open is None and _is_fed(machine, arguments):
                machine.exercised.add(module.cls)
            return result
        if isinstance(forward, Inherited) and isinstance(forward.base, External):
            return forward_of(machine, frame, node, module, forward.base.name, arguments)
        if forward is MISSING:
            faults.no_forward(machine, frame, node, module)
        if forward is not MISSING and not isinstance(forward, Inherited):
            return call_value(machine, frame, node, forward, arguments.args, arguments.kwargs)
        return machine.unknown(f"{module.class_name} has no forward that is known", frame, node)
    return forward_of(machine, frame, node, module, module.torch_name, arguments)


def forward_of(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, name: str, arguments: Arguments
) -> Value:
    """``forward`` as the torch.nn class ``name`` defines it."""
    if name == "torch.nn.Sequential":
        return sequential.run(machine, frame, node, module, arguments)
    if name in ("torch.nn.Module", "torch.nn.ModuleList", "torch.nn.ModuleDict"):
        faults.no_forward(machine, frame, node, module)
    coverage.note_call(machine, module, arguments.args)
    if name in _STACKS:
        made = _run_member(machine, frame, node, module, arguments)
        if isinstance(made, Tensor):
            _watched(machine, module, arguments, made)
            return made
    row = ops.LAYERS.get(name)
    if row is None or row.rule is None or module.open or module.layer is None or arguments.open:
        reason = module.open or arguments.open or f"{name} is not in the op table"
        result: Value = Tensor(any_shape(reason), step_of(machine, frame, node, module, arguments))
        machine.unknown(reason, frame, node)
        _watched(machine, module, arguments, result)
        return result
    result = _run_layer(machine, frame, node, module, row, arguments)
    _watched(machine, module, arguments, result)
    return result


#: What runs copies of one layer, one behind the other, and the argument that is the layer.
_STACKS = {"torch.nn.TransformerEncoder": "encoder_layer", "torch.nn.TransformerDecoder": "decoder_layer"}
#: No more copies are listed.
MOST_COPIES = 100


def _stack(machine: Machine, instance: Instance, layer: Value) -> None:
    """The copies of a layer; one layer stands for all of them."""
    layer, number = machine.resolve(layer), instance.attrs.get("num_layers")
    if isinstance(layer, Instance):
        copies = Instance(External("torch.nn.ModuleList"), call=instance.call)
        attributes.store(machine, instance, "layers", copies)
        add_all(machine, copies, List([layer] * min(number, MOST_COPIES) if isinstance(number, int) else [layer]))
        copies.open = None if isinstance(number, int) else "so many layers as nobody knows"


def _run_member(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments
) -> Value:
    """What the first of the copies makes, given the masks that the stack is given; the others change nothing more."""
    copies = module.attrs.get("layers")
    layer = copies.attrs.get("0") if isinstance(copies, Instance) else None
    if not isinstance(layer, Instance) or not isinstance(layer.cls, External) or arguments.others or arguments.rest:
        return None
    kwargs = {"src_mask" if name == "mask" else name: value for name, value in arguments.kwargs.items()}
    kwargs = {name: value for name, value in kwargs.items() if not name.endswith("is_causal")}
    count = 3 if layer.torch_name.endswith("EncoderLayer") else 6
    given = Arguments(arguments.args[:count], kwargs, arguments.nodes[:count], arguments.kw_nodes)
    return call_module(machine, frame, node, layer, given)


def _watched(machine: Machine, module: Instance, arguments: Arguments, result: Value) -> None:
    if machine.watch is not None:
        machine.watch(LayerCall(module, tuple(arguments.args), result))


def step_of(machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments) -> Step:
    place = module.layer.call.frame.place(module.layer.call.node) if module.layer is not None else None
    if place is None and node is not None:
        place = frame.place(node)
    steps = tuple(a.step for a in arguments.args if isinstance(a, Tensor) and a.step is not None)
    return Step(module.label, place, (), steps, Scope(frame, module, node), doubts=tensors.all_doubts(steps))


def _run_layer(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, row: LayerRow, arguments: Arguments
) -> Value:
    assert module.layer is not None
    label = module.label
    try:
        given = row.forward.bind(
            [tensors.to_rule(machine, a) for a in arguments.args],
            {k: tensors.to_rule(machine, v) for k, v in arguments.kwargs.items()},
        )
    except TypeError as error:
        made_up = str(error).startswith("missing") and arity.passes_on_nothing(machine, frame, node)
        # What keeps every shape may stand for a norm of one's own, which takes more.
        made_up |= machine.supposed_kinds and row.name == "torch.nn.Identity"
        if isinstance(node, cst.Call) and not made_up and faults.is_certain(machine, frame):
            faults.report(machine, frame, node, catalogue.call_signature(layer=label, problem=str(error)))
        if machine.catching and str(error).startswith("unexpected"):
            raise PythonRaise("TypeError") from None
        return machine.unknown(f"{label}: {error}", frame, node)
    world = tensors.CallWorld(machine, frame, node, row.signature, module)
    values = {k: tensors.to_rule(machine, v) for k, v in module.attrs.items()}
    values.update(given)
    tensors.weigh(machine, values)
    op = Op(row.name, row.n, label, {**module.layer.arguments, **given}, world)
    training = attributes.find(machine, frame, module, "training")
    op.training = training if isinstance(training, bool) else None
    step = step_of(machine, frame, node, module, arguments)
    world.trail = step.parents
    tensors.ask(machine, row.rule, op, values)
    try:
        result = tensors.guarded(row.rule, op, values)
    except CannotTell as why:
        if not world.reported:
            machine.unknown(f"{label}: {why}", frame, node)
        return Tensor(any_shape(str(why)), step)
    return tensors.from_rule(result, step, op)


def walk(module: Instance, path: str = "", seen: set[int] | None = None) -> list[tuple[str, Instance]]:
    """A module and everything below it, once each, with dotted paths: ``named_modules()``."""
    seen = set() if seen is None else seen
    if id(module) in seen:
        return []
    seen.add(id(module))
    out = [(path, module)]
    for name, child in module.children():
        out += walk(child, f"{path}.{name}" if path else name, seen)
    return out


def alternatives(module: Instance) -> list[Instance]:
    """A module and everything that is, or may be, below it: of a member that is one of two, both."""
    found: dict[int, Instance] = {}
    waiting: list[Value] = [module]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Choice):
            waiting += [value.then, value.other]
        elif isinstance(value, Instance) and value.is_module and id(value) not in found:
            found[id(value)] = value
            waiting += value.attrs.values()
    return list(found.values())


def is_leaf(module: Instance) -> bool:
    """A layer of torch with nothing below it."""
    return isinstance(module.cls, External) and module.torch_name not in CONTAINERS
