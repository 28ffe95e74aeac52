"""Products of matrices and vectors, einsum and tensordot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conv_lint import catalogue, dims
from conv_lint.dims import Dim
from conv_lint.ops.elementwise import both_origins, broadcast_all, fitted, pair, shown, stretches
from conv_lint.ops.rule import Op
from conv_lint.ops.table import Arg, Result, shape_rule
from conv_lint.values import CannotTell, Rest, Shape, Unknown

# products ---------------------------------------------------------------------------------------------------


@shape_rule(
    "torch.matmul(input, other, *, out=None)",
    "torch.linalg.matmul(input, other, *, out=None)",
    "Tensor.matmul(input, other)",
    "Tensor.__matmul__(input, other)",
)
def matmul(op: Op, input: Shape, other: Shape) -> Result:
    """(\\*, n, m), (\\*, m, p) -> (\\*, n, p); a vector lacks its n or p, leading sizes broadcast (torch.matmul)."""
    return product(op, input, other)


@shape_rule("Tensor.__rmatmul__(input, other)")
def reflected_matmul(op: Op, input: Shape, other: Shape) -> Result:
    """(\\*, m, p), (\\*, n, m) -> (\\*, n, p)."""
    return product(op, other, input)


def product(op: Op, left: Shape, right: Shape) -> Shape:
    """The shape of ``left @ right``; sizes that disagree are CONV208."""
    if not isinstance(left, Shape) or not isinstance(right, Shape):
        raise CannotTell("an operand that is not known")
    op.dtype = left.dtype or right.dtype
    left, right = op.require_rank_from(left, 1), op.require_rank_from(right, 1)
    if left.rest is not None or right.rest is not None:
        return _product_of_unknown_rank(op, left, right)
    vector_left, vector_right = len(left) == 1, len(right) == 1
    inner = right[0] if vector_right else right[-2]
    _require_inner(op, left, right, left[-1], inner, -1, -1 if vector_right else -2)
    leading = _leading(op, left, right)
    ends = (() if vector_left else (left[-2],)) + (() if vector_right else (right[-1],))
    return Shape((*tuple.__iter__(leading), *ends))


def _product_of_unknown_rank(op: Op, left: Shape, right: Shape) -> Shape:
    """Both are taken to be matrices or stacks of them where at least two of their sizes are known."""
    if len(left.known) < 2 or len(right.known) < 2:
        return _mostly_unknown(op, left, right)
    _require_inner(op, left, right, left[-1], right[-2], -1, -2)
    return Shape((*tuple.__iter__(_leading(op, left, right)), left[-2], right[-1]))


def _leading(op: Op, left: Shape, right: Shape) -> Shape:
    """What stands before the matrices, broadcast together."""
    out, fault = fitted(op, without(left, 2), without(right, 2))
    if fault is not None:
        _mismatch(op, left, right, (fault.a, fault.b), fault.axis - 2, fault.axis - 2)
    return out


def _mostly_unknown(op: Op, left: Shape, right: Shape) -> Shape:
    """``x @ weight`` where of ``x`` only the last size is known, or nothing."""
    if right.rest is None and len(right) == 2 and left.known:
        _require_inner(op, left, right, left[-1], right[0], -1, -2)
        return Shape((*tuple.__iter__(without(left, 1)), right[1]))
    if right.rest is None and len(right) == 2:
        return Shape((Rest("the number of dimensions"), right[1]))  # type: ignore[arg-type]
    raise CannotTell("the number of dimensions")


def without(shape: Shape, count: int) -> Shape:
    """The shape without its last dimensions."""
    sizes = tuple(tuple.__iter__(shape))
    return Shape(sizes[: len(sizes) - count], shape.step, shape.dtype)


def _require_inner(op: Op, left: Shape, right: Shape, a: Dim, b: Dim, axis: int, other_axis: int) -> bool:
    if op.equate(a, b) is not False:
        return True
    _mismatch(op, left, right, (a, b), axis, other_axis)
    return False


def _mismatch(op: Op, left: Shape, right: Shape, sizes: tuple[Dim, Dim], axis: int, other_axis: int) -> None:
    source = both_origins(op, (left, axis), (right, other_axis))
    facts = {"left": shown(left), "right": shown(right), "a": sizes[0], "b": sizes[1]}
    op.fail(catalogue.matmul_sizes(**facts, source=source), _second(op))


def _second(op: Op) -> str:
    """The name of the second operand."""
    return next((n for n in ("other", "mat2", "batch2", "vec", "vec2", "tensor") if n in op.args), "other")


@shape_rule(
    "torch.mm(input, mat2, out_dtype=None, *, out=None)",
    "Tensor.mm(input, mat2)",
)
def mm(op: Op, input: Shape, mat2: Shape) -> Result:
    """(n, m), (m, p) -> (n, p)."""
    return _matrices(op, input, mat2)


def _matrices(op: Op, left: Shape, right: Shape) -> Shape:
    left, right = op.require_rank(left, 2), op.require_rank(right, 2)
    op.dtype = left.dtype or right.dtype
    _require_inner(op, left, right, left[1], right[0], -1, -2)
    return Shape((left[0], right[1]))


@shape_rule(
    "torch.bmm(input, mat2, out_dtype=None, *, out=None)",
    "Tensor.bmm(input, mat2)",
)
def bmm(op: Op, input: Shape, mat2: Shape) -> Result:
    """(b, n, m), (b, m, p) -> (b, n, p); the batch is not broadcast."""
    return _batches(op, input, mat2)


def _batches(op: Op, left: Shape, right: Shape) -> Shape:
    left, right = op.require_rank(left, 3), op.require_rank(right, 3)
    op.dtype = left.dtype or right.dtype
    if _require_inner(op, left, right, left[0], right[0], 0, 0):
        _require_inner(op, left, right, left[2], right[1], -1, -2)
    return Shape((left[0], left[1], right[2]))


@shape_rule("torch.mv(input, vec, *, out=None)", "Tensor.mv(input, vec)")
def mv(op: Op, input: Shape, vec: Shape) -> Result:
    """(n, m), (m,) -> (n,)."""
    return _matrix_vector(op, input, vec)


def _matrix_vector(op: Op, matrix: Shape, vector: Shape) -> Shape:
    matrix, vector = op.require_rank(matrix, 2), op.require_rank(vector, 1)
    _require_inner(op, matrix, vector, matrix[1], vector[0], -1, -1)
    return Shape((matrix[0],))


@shape_rule("torch.dot(input, tensor, *, out=None)", "Tensor.dot(input, tensor)")
def dot(op: Op, input: Shape, tensor: Shape) -> Result:
    """(n,), (n,) -> ()."""
    return _vectors(op, input, tensor)


@shape_rule("torch.vdot(input, other, *, out=None)", "Tensor.vdot(input, other)")
def vdot(op: Op, input: Shape, other: Shape) -> Result:
    """(n,), (n,) -> ()."""
    return _vectors(op, input, other)


def _vectors(op: Op, left: Shape, right: Shape) -> Shape:
    left, right = op.require_rank(left, 1), op.require_rank(right, 1)
    _require_inner(op, left, right, left[0], right[0], -1, -1)
    return Shape(())


@shape_rule("torch.inner(input, other, *, out=None)", "Tensor.inner(input, other)")
def inner(op: Op, input: Shape, other: Shape) -> Result:
    """(\\*a, m), (\\*b, m) -> (\\*a, \\*b); a number multiplies (torch.inner)."""
    if len(input) == 0 or len(other) == 0:
        return (*input, *other)
    _require_inner(op, input, other, input[-1], other[-1], -1, -1)
    return (*input[:-1], *other[:-1])


@shape_rule(
    *(f"torch.{name}(input, vec2, *, out=None)" for name in ("outer", "ger")),
    *(f"Tensor.{name}(input, vec2)" for name in ("outer", "ger")),
)
def outer(op: Op, input: Shape, vec2: Shape) -> Result:
    """(n,), (m,) -> (n, m)."""
    return (op.require_rank(input, 1)[0], op.require_rank(vec2, 1)[0])


@shape_rule("torch.kron(input, other, *, out=None)", "Tensor.kron(input, other)")
def kron(op: Op, input: Shape, other: Shape) -> Result:
    """Sizes multiplied pair by pair from the right (torch.kron)."""
    count = max(len(input), len(other))
    left, right = (*(1,) * (count - len(input)), *input), (*(1,) * (count - len(other)), *other)
    return tuple(a * b for a, b in zip(left, right))


# a sum and a product ----------------------------------------------------------------------------------------

SCALED = "*, beta=1, alpha=1"


def _added(op: Op, input: Shape, out: Shape) -> Shape:
    """``input`` must expand to the product's shape; otherwise CONV205."""
    extra = input.known[: max(len(input.known) - len(out), 0)]
    for axis in range(-min(len(input.known), len(out)), 0):
        a, b = input.known[axis], out[axis]
        if dims.eq(a, b) is False and stretches(a) is False:
            _unfit(op, input, out, (a, b), axis + len(out))
            return out
    if extra:
        _unfit(op, input, out, (extra[0], 1), 0)
    return out


