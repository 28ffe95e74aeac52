"""How the elements of a tensor lie in memory, as far as ``view`` asks for it: in another order behind a permutation.

torch.Tensor.view: dimensions that a view puts together have to lie one behind the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.values import Shape

#: What leaves the elements in the order of their dimensions, whatever it was given.
_DENSE = re.compile(
    r"\.(zeros|ones|rand|randn|randint|full|arange|empty|cat|concat|stack|matmul|bmm|mm|contiguous|linear|Linear)$"
)
#: What leaves them in the order in which they were.
_LIKE = re.compile(
    r"\.(Conv\w*|conv\w*|BatchNorm\w*|\w*Pool\w*|\w*_pool\w*|ReLU\w*|relu\w*|LeakyReLU|GELU|gelu|SiLU|Sigmoid|sigmoid|Tanh"
    r"|tanh|Dropout\w*|dropout\w*)$"
)


def scattered(input: Shape, target: Sequence[Dim]) -> Step | None:
    """The permutation behind which no view can have the sizes ``target``, or ``None`` where it can or nobody knows."""
    order = list(range(len(input)))
    step, last = input.step, input.step
    while step is not None and (moved := _order(step)) is not None and step.parents:
        order = [moved[i] for i in order]
        step = step.parents[0]
    if step is last or step is None or not _is_dense(step) or len(step.shape) != len(order):
        return None
    sizes = tuple(input)
    chunks = _chunks(sizes, order)
    products = [dims.product(target[:count]) for count in range(1, len(target) + 1)]
    reached: Dim = 1
    for chunk in chunks[:-1]:
        reached = reached * dims.product(chunk)
        if all(_differ(reached, product) for product in products):
            return last
    return None


def _chunks(sizes: Sequence[Dim], order: Sequence[int]) -> list[list[Dim]]:
    """Runs of dimensions that lie one behind the other; those of one element count nowhere."""
    kept = [(place, size) for place, size in zip(order, sizes) if size != 1]
    ranks = sorted(place for place, _ in kept)
    chunks: list[list[Dim]] = []
    before = -2
    for place, size in kept:
        rank = ranks.index(place)
        if rank == before + 1 and chunks:
            chunks[-1].append(size)
        else:
            chunks.append([size])
        before = rank
    return chunks


def _differ(a: Dim, b: Dim) -> bool:
    """Are two numbers of elements different, unless some size is 1?"""
    if dims.eq(a, b) is not None:
        return not dims.eq(a, b)
    return any(quotient is not None and quotient != 1 for quotient in (dims.exact_div(a, b), dims.exact_div(b, a)))


def _name(step: Step) -> str:
    """The full name of the function or layer of a step."""
    op, layer = getattr(step.scope, "op", None), getattr(step.scope, "layer", None)
    return str(op.name if op is not None else layer.torch_name if layer is not None else "")


def _order(step: Step) -> list[int] | None:
    """For each dimension of what a permutation made, the one of its input."""
    op, count = getattr(step.scope, "op", None), len(step.shape)
    name = _name(step).rpartition(".")[2]
    if op is None or not step.parents or len(step.parents[0].shape) != count:
        return None
    if name == "t" and count == 2:
        return [1, 0]
    if name == "permute":
        given = op.args.get("dims")
        if isinstance(given, tuple) and len(given) == 1 and isinstance(given[0], (tuple, list)):
            given = given[0]
        if not isinstance(given, (tuple, list)) or len(given) != count or not all(isinstance(d, int) for d in given):
            return None
        return [d % count for d in given]
    pair = [op.args.get(key) for key in ("dim0", "dim1")]
    if name != "transpose" or not all(isinstance(d, int) and -count <= d < count for d in pair):
        return None
    order = list(range(count))
    one, two = (d % count for d in pair)
    order[one], order[two] = order[two], order[one]
    return order


def _is_dense(step: Step) -> bool:
    """Do the elements of what a step made surely lie in the order of its dimensions?"""
    text = getattr(getattr(step.place, "file", None), "text", "")
    if "channels_last" in text or "memory_format" in text:
        return False
    while _LIKE.search(_name(step)):
        if not step.parents:
            return False
        step = step.parents[0]
        if not step.parents and not _name(step):
            return True  # what a net is fed with
    return _DENSE.search(_name(step)) is not None
