"""Operators under the names that a reader writes."""

from __future__ import annotations

_OPERATORS = {
    "add": "+", "radd": "+", "sub": "-", "rsub": "-", "mul": "*", "rmul": "*", "truediv": "/", "rtruediv": "/",
    "floordiv": "//", "mod": "%", "pow": "**", "rpow": "**", "matmul": "@", "rmatmul": "@", "and": "&", "or": "|",
    "xor": "^", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "getitem": "indexing",
    "setitem": "assignment to a part", "neg": "-", "invert": "~",
}  # fmt: skip


def operator_name(name: str) -> str:
    """How a reader knows a method: ``indexing`` for ``__getitem__``, any other name as it is."""
    return _OPERATORS.get(name.strip("_"), name) if name.startswith("__") else name
