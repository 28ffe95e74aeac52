"""What people write about the shape of an input: the grammar of annotations and comments, as text.

``Annotated[Tensor, "B 3 224 224"]``, ``Float[Tensor, "b 3 h w"]`` (jaxtyping), ``TensorType["b", 3, 224, 224]``,
``# shape: (B, 3, 224, 224)``, ``# x: (B, C, H, W)``.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from conv_lint import dims
from conv_lint.dims import Dim


class Malformed(ValueError):
    """It is meant as a shape but cannot be read."""


class _Elsewhere(Exception):
    """Any number of dimensions, but not in front: a shape that we cannot hold."""


@dataclass(frozen=True)
class Declared:
    """A declared shape: an int is a fixed size, a string a name or an expression of names, ``None`` any size.

    ``rest``: any number of dimensions may stand in front.
    """

    sizes: tuple[int | str | None, ...]
    rest: bool
    text: str


# one size ---------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.A)
_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_REST = re.compile(r"\.\.\.\Z|[#?]*\*[#?]*\w*\Z", re.A)
_FIXED = re.compile(r"([A-Za-z_]\w*)\s*=\s*([0-9]{1,18})\Z", re.A)
#: A longer text is no size that a person wrote, and may be too deep to parse.
_LONGEST = 80


def _parsed(text: str) -> ast.expr | None:
    """The expression that ``text`` is, ``None`` if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _arithmetic(text: str) -> ast.expr | None:
    """``text`` as an expression of names, whole numbers and ``+ - * // /``, ``None`` if it is another."""
    node = _parsed(text) if len(text) <= _LONGEST else None
    return node if node is not None and _is_arithmetic(node) else None


def _is_arithmetic(node: ast.expr) -> bool:
    match node:
        case ast.Name():
            return True
        case ast.Constant(value=value):
            return type(value) is int
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Div(), right=right):
            return _is_arithmetic(left) and _is_arithmetic(right)
    return False


def _size(token: str) -> int | str | None:
    """One size: ``3``, ``h``, ``h//2``, ``_``, ``#h`` (may be 1), ``?h``, ``h=224``."""
    token = token.strip()
    if _NUMBER.match(token):
        return int(token)
    if token in ("_", "?", "-1", "None"):
        return None
    if token[:1] in ("#", "?") and re.match(r"\w+\Z", token.lstrip("#?_"), re.A):
        return None
    fixed = _FIXED.match(token)
    if fixed:
        return int(fixed[2])
    if token.isidentifier() and token not in ("True", "False"):
        return token
    if not token.isidentifier() and token.isascii() and _arithmetic(token) is not None:
        return token
    raise Malformed(f"{token[:_LONGEST]!r} is no size")


def _computed(token: str) -> int | str | None:
    """A size that may also be computed, by any Python expression: ``min(h,w)``, ``{self.c}``."""
    try:
        return _size(token)
    except Malformed:
        inner = re.sub(r"\{[^{}]+\}", "x", token)
        node = _parsed(inner) if len(inner) <= _LONGEST else None
        if isinstance(node, (ast.BinOp, ast.Call, ast.Attribute, ast.Name, ast.Subscript)):
            return None
        raise


def _declared(tokens: list[str], text: str, computed: bool = False) -> Declared:
    rest = bool(tokens) and _REST.match(tokens[0]) is not None
    tokens = tokens[1:] if rest else tokens
    if any(_REST.match(t) for t in tokens):
        raise _Elsewhere
    sizes = tuple(_computed(t) if computed else _size(t) for t in tokens)
    fixed: dict[str, str] = {}
    for name, value in (m.groups() for m in map(_FIXED.match, tokens) if m):
        if fixed.setdefault(name, value) != value:
            raise Malformed(f"{name} is {fixed[name]} and {value}")
    return Declared(sizes, rest, text)


# names that people use for sizes ----------------------------------------------------------------------------

