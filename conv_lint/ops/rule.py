"""The context a rule works in: what it may ask and say (``Op``), and how a rule is run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conv_lint import catalogue, dims, maps, solving
from conv_lint.dims import Dim, Expr, eq
from conv_lint.finding import CALL, Origin, Report, Rule, Step
from conv_lint.ops.given import holds, require_tensor
from conv_lint.ops.table import FUNCTIONS, LAYERS
from conv_lint.ops.world import Recorder, World
from conv_lint.values import CannotTell, NoTensor, Real, Rest, Shape, Unknown, any_shape


@dataclass
class Plain:
    """The result of a rule that is no tensor: ``x.dim()``, ``x.numel()``."""

    value: object


#: What the axes of a batch of signals, images and volumes are called.
AXES = {2: ("B", "C"), 3: ("B", "C", "L"), 4: ("B", "C", "H", "W"), 5: ("B", "C", "D", "H", "W")}


#: Arguments of layers that are one number, of whatever dimension the layer is (torch.nn).
_ONE_NUMBER = frozenset(
    "in_channels out_channels groups in_features out_features num_features num_channels num_groups input_size"
    " hidden_size embed_dim num_heads num_embeddings embedding_dim d_model nhead".split()
)


class Op:
    """What a rule may ask and say while it runs.

    ``n``: the number of spatial dimensions of the row.  ``label``: the layer or function in the reader's words.
    ``name``: the row's full name.  ``args``: the bound arguments.  ``training``: whether the layer trains, if known.
    ``dtype``: set it to ``"bool"`` or ``"int"`` if the result's numbers are.  ``made``: set it to the axis, counted
    from the right, whose size the operation decides by itself.
    """

    def __init__(self, name: str, n: int, label: str, args: Mapping[str, object], world: World) -> None:
        self.name, self.n, self.label, self.args, self.world = name, n, label, args, world
        self.dtype: str | None = None
        self.made: int | None = None
        self.training: bool | None = None

    @property
    def is_layer(self) -> bool:
        """Is this the call of a layer, whose arguments were checked at its construction?"""
        return self.name in LAYERS

    # faults -------------------------------------------------------------------------------------------------
    def fail(self, report: Report, at: str | None = None) -> None:
        """Report a definite fault; ``at`` is the argument to point at.  The rule goes on afterwards."""
        report.facts.setdefault("layer", self.label)
        self.world.emit(report, at)

    def require(self, holds: bool | None, report: Report, at: str | None = None) -> bool:
        """Report unless ``holds`` is true or cannot be told.  Returns false if it was reported."""
        if holds is False:
            self.fail(report, at)
        return holds is not False

    def equate(self, a: Dim, b: Dim) -> bool | None:
        """Compare two sizes that torch wants equal.  Where it cannot be told, they are taken as equal from here on.

        A layer for nothing stands for an input that is not given in that configuration, and takes any.  ``C // heads``
        is written for a ``C`` that ``heads`` divide.
        """
        answer = eq(a, b)
        if answer is False and (a == 0 or b == 0) and not (isinstance(a, int) and isinstance(b, int)):
            return None
        if answer is None:
            if maps.differ_on_maps(a, b) or eq(*dims.undivided((a, b))) is False:
                return False
            self.fixes_batch(a, b)
            self.world.equate(a, b)
        return answer

    def fixes_batch(self, a: Dim, b: Dim) -> None:
        """CONV410 where two sizes are equal for whole batches of a loader only: what is left for the last one fails."""
        symbol, value = solving.solve(a, b) or (None, None)
        if symbol is not None and symbol.batch == value and symbol.batch not in (None, 1):
            self.fail(catalogue.fixed_batch(batch=value, fix=f"x.size(0) for {value}, or drop_last=True in the loader"))

    def require_size(
        self, input: Shape, axis: int, size: Dim, rule: Rule, at: str | None = None, **facts: object
    ) -> bool:
        """``input``'s size at ``axis`` must be ``size``; otherwise report ``rule`` with facts ``takes``, ``given``
        and ``source``.  Returns false if it was reported."""
        given = input[axis]
        if self.equate(given, size) is not False:
            return True
        facts.setdefault("source", self.origin(input, axis))
        self.fail(rule(takes=size, given=given, **facts), at)
        return False

    def require_floats(self, input: Shape) -> None:
        """A layer that multiplies with its weights, which are floats, takes no whole numbers; otherwise CONV216."""
        if self.is_layer and input.dtype in ("int", "bool"):
            given = "whole numbers" if input.dtype == "int" else "truth values"
            problem = f"has weights of floats but is given {given}"
            self.fail(catalogue.dtype(problem=problem, source=self.origin(input), fix="x.float() for its input"), CALL)

    def require_rank(
        self, input: Shape, *ranks: int, takes: str | None = None, fix: str | None = None, at: str | None = None
    ) -> Shape:
        """``input`` must have one of the ranks, the usual one last.  Returns it with a known rank: an unknown
        rank is settled to the usual one.  ``at``: the argument to point at, where the layer is what to change.
        Raises :class:`CannotTell` after a finding."""
        if input.rest is not None:
            return self._settled(input, ranks)
        if len(input) in ranks:
            return input
        words = takes or f"a {' or '.join(f'{r}-D' for r in ranks)} input"
        self.fail(catalogue.rank(takes=words, given=input, rank=len(input), source=self.origin(input), fix=fix), at)
        raise CannotTell(f"{self.label} is given {len(input)} dimensions")

    def guess_rank(self, input: Shape, usual: int, other: int) -> Shape:
        """An input of unknown rank taken for one of the usual number of dimensions here, and nowhere else; what is
        wrong only then is not reported."""
        missing = self.world.guess(usual, other) - len(input.known)
        return Shape((*(self.unknown(1) for _ in range(missing)), *input.known), input.step, input.dtype)

    def require_rank_from(self, input: Shape, least: int) -> Shape:
        """``input`` must have at least ``least`` dimensions; an unknown rank is left as it is.  Raises
        :class:`CannotTell` after a finding."""
        if input.rest is not None or len(input) >= least:
            return input
        words = f"an input of at least {least} dimension{'s' * (least != 1)}"
        self.fail(catalogue.rank(takes=words, given=input, rank=len(input), source=self.origin(input)))
        raise CannotTell(f"{self.label} is given {len(input)} dimensions")

    def trailing(self, input: Shape, count: int) -> Shape:
        """An input of at least ``count`` dimensions; of an unknown rank its last ``count`` sizes become symbols."""
        input = self.require_rank_from(input, count)
        missing = count - len(input.known)
        if input.rest is None or missing <= 0:
            return input
        front: tuple[Any, ...] = (Rest(input.rest.reason, input.rest.image), *(dims.unknown(1) for _ in range(missing)))
        self.world.settle(input.rest, front, False)
        return Shape((*front, *input.known), input.step, input.dtype)

    def _settled(self, input: Shape, ranks: tuple[int, ...]) -> Shape:
        known, rest = input.known, input.rest
        assert rest is not None
        usual = [r for r in ranks if r >= len(known)]
        if not usual:
            return self.require_rank(Shape(known, input.step), *ranks)
        rank = usual[-1] if self.world.batched else usual[0]
        names = AXES.get(rank if rank == usual[-1] else rank + 1, ())[rank != usual[-1] :]
        missing = [names[i] if i < len(names) else "N" for i in range(rank - len(known))]
        sizes = tuple(rest.axis(name) for name in missing)
        self.world.settle(rest, sizes, len(usual) > 1)
        return Shape((*sizes, *known), input.step, input.dtype)

    # arguments ----------------------------------------------------------------------------------------------
    def dim(self, value: object) -> Dim:
        """An argument that is one whole number; another number is CONV117.  An unknown one becomes a symbol."""
        if isinstance(value, bool):
            if self.argument(value) in ("out_channels", "out_features") and "Transpose" not in self.name:
                self._refuse(value, value, catalogue.ONE)  # torch.empty takes none for its first size
            return int(value)
        if isinstance(value, (int, Expr)):
            return value
        if isinstance(value, Shape) and value.number is not None:
            return value.number
        if isinstance(value, (float, Real)):
            self._refuse(value, getattr(value, "text", value), catalogue.ROUND)
            return int(value) if isinstance(value, float) and value.is_integer() else self.unknown()
        if isinstance(value, NoTensor):
            self._refuse(value, value.what, catalogue.ONE)
        if isinstance(value, Unknown):
            return value.size()
        is_shape = isinstance(value, Shape)  # an array of one number, which is whole for all that is known
        if isinstance(value, Shape) and value.rest is None and len(value) > 1:
            self._refuse(value, f"a tensor of shape {value!r}", catalogue.ONE)
        # An empty list is a default that marks what has to be given.
        if isinstance(value, (tuple, list)) and value and not is_shape and self.argument(value) in _ONE_NUMBER:
            single = len(value) == 1 and isinstance(value[0], int)
            shown = f"({', '.join(map(str, value))}{',' * (len(value) == 1)})"
            self._refuse(value, shown, f"write {value[0]} without the comma" if single else catalogue.ONE)
        raise CannotTell(f"{value!r} is not a whole number")

    def _refuse(self, value: object, shown: object, fix: str) -> None:
        name = self.argument(value)
        self.fail(catalogue.whole_number(argument=name, value=shown, fix=fix, number=value), name)

    def require_least(self, argument: str, value: object, least: int = 1) -> Dim:
        """An argument that is one whole number, at least ``least``; otherwise CONV103."""
        size = self.dim(value)
        report = catalogue.argument_range(argument=argument, value=size, allowed=f"at least {least}")
        if self.require(dims.le(least, size), report, argument):
            dims.at_least(size, least)
        return size

    def per_axis(self, *values: object, n: int | None = None) -> Any:
        """Arguments that are one number or ``n`` numbers, each as a tuple of ``n``; one argument gives one tuple.

        A tuple of the wrong length is CONV104.  An unknown argument gives ``n`` unknown numbers.
        """
        count = self.n if n is None else n
        out = [self._per_axis(value, count) for value in values]
        return out[0] if len(out) == 1 else out

    def _per_axis(self, value: object, n: int) -> tuple[Dim, ...]:
        if isinstance(value, Unknown) and not isinstance(value, Real):
            return tuple(value.part(("axis", i), dims.unknown) for i in range(n))  # type: ignore[misc]
        if not isinstance(value, (tuple, list)):
            return (self.dim(value),) * n
        if len(value) == 1:
            return (self.dim(value[0]),) * n
        sizes = tuple(self.dim(v) for v in value)
        if len(sizes) == n:
            return sizes
        name = self.argument(value)
        fix, last = _shorter(name, sizes, n), self.name.rpartition(".")[2]
        if last.endswith(f"{n}d") and len(sizes) <= 3:
            fix += f", or {last[:-2]}{len(sizes)}d"
        self.fail(catalogue.tuple_length(argument=name, value=sizes, length=len(sizes), n=n, fix=fix), name)
        if len(set(sizes)) != 1:  # nobody knows which of them is meant
            return tuple(self.unknown() for _ in range(n))
        return sizes[:1] * n

    def argument(self, value: object) -> str:
        """The name of the argument that holds this very object, alone or among others."""
        return next((name for name, held in self.args.items() if held is value or holds(held, value)), "argument")

    def axis(self, input: Shape, value: object, argument: str = "dim", extra: int = 0) -> int:
        """A dimension argument as an index from the left; ``extra`` is 1 where a new axis is inserted.

        Out of range is CONV408.  For an input of unknown rank a negative index that lies in the known part stays
        negative.
        """
        index = self.dim(value)
        if not isinstance(index, int):
            raise CannotTell(f"{argument} is not known")
        if input.rest is not None:
            if index < 0 and -index <= len(input.known):
                return index
            raise CannotTell(input.rest.reason)
        count = len(input) + extra
        limit = max(count, 1)
        if not -limit <= index < limit:
            self.fail(
                catalogue.dim_range(argument=argument, value=index, given=input, source=self.origin(input)), argument
            )
            raise CannotTell(f"{argument} {index} is out of range")
        return index + limit if index < 0 else index

    def axes(self, input: Shape, value: object, argument: str = "dim") -> tuple[int, ...]:
        """One dimension or several as indices from the left; ``None`` means all of them."""
        if value is None:
            return tuple(range(len(input)))
        values = value if isinstance(value, (tuple, list)) else (value,)
        return tuple(self.axis(input, v, argument) for v in values)

    # sizes --------------------------------------------------------------------------------------------------
    def unknown(self, low: int | None = 1) -> Dim:
        """A size that is not known."""
        return dims.unknown(low)

    def counted(self) -> Dim:
        """A size that the values tell, perhaps 0: another one for every input."""
        return dims.unknown(0, varies=True)

    def sliding(
        self,
        sizes: Sequence[Dim],
        kernel: Sequence[Dim],
        stride: Sequence[Dim],
        padding: Sequence[Dim],
        dilation: Sequence[Dim],
        ceil_mode: bool | None = False,
    ) -> tuple[Dim, ...]:
        """The output sizes of a window that slides over ``sizes``: the arithmetic of every convolution and pool.

        ``floor((size + 2*padding - dilation*(kernel - 1) - 1) / stride) + 1`` per axis
        (torch.nn.Conv2d, "Shape").  Reports a kernel larger than the padded input (CONV303) and, for known sizes,
        quotients that are not whole (CONV301, CONV302).
        """
        from conv_lint.ops.window import slide

        return tuple(
            slide(self, axis, *values, ceil_mode)
            for axis, values in enumerate(zip(sizes, kernel, stride, padding, dilation))
        )

    # where a number comes from ------------------------------------------------------------------------------
    def origin(self, input: Shape, axis: int | None = None) -> Origin | None:
        """The step that gave ``input`` its size at ``axis`` (its whole shape if ``None``)."""
        return origin(input.step, axis) if input.step is not None else None


def origin(step: Step, axis: int | None = None) -> Origin | None:
    """Walk back from ``step`` over the steps that left the size at ``axis`` as it is.

    ``axis`` counts as the shape of ``step`` does; over a change of rank it is taken from the right.
    """
    while step.parents:
        parent = step.parents[0]
        if axis is None or _decides(step, axis) or not _keeps(step.shape, parent.shape, axis):
            break
        if axis >= 0 and tuple.__len__(parent.shape) != tuple.__len__(step.shape):
            axis -= tuple.__len__(step.shape)
        step = parent
    return Origin(step.label, step.place, step)


def _decides(step: Step, axis: int) -> bool:
    from_right = axis if axis < 0 else axis - tuple.__len__(step.shape)
    return step.made == from_right


def _keeps(shape: tuple[Dim, ...], before: tuple[Dim, ...], axis: int) -> bool:
    count, count_before = tuple.__len__(shape), tuple.__len__(before)
    here = axis if axis < 0 else axis - count
    if not (-count <= here < 0 and -count_before <= here):
        return False
    size, old = tuple.__getitem__(shape, here), tuple.__getitem__(before, here)
    return isinstance(size, (int, Expr)) and size == old


def _shorter(name: str, sizes: tuple[Dim, ...], n: int) -> str:
    if len(set(sizes)) == 1 and isinstance(sizes[0], int):
        return f"write {name}={sizes[0]}"
    return f"write {n} of them" if n > 1 else "write one number"


def halved(sizes: Iterable[Dim]) -> tuple[Dim, ...]:
    """Each size ``// 2``."""
    return tuple(size // 2 for size in sizes)


def all_le(left: Iterable[Dim], right: Iterable[Dim]) -> bool | None:
    """Is every size at most its counterpart."""
    return dims.every(dims.le(a, b) for a, b in zip(left, right))


# running a rule ---------------------------------------------------------------------------------------------


def run(rule: Callable[..., Any], op: Op, values: Mapping[str, object]) -> Any:
    """Call a rule with the values it names.

    Something unknown where the rule wants a tensor is a tensor of any shape.  Whatever else it cannot do with unknown
    values is :class:`CannotTell`, with the reason of the first unknown one.
    """
    chosen: dict[str, Any] = {}
    for name, is_tensor in _parameters(rule):
        if name in values:  # else the rule's own default
            value = values[name]
            if is_tensor:
                require_tensor(op, name, value)
            chosen[name] = any_shape(value.reason) if is_tensor and isinstance(value, Unknown) else value
    try:
        return rule(op, **chosen)
    except (TypeError, AttributeError, ValueError) as error:
        reason = next((u.reason for u in _unknowns(chosen.values())), None)
        if reason is None:
            raise
        raise CannotTell(reason) from error


@functools.cache
def _parameters(rule: Callable[..., Any]) -> tuple[tuple[str, bool], ...]:
    """The names of a rule's parameters behind the context, and whether each is a tensor."""
    names = rule.__code__.co_varnames[1 : rule.__code__.co_argcount + rule.__code__.co_kwonlyargcount]
    return tuple((name, rule.__annotations__.get(name) == "Shape") for name in names)


def _unknowns(values: Iterable[object]) -> Iterable[Unknown]:
    for value in values:
        if isinstance(value, Unknown):
            yield value
        elif isinstance(value, (list, tuple)) and not isinstance(value, Shape):
            yield from _unknowns(value)


def evaluate(name: str, *args: object, training: bool | None = None, **kwargs: object) -> tuple[Any, list[Report]]:
    """The result and the reports of one function or method of torch on plain arguments, a ``Shape`` for a tensor.

    ``evaluate("torch.nn.functional.conv2d", Shape((1, 3, 8, 8)), Shape((4, 3, 3, 3)))``.  The result is ``None`` where
    the rule cannot tell or has given up after a report.
    """
    row = FUNCTIONS[name]
    world = Recorder()
    bound = row.signature.bind(args, kwargs)
    op = Op(name, row.n, name.rpartition(".")[2], bound, world)
    op.training = training
    try:
        return run(row.rule, op, bound), world.reports
    except CannotTell:
        return None, world.reports


def evaluate_layer(
    name: str, args: Sequence[object], kwargs: Mapping[str, object], *inputs: object, training: bool | None = None
) -> tuple[Any, list[Report]]:
    """The result and the reports of constructing a layer of torch.nn and calling it once."""
    row = LAYERS[name]
    world = Recorder()
    bound = row.signature.bind(args, kwargs)
    label = name.rpartition(".")[2]
    values = dict(bound)
    try:
        if row.build is not None:
            values.update(run(row.build, Op(name, row.n, label, bound, world), bound))
        if row.rule is None:
            return None, world.reports
        values.update(row.forward.bind(inputs, {}))
        op = Op(name, row.n, label, values, world)
        op.training = training
        return run(row.rule, op, values), world.reports
    except CannotTell:
        return None, world.reports
