"""Arguments of a constructor that nobody calls: symbols for numbers, a configuration with its defaults, or something
unknown."""

from __future__ import annotations

import re

import libcst as cst

from conv_lint.interpreter import classes
from conv_lint.interpreter.calls import FURTHER, Arguments, call_with
from conv_lint.interpreter.expressions import evaluate
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Instance
from conv_lint.tree import dotted, walk
from conv_lint.values import Dict, External, List, Unknown, Value

#: Parameters that hold the object of a class that the model names as ``config_class``.
_CONFIGURATIONS = frozenset("args cfg conf config configs configuration hparams hps opt params".split())


def instead_of(default: str | None, init: Function) -> dict[str, Value]:
    """Something unknown for each parameter that defaults to ``"None"``, or to ``"0"``, or, for none, that has a
    default."""
    params = [*init.node.params.params, *init.node.params.kwonly_params]
    if default is None:
        names = [p.name.value for p in params if p.default is not None]
        return {name: Unknown(f"the parameter {name}", name) for name in names}
    plain = (p for p in params if isinstance(p.default, (cst.Name, cst.Integer)))
    names = [p.name.value for p in plain if getattr(p.default, "value", None) == default]
    return {name: Unknown(f"the parameter {name}", name) for name in names}


def arguments_for(machine: Machine, frame: Frame, made: Class | None, function: Function) -> dict[str, Value]:
    """What is given for each required parameter of a function, or of the ``__init__`` of ``made`` behind ``self``."""
    inner = function.unwrapped  # what it passes its arguments on to
    function = inner if isinstance(inner, Function) else function
    params = function.node.params
    positional = [*params.posonly_params, *params.params][made is not None :]
    required = [p for p in (*positional, *params.kwonly_params) if p.default is None]
    return {p.name.value: _argument(machine, frame, made, function, p) for p in required}


def _argument(machine: Machine, frame: Frame, made: Class | None, init: Function, parameter: cst.Param) -> Value:
    name = parameter.name.value
    annotation = parameter.annotation.annotation if parameter.annotation is not None else None
    if dotted(annotation) in ("int", "float"):
        number = Unknown(f"the parameter {name}", name)
        for symbol in number.size().symbols:
            symbol.is_number = True
        return number.size() if dotted(annotation) == "int" else number
    layer = _layer_class(machine, init, annotation, name)
    if layer is not None:
        machine.supposed = machine.supposed_kinds = True
        return External(layer)
    kind = _annotated(machine, init, annotation)
    if annotation is None and name in _CONFIGURATIONS:
        shared = machine.resolve(init.frame.namespace.get(name))
        if isinstance(shared, Dict) and not shared.open:
            machine.supposed = machine.supposed_kinds = True
            return Dict(_with_unknowns(shared.items, name))  # the one that the file itself reads under this name
        kind = made.find("config_class") if made is not None else MISSING
    if isinstance(kind, Class) and _needs_nothing(machine, kind):
        try:
            value = call_with(machine, frame, kind.node, kind, Arguments(rest=FURTHER))
        except PythonRaise:
            value = None
        if isinstance(value, Instance):
            machine.supposed = machine.supposed_kinds = True  # a caller has reasons to give it another one
            value.attrs.update(_with_unknowns(value.attrs, name, flags=kind.kind == "dataclass"))
            return value
    return Unknown(f"the parameter {name}", name)


#: The classes of torch's from which the layers for several numbers of dimensions are derived.
_BASES = {
    "_ConvNd": "Conv{}d", "_ConvTransposeNd": "ConvTranspose{}d", "_BatchNorm": "BatchNorm{}d",
    "_NormBase": "BatchNorm{}d", "_InstanceNorm": "InstanceNorm{}d", "_DropoutNd": "Dropout{}d",
    "_MaxPoolNd": "MaxPool{}d", "_AvgPoolNd": "AvgPool{}d",
}  # fmt: skip
#: What parameters are called that hold a norm or an activation, which keep every shape.
_KEEPS = re.compile(r"(?:^|_)(?:norm|act|activation|nonlin|nonlinearity)(?:_|$)")


def _layer_class(machine: Machine, init: Function, annotation: cst.CSTNode | None, name: str) -> str | None:
    """The layer that stands for a class that is to be given, ``conv_op: Type[_ConvNd]``: in every other run one for
    images, else one for volumes.  For a norm or an activation that the constructor makes, what keeps every shape."""
    if machine.rounds is None:
        return None
    if annotation is not None:
        names = [node.value for node in walk(annotation) if isinstance(node, cst.Name)]
        base = next((_BASES[word] for word in names if word in _BASES), None)
        if base is not None and ("Type" in names or "type" in names):
            return f"torch.nn.{base.format(2 + machine.rounds % 2)}"
    makes = any(isinstance(node, cst.Call) and dotted(node.func) == name for node in walk(init.node))
    return "torch.nn.Identity" if makes and _KEEPS.search(name) else None


def _with_unknowns(values: dict[str, Value], name: str, flags: bool = False) -> dict[str, Value]:
    """What a configuration holds; None, an empty text or list, and a number below 0 stand for what callers have to say.

    ``flags``: whoever sets one of them knows what else to set, so that nobody knows how they stand.
    """
    found = dict(values)
    for key, value in values.items():
        is_empty = value is None or value == "" or value == () or (isinstance(value, (List, Dict)) and not value.items)
        if is_empty or (type(value) is int and value < 0) or (flags and isinstance(value, bool)):
            found[key] = Unknown(f"{name}.{key}", f"{name}.{key}")
    return found


def _annotated(machine: Machine, init: Function, annotation: cst.BaseExpression | None) -> Value:
    """The class that an annotation names."""
    if isinstance(annotation, cst.SimpleString):
        name = annotation.raw_value
        return init.frame.namespace.get(name) if name.isidentifier() else MISSING
    if not dotted(annotation) or annotation is None:
        return MISSING
    with machine.quiet():
        return machine.resolve(evaluate(machine, Frame(init.tree, init.frame.namespace), annotation))


def _needs_nothing(machine: Machine, kind: Class) -> bool:
    """Is it a class of plain data whose objects can be made without arguments?"""
    if kind.is_module or kind.kind not in (None, "", "dataclass"):
        return False
    init = kind.find("__init__")
    if isinstance(init, Function):
        params = init.node.params
        behind = [*params.posonly_params, *params.params][1:]
        return all(p.default is not None for p in (*behind, *params.kwonly_params))
    if kind.kind != "dataclass":
        return False
    kind.fields = kind.fields or classes.fields_of(machine, kind)
    return all(default is not MISSING for default in kind.fields.values())
