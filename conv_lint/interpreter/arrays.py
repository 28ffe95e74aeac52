"""numpy arrays: for shapes they are tensors, and small known ones keep their numbers."""

from __future__ import annotations

from conv_lint import dims
from conv_lint.dims import Expr
from conv_lint.interpreter.data import as_array
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import BoundMethod, Class, Function, Instance, Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.tensors import of_kind
from conv_lint.ops.unary import kind_of_dtype
from conv_lint.values import Drawn, External, Iter, List, Real, Tensor, Unknown, Value, any_shape


@native("numpy.linspace", "numpy.arange")
def _numbered(c: Context, *values: Value, **more: Value) -> Value:
    if c.name == "numpy.linspace":
        more = {"steps" if name == "num" else name: value for name, value in more.items() if name != "endpoint"}
        values = values if len(values) > 2 or "steps" in more else (*values, 50)
    made = c.call_torch(c.name.replace("numpy.", "torch."), *values, **more)
    return made if isinstance(made, Tensor) else Unknown("an array of unknown numbers")


@native("numpy.array", "numpy.asarray", "numpy.ascontiguousarray", "numpy.copy")
def _array(c: Context, value: Value = (), *kinds: Value, **more: Value) -> Value:
    if kinds or "dtype" in more:
        made = _array(c, value)
        kind = kind_of_dtype(more.get("dtype", kinds[0] if kinds else None))
        return of_kind(made, kind) if isinstance(made, Tensor) else made
    if isinstance(value, Tensor):
        return value
    if isinstance(value, range):
        return c.call_torch("torch.arange", len(value))
    if _holds_objects(c, value):
        return Unknown("an array of objects")
    return c.call_torch("torch.tensor", value) if isinstance(value, (List, tuple)) else as_array(value)


@native("numpy.zeros", "numpy.ones", "numpy.empty", "numpy.full", "numpy.random.random", "numpy.random.random_sample",
        "numpy.random.uniform", "numpy.random.normal", "numpy.random.randint")  # fmt: skip
def _sized(c: Context, *values: Value, **more: Value) -> Value:
    """The size is the first argument, or named ``size`` or ``shape``."""
    last = c.name.rpartition(".")[2]
    drawn = last in ("uniform", "normal", "randint")
    size = more.get("size", more.get("shape"))
    if size is None and values and not drawn:
        size = values[0]
    if size is None and drawn and len(values) > 2:
        size = values[2]
    if size is None:
        return dims.unknown(None) if last == "randint" else Real("a random number", ()) if drawn else Drawn()
    dtype = more.get("dtype", External("torch.int64") if last == "randint" else None)
    if any(_is_object(v) for v in (dtype, *values[1:])) or (last == "full" and None in values[1:2]):
        return Unknown("an array of any objects")
    return c.call_torch("torch.zeros", size, dtype=dtype)


def _is_object(dtype: Value) -> bool:
    return dtype in ("object", "O") or (isinstance(dtype, External) and dtype.name.endswith((".object", ".object_")))


def _holds_objects(c: Context, values: Value) -> bool:
    """Are there items that an array of numbers cannot hold: functions, layers, texts?"""
    items = items_of(c.machine, values) if isinstance(values, (List, tuple)) else None
    kinds = (str, Function, BoundMethod, Class, Instance, External, Native)
    return any(isinstance(item, kinds) for item in items or ())


@native("numpy.random.rand", "numpy.random.randn")
def _random(c: Context, *sizes: Value) -> Value:
    if sizes:
        return c.call_torch("torch.rand", *sizes)
    return Drawn() if c.name == "numpy.random.rand" else Real("a random number", ())


@native("torch.from_numpy", "numpy.float32", "numpy.float64", "numpy.uint8")
def _same(c: Context, value: Value = 0) -> Value:
    if isinstance(value, Tensor) and c.name != "torch.from_numpy":
        return of_kind(value, kind_of_dtype(c.name))
    if isinstance(value, Tensor) or (isinstance(value, (int, float)) and c.name != "torch.from_numpy"):
        return value
    return Tensor(any_shape("an array of unknown shape")) if c.name == "torch.from_numpy" else Unknown("a number")


