"""Tensors: the bridge between the interpreter's values and the op table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from conv_lint import catalogue, ops
from conv_lint.dims import Dim, Expr
from conv_lint.finding import Report, Step
from conv_lint.interpreter import batches, commas, faults, locate, own_layers
from conv_lint.interpreter.decided import argument_node
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.numbers import compute, numbers_of, pieces, to_value
from conv_lint.interpreter.objects import Class, Frame, Instance, Method, Sizes
from conv_lint.interpreter.samples import some_item
from conv_lint.interpreter.ways import Scope
from conv_lint.ops import unary
from conv_lint.ops.given import layer_class
from conv_lint.ops.join import OF_A_LIST
from conv_lint.ops.operators import operator_name
from conv_lint.ops.rule import Op, Plain, run
from conv_lint.ops.table import Row, Signature
from conv_lint.tree import dotted, walk
from conv_lint.values import (
    Alike,
    Apart,
    CannotTell,
    Choice,
    Drawn,
    Dtype,
    External,
    Iter,
    List,
    NoTensor,
    Packed,
    Rest,
    Shape,
    Tensor,
    Unknown,
    Value,
    any_shape,
    is_mark,
)

# values and rule arguments ----------------------------------------------------------------------------------


def to_rule(machine: Machine, value: Value) -> Any:
    """A value as a rule takes it: a shape for a tensor, an unknown for whatever a rule cannot use."""
    value = machine.resolve(value)
    match value:
        case Tensor():
            shape = Shape(tuple.__iter__(machine.shape(value.shape)), value.step, value.dtype)
            only = value.numbers[0] if isinstance(value.numbers, list) and len(value.numbers) == 1 else value.numbers
            shape.number = only if type(only) is int else None
            return shape
        case Choice():
            if not _is_number(value):
                return Unknown(value.reason)
            if not isinstance(value.then, bool):
                machine.chosen_size(value)
            return value
        case Instance() if value.is_module:
            return _module_argument(value)
        case Class() if value.is_module:
            return NoTensor(*layer_class(value.name))
        case Instance(cls=Class(kind="namedtuple") as made):
            return tuple(to_rule(machine, value.attrs[n]) for n in made.fields if n in value.attrs)
        case Unknown() | External() | int() | float() | complex() | str() | None | Expr():
            return value
        case tuple():
            return tuple(to_rule(machine, v) for v in value)
        case List() | Iter() if value.open and isinstance(value.each, Tensor):
            return Alike(value.open, to_rule(machine, some_item(value.each)))
        case List():
            return Unknown(value.open) if value.open else [to_rule(machine, v) for v in value.items]
        case Iter():
            return Unknown(value.open) if value.open else [to_rule(machine, v) for v in value.items[value.position :]]
        case slice():
            return slice(*(to_rule(machine, v) for v in (value.start, value.stop, value.step)))
        case Sizes():
            return Unknown("the shape of a tensor of unknown rank")
    return ... if value is ... else Unknown("an argument that is not known")


def of_kind(value: Tensor, kind: str | None) -> Tensor:
    """The same tensor of another kind of numbers, or of one that is not known."""
    if value.dtype == kind:
        return value
    return Tensor(Shape(tuple.__iter__(value.shape), value.shape.step, kind), value.step, kind, value.sure)


#: Why nothing is said of ``nn.ReLU(x)`` where it is used: it was said where it was made.
MADE_OF_TENSOR = "is made of a tensor"


def _module_argument(value: Instance) -> Unknown:
    """A layer of torch.nn is no tensor; a class of the checked code may pose as one."""
    if not isinstance(value.cls, External) or not value.cls.name.startswith("torch.nn."):
        return Unknown("an argument that is not known")
    if value.open == MADE_OF_TENSOR:
        return Unknown(MADE_OF_TENSOR)
    name = value.class_name
    return NoTensor(f"a layer, {name}", f"write {name}(...)(x): its output, not the layer itself")


def _is_number(value: Choice) -> bool:
    return all(
        isinstance(v, (int, Expr)) or (isinstance(v, Choice) and _is_number(v)) for v in (value.then, value.other)
    )


def from_rule(result: Any, step: Step, op: Op) -> Value:
    """A rule's result as a value; ``step`` is the operation, of which the shape is not known yet."""
    if isinstance(result, Plain):
        return result.value
    if is_shape(result):
        kind = result.dtype if isinstance(result, Shape) and op.dtype is None else op.dtype
        sizes = Shape(tuple.__iter__(result))
        return Tensor(sizes, replace(step, shape=tuple(sizes.known), made=op.made), kind)
    if isinstance(result, Packed):
        made = replace(step, shape=tuple(result.padded.known))
        return Packed(Shape(tuple.__iter__(result.padded), made, result.padded.dtype))
    if isinstance(result, (list, tuple)):
        return tuple(from_rule(r, step, op) for r in result)
    return result