def _unfit(op: Op, input: Shape, out: Shape, sizes: tuple[Dim, Dim], axis: int) -> None:
    facts = {"left": shown(input), "right": shown(out), "a": sizes[0], "b": sizes[1], "axis": axis}
    op.fail(catalogue.broadcast(**facts, source=op.origin(input)), "input")


@shape_rule(
    f"torch.addmm(input, mat1, mat2, {SCALED}, out=None)",
    f"Tensor.addmm(input, mat1, mat2, {SCALED})",
)
def addmm(op: Op, input: Shape, mat1: Shape, mat2: Shape) -> Result:
    """input + (n, m) @ (m, p) -> (n, p)."""
    return _added(op, input, _matrices(op, mat1, mat2))


@shape_rule(f"torch.addmv(input, mat, vec, {SCALED}, out=None)", f"Tensor.addmv(input, mat, vec, {SCALED})")
def addmv(op: Op, input: Shape, mat: Shape, vec: Shape) -> Result:
    """input + (n, m) @ (m,) -> (n,)."""
    return _added(op, input, _matrix_vector(op, mat, vec))


@shape_rule(f"torch.addr(input, vec1, vec2, {SCALED}, out=None)", f"Tensor.addr(input, vec1, vec2, {SCALED})")
def addr(op: Op, input: Shape, vec1: Shape, vec2: Shape) -> Result:
    """input + the outer product of (n,) and (m,) -> (n, m)."""
    return _added(op, input, Shape((op.require_rank(vec1, 1)[0], op.require_rank(vec2, 1)[0])))


