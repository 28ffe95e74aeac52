"""One forward under observation: the calls of modules, the functions of torch between them, and what the rules say.

Modules are seen by a wrapper around their ``forward``, functions and methods by a ``TorchFunctionMode``.  Each
tensor that is made is remembered with the step that made it, so that a message can say where a number comes from.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from conv_lint.finding import Report as Said
from conv_lint.finding import Step
from conv_lint.ops.operators import operator_name
from conv_lint.ops.table import LayerRow, Row
from conv_lint.runtime import places, receptive
from conv_lint.runtime.arguments import shapes_in, tensors_in
from conv_lint.runtime.receptive import Field
from conv_lint.runtime.replay import replay
from conv_lint.runtime.report import Call
from conv_lint.runtime.table import Verdict, function_row, judge_function, judge_layer, layer_row

#: Asked for all the time, and nothing to tell.
QUIET = frozenset(
    "__get__ __set__ dim size stride is_contiguous is_floating_point is_complex numel data_ptr element_size"
    " storage_offset _set_grad_enabled __len__ __repr__ __format__ __hash__ requires_grad_ backward".split()
)


@dataclass
class Failure:
    """The first sight of an exception: what was running, and what the rules say of it.

    ``error`` is what torch raised.  ``in_torch``: it came out of a function or a layer of torch, not out of the
    user's own code.  ``only_here``: torch does the same with real numbers; it fails only without them.
    """

    error: BaseException
    path: str
    module: nn.Module | None
    function: str | None
    inputs: Any
    faults: list[Said]
    in_torch: bool
    only_here: bool = False


@dataclass
class _Running:
    """A call of a module that has not come to its end."""

    module: nn.Module
    call: Call
    row: LayerRow | None
    verdict: Verdict
    inputs: list[torch.Tensor]


@dataclass
class _Made:
    tensor: weakref.ref[torch.Tensor]
    step: Step
    field: Field | None


@dataclass
class _Doubt:
    """A fault by the rules that torch took without a word: it may explain what fails later."""

    step: Step
    fault: Said


@dataclass
class Log:
    """What was seen so far.  ``last_shape``: of the tensor made last."""

    calls: list[Call] = field(default_factory=list)
    multiply_adds: int = 0
    failure: Failure | None = None
    last_shape: tuple[int, ...] | None = None


class Trace(TorchFunctionMode):
    """Observes the forwards that run inside ``with trace:`` after :meth:`wrap`.

    ``virtual``: the tensors have no numbers; then torch checks less than it does with real ones, and what the rules
    doubt or torch refuses is tried once more with real zeros.
    """

    def __init__(self, model: nn.Module, virtual: bool) -> None:
        super().__init__()
        self.model, self.virtual = model, virtual
        self.log = Log()
        self._running: list[_Running] = []
        self._made: dict[int, _Made] = {}
        self._doubts: list[_Doubt] = []
        self._names: dict[int, str] = {}

    def wrap(self) -> None:
        """Observe every module of the model.  The caller restores their attributes."""
        for name, module in self.model.named_modules():
            self._names[id(module)] = name
            module.__dict__["forward"] = functools.partial(self._run, module, module.forward)

    def add_multiply_adds(self, count: int) -> None:
        """Count these for every module call that is running."""
        self.log.multiply_adds += count
        for running in self._running:
            running.call.multiply_adds += count

    def take_inputs(self, names: Sequence[str], values: Sequence[Any]) -> None:
        """The tensors that the model is called with, by the names of forward's parameters."""
        for name, value in zip(names, values):
            for tensor in tensors_in(value):
                step = Step(f"the input {name}", None, tuple(map(int, tensor.shape)))
                self._remember(tensor, step, receptive.of_input(tensor))

    # modules ------------------------------------------------------------------------------------------------
    def _run(self, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        running = self._enter(module, args, kwargs)
        try:
            output = forward(*args, **kwargs)
        except Exception as error:
            self._module_failed(running, error)
            raise
        else:
            self._leave(running, output)
            return output
        finally:
            self._running.pop()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Running:
        with torch._C.DisableTorchFunction():
            inputs = [*tensors_in(args), *tensors_in(kwargs)]
            row, verdict = layer_row(type(module)), Verdict()
            if row is not None:
                verdict = judge_layer(row, module, self.label(module), args, kwargs, self.step_of)
            call = Call(
                path=self._names.get(id(module), ""),
                type=type(module).__name__,
                depth=len(self._running),
                input=_given(args, kwargs),
                weight=_weight_shape(module),
                parameters=sum(p.numel() for p in module.parameters()),
            )
        for outer in self._running[-1:]:
            outer.call.leaf = False
        self.log.calls.append(call)
        self._running.append(_Running(module, call, row, verdict, inputs))
        return self._running[-1]

    def _leave(self, running: _Running, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            call, outputs = running.call, list(tensors_in(output))
            call.finished, call.output = True, shapes_in(output)
            within = any(outer.row is not None for outer in self._running[:-1])
            step = self._layer_step(running) if running.row is not None and not within else None
            for tensor in outputs:
                self._made_by_module(running, step, tensor)
            known = self._find(outputs[0]) if outputs else None
            if known is not None and known.field is not None:
                call.receptive_field, call.stride = known.field.size, known.field.stride
            if step is not None and running.verdict.faults:
                self._doubts.append(_Doubt(step, running.verdict.faults[0]))

    def _layer_step(self, running: _Running) -> Step:
        line = places.LayerLine(self.model, running.call.path)
        parents = tuple(step for tensor in running.inputs if (step := self.step_of(tensor)) is not None)
        return Step(self.label(running.module), places.place(line), (), parents, None, running.verdict.made)

    def _made_by_module(self, running: _Running, step: Step | None, tensor: torch.Tensor) -> None:
        """The output of a layer comes from the layer; that of any other module from what its code called, if that was
        seen."""
        known = self._find(tensor)
        if step is None and known is not None:
            return
        if known is not None:
            field = known.field
        else:
            field = receptive.kept(self._fields(running.inputs), tensor) if running.row is None else None
        step = step or self._layer_step(running)
        if any(tensor is given for given in running.inputs):
            return  # nn.Identity, nn.Dropout in eval mode
        self._remember(tensor, replace(step, shape=tuple(map(int, tensor.shape))), field)

    def _module_failed(self, running: _Running, error: Exception) -> None:
        faults = self._earlier(running.inputs) or running.verdict.faults
        known = self.log.failure
        if known is None or known.error is not error:
            in_torch = places.is_library_class(type(running.module))
            self.log.failure = Failure(
                error, running.call.path, running.module, None, running.call.input, faults, in_torch
            )
        elif running.row is not None and running.verdict.faults:  # the layer, rather than the function inside it
            self.log.failure = replace(
                known, path=running.call.path, module=running.module, function=None, inputs=running.call.input,
                faults=faults,
            )  # fmt: skip

    def label(self, module: nn.Module) -> str:
        """The module as the linter writes it: ``layer2[0].conv1``."""
        path = self._names.get(id(module), "")
        return linter_name(path, type(self.model if path else module).__name__)

    # functions ----------------------------------------------------------------------------------------------
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in QUIET:
            return func(*args, **kwargs)
        row, layers = function_row(func), [running for running in self._running if running.row is not None]
        verdict = Verdict()
        if row is not None and not layers:
            verdict = judge_function(row, args, kwargs, self.step_of, name)
        faults = next((v.faults for v in (*(running.verdict for running in layers), verdict) if v.faults), [])
        inputs = [*tensors_in(args), *tensors_in(kwargs)]
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            raise self._function_failed(func, name, args, kwargs, faults, error) from error.__cause__
        if faults and self.virtual:
            refused = replay(func, args, kwargs)
            if isinstance(refused, Exception):
                raise self._function_failed(func, name, args, kwargs, faults, refused)
        self._made_by_function(name, row, (args, kwargs), inputs, output, verdict, not layers)
        return output

    def _function_failed(
        self, func: Any, name: str, args: Any, kwargs: Any, faults: list[Said], error: Exception
    ) -> Exception:
        """Note the failure.  Returns the error to raise: that of real numbers, where there is one."""
        tried = replay(func, args, kwargs) if self.virtual else None
        raised = tried if isinstance(tried, Exception) else error
        inner = self._running[-1] if self._running else None
        self.log.failure = Failure(
            raised,
            inner.call.path if inner else "",
            inner.module if inner else None,
            operator_name(name),
            _given(args, kwargs),
            self._earlier([*tensors_in(args), *tensors_in(kwargs)]) or faults,
            in_torch=True,
            only_here=tried is True,
        )
        return raised

    def _earlier(self, inputs: list[torch.Tensor]) -> list[Said]:
        """A doubt on the way of these tensors: what fails now is its consequence."""
        ways = [step for tensor in inputs if (made := self.step_of(tensor)) is not None for step in _ancestors(made)]
        seen = {id(step) for step in ways}
        return [doubt.fault for doubt in self._doubts if id(doubt.step) in seen][:1]

    def _made_by_function(
        self,
        name: str,
        row: Row | None,
        called: tuple[Any, Mapping[str, Any]],
        inputs: list[torch.Tensor],
        output: Any,
        verdict: Verdict,
        outside_layers: bool,
    ) -> None:
        outputs = list(tensors_in(output))
        if not outputs:
            return
        bound = _bound(row, *called) if name in receptive.SLIDING and row is not None else {}
        fields = self._fields(inputs)
        parents: tuple[Step, ...] = ()
        line = None
        if outside_layers:
            parents = tuple(step for tensor in inputs if (step := self.step_of(tensor)) is not None)
            line = places.place(places.running_line(sys._getframe(2)))
        for tensor in outputs:
            shape = tuple(map(int, tensor.shape))
            step = Step(operator_name(name), line, shape, parents, None, verdict.made)
            if any(tensor is given for given in inputs) and not verdict.faults:
                continue  # in place
            self._remember(tensor, step, receptive.after(name, bound, fields, tensor))
            if verdict.faults:
                self._doubts.append(_Doubt(step, verdict.faults[0]))

    # what made a tensor -------------------------------------------------------------------------------------
    def step_of(self, tensor: torch.Tensor) -> Step | None:
        """The step that made a tensor, if it was seen."""
        known = self._find(tensor)
        return known.step if known is not None else None

    def _find(self, tensor: torch.Tensor) -> _Made | None:
        known = self._made.get(id(tensor))
        return known if known is not None and known.tensor() is tensor else None

    def _remember(self, tensor: torch.Tensor, step: Step, field: Field | None) -> None:
        self._made[id(tensor)] = _Made(weakref.ref(tensor), step, field)
        self.log.last_shape = tuple(tensor.shape)

    def _fields(self, tensors: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, Field]]:
        known = ((tensor, self._find(tensor)) for tensor in tensors)
        return [(tensor, made.field) for tensor, made in known if made is not None and made.field is not None]


def linter_name(path: str, owner: str) -> str:
    """The path of a module as the linter writes it: ``layer2[0].conv1``, ``Sequential[0]``."""
    text = ""
    for name in path.split(".") if path else ():
        text += f"[{name}]" if name.isdigit() else f".{name}" if text else name
    return text if text and not text.startswith("[") else f"{owner}{text}"


def _ancestors(step: Step) -> list[Step]:
    found, left, seen = [], [step], {id(step)}
    while left:
        here = left.pop()
        found.append(here)
        for parent in here.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                left.append(parent)
    return found


def _bound(row: Row, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return row.signature.bind(args, kwargs)
    except TypeError:
        return {}


def _given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The shapes of the arguments that hold tensors: of one its own, of several a list."""
    shapes = [shapes_in(value) for value in (*args, *kwargs.values()) if next(tensors_in(value), None) is not None]
    return shapes[0] if len(shapes) == 1 else shapes or None


def _weight_shape(module: nn.Module) -> tuple[int, ...] | None:
    weight = module._parameters.get("weight")
    if weight is None or torch.nn.parameter.is_lazy(weight):
        return None
    return tuple(map(int, weight.shape))
