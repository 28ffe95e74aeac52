"""Reductions: one or more dimensions become a single number, or a few; and the questions about a shape itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conv_lint import catalogue, dims
from conv_lint.dims import Dim
from conv_lint.ops.elementwise import both_origins, broadcast, shown
from conv_lint.ops.rule import Op, Plain
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.ops.unary import kind_of_dtype
from conv_lint.values import CannotTell, Rest, Shape, Unknown

# dropping dimensions ----------------------------------------------------------------------------------------


def reduced(op: Op, input: Shape, dim: object, keepdim: object, argument: str = "dim") -> Shape:
    """The shape without the dimensions of ``dim``, or with 1 in their place; all of them if it is ``None`` or empty.

    A dimension that does not exist is CONV408.
    """
    keep = _flag(keepdim)
    if isinstance(dim, Unknown):
        raise CannotTell(dim.reason)
    if dim is None or dim == () or dim == []:
        return Shape((1,) * len(input) if keep else (), input.step)
    if input.rest is not None and (last := _last_of_maps(dim)) is not None:
        input = op.require_rank(input, last + 2, last + 1)
    if input.rest is not None and not _in_known_part(input, dim):
        return _of_unknown_rank(input, dim, keep)
    axes = op.axes(input, dim, argument)
    once = catalogue.argument_range(argument=argument, value=dim, allowed="dimensions that are all different")
    op.require(len(set(axes)) == len(axes), once, argument)
    sizes = tuple(tuple.__iter__(input))
    places = range(-len(sizes), 0) if input.rest is not None else range(len(sizes))
    return Shape([1 if i in axes else sizes[i] for i in places if keep or i not in axes], input.step)


def _of_unknown_rank(input: Shape, dim: object, keep: bool) -> Shape:
    """Only what is certain: a dimension counted from the right that is kept is 1."""
    values = dim if isinstance(dim, (tuple, list)) else (dim,)
    kept: list[Dim] = []
    if keep and all(isinstance(v, int) and v < 0 for v in values):
        while -len(kept) - 1 in values:
            kept.insert(0, 1)
    return Shape((Rest(input.rest.reason if input.rest else ""), *kept), input.step)  # type: ignore[arg-type]


def _last_of_maps(dim: object) -> int | None:
    """The last dimension of ``x.mean((2, 3))``: whoever reduces these has maps of so many dimensions."""
    values = dim if isinstance(dim, (tuple, list)) else ()
    if not all(isinstance(v, int) and v >= 0 for v in values) or not {2, 3} <= set(values):
        return None
    return max(values) if set(range(2, max(values) + 1)) <= set(values) else None


def _in_known_part(input: Shape, dim: object) -> bool:
    values = dim if isinstance(dim, (tuple, list)) else (dim,)
    return all(isinstance(v, int) and -len(input.known) <= v < 0 for v in values)


def _flag(keepdim: object) -> bool:
    if isinstance(keepdim, Unknown):
        raise CannotTell(keepdim.reason)
    return bool(keepdim)


def _pair(values: Shape, input: Shape) -> tuple[Shape, Shape]:
    """Values and their indices."""
    sizes = tuple(tuple.__iter__(values))
    return Shape(sizes, input.step, input.dtype), Shape(sizes, input.step, "int")


def _rows(names: str, signature: str, packages: str = "torch.") -> Iterable[str]:
    """Rows for the function of a package and for the method."""
    for name in names.split():
        yield f"{packages}{name}{signature[:-1]}{', *' if '*' not in signature else ''}, out=None)"
        yield f"Tensor.{name}{signature}"


# one result -------------------------------------------------------------------------------------------------


@shape_rule(*_rows("mean nanmean", "(input, dim=None, keepdim=False, *, dtype=None)"))
def mean(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of floats."""
    op.dtype = "float"
    return reduced(op, input, dim, keepdim)


