"""``check``: one forward of a model, without data where that is possible, and what came of it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from conv_lint.runtime.arguments import convert, shapes_in
from conv_lint.runtime.borrow import borrowed, empty_copy, same_random_numbers, working_copy
from conv_lint.runtime.cost import CountMultiplyAdds
from conv_lint.runtime.errors import explain
from conv_lint.runtime.report import Report
from conv_lint.runtime.trace import Trace

META = torch.device("meta")


def check(
    model: nn.Module | Callable[[], nn.Module], *inputs: Any, device: str | torch.device = "meta", **kwargs: Any
) -> Report:
    """Run one forward of ``model`` and report the shapes, sizes and costs of every module call.

    ``inputs`` and ``kwargs`` are forward's arguments.  A tuple of whole numbers is the shape of a tensor of the
    model's own dtype, ``(1, 3, 224, 224)``; a tensor is used for its shape and dtype; tuples, lists and dicts may
    hold either; anything else is passed on.  Token numbers need a tensor: ``torch.zeros(1, 12, dtype=torch.long)``.

    ``device="meta"``: without data or memory.  A forward that looks at numbers or asks for devices is run on fake
    tensors instead, or in the end for real where the model lies; the report's ``note`` says so.  Any other device: for
    real, with random numbers there.

    ``model`` may be a class or function without arguments that makes the model; then a mistake in its ``__init__`` is
    explained too.  The model is afterwards as it was before, whatever happens: parameters, buffers, attributes,
    hooks, training flags, random numbers.

    Raises :class:`~conv_lint.runtime.ShapeError` if the forward fails for its shapes; whatever else it raises passes
    as it is.
    """
    made = unwrapped(build(model))
    plans = _plans(made, torch.device(device))
    note = None
    for plan in plans:
        attempt = _Attempt(made, plan, inputs, kwargs)
        error = attempt.run()
        attempt.report.note = note
        if error is None:
            return attempt.report
        failure = attempt.trace.log.failure
        gives_up = plan is plans[-1] or not _for_lack_of_numbers(error, attempt.trace)
        only_here = failure is not None and failure.error is error and failure.only_here
        explained = explain(error, attempt.trace.log, made, attempt.report) if gives_up or not only_here else None
        if explained is not None:
            raise explained from error
        if gives_up:
            raise error
        note = f"the forward cannot run on {plan.name} tensors: {type(error).__name__}: {_short(error)}"
    raise AssertionError("the last plan either returns or raises")


# the model --------------------------------------------------------------------------------------------------


def build(model: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    """The model itself, or what the class or function makes.  A mistake there is a ``ShapeError``."""
    if isinstance(model, nn.Module):
        return model
    if not callable(model):
        raise TypeError(f"check() needs a torch.nn.Module, not {type(model).__name__}")
    try:
        made = model()
    except Exception as error:
        explained = explain(error, None, nn.Module(), Report(getattr(model, "__name__", "model")))
        if explained is None:
            raise
        raise explained from error
    if not isinstance(made, nn.Module):
        raise TypeError(f"check() needs a torch.nn.Module, but {model!r} makes a {type(made).__name__}")
    return made


def unwrapped(model: nn.Module) -> nn.Module:
    """Without torch.compile, DataParallel and DistributedDataParallel.  Raises ``TypeError`` for scripted modules."""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif "_orig_mod" in model._modules and model._modules["_orig_mod"] is not None:
            model = model._modules["_orig_mod"]
        else:
            break
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"its part {name!r}" if name else "the model"
            raise TypeError(
                f"conv-lint cannot look into a scripted module, and {where} is one (torch.jit.script or"
                " torch.jit.trace); pass the nn.Module that it was made from"
            )
    return model


# where to run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """A way to run the forward.  ``name``: meta, fake, or a device."""

    name: str
    device: torch.device

    @property
    def virtual(self) -> bool:
        return self.name in ("meta", "fake")


def _plans(model: nn.Module, device: torch.device) -> list[_Plan]:
    if device != META:
        return [_Plan(str(device), device)]
    own = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    real = [] if own == META else [_Plan(str(own), own)]
    return [_Plan("meta", META), _Plan("fake", own if real else torch.device("cpu")), *real]


def _for_lack_of_numbers(error: Exception, trace: Trace) -> bool:
    """Might the forward succeed with real numbers: did torch raise, or does the message speak of devices?"""
    failure = trace.log.failure
    in_torch = failure is not None and failure.error is error and failure.in_torch
    words = ("meta", "fake", "device", "data-dependent", "item()", "numpy", "cpu")
    return in_torch or any(word in str(error).lower() for word in words)


def _short(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else ""


# one forward ------------------------------------------------------------------------------------------------


class _Attempt:
    """One forward by one plan."""

    def __init__(self, model: nn.Module, plan: _Plan, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.model, self.plan, self.inputs, self.kwargs = model, plan, inputs, kwargs
        self.trace = Trace(model, plan.virtual)
        self.report = Report(type(model).__name__, self.trace.log.calls, device=plan.name)

    def run(self) -> Exception | None:
        """Fill the report.  Returns what the forward raised."""
        _count(self.model, self.report)
        modes = self._modes()
        with same_random_numbers(self.plan.device), self._grad_mode(), modes, borrowed(self.model, self._exchange):
            args, kwargs = self._argument(self.inputs), self._argument(dict(self.kwargs))
            self.trace.take_inputs(*_named(self.model, args, kwargs))
            self.trace.wrap()
            try:
                with CountMultiplyAdds(self.trace.add_multiply_adds), self.trace:
                    output = self.model(*args, **kwargs)
            except Exception as error:
                return error
            self.report.output = shapes_in(output)
            self.report.multiply_adds = self.trace.log.multiply_adds
            _count(self.model, self.report)  # parameters of lazy modules exist only now
        return None

    @contextlib.contextmanager
    def _modes(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self.plan.name == "meta":
                stack.enter_context(META)
            elif self.plan.name == "fake":
                from torch._subclasses.fake_tensor import FakeTensorMode

                self._fake = stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
            yield

    def _grad_mode(self) -> contextlib.AbstractContextManager[Any]:
        """Gradients cost nothing without numbers, and some models differentiate in their forward."""
        return contextlib.nullcontext() if self.plan.virtual else torch.no_grad()

    def _exchange(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.plan.name == "meta":
            return empty_copy(tensor, META)
        if self.plan.name == "fake":
            return empty_copy(tensor, self.plan.device) if is_lazy(tensor) else self._faked(tensor)
        return working_copy(tensor, self.plan.device)

    def _faked(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device == META:
            return empty_copy(tensor, self.plan.device)
        return self._fake.from_tensor(tensor)

    def _argument(self, value: Any) -> Any:
        dtype = _float_of(self.model)

        def of_shape(shape: tuple[int, ...]) -> torch.Tensor:
            if self.plan.virtual:
                return torch.empty(shape, dtype=dtype, device=self.plan.device)
            return torch.rand(shape, device=self.plan.device).to(dtype)

        def of_tensor(tensor: torch.Tensor) -> torch.Tensor:
            if self.plan.name == "fake" and tensor.device != META:
                return self._faked(tensor.detach())
            if self.plan.virtual:
                return empty_copy(tensor, self.plan.device)
            if tensor.device == META:
                return torch.zeros(tensor.shape, dtype=tensor.dtype, device=self.plan.device)
            return tensor.detach().to(self.plan.device, copy=True)

        return (
            convert(value, of_shape, of_tensor)
            if isinstance(value, dict)
            else tuple(convert(item, of_shape, of_tensor) for item in value)
        )


def _float_of(model: nn.Module) -> torch.dtype:
    """The dtype of the model's numbers, that of its first parameter that is not a whole number."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dtype.is_floating_point and tensor.dtype.itemsize > 1:
            return tensor.dtype
    return torch.get_default_dtype()


def _named(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """The arguments with the names of forward's parameters."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"{i + 1}" for i in range(len(names), len(args))]
    return [*names[: len(args)], *kwargs], [*args, *kwargs.values()]


def _count(model: nn.Module, report: Report) -> None:
    parameters = [p for p in model.parameters() if not is_lazy(p)]
    report.parameters = sum(p.numel() for p in parameters)
    report.trainable = sum(p.numel() for p in parameters if p.requires_grad)
    report.buffers = sum(b.numel() for b in model.buffers() if not is_lazy(b))
