"""``watch`` and ``attach``: every forward of a training loop under observation, at the price of a lookup a layer.

A layer's input is held against the op rules when the layer sees that shape for the first time.  Where they find a
fault, one forward without data decides whether torch agrees, and then the :class:`ShapeError` is raised before
torch's own.  What works but is likely a mistake is a :class:`ShapeWarning`, said once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from conv_lint.ops.table import LayerRow
from conv_lint.runtime import places
from conv_lint.runtime.arguments import shapes_in, tensors_in
from conv_lint.runtime.errors import ShapeError
from conv_lint.runtime.forward import check, unwrapped
from conv_lint.runtime.table import judge_layer, layer_row
from conv_lint.runtime.trace import linter_name
from conv_lint.values import Shape

_SPATIAL = {1: "the length", 2: "the height or width", 3: "the depth, height or width"}


class ShapeWarning(UserWarning):
    """Shapes that torch takes, but that are likely not meant."""


class NotFiniteWarning(ShapeWarning):
    """A layer made NaN or infinite numbers."""


def attach(model: nn.Module, *, nan: bool = False) -> Watcher:
    """Watch every forward of ``model`` until ``.detach()`` is called on the result.

    Said by :class:`ShapeWarning`, once each: an input size or channel count that differs from those of the first
    batch; rows and columns of the input that a stride never reads (CONV301, once a layer); a batch of images that comes
    out as another number of rows.  ``nan=True``: also the first layer that makes NaN or infinite numbers
    (:class:`NotFiniteWarning`); this reads every activation once more.

    Raises :class:`ShapeError` from within the forward where a layer cannot take its input.
    """
    return Watcher(model, nan)


def watch(model: nn.Module, *, nan: bool = False) -> Watcher:
    """``with watch(model):`` is :func:`attach` for the block.  An exception of torch that leaves the block because of
    shapes, also in a function between the layers, becomes a :class:`ShapeError` with torch's own as its cause."""
    return Watcher(model, nan)