_WELL_KNOWN = frozenset(
    "B N C H W D T L K b n c h w d t l k bs batch batch_size channels height width seq_len num_classes features".split()
)
#: Sizes beside a well known one: ``(B, S, E)``, ``(N, C_in, H_out, W1)``, ``(batch, seq_len, d_model)``.
_BESIDE = re.compile(
    r"[A-Z]|[BNCHWDTLKbnchwdtlk](?:_?[0-9]+|_\w+)|[A-Z](?:in|out)|(?:num|n|in|out)_\w+|seq|time|frames|depth|hidden|embed|"
    r"\w+_(?:dim|size|len|length|channels|features|classes)|d_model",
    re.A,
)


def _usual(declared: Declared) -> bool:
    """Whether every name is one that people use for sizes, and one of them, if there are names, a well known one."""
    names: set[str] = set()
    for size in declared.sizes:
        if isinstance(size, str):
            node = _arithmetic(size)
            names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if node is not None else {""}
    beside = names - _WELL_KNOWN
    return all(_BESIDE.fullmatch(n) for n in beside) and (not names or len(beside) < len(names))


# annotations ------------------------------------------------------------------------------------------------

_JAXTYPING = re.compile(r"(?:Float|Int|UInt|Bool|Num|Real|Shaped|Inexact|Complex|Integer|BFloat)[0-9]*\Z")
_TENSORS = ("Tensor", "FloatTensor", "Array")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.rpartition(".")[2]
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def from_annotation(text: str) -> Declared | None:
    """The shape that a parameter's annotation declares, ``None`` if it declares none.

    Raises :class:`Malformed` for one that is meant as a shape but cannot be read.
    """
    text = text.strip()
    node = _parsed(text) if "[" in text else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value.strip()
        node = _parsed(text)
    if not isinstance(node, ast.Subscript):
        return None
    kind = _last_name(node.value)
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    try:
        if kind == "TensorType":
            return _torchtyping(items, text)
        if len(items) < 2 or _last_name(items[0]) not in _TENSORS:
            return None
        if kind == "Annotated":
            return next((d for d in (_annotated(item, text) for item in items[1:]) if d is not None), None)
        return _jaxtyping(items, text) if _JAXTYPING.match(kind) else None
    except _Elsewhere:
        return None


def _jaxtyping(items: list[ast.expr], text: str) -> Declared | None:
    """``Float[Tensor, "b 3 h w"]``; an empty string is a scalar."""
    match items:
        case [_, ast.Constant(value=str(value))]:
            return _declared(_words(value), text, computed=True)
    return None


def _torchtyping(items: list[ast.expr], text: str) -> Declared | None:
    """``TensorType["b", ..., 3, float]``: sizes, then perhaps a dtype and details."""
    tokens = _literals(items)
    while tokens and tokens[-1] is None and isinstance(items[len(tokens) - 1], (ast.Name, ast.Attribute)):
        tokens.pop()
    known = [t for t in tokens if t is not None]
    return _declared(known, text) if known and len(known) == len(tokens) else None


def _annotated(item: ast.expr, text: str) -> Declared | None:
    """One thing behind the type in ``Annotated``, which may be anything: only what looks like a shape is one."""
    if isinstance(item, (ast.Tuple, ast.List)):
        tokens = _literals(item.elts)
        if not tokens or None in tokens:
            return None
        return _if_usual([t for t in tokens if t is not None], text)
    if not isinstance(item, ast.Constant) or not isinstance(item.value, str):
        return None
    inner = item.value.strip()
    bracketed = re.fullmatch(r"\((.*)\)|\[(.*)\]", inner, re.S)
    words = _words(bracketed[1] or bracketed[2] or "" if bracketed else inner)
    if not re.search(r"[0-9]|\b[A-Za-z]\b|\.\.\.", inner) and (len(words) < 3 or not _WELL_KNOWN.issuperset(words)):
        return None  # "the image", "batch features": words, no shape
    return _if_usual(words, text)


def _if_usual(tokens: list[str], text: str) -> Declared | None:
    try:
        declared = _declared(tokens, text)
    except Malformed:
        if _nearly_sizes(tokens):
            raise
        return None
    return declared if _usual(declared) and (declared.sizes or declared.rest) else None


def _nearly_sizes(tokens: list[str]) -> bool:
    """Whether all but one are plainly sizes: then the other one is a slip, not prose."""
    plain = [t for t in tokens if t in _WELL_KNOWN or _NUMBER.match(t) or _FIXED.match(t)]
    return len(plain) >= max(2, len(tokens) - 1)


