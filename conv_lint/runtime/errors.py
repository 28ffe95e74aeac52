"""A failed forward, explained: :class:`ShapeError`, and which exceptions become one."""

from __future__ import annotations

import ast
import functools
import linecache
import re
import textwrap
from types import FrameType
from typing import Any

import torch
from torch import nn

from conv_lint import catalogue
from conv_lint.dims import render_shape
from conv_lint.finding import Origin
from conv_lint.finding import Report as Said
from conv_lint.runtime import places
from conv_lint.runtime.arguments import render_shapes
from conv_lint.runtime.places import Line
from conv_lint.runtime.report import Report, text_table
from conv_lint.runtime.table import judge_construction, judge_function, layer_row
from conv_lint.runtime.trace import Failure, Log

COLUMNS = ("layer", "type", "input", "output", "weight")
#: Rows of the table that a message shows: those before the failure.
ROWS = 40
#: Words of torch that speak of something else than shapes, and words that speak of shapes.
_OTHER = re.compile(
    r"dtype|scalar ?type|same device|on device|\bcuda\b|out of memory|does not require grad|Input type|inference tensor"
    r"|in-place operation|leaf Variable|meta tensor|FakeTensor|not implemented for|index out of range in self",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"shape|size|dimension|\bdims?\b|channel|element|mat1|mat2|broadcast|expand|must match|kernel|stride|\bD\b|\d-?D\b"
    r"|rank|vector|matrix|matrices|length|divisible|normalized_shape|running_mean|features|permute|einsum|axis|axes",
    re.IGNORECASE,
)
_UNPACK = re.compile(r"(too many|not enough) values to unpack \(expected (?:at least )?(\d+)")
#: What torch raises where shapes do not fit.
KINDS = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)


