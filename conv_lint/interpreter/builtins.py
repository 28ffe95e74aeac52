"""Python's builtin functions on abstract values."""

from __future__ import annotations

import builtins as python
import collections

import libcst as cst

from conv_lint import dims, loader_sizes, ops, solving
from conv_lint.dims import Expr
from conv_lint.interpreter import attributes, faults, operators, parameters, protocols, suppose
from conv_lint.interpreter.journal import each_of
from conv_lint.interpreter.libraries import NATIVES, Context, constants, native
from conv_lint.interpreter.machine import PythonRaise
from conv_lint.interpreter.namespace import names_of
from conv_lint.interpreter.objects import (
    MISSING,
    BoundMethod,
    Class,
    Function,
    Instance,
    Method,
    Native,
    Partial,
    ProjectModule,
    Sizes,
)
from conv_lint.interpreter.portraits import names_in
from conv_lint.interpreter.samples import next_batch, of_each, some_item
from conv_lint.interpreter.sequences import items_of, members, stream_of
from conv_lint.interpreter.subscripts import alike
from conv_lint.values import (
    Choice,
    Condition,
    Dict,
    External,
    Iter,
    List,
    Real,
    Stream,
    Tensor,
    Unknown,
    Value,
    any_shape,
)


@native("builtins.len")
def _len(c: Context, value: Value) -> Value:
    value = suppose.items(c.machine, value)
    match value:
        case Tensor():
            shape = c.machine.shape(value.shape)
            no_length = shape.rest is None and not len(shape)
            return Unknown("the length of a tensor without dimensions") if no_length else c.machine.peek(value, 0)
        case Sizes():
            shape = c.machine.shape(value.tensor.shape)
            return shape.rank
        case List() | Dict() if value.open:
            return Unknown(value.open)
        case Dict():
            return len(value.items)
        case Instance() if protocols.has(value, "__len__"):
            return protocols.run(c.machine, c.frame, value, "__len__")
        case Instance() if value.torch_name.startswith("torch.nn.") and not value.open:
            return len(members(value)) if value.torch_name != "torch.nn.ParameterList" else len(value.attrs)
        case Iter():
            return Unknown("the length of an iterator")
    items = items_of(c.machine, value)
    return len(items) if items is not None else _unknown_length(c, value)


def _unknown_length(c: Context, value: Value) -> Value:
    """The length of what is not known; the same each time, as long as a container is not seen to change."""
    size = len(value.attrs) if isinstance(value, Instance) else 0
    key = id(value), size
    if key not in c.machine.lengths:
        c.machine.lengths[key] = value, Unknown("the length of something unknown")
    return c.machine.lengths[key][1]


@native("builtins.range")
def _range(c: Context, *bounds: Value) -> Value:
    bounds = suppose.bounds(c.machine, bounds)
    if all(isinstance(b, int) for b in bounds) and 1 <= len(bounds) <= 3:
        try:
            return range(*bounds)  # type: ignore[call-overload]
        except ValueError:
            return Unknown("an empty step")
    faults.not_whole(c.machine, c.frame, c.node, "range", bounds)
    reason = next((b.reason for b in bounds if isinstance(b, Unknown)), "a range with unknown bounds")
    return Iter([dims.unknown(0)], reason)


def _listed(c: Context, value: Value) -> List:
    value = suppose.items(c.machine, value)
    items = items_of(c.machine, value)
    if items is not None:
        return List(items)
    each = of_each(c, value)
    known = value.items[:1] if isinstance(value, (List, Iter)) else []
    some = known if each is None else [each]
    reason = getattr(value, "reason", None) or getattr(value, "open", None) or "made from unknown items"
    return List(some, reason, each=each)


@native("builtins.list", "builtins.set", "builtins.frozenset", "collections.deque")
def _list(c: Context, value: Value = (), maxlen: Value = None) -> Value:
    made = _listed(c, value)
    if isinstance(maxlen, int):
        made.limit = maxlen
        made.keep_within()
    elif maxlen is not None:
        made.open = made.open or "a deque that keeps an unknown number of items"
    if c.name.endswith("set") and not made.open:
        if constants(c.machine, tuple(made.items)) is None:
            return List(made.items, "a set of unknown values")
        return List(dict.fromkeys(made.items))
    return made


@native("builtins.tuple")
def _tuple(c: Context, value: Value = ()) -> Value:
    if isinstance(value, Sizes):
        return value
    made = _listed(c, value)
    return made if made.open else tuple(made.items)


