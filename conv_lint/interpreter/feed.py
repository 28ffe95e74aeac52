"""A model that nobody calls is called: on what its file says of its inputs, or on inputs of which nothing is known."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace

import libcst as cst

from conv_lint.configured import shapes_for
from conv_lint.finding import Step
from conv_lint.interpreter import published, unrun
from conv_lint.interpreter.calls import Arguments, call_with
from conv_lint.interpreter.demands import ACCEPTED, Demands
from conv_lint.interpreter.fed import inputs_of
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Inherited, Instance
from conv_lint.interpreter.tensors import new_input
from conv_lint.values import External, Shape, Tensor, Value

#: What is wrong with a number of dimensions: prose that grew old, tells one of several, or speaks of a model of
#: pictures where this one takes clips, is no proof of that.
OF_RANK = frozenset("CONV401 CONV403 CONV404 CONV405 CONV406 CONV408 CONV409".split())


def feed(
    machine: Machine, frame: Frame, module: Instance, inputs: Iterable[Value] | None = None, maker: Value = None
) -> Value:
    """Call a module on inputs of which nothing is known but what its own file says; ``maker``: what has made it."""
    machine.by_default = True
    forward = _forward(module)
    if inputs is None and isinstance(module.cls, Class):
        inputs = configured(machine, module.cls.name) or _example(module)
    arguments = Arguments(list(inputs) if inputs is not None else [])
    if inputs is None and isinstance(forward, Function):
        arguments = inputs_of(machine, frame, forward)
    elif inputs is None:
        if isinstance(forward, Inherited) and not isinstance(forward.base, External):
            return None
        arguments.args = [new_input("x", frame, None)]
    arguments.nodes = [None] * len(arguments.args)
    node: cst.CSTNode | None = made.node if isinstance(made := module.cls, Class) else None
    if module.torch_name == "torch.nn.Sequential" and module.call is not None and isinstance(module.cls, External):
        node = module.call.node if module.call.frame.tree is machine.tree else None  # where it was made
    if machine.models is None or inputs is not None or not _is_image(arguments):
        image = published.image(machine, module, maker) if _is_image(arguments) else None
        if image is not None:
            return _published(machine, frame, node, module, arguments, image)
        return _called(machine, frame, node, module, arguments)
    return _observed(machine, module, arguments, lambda: call_with(machine, frame, node, module, arguments))


def _called(machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments) -> Value:
    found = len(machine.findings)
    result = call_with(machine, frame, node, module, arguments)
    if len(machine.findings) == found:
        unrun.look(machine, module, arguments, result)
    return result


def _published(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance, arguments: Arguments, image: Tensor
) -> Value:
    """Call a model on the images for which it is published; what is wrong for any image is said of any image."""
    found = len(machine.findings)
    try:
        return call_with(machine, frame, node, module, replace(arguments, args=[image, *arguments.args[1:]]))
    finally:
        # How such images are cut is not for this file to say.
        wrong = [f for f in machine.findings[found:] if f.code not in ACCEPTED]
        del machine.findings[found:]
        if wrong:
            with contextlib.suppress(PythonRaise):
                _called(machine, frame, node, module, arguments)
        if not any(f.code in OF_RANK for f in wrong):
            machine.findings[found:] = machine.findings[found:] or wrong


def _forward(module: Instance) -> Value:
    """What is run when a module is called."""
    if not isinstance(module.cls, Class):
        return MISSING
    own = module.cls.find("__call__")
    return own if isinstance(own, Function) else module.cls.find("forward")


def _is_image(arguments: Arguments) -> bool:
    first = arguments.args[0] if arguments.args else None
    return isinstance(first, Tensor) and first.shape.rest is not None and first.shape.rest.image


def _observed(machine: Machine, module: Instance, arguments: Arguments, call: Callable[[], Value]) -> Value:
    """Run a model and keep what it demands of its first input."""
    assert machine.models is not None
    named = machine.entry if machine.entry is not None else module.cls.node if isinstance(module.cls, Class) else None
    line = machine.tree.position(named)[0] if named is not None else 1
    name = named.name.value if named is not None else module.class_name
    first = arguments.args[0]
    assert isinstance(first, Tensor)
    machine.demands = seen = Demands(name, line, first)
    found = len(machine.findings)
    try:
        result = call()
    except PythonRaise:
        seen.failed = True
        raise
    finally:
        machine.demands = None
        seen.settle(machine)
        seen.failed = seen.failed or any(f.code not in ACCEPTED for f in machine.findings[found:])
        if machine.prefer_batched:
            machine.models.append(seen)
    return result


def configured(machine: Machine, name: str) -> list[Value] | None:
    """The inputs that the option ``conv-inputs`` gives to a class or a factory of the file."""
    shapes = shapes_for(machine.inputs, f"{machine.project.name}.{name}") if machine.inputs else None
    if shapes is None:
        return None
    step = "the input, by conv-inputs"
    return [Tensor(Shape(sizes), Step(step, None, tuple(sizes)), sure=True) for sizes in shapes]


def _example(module: Instance) -> list[Value] | None:
    """``self.example_input_array = torch.rand(1, 3, 32, 32)`` of a LightningModule."""
    example = module.attrs.get("example_input_array")
    if isinstance(example, Tensor):
        return [example]
    return list(example) if isinstance(example, tuple) and all(isinstance(v, Tensor) for v in example) else None
