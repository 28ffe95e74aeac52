"""``value[index]`` on sequences, dicts, shapes, containers of modules, and tensors."""

from __future__ import annotations

import libcst as cst

from conv_lint import dims
from conv_lint.interpreter import attributes, faults, kinds, protocols, suppose, tensors
from conv_lint.interpreter.journal import each_of
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.namespace import load, registered
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Instance, ProjectModule, Sizes
from conv_lint.interpreter.samples import some_item
from conv_lint.interpreter.sequences import is_part, items_of, members
from conv_lint.values import Choice, Dict, External, List, Real, Tensor, Unknown, Value


def evaluate_subscript(machine: Machine, frame: Frame, node: cst.Subscript) -> Value:
    from conv_lint.interpreter.expressions import evaluate

    base = evaluate(machine, frame, node.value)
    if isinstance(base, External) and base.name == "sys.modules":
        return _loaded(machine, machine.resolve(index_value(machine, frame, node)))
    if isinstance(base, (External, Class, Function)):
        # Optional[int], List[Tensor]: an annotation; Enum["name"].
        if isinstance(base, Class) and base.kind == "enum":
            return base.fields.get(str(index_value(machine, frame, node)), Unknown("a member of an enum"))
        return base
    return item(machine, frame, node, base, machine.resolve(index_value(machine, frame, node)))


def _loaded(machine: Machine, name: Value) -> Value:
    """``sys.modules[__name__]``."""
    found = load(machine, name) if isinstance(name, str) else None
    return ProjectModule(found) if found is not None else Unknown("a module that is not known")


def index_value(machine: Machine, frame: Frame, node: cst.Subscript) -> Value:
    """The index of a subscript: one value, or a tuple of values and slices."""
    parts = [_index(machine, frame, element.slice) for element in node.slice]
    comma = isinstance(node.slice[-1].comma, cst.Comma)
    return parts[0] if len(parts) == 1 and not comma else tuple(parts)


def _index(machine: Machine, frame: Frame, node: cst.BaseSlice) -> Value:
    from conv_lint.interpreter.expressions import evaluate

    if isinstance(node, cst.Index):
        return evaluate(machine, frame, node.value)
    assert isinstance(node, cst.Slice)
    bounds = [evaluate(machine, frame, n) if n is not None else None for n in (node.lower, node.upper, node.step)]
    return slice(*bounds)


def item(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, index: Value) -> Value:
    """The value of ``base[index]``."""
    machine.weigh(index)
    if isinstance(base, Choice):
        return machine.choose(frame, base, lambda v: item(machine, frame, node, v, index))
    if isinstance(base, Tensor):
        if isinstance(index, str):
            return Unknown("an item of a dict that is given as input")
        return tensors.index(machine, frame, node, base, index)
    if isinstance(index, Choice) and not isinstance(base, Unknown):
        return machine.choose(frame, index, lambda v: item(machine, frame, node, base, v))
    if kinds.refuse_index(machine, frame, node, base, index):
        return Unknown("an item of what has none")
    match base:
        case Dict():
            return _of_dict(machine, frame, node, base, index)
        case Instance() if protocols.has(base, "__getitem__"):
            return protocols.run(machine, frame, base, "__getitem__", index)
        case Instance() if base.is_module:
            return _of_module(machine, frame, node, base, index)
        case Instance():
            return _of_instance(machine, frame, node, base, index)
        case Sizes():
            return _of_sizes(machine, frame, node, base, index)
        case Unknown():
            part = suppose.items(machine, base) if isinstance(index, slice) else base
            if isinstance(part, Unknown):
                return _of_unknown(part, index)
            base = part
    if isinstance(base, (tuple, str, List, range, bytes)):
        return _of_sequence(machine, frame, node, base, index)
    if base is None:
        raise PythonRaise("TypeError")
    return Unknown("an item of something unknown")


