"""How an operation is declared: the decorators, and the table that they fill.

A rule is a pure function of shapes and plain arguments::

    @shape_rule(
        "nn.MaxPool{n}d(kernel_size, stride=None, padding=0, ...)",
        "F.max_pool{n}d(input, kernel_size, stride=None, padding=0, ...)",
    )
    def max_pool(op, input, kernel_size, stride, padding, ...): ...

One row for each surface (``nn.``, ``F.``, ``torch.``, ``Tensor.``), because torch's parameter orders really differ;
one rule behind them.  ``{n}`` makes a row for each of 1, 2 and 3 dimensions, ``op.n`` tells which.  Arguments arrive
bound.  Tensors arrive as :class:`~conv_lint.values.Shape`; the result is a shape (a tuple of sizes), a list or tuple of
shapes, or :class:`Plain` for something that is no tensor.

An ``nn.`` row is the constructor's signature.  The rule then runs at the call of the layer, whose own signature is
``(input)`` unless a row ``nn.X.forward(...)`` says otherwise; parameters of the rule that are not arguments of the
call are read from the layer's attributes, as torch does.  What is checked or made at construction (1xx rules, the
shapes of ``weight`` and ``bias``) stands in a :func:`layer_rule`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

SURFACES = {
    "nn.": "torch.nn.",
    "F.": "torch.nn.functional.",
    "torch.": "torch.",
    "Tensor.": "torch.Tensor.",
    "einops.": "einops.",
    "torchaudio.": "torchaudio.",
}
#: torch takes these names, numpy's and those of its overloads, for its own.
NUMPY_NAMES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "indices": "indices_or_sections",
    "sections": "indices_or_sections",
}
#: A name below one of these is a layer, ``torch.nn.functional`` aside.
LAYER_PACKAGES = ("torch.nn.", "einops.layers.", "torchaudio.transforms.")
F = TypeVar("F", bound=Callable[..., Any])
#: An argument of a rule that is no tensor: a number, a tuple, a string, or an ``Unknown``.
Arg: TypeAlias = Any
#: What a rule returns: a tuple of sizes, a list or tuple of those, or :class:`Plain`.
Result: TypeAlias = Any


# signatures -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signature:
    """Parameter names with their defaults, in torch's own order."""

    positional: tuple[str, ...]
    defaults: Mapping[str, object]
    star: str | None = None
    keyword_only: tuple[str, ...] = ()
    double_star: str | None = None

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
        """The arguments by name, defaults filled in.  Raises ``TypeError`` with Python's own words if they do not
        fit."""
        bound: dict[str, object] = dict(zip(self.positional, args))
        extra = args[len(self.positional) :]
        if self.star:
            bound[self.star] = tuple(extra)
        elif extra:
            count = len(self.positional)
            raise TypeError(f"takes {count} positional argument{'s' * (count != 1)} but {len(args)} are given")
        more: dict[str, object] = {}
        for name, value in kwargs.items():
            if name in NUMPY_NAMES and NUMPY_NAMES[name] in (*self.positional, *self.keyword_only):
                name = NUMPY_NAMES[name]
            if name in bound and name != self.star:
                raise TypeError(f"multiple values for argument {name!r}")
            if name in self.positional or name in self.keyword_only:
                bound[name] = value
            elif name == self.star and not extra:  # x.permute(dims=(0, 2, 1))
                bound[name] = (value,)
            elif self.double_star:
                more[name] = value
            else:
                raise TypeError(f"unexpected keyword argument {name!r}")
        if self.double_star:
            bound[self.double_star] = more
        for name in (*self.positional, *self.keyword_only):
            if name not in bound:
                if name not in self.defaults:
                    raise TypeError(f"missing argument {name!r}")
                bound[name] = self.defaults[name]
        return bound


@functools.cache
def parse_signature(text: str) -> Signature:
    """``"(input, dim=None, *, out=None)"`` as a :class:`Signature`; defaults are Python literals."""
    function = ast.parse(f"def f{text}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    a = function.args
    names = [p.arg for p in (*a.posonlyargs, *a.args)]
    values = [ast.literal_eval(d) for d in a.defaults]
    defaults = dict(zip(names[len(names) - len(values) :], values))
    for parameter, default in zip(a.kwonlyargs, a.kw_defaults):
        if default is not None:
            defaults[parameter.arg] = ast.literal_eval(default)
    return Signature(
        tuple(names),
        defaults,
        a.vararg.arg if a.vararg else None,
        tuple(p.arg for p in a.kwonlyargs),
        a.kwarg.arg if a.kwarg else None,
    )


# the table --------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """A function or method of torch: its signature and the rule behind it."""

    name: str
    text: str
    rule: Callable[..., Any]
    n: int

    @property
    def signature(self) -> Signature:
        return parse_signature(self.text)


@dataclass
class LayerRow:
    """A class of torch.nn: constructor, what construction checks and makes, and the rule of its call."""

    name: str
    n: int = 0
    text: str = "()"
    build: Callable[..., Any] | None = None
    rule: Callable[..., Any] | None = None
    forward_text: str = "(input)"

    @property
    def signature(self) -> Signature:
        return parse_signature(self.text)

    @property
    def forward(self) -> Signature:
        return parse_signature(self.forward_text)


#: Functions and methods by their full name, ``torch.nn.functional.conv2d``, ``torch.Tensor.view``.
FUNCTIONS: dict[str, Row] = {}
#: Layers by their full name, ``torch.nn.Conv2d``.
LAYERS: dict[str, LayerRow] = {}


def shape_rule(*rows: str) -> Callable[[F], F]:
    """Register a rule for the shapes of calls.  Each row is a surface and a signature (see the module's docstring)."""

    def register(rule: F) -> F:
        for row in rows:
            for name, n, text in _expand(row):
                _register(name, n, text, rule)
        return rule

    return register


def layer_rule(*rows: str) -> Callable[[F], F]:
    """Register what the construction of a layer checks and makes.

    The function receives the bound constructor arguments and returns the layer's further attributes by name; a
    ``Shape`` among them is a parameter or a buffer (``weight``, ``bias``), anything else a plain attribute.
    """

    def register(build: F) -> F:
        for row in rows:
            for name, n, text in _expand(row):
                layer = LAYERS.setdefault(name, LayerRow(name))
                layer.n, layer.text, layer.build = n, text, build
        return build

    return register


def _expand(row: str) -> Iterable[tuple[str, int, str]]:
    numbers = (1, 2, 3) if "{n}" in row else (0,)
    for n in numbers:
        text = row.replace("{n}", str(n))
        name, _, rest = text.partition("(")
        surface = next(s for s in SURFACES if name.startswith(s))
        yield SURFACES[surface] + name[len(surface) :], n or _dimensions(name), "(" + rest


def _dimensions(name: str) -> int:
    """2 for ``nn.LazyConv2d`` or ``F.conv2d``: a row for one number of dimensions only."""
    return int(name[-2]) if len(name) > 2 and name.endswith("d") and name[-2].isdigit() else 0


def _register(name: str, n: int, text: str, rule: Callable[..., Any]) -> None:
    if name.startswith(LAYER_PACKAGES) and not name.startswith(("torch.nn.functional.", "torch.nn.utils.")):
        name, is_call, _ = name.partition(".forward")
        layer = LAYERS.setdefault(name, LayerRow(name))
        layer.n, layer.rule = n or layer.n or _dimensions(name), rule
        if is_call:
            layer.forward_text = text
        else:
            layer.text = text
    else:
        FUNCTIONS[name] = Row(name, text, rule, n)
