"""The batches of a loader: all are whole ones but the last."""

from __future__ import annotations

from conv_lint import dims
from conv_lint.dims import Dim, Expr


def first_batch(dim: Dim) -> Dim:
    """A size for the first batch of a loader, which is a whole one."""
    if not isinstance(dim, Expr):
        return dim
    return dims.substitute(dim, {s: s.batch for s in dim.symbols if s.batch is not None})


def last_batch(dim: Dim) -> Dim:
    """A size for the last batch of a loader, where it is known how many samples are left for that."""
    if not isinstance(dim, Expr):
        return dim
    return dims.substitute(dim, {s: s.last for s in dim.symbols if s.last is not None})