def _literals(items: Iterable[ast.expr]) -> list[str | None]:
    """Each size as text, ``None`` for what is no literal."""
    tokens: list[str | None] = []
    for item in items:
        match item:
            case ast.Constant(value=str(value)):
                tokens.extend(value.split() or [value])
            case ast.Constant(value=value) if value is ...:
                tokens.append("...")
            case ast.Constant(value=None):
                tokens.append("_")
            case ast.Constant(value=int(value)) if value is not True and value is not False and value < 10**18:
                tokens.append(str(value))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
                tokens.append("-1")
            case _:
                tokens.append(None)
    return tokens


def _words(text: str) -> list[str]:
    """The sizes in a string: between blanks or commas, but not inside brackets, ``min(h,w)``."""
    return [w for part in _split(text) for w in _split(part, str.isspace) if w]


# comments ---------------------------------------------------------------------------------------------------

_SHAPE = re.compile(r"shape\s*[:=]\s*", re.I)
_LABEL = re.compile(r"([A-Za-z_]\w*)\s*([:=])\s*", re.A)
_NO_LABEL = frozenset("type noqa todo fixme xxx hack note pragma fmt mypy pylint isort ruff".split())
_SIZE_CALL = re.compile(r"(?:torch\.)?Size\s*\((.*)\)\s*\Z", re.S)
_CROSS = re.compile(r"\s+[x\u00d7]\s+")
_PAIR = {"(": ")", "[": "]"}


def from_comment(text: str) -> tuple[str | None, Declared] | None:
    """The shape that a comment declares, and the name in front of it; ``None`` if it is no such comment.

    Raises :class:`Malformed` only for ``# shape: ...``; anything else that cannot be read is an ordinary comment.
    """
    text = text.strip()
    if not text.startswith("#"):
        return None
    body = re.split(r"\s#", text)[0].lstrip("#").strip()  # behind a second "#": noqa and the like
    shape = _SHAPE.match(body)
    try:
        if shape:
            declared = _sure(body[shape.end() :].rstrip(". "))
            return (None, declared) if declared is not None else None
        label = _LABEL.match(body)
        if label and label[1].lower() in _NO_LABEL:
            return None
        name = label[1] if label else None
        declared = guessed(body[label.end() :] if label else body)
        if declared is None or (label and label[2] == "=" and not any(isinstance(s, str) for s in declared.sizes)):
            return None  # x = (3, 2, 5): more likely its value
        return name, declared
    except _Elsewhere:
        return None
    except Malformed:
        if shape:
            raise
        return None


def _unwrapped(body: str) -> str:
    """Without an arrow in front and ``torch.Size(...)`` around."""
    body = body.removeprefix("->").strip()
    size = _SIZE_CALL.match(body)
    return size[1].strip() if size else body


def _sure(body: str) -> Declared | None:
    """Behind ``shape:``: a shape in brackets or bare, ``None`` if it is prose."""
    inner = _unwrapped(body)
    if inner[:1] in _PAIR:
        end = _closing(inner)
        if end is None and inner.endswith(","):
            return None  # goes on in the next line
        if end is None or inner[end + 1 :].strip()[:1] in (")", "]"):
            raise Malformed("its brackets do not match")
        if end + 1 < len(inner):
            return None  # (B, 3) or (B, 4); (B, C, H, W) -> (B, 10)
        return _declared(_bracketed(inner), body, computed=True)
    if inner[-1:] in (")", "]") and "," in inner and not re.search(r"[(\[]", inner):
        raise Malformed("its brackets do not match")
    tokens = _crossed(inner) or _split(inner)
    try:
        declared = _declared(tokens, body)
    except Malformed:
        return None
    return declared if declared.sizes and _usual(declared) else None


def guessed(body: str) -> Declared | None:
    """Without ``shape:``: only what can hardly be anything else."""
    try:
        return _guess(body)
    except _Elsewhere:
        return None