def _of_sequence(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, index: Value) -> Value:
    if isinstance(base, str) and isinstance(index, str):
        raise PythonRaise("TypeError")
    items = items_of(machine, base)
    if items is None:
        if isinstance(base, List) and base.maybe and type(index) is int and 0 <= index < min(base.maybe):
            return base.items[index]
        if isinstance(base, List) and base.each is not None:
            if isinstance(index, slice):
                return List(open=base.open, each=base.each)
            return some_item(base.each)
        if isinstance(base, List) and isinstance(index, int) and 0 <= index < len(base.items) and len(base.items) > 1:
            return Unknown(base.open or "an item of a list that is not known")
        return Unknown(base.open if isinstance(base, List) and base.open else "an item of an unknown list")
    if isinstance(index, bool):
        index = int(index)
    index = suppose.kind(machine, items, index)
    if isinstance(index, int):
        if -len(items) <= index < len(items):
            return items[index]
        if faults.out_of_range(machine, frame, node, base, index, len(items)):
            return Unknown("an index out of range")
        if machine.catching or isinstance(base, (tuple, str)):  # a list may have been filled unseen
            raise PythonRaise("IndexError")
        return Unknown("an index out of range")
    if isinstance(index, slice):
        bounds = (index.start, index.stop, index.step)
        if all(b is None or isinstance(b, int) for b in bounds) and index.step != 0:
            if isinstance(base, str):
                return base[index]
            part = items[index]
            return tuple(part) if isinstance(base, tuple) else List(part)
        if not items:
            return base if isinstance(base, (tuple, str)) else List()
        faults.not_whole(machine, frame, node, "a slice", bounds)
        return List(open="a slice with unknown bounds")
    faults.not_whole(machine, frame, node, "an index", (index,))
    return alike(items)


def alike(items: list[Value]) -> Value:
    """What is known of every one of some values."""
    first = items[0] if items else None
    if items and len({id(i) for i in items}) == 1:
        return first
    if isinstance(first, (int, float, str)) and all(type(i) is type(first) and i == first for i in items):
        return first
    numbers = [i for i in items if type(i) is int]
    if numbers and len(numbers) == len(items):
        return dims.unknown(min(numbers))
    if isinstance(first, Tensor) and all(isinstance(i, Tensor) for i in items):
        shapes = {tuple(tuple.__iter__(i.shape)) for i in items if isinstance(i, Tensor)}
        if len(shapes) > 1:
            return each_of(items) or Unknown(_ANY)
        return Tensor(first.shape, first.step, first.dtype, first.sure)
    if items and all(type(i) is float for i in items):
        return Real("a number with a point", ())
    if isinstance(first, (tuple, List)) and not isinstance(first, Tensor):
        rows = [i.items if isinstance(i, List) else i for i in items if isinstance(i, type(first))]
        is_open = any(isinstance(i, List) and i.open for i in items)
        if len(rows) == len(items) and not is_open and len({len(row) for row in rows}) == 1:
            common = [alike(list(column)) for column in zip(*rows)]
            return List(common) if isinstance(first, List) else tuple(common)
    if isinstance(first, Dict):
        return _alike_dicts(items)
    if isinstance(first, Instance) and isinstance(first.cls, Class) and first.cls.kind == "namedtuple":
        return _alike_tuples(first, items)
    return Unknown(_ANY)


def _alike_tuples(first: Instance, items: list[Value]) -> Value:
    """Of named tuples, field by field."""
    same = [i for i in items if isinstance(i, Instance) and i.cls is first.cls and i.attrs.keys() == first.attrs.keys()]
    if len(same) < len(items):
        return Unknown(_ANY)
    made = Instance(first.cls)
    made.attrs.update((name, alike([i.attrs[name] for i in same])) for name in first.attrs)
    return made


def _alike_dicts(items: list[Value]) -> Value:
    dicts = [d for d in items if isinstance(d, Dict) and not d.open and d.default is None]
    keys = dicts[0].items.keys() if dicts else ()
    if len(dicts) < len(items) or not all(d.items.keys() == keys for d in dicts):
        return Unknown(_ANY)
    return Dict({key: alike([d.items[key] for d in dicts]) for key in keys})


#: Why nothing is known of an item.
_ANY = "an item at an unknown index"


