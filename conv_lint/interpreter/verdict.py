"""Who is to blame, once the whole file has run.

When a layer is given a wrong number of channels, the finding stands where the layer was made.  Often the program itself
says that another place is wrong, but only when all of it has run: a layer that was constructed and never called, a
tensor or a parameter that has the missing number and is never read.  Such a finding moves there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.finding import Finding, Origin, Place, Report, Step
from conv_lint.interpreter.follows import OF_JOINS, call, is_of_input, news, steps
from conv_lint.interpreter.forgotten import overwritten_tensors, passed, unattached
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.meant import calls_of_siblings, patches, uneven_pool
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.sides import GIVES, Consumer, of_a_consumer, of_a_list, of_a_name, of_a_producer, of_a_sum
from conv_lint.interpreter.smallest import smallest
from conv_lint.interpreter.swaps import of_another_rank, swapped
from conv_lint.interpreter.unread import is_unread
from conv_lint.interpreter.upsampled import padded
from conv_lint.interpreter.ways import Scene, Scope, size_at
from conv_lint.ops.rule import origin
from conv_lint.values import Tensor

#: The findings of a layer and its input.
OF_CHANNELS = (catalogue.input_channels, catalogue.input_features, catalogue.norm_size)
#: The arguments of layers that say what they take, and what they give.
TAKES = ("in_channels", "in_features", "num_features", "normalized_shape")
#: Layers whose weight a function may be given, and their argument that has decided what it takes.
_SHARED = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_OF_WEIGHTS = {catalogue.input_channels.code: "in_channels", catalogue.input_features.code: "in_features"}
CATS = ("torch.cat", "torch.concat", "torch.concatenate")


def judged(machine: Machine) -> list[Finding]:
    """The findings of a run, each where the evidence of the whole file says that it belongs."""
    groups: dict[object, list[Finding]] = {}
    for finding in news(machine.findings):
        groups.setdefault(_cause(finding), []).append(finding)
    wrong: set[object] = set()
    found = [finding for group in groups.values() for finding in _judged(group, machine, wrong)]
    return [finding for finding in found if not is_of_input(finding, wrong)]


def _cause(finding: Finding) -> object:
    """What findings have in common that would stand at one place, if none of them was moved."""
    scene = finding.scene
    if isinstance(scene, Scene) and finding.report.rule in OF_JOINS:
        return finding.code, id(scene.node)
    return finding.code, finding.place.key


def _judged(group: list[Finding], machine: Machine, wrong: set[object]) -> list[Finding]:
    """One mistake is one finding: those that have no place of their own go with those that have one.

    ``wrong``: the calls that turn out to be given a wrong tensor are added.
    """
    moved = [f for f in group if isinstance(f.scene, Scene) and f.report.rule in OF_JOINS and _is_elsewhere(f, f.scene)]
    for position, finding in enumerate(group if not moved else []):
        if isinstance(finding.scene, Scene):
            judge = _Judge(finding, machine)
            verdict = judge.verdict(sure=position > 0)
            if verdict is not None:
                wrong |= {call(f.scene) for f in group} if judge.of_input else set()
                return [verdict]
    return moved[:1] or group


def _is_elsewhere(finding: Finding, scene: Scene) -> bool:
    return finding.place.node is not scene.node and finding.report.facts.get("fix") is not None


class _Judge:
    def __init__(self, finding: Finding, machine: Machine) -> None:
        assert isinstance(finding.scene, Scene)
        self.finding, self.machine, self.scene = finding, machine, finding.scene
        facts = finding.report.facts
        self.takes, self.given = facts.get("takes"), facts.get("given")
        #: Is the tensor the wrong one, rather than the layer that is given it?
        self.of_input = False

    def verdict(self, sure: bool) -> Finding | None:
        """The finding at another place, if there is evidence for one; ``sure``: what is never called or never read."""
        rules: list[Callable[[], Finding | None]] = []
        rule = self.finding.report.rule
        if rule in OF_CHANNELS:
            rules = [self.other_layer, self.skipped_layer, self.other_tensor, self.overwritten, self.skipped_before]
            rules += [self.left_out, self.other_number]
            others = [self.sibling, self.pool, self.swapped, self.layout, self.producer, self.consumer, self.weight]
            rules += [] if sure else others
        elif rule in OF_JOINS:
            rules = [self.joined_batches, self.left_out, self.idle_order, self.unattached, self.patches, self.sum]
        elif rule is catalogue.view_elements:
            rules = [self.lonely, self.patches, self.viewed]
        elif rule is catalogue.rank:
            rules = [self.another_rank]
        elif rule is catalogue.kernel_too_large:
            rules = [self.too_small]
        elif rule is catalogue.loss_shapes:
            rules = [self.upsampled]
        for run in rules:
            found = run()
            if found is not None:
                tensors = (self.skipped_layer, self.other_tensor, self.overwritten, self.skipped_before)
                self.of_input = run in (*tensors, self.sibling, self.pool)
                return found
        return None

    def moved(self, place: Place, fix: str | None, frame: Frame | None = None) -> Finding | None:
        """The finding at a place, or at the call in the linted file that led to its ``frame``."""
        path = self.machine.tree.path
        if place.file.path != path:
            calls = (f.call.frame.place(f.call.node) for f in frame.stack() if f.call) if frame is not None else ()
            own = next((p for p in calls if p.file.path == path), None)
            if own is None:
                return None
            place = own
        report = Report(self.finding.report.rule, {**self.finding.report.facts, "fix": fix})
        others = tuple(p for p in (self.finding.place, *self.finding.calls) if p.key != place.key)
        return replace(self.finding, report=report, place=place, calls=others)

    # layers that are never called -------------------------------------------------------------------------------
    def callers(self) -> Iterator[tuple[Frame, cst.CSTNode, Instance]]:
        """The functions that run, each with its call that leads to the failing one, and the module whose it is."""
        node = self.scene.node
        for frame in self.scene.frame.stack():
            if node is not None and isinstance(frame.self_value, Instance) and frame.self_value.is_module:
                yield frame, node, frame.self_value
            node = frame.call.node if frame.call is not None else None

    def other_layer(self) -> Finding | None:
        """``self.bn1(x)`` where ``self.bn2`` would fit, and is never called."""
        for frame, node, module in self.callers():
            called = _child(module, self.scene.layer)
            if called is None:
                continue
            for name, other in module.children():
                if other.called or other is called[1] or other.class_name != called[1].class_name:
                    continue
                if other.owner is not None and other.owner[0] is module and _takes(other) == self.given:
                    return self.moved(frame.place(node), f"self.{name}, which is never called")
        return None

    def skipped_layer(self) -> Finding | None:
        """``self.fc(x)`` where ``self.stage4`` makes of ``x`` what ``self.fc`` takes, and is never called."""
        for frame, node, module in self.callers():
            for name, other in module.children():
                if other.called or _takes(other) != self.given or (other.is_container and not list(other.children())):
                    continue
                if self._makes(other) == self.takes:
                    return self.moved(frame.place(node), f"self.{name} first, which is never called")
        return None

    def skipped_before(self) -> Finding | None:
        """A block on the way of the input whose layer makes of its result what is needed, and is never called."""
        axis = self.axis()
        if axis is None or not self.finding.trail or not isinstance(self.given, int):
            return None
        for module, place in passed(self.finding.trail[0], axis, self.given):
            for name, other in module.children():
                is_own = other.owner is not None and other.owner[0] is module
                if is_own and _is_idle(other) and _takes(other) == self.given and self._makes(other) == self.takes:
                    return self.moved(place, f"self.{name}(...) around it, which is never called")
        return None

    def _makes(self, module: Instance) -> Dim | None:
        """What a module would make of the input that was given, at the axis of its channels."""
        from conv_lint.interpreter.calls import Arguments
        from conv_lint.interpreter.machine import OutOfBudget, PythonRaise
        from conv_lint.interpreter.modules import call_module
        from conv_lint.values import Shape

        axis = self.axis()
        if axis is None or not self.finding.trail:
            return None
        step = self.finding.trail[0]
        value = Tensor(Shape(tuple.__iter__(step.shape)), step)
        called = module.called
        try:
            with self.machine.isolated():
                made = call_module(self.machine, self.scene.frame, None, module, Arguments([value]))
        except (OutOfBudget, PythonRaise, RecursionError):
            return None
        finally:
            module.called = called
        sizes = tuple(made.shape.known) if isinstance(made, Tensor) else ()
        return sizes[axis] if -len(sizes) <= axis < 0 else None

    def axis(self) -> int | None:
        """Where the numbers that disagree stand in the input, counted from the right."""
        facts, layer = self.finding.report.facts, self.scene.layer
        if isinstance(facts.get("axis"), int) and isinstance(facts.get("left"), tuple):
            return facts["axis"] - len(facts["left"])  # type: ignore[operator,arg-type]
        row = layer.layer.row if layer is not None and layer.layer is not None else None
        if row is None or not self.finding.trail:
            return None
        last = row.name.rpartition(".")[2]
        if "Conv" in last:
            return -row.n - 1
        if "BatchNorm" in last or "InstanceNorm" in last or "GroupNorm" in last:
            return 1 - tuple.__len__(self.finding.trail[0].shape)
        return -1

    # values that are never read ---------------------------------------------------------------------------------
    def other_tensor(self) -> Finding | None:
        """``self.conv2(x)`` where the tensor ``out`` would fit, and is never read."""
        axis, node = self.axis(), self.scene.node
        if axis is None:
            return None
        for frame, names in self.scene.locals:
            if node is not None:
                for name, value in names.items():
                    if is_unread(frame, name) and _size(self.machine, value, axis) == self.takes:
                        return self.moved(frame.place(node), f"{name}, which is never used")
            node = frame.call.node if frame.call is not None else None
        return None

    def overwritten(self) -> Finding | None:
        """``z = self.conv(y)`` and then ``z = torch.relu(x)``, where the first ``z`` would fit."""
        axis = self.axis()
        for lost in overwritten_tensors(self.scene, self.finding.trail) if axis is not None else ():
            if _size(self.machine, lost.value, axis or 0) == self.takes:
                return self.moved(lost.place, f"{lost.name} in it: what line {lost.line} gives it is never used")
        return None

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
            fits = _size(self.machine, value, axis) == self.takes == _takes(layer)
            if fits and any(step is self.finding.trail[0] for step in steps((value.step,))):
                return self.moved(frame.place(node), f"{name}, which self.{other} is given")
        return None

    def pool(self) -> Finding | None:
        """A pool to ``(1, 2)`` pixels before a layer that takes one feature per channel."""
        found = uneven_pool(self.finding.trail, self.takes)
        return self.moved(*found) if found is not None else None

    def patches(self) -> Finding | None:
        """A convolution that makes other patches than the net counts on."""
        facts = self.finding.report.facts
        pairs = [(facts.get("a"), facts.get("b")), (facts.get("b"), facts.get("a"))]
        if self.finding.report.rule is catalogue.view_elements:
            pairs = [_left_over(facts.get("given"), facts.get("target"))]
        for given, wanted in pairs:
            found = patches(self.finding.trail, given, wanted, self.scene.frame)
            if found is not None:
                fix = self._written(f"{found.name}={found.value}")
                return self.moved(found.decided.place, fix, found.decided.frame)
        return None

    def viewed(self) -> Finding | None:
        """A layer that makes other features than ``view(-1, features)`` says of its result."""
        target, trail = self.finding.report.facts.get("target"), self.finding.trail
        if not isinstance(target, (tuple, list)) or len(target) != 2 or target[0] != -1 or not trail:
            return None
        if not isinstance(target[1], int):
            return None
        blame = of_a_producer(trail[0], -1, target[1], self.scene.frame, None)
        return self.moved(blame.place, self._written(blame.fix), blame.frame) if blame is not None else None

    def _written(self, fix: str | None) -> str | None:
        """What to write, in the words that the message of the rule asks for."""
        return f"write {fix}" if fix and self.finding.report.rule is catalogue.view_elements else fix

    def left_out(self) -> Finding | None:
        """A concatenation without a tensor, or without what a layer makes, that is needed for the number of
        channels and is used nowhere else."""
        axis = self.axis()
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or scope.op.name not in CATS or step.place is None:
                continue
            if axis is None or step.made is None or (self.finding.report.rule in OF_JOINS and step.made != axis):
                continue
            for name, value in scope.frame.locals.items():
                size = _size(self.machine, value, step.made)
                if isinstance(size, int) and is_unread(scope.frame, name) and self._lacks(step, [size]):
                    return self.moved(step.place, f"{name} into it, which is never used")
            module = scope.frame.self_value
            for name, child in module.children() if isinstance(module, Instance) else ():
                size = _gives(child) if _is_idle(child) else None
                if size is None or child.owner is None or child.owner[0] is not module:
                    continue
                if self._lacks(step, [size]):
                    return self.moved(step.place, f"self.{name}(...) into it, which is never called")
                for place in self._bare(step, child, size):
                    return self.moved(place, f"self.{name}(...) around it, which is never called")
                for parent, place in _called_twice(step, module):
                    made = size_at(parent, step.made)
                    if isinstance(made, int) and self._lacks(step, [size - made]):
                        return self.moved(place, f"self.{name}(...), which is never called")
        return None

    def _bare(self, step: Step, layer: Instance, gives: int) -> Iterator[Place]:
        """The one tensor in a concatenation of which a layer would make what is needed."""
        made = [size_at(parent, step.made) for parent in step.parents if step.made is not None]
        fitting = [i for i, s in enumerate(made) if s == _takes(layer) and isinstance(s, int)]
        sizes = [gives - s for i, s in enumerate(made) if i in fitting and isinstance(s, int)]
        if len(fitting) == 1 and step.place is not None and self._lacks(step, sizes):
            yield _element(step, fitting[0])

    def lonely(self) -> Finding | None:
        """A concatenation of one tensor alone, in a function with another tensor that is never read."""
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or scope.op.name not in CATS or step.place is None:
                continue
            if len(step.parents) == 1:
                for name, value in scope.frame.locals.items():
                    if isinstance(value, Tensor) and is_unread(scope.frame, name):
                        return self.moved(step.place, f"{name} into it, which is never used")
        return None

    def idle_order(self) -> Finding | None:
        """A permutation that leaves the order as it is."""
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or not scope.op.name.endswith(".permute"):
                continue
            order = scope.op.args.get("dims")
            order = order[0] if isinstance(order, tuple) and len(order) == 1 else order
            if isinstance(order, (tuple, list)) and list(order) == list(range(len(order))) and step.place is not None:
                return self.moved(step.place, "another order in it, this one changes nothing")
        return None

    def _lacks(self, step: Step, sizes: list[int]) -> bool:
        """Would one of the sizes more in a concatenation give the number that is needed?"""
        total = size_at(step, step.made) if step.made is not None else None
        pairs: list[tuple[object, object]] = [(self.takes, self.given)]
        if self.finding.report.rule in OF_JOINS:
            a, b = self.finding.report.facts["a"], self.finding.report.facts["b"]
            pairs = [(a, b), (b, a)]
        for takes, given in pairs:
            for size in sizes:
                if not isinstance(takes, int) or not isinstance(given, int) or not isinstance(total, int) or not size:
                    continue
                if takes - given == size or takes * total == given * (total + size):
                    return True
        return False

    # what made the numbers ---------------------------------------------------------------------------------------
    def unattached(self) -> Finding | None:
        """A layer that would make one of the two sizes the other, was made beside the block and given to nobody."""
        facts = self.finding.report.facts
        sizes = facts.get("a"), facts.get("b")
        if self.axis() is None or None in sizes:
            return None
        for name, layer, made in unattached(self.scene.frame):
            if (_takes(layer), _gives(layer)) in (sizes, sizes[::-1]):
                return self.moved(made.frame.place(made.node), f"{name} into it, which is never used", made.frame)
        return None

    def sum(self) -> Finding | None:
        """A layer that gives the one of two sizes that nothing in its function has."""
        axis, facts = self.axis(), self.finding.report.facts
        if axis is None or facts.get("fix") is not None or self.scene.node is not self.finding.place.node:
            return None
        blame = of_a_sum(self.finding.trail, axis, (facts["a"], facts["b"]), self.scene.frame)
        return self.moved(blame.place, blame.fix, blame.frame) if blame is not None else None

    def upsampled(self) -> Finding | None:
        """A transposed convolution that gives the smaller one of the two sizes that a strided layer makes one of."""
        left, right = (self.finding.report.facts.get(side) for side in ("left", "right"))
        if not isinstance(left, tuple) or not isinstance(right, tuple):
            return None
        for step in self.finding.trail[:2]:
            for short, long in ((left, right), (right, left)):
                found = padded(step, short, long, self.scene.frame) if step.shape == short else None
                if found is not None:
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
        blame = of_a_producer(step, axis, self.takes, self.scene.frame, self._consumer())
        return self.moved(blame.place, blame.fix, blame.frame) if blame is not None else None

    def consumer(self) -> Finding | None:
        """An expression for a number that a block was given, or the name of an output where an input is meant."""
        consumer = self._consumer()
        if consumer is None:
            return None
        for rule in (of_a_consumer, of_a_name):
            blame = rule(consumer, self.takes, self.given)
            if blame is not None:
                return self.moved(blame.place, blame.fix, blame.frame)
        found = of_a_list(consumer, self.takes)
        return self.moved(found[0].place, f"{found[1]}={self.given}", found[0].frame) if found is not None else None

    def _consumer(self) -> Consumer | None:
        layer, name = self.scene.layer, self.scene.at
        made = layer.layer if layer is not None else None
        return Consumer(made.call, name, made.row.signature) if made is not None and name in TAKES and name else None

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

    def other_number(self) -> Finding | None:
        """``nn.Conv2d(width_out, ...)`` where the parameter ``width_in`` would fit, and is never read."""
        layer = self.scene.layer
        call = layer.layer.call if layer is not None and layer.layer is not None else None
        if call is None:
            return None
        node, frame = call.node, call.frame
        while True:
            for name, value in frame.locals.items():
                if value == self.given and not isinstance(value, bool) and is_unread(frame, name):
                    return self.moved(frame.place(node), f"{name}, which is never used")
            if frame.call is None:
                return None
            node, frame = frame.call.node, frame.call.frame


def _child(module: Instance, layer: Instance | None) -> tuple[str, Instance] | None:
    """The attribute of a module in which a layer hangs."""
    while layer is not None and layer.owner is not None:
        owner, name = layer.owner
        if owner is module:
            return name, layer
        layer = owner
    return None


def _leaves(module: Instance) -> Iterator[Instance]:
    if module.layer is not None:
        yield module
        return
    for _, child in module.children():
        yield from _leaves(child)


def _is_idle(module: Instance) -> bool:
    """Is neither a module ever called nor a member of it, as those of a list are one by one?"""
    return not module.called and not any(leaf.called for leaf in _leaves(module))


def _element(step: Step, index: int) -> Place:
    """One of the tensors that a concatenation is written with, or all of it."""
    assert step.place is not None
    node = step.place.node
    first = node.args[0].value if isinstance(node, cst.Call) and node.args else None
    if isinstance(first, (cst.Tuple, cst.List)) and len(first.elements) == len(step.parents):
        return replace(step.place, node=first.elements[index].value)
    return step.place


def _takes(module: Instance) -> object:
    """What the first layer of a module takes."""
    for leaf in _leaves(module):
        for name in TAKES:
            if name in leaf.attrs:
                value = leaf.attrs[name]
                return value[-1] if isinstance(value, tuple) and value else value
    return None


def _gives(module: Instance) -> int | None:
    """What the last layer of a module gives that changes the number of channels."""
    given = [leaf.attrs[name] for leaf in _leaves(module) for name in GIVES if name in leaf.attrs]
    return given[-1] if given and isinstance(given[-1], int) else None


def _called_twice(step: Step, module: Instance) -> Iterator[tuple[Step, Place]]:
    """The inputs of a step that a layer of the module has made which had made another one before, with its call."""
    seen: set[str] = set()
    for parent in step.parents:
        scope = parent.scope
        if not isinstance(scope, Scope):
            continue
        node, layer = scope.node, scope.layer
        for frame in scope.frame.stack():
            if frame.self_value is module:
                child = _child(module, layer)
                if child is not None and node is not None and child[0] in seen:
                    yield parent, frame.place(node)
                seen.update([child[0]] if child is not None else [])
                break
            layer = frame.self_value if isinstance(frame.self_value, Instance) else layer
            node = frame.call.node if frame.call is not None else None


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


def _size(machine: Machine, value: object, axis: int) -> Dim | None:
    if not isinstance(value, Tensor):
        return None
    sizes = machine.shape(value.shape).known
    return sizes[axis] if -len(sizes) <= axis < 0 else None
