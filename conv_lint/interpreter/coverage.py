"""How much of a file's layers was really checked: silence about what was never reached is no clean bill.

A layer is counted at the call that constructs it.  It is *checked* if a tensor of known rank and width reached it, or
the net's own input, which is what its first layer takes; *unknown* if only tensors did of which too little is known;
else it was *never* reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import libcst as cst

from conv_lint import ops
from conv_lint.dims import Expr
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.namespace import LazyImport
from conv_lint.interpreter.objects import Instance, Layer
from conv_lint.values import External, Shape, Tensor, Value

CHECKED, UNKNOWN = "checked", "unknown"


@dataclass
class Coverage:
    """The layers of one class (or of the top level of the file, without a name)."""

    name: str
    checked: int = 0
    unknown: int = 0
    never: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.checked + self.unknown + self.never


def note_call(machine: Machine, module: Instance, inputs: list[Value]) -> None:
    """Remember with what a layer was called."""
    if module.layer is None:
        return
    site = id(module.layer.call.node)
    if machine.reached.get(site) == (CHECKED, ""):
        return
    machine.reached[site] = (CHECKED, "") if not (why := _unknown(machine, module, inputs)) else (UNKNOWN, why)


def note_same(machine: Machine, known: Layer, layer: Layer) -> None:
    """A layer was called as another one was."""
    site = id(layer.call.node)
    found = machine.reached.get(id(known.call.node))
    if found is not None and machine.reached.get(site) != (CHECKED, ""):
        machine.reached[site] = found


def _unknown(machine: Machine, module: Instance, inputs: list[Value]) -> str:
    """Why too little is known of the first input, or nothing."""
    first = machine.resolve(inputs[0]) if inputs else None
    if not isinstance(first, Tensor):
        return getattr(first, "reason", "no tensor")
    shape = machine.shape(first.shape)
    if shape.rest is not None:
        return "" if shape.rest.image or (shape.known and not _has_width(module)) else shape.rest.reason
    axis = _width_axis(module, shape)
    if axis is None or not -len(shape) <= axis < len(shape):
        return ""
    width = shape[axis]
    if isinstance(width, Expr) and all(not s.given for s in width.symbols) and not _is_input(first):
        return "its number of channels"
    return ""


def _has_width(module: Instance) -> bool:
    return "weight" in module.attrs


def _width_axis(module: Instance, shape: Shape) -> int | None:
    """The axis from the right whose size the layer's weight must fit; ``None`` if it has none."""
    if module.layer is None or not _has_width(module):
        return None
    last = module.layer.row.name.rpartition(".")[2]
    if last.startswith(("Linear", "Bilinear", "LayerNorm", "RMSNorm", "Embedding")):
        return -1
    return -module.layer.row.n - 1 if module.layer.row.n else 1 - len(shape)


def _is_input(tensor: Tensor) -> bool:
    return tensor.step is not None and not tensor.step.parents and tensor.step.label.startswith("the input")


# counting ---------------------------------------------------------------------------------------------------


def coverage(machine: Machine) -> list[Coverage]:
    """The layers of the linted file, by class."""
    found: dict[str, Coverage] = {}
    for name, node in _constructions(machine):
        one = found.setdefault(name, Coverage(name))
        status, reason = machine.reached.get(id(node), ("never", ""))
        if status == CHECKED:
            one.checked += 1
        elif status == UNKNOWN:
            one.unknown += 1
            one.reasons[reason] += 1
        else:
            one.never += 1
    return list(found.values())


def _constructions(machine: Machine) -> Iterator[tuple[str, cst.Call]]:
    """Every call in the file that constructs a layer of torch.nn with a rule of its own, and the class it is in."""
    stack: list[tuple[str, cst.CSTNode]] = [("", machine.tree.module)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, cst.ClassDef) and not name:
            name = node.name.value
        if isinstance(node, cst.Call) and _is_layer(machine, node.func):
            yield name, node
        stack.extend((name, child) for child in reversed(node.children))


def _is_layer(machine: Machine, function: cst.BaseExpression) -> bool:
    names: list[str] = []
    while isinstance(function, cst.Attribute):
        names.insert(0, function.attr.value)
        function = function.value
    if not isinstance(function, cst.Name):
        return False
    value = machine.namespaces["__main__"].frame.locals.get(function.value)
    if isinstance(value, LazyImport):
        value = External(".".join(filter(None, (value.module, value.name))))
    row = ops.LAYERS.get(".".join([value.name, *names])) if isinstance(value, External) else None
    return row is not None and row.rule is not None
