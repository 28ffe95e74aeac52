"""Modules and parameters that are set before ``nn.Module.__init__`` has run: torch has nowhere to put them."""

from __future__ import annotations

import libcst as cst

from conv_lint import catalogue
from conv_lint.interpreter import faults
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Frame, Function, Instance
from conv_lint.tree import walk
from conv_lint.values import External, Tensor, Value

#: Roots whose ``__init__`` makes room for modules.
_ROOTS = ("torch.nn.", "object", "builtins.object")


def begin(instance: Instance, made: Class) -> None:
    """A new module of a class of the checked code, of which the ``__init__`` is to be run."""
    known = all(
        isinstance(base, Class) or (isinstance(base, External) and base.name.startswith(_ROOTS)) for base in made.mro
    )
    hooks = ("__setattr__", "__new__", "__getattr__")
    instance.is_raw = known and made.metaclass is None and not any(isinstance(made.find(h), Function) for h in hooks)


def check(
    machine: Machine, frame: Frame, node: cst.CSTNode, target: Value, name: str, value: Value, registered: bool = False
) -> None:
    """CONV606 where an attribute is set, or ``registered``, that needs what ``super().__init__()`` makes."""
    if not isinstance(target, Instance) or not target.is_raw or not (registered or _needs_room(value)):
        return
    target.is_raw = False  # the others fail for the same cause
    if not faults.is_certain(machine, frame) or not isinstance(target.cls, Class):
        return
    kind = "module" if isinstance(value, Instance) else "buffer" if not _needs_room(value) else "parameter"
    init = target.cls.find("__init__")
    calls = isinstance(init, Function) and any(
        isinstance(n, cst.Attribute) and n.attr.value == "__init__" for n in walk(init.node)
    )
    problem = "is set before" if calls else "is set, but nothing calls"
    report = catalogue.before_init(name=name, cls=target.cls.name, kind=kind, problem=problem)
    faults.report(machine, frame, node, report)


def _needs_room(value: Value) -> bool:
    return (isinstance(value, Instance) and value.is_module) or (isinstance(value, Tensor) and value.parameter)
