"""Targets: binding names, unpacking, setting attributes and items, deleting."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from conv_lint import dims
from conv_lint.dims import Dim, Expr
from conv_lint.interpreter import attributes, faults, kinds, locate, protocols, tensors, unready
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import MISSING, Class, Frame, Instance, Sizes
from conv_lint.interpreter.sequences import items_of
from conv_lint.tree import dotted
from conv_lint.values import Dict, Iter, List, Tensor, Unknown, Value, any_shape


def bind(machine: Machine, frame: Frame, name: str, value: Value) -> None:
    """Give a name a value, in the scope where Python would."""
    scope = frame
    kind = frame.declared.get(name)
    if kind == "global":
        scope = frame.namespace.frame
    elif kind == "nonlocal":
        scope = next((f for f in _enclosing(frame) if name in f.locals), frame)
    machine.journal.touch(scope)
    if name in scope.arguments:
        scope.first.setdefault(name, (*scope.arguments.pop(name), scope.locals.get(name)))
    scope.locals[name] = value


def _enclosing(frame: Frame) -> list[Frame]:
    found = []
    here = frame.parent
    while here is not None:
        found.append(here)
        here = here.parent
    return found


def assign(machine: Machine, frame: Frame, target: cst.CSTNode, value: Value) -> None:
    """Assign a value to a target of any form."""
    match target:
        case cst.Name(value=name):
            bind(machine, frame, name, value)
            if isinstance(value, Tensor):
                frame.bound[id(target)] = value
        case cst.Tuple(elements=elements) | cst.List(elements=elements):
            unpack(machine, frame, target, elements, value)
        case cst.Attribute(
            value=cst.Attribute(value=base, attr=cst.Name(value="__new__")), attr=cst.Name("__defaults__")
        ):
            _set_defaults(machine, frame, base, value)
        case cst.Attribute(value=base, attr=attr):
            _set_attribute(machine, frame, target, base, attr.value, value)
        case cst.Subscript():
            _set_item(machine, frame, target, value)
        case cst.StarredElement(value=inner):
            assign(machine, frame, inner, value)


def _set_defaults(machine: Machine, frame: Frame, node: cst.BaseExpression, value: Value) -> None:
    """``Args.__new__.__defaults__ = (None,) * 3`` of a named tuple: the defaults of its last fields."""
    from conv_lint.interpreter.expressions import evaluate

    made, values = machine.resolve(evaluate(machine, frame, node)), machine.resolve(value)
    if isinstance(made, Class) and isinstance(values, tuple) and 0 < len(values) <= len(made.fields):
        made.fields.update(zip(list(made.fields)[-len(values) :], values))


def run_assign(machine: Machine, frame: Frame, node: cst.Assign) -> None:
    from conv_lint.interpreter.expressions import evaluate

    if replaces_module(node):
        return
    _settle_starred(machine, frame, node)
    value = evaluate(machine, frame, node.value)
    for target in node.targets:
        assign(machine, frame, target.target, value)


def _settle_starred(machine: Machine, frame: Frame, node: cst.Assign) -> None:
    """``b, n, c, h = *x.shape, heads`` tells the number of dimensions, too."""
    from conv_lint.interpreter.expressions import evaluate

    target = node.targets[0].target
    if not isinstance(node.value, cst.Tuple) or not isinstance(target, cst.Tuple):
        return
    starred = [e.value for e in node.value.elements if isinstance(e, cst.StarredElement)]
    is_plain = not any(isinstance(e, cst.StarredElement) for e in target.elements)
    if len(starred) == 1 and is_plain and isinstance(starred[0], cst.Attribute):
        sizes = machine.resolve(evaluate(machine, frame, starred[0]))
        if isinstance(sizes, Sizes):
            _settle(machine, sizes, len(target.elements) - len(node.value.elements) + 1, None)


def replaces_module(node: cst.CSTNode) -> bool:
    """``sys.modules[__name__] = LazyModule(...)``: what stands in for a module looks its names up in its source."""
    match node:
        case cst.Assign(targets=targets):
            return any(isinstance(t.target, cst.Subscript) and dotted(t.target.value) == "sys.modules" for t in targets)
    return False


def run_annotated(machine: Machine, frame: Frame, node: cst.AnnAssign) -> None:
    from conv_lint.interpreter.expressions import evaluate

    if node.value is not None:
        assign(machine, frame, node.target, evaluate(machine, frame, node.value))


def run_augmented(machine: Machine, frame: Frame, node: cst.AugAssign) -> None:
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.operators import augmented

    left = evaluate(machine, frame, node.target)
    right = evaluate(machine, frame, node.value)
    assign(machine, frame, node.target, augmented(machine, frame, node, left, right))


def entered(machine: Machine, frame: Frame, value: Value) -> Value:
    """What ``with value as name`` binds: what ``__enter__`` returns, or what a generator yields first."""
    if isinstance(value, Iter) and value.items:
        return value.items[0]
    if isinstance(value, Instance) and protocols.has(value, "__enter__"):
        return protocols.run(machine, frame, value, "__enter__")
    return value if isinstance(value, (Instance, Tensor)) else Unknown("a context manager")


# unpacking --------------------------------------------------------------------------------------------------


def unpack(
    machine: Machine, frame: Frame, node: cst.CSTNode, elements: Sequence[cst.BaseElement], value: Value
) -> None:
    """``a, b = value`` and ``a, *rest = value``."""
    star = next((i for i, e in enumerate(elements) if isinstance(e, cst.StarredElement)), None)
    count = len(elements)
    values = unpacked(machine, frame, node, value, count, star)
    for element, item in zip(elements, values):
        assign(machine, frame, element.value, item)


def unpacked(
    machine: Machine, frame: Frame, node: cst.CSTNode, value: Value, count: int, star: int | None
) -> list[Value]:
    """The values for ``count`` targets, one of which may be starred."""
    value = machine.resolve(value)
    if isinstance(value, Sizes):
        shape = machine.shape(value.tensor.shape)
        if star == 0 and shape.rest is not None and count - 1 <= len(shape.known):
            return [List(open="leading sizes"), *shape.known[len(shape.known) - count + 1 :]]
        value = _settle(machine, value, count, star)
    items = items_of(machine, value)
    if items is None and isinstance(value, Tensor):
        return [tensors.piece(machine, value, i) for i in range(count)]
    if items is None:
        kinds.refuse_iterating(machine, frame, node, value, kinds.NOT_UNPACKED)
        if isinstance(value, Unknown):
            return [value.part(("item", i), lambda: Unknown(value.reason)) for i in range(count)]
        return [Unknown("unpacked from something unknown") for _ in range(count)]
    if star is not None:
        after = count - star - 1
        if len(items) < count - 1:
            faults.wrong_count(machine, frame, node, value, len(items), count - 1, starred=True)
            return [Unknown("too few values to unpack") for _ in range(count)]
        middle = items[star : len(items) - after]
        return [*items[:star], List(middle), *items[len(items) - after :]]
    if len(items) != count:
        _wrong_count(machine, frame, node, value, len(items), count)
        return [Unknown("wrong number of values to unpack") for _ in range(count)]
    return items


def _settle(machine: Machine, value: Sizes, count: int, star: int | None) -> Value:
    """``b, c, h, w = x.shape`` tells the number of dimensions."""
    shape = machine.shape(value.tensor.shape)
    missing = count - len(shape.known)
    if star is not None or shape.rest is None or missing < 0:
        return Unknown("number of dimensions")
    names: dict[int, str] = {0: "B", count - 1: "W", count - 2: "H"} if count == 4 else {0: "B"}
    if count == 2 and not shape.rest.image:
        names = {}  # a table, or one image in gray: no batch of either
    sizes: tuple[Dim, ...] = tuple(shape.rest.axis(names[i]) if i in names else dims.unknown(1) for i in range(missing))
    machine.settle(shape.rest, sizes)
    return tuple(tuple.__iter__(machine.shape(value.tensor.shape)))


def _wrong_count(machine: Machine, frame: Frame, node: cst.CSTNode, value: Value, given: int, names: int) -> None:
    """A tensor, a shape or a tuple of tensors that has another number of parts than names: torch's own doing."""
    is_shape = isinstance(value, tuple) and value != () and all(isinstance(v, (int, Expr)) for v in value)
    is_pieces = isinstance(value, (tuple, List, Iter)) and any(
        isinstance(v, Tensor) for v in (value if isinstance(value, tuple) else value.items)
    )
    if faults.wrong_count(machine, frame, node, value, given, names, starred=False):
        return
    if isinstance(value, Tensor) or is_shape or is_pieces:
        locate.report_at(machine, frame, node, faults.unpack_count(given, names))


