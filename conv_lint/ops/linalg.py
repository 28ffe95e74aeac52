"""Linear algebra: inverses, determinants, decompositions, cross products, chains of products."""

from __future__ import annotations

from collections.abc import Iterable

from conv_lint import catalogue, dims, solving
from conv_lint.dims import Dim
from conv_lint.ops.elementwise import broadcast, shown
from conv_lint.ops.join import members
from conv_lint.ops.matmul import product, without
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Shape, Unknown

# square matrices --------------------------------------------------------------------------------------------


def _square(op: Op, matrices: Shape) -> Shape:
    matrices = op.require_rank_from(matrices, 2)
    if op.equate(matrices[-2], matrices[-1]) is False:
        facts = {"takes": "square matrices", "given": shown(matrices), "rank": len(matrices.known)}
        op.fail(catalogue.rank(**facts, source=op.origin(matrices)))
    return matrices


@shape_rule(
    "torch.inverse(input, *, out=None)",
    "Tensor.inverse(input)",
    "torch.cholesky(input, upper=False, *, out=None)",
    "Tensor.cholesky(input, upper=False)",
    "torch.matrix_exp(input)",
    "Tensor.matrix_exp(input)",
)
def of_square_matrices(op: Op, input: Shape) -> Result:
    """(\\*, n, n) to the same."""
    return _square(op, input)


@shape_rule(
    "torch.linalg.inv(A, *, out=None)",
    "torch.linalg.cholesky(A, *, upper=False, out=None)",
    "torch.linalg.matrix_exp(A)",
)
def linalg_of_square_matrices(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) to the same."""
    return _square(op, A)


@shape_rule(
    *(f"{s}{n}(input)" for s in ("torch.", "Tensor.") for n in ("det", "logdet")),
)
def determinant(op: Op, input: Shape) -> Result:
    """(\\*, n, n) -> (\\*)."""
    return without(_square(op, input), 2)


@shape_rule("torch.linalg.det(A, *, out=None)")
def linalg_determinant(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) -> (\\*)."""
    return without(_square(op, A), 2)


@shape_rule("torch.slogdet(input, *, out=None)", "Tensor.slogdet(input)")
def log_determinant(op: Op, input: Shape) -> Result:
    """(\\*, n, n) -> sign (\\*) and logarithm (\\*)."""
    out = without(_square(op, input), 2)
    return (out, out)


@shape_rule("torch.linalg.slogdet(A, *, out=None)")
def linalg_log_determinant(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) -> sign (\\*) and logarithm (\\*)."""
    return log_determinant(op, A)


@shape_rule("torch.matrix_power(input, n, *, out=None)", "Tensor.matrix_power(input, n)")
def matrix_power(op: Op, input: Shape) -> Result:
    """(\\*, n, n) to the same."""
    return _square(op, input)


@shape_rule("torch.linalg.matrix_power(A, n, *, out=None)")
def linalg_matrix_power(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) to the same."""
    return _square(op, A)


@shape_rule("torch.linalg.eigh(A, UPLO='L', *, out=None)", "torch.linalg.eig(A, *, out=None)")
def eigen(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) -> eigenvalues (\\*, n) and eigenvectors (\\*, n, n)."""
    matrices = _square(op, A)
    return (without(matrices, 1), matrices)


@shape_rule("torch.linalg.eigvalsh(A, UPLO='L', *, out=None)", "torch.linalg.eigvals(A, *, out=None)")
def eigenvalues(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, n, n) -> (\\*, n)."""
    return without(_square(op, A), 1)


# decompositions ---------------------------------------------------------------------------------------------


@shape_rule("torch.linalg.svd(A, full_matrices=True, *, driver=None, out=None)")
def linalg_svd(op: Op, A: Shape, full_matrices: Arg) -> Result:  # noqa: N803
    """(\\*, m, n) -> U (\\*, m, m), S (\\*, k), Vh (\\*, n, n); k = min(m, n), also for m and n
    in the reduced form (torch.linalg.svd)."""
    leading, (m, n) = _parts(op.require_rank_from(A, 2))
    k = solving.minimum(m, n)
    if isinstance(full_matrices, Unknown):
        raise CannotTell(full_matrices.reason)
    rows, columns = (m, n) if full_matrices else (k, k)
    return (Shape((*leading, m, rows)), Shape((*leading, k)), Shape((*leading, columns, n)))


