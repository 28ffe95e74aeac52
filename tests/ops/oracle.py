"""torch as the oracle of the op rules: the same call on real tensors and on shapes, compared.

``check(name, *args, **kwargs)`` takes a :class:`~conv_lint.values.Shape` for each tensor, runs torch on small CPU
tensors of those shapes and the rule on the shapes themselves, and asserts that

- where torch raises, the rule reports something or admits that it cannot tell (``missed`` says which is allowed);
- where torch returns, the rule reports nothing (the notes on sizes that are not whole aside) and has the same shapes;
- with every size replaced by a symbol, the rule says the same shape once the symbols are given their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from conv_lint import dims, ops
from conv_lint.ops.rule import Plain, evaluate, evaluate_layer
from conv_lint.runtime.table import resolve as resolve
from conv_lint.values import Rest, Shape

NOTES = ("CONV301", "CONV302")
UNKNOWN = object()


def real(value: Any, dtype: torch.dtype | None = None) -> Any:
    """Shapes to tensors, inside tuples and lists too.  A ``Shape`` with dtype "int" or "bool" becomes such a tensor."""
    if isinstance(value, Shape):
        if value.dtype == "int":
            return torch.zeros(tuple(value), dtype=torch.long)
        if value.dtype == "bool":
            return torch.zeros(tuple(value), dtype=torch.bool)
        return torch.zeros(tuple(value))
    if isinstance(value, (list, tuple)):
        return type(value)(real(v) for v in value)
    return value


def shapes_of(value: Any) -> Any:
    """What torch returned, as plain tuples of sizes."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return [shapes_of(v) for v in value]
    return value


def plain(result: Any) -> Any:
    """What a rule returned, in the same form."""
    if isinstance(result, Plain):
        return result.value
    if isinstance(result, (list, tuple)):
        if isinstance(result, Shape) or all(isinstance(v, (int, dims.Expr, Rest)) for v in result):
            return tuple(tuple.__iter__(result)) if isinstance(result, tuple) else result
        return [plain(v) for v in result]
    return result


def torch_says(call: Any) -> tuple[Any, BaseException | None]:
    """The shapes of the result, or the exception."""
    try:
        with torch.no_grad():
            return shapes_of(call()), None
    except Exception as error:
        return None, error


def check(name: str, *args: Any, missed: bool = False, unknown: bool = False, **kwargs: Any) -> Any:
    """Compare one function or method (see the module's docstring).

    ``missed``: torch may refuse without a report.  ``unknown``: the rule may not know the result.
    """
    function = resolve(name)
    want, error = torch_says(lambda: function(*real(args), **{k: real(v) for k, v in kwargs.items()}))
    result, reports = evaluate(name, *args, **kwargs)
    where = f"{name}(*{args}, **{kwargs})"
    compare(where, want, error, result, reports, missed, unknown)
    if error is None:
        symbolic = {}
        result, reports = evaluate(
            name, *symbols_for(args, symbolic), **{k: symbols_for(v, symbolic) for k, v in kwargs.items()}
        )
        check_symbolic(where, want, result, reports, symbolic)
    return want


def check_layer(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *inputs: Any,
    missed: bool = False,
    unknown: bool = False,
    training: bool = False,
) -> Any:
    """Compare one layer of torch.nn, constructed and called once."""

    def call() -> Any:
        layer = resolve(name)(*args, **kwargs)
        layer.train(training)
        return layer(*real(inputs))

    want, error = torch_says(call)
    result, reports = evaluate_layer(name, args, kwargs, *inputs, training=training)
    where = f"{name}(*{args}, **{kwargs})(*{inputs})"
    compare(where, want, error, result, reports, missed, unknown)
    if error is None:
        symbolic: dict[Any, int] = {}
        result, reports = evaluate_layer(name, args, kwargs, *symbols_for(inputs, symbolic), training=training)
        check_symbolic(where, want, result, reports, symbolic)
    return want


def compare(where: str, want: Any, error: Any, result: Any, reports: Any, missed: bool, unknown: bool) -> None:
    said = [f"{r.rule.code} {r.message()}" for r in reports if r.rule.code not in NOTES]
    if error is not None:
        assert said or missed, f"missed alarm: {where}: torch: {str(error)[:300]}"
        return
    assert not said, f"false alarm: {where}: torch gives {want}, we say {said}"
    if result is None and unknown:
        return
    assert plain(result) == want or (unknown and vague(plain(result), want)), (
        f"{where}: torch gives {want}, we give {plain(result)}"
    )


def vague(ours: Any, want: Any) -> bool:
    """Do the two agree wherever ours is known?"""
    if isinstance(ours, dims.Expr):
        return True
    if isinstance(ours, (list, tuple)) and isinstance(want, (list, tuple)):
        if any(isinstance(d, Rest) for d in ours):
            return True
        return len(ours) == len(want) and all(vague(a, b) for a, b in zip(ours, want))
    return bool(ours == want)


def symbols_for(value: Any, symbolic: dict[Any, int]) -> Any:
    """The same shapes with a symbol in place of each size (one symbol for each distinct size above 1)."""
    if isinstance(value, Shape):
        names = {size: s for s, size in symbolic.items()}
        out = []
        for size in value:
            if size > 1 and size not in names:
                expr = dims.symbol(f"s{size}")
                (names[size],) = expr.symbols
                symbolic[names[size]] = size
            out.append(dims.Expr((((names[size],), 1),)) if size > 1 else size)
        return Shape(out, value.step, value.dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(symbols_for(v, symbolic) for v in value)
    return value


def check_symbolic(where: str, want: Any, result: Any, reports: Any, symbolic: Mapping[Any, int]) -> None:
    said = [f"{r.rule.code} {r.message()}" for r in reports if r.rule.code not in NOTES]
    assert not said, f"false alarm on symbols: {where}: {said}"

    def given(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(given(v) for v in value)
        return dims.substitute(value, symbolic) if isinstance(value, dims.Expr) else value

    ours = given(plain(result)) if result is not None else None
    assert ours is None or vague(ours, want), f"{where}: torch gives {want}, symbols give {ours}"


__all__ = ["check", "check_layer", "ops"]
