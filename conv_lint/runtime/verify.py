"""The half of ``conv-lint verify`` that executes the user's code: import it, make the module, run one forward."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from conv_lint import __version__
from conv_lint.config import ConfigError
from conv_lint.runtime import places
from conv_lint.runtime.errors import ShapeError
from conv_lint.runtime.forward import build, check, unwrapped
from conv_lint.runtime.report import Call, Report
from conv_lint.verify import Input, RealCall, Target

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
#: Modules that only hold others.
_CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)


class UserError(Exception):
    """An exception of the user's code, as text: what was being done, and a traceback of their lines."""

    def __init__(self, doing: str, error: BaseException) -> None:
        super().__init__(f"{doing}\n{_their_traceback(error)}")


@dataclass
class RealRun:
    """What torch did: the calls of layers, the shapes of the output, the report, and the error if it failed."""

    calls: list[RealCall]
    output: Any
    report: Report | None
    error: ShapeError | None = None


@contextlib.contextmanager
def executing(target: Target) -> Iterator[None]:
    """The surroundings of the user's code: its folders on ``sys.path``, no arguments in ``sys.argv``.  What it prints
    goes to standard error."""
    path, argv, names = list(sys.path), sys.argv, set(sys.modules)
    sys.path[:0] = [folder for folder in target.folders if folder not in sys.path]
    sys.argv = [target.file or target.module]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.argv = path, argv
        if target.module not in names:
            sys.modules.pop(target.module, None)


def is_made(found: Any) -> bool:
    """Must the module be made from what was found: is it no module yet?"""
    return not isinstance(found, nn.Module)


def versions() -> dict[str, str]:
    """What a report of a defect must name."""
    return {"conv-lint": __version__, "torch": torch.__version__, "Python": platform.python_version()}


# import -----------------------------------------------------------------------------------------------------


def load(target: Target, arguments: Mapping[str, Any]) -> Any:
    """The class, function or module that the target names; only the first two take arguments.

    Raises ``ConfigError`` and :class:`UserError`.
    """
    with _theirs(f"{target.file or target.module} raised an exception while it was imported:"):
        try:
            module = _import(target)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{target.module}.".startswith(f"{error.name}."):
                raise ConfigError(f"{target.module}: there is no module {error.name}") from None
            raise
    found: Any = module
    for name in target.name.split("."):
        if not hasattr(found, name):
            raise ConfigError(_no_such_name(target, found, name))
        found = getattr(found, name)
    if not callable(found):
        raise ConfigError(f"{target.text}: it is of type {type(found).__name__}, no class, function or module")
    if arguments and not is_made(found):
        raise ConfigError(f"--arg: {target.text} is a module already and takes no arguments")
    return found


def _import(target: Target) -> Any:
    if target.file is None or "." in target.module or os.path.basename(target.file) == "__init__.py":
        return importlib.import_module(target.module)
    spec = importlib.util.spec_from_file_location(target.module, target.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[target.module] = module
    spec.loader.exec_module(module)
    return module


def _no_such_name(target: Target, holder: Any, name: str) -> str:
    modules = [n for n, v in vars(holder).items() if isinstance(v, type) and issubclass(v, nn.Module)]
    near = difflib.get_close_matches(name, [n for n in vars(holder) if not n.startswith("_")], n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(modules)}" if modules else ""
    return f"{target.text}: there is no {name}{hint}"


# the model and its forward ----------------------------------------------------------------------------------


def run(target: Target, found: Any, arguments: Mapping[str, Any], inputs: Sequence[Input], training: bool) -> RealRun:
    """Make the module, and run one forward without data.  Raises ``ConfigError`` and :class:`UserError`."""
    made = found if isinstance(found, nn.Module) else lambda: found(**arguments)
    try:
        with _theirs(f"{target.text} raised an exception while it was made:"):
            model = _build(target, made)
    except ShapeError as error:
        return RealRun([], None, None, error)
    model.train(training)
    args = [tensor(given) for given in inputs if given.name is None]
    kwargs = {given.name: tensor(given) for given in inputs if given.name is not None}
    with _theirs(f"{target.text} raised an exception in its forward:"):
        return forward(model, *args, **kwargs)


def _build(target: Target, made: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    result: list[Any] = []

    def once() -> nn.Module:
        result.append(made() if not isinstance(made, nn.Module) else made)
        return result[0] if isinstance(result[0], nn.Module) else nn.Identity()

    model = build(once)
    if model is not result[0]:
        raise ConfigError(f"{target.text}: it makes a {type(result[0]).__name__}, not a torch.nn.Module")
    try:
        return unwrapped(model)
    except TypeError as error:
        raise ConfigError(f"{target.text}: {error}") from None


def tensor(given: Input) -> Any:
    """What :func:`check` takes for an input: a shape, or an empty tensor of a certain dtype."""
    if given.dtype is None:
        return given.sizes
    dtype = getattr(torch, given.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise ConfigError(
            f"--input: torch has no dtype {given.dtype}; there are long, bool, float32, float64 and others"
        )
    return torch.empty(given.sizes, dtype=dtype, device="meta")


def forward(model: nn.Module, *args: Any, **kwargs: Any) -> RealRun:
    """One forward, and the calls of its layers."""
    try:
        report = check(model, *args, **kwargs)
    except ShapeError as error:
        return RealRun(_layers(model, error.report), None, error.report, error)
    return RealRun(_layers(model, report), report.output, report)


def _layers(model: nn.Module, report: Report | None) -> list[RealCall]:
    """The calls of torch's own layers; what runs inside one of them (the parts of a Transformer) belongs to it."""
    found, within = [], None
    for call in report.calls if report is not None else ():
        if within is not None and call.depth > within:
            continue
        within = None
        if _is_layer(model, call):
            within = call.depth
            found.append(RealCall(call.path, call.type, call.output, call.finished))
    return found


def _is_layer(model: nn.Module, call: Call) -> bool:
    """Is what was called a layer of torch, or of a class that takes its ``forward`` from one?"""
    module = model
    for name in call.path.split(".") if call.path else ():
        child = module._modules.get(name)
        if child is None:
            return False
        module = child._modules.get("_orig_mod") or child
    owner = next((cls for cls in type(module).__mro__ if "forward" in vars(cls)), nn.Module)
    return owner.__module__.startswith(("torch.nn.modules.", "einops.")) and owner not in _CONTAINERS


# exceptions of the user's code ------------------------------------------------------------------------------


@contextlib.contextmanager
def _theirs(doing: str) -> Iterator[None]:
    """An exception that leaves the block is one of the user's code, also ``sys.exit()``."""
    try:
        yield
    except (ConfigError, ShapeError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(doing, error) from error


def _their_traceback(error: BaseException) -> str:
    """The traceback without the lines of this package, of torch and of Python's importlib."""
    told = traceback.TracebackException.from_exception(error)
    left: list[Any] = [told]
    while left:
        one = left.pop()
        one.stack[:] = [frame for frame in one.stack if not _is_hidden(frame.filename)]
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "".join(told.format()).rstrip()


def _is_hidden(file: str) -> bool:
    return places.is_library(file) or file.startswith(_PACKAGE) or f"{os.sep}importlib{os.sep}" in file
