"""Layers that are never called and values that are never read: what they say about a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import libcst as cst

from conv_lint.dims import Dim, eq
from conv_lint.finding import Finding, Origin, Place, Step
from conv_lint.interpreter.follows import OF_JOINS, steps
from conv_lint.interpreter.forgotten import dropped_tensors, overwritten_tensors, passed, unattached
from conv_lint.interpreter.judge import TAKES, Judge, child_of, gives_of, is_idle, size_of, takes_of
from conv_lint.interpreter.objects import Instance
from conv_lint.interpreter.repair import window_of_layer
from conv_lint.interpreter.sides import GIVES
from conv_lint.interpreter.unread import is_unread
from conv_lint.interpreter.ways import Scope, order_of, size_at
from conv_lint.tree import walk
from conv_lint.values import Tensor

CATS = ("torch.cat", "torch.concat", "torch.concatenate")


#: So small a number may stand for anything, unless its name says that it is one of channels.
FEW = 4
_CHANNELS = re.compile("ch|in_|_in|inp|plane|filter|dim|width|feat|nc", re.IGNORECASE)


class Idle(Judge):
    """Rules by what the program has made and does not use."""

    def other_layer(self) -> Finding | None:
        """``self.bn1(x)`` where ``self.bn2`` would fit, and is never called."""
        for frame, node, module in self.callers():
            called = child_of(module, self.scene.layer)
            if called is None:
                continue
            for name, other in module.children():
                if not is_idle(other) or other is called[1] or other.class_name != called[1].class_name:
                    continue
                is_own = other.owner is not None and other.owner[0] is module
                # Of what is more than one layer, only a run tells whether it would do.
                fits = (
                    is_own
                    and takes_of(other) == self.given
                    and (not other.is_container or self.makes(other) is not None)
                )
                if fits:
                    return self.moved(frame.place(node), f"self.{name}, which is never called")
        return None

    def renamed(self) -> Finding | None:
        """``self.bn2 = nn.BatchNorm2d(8)`` and further down ``self.bn2 = nn.BatchNorm1d(8)``: the first one is lost."""
        rank = self.finding.report.facts.get("rank")
        for _, _, module in self.callers():
            called = child_of(module, self.scene.layer)
            lost = module.replaced.get(called[0]) if called is not None else None
            if called is None or lost is None:
                continue
            first, second = _always_made(lost), _always_made(called[1])
            takes = takes_of(lost) == self.given if rank is None else lost.class_name.endswith(f"{int(str(rank)) - 2}d")
            if takes and first is not None and second is not None:
                verb = "" if rank is None else "write "  # in the words of its message
                fix = f"{verb}another name than self.{called[0]}, which line {first.line} gives to {lost.class_name}"
                return self.moved(second, fix)
        return None

    def repeated_layer(self) -> Finding | None:
        """``self.conv(self.gate(self.conv(x)))`` where ``self.sigmoid`` is the one layer that is never called."""
        layer = self.scene.layer
        made = [s.scope.layer for s in steps(self.finding.trail) if isinstance(s.scope, Scope)]
        for frame, node, module in self.callers() if any(other is layer for other in made) else ():
            idle = [(n, c) for n, c in module.children() if is_idle(c) and c.owner is not None and c.owner[0] is module]
            if len(idle) == 1 and idle[0][1].layer is not None and takes_of(idle[0][1]) in (None, self.given):
                return self.moved(frame.place(node), f"self.{idle[0][0]}, which is never called")
            return None  # further out it is another module that is called twice
        return None

    def skipped_layer(self) -> Finding | None:
        """``self.fc(x)`` where ``self.stage4`` makes of ``x`` what ``self.fc`` takes, and is never called."""
        for frame, node, module in self.callers():
            for name, other in module.children():
                if not is_idle(other) or takes_of(other) != self.given:
                    continue
                if other.is_container and not list(other.children()):
                    continue
                if self.makes(other) == self.takes:
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
                if not is_own or not is_idle(other) or takes_of(other) != self.given:
                    continue
                if self.makes(other) == self.takes:
                    return self.moved(place, f"self.{name}(...) around it, which is never called")
                if gives_of(other) == self.takes:  # of a tensor of another rank
                    return self.moved(place, f"self.{name} first, which is never called")
        return None

    def uncalled(self) -> Finding | None:
        """A layer of the module that joins two tensors, which would make one of them as large as the other, and is
        never called."""
        axis, facts = self.axis(), self.finding.report.facts
        if axis is None or "a" not in facts or "b" not in facts:
            return None
        one: Dim = facts["a"]  # type: ignore[assignment]
        two: Dim = facts["b"]  # type: ignore[assignment]
        for frame, node, module in self.callers():
            for name, other in module.children():
                window = window_of_layer(other, axis) if is_idle(other) else None
                if window is not None and (eq(window.over(one), two) or eq(window.over(two), one)):
                    return self.moved(frame.place(node), f"self.{name}(...) before it, which is never called")
        return None

    def other_tensor(self) -> Finding | None:
        """``self.conv2(x)`` where the tensor ``out`` would fit, and is never read."""
        axis, node = self.axis(), self.scene.node
        if axis is None:
            return None
        for frame, names in self.scene.locals:
            if node is not None:
                for name, value in names.items():
                    if is_unread(frame, name) and size_of(self.machine, value, axis) == self.takes:
                        return self.moved(frame.place(node), f"{name}, which is never used")
            node = frame.call.node if frame.call is not None else None
        return None

    def overwritten(self) -> Finding | None:
        """``z = self.conv(y)`` and then ``z = torch.relu(x)``, where the first ``z`` would fit."""
        axis = self.axis()
        for lost in overwritten_tensors(self.scene, self.finding.trail) if axis is not None else ():
            if size_of(self.machine, lost.value, axis or 0) == self.takes:
                return self.moved(lost.place, f"{lost.name} in it: what line {lost.line} gives it is never used")
        return None

    def dropped(self) -> Finding | None:
        """``x.view(-1, 576)`` as a statement, which leaves ``x`` as it is."""
        for lost in dropped_tensors(self.scene, self.finding.trail):
            return self.moved(lost.place, self.written(f"{lost.name} = {lost.meant}, its result is lost here"))
        return None

    def edited(self) -> Finding | None:
        """``model.conv1.in_channels = 1`` leaves the weight of the layer as it was made."""
        source = self.finding.report.facts.get("source")
        step = source.step if isinstance(source, Origin) else None
        maker = step.scope.layer if step is not None and isinstance(step.scope, Scope) else None
        for layer, names in ((self.scene.layer, TAKES), (maker, GIVES)):
            for name in names:
                place = layer.edited.get(name) if layer is not None else None
                if place is not None:
                    return self.moved(place, f"a new layer here, setting {name} leaves the weight as it is")
        return None

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
                size = size_of(self.machine, value, step.made)
                if isinstance(size, int) and is_unread(scope.frame, name) and self.lacks(step, [size]):
                    return self.moved(step.place, f"{name} into it, which is never used")
            module = scope.frame.self_value
            for name, child in module.children() if isinstance(module, Instance) else ():
                size = gives_of(child) if is_idle(child) else None
                if size is None or child.owner is None or child.owner[0] is not module:
                    continue
                if self.lacks(step, [size]):
                    return self.moved(step.place, f"self.{name}(...) into it, which is never called")
                for place in self._bare(step, child, size):
                    return self.moved(place, f"self.{name}(...) around it, which is never called")
                for parent, place in _called_twice(step, module):
                    made = size_at(parent, step.made)
                    if isinstance(made, int) and self.lacks(step, [size - made]):
                        return self.moved(place, f"self.{name}(...), which is never called")
        return None

    def _bare(self, step: Step, layer: Instance, gives: int) -> Iterator[Place]:
        """The tensor in a concatenation of which a layer would make what is needed; all of it if several are such."""
        made = [size_at(parent, step.made) for parent in step.parents if step.made is not None]
        fitting = [i for i, s in enumerate(made) if s == takes_of(layer) and isinstance(s, int)]
        sizes = [gives - s for i, s in enumerate(made) if i in fitting and isinstance(s, int)]
        if fitting and step.place is not None and self.lacks(step, sizes[:1]):
            yield _element(step, fitting[0]) if len(fitting) == 1 else step.place

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
            if not isinstance(scope, Scope) or scope.op is None or step.place is None:
                continue
            order = order_of(scope.op, tuple.__len__(step.shape))
            if order is not None and order == list(range(len(order))):
                return self.moved(step.place, self.written("another order in it, this one changes nothing"))
        return None

    def unattached(self) -> Finding | None:
        """A layer that would make one of the two sizes the other, was made beside the block and given to nobody."""
        facts = self.finding.report.facts
        sizes = facts.get("a"), facts.get("b")
        if self.axis() is None or None in sizes:
            return None
        for name, layer, made in unattached(self.scene.frame):
            if (takes_of(layer), gives_of(layer)) in (sizes, sizes[::-1]):
                return self.moved(made.frame.place(made.node), f"{name} into it, which is never used", made.frame)
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
                is_meant = isinstance(value, int) and (value > FEW or _CHANNELS.search(name) is not None)
                if value != self.given or isinstance(value, bool) or len(name) == 1 or not is_meant:
                    continue  # a name of one letter counts something
                if is_unread(frame, name):
                    return self.moved(frame.place(node), f"{name}, which is never used")
            if frame.call is None:
                return None
            node, frame = frame.call.node, frame.call.frame

    def single(self) -> Finding | None:
        """A concatenation of one tensor, where another one is missing."""
        for step in steps(self.finding.trail):
            scope = step.scope
            if not isinstance(scope, Scope) or scope.op is None or scope.op.name not in CATS or step.place is None:
                continue
            if step.made is None or not _is_of_one(step.place.node):
                continue
            for name, value in scope.frame.locals.items():
                size = size_of(self.machine, value, step.made)
                if isinstance(size, int) and self.lacks(step, [size]):
                    return self.moved(step.place, f"{name} into it")
            return self.moved(step.place, "another tensor into it")
        return None


def _is_of_one(node: object) -> bool:
    """``torch.cat([x], 1)``, as it is written."""
    shown = node.args[0].value if isinstance(node, cst.Call) and node.args else None
    if not isinstance(shown, (cst.List, cst.Tuple)) or len(shown.elements) != 1:
        return False
    return not isinstance(shown.elements[0], cst.StarredElement)


def _element(step: Step, index: int) -> Place:
    """One of the tensors that a concatenation is written with, or all of it."""
    assert step.place is not None
    node = step.place.node
    first = node.args[0].value if isinstance(node, cst.Call) and node.args else None
    if isinstance(first, (cst.Tuple, cst.List)) and len(first.elements) == len(step.parents):
        return replace(step.place, node=first.elements[index].value)
    return step.place


def _always_made(layer: Instance) -> Place | None:
    """Where a layer is made, if that is a line of a function that no condition and no loop encloses."""
    made, function = layer.made, layer.made.frame.function if layer.made is not None else None
    if function is None or made is None:
        return None
    lines = [line for line in function.node.body.children if isinstance(line, cst.SimpleStatementLine)]
    return made.frame.place(made.node) if any(node is made.node for line in lines for node in walk(line)) else None


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
                child = child_of(module, layer)
                if child is not None and node is not None and child[0] in seen:
                    yield parent, frame.place(node)
                seen.update([child[0]] if child is not None else [])
                break
            layer = frame.self_value if isinstance(frame.self_value, Instance) else layer
            node = frame.call.node if frame.call is not None else None
