"""What made the two numbers that disagree, and which of them is the odd one."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import product
from conv_lint.finding import CALL, Finding, Origin, Step
from conv_lint.interpreter.follows import OF_JOINS, steps
from conv_lint.interpreter.idle import CATS
from conv_lint.interpreter.judge import OF_CHANNELS, Judge, size_of, takes_of
from conv_lint.interpreter.locate import written
from conv_lint.interpreter.meant import calls_of_siblings, patches, uneven_pool
from conv_lint.interpreter.misnamed import misnamed, parameters_of
from conv_lint.interpreter.modules import walk
from conv_lint.interpreter.objects import Call, Class, Frame, Instance
from conv_lint.interpreter.sides import GIVES, maker, of_a_consumer, of_a_list, of_a_name, of_a_producer, of_a_sum
from conv_lint.interpreter.smallest import smallest
from conv_lint.interpreter.swaps import of_another_rank, swapped
from conv_lint.interpreter.upsampled import is_short, padded
from conv_lint.interpreter.ways import Scene, Scope, size_at
from conv_lint.ops.linear import ONE_IMAGE
from conv_lint.ops.rearrange import DROP_LAST
from conv_lint.ops.rule import origin
from conv_lint.values import Tensor

#: So many layers on the way of a tensor are looked at for a wrong argument.
MOST_LAYERS = 12
#: Layers whose weight a function may be given, and their argument that has decided what it takes.
_SHARED = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_OF_WEIGHTS = {catalogue.input_channels.code: "in_channels", catalogue.input_features.code: "in_features"}


class Made(Judge):
    """Rules by what stands on the way of the tensor and behind the arguments of the layer."""

    def sibling(self) -> Finding | None:
        """``self.convz(h)`` beside ``self.convr(hx)``, where both layers take what ``hx``, made of ``h``, has."""
        axis, node, frame = self.axis(), self.scene.node, self.scene.frame
        module, held = frame.self_value, dict(self.scene.locals).get(frame, {})
        if axis is None or not isinstance(module, Instance) or not isinstance(node, cst.Call):
            return None
        children = dict(module.children())
        for name, other in calls_of_siblings(self.scene):
            value, layer = held.get(name), children.get(other)
            if not isinstance(value, Tensor) or value.step is None or layer is None or not self.finding.trail:
                continue
            fits = size_of(self.machine, value, axis) == self.takes == takes_of(layer)
            if (
                fits
                and _are_twins(layer, self.scene.layer)
                and any(step is self.finding.trail[0] for step in steps((value.step,)))
            ):
                return self.moved(frame.place(node), f"{name}, which self.{other} is given")
        return None

    def reused(self) -> Finding | None:
        """A layer that has run before on a tensor that it takes: then it is the call that is wrong."""
        frame, node = self.scene.frame, self.scene.node
        inside = [id(module) for module in _around(self.scene.layer) if module.fitted]
        if self.scene.layer is None or not self.scene.layer.fitted or self.scene.at == CALL:
            return None
        while frame.call is not None and id(frame.self_value) in inside:
            node, frame = frame.call.node, frame.call.frame
        if not isinstance(node, cst.Call) or _in_a_loop(node, frame):
            return None
        name = cst.Module([]).code_for_node(node.func)
        fix = f"another layer than {name}, which has run on {self.takes} before"
        if frame is not self.scene.frame and not isinstance(frame.self_value, Instance):  # a model is called once more
            fix = f"an input with {self.takes} for {name}, as it was given before"
        return self.moved(frame.place(node), fix, frame)

    def only_here(self) -> Finding | None:
        """A number that a block is handed by its maker, where another block of the class works with its own: then
        the class is right."""
        layer, at = self.scene.layer, self.scene.at
        if layer is None or layer.layer is None or layer.fits or at is None or not isinstance(self.given, int):
            return None
        around = list(_around(layer))
        inner = next((i for i, module in enumerate(around) if i and isinstance(module.cls, Class)), None)
        if inner is None:
            return None
        makers = (s.scope.layer for s in steps(self.finding.trail) if isinstance(s.scope, Scope))
        wide = (m for m in makers if m is not None and any(name in m.attrs for name in GIVES))
        if any(module is around[inner] for maker in wide for module in _around(maker)):
            return None  # both numbers are the block's own
        path = [module.owner[1] for module in around[:inner][::-1] if module.owner is not None]
        twins = (m for _, m in walk(around[-1]) if m.cls is around[inner].cls and m is not around[inner])
        if not any(same is not None and same.fits for same in (_member(m, path) for m in twins)):
            return None
        handed = written(layer.layer.call, at, layer.layer.row.signature, None, self.takes)
        place, name = next((h for h in handed if h[0].file is self.machine.tree), (None, None))
        if place is None or name is None or handed[-1][0].key != self.finding.place.key:
            return None
        return self.moved(place, f"{name}={self.given}")

    def one_image(self) -> Finding | None:
        """A program that gives a net one image where a batch is wanted: that is put right where it calls the net."""
        if not str(self.finding.report.facts.get("fix")).endswith(ONE_IMAGE):
            return None
        node: cst.CSTNode | None = self.scene.node
        for frame in self.scene.frame.stack():
            if not isinstance(frame.self_value, Instance) and isinstance(node, cst.Call) and node.args:
                given = frame.tree.module.code_for_node(node.args[0].value)
                return self.moved(frame.place(node), f"{given}.unsqueeze(0){ONE_IMAGE}", frame)
            node = frame.call.node if frame.call is not None else None
        return None

    def misnamed(self, lost: bool = False) -> Finding | None:
        """``nn.Conv2d(cin, cout, kernel_size=bias)``, or ``Block(heads, heads)`` of ``(dim, heads)``, on the way.

        ``lost``: only where a parameter of the right name is never read.
        """
        is_of_channels, rule = None, self.finding.report.rule
        if rule in OF_CHANNELS:
            is_of_channels = True
        elif rule in OF_JOINS:
            is_of_channels = self.axis() == 1 - len(_sizes(self.finding.report.facts.get("left")))
        for call, parameters in self._constructions():
            for found in misnamed(call, parameters):
                if (is_of_channels is None or found.is_of_channels == is_of_channels) and found.is_lost >= lost:
                    return self.moved(found.place, self.written(found.fix), found.frame)
        return None

    def _constructions(self) -> Iterator[tuple[Call, tuple[str, ...]]]:
        """Where the layer that failed, and then those on the way to it, were made, and what their classes take."""
        scene = self.scene
        if scene.layer is None and scene.node is not None:
            yield Call(scene.node, scene.frame), parameters_of(scene.node)
        on_way = (s.scope.layer for s in steps(self.finding.trail) if isinstance(s.scope, Scope))
        for layer in itertools.islice((scene.layer, *on_way), MOST_LAYERS):
            if layer is not None and layer.layer is not None:
                yield layer.layer.call, layer.layer.row.signature.positional

    def pool(self) -> Finding | None:
        """A pool to ``(1, 2)`` pixels before a layer that takes one feature per channel."""
        found = uneven_pool(self.finding.trail, self.takes)
        return self.moved(*found) if found is not None else None

    def gate(self) -> Finding | None:
        """An adaptive pool to more than one pixel, whose maps meet larger ones: only one pixel would be stretched."""
        axis = self.axis()
        if axis is None or self.finding.report.rule is not catalogue.broadcast:
            return None
        for operand in self.finding.trail[:2]:
            for step in steps((operand,)):
                layer = step.scope.layer if isinstance(step.scope, Scope) else None
                if layer is None or layer.layer is None or size_at(step, axis) != size_at(operand, axis):
                    continue
                if layer.class_name.startswith("Adaptive") and -layer.layer.row.n <= axis:
                    call = layer.layer.call
                    return self.moved(call.frame.place(call.node), f"output_size=1 in {step.label}", call.frame)
        return None

    def flattening(self) -> Finding | None:
        """A view that makes other features of a sample than it has, where the layer behind it takes what it has."""
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or not scope.op.name.endswith((".view", ".reshape")):
                continue
            before = tuple(tuple.__iter__(step.parents[0].shape)) if step.parents else ()
            if (
                len(step.shape) == 2
                and len(before) > 1
                and product(before[1:]) == self.takes
                and step.place is not None
            ):
                return self.moved(step.place, f"{scope.op.label}(x.size(0), -1)")
            return None
        return None

    def fixed_batch(self) -> Finding | None:
        """``x.view(4, -1, height, width)`` of a batch of 2: the samples that are missing are made of channels."""
        axis = self.axis()
        for step in steps(self.finding.trail) if axis is not None else ():
            scope = step.scope
            if size_at(step, axis or 0) != self.given:
                continue
            if not isinstance(scope, Scope) or scope.op is None or not scope.op.name.endswith((".view", ".reshape")):
                continue
            before, after = (_sizes(s.shape) for s in (*step.parents[:1], step)) if step.parents else ((), ())
            numbers = [n for n in (*before[:1], *after[:1], self.given, self.takes) if isinstance(n, int)]
            if step.place is None or len(numbers) < 4:
                continue
            was, fixed, given, takes = numbers
            if was != fixed and given * fixed == takes * was and _is_written_first(scope, fixed):
                return self.moved(step.place, f"{scope.op.label}(x.size(0), -1, ...), the batch is fixed to {fixed}")
        return None

    def squeezed(self) -> Finding | None:
        """``x.squeeze()`` of a batch of one, which takes the batch away with the rest."""
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or not scope.op.name.endswith(".squeeze"):
                continue
            before = _sizes(step.parents[0].shape) if step.parents else ()
            others = [axis - len(before) for axis, size in enumerate(before) if size == 1 and axis]
            if step.place is not None and scope.op.args.get("dim") is None and before[:1] == (1,) and others:
                axes = others[0] if len(others) == 1 else tuple(others)
                return self.moved(step.place, self.written(f"squeeze({axes}), this takes the batch of one as well"))
        return None

    def one_sample(self) -> Finding | None:
        """``net(x)[0]``, the first sample of a batch, held against the targets of all."""
        for step in self.finding.trail[:1]:
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or not scope.op.name.endswith(".__getitem__"):
                continue
            index, batch = scope.op.args.get("index"), _sizes(step.parents[0].shape)[:1] if step.parents else ()
            targets = [_sizes(other.shape)[:1] for other in self.finding.trail[1:]]
            if step.place is not None and type(index) is int and batch and batch in targets:
                return self.moved(
                    step.place, self.written(f"it without [{index}], which takes one sample of the batch")
                )
        return None

    def patches(self) -> Finding | None:
        """A convolution that makes other patches than the net counts on."""
        facts = self.finding.report.facts
        pairs = [(facts.get("a"), facts.get("b")), (facts.get("b"), facts.get("a"))]
        if self.finding.report.rule is catalogue.view_elements:
            pairs = [_left_over(facts.get("given"), facts.get("target"))]
        for given, wanted in pairs:
            found = patches(self.finding.trail, given, wanted, self.scene.frame)
            if found is not None:
                fix = self.written(f"{found.name}={found.value}")
                return self.moved(found.decided.place, fix, found.decided.frame)
        return None

    def viewed(self) -> Finding | None:
        """A layer that makes other features than ``view(-1, features)`` says of its result."""
        target, trail = self.finding.report.facts.get("target"), self.finding.trail
        if not isinstance(target, (tuple, list)) or not trail or self.finding.report.facts.get("fix") == DROP_LAST:
            return None
        if len(target) == 2 and target[0] == -1 and isinstance(target[1], int):
            blame = of_a_producer(trail[0], -1, target[1], self.scene.frame, None)
            return self.moved(blame.place, self.written(blame.fix), blame.frame) if blame is not None else None
        return self._odd_features(target, trail[0])

    def _odd_features(self, target: Sequence[object], source: Step) -> Finding | None:
        """``nn.Linear(dim, dim * 3 + 1)`` in front of ``reshape(B, N, 3, heads, dim // heads)``, or one of ``dim``."""
        behind = target[len(source.shape) - 1 :]
        found = maker(source, -1, self.scene.frame)
        if found is None or not behind or not isinstance(found.size, int):
            return None
        wanted = product(behind) if all(isinstance(n, int) and n > 0 for n in behind) else 0  # type: ignore[arg-type]
        values = [found.numbers.get(word) for word in found.words]
        fitting = [v for v in values if isinstance(v, int) and v > 1 and isinstance(wanted, int) and wanted % v == 0]
        is_multiple = (
            -1 in target and isinstance(wanted, int) and (wanted % found.size == 0 or found.size % max(wanted, 1) == 0)
        )
        if not wanted or ((not fitting or any(found.size % v == 0 for v in fitting)) and not is_multiple):
            return None
        fix = self.written(f"{found.name}={wanted} in {found.step.label}")
        return self.moved(found.decided.place, fix, found.decided.frame)

    def sum(self) -> Finding | None:
        """A layer that gives the one of two sizes that nothing in its function has."""
        axis, facts = self.axis(), self.finding.report.facts
        if axis is None or facts.get("fix") is not None or self.scene.node is not self.finding.place.node:
            return None
        blame = of_a_sum(self.finding.trail, axis, (facts["a"], facts["b"]), self.scene.frame)
        other = self._short_cut(axis) if blame is not None and self.finding.report.rule is catalogue.broadcast else None
        if other is not None:
            return self.moved(self.finding.place, other)
        return self.moved(blame.place, blame.fix, blame.frame) if blame is not None else None

    def _short_cut(self, axis: int) -> str | None:
        """What a residual sum lacks, where a norm takes the channels of the one side: a layer for the other."""
        a, b = self.finding.report.facts["a"], self.finding.report.facts["b"]
        frame, trail = self.scene.frame, self.finding.trail
        given = [frame.locals.get(name) for name in frame.arguments]
        inputs = [value.step for value in given if isinstance(value, Tensor)]
        for step, mine, beside, other in zip(trail, (a, b), trail[1::-1], (b, a)):
            if not any(beside is input for input in inputs):
                continue
            ways = (step, *step.parents[:1])
            norms = (s.scope.layer for s in ways if isinstance(s.scope, Scope) and s.scope.layer is not None)
            if axis == 1 - len(step.shape) and any(norm.attrs.get("num_features") == mine for norm in norms):
                return f"a layer for the other side, nn.Conv{len(step.shape) - 2}d({other}, {mine}, 1)"
        return None

    def upsampled(self) -> Finding | None:
        """A transposed convolution that gives the smaller one of the two sizes that a strided layer makes one of."""
        left, right = (self.finding.report.facts.get(side) for side in ("left", "right"))
        if not isinstance(left, tuple) or not isinstance(right, tuple):
            return None
        for step in self.finding.trail[:2]:
            for short, long in ((left, right), (right, left)):
                found = padded(step, short, long, self.scene.frame) if step.shape == short else None
                if found is not None and (self.finding.report.rule is catalogue.loss_shapes or is_short(step, -1)):
                    return self.moved(found.place, found.fix, found.frame)
        return None

    def swapped(self) -> Finding | None:
        """The first layer, whose channels stand in the wrong order: more than one layer would take the others."""
        source, axis = self.finding.report.facts.get("source"), self.axis()
        step = source.step if isinstance(source, Origin) else None
        if step is None or axis is None or not isinstance(self.takes, int) or not isinstance(self.given, int):
            return None
        if self._witnesses(step) < 2:
            return None
        found = swapped(step, axis, self.takes, self.given, self.scene.frame)
        return self.moved(found.decided.place, found.fix, found.decided.frame) if found is not None else None

    def _witnesses(self, maker: Step) -> int:
        """How many layers want of what one has made the same other number."""
        found = set()
        for finding in self.machine.findings:
            source = finding.report.facts.get("source")
            same = (
                isinstance(source, Origin) and source.step is maker and finding.report.facts.get("takes") == self.takes
            )
            if same and isinstance(finding.scene, Scene):
                found.add(id(finding.scene.layer))
        return len(found)

    def another_rank(self) -> Finding | None:
        """A Conv1d among layers for images."""
        facts, trail = self.finding.report.facts, self.finding.trail
        rank = facts.get("rank")
        wanted = re.match(r"a ([345])-D input", str(facts.get("takes")))
        if wanted is None or not trail or not isinstance(rank, int):
            return None
        found = of_another_rank(trail[0], rank, int(wanted[1]))
        return self.moved(found[0], f"write {found[1]}") if found is not None else None

    def too_small(self) -> Finding | None:
        """Where it stands, with the smallest input of the net that would do."""
        facts, trail = self.finding.report.facts, self.finding.trail
        axis, kernel, padded_size = (facts.get(name) for name in ("axis", "kernel", "size"))
        size = size_at(trail[0], axis) if trail and isinstance(axis, int) else None
        if not (isinstance(axis, int) and isinstance(kernel, int) and isinstance(padded_size, int)):
            return None
        needed = smallest(trail[0], axis, kernel - padded_size + size) if isinstance(size, int) else None
        if needed is None or not trail[0].parents:
            return None
        return self.moved(self.finding.place, f"an input of at least {needed} fits")

    def producer(self) -> Finding | None:
        """A layer of another function that gives ``width * 2`` where its consumer takes ``width``."""
        source, axis = self.finding.report.facts.get("source"), self.axis()
        step = source.step if isinstance(source, Origin) else None
        if step is None or axis is None or not isinstance(self.takes, int):
            return None
        blame = of_a_producer(step, axis, self.takes, self.scene.frame, self.consumer_of())
        return self.moved(blame.place, blame.fix, blame.frame) if blame is not None else None

    def consumer(self) -> Finding | None:
        """An expression for a number that a block was given, or the name of an output where an input is meant."""
        consumer = self.consumer_of()
        if consumer is None:
            return None
        for rule in (of_a_consumer, of_a_name):
            blame = rule(consumer, self.takes, self.given)
            if blame is not None:
                return self.moved(blame.place, blame.fix, blame.frame)
        found = of_a_list(consumer, self.takes)
        return self.moved(found[0].place, f"{found[1]}={self.given}", found[0].frame) if found is not None else None

    def joined_batches(self) -> Finding | None:
        """A concatenation along the batch, of what is later joined with tensors of one batch."""
        axis = self.axis()
        for step in self.finding.trail:
            source = origin(step, axis)
            made = source.step if source is not None else None
            scope = made.scope if made is not None else None
            if made is None or made.place is None or not isinstance(scope, Scope) or scope.op is None:
                continue
            if axis == made.made == -tuple.__len__(made.shape) and scope.op.name in CATS and len(made.parents) > 1:
                return self.moved(made.place, "dim=1 in it")
        return None

    def joined_elsewhere(self) -> Finding | None:
        """A concatenation along another dimension, of tensors of one shape that have what is needed together."""
        axis = self.axis()
        for step in steps(self.finding.trail) if axis is not None else ():
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or scope.op.name not in CATS or step.place is None:
                continue
            sizes = [size_at(parent, axis or 0) for parent in step.parents]
            known = [size for size in sizes if isinstance(size, int)]
            alike = len({tuple(tuple.__iter__(parent.shape)) for parent in step.parents}) == 1
            if alike and step.made != axis and len(known) == len(sizes) > 1 and sum(known) == self.takes:
                return self.moved(step.place, f"dim={tuple.__len__(step.shape) + (axis or 0)} in it")
        return None

    def layout(self) -> Finding | None:
        """A permutation that puts another dimension where the channels belong."""
        source = self.finding.report.facts.get("source")
        step = source.step if isinstance(source, Origin) else None
        scope = step.scope if step is not None else None
        if step is None or not isinstance(scope, Scope) or scope.op is None or step.place is None:
            return None
        if not scope.op.name.endswith((".permute", ".transpose")) or not step.parents:
            return None
        if self.takes not in tuple(tuple.__iter__(step.parents[0].shape)):
            return None
        return self.moved(step.place, f"an order that puts the {self.takes} channels there")

    def weight(self) -> Finding | None:
        """``F.linear(x, self.layer.weight)`` is a call of the layer, and so is ``F.conv2d(x, self.conv.weight)``."""
        name = _OF_WEIGHTS.get(self.finding.report.rule.code)
        if self.scene.layer is not None or name is None:
            return None
        for step in self.finding.trail[1:]:
            if step.label.removesuffix(".weight") in _SHARED and not step.parents and step.place is not None:
                return self.moved(step.place, f"{name}={self.given}" if isinstance(self.given, int) else None)
        return None


def _are_twins(one: Instance, two: Instance | None) -> bool:
    """Are two layers of one kind and of the same numbers, as the gates of a recurrent cell are?"""
    names = (*GIVES, "kernel_size")
    return (
        two is not None
        and one.torch_name == two.torch_name
        and all(one.attrs.get(name) == two.attrs.get(name) for name in names)
    )


def _is_written_first(scope: Scope, size: int) -> bool:
    """Does a view name this number for its first dimension?"""
    shape = scope.op.args.get("shape") if scope.op is not None else None
    sizes = shape[0] if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return isinstance(sizes, (tuple, list)) and bool(sizes) and sizes[0] == size


def _around(module: Instance | None) -> Iterator[Instance]:
    """A module and those that hold it."""
    while module is not None:
        yield module
        module = module.owner[0] if module.owner is not None else None


def _member(module: Instance, path: Sequence[str]) -> Instance | None:
    """The module that a name, or several, lead to."""
    found: Instance | None = module
    for name in path:
        found = dict(found.children()).get(name) if found is not None else None
    return found


def _in_a_loop(node: cst.CSTNode, frame: Frame) -> bool:
    """Is it one call for all rounds of a loop?"""
    waiting: list[cst.CSTNode] = [frame.function.node] if frame.function is not None else [frame.tree.module]
    while waiting:
        found = waiting.pop()
        if isinstance(found, (cst.For, cst.While, cst.BaseComp)) and _holds(found, node):
            return True
        waiting += found.children
    return False


def _holds(outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
    return outer is inner or any(_holds(child, inner) for child in outer.children)


def _left_over(given: object, target: object) -> tuple[object, object]:
    """How many numbers the sizes stand for that only one of two shapes has."""
    if not isinstance(given, tuple) or not isinstance(target, (tuple, list)):
        return None, None
    one, two = list(tuple.__iter__(given)), list(target)
    for size in list(one):
        if size in two:
            one.remove(size)
            two.remove(size)
    numbers = [s for s in (*one, *two) if isinstance(s, int) and s > 0]
    return (math.prod(one), math.prod(two)) if len(numbers) == len(one) + len(two) else (None, None)


def _sizes(shape: object) -> tuple[object, ...]:
    return tuple(shape) if isinstance(shape, tuple) else ()
