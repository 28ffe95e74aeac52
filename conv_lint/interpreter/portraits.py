"""Descriptions of values: two that have the same one are treated alike by every program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import libcst as cst

from conv_lint.dims import Dim, Expr, Floor, Symbol
from conv_lint.interpreter.objects import (
    BoundMethod,
    Class,
    Frame,
    Function,
    Instance,
    Method,
    Native,
    Partial,
    ProjectModule,
)
from conv_lint.tree import walk
from conv_lint.values import Choice, Condition, Dict, External, List, Rest, Tensor, Unknown, Value, birth

if TYPE_CHECKING:
    from conv_lint.interpreter.calls import Arguments
    from conv_lint.interpreter.machine import Machine

#: A call with more parts than this is not described: nobody would call it again.
MAX_PARTS = 4_000


#: What is its own description.
PLAIN = frozenset({int, str, type(None)})


class Indescribable(Exception):
    """A value of which two that look alike need not be alike."""


class Portrait:
    """Describes values so that two have one description only if every program would treat them alike.

    ``symbols``, ``parts`` (modules, tensors, lists) and ``floats`` are numbered in the order in which they are met; of
    a float only the range is described, as a rate: see :meth:`Machine.weigh`.  What is not known is like itself only.
    ``closed``: no new symbol may come in, nor anything new that is not known.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.symbols: list[Symbol] = []
        self.parts: list[object] = []
        self.floats: list[float] = []
        self.identities: list[object] = []
        self.closed = False
        self._numbers: dict[int, int] = {}
        self._open: set[Hashable] = set()
        self._closures: list[Function] = []

    def of_call(self, arguments: Arguments) -> Hashable:
        """The description of the arguments of a call."""
        if arguments.others or arguments.rest or arguments.maybe:
            raise Indescribable
        return tuple(map(self.of, arguments.args)), tuple((k, self.of(v)) for k, v in arguments.kwargs.items())

    def of(self, value: Value) -> Hashable:
        """The description of one value.  Raises :class:`Indescribable`."""
        kind = type(value)
        if kind in PLAIN:
            return value
        describe = _DESCRIBE.get(kind)
        if describe is None:
            raise Indescribable
        if kind in _PARTS:
            number = self._numbers.get(id(value))
            if number is not None:
                return _PARTS, number
            if len(self.parts) >= MAX_PARTS:
                raise Indescribable
            self._numbers[id(value)] = len(self.parts)
            self.parts.append(value)
        return describe(self, value)

    def size(self, dim: Dim) -> Hashable:
        """The description of a size: the same for two that differ in the names of their symbols only."""
        dim = self.machine.size(dim)
        return dim if isinstance(dim, int) else self._expression(dim)

    def _expression(self, dim: Dim) -> Hashable:
        if isinstance(dim, int):
            return dim
        if isinstance(dim, Rest):
            raise Indescribable
        return tuple((tuple(map(self._atom, monomial)), factor) for monomial, factor in dim.terms)

    def _atom(self, atom: Symbol | Floor) -> Hashable:
        if isinstance(atom, Floor):
            return self._expression(atom.numerator), self._expression(atom.denominator)
        number = self._numbers.get(id(atom))
        if number is not None:
            return number
        if self.closed:
            raise Indescribable
        self._numbers[id(atom)] = len(self.symbols)
        self.symbols.append(atom)
        return len(self.symbols) - 1, atom.name, atom.low, atom.given, atom.image, atom.batch, atom.last

    def _of_float(self, value: float) -> Hashable:
        number = self._numbers.setdefault(id(value), len(self.floats))
        self.floats.append(value)
        return float, number, (value > 0) + (value >= 1) + (value > 1) - (value < 0)

    def _of_number(self, value: object) -> Hashable:
        return type(value), value

    def _of_tuple(self, value: tuple[Value, ...]) -> Hashable:
        return tuple, tuple(map(self.of, value))

    def _of_tensor(self, value: Tensor) -> Hashable:
        if value.attrs:
            raise Indescribable
        numbers = value.numbers if isinstance(value.numbers, (int, float)) else id(value.numbers)
        sizes = tuple(map(self.size, tuple.__iter__(self.machine.shape(value.shape))))
        doubts = value.step.doubts if value.step is not None else ()
        return Tensor, sizes, doubts, value.dtype, value.sure, value.parameter, type(value.numbers), numbers

    def _of_list(self, value: List) -> Hashable:
        if value.open:
            raise Indescribable
        return List, value.limit, tuple(map(self.of, value.items))

    def _of_dict(self, value: Dict) -> Hashable:
        if value.open or value.default is not None or value.home:
            raise Indescribable
        return Dict, tuple((self.of(k), self.of(v)) for k, v in value.items.items())

    def _of_keywords(self, value: dict[str, Value]) -> Hashable:
        return dict, self._items(value)

    def _of_instance(self, value: Instance) -> Hashable:
        if value.open:
            raise Indescribable
        if value.layer is None or not isinstance(value.cls, External):
            return self._of_object(value)
        if value.portrait is None or value.portrait[0] < self.machine.journal.memory.forgotten:
            inner = Portrait(self.machine)
            described = inner._of_object(value)
            if inner.symbols:
                return self._of_object(value)
            value.portrait = birth(), described, inner.floats, inner.identities
        _, described, floats, identities = value.portrait
        self.floats += floats
        self.identities += identities
        return described  # type: ignore[no-any-return]

    def _of_object(self, value: Instance) -> Hashable:
        layer = value.layer
        made = (layer.row.name, self._items(layer.arguments)) if layer is not None else None
        sometimes = tuple((name, self.of(condition)) for name, (condition, _) in value.sometimes.items())
        return self.of(value.cls), made, self.of(value.training), value.parallel, self._items(value.attrs), sometimes

    def _items(self, values: Mapping[str, Value]) -> Hashable:
        return tuple((name, self.of(value)) for name, value in values.items())

    def _of_function(self, value: Function) -> Hashable:
        if value.attrs:
            raise Indescribable
        return self._of_identity(value) if is_global(value) else self._of_closure(value)

    def _of_closure(self, value: Function) -> Hashable:
        """A function of a function is alike another of the same lines that sees the same plain values."""
        if value in self._closures:  # it names itself, or another that names it
            return id(value.node)
        self._closures.append(value)
        try:
            return self._of_what_it_sees(value)
        finally:
            self._closures.pop()

    def _of_what_it_sees(self, value: Function) -> Hashable:
        seen: dict[str, Hashable] = {}
        frame: Frame | None = value.frame
        names = names_in(value.node)
        while frame is not None and frame.function is not None:
            for name in names & frame.locals.keys():
                seen.setdefault(name, self._of_captured(frame.locals[name]))
            frame = frame.parent
        self.identities.append(value)
        return id(value.node), tuple(seen.items()), tuple(map(self._of_captured, value.defaults.values()))

    def _of_captured(self, value: Value) -> Hashable:
        if type(value) is float:  # decides something, for all that is known here
            return value
        if type(value) in PLAIN or isinstance(value, (bool, External, Class, Native, Function)):
            return self.of(value)
        raise Indescribable

    def _of_class(self, value: Class) -> Hashable:
        if value.frame.function is not None:  # its methods see the names of a function, which may change
            raise Indescribable
        return self._of_identity(value)

    def _of_file(self, value: ProjectModule) -> Hashable:
        return self._of_identity(value.namespace)

    def _of_identity(self, value: object) -> Hashable:
        self.identities.append(value)
        return type(value), id(value)

    def _of_partial(self, value: Partial) -> Hashable:
        return Partial, self.of(value.function), self.of(value.args), self._items(value.kwargs)

    def _of_bound(self, value: BoundMethod) -> Hashable:
        return BoundMethod, self.of(value.receiver), self.of(value.function)

    def _of_method(self, value: Method) -> Hashable:
        return Method, self.of(value.receiver), value.name, self.of(value.base)

    def _of_condition(self, value: Condition) -> Hashable:
        if not isinstance(value.key, str):
            self._meet(value.key)
        return Condition, value.key, value.negated

    def _of_choice(self, value: Choice) -> Hashable:
        return Choice, self._of_condition(value.condition), self.of(value.then), self.of(value.other)

    def _of_unknown(self, value: Unknown) -> Hashable:
        self._meet(value)
        return self._of_identity(value)

    def _meet(self, value: object) -> None:
        """A call that makes something unknown makes another each time."""
        if self.closed and value not in self._open:
            raise Indescribable
        self._open.add(value)