@native("builtins.iter")
def _iter(c: Context, value: Value) -> Value:
    stream = stream_of(value)
    if stream is not None:
        return value if isinstance(value, Stream) else Stream(stream.item, stream.reason)
    made = _listed(c, value)
    return Iter(made.items, made.open, each=made.each)


@native("builtins.next")
def _next(c: Context, value: Value, default: Value = MISSING) -> Value:
    if isinstance(value, Iter) and not value.open and value.position < len(value.items):
        c.machine.journal.touch(value)
        value.position += 1
        return value.items[value.position - 1]
    if isinstance(value, Iter) and not value.open and default is not MISSING:
        return default
    if isinstance(value, Iter) and not value.open and c.machine.catching:
        raise PythonRaise("StopIteration")
    if isinstance(value, Stream):
        return next_batch(c.machine, value)
    if isinstance(value, Iter) and value.open and value.each is not None:
        return some_item(value.each)
    if isinstance(value, Iter) and value.open == parameters.OPEN:
        return Tensor(any_shape("a parameter of a model"), dtype="float")
    return Unknown("the next item of something unknown")


@native("builtins.dict", "collections.OrderedDict", "collections.Counter")
def _dict(c: Context, value: Value = (), /, **more: Value) -> Value:
    made = Dict()
    if isinstance(value, Dict):
        made = value.copy()
    else:
        pairs = items_of(c.machine, value)
        if pairs is None and isinstance(value, Iter) and value.open in (parameters.OPEN, parameters.COMPLETE):
            pairs, made.open = value.items, value.open if value.open == parameters.OPEN else None
        for pair in pairs or ():
            parts = items_of(c.machine, pair)
            if parts is None or len(parts) != 2 or isinstance(parts[0], (Unknown, List, Dict)):
                made.open = "made from unknown pairs"
            else:
                made.items[parts[0]] = parts[1]
        if pairs is None:
            made.open = "made from something unknown"
    if c.name == "collections.Counter":
        made.default = External("builtins.int")  # what is not counted is 0
    made.merge(Dict(c.arguments.kwargs))
    for name, condition in c.arguments.maybe.items():
        made.maybe[name] = condition
    return made


@native("collections.defaultdict")
def _defaultdict(c: Context, factory: Value = None, value: Value = (), /, **more: Value) -> Value:
    made = _dict(c, value, **more)
    if isinstance(made, Dict):
        made.default = factory
    return made


# iterating --------------------------------------------------------------------------------------------------


@native("builtins.enumerate")
def _enumerate(c: Context, value: Value, start: Value = 0) -> Value:
    stream = stream_of(value)
    if stream is not None:
        return Stream((loader_sizes.count(), stream.item), stream.reason)
    made = _listed(c, value)
    if not isinstance(start, int):
        return Iter([], "counts from an unknown number")
    if made.open:
        each = (dims.unknown(0), made.each) if made.each is not None else None
        return Iter([(dims.unknown(0), v) for v in made.items[:1]], made.open, each=each)
    source = value if isinstance(value, List) and start == 0 else None
    return Iter(list(enumerate(made.items, start)), made.open, source)


@native("builtins.zip")
def _zip(c: Context, *values: Value, strict: Value = False) -> Value:
    streams = [stream_of(v) for v in values]
    lists = [List([s.item], s.reason) if s is not None else _listed(c, v) for v, s in zip(values, streams)]
    if any(streams) and all(one.items for one in lists):
        return Stream(tuple(one.items[0] for one in lists), "the batches of a loader")
    open_lists = [one for one in lists if one.open]
    if 0 < len(open_lists) < len(lists) and all(one.each is not None for one in open_lists):
        # Maps of which nobody says how many there are, beside layers: as many, one for each.
        count = min(len(one.items) for one in lists if not one.open)
        columns = ([some_item(one.each) for _ in range(count)] if one.open else one.items for one in lists)
        return Iter(list(zip(*columns)))
    if open_lists:
        some = [tuple(one.items[0] for one in lists)] if all(one.items for one in lists) else []
        each = tuple(one.each for one in lists) if all(one.each is not None for one in lists) else None
        return Iter(some, open_lists[0].open, each=each)
    return Iter(list(zip(*(one.items for one in lists))))


@native("builtins.map")
def _map(c: Context, function: Value, *values: Value) -> Value:
    zipped = _zip(c, *values)
    if isinstance(zipped, Stream):
        return Stream(c.call(function, *zipped.item), zipped.reason)  # type: ignore[misc]
    assert isinstance(zipped, Iter)
    made = [c.call(function, *row) for row in zipped.items if isinstance(row, tuple)]
    return Iter(made, zipped.open, each=each_of(made) if zipped.each is not None else None)


