"""Sizes of the batches of a loader: as many as were asked for, but for the last, and what counts them."""

from __future__ import annotations

from conv_lint.dims import Dim, Expr, Symbol, substitute, symbols


def batch_size(batch: int | None, last: int | None = None) -> Expr:
    """The size of the batches of a loader that was asked for ``batch``: the first has as many, the last ``last``."""
    symbol = Symbol("B", 1 if batch is None else min(batch, 2), given=True)
    symbol.batch, symbol.last = batch, last
    return Expr((((symbol,), 1),))


def of_whole_batch(dim: Dim) -> Dim:
    """A size where the batch is a whole one."""
    return substitute(dim, {symbol: symbol.batch for symbol in symbols(dim) if symbol.batch is not None})


def count() -> Expr:
    """The number of a batch of a loader, from 0."""
    symbol = Symbol("?", 0)
    symbol.is_count = True
    return Expr((((symbol,), 1),))