def _guess(body: str) -> Declared | None:
    inner = _unwrapped(body)
    if inner[:1] in _PAIR:
        if _closing(inner) != len(inner) - 1:
            return None
        declared = _declared(_bracketed(inner), body)
    else:
        tokens = _crossed(inner) or _bare(inner)
        # 3 x 3 x 3 and KxK are kernels; 2 x N is as likely a product.
        if len(set(tokens)) < 2 or (len(tokens) == 2 and tokens[0].isdigit()):
            return None
        declared = _declared(tokens, body)
    if len(declared.sizes) < 2 or not _usual(declared):
        return None
    return declared if "Size" in body[: body.find("(")] or not _something_else(declared.sizes) else None


def _something_else(sizes: tuple[int | str | None, ...]) -> bool:
    """Axes of permute ``(0, 2, 3, 1)``, a kernel ``(3, 3, 3)``, a pair of numbers, the state ``(h, c)`` of an LSTM."""
    if any(isinstance(s, str) for s in sizes):
        return 0 in sizes or sizes in (("h", "c"), ("c", "h"))
    numbers = [s for s in sizes if s is not None]
    axes = set(numbers) == set(range(1, len(sizes) + 1))
    return len(numbers) < 1 or len(sizes) < 3 or 0 in numbers or axes or len(set(sizes)) == 1


def _closing(text: str) -> int | None:
    """Where the bracket that opens ``text`` is closed, ``None`` if it is not or by the other kind."""
    expected: list[str] = []
    for i, letter in enumerate(text):
        if letter in _PAIR:
            expected.append(_PAIR[letter])
        elif letter in (")", "]"):
            if letter != expected.pop():
                return None
            if not expected:
                return i
    return None


def _bracketed(text: str) -> list[str]:
    inner = text[1:-1]
    return _crossed(inner) or _split(inner)


def _split(text: str, separates: Callable[[str], bool] = ",".__eq__) -> list[str]:
    """At the commas outside brackets; a last comma may follow the last size."""
    tokens, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if depth <= 0 and separates(letter):
            tokens.append("")
        else:
            tokens[-1] += letter
    tokens = [t.strip() for t in tokens]
    return tokens[:-1] if tokens[-1] == "" else tokens


_BATCH = frozenset("b n bs nb batch batch_size batchsize".split())


def _bare(text: str) -> list[str]:
    """``batch, 64, 56, 56`` and ``bs,c//2,1,1``: a name of the batch and two sizes or more; empty for anything else."""
    tokens = _split(text)
    if len(tokens) < 3 or tokens[0].lower() not in _BATCH or any(" " in t for t in tokens):
        return []
    return tokens if all(_NUMBER.match(t) or _arithmetic(t) is not None for t in tokens) else []


def _crossed(text: str) -> list[str]:
    """``B x 3 x 32 x 32``, ``BxCxHxW``, ``64x56x56``; empty if it is not written so."""
    if _CROSS.search(text):
        tokens = _CROSS.split(text.strip())
    else:
        tokens = re.split(r"[x\u00d7]", text.strip())
        if not all(_NUMBER.match(t) or t in _WELL_KNOWN or re.match(r"[A-Z]\Z", t) for t in tokens):
            return []
    plain = all(_NAME.match(t) or _NUMBER.match(t) for t in tokens)
    return tokens if len(tokens) > 1 and plain else []


# sizes ------------------------------------------------------------------------------------------------------


def sizes_for(declared: Declared, names: dict[str, Dim]) -> tuple[Dim, ...]:
    """The sizes of a declared shape; ``names`` holds what each name stands for and is added to.

    An underscored name of jaxtyping (``_h``) is not compared: any size.
    """
    return tuple(_dim(size, names) for size in declared.sizes)


def _dim(size: int | str | None, names: dict[str, Dim]) -> Dim:
    if isinstance(size, int):
        return size
    if size is None or size.startswith("_"):
        return dims.unknown(1)
    if _NAME.match(size):
        return names.setdefault(size, dims.symbol(size))
    node = _arithmetic(size)
    try:
        value = _evaluated(node, names) if node is not None else None
    except (ValueError, ZeroDivisionError):
        value = None
    # A negative number is a slip in the formula, not what is passed.
    return dims.unknown(1) if value is None or (isinstance(value, int) and value < 0) else value


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
