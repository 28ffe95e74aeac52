"""What people write about the shape of an input: the grammar of annotations and comments, as text.

``Annotated[Tensor, "B 3 224 224"]``, ``Float[Tensor, "b 3 h w"]`` (jaxtyping), ``TensorType["b", 3, 224, 224]``,
``# shape: (B, 3, 224, 224)``, ``# x: (B, C, H, W)``.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from conv_lint import dims
from conv_lint.dims import Dim


class Malformed(ValueError):
    """It is meant as a shape but cannot be read."""


@dataclass(frozen=True)
class Declared:
    """A declared shape: an int is a fixed size, a string a name or an expression of names, ``None`` any size.

    ``rest``: any number of dimensions may stand in front.
    """

    sizes: tuple[int | str | None, ...]
    rest: bool
    text: str


_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_EXPRESSION = re.compile(r"[\w\s()+*/-]+\Z")


def _size(token: str) -> int | str | None:
    token = token.strip()
    if token.isdigit():
        return int(token)
    if token in ("_", "?", "*", "-1", "None"):
        return None
    if token.startswith(("#", "?")) and _NAME.match(token[1:]):
        return None
    _name, equals, value = token.partition("=")
    if equals and value.strip().isdigit():
        return int(value)
    if _NAME.match(token):
        return token
    if _EXPRESSION.match(token) and re.search(r"\w", token):
        try:
            ast.parse(token, mode="eval")
        except SyntaxError:
            raise Malformed(f"{token!r} is no size") from None
        return token
    raise Malformed(f"{token!r} is no size")


def _sizes(tokens: list[str], text: str) -> Declared:
    rest = bool(tokens) and (tokens[0] == "..." or re.match(r"\*\w+\Z", tokens[0]) is not None)
    sizes = tuple(_size(t) for t in (tokens[1:] if rest else tokens))
    if not sizes and not rest:
        raise Malformed("it names no sizes")
    return Declared(sizes, rest, text)


# annotations ------------------------------------------------------------------------------------------------

_TENSOR = r"(?:\w+\.)*(?:Tensor|FloatTensor|Array)"
_JAXTYPING = re.compile(
    rf"(?:\w+\.)*(?:Float|Int|UInt|Bool|Num|Real|Shaped|Inexact|Complex|Integer|BFloat)\d*\[\s*{_TENSOR}\s*,\s*(.+)\]\Z",
    re.S,
)
_ANNOTATED = re.compile(rf"(?:\w+\.)*Annotated\[\s*{_TENSOR}\s*,\s*(.+)\]\Z", re.S)
_TENSORTYPE = re.compile(r"(?:\w+\.)*TensorType\[(.+)\]\Z", re.S)


def from_annotation(text: str) -> Declared | None:
    """The shape that a parameter's annotation declares, ``None`` if it declares none.

    Raises :class:`Malformed` for one that is meant as a shape but cannot be read.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    for pattern in (_JAXTYPING, _ANNOTATED):
        match = pattern.match(text)
        if match:
            return _from_literal(match[1], text, strict=pattern is _JAXTYPING)
    match = _TENSORTYPE.match(text)
    return _from_literal(f"({match[1]},)", text, strict=False) if match else None


def _from_literal(source: str, text: str, strict: bool) -> Declared | None:
    try:
        value = ast.literal_eval(source)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, str):
        if not strict and not re.search(r"\d|\b[A-Za-z]\b", value):
            return None  # Annotated[Tensor, "the image"]: words, no shape
        return _sizes(re.split(r"[,\s]+", value.strip().strip("()[]")), text)
    if isinstance(value, (tuple, list)) and all(isinstance(v, (int, str)) for v in value):
        return _sizes([str(v) for v in value], text)
    return None


# comments ---------------------------------------------------------------------------------------------------

_LABEL = re.compile(r"#\s*(?:(shape)|([A-Za-z_]\w*))\s*[:=]\s*(.*)\Z")
_BRACKETS = re.compile(r"(?:->\s*)?(?:torch\.Size)?\(?([\[(])([^()\[\]]*)[\])]\)?\s*\Z")
_CROSSES = re.compile(r"(?:->\s*)?([A-Za-z]\w*|\d+)((?:\s*[x\u00d7]\s*(?:[A-Za-z]\w*|\d+))+)\s*\Z")
_WELL_KNOWN = frozenset(
    "B N C H W D T L K b n c h w d t l k bs batch batch_size channels height width seq_len num_classes features".split()
)


def from_comment(text: str) -> tuple[str | None, Declared] | None:
    """The shape that a comment declares, and the name in front of it; ``None`` if it is no such comment.

    Raises :class:`Malformed` only for ``# shape: ...``; anything else that cannot be read is an ordinary comment.
    """
    text = re.split(r"\s+#", text.strip())[0]  # behind a second "#": noqa and the like
    label = _LABEL.match(text)
    sure = label is not None and label[1] is not None
    name = label[2] if label is not None else None
    if name in ("type", "noqa", "TODO", "FIXME", "pragma"):
        return None
    body = label[3] if label is not None else text.lstrip("#").strip()
    try:
        return name, _from_body(body, sure)
    except Malformed:
        if sure:
            raise
        return None


def _from_body(body: str, sure: bool) -> Declared:
    brackets = _BRACKETS.match(body)
    crosses = _CROSSES.match(body)
    if brackets:
        tokens = [t for t in re.split(r"\s*,\s*", brackets[2].strip()) if t]
    elif crosses:
        tokens = re.split(r"\s*[x\u00d7]\s*", body.removeprefix("->").strip())
    elif sure and "," in body and not re.search(r"[()\[\]]", body):
        tokens = re.split(r"\s*,\s*", body.strip())
    else:
        raise Malformed("write it as (B, 3, 224, 224)")
    declared = _sizes(tokens, body)
    if not sure and not _looks_like_shape(declared):
        raise Malformed("an ordinary comment")
    return declared


def _looks_like_shape(declared: Declared) -> bool:
    """At least three sizes, or two with a name that people use for sizes; plain numbers may be anything."""
    names = [s for s in declared.sizes if isinstance(s, str)]
    known = [s for s in names if s in _WELL_KNOWN or not _NAME.match(s)]
    return len(declared.sizes) >= 2 and len(known) == len(names) and (bool(names) or len(declared.sizes) >= 3)


# sizes ------------------------------------------------------------------------------------------------------


def sizes_for(declared: Declared, names: dict[str, Dim]) -> tuple[Dim, ...]:
    """The sizes of a declared shape; ``names`` holds what each name stands for and is added to."""
    return tuple(_dim(size, names) for size in declared.sizes)


def _dim(size: int | str | None, names: dict[str, Dim]) -> Dim:
    if isinstance(size, int):
        return size
    if size is None:
        return dims.unknown(1)
    if _NAME.match(size):
        return names.setdefault(size, dims.symbol(size))
    try:
        return _evaluated(ast.parse(size, mode="eval").body, names)
    except (SyntaxError, ValueError):
        return dims.unknown(1)


def _evaluated(node: ast.expr, names: dict[str, Dim]) -> Dim:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return names.setdefault(name, dims.symbol(name))
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _evaluated(left, names), _evaluated(right, names)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv() | ast.Div():
                    return a // b
    raise ValueError("not a size")
