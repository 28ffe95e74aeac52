"""The rows of the op table against the signatures of the installed torch: does the name resolve, and do its parameters
have torch's names, order and defaults?

Python functions and layers are asked with ``inspect.signature``; what is built in, for the schemas of its overloads and
the signatures in its docstring.  A row may stand for several of these forms: one must be matched in full, and nothing
may be listed that none has.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._jit_internal import boolean_dispatched

from conv_lint import ops
from conv_lint.ops.table import Signature
from conv_lint.runtime.table import resolve

#: Parameters that say nothing of shapes; a row may leave them out.
UNLISTED = frozenset(
    "out memory_format non_blocking generator pin_memory layout requires_grad device dtype inplace _stacklevel".split()
)
#: What no form of torch says, and why it is right.
ALLOWED = {
    **{
        f"torch.Tensor.{name}": "stands for the indices of one overload and the sections of the other"
        for name in ("dsplit", "hsplit", "vsplit")
    },
    "torch.Tensor.nonzero": "as_tuple is taken by the Python binding; neither the schema nor the docstring says so",
}
NOTHING: Any = inspect.Parameter.empty
ANYTHING = object()


@dataclass(frozen=True)
class Form:
    """One way to call a function of torch: positional parameters and keyword-only ones, with their defaults."""

    positional: dict[str, Any]
    keyword_only: dict[str, Any]
    star: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        return {**self.positional, **self.keyword_only}


# what torch has ---------------------------------------------------------------------------------------------


def forms(name: str) -> list[Form]:
    """The ways to call the function or method of torch with this full name; empty if torch does not say."""
    function = resolve(name)
    while function in boolean_dispatched:
        function = boolean_dispatched[function]["if_true"]
    method = ".Tensor." in name
    try:
        return [_form(inspect.signature(function), method)]
    except (TypeError, ValueError):
        last = name.rpartition(".")[2]
        return [*(_schema_form(s, method) for s in _schemas(name)), *_documented(function.__doc__ or "", last, method)]


def _form(signature: inspect.Signature, method: bool = False) -> Form:
    positional: dict[str, Any] = {}
    keyword_only: dict[str, Any] = {}
    star = False
    for parameter in signature.parameters.values():
        name = "input" if method and not positional and parameter.name == "self" else parameter.name
        if parameter.kind is parameter.KEYWORD_ONLY:
            keyword_only[name] = parameter.default
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            star = True
        else:
            positional[name] = parameter.default
    return Form(positional, keyword_only, star)


def _schemas(name: str) -> Iterable[Any]:
    path, _, last = name.rpartition(".")
    prefix = {"torch.fft": "fft_", "torch.linalg": "linalg_", "torch.special": "special_"}.get(path, "")
    return torch._C._jit_get_schemas_for_operator(f"aten::{prefix}{last}")


def _schema_form(schema: Any, method: bool) -> Form:
    """A schema as Python sees it: ``self`` is ``input``, what is written to is ``out``, and a factory takes
    ``requires_grad``."""
    positional: dict[str, Any] = {}
    keyword_only: dict[str, Any] = {}
    for argument in schema.arguments:
        name = RENAMED.get(argument.name, argument.name)
        default = argument.default_value if argument.has_default_value() else NOTHING
        if argument.kwarg_only and argument.is_out:
            keyword_only |= {} if method else {"out": None}
        else:
            (keyword_only if argument.kwarg_only else positional)[name] = default
    if "layout" in keyword_only or "pin_memory" in keyword_only:
        keyword_only["requires_grad"] = False
    return Form(positional, keyword_only)


#: ``from`` cannot be the name of a parameter in Python.
RENAMED = {"self": "input", "from": "from_"}


def _documented(text: str, name: str, method: bool) -> Iterable[Form]:
    """The signatures that stand in a docstring, ``topk(input, k, dim=-1) -> ...``."""
    for match in re.finditer(
        rf"^ *(?:torch\.)?(?:[\w.]+\.)?{name}\((.*?)\)\s*(?:->|$)", text, re.MULTILINE | re.DOTALL
    ):
        arguments = ", ".join(["input", match[1]] if method and match[1] else [match[1] or "input" * method])
        try:
            function = ast.parse(f"def f({arguments}): pass").body[0]
        except SyntaxError:
            continue
        assert isinstance(function, ast.FunctionDef)
        yield _parsed_form(function.args)


def _parsed_form(a: ast.arguments) -> Form:
    names = [p.arg for p in (*a.posonlyargs, *a.args)]
    padding = [NOTHING] * (len(names) - len(a.defaults))
    positional = dict(zip(names, [*padding, *map(_literal, a.defaults)]))
    keyword_only = {p.arg: NOTHING if d is None else _literal(d) for p, d in zip(a.kwonlyargs, a.kw_defaults)}
    return Form(positional, keyword_only, bool(a.vararg or a.kwarg))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ANYTHING


# what a row has ---------------------------------------------------------------------------------------------


def faults(row: Signature, torch_forms: Sequence[Form]) -> list[str]:
    """What the row has wrong."""
    known = {name for form in torch_forms for name in form.defaults}
    out = [f"torch has no parameter {name}" for name in (*row.positional, *row.keyword_only) if name not in known]
    if any(form.star for form in torch_forms):
        out = []
    if not row.star:
        out += sorted((_differences(row, form, torch_forms) for form in torch_forms), key=len)[0]
    return out


def _differences(row: Signature, form: Form, others: Sequence[Form]) -> list[str]:
    missing = [n for n in form.defaults if n not in (*row.positional, *row.keyword_only) and n not in UNLISTED]
    out = [f"{name} is missing" for name in missing]
    ours = [name for name in row.positional if name in form.positional]
    theirs = [name for name in form.positional if name in row.positional]
    if ours != theirs:
        out.append(f"torch has the order {', '.join(theirs)}")
    out += [f"{n} is keyword-only in torch" for n in row.positional if n in form.keyword_only]
    out += [f"{n} is positional in torch" for n in row.keyword_only if n in form.positional]
    # A row for several forms has a default where another form, or a shorter one, lacks the parameter.
    shorter = any(len(other.positional) < len(form.positional) for other in others)
    for name, default in form.defaults.items():
        lacking = shorter or any(name not in other.defaults for other in others)
        if name in UNLISTED or name in missing or (default is NOTHING and lacking and name in row.defaults):
            continue
        given = row.defaults.get(name, NOTHING)
        if not _same_default(given, default):
            out.append(f"the default of {name} is {_said(default)}, not {_said(given)}")
    return out


def _same_default(ours: Any, torchs: Any) -> bool:
    if ours is NOTHING or torchs is NOTHING:
        return ours is torchs
    if isinstance(torchs, (list, tuple)):
        values = ours if isinstance(ours, (list, tuple)) else [] if ours is None else [ours] * len(torchs)
        return list(values) == list(torchs)
    plain = isinstance(torchs, (int, float, str, bool, type(None)))
    return bool(ours == torchs) if plain else True


def _said(default: Any) -> str:
    return "none" if default is NOTHING else repr(default)


@functools.cache
def is_here(name: str) -> bool:
    """Can the library be imported to which a name belongs?  Those beside torch need not be installed."""
    try:
        importlib.import_module(name.partition(".")[0])
    except (ImportError, OSError):  # not there, or built for another torch
        return False
    return True


def function_faults(name: str) -> list[str]:
    """What the row of a function or method has wrong; empty if nothing."""
    row = ops.FUNCTIONS[name]
    try:
        found = resolve(name)
    except (LookupError, AttributeError):
        return ["torch has no such name"]
    if not callable(found) or name.rpartition(".")[2].startswith("__"):
        return []  # a property, or an operator
    torch_forms = forms(name)
    return faults(row.signature, torch_forms) if torch_forms else ["torch does not say"]


def layer_faults(name: str) -> list[str]:
    """What the row of a layer has wrong, of its constructor and of its call."""
    row = ops.LAYERS[name]
    if not is_here(name):
        return []
    try:
        layer = resolve(name)
    except (LookupError, AttributeError):
        return ["torch has no such name"]
    overloads: list[Any] = getattr(typing, "get_overloads", lambda _: [])(layer.__init__)  # from Python 3.11 on
    built = overloads[:1] or [layer.__init__]
    return [
        *faults(row.signature, [_without_self(built[0])]),
        *(f"forward: {fault}" for fault in faults(row.forward, [_without_self(layer.forward)])),
    ]


def _without_self(function: Any) -> Form:
    form = _form(inspect.signature(function))
    form.positional.pop("self", None)
    return form
