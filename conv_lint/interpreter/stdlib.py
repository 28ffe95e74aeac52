"""A few libraries of Python's own: functools, dataclasses, itertools, collections, copy, operator, re, argparse."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import libcst as cst

from conv_lint import dims
from conv_lint.interpreter import suppose
from conv_lint.interpreter.libraries import Context, constants, native
from conv_lint.interpreter.objects import (
    HELD,
    MISSING,
    Class,
    Function,
    Instance,
    Native,
    Partial,
)
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.subscripts import alike
from conv_lint.values import Dict, Drawn, External, Iter, List, Real, Tensor, Unknown, Value


@dataclass(eq=False)
class Factory:
    """``dataclasses.field(...)``."""

    make: Value
    value: Value


@native("builtins.object.__new__")
def _new(c: Context, cls: Value, *values: Value, **more: Value) -> Value:
    return Instance(cls) if isinstance(cls, Class) else Unknown("an object of something unknown")


@native("random.shuffle", "numpy.random.shuffle", "bisect.insort", "bisect.insort_left", "bisect.insort_right",
        "heapq.heapify", "heapq.heappush", "heapq.heappop", "heapq.heapreplace")  # fmt: skip
def _reordered(c: Context, values: Value = None, *more: Value) -> Value:
    """The list that is given has other items, or the same in another order."""
    if isinstance(values, List):
        c.machine.journal.touch(values)
        if not values.open and c.name.endswith("shuffle"):
            shapes = [tuple(tuple.__iter__(v.shape)) if isinstance(v, Tensor) else None for v in values.items]
            if shapes and shapes[0] is not None and all(shape == shapes[0] for shape in shapes):
                return None  # whatever their order, they look the same
        values.open = values.open or f"changed by {c.name}"
    return Unknown(f"the result of {c.name}")


@native("random.random")
def _random(c: Context) -> Value:
    return Drawn()


@native("random.uniform", "random.gauss", "random.normalvariate", "random.betavariate", "random.expovariate",
        "random.triangular", "random.lognormvariate")  # fmt: skip
def _some_number(c: Context, *values: Value) -> Value:
    return Real("a random number", ())


@native("random.randint", "random.randrange", "random.getrandbits")
def _whole(c: Context, *values: Value) -> Value:
    first = values[0] if len(values) > 1 else 0
    return dims.unknown(first if isinstance(first, int) and first >= 0 else None)


@native("random.sample", "random.choices", "random.choice")
def _drawn(c: Context, values: Value, *weights: Value, k: Value = 1, **more: Value) -> Value:
    """Some of the items, nobody knows which: what they have in common is known."""
    items = items_of(c.machine, values)
    if not items:
        return Unknown("items drawn from what is not known")
    one = alike(items)
    if c.name == "random.choice":
        return one
    count = weights[0] if c.name == "random.sample" and weights else k
    if not isinstance(count, int) or not 0 <= count <= MOST_DRAWN:
        return List(open="so many items as nobody knows")
    return List([one] * count)


#: No longer lists of drawn items are made.
MOST_DRAWN = 1024


@native("functools.partial", "functools.partialmethod")
def _partial(c: Context, function: Value, *args: Value, **kwargs: Value) -> Value:
    return Partial(function, args, kwargs)


@native("functools.reduce")
def _reduce(c: Context, function: Value, values: Value, *start: Value) -> Value:
    items = items_of(c.machine, values)
    if items is None:
        return Unknown("a reduction of unknown items")
    items = [*start, *items]
    total = items[0] if items else None
    for item in items[1:]:
        total = c.call(function, total, item)
    return total


@native("functools.wraps")
def _wraps(c: Context, wrapped: Value, *values: Value, **more: Value) -> Value:
    """A decorator that leaves the function as it is, but for its ``__wrapped__`` and name."""

    def mark(c: Context, function: Value) -> Value:
        if isinstance(function, Function):
            function.attrs["__wrapped__"] = wrapped
            if isinstance(wrapped, (Function, Class)):
                function.attrs["__name__"] = wrapped.name
        return function

    return Native("functools.wraps", mark)


@native("functools.lru_cache", "functools.cache")
def _cached(c: Context, *values: Value, **more: Value) -> Value:
    """The function itself, or a decorator that leaves it as it is."""
    is_function = bool(values) and not isinstance(values[0], (int, type(None)))
    return values[0] if is_function else External("builtins.identity")


@native("builtins.identity", "typing.cast", "typing.NewType")
def _identity(c: Context, *values: Value) -> Value:
    return values[-1] if values else None


@native("dataclasses.field")
def _field(c: Context, *, default: Value = None, default_factory: Value = None, **more: Value) -> Value:
    return Factory(default_factory, default)


@native("dataclasses.replace")
def _replace(c: Context, target: Value, **more: Value) -> Value:
    if isinstance(target, Instance):
        return Instance(target.cls, {**target.attrs, **more})
    return Unknown("a copy of something unknown")


@native("dataclasses.asdict")
def _asdict(c: Context, target: Value) -> Value:
    return Dict(target.attrs, target.open) if isinstance(target, Instance) else Unknown("a dict of something unknown")


#: What the argument is called that holds the items of such a dict.
_CONTENTS = ("init_dict", "initial_dictionary", "content")
#: Arguments of such dicts that are no items, by library.
_OPTIONS_OF_DICTS = {
    "yacs": frozenset("init_dict key_list new_allowed".split()),
    "box": frozenset(
        "default_box default_box_attr box_dots frozen_box camel_killer_box conversion_box modify_tuples_box"
        " box_safe_prefix box_duplicates box_intact_types box_recast box_class box_namespace".split()
    ),
    "ml_collections": frozenset(
        "initial_dictionary type_safe convert_dict allow_dotted_keys sort_keys convert_tuple".split()
    ),
    "omegaconf": frozenset("content parent flags key ref_type key_type element_type is_optional".split()),
}


@native("easydict.EasyDict", "addict.Dict", "munch.Munch", "munch.munchify", "attrdict.AttrDict", "box.Box",
        "ml_collections.ConfigDict", "ml_collections.config_dict.ConfigDict", "yacs.config.CfgNode",
        "omegaconf.OmegaConf.create", "omegaconf.DictConfig")  # fmt: skip
def _open_dict(c: Context, given: Value = None, /, *values: Value, **more: Value) -> Value:
    """A dict whose items are attributes too, and so are those of the dicts in it."""
    made = Instance(External(c.name))
    options = _OPTIONS_OF_DICTS.get(c.name.partition(".")[0], frozenset())
    items = Dict({name: value for name, value in more.items() if name not in options})
    given = next((more[name] for name in _CONTENTS if name in more.keys() & options), given)
    if more.get("new_allowed", False) is not False and "new_allowed" in options:
        items.open = "a dict that takes new keys"
    if isinstance(given, Dict):
        items.merge(given)
    elif given is not None:
        items.open = "made from something unknown"
    items.items = {key: _open_dict(c, v) if isinstance(v, Dict) else v for key, v in items.items.items()}
    made.attrs |= {HELD: items, "__dict__": made}
    return made


@native("types.SimpleNamespace", "argparse.Namespace")
def _namespace(c: Context, /, *values: Value, **more: Value) -> Value:
    attrs = dict(more)
    for value in values:
        if isinstance(value, Dict):
            attrs.update({k: v for k, v in value.items.items() if isinstance(k, str)})
    return Instance(External("types.SimpleNamespace"), attrs)


@native("itertools.chain")
def _chain(c: Context, *values: Value) -> Value:
    out: list[Value] = []
    for value in values:
        items = items_of(c.machine, value)
        if items is None:
            return Iter(out, "chained with unknown items")
        out.extend(items)
    return Iter(out)


@native("itertools.chain.from_iterable")
def _chain_all(c: Context, values: Value) -> Value:
    items = items_of(c.machine, values)
    return _chain(c, *items) if items is not None else Iter([], "chained from unknown items")


@native("itertools.product")
def _product(c: Context, *values: Value, repeat: Value = 1) -> Value:
    lists = [items_of(c.machine, v) for v in values]
    if any(one is None for one in lists) or not isinstance(repeat, int):
        return Iter([], "a product of unknown items")
    size = math.prod(len(one or ()) for one in lists) ** repeat
    if size > c.machine.limits.rounds:
        return Iter([], "a product of too many items")
    return Iter(list(itertools.product(*(one or [] for one in lists), repeat=repeat)))


@native("itertools.repeat")
def _repeat(c: Context, value: Value, times: Value = None) -> Value:
    return Iter([value] * times) if isinstance(times, int) and times < 10_000 else Iter([value], "repeats without end")


@native("itertools.count", "itertools.cycle")
def _endless(c: Context, *values: Value) -> Value:
    return Iter([], "runs without end")


@native("itertools.accumulate")
def _accumulate(c: Context, values: Value) -> Value:
    items = items_of(c.machine, values)
    if items is None:
        return Iter([], "accumulates unknown items")
    out: list[Value] = []
    for item in items:
        out.append(c.binary(cst.Add, out[-1], item) if out else item)
    return Iter(out)


@native("itertools.pairwise")
def _pairwise(c: Context, values: Value) -> Value:
    items = items_of(c.machine, suppose.items(c.machine, values))
    return Iter(list(itertools.pairwise(items))) if items is not None else Iter([], "pairs of unknown items")


@native("itertools.islice")
def _islice(c: Context, values: Value, *bounds: Value) -> Value:
    items = items_of(c.machine, values)
    if items is None or not all(b is None or isinstance(b, int) for b in bounds):
        return Iter([], "a part of unknown items")
    return Iter(items[slice(*bounds)])  # type: ignore[arg-type]


@native("collections.namedtuple")
def _namedtuple(c: Context, name: Value, fields: Value, **more: Value) -> Value:
    from conv_lint.interpreter.objects import MISSING, Class

    names = fields.replace(",", " ").split() if isinstance(fields, str) else items_of(c.machine, fields)
    if names is None or not isinstance(name, str):
        return Unknown("a named tuple with unknown fields")
    made = Class(name, None, c.frame.tree, c.frame, (), kind="namedtuple")
    made.fields = {str(n): MISSING for n in names}
    return made


@native("enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag")
def _enum(c: Context, name: Value, names: Value = None, **more: Value) -> Value:
    """``Enum("Norm", "Batch Layer")``: its members count from 1."""
    words = names.replace(",", " ").split() if isinstance(names, str) else items_of(c.machine, names)
    if not isinstance(name, str) or words is None or not all(isinstance(w, str) for w in words):
        return Unknown("an enum with unknown members")
    made = Class(name, None, c.frame.tree, c.frame, (), kind="enum")
    made.fields = {str(w): Instance(made, {"value": n, "name": w}) for n, w in enumerate(words, 1)}
    return made


@native("copy.deepcopy", "copy.copy", "torch.clone")
def _copy(c: Context, value: Value, *more: Value) -> Value:
    if isinstance(value, (Tensor, Unknown)):
        return value
    return _copied(value, {}, c.name == "copy.deepcopy")


def _copied(value: Value, done: dict[int, Value], deep: bool) -> Value:
    """A copy of containers and objects, each object once."""
    if id(value) in done:
        return done[id(value)]

    def inner(item: Value) -> Value:
        return _copied(item, done, deep) if deep else item

    match value:
        case List():
            made_list = done[id(value)] = List((), value.open, value.limit)
            made_list.items = [inner(v) for v in value.items]
            return made_list
        case Dict():
            made_dict = done[id(value)] = Dict({}, value.others, value.default)
            made_dict.maybe = dict(value.maybe)
            made_dict.items = {k: inner(v) for k, v in value.items.items()}
            return made_dict
        case tuple():
            return tuple(inner(v) for v in value)
        case Instance():
            made = Instance(value.cls, {}, value.layer, value.open, None, value.call, value.training)
            done[id(value)] = made
            for name, item in value.attrs.items():
                made.attrs[name] = new = inner(item)
                if isinstance(new, Instance) and new is not item and new.owner is None:
                    new.owner = (made, name)
            return made
    return value


@native("operator.itemgetter")
def _itemgetter(c: Context, index: Value) -> Value:
    from conv_lint.interpreter.objects import Native
    from conv_lint.interpreter.subscripts import item

    return Native("itemgetter", lambda d, value: item(d.machine, d.frame, d.node, value, index))


#: The functions of the module operator, and the operators that they are; in place they are called alike.
_OPERATORS: dict[str, type[cst.BaseBinaryOp]] = {
    "add": cst.Add,
    "concat": cst.Add,
    "sub": cst.Subtract,
    "mul": cst.Multiply,
    "matmul": cst.MatrixMultiply,
    "truediv": cst.Divide,
    "floordiv": cst.FloorDivide,
    "mod": cst.Modulo,
    "pow": cst.Power,
}


@native(*(f"operator.{prefix}{name}" for name in _OPERATORS for prefix in ("", "i")))
def _operator(c: Context, left: Value, right: Value) -> Value:
    name = c.name.removeprefix("operator.")
    return c.binary(_OPERATORS.get(name) or _OPERATORS[name[1:]], left, right)


@native("os.getenv", "os.environ.get")
def _environment(c: Context, name: Value, default: Value = MISSING) -> Value:
    """A variable of the environment: as with the options of a command line, what holds where nobody gives one."""
    return Unknown(f"{c.name} depends on where the program runs") if default is MISSING else default


@native(
    "threading.Lock",
    "threading.RLock",
    "threading.Condition",
    "threading.Semaphore",
    "threading.Event",
    "multiprocessing.Lock",
    "multiprocessing.RLock",
)
def _lock(c: Context, *values: Value, **more: Value) -> Value:
    return Instance(External(c.name), open="an attribute of a lock")


@native("logging.getLogger")
def _outside(c: Context, *values: Value, **more: Value) -> Value:
    return Unknown(f"{c.name} depends on where the program runs")


# torch.nn.modules.utils ---------------------------------------------------------------------------------------


@native("torch.nn._single", "torch.nn._pair", "torch.nn._triple", "torch.nn._quadruple",
        *(f"timm.{place}.to_{n}tuple" for n in (1, 2, 3, 4)
          for place in ("layers", "layers.helpers", "models.layers", "models.layers.helpers")))  # fmt: skip
def _repeated(c: Context, value: Value) -> Value:
    """A number as a tuple of so many; a tuple or a list stays."""
    times = {"_single": 1, "_pair": 2, "_triple": 3, "_quadruple": 4}
    last = c.name.rpartition(".")[2]
    items = items_of(c.machine, value)
    if items is not None:
        return tuple(items)
    if isinstance(value, Unknown) and value.name == "?":
        return Unknown(value.reason)
    return (value,) * (times[last] if last in times else int(last[3]))


# re -----------------------------------------------------------------------------------------------------------

#: No longer text is searched, and no repetition of a repetition, which may take for ever.
MAX_TEXT = 300
_NESTED = re.compile(r"[*+}]\)*[*+{]|\([^()]*[*+{|][^()]*\)[*+{]")


@native("re.split", "re.findall", "re.sub")
def _regular(c: Context, pattern: Value, *values: Value, **more: Value) -> Value:
    """Python's own answer on known text; a model's architecture may be written as ``ir_r2_k3_s2_e6_c24``."""
    known = constants(c.machine, (pattern, *values))
    if known is None or more or not all(isinstance(t, str) and len(t) <= MAX_TEXT for t in known):
        return Unknown(f"{c.name} of text that is not known")
    if _NESTED.search(known[0]):
        return Unknown(f"{c.name} with a pattern that may take long")
    try:
        found: Any = getattr(re, c.name.removeprefix("re."))(*known)
    except (re.error, TypeError):
        return Unknown(f"{c.name} of something that it does not take")
    return List(found) if isinstance(found, list) else found


# argparse -----------------------------------------------------------------------------------------------------


#: Under which name a parser keeps what it parses.
_PARSED = "what is parsed"


@native("argparse.ArgumentParser", "optparse.OptionParser")
def _parser(c: Context, *values: Value, **more: Value) -> Value:
    """A parser.  The program is taken to be run without arguments, so that each option has its default."""
    parsed = Instance(External("types.SimpleNamespace"), open="the command line")
    parents = items_of(c.machine, more.get("parents", ()))
    for parent in parents or ():
        inherited = parent.attrs.get(_PARSED) if isinstance(parent, Instance) else None
        parsed.attrs.update(inherited.attrs if isinstance(inherited, Instance) else {})
    parser = Instance(External("argparse.ArgumentParser"), open="methods of a parser")

    def add_argument(c: Context, *names: Value) -> Value:
        _add_argument(c, parsed, names, c.arguments.kwargs)
        return None

    def set_defaults(c: Context, *names: Value) -> Value:
        c.machine.journal.touch(parsed)
        parsed.attrs.update(c.arguments.kwargs)
        return None

    parser.attrs[_PARSED] = parsed
    for name in ("add_argument", "add_option"):
        parser.attrs[name] = Native(name, add_argument)
    parser.attrs["set_defaults"] = Native("set_defaults", set_defaults)
    for name in ("add_argument_group", "add_mutually_exclusive_group", "add_option_group"):
        parser.attrs[name] = Native(name, lambda c, *names: parser)
    if c.name == "optparse.OptionParser":
        further = List(open="the command line")
        parser.attrs["parse_args"] = Native("parse_args", lambda c, *names: (parsed, further))
        return parser
    parser.attrs["parse_args"] = Native("parse_args", lambda c, *names: parsed)
    parser.attrs["parse_known_args"] = Native("parse_known_args", lambda c, *names: (parsed, List()))
    return parser


def _add_argument(c: Context, parsed: Instance, names: tuple[Value, ...], options: dict[str, Value]) -> None:
    words = [name for name in names if isinstance(name, str)]
    long = [word for word in words if word.startswith("--")] or words
    if not long:
        return
    target = options.get("dest", long[0].lstrip("-").replace("-", "_"))
    action, default = options.get("action"), options.get("default")
    value = default
    if "default" not in options:
        if action in ("store_true", "store_false"):
            value = action == "store_false"
        elif options.get("required") or not long[0].startswith("-"):
            value = Unknown(f"the argument {long[0]} of the command line")
    if isinstance(value, str) and options.get("type") not in (None, External("builtins.str")):
        value = c.call(options["type"], value)
    if isinstance(target, str):
        c.machine.journal.touch(parsed)
        parsed.attrs[target] = value
