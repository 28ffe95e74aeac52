"""A first layer that is never run.

``self.features`` takes the 3 channels of an image and makes 256 of them, and ``forward`` never calls it: what it does
call then takes an input of 256 channels.  Such a net runs on no image, though every layer of it fits the next.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import Dim, Expr, eq
from conv_lint.finding import Step
from conv_lint.interpreter import locate
from conv_lint.interpreter.calls import Arguments
from conv_lint.interpreter.judge import TAKES, is_idle, leaves
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Frame, Function, Instance
from conv_lint.interpreter.sides import GIVES
from conv_lint.interpreter.ways import Scope
from conv_lint.tree import walk
from conv_lint.values import Dict, List, Tensor, Value

#: An image has no more channels, where no layer has made them.
FEW = 4
#: So many steps back from a result is the input looked for.
MAX_STEPS = 4000


def look(machine: Machine, module: Instance, arguments: Arguments, result: Value) -> None:
    """Report that the layer for which a model is given its images was not called, once the model has run (CONV412)."""
    made = module.cls
    if machine.muted or not isinstance(made, Class) or made.tree is not machine.tree or module.open:
        return
    for name, layer in _own_idle(module, made):
        takes, gives = _sizes(layer)
        if takes is None or gives is None or eq(takes, gives) is not False:
            continue
        given = next((v for v in arguments.args if isinstance(v, Tensor) and _has(machine, v, layer, gives)), None)
        called = _written(made, name) if given is not None else None
        place = _first_call(module, given, result) if given is not None and called is not None else None
        if place is not None:
            facts = {"layer": made.name, "name": name, "takes": takes, "gives": gives}
            fix = f"self.{called}(x) first"
            locate.report_at(machine, *place, catalogue.first_layer_unrun(**facts, fix=fix))
            return


def _own_idle(module: Instance, made: Class) -> Iterator[tuple[str, Instance]]:
    """The layers that the class has made for itself and did not call, if it is no base of another class."""
    if not all(isinstance(made.attrs.get(name), Function) for name in ("__init__", "forward")):
        return
    if any(isinstance(v, Class) and v is not made and made in v.mro for v in made.frame.locals.values()):
        return
    for name, child in module.children():
        if child.owner is not None and child.owner[0] is module and is_idle(child):
            yield name, child


def _sizes(layer: Instance) -> tuple[Dim | None, Dim | None]:
    """The channels (features) that a layer of images takes and gives, if it takes few."""
    parts = list(leaves(layer))
    takes = [leaf.attrs[name] for leaf in parts for name in TAKES if name in leaf.attrs]
    gives = [leaf.attrs[name] for leaf in parts for name in GIVES if name in leaf.attrs]
    if not gives or not isinstance(gives[-1], (int, Expr)) or not isinstance(takes[0], int) or takes[0] > FEW:
        return None, None
    return takes[0], gives[-1]


def _has(machine: Machine, given: Tensor, layer: Instance, size: Dim) -> bool:
    """Has an input as many channels (features, of tokens) as the layer gives?"""
    first = next((leaf for leaf in leaves(layer) if leaf.layer is not None), None)
    if first is None or first.layer is None or "Conv" not in first.class_name:
        return False
    sizes = machine.shape(given.shape).known
    axes = [axis for axis in (-first.layer.row.n - 1, -1) if -len(sizes) <= axis]
    return any(eq(machine.size(sizes[axis]), size) is True for axis in axes)


def _written(made: Class, name: str) -> str | None:
    """What should be called: the layer, or the one method that calls it, which nobody calls.

    ``None`` if the file reads the layer otherwise, or has its name as a text.
    """
    nodes = list(walk(made.tree.module))
    if any(isinstance(n, cst.SimpleString) and n.raw_value == name for n in nodes):
        return None
    attributes = [n for n in nodes if isinstance(n, cst.Attribute)]
    setup = _setup(made)
    readers = {id(n): "" for n in attributes if n.attr.value == name and id(n) not in setup}
    for method in made.node.body.body if made.node is not None else ():
        if isinstance(method, cst.FunctionDef):
            readers.update((id(n), method.name.value) for n in walk(method) if id(n) in readers)
    if not readers:
        return name
    only, *others = set(readers.values())
    return only if not others and only and all(n.attr.value != only for n in attributes) else None


def _setup(made: Class) -> set[int]:
    """What the constructor writes of its layers to make and to fill them, ``nn.init.zeros_(self.conv.weight)``."""
    found: set[int] = set()
    init = made.attrs["__init__"]
    for node in walk(init.node) if isinstance(init, Function) else ():
        match node:
            case cst.AssignTarget(target=target) | cst.AnnAssign(target=target):
                found.add(id(target))
            case cst.Attribute(value=cst.Attribute() as read):
                found.add(id(read))
            case cst.Call(func=cst.Name(value="isinstance" | "hasattr"), args=[read, _]):
                found.add(id(read.value))
    return found


def _first_call(module: Instance, given: Tensor, result: Value) -> tuple[Frame, cst.CSTNode] | None:
    """Where ``forward`` first does something with its input."""
    waiting = [value.step for value in _tensors(result) if value.step is not None]
    seen: set[int] = set()
    found: list[tuple[Frame, cst.CSTNode]] = []
    while waiting and len(seen) < MAX_STEPS:
        step = waiting.pop()
        if id(step) in seen:
            continue
        seen.add(id(step))
        waiting.extend(step.parents)
        if given.step is not None and any(parent is given.step for parent in step.parents):
            found += _call_of(module, step)
    return min(found, key=lambda place: place[0].place(place[1]).line, default=None)


def _call_of(module: Instance, step: Step) -> Iterator[tuple[Frame, cst.CSTNode]]:
    """The call in the module's own ``forward`` in which a step was done."""
    scope = step.scope
    if not isinstance(scope, Scope):
        return
    node = scope.node
    for frame in scope.frame.stack():
        if frame.self_value is module and node is not None:
            yield frame, node
            return
        node = frame.call.node if frame.call is not None else None


def _tensors(value: Value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, List, Dict)):
        held = value.items.values() if isinstance(value, Dict) else value.items if isinstance(value, List) else value
        for item in held:
            yield from _tensors(item)