def is_shape(result: object) -> bool:
    """Is a rule's result one shape, rather than several?"""
    return isinstance(result, Shape) or (
        isinstance(result, tuple) and all(isinstance(d, (int, Expr, Rest)) and not isinstance(d, bool) for d in result)
    )


def is_of_nothing(report: Report) -> bool:
    """Is it about a tensor that holds nothing, one of its sizes being 0?"""
    return any(isinstance(fact, tuple) and 0 in tuple.__iter__(fact) for fact in report.facts.values())


# running a rule ---------------------------------------------------------------------------------------------


class CallWorld:
    """The world of one call: findings get the place of the argument they speak of."""

    def __init__(
        self,
        machine: Machine,
        frame: Frame,
        node: cst.CSTNode | None,
        signature: Signature | None,
        layer: Instance | None = None,
    ) -> None:
        self.machine, self.frame, self.node, self.signature, self.layer = machine, frame, node, signature, layer
        self.reported = False
        self.trail: tuple[Step, ...] = ()

    def emit(self, report: Report, at: str | None) -> None:
        self.reported = True
        if self.machine.reading and self.machine.is_in_branch:
            return  # what decides is in files that nobody reads here
        if report.rule is catalogue.whole_number and self.machine.refused_before(report.facts.pop("number")):
            return
        if report.rule is catalogue.fixed_batch and any(s.is_count for s in self.machine.facts.sizes):
            return  # behind ``if i == 0:``, which is no last batch
        if report.rule is catalogue.dim_range and is_of_nothing(report) and self.machine.is_in_branch:
            return  # another round of a loop may have put something there
        is_odd = report.rule is catalogue.not_a_tensor and report.facts["kind"] not in ("tuple", "list")
        # None is what stands for something else by default.
        strictly = is_odd and report.facts["kind"] == "NoneType"
        if is_odd and not faults.is_certain(self.machine, self.frame, strictly):
            return  # where a test of the type is not understood, each alternative goes both ways
        if report.rule is catalogue.not_a_tensor and report.facts["kind"] == "tuple":
            self.name_comma(report)
        locate.report_argument(self.machine, self.frame, self.node, report, at, self.signature, self.layer, self.trail)

    def name_comma(self, report: Report) -> None:
        """Of a tuple that only a comma has made, the line with the comma."""
        made = self.layer.layer if self.layer is not None else None
        signature = made.row.forward if made is not None else self.signature
        expression = argument_node(self.node, str(report.facts["argument"]), signature)
        report.facts["fix"] = commas.fix_of(expression, self.frame) or report.facts["fix"]

    def equate(self, a: Dim, b: Dim) -> None:
        self.machine.equate(a, b)

    @property
    def batched(self) -> bool:
        return self.machine.prefer_batched

    def settle(self, rest: Rest, sizes: tuple[Dim, ...], assumed: bool) -> None:
        self.machine.rank_was_assumed |= assumed
        if assumed and sizes and isinstance(sizes[0], Expr):
            self.machine.batches.update(sizes[0].symbols)
        self.machine.settle(rest, sizes)

    def guess(self, usual: int, other: int) -> int:
        self.machine.guesses.add(id(self.node))
        return usual if self.machine.prefer_usual else other

    def known(self, size: Dim) -> Dim:
        return self.machine.size(size)

    def note_batch(self, size: Dim) -> None:
        if isinstance(size, Expr) and len(size.symbols) == 1 and not is_mark(size):
            self.machine.samples |= size.symbols

    def is_batch(self, size: Dim) -> bool:
        if not isinstance(size, Expr):
            return False
        return all(not self.machine.samples.isdisjoint(monomial) for monomial, _ in size.terms)