# attributes and items ---------------------------------------------------------------------------------------


def _set_attribute(
    machine: Machine, frame: Frame, node: cst.CSTNode, base: cst.BaseExpression, name: str, value: Value
) -> None:
    from conv_lint.interpreter.expressions import evaluate

    target = machine.resolve(evaluate(machine, frame, base))
    if isinstance(target, Tensor) and name in _OF_ARRAYS and isinstance(base, cst.Name):
        assign(machine, frame, base, Tensor(any_shape(f"its {name} was set")))
    if isinstance(target, Instance) and target.layer is not None and name in OF_WEIGHTS:
        target.edited[name] = frame.place(base)
    unready.check(machine, frame, node, target, name, value)
    attributes.set_attribute(machine, frame, target, name, value)


#: What can be set of an array, and changes its shape.
_OF_ARRAYS = frozenset({"dtype", "shape"})
#: Numbers of a layer that only say how its weight was made.
OF_WEIGHTS = frozenset({"in_channels", "out_channels", "in_features", "out_features", "num_features"})


def _set_item(machine: Machine, frame: Frame, target: cst.Subscript, value: Value) -> None:
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.subscripts import index_value

    index = machine.resolve(index_value(machine, frame, target))
    match target.value:
        case cst.Attribute(value=held, attr=cst.Name(value="_modules")):
            owner = machine.resolve(evaluate(machine, frame, held))
            if isinstance(owner, Instance) and owner.is_module and isinstance(index, str):
                attributes.set_attribute(machine, frame, owner, index, value)
                return
    base = machine.resolve(evaluate(machine, frame, target.value))
    set_item(machine, frame, target, base, index, value)


