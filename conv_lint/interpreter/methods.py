"""Methods of builtin values: lists, dicts, strings, tuples, iterators, shapes, tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libcst as cst

from conv_lint.dims import Expr, product
from conv_lint.interpreter import attributes, samples, subscripts, tensors, texts
from conv_lint.interpreter.calls import FURTHER, Arguments
from conv_lint.interpreter.comparing import is_plain
from conv_lint.interpreter.journal import each_of
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.namespace import registered
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Method, Property, Sizes
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import Choice, Condition, Dict, Iter, List, Tensor, Unknown, Value

#: Methods of lists that take an item as it is.
ADDING = frozenset({"append", "extend", "insert"})
#: Methods of lists and dicts that change nothing.
READING = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})


def call(machine: Machine, frame: Frame, node: cst.CSTNode | None, called: Method, arguments: Arguments) -> Value:
    """Call a method of a value that is no object of the checked code."""
    receiver, name = machine.resolve(called.receiver), called.name
    args = arguments.args
    if name not in ADDING and not isinstance(receiver, Tensor):
        machine.weigh(receiver, *args)
    match receiver:
        case Tensor():
            return tensors.call_method(machine, frame, node, receiver, name, args, arguments.kwargs, arguments.open)
        case List():
            handler = LIST.get(name)
            if name not in READING:
                machine.journal.touch(receiver)
                receiver.each = samples.after_call(receiver, name, args)
                if name not in ADDING - {"insert"}:
                    receiver.forget_conditions()
            result = handler(machine, frame, receiver, args, arguments.kwargs) if handler else Unknown(f"list.{name}")
            receiver.keep_within(from_left=name not in ("appendleft", "extendleft"))
            return result
        case Dict():
            of_dict = DICT.get(name)
            if name not in READING:
                machine.journal.touch(receiver)
            return of_dict(machine, frame, receiver, args, arguments.kwargs) if of_dict else Unknown(f"dict.{name}")
        case str() | bytes():
            return texts.call(machine, receiver, name, args, arguments.kwargs)
        case tuple():
            return _tuple(machine, frame, receiver, name, args)
        case Sizes():
            return Unknown("the shape of a tensor of unknown rank")
        case Iter() if name in ("__next__", "close"):
            items = items_of(machine, receiver)
            return items[0] if items else Unknown("the next item")
        case Property() if name == "setter" and args:
            return Property(receiver.getter, args[0])
        case int() | float() | Expr():
            return _number(receiver, name)
        case Unknown() if name in texts.OF_UNKNOWN_TEXT:
            return texts.of_unknown(receiver, name, tuple(args))
    return Unknown(f"{name} of something unknown")


def _number(receiver: Value, name: str) -> Value:
    if name == "item" or (name == "astype" and not isinstance(receiver, float)):
        return receiver
    if name == "astype" and isinstance(receiver, float) and receiver.is_integer():
        return int(receiver)
    if isinstance(receiver, (int, float)) and name in ("bit_length", "is_integer", "conjugate"):
        return getattr(receiver, name)() if hasattr(receiver, name) else Unknown(name)
    return Unknown(f"{name} of a number")


def _tuple(machine: Machine, frame: Frame, receiver: tuple[Any, ...], name: str, args: list[Value]) -> Value:
    if name == "numel" and all(isinstance(d, (int, Expr)) for d in receiver):
        return product(receiver)
    if name in ("index", "count") and args:
        return LIST[name](machine, frame, List(receiver), args, {})
    return Unknown(f"tuple.{name}")


# lists ------------------------------------------------------------------------------------------------------

ListMethod = Callable[[Machine, Frame, List, "list[Value]", "dict[str, Value]"], Value]
LIST: dict[str, ListMethod] = {}
DictMethod = Callable[[Machine, Frame, Dict, "list[Value]", "dict[str, Value]"], Value]
DICT: dict[str, DictMethod] = {}


def of_list(*names: str) -> Callable[[ListMethod], ListMethod]:
    """Register a method of lists (sets and deques have some of them too)."""

    def register(handler: ListMethod) -> ListMethod:
        LIST.update(dict.fromkeys(names, handler))
        return handler

    return register


def of_dict(*names: str) -> Callable[[DictMethod], DictMethod]:
    """Register a method of dicts."""

    def register(handler: DictMethod) -> DictMethod:
        DICT.update(dict.fromkeys(names, handler))
        return handler

    return register


@of_list("add")
def _add(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if args and is_plain(args[0]) and args[0] in [v for v in target.items if is_plain(v)]:
        return None  # a set holds it once
    return _append(machine, frame, target, args, kwargs)


@of_list("append")
def _append(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.items.extend(args[:1])
    return None


@of_list("appendleft")
def _appendleft(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.items[:0] = args[:1]
    return None


@of_list("extend", "update")
def _extend(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    given = args[0] if args else []
    if isinstance(given, List) and given.maybe and (target.open is None or target.maybe):
        target.maybe.update({len(target.items) + i: condition for i, condition in given.maybe.items()})
        target.items.extend(given.items)
        target.open = given.open
        return None
    items = items_of(machine, given) if args else []
    if items is None:
        target.forget_conditions()
        if isinstance(given, Tensor) and (target.open is None or target.each is not None):
            known = target.items if target.open is None else [target.each]
            target.each = each_of([*known, tensors.piece(machine, given, None)])  # its rows, however many
        target.open = target.open or "extended by unknown items"
    else:
        target.items.extend(items)
    return None


@of_list("insert")
def _insert(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if len(args) == 2 and isinstance(args[0], int):
        target.items.insert(args[0], args[1])
    else:
        target.open = target.open or "an item was inserted at an unknown index"
    return None


@of_list("popleft")
def _popleft(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return _pop(machine, frame, target, [0], {})


@of_list("pop")
def _pop(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    index = args[0] if args else -1
    if target.open or not isinstance(index, int) or not -len(target.items) <= index < len(target.items):
        target.open = target.open or "an unknown item was taken out"
        return Unknown(target.open)
    return target.items.pop(index)


@of_list("clear")
def _emptied(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.items.clear()
    target.open = None
    return None


@of_list("remove", "discard")
def _remove(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The first item that is equal; where that is not known, nothing of the items is certain any more."""
    if not args or target.open or not all(map(is_plain, (args[0], *target.items))):
        target.items.clear()
        target.open = target.open or "an unknown item was taken out"
    elif args[0] in target.items:
        target.items.remove(args[0])
    return None