@native("numpy.transpose")
def _transpose(c: Context, value: Value, axes: Value = None) -> Value:
    if not isinstance(value, Tensor):
        return Unknown("an array that is not known")
    return c.call_torch("torch.Tensor.T", value) if axes is None else c.call_torch("torch.permute", value, axes)


@native("numpy.expand_dims")
def _expand_dims(c: Context, value: Value, axis: Value) -> Value:
    return c.call_torch("torch.unsqueeze", value, axis) if isinstance(value, Tensor) else Unknown("an unknown array")


#: Functions of an array that torch has under the same name, and those that it calls otherwise.
_OF_ARRAYS = {f"numpy.{name}": f"torch.{name}" for name in (
    "reshape", "squeeze", "swapaxes", "moveaxis", "tile", "ravel", "flip", "roll", "clip", "abs", "exp", "log",
    "square", "sin", "cos", "sqrt",
    "sign", "tanh", "tril", "triu", "diff", "zeros_like", "ones_like", "mean", "std", "var", "argmax", "argmin",
    "argsort", "round", "fliplr", "flipud", "rot90", "cumsum", "log10", "log1p", "nan_to_num",
)} | {"numpy.max": "torch.amax", "numpy.min": "torch.amin", "numpy.absolute": "torch.abs"}  # fmt: skip


@native(*_OF_ARRAYS)
def _like_torch(c: Context, value: Value = (), *values: Value, **more: Value) -> Value:
    """What numpy and torch call alike, ``axis`` aside, and take the same arguments for."""
    given = None
    if c.name == "numpy.sqrt" and not isinstance(value, Tensor):
        return c.call(External("math.sqrt"), value)
    if c.name == "numpy.reshape":
        given = more.pop("newshape", more.pop("shape", None))
        value = value if isinstance(value, Tensor) else Tensor(any_shape("an array of unknown shape"))
    if not isinstance(value, Tensor) or more.keys() - {"axis", "keepdims", "shift"}:
        return Unknown("made of an array that is not known")
    return c.call_torch(_OF_ARRAYS[c.name], value, *values, *([given] if given is not None else []), **more)


@native("numpy.where", "numpy.nonzero", "numpy.argwhere", "numpy.flatnonzero")
def _places(c: Context, condition: Value, *values: Value) -> Value:
    """What holds where a condition does, and where it does not; of a condition alone, the places."""
    if not isinstance(condition, Tensor):
        return Unknown("where a condition holds that is not known")
    if c.name == "numpy.argwhere":
        return c.call_torch("torch.argwhere", condition)
    if c.name == "numpy.flatnonzero":
        condition = c.call_torch("torch.ravel", condition)
    places = c.call_torch("torch.where", condition, *values)
    return places[0] if c.name == "numpy.flatnonzero" and isinstance(places, tuple) else places


@native("numpy.maximum", "numpy.minimum")
def _greater(c: Context, one: Value, two: Value) -> Value:
    """Item by item; a number is held against each."""
    tensors = [value for value in (one, two) if isinstance(value, Tensor)]
    if len(tensors) == 2:
        return c.call_torch(c.name.replace("numpy.", "torch."), one, two)
    numbers = all(isinstance(value, (Tensor, int, float, Expr)) for value in (one, two))
    return tensors[0] if tensors and numbers else Unknown("made of an array that is not known")


@native("numpy.atleast_1d")
def _at_least_one(c: Context, value: Value) -> Value:
    """A number, or a list of numbers, as an array of one dimension at least."""
    if isinstance(value, (int, float)):
        return c.call_torch("torch.tensor", List([value]))
    return c.call_torch("torch.tensor", value) if isinstance(value, (List, tuple)) else Unknown("an array")


@native("numpy.any", "numpy.all")
def _any(c: Context, value: Value, *values: Value, **more: Value) -> Value:
    if isinstance(value, Tensor) and isinstance(value.numbers, list) and not values and not more:
        flat = [n for n in value.numbers if not isinstance(n, list)]
        if len(flat) == len(value.numbers):
            return any(flat) if c.name == "numpy.any" else all(flat)
    return Unknown("a test of an array")