def _for_slice(machine: Machine, base: List, index: slice, value: Value) -> list[Value] | None:
    """What ``shape[1:] = [1] * 2`` puts there; ``None`` where it is not known which items that are."""
    bounds = index.start, index.stop, index.step
    items = items_of(machine, value)
    if base.open or items is None or not all(b is None or isinstance(b, int) for b in bounds):
        return None
    is_plain = index.step in (None, 1) or (index.step != 0 and len(base.items[index]) == len(items))
    return items if is_plain else None


def set_item(machine: Machine, frame: Frame, node: cst.CSTNode, base: Value, index: Value, value: Value) -> None:
    """``base[index] = value``."""
    if isinstance(base, Instance) and protocols.has(base, "__setitem__"):
        protocols.run(machine, frame, base, "__setitem__", index, value)
        return
    if isinstance(base, Instance) and base.held is not None:
        base = base.held
    if isinstance(base, Tensor):
        base.numbers = None
    match base:
        case List():
            machine.journal.touch(base)
            base.each = None
            base.forget_conditions()
            if isinstance(index, int) and -len(base.items) <= index < len(base.items):
                base.items[index] = value
            elif isinstance(index, slice) and (items := _for_slice(machine, base, index, value)) is not None:
                base.items[index] = items
            elif not base.open:
                if isinstance(index, int):
                    faults.out_of_range(machine, frame, node, base, index, len(base.items))
                base.open = "an item was set at an unknown index"
        case Dict():
            machine.journal.touch(base)
            try:
                hash(index)
                known = not isinstance(index, Unknown)
            except TypeError:
                known = False
            if known:
                base.put(index, value)
            elif not base.open:
                base.open = "an item was set under an unknown key"
            attributes.write_back(machine, base)
        case Tensor() if isinstance(value, Tensor):
            tensors.call(machine, frame, node, "torch.Tensor.__setitem__", [base, index, value], {})
        case Instance() if base.is_module:
            attributes.set_module_item(machine, base, index, value)


def delete(machine: Machine, frame: Frame, target: cst.CSTNode) -> None:
    """``del name``, ``del obj.attr``, ``del seq[i]``."""
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.subscripts import index_value

    match target:
        case cst.Name(value=name):
            machine.journal.touch(frame)
            frame.locals.pop(name, None)
        case cst.Attribute(value=base, attr=attr):
            owner = machine.resolve(evaluate(machine, frame, base))
            if isinstance(owner, (Instance, Class)):
                machine.journal.touch(owner)
                owner.attrs.pop(attr.value, MISSING)
        case cst.Subscript():
            owner = machine.resolve(evaluate(machine, frame, target.value))
            index = machine.resolve(index_value(machine, frame, target))
            if isinstance(owner, Instance) and protocols.has(owner, "__delitem__"):
                protocols.run(machine, frame, owner, "__delitem__", index)
            elif isinstance(owner, Instance) and owner.is_module:
                attributes.delete_module_item(machine, owner, index)
            elif isinstance(owner, (List, Dict)):
                delete_item(machine, owner, index)


def delete_item(machine: Machine, owner: List | Dict, index: Value) -> None:
    """``del owner[index]``."""
    machine.journal.touch(owner)
    try:
        if isinstance(owner, Dict):
            owner.maybe.pop(index, None)
        del owner.items[index]  # type: ignore[arg-type]
    except (KeyError, IndexError, TypeError):
        owner.items.clear()  # whichever it was
        owner.open = "an unknown item was deleted"