@native("builtins.filter")
def _filter(c: Context, function: Value, values: Value) -> Value:
    made = _listed(c, values)
    kept: list[Value] = []
    for item in made.items:
        truth = c.truth(item if function is None else c.call(function, item))
        if isinstance(truth, Condition):
            return Iter(kept, "filtered by an unknown condition")
        if truth:
            kept.append(item)
    return Iter(kept, made.open)


@native("builtins.reversed")
def _reversed(c: Context, value: Value) -> Value:
    made = _listed(c, value)
    return Iter(made.items[::-1], made.open, each=made.each)


@native("builtins.sorted")
def _sorted(c: Context, value: Value, key: Value = None, reverse: Value = False) -> Value:
    made = _listed(c, value)
    plain = constants(c.machine, tuple(made.items))
    if made.open:
        return List(made.items, made.open, each=made.each)
    if plain is None or key is not None or not isinstance(reverse, bool):
        return List(alike(made.items) for _ in made.items)  # in an order that is not known
    try:
        order = sorted(range(len(plain)), key=plain.__getitem__, reverse=reverse)
        return List([made.items[i] for i in order])
    except TypeError:
        return List(open="cannot be sorted")


# numbers ----------------------------------------------------------------------------------------------------


@native("builtins.sum")
def _sum(c: Context, values: Value, start: Value = 0) -> Value:
    items = items_of(c.machine, suppose.items(c.machine, values))
    if items is None:
        return Unknown("the sum of unknown items")
    total = start
    for item in items:
        total = c.binary(cst.Add, total, item)
    return total


def _extreme(c: Context, which: str, values: tuple[Value, ...], key: Value, default: Value) -> Value:
    items = list(values) if len(values) > 1 else items_of(c.machine, values[0]) if values else None
    if items is None or key is not None:
        return Unknown(f"the {which} of unknown items")
    if not items:
        return default
    if all(isinstance(i, (int, float)) for i in items):
        return getattr(python, which)(items)
    if not all(isinstance(i, (int, Expr, Unknown)) for i in items):
        return Unknown(f"the {which} of unknown items")
    pick = solving.maximum if which == "max" else solving.minimum
    out: dims.Dim | None = None
    for item in items:
        size = item.size() if isinstance(item, Unknown) else item
        assert isinstance(size, (int, Expr))
        out = size if out is None else pick(out, size)
    return out


@native("builtins.max")
def _max(c: Context, *values: Value, key: Value = None, default: Value = None) -> Value:
    return _extreme(c, "max", values, key, default)


@native("builtins.min")
def _min(c: Context, *values: Value, key: Value = None, default: Value = None) -> Value:
    return _extreme(c, "min", values, key, default)


@native("builtins.int", "math.floor", "math.trunc", "numpy.floor", "numpy.int64", "numpy.int32", "torch.jit.annotate")
def _int(c: Context, value: Value = 0, base: Value = 10) -> Value:
    if isinstance(value, Tensor) and isinstance(value.numbers, (int, float)):
        value = value.numbers
    if isinstance(value, (int, float, str)):
        try:
            return int(value)
        except (ValueError, OverflowError):
            return Unknown("a number that Python cannot read")
    if isinstance(value, operators.Ratio):
        return dims.floordiv(value.top, value.bottom)
    if isinstance(value, Expr):
        return value
    if isinstance(value, Real) and (whole := suppose.whole(c.machine, value)) is not None:
        return whole
    if isinstance(value, Unknown) and not isinstance(value, (Choice, Condition)):
        if value.name != "?":
            return value
        return _number() if c.name == "builtins.int" else Unknown(value.reason)
    return c.mapped(value, lambda v: _int(c, v)) if isinstance(value, Choice) else Unknown("a number that is not known")


def _number() -> Expr:
    """A whole number, and no array, of which nothing else is known."""
    made = dims.unknown()
    for symbol in made.symbols:
        symbol.is_number = True
    return made