def _of_module(machine: Machine, frame: Frame, node: cst.CSTNode, base: Instance, index: Value) -> Value:
    """A layer of a Sequential, a ModuleList, a ModuleDict."""
    if base.is_container and not base.open and not isinstance(index, bool):
        if isinstance(index, int) and base.torch_name in _INDEXED:
            count = len(members(base))
            if all(map(is_part, base.attrs.values())) and not -count <= index < count:
                faults.out_of_range(machine, frame, node, base, index, count)
        elif isinstance(index, str) and base.torch_name not in _INDEXED and index not in base.attrs:
            faults.missing_key(machine, frame, node, base, index, list(base.attrs))
    return attributes.module_item(machine, base, index)


_INDEXED = ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ParameterList")


def _of_dict(machine: Machine, frame: Frame, node: cst.CSTNode, base: Dict, index: Value) -> Value:
    from conv_lint.interpreter.calls import call_value

    index = suppose.kind(machine, base.items, index)
    try:
        known = index in base.items
    except TypeError:
        return Unknown("an item under an unknown key")
    if known:
        return base.items[index]
    found = registered(machine, base, index)
    if found is not MISSING:
        return found
    if isinstance(index, Unknown):
        return index.part(("of", id(base)), lambda: Unknown("an item under an unknown key"))
    if base.default is not None and not base.others:
        machine.journal.touch(base)
        base.items[index] = call_value(machine, frame, None, base.default, [], {})
        return base.items[index]
    if not base.open and base.default is None:
        faults.missing_key(machine, frame, node, base, index, list(base.items))
    if not base.others and machine.catching:
        raise PythonRaise("KeyError")
    return other(machine, base, index) if base.others else Unknown(f"the key {index!r} is not in the dict")


def other(machine: Machine, base: Dict, key: Value) -> Unknown:
    """What a dict of which not all is known holds under another key: the same each time, as long as it is not seen to
    change."""
    asked = id(base), len(base.items), key
    if asked not in machine.others:
        machine.others[asked] = base, Unknown(base.others or "an item that is not known")
    return machine.others[asked][1]


def _of_instance(machine: Machine, frame: Frame, node: cst.CSTNode, base: Instance, index: Value) -> Value:
    from conv_lint.interpreter.calls import call_value

    if base.held is not None:
        if protocols.has(base, "__missing__") and isinstance(base.held, Dict) and index not in base.held.items:
            return protocols.run(machine, frame, base, "__missing__", index)
        return item(machine, frame, node, base.held, index)
    items = items_of(machine, base)
    if items is not None and isinstance(index, int) and -len(items) <= index < len(items):
        return items[index]
    if "__getitem__" in base.attrs:  # of a library's object: a dataset
        return call_value(machine, frame, None, base.attrs["__getitem__"], [index], {})
    return Unknown("an item of an object")


def _of_sizes(machine: Machine, frame: Frame, node: cst.CSTNode, base: Sizes, index: Value) -> Value:
    shape = machine.shape(base.tensor.shape)
    if shape.rest is None:
        return _of_sequence(machine, frame, node, tuple(tuple.__iter__(shape)), index)
    if isinstance(index, int):
        return machine.peek(base.tensor, index)
    if isinstance(index, slice) and index.step is None and isinstance(index.start, int):
        start, stop = index.start, index.stop
        if start < 0 and (stop is None or (isinstance(stop, int) and stop < 0)):
            stop_at = 0 if stop is None else stop
            return tuple(machine.peek(base.tensor, i) for i in range(start, stop_at))
        if start == 2 and stop is None and not shape.known:
            # x.shape[2:] in image code: height and width.
            return Unknown("the trailing sizes of a tensor of unknown rank")
        if isinstance(stop, int) and 0 <= start < stop:
            return tuple(machine.peek(base.tensor, i) for i in range(start, stop))
    if isinstance(index, slice) and index.start is None and isinstance(index.stop, int) and index.stop > 0:
        return tuple(machine.peek(base.tensor, i) for i in range(index.stop))
    return Unknown("sizes of a tensor of unknown rank")


def _of_unknown(base: Unknown, index: Value) -> Value:
    name = "?"
    if isinstance(index, (int, str)) and base.name != "?":
        name = f"{base.name}[{index!r}]"
    key = index if isinstance(index, (int, str)) else object()
    return base.part(("item", key), lambda: Unknown(base.reason, name))