@shape_rule(
    "torch.svd(input, some=True, compute_uv=True, *, out=None)",
    "Tensor.svd(input, some=True, compute_uv=True)",
)
def svd(op: Op, input: Shape, some: Arg, compute_uv: Arg) -> Result:
    """(\\*, m, n) -> U (\\*, m, k), S (\\*, k), V (\\*, n, k) (torch.svd)."""
    input = op.require_rank_from(input, 2)
    leading, (m, n) = _parts(input)
    k = solving.minimum(m, n)
    if isinstance(some, Unknown) or isinstance(compute_uv, Unknown):
        raise CannotTell("the form of the decomposition")
    rows, columns = (k, k) if some and compute_uv else (m, n)
    return (Shape((*leading, m, rows)), Shape((*leading, k)), Shape((*leading, n, columns)))


@shape_rule("torch.linalg.svdvals(A, *, driver=None, out=None)")
def svdvals(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, m, n) -> (\\*, min(m, n))."""
    leading, (m, n) = _parts(op.require_rank_from(A, 2))
    return Shape((*leading, solving.minimum(m, n)))


@shape_rule("torch.linalg.qr(A, mode='reduced', *, out=None)")
def linalg_qr(op: Op, A: Shape, mode: Arg) -> Result:  # noqa: N803
    """(\\*, m, n) -> Q (\\*, m, k) and R (\\*, k, n) (torch.linalg.qr)."""
    if mode not in ("reduced", "complete", "r"):
        raise CannotTell("the form of the decomposition")
    leading, (m, n) = _parts(op.require_rank_from(A, 2))
    k = m if mode == "complete" else solving.minimum(m, n)
    return (Shape((0,)) if mode == "r" else Shape((*leading, m, k)), Shape((*leading, k, n)))


@shape_rule("torch.qr(input, some=True, *, out=None)", "Tensor.qr(input, some=True)")
def qr(op: Op, input: Shape, some: Arg) -> Result:
    """(\\*, m, n) -> Q (\\*, m, k) and R (\\*, k, n)."""
    if isinstance(some, Unknown):
        raise CannotTell(some.reason)
    return linalg_qr(op, input, "reduced" if some else "complete")


def _parts(matrices: Shape) -> tuple[tuple[Dim, ...], tuple[Dim, Dim]]:
    sizes = tuple(tuple.__iter__(matrices))
    return sizes[:-2], (matrices[-2], matrices[-1])


@shape_rule("torch.linalg.pinv(A, *, atol=None, rtol=None, hermitian=False, out=None)")
def linalg_pinv(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, m, n) -> (\\*, n, m)."""
    leading, (m, n) = _parts(op.require_rank_from(A, 2))
    return Shape((*leading, n, m))


@shape_rule("torch.pinverse(input, rcond=1e-15)", "Tensor.pinverse(input, rcond=1e-15)")
def pinverse(op: Op, input: Shape) -> Result:
    """(\\*, m, n) -> (\\*, n, m)."""
    return linalg_pinv(op, input)


@shape_rule("torch.linalg.matrix_rank(A, *, atol=None, rtol=None, hermitian=False, out=None)")
def matrix_rank(op: Op, A: Shape) -> Result:  # noqa: N803
    """(\\*, m, n) -> (\\*), of whole numbers."""
    op.dtype = "int"
    return without(op.require_rank_from(A, 2), 2)


# several operands -------------------------------------------------------------------------------------------


