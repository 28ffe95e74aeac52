"""bytes -> text, and the question that keeps the linter cheap: is the file worth reading at all?"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings

#: A larger file is not read: nobody writes one by hand.
MAX_BYTES = 4_000_000
#: Code nested deeper is not read: libcst's time grows with the square of the depth, and its stack overflows at last.
MAX_DEPTH = 1_000
#: An expression of so many characters of one line is not looked into for its depth.
SHORT = 200
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TORCH = re.compile(r"^[^#\n]*\b(?:torch|einops)\b", re.MULTILINE)


def decode(data: bytes) -> str | None:
    """The text of a Python file by its BOM or coding line (PEP 263), or ``None`` if it cannot be decoded."""
    if len(data) > MAX_BYTES:
        return None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None
    return text.removeprefix("\ufeff")


def read(path: str) -> str | None:
    """The text of a file, or ``None`` if it cannot be read as Python source."""
    try:
        with open(path, "rb") as file:
            return decode(file.read(MAX_BYTES + 1))
    except OSError:
        return None


def worth_reading(text: str) -> bool:
    """Does the file mention torch outside a comment?  A file that does not is never parsed."""
    return len(text) <= MAX_BYTES and "torch" in text and _TORCH.search(text) is not None


def parse(text: str) -> ast.Module | None:
    """Python's own tree of the text, or ``None`` if it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def can_parse(text: str) -> bool:
    """Is the text Python, and not nested too deeply for libcst?"""
    module = parse(text)
    return module is not None and not is_deep(module)


def is_deep(node: ast.AST) -> bool:
    """Is a tree nested too deeply for libcst?"""
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node) if not _is_short(child)]
        if not level:
            return False
    return True


def _is_short(node: ast.AST) -> bool:
    """Few characters cannot be nested deeply; most expressions need not be looked into."""
    return (
        isinstance(node, (ast.expr, ast.expr_context))
        and getattr(node, "end_lineno", 0) == getattr(node, "lineno", 0)
        and getattr(node, "end_col_offset", 0) - getattr(node, "col_offset", 0) < SHORT
    )


def split_lines(text: str) -> list[str]:
    """The lines as Python counts them, with their ends; ``str.splitlines`` also splits at form feeds and the like."""
    return _LINE.findall(text)
