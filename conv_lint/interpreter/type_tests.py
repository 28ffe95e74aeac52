"""What is asked of types: ``isinstance``, ``issubclass``, ``type``."""

from __future__ import annotations

import enum
import functools
import sys
import types
from collections import OrderedDict

from conv_lint.dims import Expr
from conv_lint.interpreter import protocols
from conv_lint.interpreter.comparing import TYPE_OF_A_TENSOR
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import BoundMethod, Class, Function, Instance, Native, Partial, Sizes
from conv_lint.values import Choice, Condition, Dict, External, Iter, List, Real, Tensor, Unknown, Value

#: Modules whose classes Python itself is asked about.
_STANDARD = frozenset("abc argparse builtins collections enum functools numbers os pathlib types typing".split())
#: Modules of whose classes no text, number or container of Python's own is an instance.
_STRANGE = frozenset(
    "asyncio concurrent configparser contextlib csv datetime decimal fractions io json logging multiprocessing queue"
    " random re socket string subprocess tempfile threading time unittest uuid".split()
)
_PLAIN = (str, bytes, int, float, bool, type(None), list, dict, tuple)
#: Those of which a tensor is an instance.
_OF_TENSORS = frozenset("object Hashable Iterable Sized Container Collection".split())
#: Those of which a function or a class may be one.
_OF_CALLABLES = frozenset("object type Hashable Callable FunctionType BuiltinFunctionType partial".split())
#: What the classes of ``collections.abc`` want of a class: that it defines a method.
_METHODS = {"Callable": "__call__", "Iterable": "__iter__", "Sized": "__len__", "Container": "__contains__"}


@native("builtins.isinstance", "torch.jit.isinstance")
def _isinstance(c: Context, value: Value, kind: Value) -> Value:
    kinds = kind if isinstance(kind, tuple) else kind.items if isinstance(kind, List) else (kind,)
    if isinstance(value, Choice):
        return c.mapped(value, lambda v: _isinstance(c, v, kind))
    answers = [is_a(value, one) for one in kinds]
    if any(a is True for a in answers):
        return True
    if all(a is False for a in answers):
        return False
    key = ("isinstance", value, *kinds)
    return Condition(key if _hashable(key) else object(), "the type of something unknown")


def _hashable(value: object) -> bool:
    try:
        hash(value)  # a slice cannot, nor what holds one
    except TypeError:
        return False
    return True


def is_a(value: Value, kind: Value) -> bool | None:
    """Is the value of this type; ``None`` if it cannot be told."""
    if (isinstance(value, Unknown) and not isinstance(value, Condition)) or isinstance(kind, Unknown):
        return None
    if isinstance(value, Tensor) and not value.sure:
        return None
    name = kind.name if isinstance(kind, (External, Native)) else ""
    if isinstance(value, Instance):
        if isinstance(kind, Class):
            return kind in value.cls.mro if isinstance(value.cls, Class) else False
        bases = value.cls.mro if isinstance(value.cls, Class) else (value.cls,)
        names = {b.name for b in bases if isinstance(b, External)}
        if name == "torch.nn.Module":
            return value.is_module
        if name in names or name == "builtins.object":
            return True
        if isinstance(value.cls, Class) and _class_named(name) is not None and not value.is_module:
            return _defines(value, value.cls, name)
        return _layer_is_a(value, name) if not value.open else None
    if name == "torch.Tensor":
        return isinstance(value, Tensor)
    if name == "torch.nn.Parameter":
        return value.parameter if isinstance(value, Tensor) else False
    if isinstance(kind, Class) or name.startswith("torch.nn."):
        return False
    return _asked_of_python(value, name)


def _defines(value: Instance, cls: Class, name: str) -> bool | None:
    """Is an object of the checked code an instance of a class of the standard library, by its bases or by what its
    class defines?"""
    last, kind = name.rpartition(".")[2], _class_named(name)
    if last in _METHODS and protocols.has(value, _METHODS[last]):
        return True
    bases = [_class_named(base.name) for base in cls.library_bases()]
    if last == "Collection" or kind is None or None in bases:
        return None
    try:
        return any(issubclass(base, kind) for base in (object, *bases) if base is not None)
    except TypeError:  # typing.Sequence is no class
        return None