class ShapeError(RuntimeError):
    """A forward that fails for its shapes.  torch's own error is the ``__cause__``.

    ``code``: the linter's, ``CONV201``, or ``None`` where no rule says why.  ``message``: the linter's sentence.
    ``module``: the path of the module that was running, ``layer2.0.conv1``.  ``layer``: its definition as torch
    prints it; ``constructed``: the line where it was made, if that can be found.  ``expected`` and ``actual``: what was
    needed and what was given.  ``line``: the user's line in ``forward``.  ``fix``: what to write instead.
    ``report``: the calls up to the failure.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        module: str = "",
        layer: str | None = None,
        constructed: Line | None = None,
        expected: object = None,
        actual: object = None,
        line: Line | None = None,
        fix: str | None = None,
        report: Report | None = None,
        torch_says: str = "",
    ) -> None:
        self.message, self.code, self.module, self.layer, self.constructed = message, code, module, layer, constructed
        self.expected, self.actual, self.line, self.fix = expected, actual, line, fix
        self.report, self.torch_says = report, torch_says
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [f"{self.code} {self.message}" if self.code else self.message]
        if self.line is not None:
            parts.append(_entry("line", f"{self.line}   {self.line.text}"))
        if self.layer is not None:
            parts.append(_entry("layer", f"{self.module or '(model)'} = {self.layer}"))
        if self.constructed is not None:
            parts.append(_entry("made in", f"{self.constructed}   {self.constructed.text}"))
        if self.expected is not None and self.actual is not None:
            parts.append(_entry("expected", f"{_shown(self.expected)}, given {_shown(self.actual)}"))
        if self.fix is not None:
            parts.append(_entry("fix", str(self.fix)))
        if self.torch_says:
            parts.append(_entry("torch says", self.torch_says))
        if self.report is not None and self.report.calls:
            calls = self.report.calls[-ROWS:]
            left = len(self.report.calls) - len(calls)
            parts.append("  shapes up to here" + (f" ({left} earlier calls left out):" if left else ":"))
            parts.append(textwrap.indent(text_table(calls, COLUMNS), "    "))
        return "\n".join(parts)


def _entry(name: str, text: str) -> str:
    return f"  {name + ':':<12}{text}"


def _shown(value: object) -> str:
    return render_shape(value) if isinstance(value, tuple) else str(value)


# which exceptions -------------------------------------------------------------------------------------------


def explain(error: Exception, log: Log | None, model: nn.Module, report: Report) -> ShapeError | None:
    """The :class:`ShapeError` for what a forward raised, or ``None`` if it is not about shapes."""
    if isinstance(error, ShapeError) or not isinstance(error, KINDS) or isinstance(error, NotImplementedError):
        return None
    user = places.last_user_frame(error.__traceback__)
    failure = log.failure if log is not None else None
    seen = failure if failure is not None and failure.error is error else None
    faults = list(seen.faults) if seen is not None else []
    in_torch = (seen is not None and seen.in_torch) or _raised_in_library(error)
    if not in_torch:
        faults = _unpacking(error, user, log.last_shape if log is not None else None)
        if not faults:
            return None
    if not faults and in_torch:
        faults = _from_traceback(error)
    text = _first_lines(error)
    if not faults and (isinstance(error, TypeError) or not _speaks_of_shapes(text)):
        return None
    if _OTHER.search(text) and not _SHAPES.search(_OTHER.sub("", text)):
        return None
    return _error(error, text, faults[0] if faults else None, seen, user[1] if user else None, model, report)


def _speaks_of_shapes(text: str) -> bool:
    return bool(_SHAPES.search(text)) and not _OTHER.search(text)


def _raised_in_library(error: BaseException) -> bool:
    """Was the exception raised by a Python line of torch or einops?"""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    file = traceback.tb_frame.f_code.co_filename if traceback is not None else ""
    return places.is_library(file) and not places.is_ours(file)


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:3])[:500]


# what the rules say of frames -------------------------------------------------------------------------------


def _from_traceback(error: BaseException) -> list[Said]:
    """What the rules say of a layer that was being made, or of a function of einops, found among the frames."""
    traceback = error.__traceback__
    while traceback is not None:
        faults = _of_construction(traceback.tb_frame) or _of_einops(traceback.tb_frame)
        if faults:
            return faults
        traceback = traceback.tb_next
    return []


def _of_construction(frame: FrameType) -> list[Said]:
    module = frame.f_locals.get("self")
    if frame.f_code.co_name != "__init__" or not isinstance(module, nn.Module):
        return []
    row = layer_row(type(module))
    if row is None or not places.is_library(frame.f_code.co_filename):
        return []
    names = (*row.signature.positional, *row.signature.keyword_only)
    given = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
    return judge_construction(row, given).faults if len(given) > len(names) // 2 else []


def _of_einops(frame: FrameType) -> list[Said]:
    from conv_lint import ops

    if not frame.f_globals.get("__name__", "").startswith("einops"):
        return []
    row = ops.FUNCTIONS.get(f"einops.{frame.f_code.co_name}")
    if row is None:
        return []
    held = frame.f_locals
    args = [held[name] for name in row.signature.positional if name in held]
    lengths = held.get("axes_lengths")
    return judge_function(row, args, lengths if isinstance(lengths, dict) else {}, lambda _: None).faults


def _unpacking(
    error: BaseException, user: tuple[FrameType, Line] | None, last_shape: tuple[int, ...] | None
) -> list[Said]:
    """``b, c = x.shape`` of four dimensions; in ``self.conv(x).shape`` it is the tensor that was made last."""
    match = _UNPACK.match(str(error))
    if match is None or user is None or not isinstance(error, ValueError):
        return []
    frame, line = user
    try:
        statement = ast.parse(line.text).body[0]
    except (SyntaxError, IndexError):
        return []
    value = statement.value if isinstance(statement, ast.Assign) else None
    shape = _shape_of(value, frame, last_shape) if value is not None else None
    if shape is None:
        return []
    return [catalogue.unpack_count(given=len(shape), s="s" if len(shape) != 1 else None, names=int(match[2]))]


def _shape_of(node: ast.expr, frame: FrameType, last_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The shape that ``x.shape`` or ``x.size()`` has in a frame."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "size":
        node = node.func
    if not isinstance(node, ast.Attribute) or node.attr not in ("shape", "size"):
        return None
    if not isinstance(node.value, ast.Name):
        return last_shape if isinstance(node.value, ast.Call) else None
    tensor = frame.f_locals.get(node.value.id)
    return tuple(map(int, tensor.shape)) if isinstance(tensor, torch.Tensor) else None


# the message ------------------------------------------------------------------------------------------------


def _error(
    error: Exception,
    text: str,
    fault: Said | None,
    failure: Failure | None,
    line: Line | None,
    model: nn.Module,
    report: Report,
) -> ShapeError:
    module = failure.module if failure is not None else None
    path = failure.path if failure is not None else ""
    facts: dict[str, Any] = {
        "module": path,
        "layer": _definition(module) if module is not None else None,
        "constructed": places.constructed(model, path),
        "line": line,
        "report": report,
        "torch_says": text,
    }
    if fault is None:
        return ShapeError(_in_our_words(text, failure), **facts)
    _settle_origins(fault)
    if failure is not None and failure.function and line is not None:
        _name_operator(fault, failure.function, line)
    expected, actual = _numbers(fault)
    here = line.path if line is not None else str(facts["constructed"].path) if facts["constructed"] else ""
    fix = fault.facts.get("fix")
    return ShapeError(
        fault.message(here),
        code=fault.rule.code,
        expected=expected,
        actual=actual,
        fix=str(fix) if fix is not None else None,
        **facts,
    )


def _definition(module: nn.Module) -> str:
    """The layer as torch prints it; of a module with parts, its class."""
    return repr(module) if not module._modules else f"{type(module).__name__}(...)"


def _in_our_words(text: str, failure: Failure | None) -> str:
    if failure is None:
        return text
    what = failure.function or failure.path or "the model"
    return f"{what} cannot take {render_shapes(failure.inputs)}: {text}"


def _settle_origins(fault: Said) -> None:
    """An origin whose line cannot be found is only named."""
    for name, fact in fault.facts.items():
        if isinstance(fact, Origin) and fact.place is not None and fact.place.line == 0:
            fault.facts[name] = Origin(fact.label, None, fact.step)


#: Facts of rules that are what was needed and what was given.
PAIRS = (("takes", "given"), ("a", "b"), ("target", "given"), ("left", "right"), ("size", "kernel"))


def _numbers(fault: Said) -> tuple[object, object]:
    facts = fault.facts
    for expected, actual in PAIRS:
        if facts.get(expected) is not None and facts.get(actual) is not None:
            return facts[expected], facts[actual]
    return None, None


# operators --------------------------------------------------------------------------------------------------

_METHODS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.MatMult: "matmul", ast.Pow: "pow",
}  # fmt: skip
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}


def _name_operator(fault: Said, function: str, line: Line) -> None:
    """``x + y`` reaches torch as ``x.add(y)``, ``x += y`` as ``x.add_(y)``: the sign is used where it alone stands in
    the line."""
    signs = _signs_in(line.file, line.number)
    names = {_METHODS[sign] for sign in signs}
    plain = function.rstrip("_")
    called = re.search(rf"\b{plain}_?\(", line.text)
    if plain in names and not called:
        name = next(_SIGNS[sign] for sign in signs if _METHODS[sign] == plain)
        fault.facts["layer"] = f"{name}=" if function.endswith("_") else name
        if fault.rule is catalogue.in_place_sizes:
            fault.facts["fix"] = f"{name} instead of {name}= makes a new tensor"


@functools.lru_cache(500)
def _signs_in(file: str, number: int) -> tuple[type[ast.operator], ...]:
    """The operators on a line."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ()
    operations = (node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.AugAssign)))
    here = (type(o.op) for o in operations if o.lineno <= number <= (o.end_lineno or o.lineno))
    return tuple(sign for sign in here if sign in _METHODS)