@shape_rule(
    f"torch.baddbmm(input, batch1, batch2, {SCALED}, out=None)",
    f"Tensor.baddbmm(input, batch1, batch2, {SCALED})",
)
def baddbmm(op: Op, input: Shape, batch1: Shape, batch2: Shape) -> Result:
    """input + (b, n, m) @ (b, m, p) -> (b, n, p)."""
    return _added(op, input, _batches(op, batch1, batch2))


@shape_rule(
    f"torch.addbmm(input, batch1, batch2, {SCALED}, out=None)",
    f"Tensor.addbmm(input, batch1, batch2, {SCALED})",
)
def addbmm(op: Op, input: Shape, batch1: Shape, batch2: Shape) -> Result:
    """input + the sum of the b products (n, m) @ (m, p) -> (n, p)."""
    return _added(op, input, Shape(_batches(op, batch1, batch2)[1:]))


# einsum -----------------------------------------------------------------------------------------------------


@shape_rule("torch.einsum(equation, *operands)")
def einsum(op: Op, equation: Arg, operands: Arg) -> Result:
    """Sizes by letter, summed over the letters that the output lacks (torch.einsum)."""
    if len(operands) == 1 and not isinstance(operands[0], Shape):
        operands = operands[0]
    if not isinstance(equation, str) or not isinstance(operands, (list, tuple)):
        raise CannotTell("an equation that is not known")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        problem = f"{equation!r} names {_count(len(terms))} but {len(operands)} are given"
        op.fail(catalogue.einsum_sizes(problem=problem), "equation")
        raise CannotTell("an equation for another number of tensors")
    sizes: dict[str, tuple[Dim, Shape]] = {}
    middles = [_letters(op, term, operand, sizes) for term, operand in zip(terms, operands)]
    output = right if arrow else _implicit(left)
    middle = _middle(op, middles)
    out: list[Dim] = []
    for part in _tokens(output):
        if part == "...":
            out += list(tuple.__iter__(middle))
        elif part not in sizes or output.count(part) > 1:
            wrong = "is in none of the inputs" if part not in sizes else "appears more than once"
            op.fail(catalogue.einsum_sizes(problem=f"{part!r} of the output {wrong}"), "equation")
            raise CannotTell("an output letter that cannot be placed")
        else:
            out.append(sizes[part][0])
    if any(isinstance(s, Rest) for s in out[1:]):
        raise CannotTell("the number of dimensions")
    return Shape(out)


def _count(n: int) -> str:
    return f"{n} operand{'s' * (n != 1)}"


def _tokens(term: str) -> list[str]:
    """``b...ij`` as ``["b", "...", "i", "j"]``."""
    before, dots, after = term.partition("...")
    tokens = [*before, *([dots] if dots else []), *after]
    if not all(t == "..." or t.isalpha() for t in tokens):
        raise CannotTell("an equation that cannot be read")
    return tokens