def row_of(name: str) -> Row | None:
    """The row of a function or method; ``x.add_`` is the row of ``x.add``, ``x.__iadd__`` that of ``x.__add__``."""
    row = ops.FUNCTIONS.get(name)
    if row is not None or not name.endswith("_"):
        return row
    return ops.FUNCTIONS.get(name.replace(".__i", ".__") if name.endswith("__") else name[:-1])


def call(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    name: str,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
    open: str | None = None,
) -> Value:
    """Call a function or method of torch by its full name."""
    row = row_of(name)
    if row is None:
        return machine.unknown(f"{name} is not in the op table", frame, node)
    if open is not None:
        return machine.unknown(f"{name} is called with {open}", frame, node)
    return run_row(machine, frame, node, row, args, kwargs, name)


def run_row(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    row: Row,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
    name: str,
) -> Value:
    """Bind the arguments of a row, run its rule, wrap its result."""
    label = operator_name(name.rpartition(".")[2])
    world = CallWorld(machine, frame, node, _as_written(row, name))
    ignored = {"out", "memory_format", "non_blocking", "generator", "pin_memory", "layout"} - {
        *row.signature.positional,
        *row.signature.keyword_only,
    }
    if row.name in OF_A_LIST and args and isinstance(lazy := machine.resolve(args[0]), Iter):
        _no_list(machine, frame, node, label, lazy)
    if row.signature.positional[:1] == ("tensors",):
        args = [*(_joinable(machine, frame, node, a) for a in args[:1]), *args[1:]]
    given = {k: to_rule(machine, v) for k, v in kwargs.items() if k not in ignored}
    try:
        bound = row.signature.bind([to_rule(machine, a) for a in args], given)
    except TypeError as error:
        return machine.unknown(f"{label}: {error}", frame, node)
    weigh(machine, bound)
    if machine.batches and not machine.is_batched:
        machine.is_batched = batches.speaks_of_one(machine, row.name, bound)
    layer = world.layer = own_layers.stood_in_for(frame, row, bound)
    if layer is not None and layer.layer is not None:
        world.signature = layer.layer.row.signature
    op = Op(row.name, row.n, label if layer is None else layer.label, bound, world)
    op.training = machine.training if isinstance(machine.training, bool) else None
    steps = tuple(a.step for a in _tensors([*args, *kwargs.values()]) if a.step is not None)
    result = execute(machine, frame, node, row.rule, op, bound, world, steps, layer)
    if isinstance(result, Tensor):
        result.numbers = compute(name, [machine.resolve(a) for a in args], kwargs)
        if result.numbers is not None:
            machine.weigh(*args, *kwargs.values())
    elif isinstance(result, tuple) and args:
        pieces(name, numbers_of(args[0]), result)
    return result


#: Parameters of torch whose floats decide no shape.
_SHAPELESS = frozenset(
    "alpha beta dropout dropout_p drop_prob eps exponent fill_value gamma label_smoothing lambd lower margin max"
    " max_norm max_val mean min min_val momentum negative_slope other p scale std tau threshold upper value".split()
)


def weigh(machine: Machine, arguments: Mapping[str, Any]) -> None:
    """Write down the floats among the arguments of an operation that may decide a shape."""
    for name, value in arguments.items():
        kind = type(value)
        if (kind is float or kind is tuple or kind is list) and name not in _SHAPELESS:
            machine.weigh(value)


def is_surely_one(machine: Machine, value: Tensor) -> bool:
    """Is it a tensor, rather than an input that may be a list, or what an operation gave that was not understood?"""
    shape = machine.shape(value.shape)
    return value.sure and (shape.rest is None or bool(shape.known))


