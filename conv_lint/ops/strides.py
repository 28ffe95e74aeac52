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
    r"\.(zeros|ones|rand|randn|randint|full|arange|empty|cat|concat|stack|matmul|bmm|mm|contiguous|linear|Linear|topk"
    r"|LayerNorm|layer_norm|softmax|Softmax|log_softmax|LogSoftmax|embedding|Embedding)$"
)
#: What leaves them in the order in which they were.
_LIKE = re.compile(
    r"\.(Conv\w*|conv\w*|BatchNorm\w*|\w*Pool\w*|\w*_pool\w*|ReLU\w*|relu\w*|LeakyReLU|GELU|gelu|SiLU|Sigmoid|sigmoid|Tanh"
    r"|tanh|Dropout\w*|dropout\w*)$"
)

#: What works on each number by itself leaves its (first) operand's order too, and so does dropout.
_EACH = re.compile(
    r"\.(ReLU6?|relu6?|LeakyReLU|leaky_relu|GELU|gelu|SiLU|silu|ELU|elu|Sigmoid|sigmoid|Tanh|tanh|Dropout|dropout"
    r"|exp|log|sqrt|abs|neg|clamp|float|long|int|half|double|bool|clone|detach|eq|ne|lt|le|gt|ge|add|sub|mul|div|pow"
    r"|__(?:add|sub|mul|truediv|pow|eq|ne|lt|le|gt|ge)__)$"
)
#: What keeps the memory format of maps, and the formats: that of the dimensions, or the channels last.
_FORMAT = re.compile(
    r"\.(Conv(?:Transpose)?[23]d|conv(?:_transpose)?[23]d|BatchNorm[23]d|batch_norm"
    r"|(?:Adaptive)?(?:Max|Avg)Pool[23]d|(?:adaptive_)?(?:max|avg)_pool[23]d)$"
)
_FORMATS = ([0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 3, 1, 2], [0, 4, 1, 2, 3])
_RECURRENT = re.compile(r"\.(LSTM|GRU|RNN)$")


def scattered(input: Shape, target: Sequence[Dim]) -> Step | None:
    """The permutation behind which no view can have the sizes ``target``, or ``None`` where it can or nobody knows."""
    memory = _memory(input.step) if input.step is not None else None
    if memory is None or len(memory[0]) != len(input) or any(map(_may_be_pooled, tuple(input))):
        return None
    order, found = memory
    chunks = _chunks(tuple(input), order)
    products = [dims.product(target[:count]) for count in range(1, len(target) + 1)]
    reached: Dim = 1
    for chunk in chunks[:-1]:
        reached = reached * dims.product(chunk)
        if all(_differ(reached, product) for product in products):
            return found
    return None


def _memory(step: Step) -> tuple[list[int], Step] | None:
    """For each dimension its place in memory, and the permutation that has put it there; ``None`` where there is none,
    or nobody knows."""
    way: list[Step] = []
    here: Step | None = step
    while here is not None and not _is_dense(here):
        if _order(here) is None and not _keeps_order(here) and not _keeps_format(here):
            return None
        way.append(here)
        if _is_batch_first(here):
            break
        here = here.parents[0] if here.parents else None
    if here is None:
        return None
    order, found = list(range(len(here.shape))), None
    for here in reversed(way):
        moved = _order(here)
        if moved is not None and len(moved) == len(order):
            order, found = [order[i] for i in moved], here
        elif not _keeps_order(here) and order not in _FORMATS:
            return None
    return (order, found) if found is not None else None


def _keeps_format(step: Step) -> bool:
    """Does a step give maps in the memory format of those that it was given (torch, "Channels Last Memory Format")?"""
    given = tuple(step.parents[0].shape) if step.parents else ()
    if len(given) < 4 or given[1] == 1 or all(size == 1 for size in given[2:]):
        return False  # of one channel, or one pixel, both formats are the same
    return _FORMAT.search(name_of(step)) is not None


def _may_be_pooled(size: Dim) -> bool:
    """May a size that was computed from another be 1: ``H - 6`` behind a pool over seven pixels?"""
    if isinstance(size, int):
        return False
    atoms, _ = size.terms[0]
    if len(size.terms) == 1 and all(isinstance(atom, dims.Symbol) for atom in atoms):
        return False
    least = dims.low(size)
    return least is None or least < 2


def _keeps_order(step: Step) -> bool:
    """Has a step worked on each number by itself, or taken a part of each dimension?"""
    if not step.parents or len(step.parents[0].shape) != len(step.shape):
        return False
    if name_of(step).endswith(".__getitem__"):
        index = step.scope.op.args.get("index")  # type: ignore[attr-defined]
        parts = index if isinstance(index, tuple) else (index,)
        return all(isinstance(part, slice) and part.step in (None, 1) for part in parts)
    return _EACH.search(name_of(step)) is not None and tuple.__eq__(step.parents[0].shape, step.shape)


def _is_batch_first(step: Step) -> bool:
    """Is it the output of a recurrent layer that computes (L, N, H) and hands on (N, L, H)?"""
    layer, sizes = getattr(step.scope, "layer", None), tuple(step.shape)
    if not step.parents or tuple(step.parents[0].shape)[:2] != sizes[:2] or sizes[:1] == sizes[1:2]:
        return False  # a last state, or one that cannot be told from it
    return (
        layer is not None
        and len(sizes) == 3
        and _RECURRENT.search(layer.torch_name) is not None
        and layer.attrs.get("batch_first") is True
    )


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


def name_of(step: Step) -> str:
    """The full name of the function or layer of a step."""
    op, layer = getattr(step.scope, "op", None), getattr(step.scope, "layer", None)
    return str(op.name if op is not None else layer.torch_name if layer is not None else "")


def _order(step: Step) -> list[int] | None:
    """For each dimension of what a permutation made, the one of its input."""
    if _is_batch_first(step):
        return [1, 0, 2]
    op, count = getattr(step.scope, "op", None), len(step.shape)
    name = name_of(step).rpartition(".")[2]
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
    while _LIKE.search(name_of(step)):
        if not step.parents:
            return False
        step = step.parents[0]
        if not step.parents and not name_of(step):
            return True  # what a net is fed with
    return _DENSE.search(name_of(step)) is not None
