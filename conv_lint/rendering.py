"""Sizes and shapes as a person would write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv_lint.dims import Dim, Expr, Symbol


#: No one reads an expression of more characters.
LONGEST = 80


def render(dim: Dim, called: str = "") -> str:
    """As a person would write it: ``64``, ``H``, ``(H + 1)//2``; what is unknown or too long is ``?``.

    ``called``: a name for the one number in it that has none.
    """
    if isinstance(dim, int):
        return str(dim)
    if not called and any(not s.given and not s.can_be_told for s in dim.symbols):
        return "?"
    text = _written(dim)
    if any(dim.terms == (((symbol,), 1),) and symbol.can_be_told for symbol in dim.symbols):
        text = text.removeprefix("(").removesuffix(")")  # ``24 or 32`` alone
    return "?" if len(text) > LONGEST or ("?" in text and not called) else text.replace("?", called)


def _written(dim: Expr) -> str:
    out = ""
    for monomial, factor in dim.terms:
        size = abs(factor)
        is_product = size != 1 or len(monomial) > 1
        text = "*".join(f"({a!r})" if is_product and "//" in repr(a) else repr(a) for a in monomial)
        text = str(size) if not text else text if size == 1 else f"{size}*{text}"
        out += (" - " if factor < 0 else " + ") + text if out else ("-" if factor < 0 else "") + text
        if len(out) > LONGEST:
            break
    return out


def common_unknown(dims: Iterable[object]) -> Symbol | None:
    """The one number without a name that is in several sizes, if each of them has no other such number."""
    unknown = [{s for s in dim.symbols if not s.given} for dim in dims if hasattr(dim, "symbols")]
    found = [symbols for symbols in unknown if symbols]
    shared = set().union(*found)
    return shared.pop() if len(shared) == 1 and len(found) > 1 else None


def wrapped(dim: Dim) -> str:
    """The same, in parentheses where it is more than a name or a number."""
    text = render(dim)
    return f"({text})" if " " in text or "*" in text or "//" in text else text


def render_shape(shape: Iterable[Dim]) -> str:
    """``(B, 64, H//2, W//2)``; a one-dimensional shape keeps its comma."""
    inner = [render(d) for d in shape]
    return f"({inner[0]},)" if len(inner) == 1 else f"({', '.join(inner)})"
