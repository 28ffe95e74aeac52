"""``enforce``: the shape annotations and comments of a model, or of a function, held against each call.

What the linter reads at a ``def`` is true of real tensors too, or it is a :class:`ShapeError`: CONV502 for an
argument, CONV504 for what is returned.  A name is one number throughout a call: ``b`` in every argument and in the
result, and in ``h//2``.
"""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.finding import Report as Said
from conv_lint.inputs import Declared, sizes_for
from conv_lint.runtime import contract, places
from conv_lint.runtime.contract import Contract
from conv_lint.runtime.errors import ShapeError
from conv_lint.runtime.forward import unwrapped
from conv_lint.runtime.places import Line

_P = ParamSpec("_P")
_R = TypeVar("_R")
#: So many calls are remembered: those that raise are never taken back.
_DEEPEST = 1000
#: What each name stands for in one call.
_Names = dict[str, int]


@overload
def enforce(target: nn.Module) -> Enforcer: ...  # type: ignore[overload-overlap]
@overload
def enforce(target: Callable[_P, _R]) -> Callable[_P, _R]: ...
def enforce(target: Any) -> Any:
    """Hold every call of ``target`` against the shapes that it declares, from now on.

    Of a model: the ``forward`` of each of its modules that declares any, until the block ends (``with
    enforce(model):``) or ``.detach()`` is called on the result.  Of a function: the result is the function that checks;
    ``@enforce`` is its decorator.

    Raises :class:`ShapeError` from within the call.  A declaration that cannot be read is a :class:`ShapeWarning`
    (CONV503), once.
    """
    if isinstance(target, nn.Module):
        return Enforcer(target)
    if isinstance(target, type) or not inspect.isroutine(target):
        what = f"the class {target.__name__}" if isinstance(target, type) else f"a {type(target).__name__}"
        raise TypeError(f"enforce() needs a torch.nn.Module or a function, not {what}")
    return _held(target)


class Enforcer:
    """The hooks on a model.  See :func:`enforce`."""

    def __init__(self, model: nn.Module) -> None:
        self.model = unwrapped(model)
        self._running = threading.local()
        self._hooks: list[RemovableHandle] = []
        contracts: dict[type, Contract] = {}
        for path, module in self.model.named_modules():
            cls = type(module)
            if cls not in contracts:
                contracts[cls] = _of_class(cls)
                _warn(contracts[cls])
            if contracts[cls]:
                self._attach(path, module, contracts[cls])

    def __enter__(self) -> Enforcer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()

    def detach(self) -> None:
        """Remove every hook.  Calling it twice does no harm."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _attach(self, path: str, module: nn.Module, declared: Contract) -> None:
        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            facts = functools.partial(self._facts, path, module)
            names = hold_arguments(declared, (module, *args), kwargs, facts)
            calls = self._calls()
            calls.append((id(module), names))
            del calls[:-_DEEPEST]

        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            calls, owner, names = self._calls(), 0, _Names()
            while calls and owner != id(module):  # those above it raised, and were caught
                owner, names = calls.pop()
            hold_result(
                declared,
                output,
                names if owner == id(module) else _Names(),
                functools.partial(self._facts, path, module),
            )

        self._hooks.append(module.register_forward_pre_hook(before, with_kwargs=True))
        self._hooks.append(module.register_forward_hook(after, prepend=True))

    def _calls(self) -> list[tuple[int, _Names]]:
        """The calls that run in this thread, with what their names stand for."""
        if not hasattr(self._running, "calls"):
            self._running.calls = []
        return self._running.calls  # type: ignore[no-any-return]

    def _facts(self, path: str, module: nn.Module) -> dict[str, Any]:
        """What a :class:`ShapeError` says of a module."""
        definition = repr(module) if not module._modules else f"{type(module).__name__}(...)"
        return {"module": path, "layer": definition, "constructed": places.constructed(self.model, path)}


def _of_class(cls: type[nn.Module]) -> Contract:
    """What the ``forward`` of a class declares; torch's own declare nothing."""
    owner = next((base for base in cls.__mro__ if "forward" in vars(base)), nn.Module)
    if places.is_library_class(owner):
        return Contract("", ())
    return contract.read(vars(owner)["forward"], f"{owner.__name__}.forward")