def _asked_of_python(value: Value, name: str) -> bool | None:
    """Is a value of Python's own an instance of a class of the standard library?"""
    kind, mine = _class_named(name), python_type(value)
    if isinstance(value, Tensor) and kind is not None:
        return name.rpartition(".")[2] in _OF_TENSORS
    if isinstance(value, External) and mine is None and kind is not None:
        # A function or a class of a library is none of the values that have a type of their own.
        return None if name.rpartition(".")[2] in _OF_CALLABLES else False
    if kind is None and mine in _PLAIN and name.partition(".")[0] in _STRANGE:
        return False
    if name == "numpy.ndarray" and mine in _PLAIN:
        return False
    if kind is None or mine is None:
        return None
    try:
        answer = issubclass(mine, kind)
        # A set is a list here, and an OrderedDict a dict.
        other = issubclass(OrderedDict, kind) if mine is dict else answer
    except TypeError:
        return None
    return answer if answer == other else None


@functools.cache
def _class_named(name: str) -> type | None:
    module, _, last = name.rpartition(".")
    if module.partition(".")[0] not in _STANDARD:
        return None
    # Only what the interpreter has loaded already: a file of the project may have the name of a module.
    found = getattr(sys.modules.get(module), last, None)
    return found if isinstance(found, type) or module == "typing" else None


def python_type(value: Value) -> type | None:
    """The class that Python has for a value; of a tensor and of an object of the checked code it has none."""
    match value:
        case Expr():
            return int
        case Real():
            return float
        case tuple() | Sizes():
            return tuple
        case List():
            return list
        case Dict():
            return dict
        case Iter():
            return types.GeneratorType
        case Partial():
            return functools.partial
        case Function() | BoundMethod() | Native():
            return types.FunctionType
        case Class():
            return enum.EnumMeta if value.kind == "enum" else type
        case External() if value.name.startswith("torch.nn.") and value.name.rpartition(".")[2][:1].isupper():
            return type
        case None | bool() | int() | float() | complex() | str() | bytes() | slice() | range():
            return type(value)
    return None


def _layer_is_a(value: Instance, name: str) -> bool | None:
    """Base classes inside torch.nn: ``_BatchNorm``, ``_ConvNd``."""
    last = name.rpartition(".")[2]
    mine = value.torch_name.rpartition(".")[2]
    if last == "_BatchNorm":
        return "BatchNorm" in mine
    if last == "_ConvNd":
        return mine.startswith("Conv")
    if last == "_InstanceNorm":
        return "InstanceNorm" in mine
    if last.startswith("_"):
        return None
    top = name.partition(".")[0]
    if isinstance(value.cls, External) and top not in ("torch", *sys.stdlib_module_names):
        return False  # a class of torch does not derive from one of another package
    return False if name.startswith(("torch.nn.", "builtins.")) else None


@native("builtins.issubclass")
def _issubclass(c: Context, value: Value, kind: Value) -> Value:
    if isinstance(value, Class) and isinstance(kind, (Class, External)):
        return kind in value.mro
    if isinstance(value, External) and isinstance(kind, External):
        if value == kind:
            return True
        layer = value.name.startswith("torch.nn.") and not value.name.rpartition(".")[2].startswith("Lazy")
        answer = _layer_is_a(Instance(value), kind.name) if layer and kind.name != "torch.nn.Module" else None
        if answer is not None:
            return answer
        return Condition(("issubclass", value, kind), "a base of a library class")
    return Condition(object(), "a base of something unknown")


@native("builtins.type")
def _type(c: Context, value: Value, *more: Value) -> Value:
    if isinstance(value, Instance) and not more:
        return value.cls
    if value is None:
        return External("types.NoneType")
    if isinstance(value, Tensor) and value.sure:
        return Unknown(TYPE_OF_A_TENSOR)
    kind = python_type(value)
    return External(f"builtins.{kind.__name__}") if kind in _NAMED else Unknown("a type that is not known")


_NAMED = (int, float, str, bool, list, tuple, dict, slice, range)