@shape_rule("torch.linalg.solve(A, B, *, left=True, out=None)")
def solve(op: Op, A: Shape, B: Shape, left: Arg) -> Result:  # noqa: N803
    """(\\*, n, n), (\\*, n, k) -> (\\*, n, k), or a vector (n,) of each (torch.linalg.solve)."""
    matrices, right = _square(op, A), op.require_rank_from(B, 1)
    if isinstance(left, Unknown) or not left:
        raise CannotTell("a system from the right")
    if len(right) == 1 or (len(right) == len(matrices) - 1 and _same(tuple(right), matrices[:-1])):
        return without(product(op, matrices, Shape((*right, 1), right.step)), 1)
    return product(op, matrices, right)


def _same(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> bool:
    answer = dims.same(a, b)
    if answer is None:
        raise CannotTell("vectors or matrices")
    return answer


@shape_rule("torch.linalg.multi_dot(tensors, *, out=None)")
def multi_dot(op: Op, tensors: Arg) -> Result:
    """Two matrices or more; the first and the last may be vectors (torch.linalg.multi_dot)."""
    return _chain(op, tensors)


@shape_rule("torch.chain_matmul(*matrices, out=None)")
def chain_matmul(op: Op, matrices: Arg) -> Result:
    """Matrices multiplied in a row."""
    for matrix in matrices:
        if isinstance(matrix, Shape):
            op.require_rank(matrix, 2)
    return _chain(op, matrices)


def _chain(op: Op, tensors: Iterable[object]) -> Shape:
    shapes = members(op, tensors)
    if any(shape is None or shape.rest is not None for shape in shapes):
        raise CannotTell("a product of tensors that are not all known")
    first, *others = (shape for shape in shapes if shape is not None)
    for place, other in enumerate(others, 1):
        ranks = (1, 2) if place == len(others) else (2,)
        first = product(op, op.require_rank(first, 1, 2), op.require_rank(other, *ranks))
    return first


@shape_rule("torch.linalg.vecdot(x, y, *, dim=-1, out=None)")
def vecdot(op: Op, x: Shape, y: Shape, dim: Arg) -> Result:
    """(\\*, n, \\*) and (\\*, n, \\*), broadcast together, without ``dim`` (torch.linalg.vecdot)."""
    if x.rest is None and y.rest is None and len(x) == len(y) == 1:
        return product(op, x, y)  # of two vectors torch asks nothing of dim
    together = broadcast(op, x, y)
    sizes = list(tuple.__iter__(together))
    del sizes[op.axis(together, dim)]
    return Shape(sizes)


@shape_rule("torch.cross(input, other, dim=None, *, out=None)", "Tensor.cross(input, other, dim=None)")
def cross(op: Op, input: Shape, other: Shape, dim: Arg) -> Result:
    """(\\*, 3, \\*) and (\\*, 3, \\*) to what they broadcast to; without ``dim`` along the first size of 3."""
    if dim is None:
        dim = next((i for i, size in enumerate(input) if size == 3), None)
    return _cross(op, input, other, dim)


@shape_rule("torch.linalg.cross(input, other, *, dim=-1, out=None)")
def linalg_cross(op: Op, input: Shape, other: Shape, dim: Arg) -> Result:
    """(\\*, 3, \\*) and (\\*, 3, \\*) to what they broadcast to."""
    return _cross(op, input, other, dim)


def _cross(op: Op, input: Shape, other: Shape, dim: object) -> Shape:
    op.dtype = input.dtype
    if input.rest is None and other.rest is None and len(input) != len(other):
        facts = {"takes": f"a second input of {len(input)} dimensions", "given": other, "rank": len(other)}
        op.fail(catalogue.rank(**facts, source=op.origin(other)), "other")
        raise CannotTell("inputs of different rank")
    for shape in (input, other):
        known = shape.rest is None or (isinstance(dim, int) and -len(shape.known) <= dim < 0)
        if dim is None or not known:
            continue
        axis = op.axis(shape, dim)
        if len(shape.known) == 0 or dims.eq(shape[axis], 3) is False:
            words = f"vectors of 3 in dimension {dim}"
            op.fail(catalogue.rank(takes=words, given=shown(shape), rank=len(shape.known), source=op.origin(shape)))
            return input
    return broadcast(op, input, other)
