"""Operators under the names that a reader writes."""

from __future__ import annotations

_OPERATORS = {
    "add": "+", "radd": "+", "sub": "-", "rsub": "-", "mul": "*", "rmul": "*", "truediv": "/", "rtruediv": "/",
    "floordiv": "//", "mod": "%", "pow": "**", "rpow": "**", "matmul": "@", "rmatmul": "@", "and": "&", "or": "|",
    "xor": "^", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "getitem": "indexing",
    "setitem": "assignment to a part", "neg": "-", "invert": "~",
}  # fmt: skip


#: ``+=`` and its like, by the names of their methods.
_AUGMENTED = {
    f"i{name}": f"{sign}="
    for name, sign in _OPERATORS.items()
    if name in "add sub mul truediv floordiv mod pow matmul and or xor".split()
}


def operator_name(name: str) -> str:
    """How a reader knows a method: ``indexing`` for ``__getitem__``, any other name as it is."""
    plain = name.strip("_")
    return _OPERATORS.get(plain) or _AUGMENTED.get(plain, name) if name.startswith("__") else name


def without_in_place(label: str) -> str | None:
    """``+`` for ``+=``, ``add`` for ``add_``; ``None`` for what makes a new tensor."""
    if label in _AUGMENTED.values():
        return label[:-1]
    return label[:-1] if label.endswith("_") and not label.endswith("__") else None