def _held(function: Callable[_P, _R]) -> Callable[_P, _R]:
    outer, _, name = getattr(function, "__qualname__", "?").rpartition(".")
    owner = outer.rpartition(".")[2]
    declared = contract.read(function, name if not owner or owner == "<locals>" else f"{owner}.{name}")
    _warn(declared)

    @functools.wraps(function)
    def held(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        names = hold_arguments(declared, args, kwargs, dict)
        result = function(*args, **kwargs)
        hold_result(declared, result, names, dict)
        return result

    return held if declared else function


def _warn(declared: Contract) -> None:
    from conv_lint.runtime.watch import ShapeWarning

    for text in declared.malformed:
        warnings.warn(text, ShapeWarning, stacklevel=places.stack_level())


# one call ---------------------------------------------------------------------------------------------------

_Facts = Callable[[], dict[str, Any]]


def hold_arguments(declared: Contract, args: Sequence[Any], kwargs: Mapping[str, Any], facts: _Facts) -> _Names:
    """What the names stand for in this call.  Raises :class:`ShapeError` for an argument that contradicts."""
    names = _Names()
    given = {**dict(zip(declared.names, args)), **kwargs}
    held = [
        (name, shape, tuple(map(int, given[name].shape)))
        for name, shape in declared.parameters.items()
        if isinstance(given.get(name), torch.Tensor)
    ]
    for final in (False, True):
        for name, wanted, sizes in held:
            if not _fits(wanted, sizes, names, final):
                report = catalogue.call_contract(layer=declared.label, given=sizes, name=name, annotated=wanted.text)
                line = places.running_line(inspect.currentframe())
                raise _error(report, wanted, sizes, names, line, facts)
    return names


def hold_result(declared: Contract, result: Any, names: _Names, facts: _Facts) -> None:
    """Raises :class:`ShapeError` if what is returned contradicts the declaration."""
    wanted = declared.result
    if wanted is None or not isinstance(result, torch.Tensor):
        return
    sizes = tuple(map(int, result.shape))
    if not all(_fits(wanted, sizes, names, final) for final in (False, True)):
        report = catalogue.return_annotation(layer=declared.label, given=sizes, annotated=wanted.text)
        raise _error(report, wanted, sizes, names, declared.result_line, facts)


def _fits(wanted: Declared, sizes: tuple[int, ...], names: _Names, final: bool) -> bool:
    """Can these be the declared sizes?  Numbers and names are compared first, and bind the names; what is computed
    from names comes in the ``final`` round."""
    missing = len(sizes) - len(wanted.sizes)
    if missing < 0 or (missing > 0 and not wanted.rest):
        return False
    for want, size in zip(wanted.sizes, sizes[missing:]):
        if isinstance(want, int):
            fits = want == size
        elif want is None or want.startswith("_"):
            fits = True
        elif want.isidentifier():
            fits = names.setdefault(want, size) == size
        else:
            fits = not final or _value(want, names) in (size, None)
        if not fits:
            return False
    return True


def _value(size: str, names: _Names) -> int | None:
    """What ``h//2`` is; ``None`` if a name in it has no number."""
    return _computed(size, tuple(names.items()))


@functools.lru_cache(10_000)
def _computed(size: str, names: tuple[tuple[str, int], ...]) -> int | None:
    """The same; a training loop asks for the same sizes again and again."""
    known: dict[str, Dim] = dict(names)
    (value,) = sizes_for(Declared((size,), False, size), known)
    return value if isinstance(value, int) else None


def _error(
    report: Said, wanted: Declared, sizes: tuple[int, ...], names: _Names, line: Line | None, facts: _Facts
) -> ShapeError:
    return ShapeError(
        report.message(),
        code=report.rule.code,
        expected=_expected(wanted, names),
        actual=sizes,
        line=line,
        **facts(),
    )


def _expected(wanted: Declared, names: _Names) -> str:
    """``(b=2, 3, h=8, h//2=4)``."""

    def shown(size: int | str | None) -> str:
        if size is None or isinstance(size, int):
            return "_" if size is None else str(size)
        value = names.get(size) if size.isidentifier() else _value(size, names)
        return size if value is None else f"{size}={value}"

    text: Iterable[str] = [*(["..."] if wanted.rest else []), *map(shown, wanted.sizes)]
    return f"({', '.join(text)})"
