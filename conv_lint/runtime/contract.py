"""The shapes that a function declares: what the linter reads at a ``def``, read from a live function.

First the source, so that a message has the words that stand there; where it says nothing, the annotation objects
(an alias for a jaxtyping class, or a function whose source is not at hand).
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch

from conv_lint import catalogue
from conv_lint.inputs import Declared, Malformed, from_annotation, from_comment
from conv_lint.runtime.places import Line


@dataclass
class Contract:
    """What a function declares.

    ``label``: the function in messages, ``Net.forward``.  ``names``: its parameters that may be given by position.
    ``parameters``, ``result``: the declared shapes.  ``result_line``: where the latter stands.  ``malformed``: what is
    to be said of annotations that cannot be read.
    """

    label: str
    names: tuple[str, ...]
    parameters: dict[str, Declared] = field(default_factory=dict)
    result: Declared | None = None
    result_line: Line | None = None
    malformed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.parameters) or self.result is not None


def read(function: Callable[..., Any], label: str) -> Contract:
    """The contract of a function or method; an empty one if it declares nothing or is not written in Python."""
    inner = inspect.unwrap(function)
    if not isinstance(inner, FunctionType):
        return Contract(label, ())
    code = inner.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    contract = Contract(label, names[: code.co_argcount])
    node, text = _definition(code.co_filename, code.co_firstlineno, code.co_name), _text(code.co_filename)
    for name in (*names, "return"):
        written = _written(node, name, text) if node is not None else None
        try:
            said = (from_annotation(written) if written else None) or from_annotation(_of_object(inner, name))
        except Malformed as error:
            _malformed(contract, name, written or _of_object(inner, name), error)
            continue
        if said is not None and name == "return":
            contract.result = said
        elif said is not None:
            contract.parameters[name] = said
    if node is not None:
        if node.returns is not None:
            contract.result_line = Line(code.co_filename, node.returns.lineno)
        for name, comment in _comments(node, text.splitlines(keepends=True)):
            _take_comment(contract, names, name, comment)
    contract.parameters = {name: contract.parameters[name] for name in names if name in contract.parameters}
    return contract


def _take_comment(contract: Contract, names: tuple[str, ...], name: str, comment: str) -> None:
    try:
        parsed = from_comment(comment)
    except Malformed as error:
        _malformed(contract, name, comment.lstrip("# "), error)
        return
    if parsed is not None:
        target = parsed[0] if parsed[0] is not None else name
        if target in names:
            contract.parameters.setdefault(target, parsed[1])


def _malformed(contract: Contract, name: str, text: str, error: Malformed) -> None:
    report = catalogue.malformed_annotation(text=text, name=name, problem=str(error))
    said = f"{report.rule.code} {contract.label}: {report.message()}"
    if said not in contract.malformed:
        contract.malformed.append(said)


# the source -------------------------------------------------------------------------------------------------

_Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _text(file: str) -> str:
    return "".join(linecache.getlines(file))


@functools.lru_cache(100)
def _definitions(text: str) -> dict[tuple[int, str], _Definition]:
    """The functions of a file by their first line, which is that of the first decorator, and name."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = (node for node in ast.walk(tree) if isinstance(node, _Definition))
    return {(_first_line(node), node.name): node for node in found}


def _first_line(node: _Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _definition(file: str, line: int, name: str) -> _Definition | None:
    linecache.checkcache(file)
    return _definitions(_text(file)).get((line, name))


def _arguments(node: _Definition) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _written(node: _Definition, name: str, text: str) -> str | None:
    """An annotation as it stands in the source; only what may be a shape is looked up."""
    annotation = node.returns
    if name != "return":
        annotation = next((a.annotation for a in _arguments(node) if a.arg == name), None)
    if not isinstance(annotation, (ast.Subscript, ast.Constant)):
        return None
    return ast.get_source_segment(text, annotation)


def _comments(node: _Definition, lines: list[str]) -> Iterator[tuple[str, str]]:
    """The comments at a ``def``, each with the parameter that it speaks of if it names none.

    That is the one on its line; on the line of the ``def`` or above it the first one behind ``self``.
    """
    arguments = _arguments(node)
    first = next((a.arg for a in arguments if a.arg not in ("self", "cls")), None)
    if first is None:
        return
    ends = _ends(node)
    header = None
    for row, comment, is_header in _comments_in_header(node, lines):
        if is_header:
            header = comment
        elif row in ends:
            yield ends[row], comment
    yield from ((first, comment) for comment in _comments_above(node, lines))
    if header is not None:
        yield first, header


def _ends(node: _Definition) -> dict[int, str]:
    """The last parameter that ends on a line."""
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    ends = [(a.end_lineno or 0, a.arg) for a in plain[: len(plain) - len(arguments.defaults)]]
    with_default = zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults)
    ends += [(default.end_lineno or 0, a.arg) for a, default in with_default]
    if arguments.vararg is not None:
        ends.append((arguments.vararg.end_lineno or 0, arguments.vararg.arg))
    for a, given in zip(arguments.kwonlyargs, arguments.kw_defaults):
        ends.append(((given or a).end_lineno or 0, a.arg))
    if arguments.kwarg is not None:
        ends.append((arguments.kwarg.end_lineno or 0, arguments.kwarg.arg))
    return dict(ends)


def _comments_in_header(node: _Definition, lines: list[str]) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it stands behind the colon that opens the body."""
    rest = iter(lines[node.lineno - 1 :])
    depth, behind_colon = 0, False
    try:
        for token in tokenize.generate_tokens(lambda: next(rest, "")):
            if token.type == tokenize.COMMENT:
                yield node.lineno - 1 + token.start[0], token.string, behind_colon
            if behind_colon:
                return
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                behind_colon = token.string == ":" and depth == 0
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return


def _comments_above(node: _Definition, lines: list[str]) -> list[str]:
    """The comments between the statement above and the first decorator or the ``def``, in order."""
    found: list[str] = []
    for line in reversed(lines[: _first_line(node) - 1]):
        text = line.strip()
        if text and not text.startswith("#"):
            break
        if text and len(line) - len(line.lstrip()) == node.col_offset:
            found.append(text)
    return found[::-1]


# annotation objects -----------------------------------------------------------------------------------------


def _of_object(function: FunctionType, name: str) -> str:
    """The annotation of a live function as the text that the grammar reads; empty if it declares no shape.

    A text is not evaluated; but if it is a plain name, what that stands for is looked up.
    """
    said = getattr(function, "__annotations__", {}).get(name)
    if isinstance(said, str) and said.isidentifier():
        said = function.__globals__.get(said)
    if isinstance(said, str):
        return said
    dims, array = getattr(said, "dim_str", None), getattr(said, "array_type", None)
    if isinstance(dims, str):
        return f'{getattr(said, "__name__", "").partition("[")[0]}[Tensor, "{dims}"]' if _is_tensor(array) else ""
    metadata = getattr(said, "__metadata__", None)
    if isinstance(metadata, tuple) and _is_tensor(getattr(said, "__origin__", None)):
        shapes = [repr(item) for item in metadata if isinstance(item, (str, tuple, list))]
        return f"Annotated[Tensor, {', '.join(shapes)}]" if shapes else ""
    return ""


def _is_tensor(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, torch.Tensor)