def _joinable(machine: Machine, frame: Frame, node: cst.CSTNode | None, value: Value) -> Value:
    """What is given for a list of tensors.  An input may be a list, and an empty list may be filled elsewhere; only one
    that the running function has made itself is empty for sure, if the program runs so or nothing ever fills it."""
    value = machine.resolve(value)
    if isinstance(value, Tensor) and not is_surely_one(machine, value):
        return Unknown("what may be a list")
    if value == () or (isinstance(value, List) and not (value.items or value.open)):
        own = not isinstance(value, List) or (value.born > frame.born and faults.is_kept(machine, value))
        strictly = not _is_never_filled(frame, node)
        if not own or not faults.is_certain(machine, frame, strictly=strictly):
            return Unknown("an empty list of tensors")
    return value


def _is_never_filled(frame: Frame, node: cst.CSTNode | None) -> bool:
    """Is there no line in a function that puts something into the list whose items it joins, ``torch.cat(maps)``?"""
    first = node.args[0].value if isinstance(node, cst.Call) and node.args else None
    if not isinstance(first, cst.Name) or frame.function is None:
        return False
    bases = [
        child.target if isinstance(child, cst.AugAssign) else child.value
        for child in walk(frame.function.node)
        if isinstance(child, (cst.Attribute, cst.AugAssign, cst.Subscript))
    ]
    return all(not isinstance(base, cst.Name) or base.value != first.value for base in bases)


def _no_list(machine: Machine, frame: Frame, node: cst.CSTNode | None, label: str, value: Iter) -> None:
    """``cat(map(...))``: torch wants all of the tensors at once."""
    if isinstance(node, cst.Call) and faults.is_certain(machine, frame):
        given = "an iterator (map, zip, a generator)"
        report = catalogue.tensor_list(layer=label, given=given, fix=f"write {label}(list(...), ...)")
        locate.report_at(machine, frame, node, report)


def ask(machine: Machine, rule: Any, op: Op, values: Mapping[str, Any]) -> None:
    """Write down what a rule is asked, if someone wants to know what the model demands of its input."""
    if machine.demands is not None and not machine.muted:
        from conv_lint.interpreter.demands import Asked

        machine.demands.asked.append(Asked(rule, op, dict(values)))


def guarded(rule: Any, op: Op, values: Mapping[str, Any]) -> Any:
    """Run a rule; an error of the rule itself is something that we cannot tell, never the end of the run."""
    try:
        return run(rule, op, values)
    except (TypeError, AttributeError, ValueError, IndexError, KeyError, ArithmeticError, AssertionError) as error:
        if os.environ.get("CONV_LINT_DEBUG"):
            raise
        raise CannotTell(f"an error in the rule of {op.name}: {error}") from error


def _as_written(row: Row, name: str) -> Signature:
    """The signature as the call shows it: a method's receiver stands before the dot."""
    signature = row.signature
    if name.startswith("torch.Tensor.") and signature.positional[:1] == ("input",):
        return Signature(signature.positional[1:], signature.defaults, signature.star, signature.keyword_only)
    return signature


def _tensors(values: Sequence[Value]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, List)):
            found += _tensors(value if isinstance(value, tuple) else value.items)
    return found


def execute(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    rule: Any,
    op: Op,
    bound: Mapping[str, Any],
    world: CallWorld,
    steps: tuple[Step, ...],
    layer: Instance | None,
) -> Value:
    """Run a rule; what it cannot tell is a tensor of which nothing is known."""
    place = frame.place(node) if node is not None else None
    doubts = all_doubts(steps)
    step = Step(op.label, place, (), steps, Scope(frame, layer, node, op), doubts=doubts)
    world.trail = steps
    ask(machine, rule, op, bound)
    try:
        result = guarded(rule, op, bound)
    except CannotTell as why:
        if not world.reported:
            machine.unknown(f"{op.label}: {why}", frame, node)
        return Tensor(any_shape(str(why)), step)
    return from_rule(result, step, op)


def all_doubts(steps: Sequence[Step]) -> tuple[object, ...]:
    """The conditions under which nothing is known of what comes of several steps."""
    doubts = dict.fromkeys(doubt for step in steps for doubt in step.doubts)
    return tuple(doubts)


