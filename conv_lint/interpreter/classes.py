"""Class statements, and what calling a class makes."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import libcst as cst

from conv_lint.dims import Expr
from conv_lint.interpreter import recall
from conv_lint.interpreter.calls import FURTHER, Arguments, evaluate_arguments, run_function, with_first
from conv_lint.interpreter.decorators import decorate
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import HELD, MISSING, Call, Class, Frame, Function, Inherited, Instance
from conv_lint.values import Dict, External, List, Unknown, Value


def make_class(machine: Machine, frame: Frame, node: cst.ClassDef) -> Value:
    """Run a class statement."""
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.statements import execute_block, suite

    bases = tuple(evaluate(machine, frame, b.value) for b in node.bases if b.star == "")
    made = Class(node.name.value, node, frame.tree, frame, bases)
    made.kind = _kind(made)
    body = Frame(frame.tree, frame.namespace, frame, None, frame.call, made, depth=frame.depth)
    body.locals["__class__"] = made
    execute_block(machine, body, suite(node.body))
    body.locals.pop("__class__", None)
    made.attrs = body.locals
    if made.kind == "enum":
        made.fields = {n: _member(made, n, v) for n, v in made.attrs.items() if not isinstance(v, Function)}
    elif made.kind == "namedtuple":
        made.fields = fields_of(machine, made)
    _tell_metaclass(machine, frame, made, node)
    _tell_bases(machine, frame, made, node)
    return decorate(machine, frame, node, made)


def _tell_metaclass(machine: Machine, frame: Frame, made: Class, node: cst.ClassDef) -> None:
    """``__init__`` of the metaclass, which gives each class what it keeps for itself.

    What the metaclass itself keeps is not known, as in a registry of ``__init_subclass__``.
    """
    from conv_lint.interpreter.expressions import evaluate

    named = next((k.value for k in node.keywords if k.keyword is not None and k.keyword.value == "metaclass"), None)
    value = evaluate(machine, frame, named) if named is not None else None
    inherited = (base.metaclass for base in made.bases if isinstance(base, Class))
    made.metaclass = value if isinstance(value, Class) else next((m for m in inherited if m is not None), None)
    if made.metaclass is None:
        return
    for kept in made.metaclass.attrs.values():
        if isinstance(kept, (List, Dict)):
            kept.open = kept.open or "is filled by the classes of a metaclass"
    init = made.metaclass.find("__init__")
    if isinstance(init, Function):
        arguments = Arguments([made, made.name, made.bases, Dict(made.attrs)], nodes=[None] * 4)
        with machine.doubting(), contextlib.suppress(PythonRaise):
            run_function(machine, frame, node, init, arguments)


def _tell_bases(machine: Machine, frame: Frame, made: Class, node: cst.ClassDef) -> None:
    """``__init_subclass__`` of a base class, with the keywords of the class statement; it often keeps a registry.

    What such a registry holds is not known: the files of further classes may not have been read.
    """
    if "__init_subclass__" in made.attrs:
        for value in made.attrs.values():
            if isinstance(value, (List, Dict)):
                value.open = value.open or "is filled by classes that derive from another"
    told = made.find("__init_subclass__", after=made)
    if isinstance(told, Function):
        with machine.doubting(), contextlib.suppress(PythonRaise):
            run_function(
                machine, frame, node, told, with_first(evaluate_arguments(machine, frame, node.keywords), made)
            )


def _kind(made: Class) -> str:
    for base in made.bases:
        if isinstance(base, External):
            last = base.name.rpartition(".")[2]
            if last in ("Enum", "IntEnum", "StrEnum", "Flag"):
                return "enum"
            if last == "NamedTuple":
                return "namedtuple"
        elif isinstance(base, Class) and base.kind:
            return base.kind
    return ""


def _member(made: Class, name: str, value: Value) -> Instance:
    return Instance(made, {"value": value, "name": name})


def fields_of(machine: Machine, made: Class) -> dict[str, Value]:
    """The annotated fields of a dataclass or NamedTuple in order, with their defaults (:data:`MISSING`: none)."""
    fields: dict[str, Value] = {}
    for base in reversed(made.mro):
        if not isinstance(base, Class):
            continue
        if base.node is None:  # ``collections.namedtuple("Block", ["inputs", "outputs"])``
            fields.update(base.fields)
            continue
        for statement in base.node.body.body:
            for small in getattr(statement, "body", ()) if isinstance(statement, cst.SimpleStatementLine) else ():
                if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name):
                    name = small.target.value
                    fields[name] = base.attrs.get(name, MISSING) if small.value is not None else MISSING
    return fields


#: Classes of Python whose objects are lists and dicts, and what makes their items.
_HOLDING = {
    "builtins.list": "builtins.list",
    "builtins.dict": "builtins.dict",
    "collections.OrderedDict": "builtins.dict",
    "collections.UserDict": "builtins.dict",
}


def construct(machine: Machine, frame: Frame, node: cst.CSTNode | None, made: Class, arguments: Arguments) -> Value:
    """Call a class."""
    if made.kind == "enum":
        wanted = arguments.args[0] if arguments.args else None
        members = [m for m in made.fields.values() if isinstance(m, Instance) and m.attrs["value"] == wanted]
        return members[0] if members else Unknown("a member of an enum")
    if made.is_module and not machine.muted:
        machine.used.update(made.mro)
    init = made.find("__init__")
    new = made.find("__new__")
    if made.is_module and made not in machine.well_made and not machine.muted and _is_clear(machine, init, arguments):
        machine.well_made.add(made)
    if made.is_module and isinstance(init, Function) and not isinstance(new, Function):
        return recall.construction(machine, frame, node, made, init, arguments)
    instance = Instance(made, call=Call(node, frame) if node is not None else frame.call)
    for base in made.library_bases():
        if base.name in _HOLDING:
            instance.attrs[HELD] = List() if base.name == "builtins.list" else Dict()
    if isinstance(new, Function):
        # It hands on to object.__new__ whatever it is given.
        given = replace(arguments, rest=None) if arguments.rest == FURTHER else arguments
        fresh = run_function(machine, frame, node, new, with_first(given, made))
        if not isinstance(fresh, Instance) or fresh.cls is not made:
            return fresh
        fresh.call, instance = instance.call, fresh
    if made.kind in ("dataclass", "namedtuple") and not isinstance(init, Function):
        return fill(machine, frame, made, instance, arguments)
    if isinstance(init, Function):
        run_function(machine, frame, node, init, with_first(arguments, instance))
    elif isinstance(init, Inherited):
        initialize(machine, frame, node, instance, init.base, arguments)
    elif init is not MISSING:
        instance.open = f"the __init__ of {made.name} is not known"
    return instance


def _is_clear(machine: Machine, init: Value, arguments: Arguments) -> bool:
    """Does the program make the object of what is known, or is what is given for each parameter that has a default?"""
    if not isinstance(init, Function):
        return True
    if not machine.by_default:  # of a configuration that nobody can read its own class tells as much
        return not any(type(machine.resolve(v)) is Unknown for v in (*arguments.args, *arguments.kwargs.values()))
    if arguments.others is not None:
        return False  # **config
    inner = init.unwrapped
    params = (inner if isinstance(inner, Function) else init).node.params
    own = [*params.posonly_params, *params.params][1:]
    given = dict(zip((p.name.value for p in own), arguments.args)) | arguments.kwargs
    with_default = {p.name.value for p in (*own, *params.kwonly_params) if p.default is not None}
    return not any(isinstance(machine.resolve(given[name]), (Expr, Unknown)) for name in with_default & given.keys())


def initialize(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, instance: Instance, base: Value, arguments: Arguments
) -> None:
    """``__init__`` of a library class, or of an unknown one."""
    from conv_lint.interpreter import modules

    instance.is_raw = False
    if isinstance(base, External) and base.name.startswith("torch.nn."):
        modules.initialize(machine, frame, node, instance, base.name, arguments)
    elif isinstance(base, External) and base.name in _HOLDING:
        from conv_lint.interpreter.calls import call_value

        machine.journal.touch(instance)
        maker = External(_HOLDING[base.name])
        instance.attrs[HELD] = call_value(machine, frame, node, maker, arguments.args, arguments.kwargs)
        if instance.held is None:
            instance.attrs[HELD] = Dict(open="made from something unknown")
    elif isinstance(base, External) and instance.is_module:
        modules.initialize(machine, frame, node, instance, "torch.nn.Module", arguments)
        if base.name != "torch.nn.Module":
            instance.open = instance.open or f"{base.name} may have set attributes"
    elif not (isinstance(base, External) and base.name == "object"):
        machine.journal.touch(instance)
        instance.open = "a base class is not known"


def fill(machine: Machine, frame: Frame, made: Class, instance: Instance, arguments: Arguments) -> Instance:
    """The generated ``__init__`` of a dataclass or a NamedTuple, then ``__post_init__``."""
    from conv_lint.interpreter.calls import call_method, call_value
    from conv_lint.interpreter.stdlib import Factory

    fields = made.fields or fields_of(machine, made)
    made.fields = fields
    given = dict(zip(fields, arguments.args))
    given.update(arguments.kwargs)
    for name, default in fields.items():
        value = given.get(name, default)
        if isinstance(value, Factory):
            value = call_value(machine, frame, None, value.make, [], {}) if value.make is not None else value.value
        instance.attrs[name] = Unknown(f"the field {name}", name) if value is MISSING else value
    call_method(machine, frame, instance, "__post_init__", [])
    return instance
