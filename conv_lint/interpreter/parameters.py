"""The parameters and buffers of a module by their names: ``state_dict()``, ``named_parameters()``, and what
``load_state_dict`` copies them from."""

from __future__ import annotations

from collections.abc import Iterator

from conv_lint import catalogue, dims
from conv_lint.interpreter import faults, locate
from conv_lint.interpreter.calls import Arguments
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.module_methods import METHODS, argument
from conv_lint.interpreter.modules import walk
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.ops.elementwise import shown
from conv_lint.values import Dict, Iter, Shape, Tensor, Value

#: Why such a dict may hold more: parameters of layers that are not known.
OPEN = "parameters"
#: All of them are known, but a loop over them would not be worth its time.
COMPLETE = "parameters, one by one"
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def of_module(module: Instance) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of a module and of all below it, with dotted names, as far as they are known."""
    for path, part in walk(module):
        for name, value in part.attrs.items():
            if isinstance(value, Tensor) and value.parameter:
                yield f"{path}.{name}" if path else name, value


def state_dict(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    """A dict that may hold more than what is known of it."""
    return Dict(dict(of_module(module)), OPEN)


def named_parameters(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    """The pairs are known to ``dict(...)``; a loop over them is not run one by one."""
    pairs = [(n, t) for n, t in of_module(module) if not n.endswith(_BUFFERS)]
    return Iter(pairs, OPEN if any(part.open for _, part in walk(module)) else COMPLETE)


def load_state_dict(machine: Machine, frame: Frame, module: Instance, arguments: Arguments) -> Value:
    """CONV214 where a parameter has another shape than what it is loaded from, which torch refuses also with
    ``strict=False``."""
    given, node = machine.resolve(argument(arguments, 0, "state_dict")), next(iter(arguments.nodes), None)
    if not isinstance(given, Dict) or given.others not in (None, OPEN) or node is None:
        faults.share(machine, arguments.args)
        return None
    own = dict(of_module(module))
    wrong: list[tuple[str, Shape, Shape]] = []
    for name, value in given.items.items():
        if name not in own or name in given.maybe or not isinstance(value, Tensor):
            continue
        shape, needed = machine.shape(value.shape), machine.shape(own[name].shape)
        if shape.rest is None and needed.rest is None and dims.same(shape, needed) is False:
            wrong.append((name, shape, needed))
    if wrong and faults.is_certain(machine, frame):
        name, shape, needed = max(wrong, key=lambda w: len(w[1]))  # a weight tells more than its bias
        facts = {"argument": name, "given": shown(shape), "takes": shown(needed)}
        locate.report_at(machine, frame, node, catalogue.parameter_shape(layer="load_state_dict", **facts))
    return None


METHODS.update({"state_dict": state_dict, "named_parameters": named_parameters, "load_state_dict": load_state_dict})