@native("numpy.random.permutation")
def _permutation(c: Context, value: Value) -> Value:
    """The numbers below n in another order, or the rows of an array."""
    if type(value) is Unknown and value.size_ is None:
        return Unknown("the rows of an array, or numbers, in another order")
    if _holds_objects(c, value):
        return Unknown("objects in another order")
    return value if isinstance(value, Tensor) else c.call_torch("torch.randperm", value)


@native("numpy.random.choice")
def _choice(c: Context, values: Value, size: Value = None, replace: Value = True, p: Value = None) -> Value:
    """One number below n or item of a vector, or as many as ``size`` says."""
    if _holds_objects(c, values):
        return Unknown("one of several objects, or some of them")
    if size is None:
        return Unknown("a random number")
    is_number = isinstance(values, (int, Expr, range))
    return c.call_torch("torch.zeros", size, dtype=External("torch.int64") if is_number else None)


@native("numpy.repeat")
def _repeat(c: Context, value: Value, repeats: Value = 1, axis: Value = None) -> Value:
    if not isinstance(value, Tensor):
        return Unknown("made of an array that is not known")
    return c.call_torch("torch.repeat_interleave", value, repeats, axis)


@native("numpy.pad")
def _pad(c: Context, array: Value, pad_width: Value, mode: Value = "constant", **options: Value) -> Value:
    """A pair for each axis, one for all of them, or one number for all sides (numpy.pad)."""
    shape = c.machine.shape(array.shape) if isinstance(array, Tensor) else None
    is_number = isinstance(pad_width, (int, Expr))
    rows: list[Value] | None = [(pad_width, pad_width)] if is_number else items_of(c.machine, pad_width)
    if shape is None or shape.rest is not None or rows is None:
        return Unknown("an array that is not known")
    if len(rows) == 2 and not any(isinstance(row, (tuple, List)) for row in rows):
        rows = [tuple(rows)]
    pairs = [items_of(c.machine, row) for row in (rows * len(shape) if len(rows) == 1 else rows)]
    if len(pairs) != len(shape) or not all(pair and len(pair) == 2 for pair in pairs):
        return Unknown("an array that is padded by what is not known")
    flat = [amount for pair in reversed(pairs) for amount in pair or ()]
    return c.call_torch("torch.nn.functional.pad", array, tuple(flat))


@native("numpy.stack", "numpy.concatenate", "numpy.vstack", "numpy.hstack", "numpy.dstack", "numpy.column_stack")
def _joined(c: Context, values: Value, axis: Value = 0) -> Value:
    last = c.name.rpartition(".")[2]
    items = items_of(c.machine, values)
    if isinstance(values, (List, Iter)) and isinstance(values.each, Tensor) and last in ("stack", "concatenate"):
        return c.call_torch("torch.stack" if last == "stack" else "torch.cat", values, axis)
    if items is None or not all(isinstance(i, Tensor) for i in items):
        return Unknown("joined from arrays that are not known")
    if last in ("stack", "concatenate"):
        return c.call_torch("torch.stack" if last == "stack" else "torch.cat", List(items), axis)
    return c.call_torch(f"torch.{last}", List(items))


@native("numpy.append")
def _append(c: Context, arr: Value, values: Value, axis: Value = None) -> Value:
    """Both in one row, or along an axis (numpy.append)."""
    arrays = [_array(c, (v,) if isinstance(v, (int, float, Expr)) else v) for v in (arr, values)]
    if not all(isinstance(array, Tensor) for array in arrays):
        return Unknown("joined from arrays that are not known")
    if axis is None:
        arrays, axis = [c.call_torch("torch.flatten", array) for array in arrays], 0
    return c.call_torch("torch.cat", List(arrays), axis)


@native("numpy.eye", "numpy.identity")
def _eye(c: Context, rows: Value = None, columns: Value = None, *k: Value, **more: Value) -> Value:
    sizes = more.get("N", rows), more.get("M", columns)
    return c.call_torch("torch.eye", *(size for size in sizes if size is not None))
