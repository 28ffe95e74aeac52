"""The op table seen from torch: which row a function of torch or a layer is, and what the row's rule says of a call."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from conv_lint import ops
from conv_lint.finding import Report, Step
from conv_lint.ops.operators import operator_name
from conv_lint.ops.rule import Op, run
from conv_lint.ops.table import LayerRow, Row
from conv_lint.ops.world import Recorder
from conv_lint.values import CannotTell, Shape, Unknown

#: Arguments that say nothing of shapes; rows may leave them out.
IGNORED = frozenset({"out", "memory_format", "non_blocking", "generator", "pin_memory", "layout"})
#: Reports on what torch does without a word: they never explain why it failed.
ACCEPTED = frozenset({"CONV301", "CONV302"})

#: The step that made a tensor, if it is known.
StepOf = Callable[[torch.Tensor], "Step | None"]


@dataclass
class Verdict:
    """What a rule says of one call: its reports, and the axis (from the right) whose size the operation decides."""

    reports: list[Report] = field(default_factory=list)
    made: int | None = None

    @property
    def faults(self) -> list[Report]:
        """The reports that can explain a failure."""
        return [report for report in self.reports if report.rule.code not in ACCEPTED]


# rows -------------------------------------------------------------------------------------------------------


def resolve(name: str) -> Any:
    """The object with this full name, ``torch.nn.functional.conv2d``.  Raises ``LookupError`` or ``AttributeError``."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            owner = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        return functools.reduce(getattr, parts[cut:], owner)
    raise LookupError(name)


@functools.cache
def _functions() -> dict[Any, Row]:
    found: dict[Any, Row] = {}
    for name, row in ops.FUNCTIONS.items():
        if name.startswith("torch."):
            try:
                found.setdefault(resolve(name), row)
            except (LookupError, AttributeError, TypeError):
                continue  # another version of torch, or something that cannot be a key
    return found


@functools.cache
def _layers() -> dict[type, LayerRow]:
    found: dict[type, LayerRow] = {}
    for name, row in ops.LAYERS.items():
        if name.startswith("torch."):
            try:
                found[resolve(name)] = row
            except (LookupError, AttributeError):
                continue
    return found


def function_row(function: Any) -> Row | None:
    """The row of a function or method of torch; ``x.add_`` is the row of ``x.add``."""
    try:
        row = _functions().get(function)
    except TypeError:
        return None
    name = getattr(function, "__name__", "")
    if row is None and name.endswith("_") and not name.endswith("__"):
        row = ops.FUNCTIONS.get(f"torch.Tensor.{name[:-1]}")
    return row


def layer_row(cls: type) -> LayerRow | None:
    """The row of a layer of torch, or of a subclass of one that leaves ``forward`` as it is."""
    return _layer_row(cast(Any, cls))


@functools.cache
def _layer_row(cls: type) -> LayerRow | None:
    for base in cls.__mro__:
        row = _layers().get(base)
        if row is not None:
            same = getattr(cls, "forward", None) is getattr(base, "forward", None)
            return row if same and row.rule is not None else None
    return None


# values -----------------------------------------------------------------------------------------------------


def to_rule(value: Any, step_of: StepOf) -> Any:
    """A value as a rule takes it: a :class:`Shape` for a tensor, an :class:`Unknown` for what a rule cannot use."""
    if isinstance(value, torch.Tensor):
        return Shape(map(int, value.shape), step_of(value), _kind(value.dtype))
    if value is None or value is ... or isinstance(value, (bool, int, float, complex, str)):
        return value
    if isinstance(value, (tuple, list)):
        items = [to_rule(item, step_of) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, slice):
        return slice(*(to_rule(part, step_of) for part in (value.start, value.stop, value.step)))
    return Unknown("an argument that is not known")


def _kind(dtype: torch.dtype) -> str:
    if dtype is torch.bool:
        return "bool"
    return "float" if dtype.is_floating_point or dtype.is_complex else "int"


# verdicts ---------------------------------------------------------------------------------------------------


def judge_function(
    row: Row, args: Sequence[Any], kwargs: Mapping[str, Any], step_of: StepOf, name: str | None = None
) -> Verdict:
    """What the rule of a function or method says of a call.  The receiver of a method is the first argument.

    ``name``: under what name it was called, ``add_`` for the row of ``add``.
    """
    listed = {*row.signature.positional, *row.signature.keyword_only}
    given = {k: to_rule(v, step_of) for k, v in kwargs.items() if k in listed or k not in IGNORED}
    label = operator_name(name or row.name.rpartition(".")[2])
    try:
        bound = row.signature.bind([to_rule(value, step_of) for value in args], given)
    except TypeError:
        return Verdict()
    return _run(row.rule, lambda world: Op(row.name, row.n, label, bound, world), bound)


def judge_layer(
    row: LayerRow, module: nn.Module, label: str, args: Sequence[Any], kwargs: Mapping[str, Any], step_of: StepOf
) -> Verdict:
    """What the rule of a layer says of a call.  Its settings and parameters are read from the layer, as torch does."""
    assert row.rule is not None
    rule = row.rule
    try:
        given = row.forward.bind(
            [to_rule(value, step_of) for value in args], {k: to_rule(v, step_of) for k, v in kwargs.items()}
        )
    except TypeError:
        return Verdict()
    settings = _settings(row, module)
    if row.build is not None:
        built = judge_construction(row, settings)
        wrong = [report for report in built.reports if report.rule.code.startswith("CONV1")]
        if wrong:  # torch makes such a layer, and refuses every call of it
            return Verdict(wrong)
    needed = rule.__code__.co_varnames[1 : rule.__code__.co_argcount + rule.__code__.co_kwonlyargcount]
    read = {name: _attribute(module, name) for name in needed if name not in settings and name not in given}
    known = {name: value for name, value in read.items() if value is not _MISSING}
    values = {**settings, **known, **given}

    def op(world: Recorder) -> Op:
        made = Op(row.name, row.n, label, {**settings, **given}, world)
        made.training = module.training
        return made

    return _run(rule, op, values)


def judge_construction(row: LayerRow, arguments: Mapping[str, Any]) -> Verdict:
    """What is said of constructing a layer with these arguments (the 1xx rules)."""
    if row.build is None:
        return Verdict()
    bound = {**row.signature.defaults, **{k: to_rule(v, lambda _: None) for k, v in arguments.items()}}
    label = row.name.rpartition(".")[2]
    return _run(row.build, lambda world: Op(row.name, row.n, label, bound, world), bound)


_MISSING = object()


def _settings(row: LayerRow, module: nn.Module) -> dict[str, Any]:
    """The constructor's arguments, as far as the layer keeps them under their names."""
    names = [n for n in (*row.signature.positional, *row.signature.keyword_only) if n not in ("device", "dtype")]
    held = {name: _attribute(module, name) for name in names}
    return {n: Unknown(f"{n} is not kept by the layer") if v is _MISSING else v for n, v in held.items()}


def _attribute(module: nn.Module, name: str) -> Any:
    value = getattr(module, name, _MISSING)
    return value if value is _MISSING else to_rule(value, lambda _: None)


def _run(rule: Callable[..., Any], make: Callable[[Recorder], Op], values: Mapping[str, Any]) -> Verdict:
    """Run a rule.  An error of the rule itself, or a value it cannot use, is silence."""
    world = Recorder()
    op = make(world)
    try:
        run(rule, op, values)
    except CannotTell:
        pass
    except (TypeError, AttributeError, ValueError, IndexError, KeyError, ArithmeticError, AssertionError):
        return Verdict()
    return Verdict(world.reports, op.made)