def _implicit(left: str) -> str:
    """The letters that occur once, in alphabetical order, after the ellipsis."""
    letters = [c for c in left if c.isalpha()]
    return ("..." if "..." in left else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))


def _letters(op: Op, term: str, operand: object, sizes: dict[str, tuple[Dim, Shape]]) -> Shape | None:
    """Read the sizes of one operand; returns what its ellipsis stands for."""
    tokens = _tokens(term)
    named = [t for t in tokens if t != "..."]
    if not isinstance(operand, Shape):
        operand = Shape(tuple(op.unknown(0) for _ in named)) if "..." not in tokens else None
        if operand is None:
            raise CannotTell("an operand that is not known")
    if operand.rest is not None and "..." not in tokens:
        operand = _settled(op, operand, len(named))
    if operand.rest is None and (len(operand) < len(named) or (len(operand) > len(named) and "..." not in tokens)):
        problem = f"{term!r} names {len(named)} dimensions but its tensor {operand!r} has {len(operand)}"
        op.fail(catalogue.einsum_sizes(problem=problem, source=op.origin(operand)), "equation")
        raise CannotTell("a tensor of another rank")
    at = tokens.index("...") if "..." in tokens else len(tokens)
    after = len(tokens) - at - 1 if "..." in tokens else 0
    for i, letter in enumerate(tokens[:at]):
        _letter(op, letter, operand, i, sizes)
    for i, letter in enumerate(tokens[at + 1 :]):
        _letter(op, letter, operand, i - after, sizes)
    if "..." not in tokens:
        return None
    middle = tuple(tuple.__iter__(operand))
    return Shape(middle[at : len(middle) - after], operand.step)


def _settled(op: Op, operand: Shape, rank: int) -> Shape:
    if len(operand.known) > rank:
        raise CannotTell("a tensor of another rank")
    return op.require_rank(operand, rank)


def _letter(op: Op, letter: str, operand: Shape, axis: int, sizes: dict[str, tuple[Dim, Shape]]) -> None:
    size = operand[axis]
    if letter not in sizes:
        sizes[letter] = (size, operand)
        return
    known, holder = sizes[letter]
    together = None if holder is operand and dims.eq(known, size) is False else pair(op, known, size, residual=True)
    if together is None:
        problem = f"{letter!r} is {dims.render(known)} in {holder!r} and {dims.render(size)} in {operand!r}"
        source = both_origins(op, (holder, None), (operand, None))
        op.fail(catalogue.einsum_sizes(problem=problem, source=source), "equation")
    elif together is not known:
        sizes[letter] = (together, operand)


def _middle(op: Op, middles: Iterable[Shape | None]) -> Shape:
    shapes = [m for m in middles if m is not None]
    return broadcast_all(op, shapes) if shapes else Shape(())


# tensordot --------------------------------------------------------------------------------------------------


@shape_rule("torch.tensordot(a, b, dims=2, out=None)")
def tensordot(op: Op, a: Shape, b: Shape) -> Result:
    """The dimensions of ``dims`` are summed over; the others of ``a`` and then of ``b`` remain (torch.tensordot)."""
    left, right = _contracted(op, a, b, op.args["dims"])
    for i, j in zip(left, right):
        x, y = a[i], b[j]
        if pair(op, x, y) is None:
            source = both_origins(op, (a, i), (b, j))
            op.fail(catalogue.matmul_sizes(left=shown(a), right=shown(b), a=x, b=y, source=source), "b")
            break
    return (*(s for i, s in enumerate(a) if i not in left), *(s for i, s in enumerate(b) if i not in right))


def _contracted(op: Op, a: Shape, b: Shape, dims_: object) -> tuple[Sequence[int], Sequence[int]]:
    if isinstance(dims_, int):
        for shape, name in ((a, "a"), (b, "b")):
            if not 0 <= dims_ <= len(shape):
                report = catalogue.dim_range(argument="dims", value=dims_, given=shape, source=op.origin(shape))
                op.fail(report, "dims")
                raise CannotTell(f"dims out of range for {name}")
        return range(len(a) - dims_, len(a)), range(dims_)
    if not isinstance(dims_, (list, tuple)) or isinstance(dims_, Shape) or len(dims_) != 2:
        raise CannotTell("dims is not known")
    left, right = dims_
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        raise CannotTell("dims is not known")
    axes = op.axes(a, left, "dims"), op.axes(b, right, "dims")
    if len(axes[0]) != len(axes[1]):
        op.fail(catalogue.call_signature(problem="dims names another number of dimensions for a than for b"), "dims")
        raise CannotTell("dims of different lengths")
    return axes