class Watcher:
    """The hooks on a model.  See :func:`attach` for what they say."""

    def __init__(self, model: nn.Module, nan: bool = False) -> None:
        self.model = unwrapped(model)
        self._inputs: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None
        self._first: dict[tuple[int, bool], set[tuple[int, ...]]] = {}
        self._began: set[bool] = set()
        self._said: set[str] = set()
        self._rows: tuple[str, int] | None = None
        self._busy = False
        self._hooks: list[RemovableHandle] = []
        self._attach(nan)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        inputs = self._inputs
        self.detach()
        if inputs is not None and isinstance(error, Exception) and not isinstance(error, ShapeError):
            explained = self._explained(self.model, *inputs)
            if explained is not None:
                raise explained from error

    def detach(self) -> None:
        """Remove every hook.  Calling it twice does no harm."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._inputs = None

    # hooks --------------------------------------------------------------------------------------------------
    def _attach(self, nan: bool) -> None:
        self._hooks.append(self.model.register_forward_pre_hook(self._begin, with_kwargs=True, prepend=True))
        for path, module in self.model.named_modules():
            row = layer_row(type(module))
            if row is not None:
                self._hooks.append(self._watch_layer(path, module, row))
            if nan and not module._modules:
                self._hooks.append(self._watch_numbers(path, module))
        self._hooks.append(self.model.register_forward_hook(self._end))

    def _begin(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self._busy:
            self._inputs, self._rows = (args, kwargs), None

    def _end(self, model: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if self._busy:
            return
        self._inputs = None
        self._began.add(model.training)
        if "folded" not in self._said:
            self._compare_batch(args, output)

    def _watch_layer(self, path: str, module: nn.Module, row: LayerRow) -> RemovableHandle:
        seen: set[Any] = set()

        def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            key: Any = module.training
            if len(args) == 1 and not kwargs and isinstance(args[0], torch.Tensor):
                key = (args[0].shape, key)
            else:
                key = (repr(shapes_in((args, kwargs))), key)
            if key not in seen and not self._busy:
                self._first_sight(path, module, row, args, kwargs)
                seen.add(key)

        return module.register_forward_pre_hook(look, with_kwargs=True)

    def _watch_numbers(self, path: str, module: nn.Module) -> RemovableHandle:
        def look(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if "numbers" in self._said or self._busy:
                return
            for tensor in tensors_in(output):
                if not _finite(tensor):
                    self._say_not_finite(path, module, args, tensor)
                    return

        return module.register_forward_hook(look)

    # what is said -------------------------------------------------------------------------------------------
    def _first_sight(
        self, path: str, module: nn.Module, row: LayerRow, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """A layer is given shapes that it has not seen."""
        label = linter_name(path, type(self.model).__name__)
        verdict = judge_layer(row, module, label, args, kwargs, lambda _: None)
        if verdict.faults:
            explained = self._explained(self.model, *self._inputs) if self._inputs is not None else None
            explained = explained or self._explained(module, args, kwargs)
            if explained is not None:
                raise explained from explained.__cause__
        for report in verdict.reports:
            if report.rule.code == "CONV301":
                self._say(f"CONV301 {label}", f"CONV301 {report.message()}")
        shape = next((tuple(tensor.shape) for tensor in tensors_in(args)), ())
        if row.n:
            self._compare_sizes(label, module, row, shape)
        elif row.name == "torch.nn.Linear" and len(shape) == 2:
            self._rows = self._rows or (label, shape[0])

    def _explained(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ShapeError | None:
        """The :class:`ShapeError` of calling ``model`` so, if there is one.  Nothing real is computed."""
        self._busy = True
        try:
            check(model, *args, **kwargs)
        except ShapeError as error:
            return error
        except Exception:
            return None
        finally:
            self._busy = False
        return None

    def _compare_sizes(self, label: str, module: nn.Module, row: LayerRow, shape: tuple[int, ...]) -> None:
        """Channels and sizes against those of the first batch, which may have used the layer several times."""
        known = self._first.setdefault((id(module), module.training), set())
        sizes = shape[-row.n - 1 :]
        if self.model.training not in self._began or not known:
            known.add(sizes)
        elif sizes not in known:
            before = min(known, key=lambda other: sum(a != b for a, b in zip(other, sizes)))
            kind = "the number of channels" if before[0] != sizes[0] else _SPATIAL[row.n]
            was, now = Shape(before), Shape(sizes)
            self._say(kind, f"{label} is given samples of {now}, the first batch had {was}: {kind} changed (said once)")
            known.add(sizes)

    def _compare_batch(self, args: tuple[Any, ...], output: Any) -> None:
        """A batch of images that comes out of a linear layer with another number of rows."""
        given, made = next(tensors_in(args), None), next(tensors_in(output), None)
        if given is None or made is None or self._rows is None or given.dim() < 3 or made.dim() != 2:
            return
        batch, rows, (label, seen) = given.shape[0], made.shape[0], self._rows
        if rows != batch and rows == seen and max(rows, batch) % max(min(rows, batch), 1) == 0:
            self._say(
                "folded",
                f"a batch of {batch} comes in and {rows} rows come out: {label} is given {rows} rows, so a view(-1,"
                " ...) before it mixes samples and features; keep the batch with x.flatten(1)",
            )

    def _say_not_finite(self, path: str, module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        label = linter_name(path, type(self.model).__name__)
        nans, total = int(torch.isnan(output).sum()), output.numel()
        infinite = int(torch.isinf(output).sum())
        count = ", ".join(f"{n} {word}" for n, word in ((nans, "NaN"), (infinite, "infinite")) if n)
        given = all(_finite(tensor) for tensor in tensors_in(args))
        made = "makes" if given else "is given, and passes on,"
        text = f"{label} ({type(module).__name__}) {made} numbers that are not finite: {count} of {total}"
        self._say("numbers", f"{text}; it is the first layer with any", NotFiniteWarning)

    def _say(self, key: str, text: str, kind: type[ShapeWarning] = ShapeWarning) -> None:
        if key not in self._said:
            self._said.add(key)
            warnings.warn(text, kind, stacklevel=places.stack_level())


def _finite(tensor: torch.Tensor) -> bool:
    """Are all numbers finite?  A sum that is finite says so, in one pass; one that is not may have overflowed."""
    if not tensor.dtype.is_floating_point or tensor.device.type == "meta":
        return True
    with torch.no_grad():
        return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