@shape_rule(
    *_rows("sum nansum", "(input, dim=None, keepdim=False, *, dtype=None)"),
    *_rows("prod", "(input, dim=None, keepdim=False, *, dtype=None)"),
)
def total(op: Op, input: Shape, dim: Arg, keepdim: Arg, dtype: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``; sums of truth values are whole numbers."""
    op.dtype = kind_of_dtype(dtype) or ("int" if input.dtype == "bool" else input.dtype)
    return reduced(op, input, dim, keepdim)


@shape_rule(*_rows("amax amin", "(input, dim=(), keepdim=False)"))
def extreme(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``."""
    op.dtype = input.dtype
    return reduced(op, input, dim, keepdim)


@shape_rule(*_rows("argmax argmin", "(input, dim=None, keepdim=False)"))
def argument_of_extreme(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without ``dim``, of indices."""
    op.dtype = "int"
    return reduced(op, input, dim, keepdim)


@shape_rule(*_rows("all any", "(input, dim=None, keepdim=False)"))
def truth(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of truth values; an empty ``dim`` means none of them."""
    op.dtype = "bool"
    if dim in ((), []):
        return input  # here torch takes an empty tuple at its word
    return reduced(op, input, dim, keepdim)


@shape_rule(*_rows("count_nonzero", "(input, dim=None)"))
def count_nonzero(op: Op, input: Shape, dim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of whole numbers."""
    op.dtype = "int"
    return reduced(op, input, dim, False)


@shape_rule(
    *_rows("logsumexp", "(input, dim, keepdim=False)"),
    "torch.special.logsumexp(input, dim, keepdim=False, *, out=None)",
)
def logsumexp(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of floats."""
    op.dtype = "float"
    return reduced(op, input, dim, keepdim)


# spread -----------------------------------------------------------------------------------------------------

STD = "(input, dim=None, unbiased=True, keepdim=False, *, correction=None)"


def _spread_arguments(dim: object, keepdim: object) -> tuple[object, object]:
    """``std(input, unbiased)`` has a truth value where the dimension stands otherwise."""
    return (None, False) if isinstance(dim, bool) else (dim, keepdim)


@shape_rule(*_rows("std var", STD))
def spread(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of floats."""
    op.dtype = "float"
    return reduced(op, input, *_spread_arguments(dim, keepdim))


@shape_rule(*(f"torch.{name}{STD}" for name in ("std_mean", "var_mean")))
def spread_and_mean(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, twice."""
    op.dtype = "float"
    out = reduced(op, input, *_spread_arguments(dim, keepdim))
    return (out, out)


# norms ------------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.norm(input, p='fro', dim=None, keepdim=False, out=None, dtype=None)",
    "Tensor.norm(input, p='fro', dim=None, keepdim=False, dtype=None)",
)
def norm(op: Op, input: Shape, p: Arg, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of floats; the default norm takes two of them at most."""
    op.dtype = "float"
    if p == "fro" and isinstance(dim, (tuple, list)) and len(dim) > 2:
        op.fail(catalogue.argument_range(argument="dim", value=list(dim), allowed="one or two dimensions"), "dim")
    return reduced(op, input, dim, keepdim)


@shape_rule(
    "torch.linalg.norm(input, ord=None, dim=None, keepdim=False, *, out=None, dtype=None)",
)
def linalg_norm(op: Op, input: Shape, ord: Arg, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``; an order without dimensions wants a vector or a matrix."""
    op.dtype = "float"
    if dim is None and ord is not None and not isinstance(ord, Unknown):
        return reduced(op, op.require_rank(input, 1, 2), dim, keepdim)
    return reduced(op, input, dim, keepdim)


@shape_rule("torch.linalg.vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None)")
def vector_norm(op: Op, x: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without the dimensions of ``dim``, of floats."""
    op.dtype = "float"
    return reduced(op, x, dim, keepdim)


@shape_rule("torch.linalg.matrix_norm(A, ord='fro', dim=(-2, -1), keepdim=False, *, dtype=None, out=None)")
def matrix_norm(op: Op, A: Shape, dim: Arg, keepdim: Arg) -> Result:  # noqa: N803
    """(\\*) without two dimensions, of floats."""
    op.dtype = "float"
    return reduced(op, op.require_rank_from(A, 2), dim, keepdim)


@shape_rule("torch.dist(input, other, p=2)", "Tensor.dist(input, other, p=2)")
def dist(op: Op, input: Shape, other: Shape) -> Result:
    """Two shapes that broadcast together -> ()."""
    op.dtype = "float"
    broadcast(op, input, other)
    return ()


@shape_rule("torch.cdist(x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary')")
def cdist(op: Op, x1: Shape, x2: Shape) -> Result:
    """(\\*, P, M), (\\*, R, M) -> (\\*, P, R); the leading sizes are broadcast together (torch.cdist)."""
    op.dtype = "float"
    x1, x2 = op.require_rank_from(x1, 2), op.require_rank_from(x2, 2)
    if op.equate(x1[-1], x2[-1]) is False:
        facts = {"left": shown(x1), "right": shown(x2), "a": x1[-1], "b": x2[-1]}
        op.fail(catalogue.matmul_sizes(**facts, source=both_origins(op, (x1, -1), (x2, -1))), "x2")
    leading = broadcast(op, Shape(x1[:-2], x1.step), Shape(x2[:-2], x2.step))
    return (*tuple.__iter__(leading), x1[-2], x2[-2])


# values and indices -----------------------------------------------------------------------------------------


@shape_rule(
    "torch.max(input, dim=None, keepdim=False, *, other=None, out=None)",
    "torch.min(input, dim=None, keepdim=False, *, other=None, out=None)",
    "Tensor.max(input, dim=None, keepdim=False, *, other=None)",
    "Tensor.min(input, dim=None, keepdim=False, *, other=None)",
)
def max_min(op: Op, input: Shape, dim: Arg, keepdim: Arg, other: Arg) -> Result:
    """(\\*) -> (); with ``dim`` values and indices; with another tensor what the two broadcast to."""
    second = dim if isinstance(dim, Shape) else other
    if second is not None:
        op.dtype = input.dtype
        return broadcast(op, input, second)
    return _valued(op, input, dim, keepdim)


@shape_rule(*_rows("median nanmedian", "(input, dim=None, keepdim=False)"))
def median(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) -> (); with ``dim`` values and indices."""
    return _valued(op, input, dim, keepdim)


def _valued(op: Op, input: Shape, dim: object, keepdim: object) -> Result:
    if dim is None:
        op.dtype = input.dtype
        return ()
    return _pair(reduced(op, input, dim, keepdim), input)


@shape_rule(*_rows("mode", "(input, dim=-1, keepdim=False)"))
def mode(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without ``dim``: values and indices."""
    return _pair(reduced(op, input, dim, keepdim), input)


@shape_rule(*_rows("topk", "(input, k, dim=-1, largest=True, sorted=True)"))
def topk(op: Op, input: Shape, k: Arg, dim: Arg) -> Result:
    """(\\*, n, \\*) -> (\\*, k, \\*): values and indices (torch.topk)."""
    axis, count = op.axis(input, dim), op.dim(k)
    if input.rest is None and len(input) == 0:
        _require_within(op, count, 1, least=0)
        return _pair(input, input)
    _require_within(op, count, input[axis], least=0)
    return _pair(input.replaced(axis, count), input)


@shape_rule(*_rows("kthvalue", "(input, k, dim=-1, keepdim=False)"))
def kthvalue(op: Op, input: Shape, k: Arg, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without ``dim``: values and indices."""
    out = reduced(op, input, dim, keepdim)
    axis = op.axis(input, dim)
    size = input[axis] if input.rest is not None or len(input) else 1
    _require_within(op, op.dim(k), size, least=1)
    return _pair(out, input)


def _require_within(op: Op, k: Dim, size: Dim, least: int) -> None:
    allowed = f"from {least} to the size {dims.render(size)} of the dimension"
    report = catalogue.argument_range(argument="k", value=k, allowed=allowed)
    op.require(dims.every((dims.le(least, k), dims.le(k, size))), report, "k")


@shape_rule(
    "torch.aminmax(input, *, dim=None, keepdim=False, out=None)", "Tensor.aminmax(input, *, dim=None, keepdim=False)"
)
def aminmax(op: Op, input: Shape, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without ``dim``, twice: the least and the greatest."""
    op.dtype = input.dtype
    out = reduced(op, input, dim, keepdim)
    return (out, out)


@shape_rule(*_rows("quantile nanquantile", "(input, q, dim=None, keepdim=False, *, interpolation='linear')"))
def quantile(op: Op, input: Shape, q: Arg, dim: Arg, keepdim: Arg) -> Result:
    """(\\*) without ``dim``; several quantiles come first (torch.quantile)."""
    op.dtype = "float"
    if isinstance(q, Unknown):
        raise CannotTell(q.reason)
    out = reduced(op, input, dim, keepdim)
    if not isinstance(q, Shape):
        return out
    q = op.require_rank(q, 0, 1)
    return (*tuple(q), *tuple.__iter__(out)) if out.rest is None else _unknown_rank(out)


def _unknown_rank(out: Shape) -> Shape:
    assert out.rest is not None
    return Shape((Rest(out.rest.reason), *out.known), out.step)  # type: ignore[arg-type]


# others -----------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)",
    "Tensor.unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)",
    "torch.unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)",
    "Tensor.unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)",
)
def unique(op: Op, input: Shape, return_inverse: Arg, return_counts: Arg, dim: Arg) -> Result:
    """The different elements, or the different slices along ``dim``; as many as the values tell (torch.unique)."""
    if isinstance(return_inverse, Unknown) or isinstance(return_counts, Unknown) or isinstance(dim, Unknown):
        raise CannotTell("which of the results are asked for")
    axis = op.axis(input, dim) if dim is not None else None
    many = op.counted()
    found: list[Any] = [(many,) if axis is None else tuple.__iter__(input.replaced(axis, many))]
    if return_inverse:
        found.append(tuple.__iter__(input) if axis is None else (input[axis],))
    if return_counts:
        found.append((many,))
    results = [Shape(sizes, None, kind) for sizes, kind in zip(found, (input.dtype, "int", "int"))]
    return results[0] if len(results) == 1 else tuple(results)


@shape_rule(*(f"{s}bincount(input, weights=None, minlength=0)" for s in ("torch.", "Tensor.")))
def bincount(op: Op, input: Shape, weights: Arg) -> Result:
    """(n,) -> as many counts as the greatest value asks for."""
    op.require_rank(input, 1)
    op.dtype = "int" if weights is None else "float"
    return (op.unknown(0),)


@shape_rule(*(f"{s}histc(input, bins=100, min=0, max=0)" for s in ("torch.", "Tensor.")))
def histc(op: Op, input: Shape, bins: Arg) -> Result:
    """(\\*) -> (bins,)."""
    return (op.require_least("bins", bins),)


@shape_rule("torch.trace(input)", "Tensor.trace(input)")
def trace(op: Op, input: Shape) -> Result:
    """(n, m) -> ()."""
    op.require_rank(input, 2)
    op.dtype = "int" if input.dtype == "bool" else input.dtype
    return ()


# the shape itself -------------------------------------------------------------------------------------------


@shape_rule("Tensor.size(input, dim=None)")
def size(op: Op, input: Shape, dim: Arg) -> Result:
    """The sizes as a tuple, or one of them."""
    if dim is None:
        len(input)
        return Plain(tuple(input))
    return Plain(input[op.axis(op.require_rank_from(input, 1), dim)])


@shape_rule("torch.is_floating_point(input)", "Tensor.is_floating_point(input)")
def is_floating_point(op: Op, input: Shape) -> Result:
    """Are they numbers with a point?  Complex numbers, which are none, are not told apart from them."""
    if input.dtype not in ("int", "bool"):
        raise CannotTell("the dtype of a tensor")
    return Plain(False)


@shape_rule("Tensor.dim(input)", "Tensor.ndimension(input)")
def dim_(op: Op, input: Shape) -> Result:
    """The number of dimensions."""
    return Plain(len(input))


@shape_rule("torch.numel(input)", "Tensor.numel(input)", "Tensor.nelement(input)")
def numel(op: Op, input: Shape) -> Result:
    """The number of elements."""
    return Plain(dims.product(input[i] for i in range(len(input))))
