"""Arguments that are given by the name of another parameter: ``nn.Conv2d(cin, cout, kernel_size=bias)``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from conv_lint import ops
from conv_lint.finding import Place
from conv_lint.interpreter.objects import Call, Frame, Function, Instance
from conv_lint.interpreter.unread import is_unread
from conv_lint.values import Dict, List, Tensor

#: Numbers of channels are given for one another all the time, as in ``Block(planes, planes)``.
CHANNELS = re.compile(r"ch|in_|_in|inp|plane|filter|dim|width|feat|nc|hidden|embed|size$", re.IGNORECASE)
#: The numbers of a window that may be meant to be the same, and ``groups``, which may be any number of channels.
_ALIKE = frozenset({"kernel_size", "stride", "padding", "dilation"})
_ANY_NUMBER = frozenset({"groups", "num_groups", "num_heads"})
#: So many calls around the construction of a layer are looked at.
DEPTH = 8


@dataclass(frozen=True)
class Misnamed:
    """The argument, the frame in which it stands, the parameter that it is for, the name that is given for it, and
    whether there is one of the right name that is never read."""

    place: Place
    frame: Frame
    parameter: str
    name: str
    is_lost: bool

    @property
    def is_of_channels(self) -> bool:
        """Is the parameter a number of channels?"""
        return CHANNELS.search(self.parameter) is not None and self.parameter != "kernel_size"

    @property
    def fix(self) -> str:
        """What to write."""
        if self.is_lost:
            return f"{self.parameter}={self.parameter}, which is never used"
        return f"another value for {self.parameter} than {self.name}"


def misnamed(call: Call | None, parameters: Sequence[str]) -> Iterator[Misnamed]:
    """Of a call of what has these parameters, and of the calls around it, the arguments that are the name of another
    parameter of what is called; the innermost first."""
    for _ in range(DEPTH):
        if call is None:
            return
        for parameter, argument in _bound(call.node, parameters):
            if not isinstance(argument, cst.Name) or argument.value == parameter or not _is_number(call, argument):
                continue
            is_lost = is_unread(call.frame, parameter)
            if is_lost or _is_of_another(parameter, argument.value, parameters):
                yield Misnamed(call.frame.place(argument), call.frame, parameter, argument.value, is_lost)
        function = call.frame.function
        parameters = _parameters(function) if function is not None else ()
        call = call.frame.call


def parameters_of(node: object) -> tuple[str, ...]:
    """The parameters of the layer of torch whose construction a call is, by the name of the layer."""
    if not isinstance(node, cst.Call):
        return ()
    func = node.func
    name = func.attr.value if isinstance(func, cst.Attribute) else func.value if isinstance(func, cst.Name) else ""
    row = ops.LAYERS.get(f"torch.nn.{name}")
    return row.signature.positional if row is not None else ()


def _is_number(call: Call, argument: cst.Name) -> bool:
    """May the name stand for a number or an option, rather than for tensors or a layer?"""
    value = call.frame.locals.get(argument.value)
    if isinstance(value, List):
        value = value.items[0] if value.items else value
    return not isinstance(value, (Tensor, List, Dict, Instance))


def _is_of_another(parameter: str, name: str, parameters: Sequence[str]) -> bool:
    if name not in parameters or parameter in _ANY_NUMBER:
        return False
    if {parameter, name} <= _ALIKE:
        return (parameter, name) in (("padding", "kernel_size"), ("kernel_size", "padding"), ("stride", "padding"))
    is_size = "kernel_size" in (parameter, name)
    return is_size or not (CHANNELS.search(parameter) and CHANNELS.search(name))


def _bound(node: object, parameters: Sequence[str]) -> Iterator[tuple[str, cst.BaseExpression]]:
    for position, argument in enumerate(node.args if isinstance(node, cst.Call) else ()):
        if argument.star:
            return
        if argument.keyword is not None:
            if argument.keyword.value in parameters:  # else it is the call of what calls: ``spawn(main, nprocs=n)``
                yield argument.keyword.value, argument.value
        elif position < len(parameters):
            yield parameters[position], argument.value


def _parameters(function: Function) -> tuple[str, ...]:
    """The names of the parameters that a caller gives."""
    params = function.node.params
    names = [p.name.value for p in (*params.posonly_params, *params.params)]
    keywords = [p.name.value for p in params.kwonly_params]
    return tuple(names[function.owner is not None and function.kind != "static" :] + keywords)