# tensors as Python objects ----------------------------------------------------------------------------------


def index(machine: Machine, frame: Frame, node: cst.CSTNode, base: Tensor, at: Value) -> Value:
    """``x[index]``."""
    if isinstance(base.numbers, list) and isinstance(at, (int, slice)):
        try:
            return _of_numbers(base.numbers[at], base)
        except (IndexError, TypeError):
            pass
    result = call(machine, frame, node, "torch.Tensor.__getitem__", [base, at], {})
    if isinstance(result, Tensor) and not base.sure:
        result.sure = False  # an item of what may be a list
    return result


def piece(machine: Machine, base: Tensor, position: int | None) -> Value:
    """One of the pieces that iterating over a tensor gives."""
    shape = machine.shape(base.shape)
    if shape.rest is not None:
        reason = "a piece of a tensor of unknown rank"
        return Unknown(reason) if base.sure else Tensor(any_shape(reason, shape.rest.image), base.step, sure=False)
    made = Tensor(Shape(shape[1:]), base.step, base.dtype, sure=base.sure)
    if isinstance(base.numbers, list) and position is not None and position < len(base.numbers):
        made.numbers = base.numbers[position]
    return made


def _of_numbers(values: Any, base: Tensor) -> Tensor:
    sizes: list[int] = []
    inner = values
    while isinstance(inner, list):
        sizes.append(len(inner))
        inner = inner[0] if inner else None
    made = Tensor(Shape(sizes), base.step, base.dtype)
    made.numbers = values
    return made


PROPERTIES = frozenset({"T", "mT", "H", "mH", "real", "imag"})


def attribute(machine: Machine, frame: Frame, node: cst.CSTNode | None, base: Tensor, name: str) -> Value:
    """``x.shape``, ``x.device``, ``x.T``, a method, or an attribute that was set."""
    if name in base.attrs:
        return base.attrs[name]
    shape = machine.shape(base.shape)
    if name == "shape":
        return tuple(tuple.__iter__(shape)) if shape.rest is None else Sizes(base)
    if name in ("ndim",):
        return shape.rank
    if name in ("data", "grad"):
        return base
    if name in PROPERTIES:
        return call(machine, frame, node, f"torch.Tensor.{name}", [base], {})
    if name == "dtype":
        return Dtype(base.dtype)
    if name in (
        "device",
        "requires_grad",
        "is_cuda",
        "layout",
        "grad_fn",
        "is_leaf",
        "is_quantized",
        "is_sparse",
    ):
        return Unknown(f"the {name} of a tensor")
    if not base.sure and row_of(f"torch.Tensor.{name}") is None and name not in METHODS:
        return Unknown(f"{name} of an input")
    return Method(base, name)


#: Methods that are answered here, because they need the value rather than its shape.
METHODS = frozenset(
    {"astype", "copy", "size", "dim", "ndimension", "view", "item", "tolist", "numpy", "backward", "numel", "new"}
)