@of_list("sort")
def _sort(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    descending = kwargs.get("reverse", False)
    if target.open or "key" in kwargs or not isinstance(descending, bool) or not all(map(is_plain, target.items)):
        return _changed(machine, frame, target, args, kwargs)
    try:
        target.items.sort(reverse=descending)
    except TypeError:
        return _changed(machine, frame, target, args, kwargs)
    return None


@of_list("rotate", "extendleft")
def _changed(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.open = target.open or "changed in a way that is not followed"
    return None


@of_list("reverse")
def _reverse(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.items.reverse()
    return None


@of_list("copy")
def _copy(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return List(target.items, target.open, target.limit, target.each)


@of_list("index")
def _index(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    wanted = args[0] if args else None
    plain = (int, str, float, type(None))
    if isinstance(wanted, plain) and not target.open and all(isinstance(v, plain) for v in target.items):
        if wanted in target.items:
            return target.items.index(wanted)
        if machine.catching:
            raise PythonRaise("ValueError")
    return Unknown("the index of something unknown")


@of_list("count")
def _count(machine: Machine, frame: Frame, target: List, args: list[Value], kwargs: dict[str, Value]) -> Value:
    plain = (int, str, float, type(None))
    if not target.open and all(isinstance(v, plain) for v in [*target.items, *args]):
        return target.items.count(args[0])
    return Unknown("a count of unknown items")


# dicts ------------------------------------------------------------------------------------------------------


def _found(target: Dict, key: Value) -> Value:
    try:
        return target.items.get(key, MISSING)
    except TypeError:
        return Unknown("an item under an unknown key")


@of_dict("get")
def _get(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if not args:
        return Unknown("an item without a key")
    default = args[1] if len(args) > 1 else kwargs.get("default")
    value = _found(target, args[0])
    if value is not MISSING and not isinstance(args[0], Unknown):
        there = machine.has_key(target, args[0])
        return Choice(there, value, default) if isinstance(there, Condition) else value if there else default
    found = registered(machine, target, args[0])
    if found is not MISSING:
        return found
    if target.others == FURTHER and default is not None and not isinstance(args[0], Unknown):
        return default
    if isinstance(default, (Function, Class)) and isinstance(args[0], Unknown):
        return default  # what stands for one another is called alike
    if target.others and default is None and isinstance(args[0], str):
        return subscripts.other(machine, target, args[0])
    if target.others or isinstance(args[0], Unknown):
        return Unknown(target.open or "an item under an unknown key")
    return default


@of_dict("pop")
def _dict_pop(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    value = _get(machine, frame, target, args, kwargs)
    if args and _found(target, args[0]) is not MISSING and not isinstance(args[0], Unknown):
        target.remove(args[0])
    return value


@of_dict("setdefault")
def _setdefault(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if not args or isinstance(args[0], Unknown):
        return _get(machine, frame, target, args, kwargs)
    value = _get(machine, frame, target, args, kwargs)
    if _found(target, args[0]) is MISSING and isinstance(value, Unknown) and target.others:
        default = args[1] if len(args) > 1 else kwargs.get("default")
        value = Choice(Condition(object(), target.others), Unknown(target.others), default)
    target.put(args[0], value)
    return value


@of_dict("keys")
def _keys(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return List(target.items, target.open)


@of_dict("values")
def _values(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return List(target.items.values(), target.open)


@of_dict("items")
def _items(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return List(list(target.items.items()), target.open)


@of_dict("copy")
def _dict_copy(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    return target.copy()


@of_dict("update")
def _update(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    for value in args:
        value = machine.resolve(value)
        if isinstance(value, Dict):
            target.merge(value)
            continue
        pairs = items_of(machine, value)
        if pairs is None or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
            target.open = target.open or "updated by something unknown"
        else:
            target.merge(Dict({p[0]: p[1] for p in pairs}))  # type: ignore[index]
    target.merge(Dict(kwargs))
    attributes.write_back(machine, target)
    return None


@of_dict("clear")
def _clear(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.items.clear()
    target.maybe.clear()
    return None


@of_dict("move_to_end", "subtract")
def _reordered(machine: Machine, frame: Frame, target: Dict, args: list[Value], kwargs: dict[str, Value]) -> Value:
    target.open = target.open or "changed in a way that is not followed"
    return None
