"""Which argument of which layer makes the sizes of two tensors differ: the one whose change makes them agree.

Both tensors are followed back to the step where their ways part.  Then each convolution and pool behind it is tried
with another number in one place, and the sizes are worked out again.  What a reader would try is tried, the most
convincing first: the number that a parameter of the function around the layer has, but the layer has not; the padding
that keeps the size; the stride that the other way has.  A repair counts if no other is as convincing.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.interpreter.decided import Decided, call_of, decided
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.ways import Point, Scope, way_at
from conv_lint.ops.strides import name_of
from conv_lint.ops.window import windows

SLIDING = re.compile(r"\.(?:Lazy)?(?:Conv|MaxPool|AvgPool|conv|max_pool|avg_pool)[123]d$")
#: What makes maps larger.
_LARGER = re.compile(r"Upsampl|interpolate|pixel_shuffle|PixelShuffle|ConvTranspose|conv_transpose", re.IGNORECASE)
#: What puts dimensions together or takes them apart.
_REGROUPS = re.compile(r"\.(view|reshape|flatten|unflatten|Flatten|Unflatten|rearrange|unfold|fold|Unfold|Fold)$")
#: The rank of a stride that nothing but the other way speaks for.
STRIDE = 2
#: More joined tensors, or longer ways, are not looked at.
MOST = 40


@dataclass(frozen=True)
class Window:
    """The numbers of a convolution or pool along one axis.

    ``follows``: the stride of a pool that has none of its own is its kernel.
    """

    kernel_size: int
    stride: int
    padding: int
    dilation: int
    ceil: bool = False
    follows: bool = False

    def over(self, size: Dim) -> Dim:
        """The size that comes out."""
        return windows(size, self.span, self.stride, self.padding, self.ceil)

    @property
    def span(self) -> int:
        return self.dilation * (self.kernel_size - 1) + 1


@dataclass(frozen=True)
class Repair:
    """With ``value`` for its argument ``name`` the layer (or function) of ``step`` gives a size that fits.

    ``rank``: how little it convinces; 0 where a parameter of the function around it has that very value.  ``alone``:
    the other tensor was left as it is.
    """

    rank: int
    step: Step
    name: str
    value: int
    window: Window
    decided: Decided
    alone: bool

    @property
    def doubt(self) -> int:
        """Of several repairs of one function, a stride is missing where the kernel is large, and too much where it is
        one pixel."""
        odd = self.window.kernel_size > 1
        return int(self.name == "stride" and odd == (self.value < self.window.stride))


def repairs(operands: Sequence[Step], axis: int, sizes: Sequence[Dim], user: Frame) -> list[Repair]:
    """The most convincing repairs of tensors whose sizes at ``axis`` (from the right) are the two of ``sizes``.

    ``user``: the frame in which they are joined.
    """
    pair = _pair([way_at(step, axis) for step in operands], sizes)
    if pair is None:
        return []
    odd, other, both = pair
    found = list(_Trial(odd, other, user).repairs())
    if both:
        found += _Trial(other, odd, user).repairs()
    least = min((r.rank for r in found), default=0)
    best: dict[object, Repair] = {}
    for repair in found:
        if repair.rank == least:
            best.setdefault(repair.decided.place.key, repair)
    return list(best.values())


def _pair(ways: Sequence[list[Point]], sizes: Sequence[Dim]) -> tuple[list[Point], list[Point], bool] | None:
    """The way of the odd one, one of the others, and whether it may be the other way round."""
    if not 2 <= len(ways) <= MOST:
        return None
    one, two = ([w for w in ways if _is(w[0].size, size)] for size in sizes)
    # The input of a model has got its size only after it was written down.
    unwritten = [w for w in ways if w[0].size is None]
    one, two = (
        one or (unwritten if len(two) + len(unwritten) == len(ways) else []),
        two or (unwritten if len(one) + len(unwritten) == len(ways) else []),
    )
    if not one or not two:
        return None
    if len(one) == 1 and len(two) == len(ways) - 1 > 1:
        return one[0], two[0], False
    if len(two) == 1 and len(one) == len(ways) - 1 > 1:
        return two[0], one[0], False
    return one[0], two[0], True


def _is(size: Dim | None, other: Dim) -> bool:
    return size is not None and (size == other or dims.eq(size, other) is True)


Rule = Callable[["_Trial", Point, Window], "int | None"]


class _Trial:
    """Two ways, and what is tried on one of them so that its size becomes that of the other."""

    def __init__(self, way: Sequence[Point], other: Sequence[Point], user: Frame) -> None:
        there = {id(point.step) for point in other}
        self.fork = next((point for point in way if id(point.step) in there), None)
        self.mine, self.theirs = _behind(way, self.fork), _behind(other, self.fork)
        self.shared = _behind(way, None)[: len(way) - len(self.mine)] if self.fork is not None else []
        self.user = user
        self.places: dict[tuple[int, str], Decided | None] = {}
        if self.fork is not None:
            start = next((size for size in (self.fork.size, *_unchanged(self.mine)) if size is not None), None)
            self.start = self.other_start = start if start is not None else dims.unknown(1)
        else:
            # Two inputs of their own: nothing says that they are alike, but a repair may still make them so.
            self.start, self.other_start = (w[-1].size or dims.unknown(1) for w in (way, other))
            self.mine, self.theirs = self.mine[1:], self.theirs[1:]

    def repairs(self) -> Iterator[Repair]:
        now, wanted = _run(self.mine, self.start, {}), _run(self.theirs, self.other_start, {})
        if len(self.mine) > MOST or len(self.theirs) > MOST or now is None or wanted is None or now == wanted:
            return
        seen: set[tuple[object, str, int]] = set()
        for point in self.mine:
            window = window_of(point)
            for rank, name, rule in self._ideas(window) if window is not None else ():
                place = self._decided(point, name)
                if place is None or window is None or (place.place.key, name, rank) in seen:
                    continue
                # What one line of the program makes is changed as one, on both ways.
                changed: dict[int, Window] = {}
                for p in (*self.mine, *self.theirs):
                    if (other := self._changed(p, place, name, rule)) is not None:
                        changed[id(p.step)] = other
                if id(point.step) not in changed:
                    continue
                seen.add((place.place.key, name, rank))
                if self._fits(changed, rank):
                    yield Repair(
                        rank, point.step, name, getattr(changed[id(point.step)], name), window, place, not self.theirs
                    )

        yield from self._before_the_fork()

    def _before_the_fork(self) -> Iterator[Repair]:
        """A layer that changes a size by one, so that what halves and doubles it behind the fork does not come out."""
        for point in self.shared if isinstance(self.start, int) else ():
            window = window_of(point)
            for rank, name, rule in self._ideas(window) if window is not None and window.stride == 1 else ():
                place = self._decided(point, name) if rank == 1 else None
                if place is None or window is None:
                    continue
                new = self._changed(point, place, name, rule)
                start = _run(self.shared, self.shared[0].size or 0, {id(point.step): new}) if new is not None else None
                if new is None or not isinstance(start, int) or start == self.start:
                    continue
                one, two = _run(self.mine, start, {}), _run(self.theirs, start, {})
                if one is not None and two is not None and dims.eq(one, two) is True:
                    yield Repair(rank, point.step, name, getattr(new, name), window, place, True)

    def _fits(self, changed: Mapping[int, Window], rank: int) -> bool:
        one, two = _run(self.mine, self.start, changed), _run(self.theirs, self.other_start, changed)
        if one is None or two is None:
            return False
        fits = dims.eq(one, two)
        return fits is True or (fits is None and self.fork is None and rank < STRIDE)

    def _decided(self, point: Point, name: str) -> Decided | None:
        key = (id(point.step), name)
        if key not in self.places:
            window = window_of(point)
            value = getattr(window, name) if window is not None else None
            self.places[key] = decided(point.step, name, value, self.user)
        return self.places[key]

    def _changed(self, point: Point, place: Decided, name: str, rule: Rule) -> Window | None:
        window = window_of(point)
        own = self._decided(point, name) if window is not None else None
        if window is None or own is None or own.place.key != place.place.key:
            return None
        value = rule(self, point, window)
        if value is None or value == getattr(window, name) or value < (name != "padding"):
            return None
        if name == "padding" and value >= window.span:
            return None  # a window of padding alone sees nothing
        both = {"stride": value} if name == "kernel_size" and window.follows else {}
        return replace(window, **{name: value}, **both)  # type: ignore[arg-type]

    def _ideas(self, window: Window) -> Iterator[tuple[int, str, Rule]]:
        """What to try on a layer, with how little it convinces."""
        for name in ("stride", "padding", "dilation", "kernel_size"):
            yield 0, name, _parameter(name)
        if not window.kernel_size % 2:
            yield 1, "kernel_size", lambda t, p, w: _fitting(2 * w.padding, w.dilation)
        yield 1, "padding", lambda t, p, w: (w.span - 1) // 2 if w.span % 2 else None
        yield 1, "dilation", lambda t, p, w: _whole(2 * w.padding, w.kernel_size - 1)
        yield STRIDE, "stride", lambda t, p, w: _whole(_stride(t.theirs) * w.stride, _stride(t.mine))
        yield STRIDE + 1, "padding", lambda t, p, w: 0

    def makers(self, point: Point) -> Iterator[Frame]:
        """The functions of the program in which a layer is made, up to the block that joins."""
        call = call_of(point.step)
        frame: Frame | None = call.frame if call is not None else None
        while frame is not None and frame.function is not None:
            yield frame
            if self.user.self_value is not None and frame.self_value is self.user.self_value:
                break
            frame = frame.call.frame if frame.call else None


def _behind(way: Sequence[Point], fork: Point | None) -> list[Point]:
    """The steps behind the fork, the first one first."""
    points: list[Point] = []
    for point in way:
        if fork is not None and point.step is fork.step:
            break
        points.append(point)
    return points[::-1]


def _unchanged(points: Sequence[Point]) -> Iterator[Dim | None]:
    """The sizes behind the steps before the first that may change them: a norm or an activation of an input whose own
    size was not written down."""
    return (point.size for point in itertools.takewhile(lambda p: window_of(p) is None, points))


def _run(points: Sequence[Point], start: Dim, changed: Mapping[int, Window]) -> Dim | None:
    """The size behind the steps, some of them with other windows; ``None`` where a step is not understood."""
    size = before = start
    for point in points:
        window = changed.get(id(point.step)) or window_of(point)
        after = point.size
        if window is not None:
            size = window.over(size)
        elif after is None:
            return None
        elif dims.eq(after, before) is not True:
            times = _times(point)
            if times is None or _REGROUPS.search(name_of(point.step)):
                return None
            more = after - before * times  # padding, or a slice
            size = size * times
            if not isinstance(more, int):
                return None
            size = size + more
        before = after if after is not None else size
    return size


def _times(point: Point) -> int | None:
    """How often a step repeats each pixel; what it adds besides is the same for all sizes."""
    scope = point.step.scope
    if not isinstance(scope, Scope) or not _LARGER.search(name_of(point.step)):
        return 1
    layer, op = scope.layer, scope.op
    n, values = (op.n, op.args) if op is not None else (0, {})
    if layer is not None and layer.layer is not None:
        n, values = layer.layer.row.n, layer.attrs
    given = next((values[key] for key in ("scale_factor", "upscale_factor", "stride") if values.get(key)), None)
    return number(int(given) if isinstance(given, float) and given.is_integer() else given, point.axis, n)


def _stride(points: Sequence[Point]) -> int:
    return math.prod(w.stride for p in points if (w := window_of(p)) is not None)


def _whole(number: int, by: int) -> int | None:
    return number // by if by > 0 and number % by == 0 and number >= by else None


def _fitting(room: int, dilation: int) -> int | None:
    """The kernel that keeps the size with so much padding on both sides together."""
    return room // dilation + 1 if room % dilation == 0 else None


def _parameter(name: str) -> Rule:
    """The value of a parameter of this name of a function in which the layer is made."""

    def value(trial: _Trial, point: Point, window: Window) -> int | None:
        now = getattr(window, name)
        for frame in trial.makers(point):
            for parameter in frame.arguments:
                held = frame.locals.get(parameter)
                if name in parameter and isinstance(held, int) and not isinstance(held, bool) and held != now:
                    return held
        return None

    return value


# reading a step ---------------------------------------------------------------------------------------------


def window_of(point: Point) -> Window | None:
    """How a convolution or pool slides along the axis, if that is known in numbers."""
    scope = point.step.scope
    if not isinstance(scope, Scope):
        return None
    if scope.layer is not None:
        return window_of_layer(scope.layer, point.axis)
    return _window(scope.op.name, scope.op.n, scope.op.args, point.axis) if scope.op is not None else None


def window_of_layer(layer: Instance, axis: int) -> Window | None:
    """The same of a layer, whether it is called or not."""
    row = layer.layer.row if layer.layer is not None else None
    return _window(row.name, row.n, layer.attrs, axis) if row is not None else None


def _window(name: str, n: int, values: Mapping[str, object], axis: int) -> Window | None:
    if not SLIDING.search(name) or axis < -n:
        return None
    kernel = number(_kernel(values), axis, n)
    stride = values.get("stride", 1)
    numbers = (
        kernel,
        kernel if stride is None or stride == () else number(stride, axis, n),
        number(values.get("padding", 0), axis, n),
        number(values.get("dilation", 1), axis, n),
    )
    if any(v is None for v in numbers) or numbers[1] == 0:
        return None
    follows = stride is None or stride == ()
    return Window(*numbers, ceil=values.get("ceil_mode") is True, follows=follows)  # type: ignore[arg-type]


def _kernel(values: Mapping[str, object]) -> object:
    if "kernel_size" in values:
        return values["kernel_size"]
    weight = values.get("weight")
    return tuple(tuple.__iter__(weight))[2:] if isinstance(weight, tuple) else None


def number(value: object, axis: int, n: int) -> int | None:
    """What an argument of one number or ``n`` is along an axis."""
    if isinstance(value, (tuple, list)):
        if len(value) not in (1, n):
            return None
        value = value[axis] if len(value) == n else value[0]
    return value if isinstance(value, int) and not isinstance(value, bool) else None