def call_method(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    base: Tensor,
    name: str,
    args: list[Value],
    kwargs: Mapping[str, Value],
    open: str | None,
) -> Value:
    """``x.name(...)``."""
    if name == "transpose" and (len(args) > 2 or (len(args) == 1 and isinstance(args[0], (tuple, List)))):
        name = "permute"  # an array's transpose takes all axes
    by_axis = len(args) == 2 and ((args[1] in (0, -1) and args[0] != 1) or _is_more_than_two(machine, base))
    if name == "repeat" and by_axis:
        name = "repeat_interleave"  # of an array: how often, along which axis
    if name == "dot" and any(isinstance(v, Tensor) and _may_be_matrix(machine, v) for v in (base, *args[:1])):
        name = "matmul"  # of arrays: torch's takes vectors only
    if name == "resize_":  # the numbers stay as far as they fit, but who knows them
        name = "new_empty"
    if name == "resize_as_" and args and isinstance(args[0], Tensor):
        return Tensor(args[0].shape, base.step, base.dtype)
    if name == "new" and args:  # torch's first versions: sizes, or data
        is_data = isinstance(args[0], tuple) and any(isinstance(v, float) for v in args[0])
        name = "new_tensor" if is_data or isinstance(args[0], (Tensor, List)) else "new_empty"
    shape = machine.shape(base.shape)
    if name in ("size", "dim", "ndimension") and shape.rest is not None:
        index_of = args[0] if args else kwargs.get("dim")
        if name == "size" and isinstance(index_of, int):
            return machine.peek(base, index_of)
        if name == "size":
            return Sizes(base) if index_of is None else Unknown(shape.rest.reason)
        return shape.rank
    if name == "astype" and args and unary.kind_of_dtype(args[0]) == "int":
        whole = Tensor(base.shape, base.step, "int", base.sure)
        whole.numbers = compute("torch.int", [base], {}) if base.numbers is not None else None
        return whole
    if name == "astype":
        return of_kind(base, unary.kind_of_dtype(args[0]) if args else None)
    if name == "copy":
        return base
    if name in ("item", "tolist", "numpy"):
        if base.numbers is not None:
            return base if name == "numpy" else to_value(base.numbers)
        if name == "numpy":
            return base
        if name == "tolist" and shape.rest is None and len(shape) == 1 and isinstance(shape[0], int):
            return List([Unknown("a number of a tensor") for _ in range(shape[0])])
        if name == "tolist" and shape.rest is None and len(shape) > 1:
            return List(open="the rows of a tensor as lists", each=piece(machine, base, None))
        scope = base.step.scope if base.step is not None else None
        if isinstance(scope, Scope) and scope.op is not None and scope.op.name == "torch.rand":
            return Drawn()
        return Unknown("the value of a tensor")
    if name in ("register_hook", "retain_grad", "set_"):
        return None
    if name in ("share_memory_", "requires_grad_", "record_stream"):
        return base
    if open is not None and name in ("view", "reshape", "permute", "expand", "repeat"):
        return Tensor(any_shape(f"{name} with {open}"), base.step)
    if name == "to" and args and type(args[0]) is Unknown and _is_called_device(node):
        args = [Apart(args[0].reason), *args[1:]]
    if name in ("view", "reshape", "expand", "repeat") and len(args) == 1 and isinstance(args[0], Sizes):
        return _like(machine, name, base, args[0])
    result = call(machine, frame, node, f"torch.Tensor.{name}", [base, *args], kwargs, open)
    if isinstance(result, Unknown) and not base.sure:
        return Unknown(f"{name} of an input")
    return result


def _is_called_device(node: cst.CSTNode | None) -> bool:
    """``x.to(self.device)``: no kind of number."""
    given = node.args[0].value if isinstance(node, cst.Call) and node.args else None
    return dotted(given).rpartition(".")[2].rstrip("0123456789") in ("device", "dev")


def _is_more_than_two(machine: Machine, value: Tensor) -> bool:
    """Has it more than two dimensions, in a file with arrays?"""
    return len(machine.shape(value.shape).known) > 2 and "numpy" in machine.tree.text


def _may_be_matrix(machine: Machine, value: Tensor) -> bool:
    shape = machine.shape(value.shape)
    return shape.rest is not None or len(shape) > 1


def _like(machine: Machine, name: str, base: Tensor, sizes: Sizes) -> Value:
    """``x.view(y.shape)`` where the rank of ``y`` is not known: it has the shape of ``y``."""
    if name == "repeat":
        return Tensor(any_shape("repeated by an unknown shape"), base.step)
    return Tensor(sizes.tensor.shape, base.step, base.dtype)


def new_input(
    name: str, frame: Frame, node: cst.CSTNode | None, shape: Shape | None = None, sure: bool = False
) -> Tensor:
    """A tensor that comes from outside: an argument of ``forward``."""
    sizes = shape if shape is not None else any_shape(f"the number of dimensions of {name}", image=True)
    place = frame.place(node) if node is not None else None
    return Tensor(sizes, Step(f"the input {name}", place, tuple(sizes.known), (), None), sure=sure)
