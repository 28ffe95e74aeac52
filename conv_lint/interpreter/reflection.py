"""What a program asks of itself: the stack, its modules, the parameters of its functions (sys, importlib, inspect)."""

from __future__ import annotations

import libcst as cst

from conv_lint import ops
from conv_lint.interpreter.libraries import PARAMETER_KINDS, Context, native
from conv_lint.interpreter.namespace import import_name
from conv_lint.interpreter.objects import BoundMethod, Class, Frame, Function, Instance, Native, ProjectModule
from conv_lint.project import absolute
from conv_lint.values import Dict, External, List, Unknown, Value


@native("sys._getframe", "inspect.currentframe")
def _getframe(c: Context, depth: Value = 0) -> Value:
    """A frame of the stack, so many calls above."""
    frame: Frame | None = c.frame
    for _ in range(depth if isinstance(depth, int) else 0):
        frame = frame.call.frame if frame is not None and frame.call is not None else None
    if frame is None or not isinstance(depth, int):
        return Unknown("the stack")
    return Instance(External("types.FrameType"), {_MODULE: ProjectModule(frame.namespace)}, open="a frame")


#: Under which name a frame keeps its module.
_MODULE = "the module of a frame"


@native("inspect.getmodule")
def _getmodule(c: Context, value: Value) -> Value:
    """The module in which a frame runs, a class or a function was defined."""
    if isinstance(value, Instance) and _MODULE in value.attrs:
        return value.attrs[_MODULE]
    if isinstance(value, (Class, Function)):
        return ProjectModule(value.frame.namespace)
    return Unknown("the module of something unknown")


@native("importlib.import_module")
def _import_module(c: Context, name: Value, package: Value = None) -> Value:
    """``import_module("einops")``, ``import_module(".blocks", __package__)``."""
    if not isinstance(name, str) or not isinstance(package, (str, type(None))):
        return Unknown("a module under an unknown name")
    last = name.lstrip(".")
    return import_name(c.machine, absolute(package or "", name[: len(name) - len(last)], last))


@native("inspect.signature")
def _signature(c: Context, function: Value, **more: Value) -> Value:
    """The parameters of a layer of torch.nn, or of a class or function of the checked code, by name."""
    found: dict[str, Value] | None = None
    if isinstance(function, External) and function.name in ops.LAYERS:
        signature = ops.LAYERS[function.name].signature
        kinds = {**dict.fromkeys(signature.positional, 1), **dict.fromkeys(signature.keyword_only, 3)}
        found = {name: _parameter(name, kind, Unknown(f"the default of {name}")) for name, kind in kinds.items()}
    bound = isinstance(function, (Class, BoundMethod))
    function = function.unwrapped if isinstance(function, Function) else function
    if isinstance(function, Class):
        function = function.find("__init__")
        found = None if isinstance(function, Function) else found
    if isinstance(function, BoundMethod):
        function = function.function
    if isinstance(function, Function):
        found = dict(list(_parameters(function).items())[bound:])
    if found is None:
        return Unknown("the signature of something unknown")
    return Instance(External("inspect.Signature"), {"parameters": Dict(found)}, open="an attribute of a signature")


@native("inspect.getfullargspec", "inspect.getargspec")
def _argspec(c: Context, function: Value) -> Value:
    """The names of the parameters; of a class those of its ``__init__``, ``self`` with them."""
    if isinstance(function, External):
        function = External(function.name.removesuffix(".__init__"))
    signature = _signature(c, function)
    parameters = signature.attrs["parameters"] if isinstance(signature, Instance) else None
    if not isinstance(parameters, Dict):
        return signature
    names: dict[Value, list[Value]] = {}
    for name, parameter in parameters.items.items():
        names.setdefault(parameter.attrs["kind"] if isinstance(parameter, Instance) else None, []).append(name)
    own: list[Value] = ["self"] if isinstance(function, (Class, BoundMethod, External)) else []
    attrs: dict[str, Value] = {
        "args": List([*own, *names.get(0, []), *names.get(1, [])]),
        "varargs": names.get(2, [None])[0],
        "varkw": names.get(4, [None])[0],
        "kwonlyargs": List(names.get(3, [])),
    }
    made = Instance(External("inspect.FullArgSpec"), attrs, open="an attribute of a signature")
    fields = [
        attrs["args"],
        attrs["varargs"],
        attrs["varkw"],
        Unknown("the defaults of a signature"),
        attrs["kwonlyargs"],
    ]

    def item(c: Context, index: Value = None) -> Value:
        return (
            fields[index] if isinstance(index, int) and 0 <= index < len(fields) else Unknown("a part of a signature")
        )

    attrs["__getitem__"] = Native("__getitem__", item)
    return made


def _parameters(function: Function) -> dict[str, Value]:
    params = function.node.params
    stars = ((params.star_arg,) if isinstance(params.star_arg, cst.Param) else (), (params.star_kwarg,))
    groups = (params.posonly_params, params.params, stars[0], params.kwonly_params, stars[1])
    empty = External("inspect.Parameter.empty")
    return {
        p.name.value: _parameter(p.name.value, kind, function.defaults.get(p.name.value, empty))
        for kind, group in enumerate(groups)
        for p in group
        if p is not None
    }


def _parameter(name: str, kind: int, default: Value) -> Instance:
    attrs: dict[str, Value] = {"name": name, "kind": kind, "default": default}
    attrs |= {word: number for number, word in enumerate(PARAMETER_KINDS)}
    attrs["empty"] = External("inspect.Parameter.empty")
    return Instance(External("inspect.Parameter"), attrs, open="an attribute of a parameter")