@native("math.ceil", "numpy.ceil")
def _ceil(c: Context, value: Value) -> Value:
    if isinstance(value, (int, float)):
        return -int(-value // 1)
    if isinstance(value, operators.Ratio):
        return dims.ceildiv(value.top, value.bottom)
    return value if isinstance(value, Expr) else Unknown("a number that is not known")


@native("builtins.float")
def _float(c: Context, value: Value = 0.0) -> Value:
    try:
        return float(value) if isinstance(value, (int, float, str)) else Real("a number with a point", ())
    except ValueError:
        return Unknown("a number that Python cannot read")


@native("builtins.bool")
def _bool(c: Context, value: Value = False) -> Value:
    return c.truth(value)


@native("builtins.str", "builtins.repr", "builtins.format")
def _str(c: Context, value: Value = "", *more: Value) -> Value:
    if isinstance(value, (int, float, str, type(None))) and not more:
        return str(value)
    if isinstance(value, Class):
        return f"<class '{value.frame.namespace.name}.{value.name}'>"
    if type(value) is tuple and value and all(isinstance(v, Class) for v in value):
        shown = ", ".join(str(_str(c, v)) for v in value)
        return f"({shown}{',' * (len(value) == 1)})"
    return Unknown("a string that is not known")


@native(
    "builtins.abs", "builtins.round", "builtins.divmod", "builtins.pow", "builtins.ord", "builtins.chr", "builtins.hash"
)
def _plain(c: Context, *values: Value) -> Value:
    plain = constants(c.machine, values)
    if plain is None or (c.name.endswith("pow") and abs(plain[-1]) > 64):
        return Unknown("a number that is not known")
    try:
        return getattr(python, c.name.rpartition(".")[2])(*plain)
    except (TypeError, ValueError, ArithmeticError):
        return Unknown("a call that Python refuses")


@native("builtins.any", "builtins.all")
def _any_all(c: Context, values: Value) -> Value:
    items = items_of(c.machine, values)
    if items is None:
        return Condition(object(), "any or all of unknown items")
    is_any = c.name.endswith("any")
    truths = [c.truth(i) for i in items]
    if any(t is is_any for t in truths):
        return is_any
    return (
        not is_any if all(isinstance(t, bool) for t in truths) else Condition(object(), "any or all of unknown items")
    )


# objects ----------------------------------------------------------------------------------------------------


#: What a value may be for Python: a set is a list here, and the size of a tensor a tuple.
_LIKE: dict[type, tuple[type, ...]] = {
    **{kind: (kind,) for kind in (str, bytes, bool, int, float, type(None))},
    tuple: (tuple, type("Size", (tuple,), {"numel": None})),
    List: (list, set, collections.deque),
    Dict: (dict, collections.OrderedDict, collections.Counter, collections.defaultdict),
}


#: Some of what a tensor and an array both have.
_OF_ARRAYS = frozenset("T argmax clip dtype item max mean min ndim reshape shape size squeeze std sum tolist".split())


@native("builtins.hasattr")
def _hasattr(c: Context, value: Value, name: Value) -> Value:
    if isinstance(value, Tensor) and value.sure and name in _OF_ARRAYS:
        return True
    if isinstance(value, Instance) and isinstance(name, str):
        if attributes.find(c.machine, c.frame, value, name) is not MISSING:
            return True
        return Condition(("hasattr", value, name), value.open) if value.open else False
    if isinstance(value, Class) and isinstance(name, str):
        return value.find(name) is not MISSING
    if isinstance(value, ProjectModule) and isinstance(name, str):
        if value.namespace.get(name) is not MISSING:
            return True
        if name.startswith("__"):  # no ``import *`` brings it
            return False
    if isinstance(value, External) and isinstance(name, str):
        full = f"{value.name}.{name}"
        if full in ops.FUNCTIONS or full in ops.LAYERS or full in NATIVES:
            return True  # torch has what our tables have
    if isinstance(name, str) and (kinds := _LIKE.get(type(value))) is not None:
        answers = {hasattr(kind, name) for kind in kinds}
        if len(answers) == 1:
            return answers.pop()
    return Condition(
        ("hasattr", value, name) if isinstance(value, Unknown) else object(), "an attribute of something unknown"
    )


@native("builtins.getattr")
def _getattr(c: Context, value: Value, name: Value, default: Value = MISSING) -> Value:
    if isinstance(name, Choice):
        return c.mapped(name, lambda v: _getattr(c, value, v, default))
    if not isinstance(name, str):
        return Unknown("an attribute under an unknown name")
    if default is not MISSING and isinstance(value, Instance) and not value.open:
        found = attributes.find(c.machine, c.frame, value, name)
        return default if found is MISSING else found
    return attributes.get(c.machine, c.frame, c.node, value, name)


@native("builtins.setattr")
def _setattr(c: Context, target: Value, name: Value, value: Value) -> Value:
    if isinstance(name, str):
        attributes.set_attribute(c.machine, c.frame, target, name, value)
    elif isinstance(target, Instance):
        attributes.set_some(c.machine, target)
    return None


@native("builtins.object.__setattr__")
def _put(c: Context, target: Value, name: Value, value: Value) -> Value:
    if isinstance(target, Instance) and isinstance(name, str):
        attributes.put(c.machine, target, name, value)
        return None
    return _setattr(c, target, name, value)


@native("builtins.delattr")
def _delattr(c: Context, target: Value, name: Value) -> Value:
    if isinstance(target, Instance) and isinstance(name, str):
        c.machine.journal.touch(target)
        target.attrs.pop(name, None)
    return None


@native("builtins.callable")
def _callable(c: Context, value: Value) -> Value:
    if isinstance(value, Unknown):
        return Condition(("callable", value), "something unknown")
    if isinstance(value, Instance):
        return value.is_module or (isinstance(value.cls, Class) and value.cls.find("__call__") is not MISSING)
    return isinstance(value, (Function, Class, BoundMethod, Native, Partial, External, Method))


@native("builtins.dir")
def _dir(c: Context, value: Value = None) -> Value:
    if isinstance(value, ProjectModule):
        return Dict(dict.fromkeys(value.namespace.star_names()), f"further names of {value.namespace.name}")
    if not isinstance(value, External):
        return Unknown("dir() is not followed")
    prefix = f"{value.name}."
    full = (name for table in (ops.FUNCTIONS, ops.LAYERS, NATIVES) for name in table if name.startswith(prefix))
    return Dict({name[len(prefix) :]: None for name in full}, f"further names of {value.name}")


@native("inspect.isfunction", "inspect.isclass", "inspect.ismethod", "inspect.ismodule")
def _inspected(c: Context, value: Value) -> Value:
    if isinstance(value, External) and value.name in ops.LAYERS:
        return c.name == "inspect.isclass"
    if isinstance(value, (Unknown, External, Native)):
        return Condition((c.name, value), "something unknown")
    kinds = {"isfunction": Function, "isclass": Class, "ismethod": BoundMethod, "ismodule": ProjectModule}
    return isinstance(value, kinds[c.name.rpartition(".")[2]])


@native("builtins.id", "builtins.input", "builtins.open", "builtins.eval", "builtins.exec")
def _outside(c: Context, *values: Value, **more: Value) -> Value:
    if c.name == "builtins.eval" and values and isinstance(values[0], str):
        return c.evaluate_text(values[0])
    return Unknown(f"{c.name.rpartition('.')[2]}() is not followed")


@native("builtins.vars")
def _vars(c: Context, value: Value = None) -> Value:
    if isinstance(value, Instance):
        return attributes.find(c.machine, c.frame, value, "__dict__")
    if isinstance(value, ProjectModule):
        return names_of(value.namespace)
    return Unknown("vars() is not followed")


@native("builtins.print", "warnings.warn", "builtins.globals_update")
def _nothing(c: Context, *values: Value, **more: Value) -> Value:
    return None


@native(
    "sys.exit", "os._exit", "builtins.exit", "builtins.quit",
    "pytest.skip", "pytest.fail", "pytest.xfail", "pytest.exit",
)  # fmt: skip
def _exit(c: Context, *values: Value, **more: Value) -> Value:
    """Nothing behind it is run."""
    raise PythonRaise("SystemExit")


@native("builtins.object")
def _object(c: Context) -> Value:
    return Instance(External("builtins.object"))


@native("builtins.globals")
def _globals(c: Context) -> Value:
    return names_of(c.frame.namespace)


@native("builtins.locals")
def _locals(c: Context) -> Value:
    function = c.frame.function
    may_add = function is None or "exec" in names_in(function.node)
    known = {name: v for name, v in c.frame.locals.items() if v is not MISSING}
    return Dict(known, "may have been filled by exec" if may_add else None)


@native("builtins.slice")
def _slice(c: Context, *bounds: Value) -> Value:
    return slice(*bounds) if 1 <= len(bounds) <= 3 else Unknown("a slice")


#: Builtin names: the functions above, and every other name of Python as a library's.
BUILTINS: dict[str, Value] = {
    name: External(f"builtins.{name}") for name in dir(python) if not name.startswith("__")
} | {"True": True, "False": False, "None": None, "NotImplemented": Unknown("NotImplemented"), "Ellipsis": ...}

assert set(NATIVES) >= {"builtins.len"}
