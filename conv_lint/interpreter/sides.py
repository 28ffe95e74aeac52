"""Which of two layers has the odd number, where the one gives what the other does not take.

A layer is the odd one if its number is no number of the function that makes it, while the number of the other side is:
``nn.Conv2d(width, width * 2, 1)`` where the other tensor of a sum has ``width`` channels.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst

from conv_lint.dims import Dim
from conv_lint.finding import Place, Step
from conv_lint.interpreter.decided import Decided, argument_node, decided
from conv_lint.interpreter.objects import Call, Frame, Instance
from conv_lint.interpreter.unread import is_unread
from conv_lint.interpreter.ways import Scope, size_at, way_at
from conv_lint.ops.table import Signature
from conv_lint.values import List

GIVES = ("out_channels", "out_features")


@dataclass(frozen=True)
class Maker:
    """A layer that decides a size of a tensor, and where that number was written."""

    step: Step
    size: Dim
    name: str
    decided: Decided

    @property
    def numbers(self) -> dict[str, Dim]:
        """The whole numbers that have a name in the function around the layer."""
        return dict(_numbers(self.decided.frame))

    @property
    def words(self) -> set[str]:
        """The names in the expression that was written for the number; none if it is one name."""
        node = self.decided.place.node
        if not isinstance(node, cst.CSTNode) or isinstance(node, (cst.Name, cst.Call)):
            return set()
        return set(_names(node))

    def odd_beside(self, size: object) -> bool:
        """Has the function around it a parameter, or the expression a name, for ``size``, but none of its names what
        the layer makes?"""
        numbers = self.numbers
        meant = {numbers.get(name) for name in (*self.decided.frame.arguments, *self.words)}
        return size in meant and self.size not in numbers.values()


def maker(step: Step, axis: int, user: Frame, moved: bool = False) -> Maker | None:
    """The layer that has decided a size of what a step made; ``moved``: a permutation may have put it there."""
    size = size_at(step, axis)
    point = next((p for p in way_at(step, axis) if p.size != size or p.step.made == p.axis), None)
    is_near = point is not None and (moved or point.axis == axis)
    found = point.step if point is not None and point.size == size and is_near else None
    scope = found.scope if found is not None else None
    if found is None or not isinstance(scope, Scope) or scope.layer is None or size is None:
        return None
    for name in GIVES:
        if name in scope.layer.attrs:
            place = decided(found, name, size, user)
            return Maker(found, size, name, place) if place is not None else None
    return None


@dataclass(frozen=True)
class Blame:
    """Where the odd number stands, and what to write, if that is known."""

    place: Place
    frame: Frame
    fix: str | None = None


def of_a_sum(operands: tuple[Step, ...], axis: int, sizes: tuple[object, object], user: Frame) -> Blame | None:
    """Of tensors that are added or joined and differ at ``axis``, the layer that made one of them so."""
    makers = [m for step in operands if (m := maker(step, axis, user, moved=True)) is not None]
    a, b = sizes
    odd = [m for m in makers if m.size in sizes and m.odd_beside(b if m.size == a else a)]
    if len({m.decided.place.key for m in odd}) == 1:
        other = b if odd[0].size == a else a
        return Blame(odd[0].decided.place, odd[0].decided.frame, f"{odd[0].name}={other} in {odd[0].step.label}")
    pair = [next((m for m in makers if m.size == size), None) for size in sizes]
    one, two = pair
    if odd or one is None or two is None or one.decided.frame.function is not two.decided.frame.function:
        return None
    # Whichever it is, it is written where both were made.
    last = max(one, two, key=lambda m: m.decided.place.position)
    return Blame(last.decided.place, last.decided.frame)


def of_a_producer(source: Step, axis: int, takes: int, user: Frame, consumer: Consumer | None) -> Blame | None:
    """The layer that makes too many or too few channels for the next block, by an expression with a name in it that
    has the number which is needed; or one that makes other channels than a parameter says that nobody reads."""
    parts = source.parents if source.made == axis and not _is_layer(source) else (source,)
    sizes = [size_at(part, axis) for part in parts]
    if not parts or not all(isinstance(size, int) for size in sizes):
        return None
    makers = [maker(part, axis, user) for part in parts]
    blames: list[tuple[bool, Blame]] = []
    for found in makers:
        if found is None:
            continue
        for name, node, frame in _candidates(found, consumer):
            values = [_named(other, name, node) if other is not None else None for other in makers]
            together = [size if value is None else value for size, value in zip(sizes, values)]
            if takes == sum(v for v in together if isinstance(v, int)):
                expression = found.decided.place if node is found.decided.place.node else frame.place(node)
                alike = found.step.label.rpartition(".")[2] in name
                blames.append((alike, Blame(expression, frame, f"{found.name}={name}")))
    return max(blames, key=lambda pair: pair[0])[1] if blames else None


@dataclass(frozen=True)
class Consumer:
    """A layer and the argument that says what it takes."""

    call: Call
    argument: str
    signature: Signature

    @property
    def expression(self) -> cst.CSTNode | None:
        """What was written for the argument where the layer is made."""
        return argument_node(self.call.node, self.argument, self.signature)

    @property
    def author(self) -> Frame:
        """The function that does not only hand on the argument."""
        expression, frame = self.expression, self.call.frame
        while isinstance(expression, cst.Name) and expression.value in frame.arguments:
            expression, caller = frame.arguments[expression.value]
            if caller is None:
                break
            frame = caller
        return frame


def of_a_consumer(consumer: Consumer, takes: object, given: object) -> Blame | None:
    """``Block(inputs, width * 2)`` whose layer takes ``inputs + width`` channels, and would fit with ``width``."""
    expression, frame = consumer.expression, consumer.call.frame
    while expression is not None:
        numbers, names = _numbers(frame), set(_names(expression))
        if value_of(expression, numbers) != takes:
            return None
        if not isinstance(expression, cst.Name) and any(numbers.get(name) == given for name in names):
            return None  # this expression itself has what is given, and makes another number of it
        for name in names & set(frame.arguments):
            written, caller = frame.arguments[name]
            if caller is None or isinstance(written, cst.Name):
                continue
            within = set(_names(written))  # of several names one fits by chance
            for other in within if len(within) == 1 else ():
                value = _numbers(caller).get(other)
                if value is not None and value_of(expression, {**numbers, name: value}) == given:
                    return Blame(caller.place(written), caller, other)
        if not isinstance(expression, cst.Name) or expression.value not in frame.arguments:
            return None
        expression, caller = frame.arguments[expression.value]
        if caller is None:
            return None
        frame = caller
    return None


def of_a_name(consumer: Consumer, takes: object, given: object) -> Blame | None:
    """``nn.Conv2d(out_channels, ...)`` in a function whose parameter ``in_channels`` has what is given."""
    expression = consumer.expression
    frame: Frame | None = consumer.call.frame
    while isinstance(expression, cst.Name) and frame is not None and expression.value in frame.arguments:
        numbers = _numbers(frame)
        if numbers.get(expression.value) == takes and _says(expression.value, "out"):
            for name in frame.arguments:
                if numbers.get(name) == given and _says(name, "in"):
                    return Blame(frame.place(expression), frame, name)
        expression, frame = frame.arguments[expression.value]
    return None


def of_a_list(consumer: Consumer, takes: object) -> tuple[Blame, str] | None:
    """The one of several objects of numbers, one for each block, from which a layer has what it takes."""
    expression = consumer.expression
    frame: Frame | None = consumer.call.frame
    while isinstance(expression, cst.Name) and frame is not None and expression.value in frame.arguments:
        expression, frame = frame.arguments[expression.value]
    if not isinstance(expression, cst.Attribute) or not isinstance(expression.value, cst.Name) or frame is None:
        return None
    name = expression.attr.value
    if _says(name, "out"):
        return None  # what a layer takes was read from the number of an output: that is odd where it is read
    found: dict[int, Call] = {}
    for outer in _around(frame):
        for value in outer.locals.values():
            for item in value.items if isinstance(value, List) else value if isinstance(value, tuple) else ():
                if isinstance(item, Instance) and item.attrs.get(name) == takes and item.call is not None:
                    found[id(item.call.node)] = item.call
    if len(found) != 1:
        return None
    ((_, made),) = found.items()
    return Blame(made.frame.place(made.node), made.frame), name


def _around(frame: Frame) -> Iterator[Frame]:
    """The running functions, and those whose names a comprehension in them sees."""
    for running in frame.stack():
        scope: Frame | None = running
        while scope is not None:
            yield scope
            scope = scope.parent


def _says(name: str, word: str) -> bool:
    """Is a name that of an input, or of an output?"""
    return any(part in (word, f"{word}put", f"{word}puts", f"{word}planes") for part in name.lower().split("_"))


def _numbers(frame: Frame) -> dict[str, int]:
    return {n: v for n, v in frame.locals.items() if isinstance(v, int) and not isinstance(v, bool)}


def value_of(node: cst.CSTNode, numbers: Mapping[str, int]) -> int | None:
    """The value of a sum or a product of names and whole numbers."""
    match node:
        case cst.Name():
            return numbers.get(node.value)
        case cst.Integer():
            return node.evaluated_value
        case cst.BinaryOperation():
            left, right = value_of(node.left, numbers), value_of(node.right, numbers)
            run = _ARITHMETIC.get(type(node.operator))
            if left is None or right is None or run is None or (run is operator.floordiv and not right):
                return None
            return run(left, right)
    return None


_ARITHMETIC: dict[type[cst.BaseBinaryOp], Callable[[int, int], int]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.FloorDivide: operator.floordiv,
}


def _candidates(found: Maker, consumer: Consumer | None) -> Iterator[tuple[str, cst.CSTNode, Frame]]:
    """The names that may have been meant, each with the expression or call where another number was written.

    Where one function has written both numbers, either may be the wrong one.
    """
    node, frame = found.decided.place.node, found.decided.frame
    authors = (consumer.author.function, consumer.call.frame.function) if consumer is not None else ()
    if isinstance(node, cst.CSTNode) and frame.function not in authors:
        for name in found.words & set(_numbers(frame)):
            yield name, node, frame
    scope = found.step.scope
    made = scope.layer.layer if isinstance(scope, Scope) and scope.layer is not None else None
    call = made.call if made is not None else None
    shared = list(consumer.call.frame.stack()) if consumer is not None else []
    while call is not None and call.frame not in shared:
        for name in _numbers(call.frame):
            if is_unread(call.frame, name):
                yield name, call.node, call.frame
        call = call.frame.call


def _named(found: Maker, name: str, node: cst.CSTNode) -> int | None:
    """What a name has where the layer was made, if that is done at ``node``."""
    if found.decided.place.node is node:
        return _numbers(found.decided.frame).get(name)
    scope = found.step.scope
    made = scope.layer.layer if isinstance(scope, Scope) and scope.layer is not None else None
    call = made.call if made is not None else None
    while call is not None:
        if call.node is node:
            return _numbers(call.frame).get(name)
        call = call.frame.call
    return None


def _is_layer(step: Step) -> bool:
    return isinstance(step.scope, Scope) and step.scope.layer is not None


def _names(node: cst.CSTNode) -> Iterator[str]:
    if isinstance(node, cst.Name):
        yield node.value
    for child in node.children if not isinstance(node, cst.Attribute) else ():
        yield from _names(child)