_DESCRIBE: dict[type, Callable[[Portrait, Any], Hashable]] = {
    bool: Portrait._of_number,
    float: Portrait._of_float,
    complex: Portrait._of_number,
    bytes: Portrait._of_number,
    type(...): Portrait._of_number,
    External: Portrait._of_number,
    Expr: Portrait.size,
    tuple: Portrait._of_tuple,
    Tensor: Portrait._of_tensor,
    List: Portrait._of_list,
    Dict: Portrait._of_dict,
    Instance: Portrait._of_instance,
    Function: Portrait._of_function,
    Class: Portrait._of_class,
    Native: Portrait._of_identity,
    ProjectModule: Portrait._of_file,
    Partial: Portrait._of_partial,
    BoundMethod: Portrait._of_bound,
    Method: Portrait._of_method,
    Condition: Portrait._of_condition,
    Choice: Portrait._of_choice,
    Unknown: Portrait._of_unknown,
    dict: Portrait._of_keywords,
}
#: What has an identity: two that look alike are still two.
_PARTS = frozenset({Tensor, List, Dict, Instance})


@functools.lru_cache(maxsize=4096)
def names_in(node: cst.FunctionDef | cst.Lambda) -> frozenset[str]:
    """The names that a function mentions."""
    return frozenset(here.value for here in walk(node) if isinstance(here, cst.Name))


def is_global(function: Function) -> bool:
    """Does a function close over nothing but the names of its file?"""
    return function.frame.function is None
