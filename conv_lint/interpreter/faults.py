"""Faults of Python itself: an index that a list does not have, a missing key, a wrong number of values.

Python raises there whatever the shapes are.  Such a fault is reported only where the line is reached for sure: in no
branch that is not decided, behind no ``return`` or ``break`` that may have been taken, under no ``try``, in the linted
file itself.  Everywhere else what raises makes its path impossible, and that is all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import libcst as cst

from conv_lint import catalogue, ops
from conv_lint.finding import Report
from conv_lint.interpreter import commas, locate
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import BoundMethod, Class, Frame, Function, Instance, Partial
from conv_lint.tree import walk
from conv_lint.values import Dict, External, List, Real, Tensor, Unknown, Value

#: Methods whose errors Python takes for an answer: the end of an iteration, the next place to look.
_PROTOCOLS = frozenset({"__getitem__", "__getattr__", "__next__", "__iter__", "__contains__", "__missing__"})
#: Bases that add nothing of their own.
_PLAIN_BASES = frozenset({"object", "abc.ABC", "typing.Generic", "builtins.object"})
#: No longer expression is shown in a message.
SHOWN = 40


# where a fault is certain -----------------------------------------------------------------------------------


def is_certain(machine: Machine, frame: Frame, strictly: bool = False) -> bool:
    """Does the program reach the line that runs now in ``frame``, whatever is not known?

    The examples of a docstring are no program.  ``strictly``: by the file's own calls, not by those that the checker
    makes up from defaults.
    """
    if machine.muted or machine.catching or machine.doubts or machine.is_in_branch:
        return False
    if machine.is_example or frame.tree is not machine.tree or (strictly and machine.by_default):
        return False
    return not any(may_have_left(scope) for scope in frame.stack())


def may_have_left(frame: Frame) -> bool:
    """Has a branch of a running function left it early, or is it one whose errors are answers?"""
    if frame.function is not None and frame.function.name in _PROTOCOLS:
        return True
    scope: Frame | None = frame
    while scope is not None and scope.function is frame.function:  # a comprehension runs inside its function
        if scope.pending:
            return True
        scope = scope.parent
    return False


def has_known_bases(made: Class) -> bool:
    """Are all classes that it derives from the checked code's own, Python's or those of torch.nn?"""
    return all(
        isinstance(base, Class)
        or (isinstance(base, External) and (base.name in _PLAIN_BASES or base.name.startswith("torch.nn.")))
        for base in made.mro
    )


def share(machine: Machine, values: list[Value]) -> None:
    """A call that is not followed has been given these values: what they hold may change from here on."""
    for value in values:
        if isinstance(value, (List, Dict, Instance)):
            machine.shared[id(value)] = value
            machine.journal.memory.notice(value)
        elif isinstance(value, (Function, BoundMethod, Partial)):
            machine.hooked = True
            if isinstance(value, BoundMethod) and isinstance(value.receiver, Instance):
                _forget_what_it_sets(machine, value.receiver, value.function)


def _forget_what_it_sets(machine: Machine, receiver: Instance, method: Value) -> None:
    """A hook may run at any time: the attributes that it sets are not known from here on."""
    names = _attributes_set(method.node) if isinstance(method, Function) else frozenset()
    for name in names & receiver.attrs.keys():
        machine.journal.touch(receiver)
        receiver.attrs[name] = Unknown("is set by a hook")


@functools.lru_cache(maxsize=256)
def _attributes_set(node: cst.FunctionDef | cst.Lambda) -> frozenset[str]:
    """The names behind ``self.`` to which a method assigns."""
    found: set[str] = set()
    for here in walk(node):
        match here:
            case cst.AssignTarget(target=cst.Attribute(value=cst.Name(value="self"), attr=attr)):
                found.add(attr.value)
            case cst.AugAssign(target=cst.Attribute(value=cst.Name(value="self"), attr=attr)):
                found.add(attr.value)
            case cst.AnnAssign(target=cst.Attribute(value=cst.Name(value="self"), attr=attr)):
                found.add(attr.value)
    return frozenset(found)


def is_kept(machine: Machine, value: Value) -> bool:
    """Is a container exactly what the program was seen to put into it?"""
    if isinstance(value, Instance):
        owner: Instance | None = value
        for _ in range(50):
            if owner is None:
                break
            if id(owner) in machine.shared or owner.open:
                return False
            owner = owner.owner[0] if owner.owner is not None else None
        return True
    if isinstance(value, (List, Dict)):
        return not value.open and not machine.hooked and id(value) not in machine.shared
    return True


# the faults -------------------------------------------------------------------------------------------------


def out_of_range(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, index: int, count: int) -> bool:
    """Report ``base[index]`` of a sequence of ``count`` items; returns whether it was certain.

    An empty list is one that somebody else fills, before the program comes here.
    """
    if not isinstance(node, cst.Subscript) or not is_kept(machine, base):
        return False
    if not is_certain(machine, frame, strictly=not count) or (not count and isinstance(base, List)):
        return False
    name = shown(frame, node.value)
    last = f"{name}[{count - 1}]" if count and name != "it" else None
    writer, place = _too_short(frame, node.value, index, count) or (frame, node)
    report(machine, writer, place, catalogue.index_range(index=index, name=name, count=_items(count), last=last))
    return True


def _too_short(frame: Frame, node: cst.BaseExpression, index: int, count: int) -> tuple[Frame, cst.CSTNode] | None:
    """The list that a caller has written with too few items, where another call of the same writes enough of them:
    ``ResNet(Bottleneck, [3, 4, 6])`` beside ``ResNet(BasicBlock, [2, 2, 2, 2])``."""
    while frame.parent is not None and frame.parent.function is frame.function is not None:
        frame = frame.parent  # out of a comprehension
    given = frame.given(node.value, None) if isinstance(node, cst.Name) else None
    call = frame.call.node if frame.call is not None else None
    if given is None or given[1] is None or not isinstance(call, cst.Call) or _length(given[0]) != count:
        return None
    position = next((i for i, a in enumerate(call.args) if a.value is given[0]), None)
    if position is None:
        return None
    others = (n for n in walk(given[1].tree.module) if isinstance(n, cst.Call) and n.func.deep_equals(call.func))
    lengths = (_length(other.args[position].value) for other in others if len(other.args) > position)
    return (given[1], given[0]) if any(length is not None and length > index for length in lengths) else None


def _length(node: cst.CSTNode) -> int | None:
    """How many items a list or tuple is written with."""
    if not isinstance(node, (cst.List, cst.Tuple)) or any(isinstance(e, cst.StarredElement) for e in node.elements):
        return None
    return len(node.elements)


def missing_key(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, key: object, keys: list[Value]) -> bool:
    """Report ``base[key]`` of a dict that has other keys; returns whether it was certain.

    A dict that was there before the checker called anything may be a registry, filled by files that import this one.
    """
    if not isinstance(node, cst.Subscript) or not keys or not is_kept(machine, base):
        return False
    if not isinstance(key, (int, str)) or not all(isinstance(k, (int, str)) for k in keys):
        return False
    older = isinstance(base, (Dict, Instance)) and base.born < machine.entry_born
    if not is_certain(machine, frame, strictly=older):
        return False
    known = ", ".join(map(repr, keys[:6])) + (", ..." if len(keys) > 6 else "")
    report(machine, frame, node, catalogue.missing_key(key=repr(key), name=shown(frame, node.value), keys=known))
    return True


def not_whole(machine: Machine, frame: Frame, node: cst.CSTNode | None, what: str, values: Iterable[Value]) -> None:
    """Report a number with a point where Python wants a whole one: in ``range``, a slice or an index."""
    wrong = next((v for v in values if isinstance(v, (float, Real))), None)
    if wrong is not None and node is not None and is_certain(machine, frame):
        shown = wrong.text if isinstance(wrong, Real) else wrong
        fault = catalogue.whole_number(layer=what, argument="number", value=shown, fix=catalogue.ROUND)
        report(machine, frame, node, fault)


def wrong_count(
    machine: Machine, frame: Frame, node: cst.CSTNode, value: Value, given: int, names: int, starred: bool
) -> bool:
    """Report a tuple or list of ``given`` values for ``names`` names; returns whether it was certain."""
    if not isinstance(value, (tuple, List, str)) or not is_kept(machine, value):
        return False
    if not is_certain(machine, frame, strictly=not given) or (not given and isinstance(value, List)):
        return False
    report(machine, frame, node, unpack_count(given, f"at least {names}" if starred else names))
    return True


def unpack_count(given: int, names: object) -> Report:
    """CONV406 for so many values and names."""
    return catalogue.unpack_count(given=given, s="s" if given != 1 else None, names=names)


#: Python's names for what cannot be called.
_NOT_CALLABLE: dict[type, str] = {
    bool: "a bool", int: "a number", float: "a number", str: "a text", tuple: "a tuple", List: "a list", Dict: "a dict",
}  # fmt: skip


def not_callable(machine: Machine, frame: Frame, node: cst.CSTNode | None, called: Value) -> bool:
    """Report a call of a number, a list, a tensor, ``None``; returns whether it was certain.

    What is ``None`` in a class may be set by whoever derives from it or uses it.
    """
    from conv_lint.interpreter import tensors

    what = "None" if called is None else _NOT_CALLABLE.get(type(called))
    if isinstance(called, Tensor) and tensors.is_surely_one(machine, called):
        what = "a tensor"
    if (
        what is None
        or not isinstance(node, cst.Call)
        or not is_certain(machine, frame, strictly=_is_filled_later(called))
    ):
        return False
    value = f" ({called!r})" if isinstance(called, (int, float, str)) and len(repr(called)) <= SHOWN else ""
    fix = commas.fix_of(node.func, frame) if isinstance(called, tuple) else None
    report(machine, frame, node, catalogue.not_callable(name=shown(frame, node.func), what=f"{what}{value}", fix=fix))
    return True


def _is_filled_later(value: Value) -> bool:
    """Is it what an attribute holds until somebody sets it: ``None``, 0, an empty list?"""
    return not (value.items if isinstance(value, (List, Dict)) else value if not isinstance(value, Tensor) else True)


def no_forward(machine: Machine, frame: Frame, node: cst.CSTNode | None, module: Instance) -> None:
    """Report the call of a module without ``forward``: a ModuleList, or a class that forgot it.

    A class of the checked code may be there to be derived from.  The program's own loop over a loader may run no
    round, but nobody writes it for that.
    """
    kind = module.torch_name.rpartition(".")[2]
    is_list = kind in ("ModuleList", "ModuleDict")
    if not isinstance(node, cst.Call) or not (is_list or kind == "Module") or module.open:
        return
    if isinstance(module.cls, Class) and not has_known_bases(module.cls):
        return
    quiet = machine.muted or machine.catching or machine.doubts or machine.by_default or machine.is_example
    if not is_certain(machine, frame, strictly=not is_list) and (quiet or frame.tree is not machine.tree):
        return
    fix = "call its layers one by one" if is_list else f"write def forward(self, ...) in {module.class_name}"
    what = f"a {kind} without forward" if is_list else "a module without forward"
    report(machine, frame, node, catalogue.not_callable(name=shown(frame, node.func), what=what, fix=fix))


def no_module(machine: Machine, frame: Frame, node: cst.CSTNode | None, container: Instance, value: Value) -> bool:
    """Report something else than a module in a container of modules (torch: ``is not a Module subclass``).

    ``None`` is allowed, and so is what may turn out to be a module.  Returns whether it was reported.
    """
    kind = container.torch_name.rpartition(".")[2]
    if kind not in ("Sequential", "ModuleList", "ModuleDict") or not isinstance(container.cls, External):
        return False
    what, fix = _no_module(machine, value)
    if what is None or node is None or not is_certain(machine, frame):
        return False
    report(machine, frame, node, catalogue.not_a_module(layer=kind, given=what, fix=fix))
    return True


def no_modules(machine: Machine, frame: Frame, node: cst.CSTNode | None, container: Instance, value: Value) -> bool:
    """Report ``ModuleList(4)`` and ``ModuleList(layer)``: one thing where several layers are wanted."""
    kind = container.torch_name.rpartition(".")[2]
    if kind not in ("ModuleList", "ModuleDict") or not isinstance(container.cls, External) or value is False:
        return False
    is_layer = isinstance(value, Instance) and value.torch_name in ops.LAYERS and isinstance(value.cls, External)
    if not (is_layer or isinstance(value, (int, float))) or node is None:
        return False
    if not is_certain(machine, frame, strictly=not is_layer):
        return False
    given, fix = (
        (f"one layer, {value.class_name}", "write a list") if isinstance(value, Instance) else (repr(value), None)
    )
    report(machine, frame, node, catalogue.not_a_module(layer=kind, given=given, fix=fix))
    return True


def _no_module(machine: Machine, value: Value) -> tuple[str | None, str | None]:
    from conv_lint.interpreter import tensors

    match value:
        case External() if value.name in ops.LAYERS:
            name = value.name.rpartition(".")[2]
            return f"the class {name}", f"write {name}(...)"
        case External() if value.name in ops.FUNCTIONS:
            return f"the function {value.name.rpartition('.')[2]}", None
        case Class() if value.is_module and not value.kind:
            return f"the class {value.name}", f"write {value.name}(...)"
        case Function() | BoundMethod():
            return f"the function {(value.function if isinstance(value, BoundMethod) else value).name}", None
        case Tensor() if tensors.is_surely_one(machine, value):
            return "a tensor", "call the container with it"
        case Dict():
            return "a dict beside others", "give one OrderedDict alone"
        case List() | tuple():
            return f"a {'list' if isinstance(value, List) else 'tuple'}", "unpack it with *"
        case bool() | int() | float() | str():
            return repr(value), None
    return None, None


def report(machine: Machine, frame: Frame, node: cst.CSTNode, fault: Report) -> None:
    """Report a fault at a node."""
    locate.report_at(machine, frame, node, fault)


def shown(frame: Frame, node: cst.CSTNode) -> str:
    """An expression as a message names it, ``it`` where it is long."""
    text = frame.tree.module.code_for_node(node)
    return text if len(text) <= SHOWN and "\n" not in text else "it"


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}" if count else "no items"
