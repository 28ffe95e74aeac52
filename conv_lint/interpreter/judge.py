"""A finding on trial: what is known of the call that failed, and where the finding could be moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.finding import Finding, Place, Report, Step, shown_path
from conv_lint.interpreter.follows import OF_JOINS
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Class, Frame, Instance
from conv_lint.interpreter.sides import GIVES, Consumer
from conv_lint.interpreter.ways import Scene, size_at
from conv_lint.tree import walk
from conv_lint.values import Tensor

#: The arguments of layers that say what they take, and what they give.
TAKES = ("in_channels", "in_features", "num_features", "normalized_shape")
#: The findings of a layer and its input.
OF_CHANNELS = (catalogue.input_channels, catalogue.input_features, catalogue.norm_size)


class Judge:
    """A finding, its scene, and the two numbers that disagree."""

    def __init__(self, finding: Finding, machine: Machine) -> None:
        assert isinstance(finding.scene, Scene)
        self.finding, self.machine, self.scene = finding, machine, finding.scene
        facts = finding.report.facts
        self.takes, self.given = facts.get("takes"), facts.get("given")
        #: Is the tensor the wrong one, rather than the layer that is given it?
        self.of_input = False

    def moved(self, place: Place, fix: str | None, frame: Frame | None = None) -> Finding | None:
        """The finding at a place, or at the call in the linted file that led to its ``frame``."""
        path, facts = self.machine.tree.path, dict(self.finding.report.facts)
        if place.file.path != path:
            calls = (f.call.frame.place(f.call.node) for f in frame.stack() if f.call) if frame is not None else ()
            own = next((p for p in calls if p.file.path == path), None)
            if own is None:
                return None
            elsewhere = f"{shown_path(place.file.path)}:{place.line}"
            facts["elsewhere"] = elsewhere
            fix = f"{fix} at {elsewhere}" if fix is not None else None
            place = own
        report = Report(self.finding.report.rule, {**facts, "fix": fix})
        others = tuple(p for p in (self.finding.place, *self.finding.calls) if p.key != place.key)
        return replace(self.finding, report=report, place=place, calls=others)

    def callers(self) -> Iterator[tuple[Frame, cst.CSTNode, Instance]]:
        """The functions that run, each with its call that leads to the failing one, and the module whose it is."""
        node = self.scene.node
        for frame in self.scene.frame.stack():
            if node is not None and isinstance(frame.self_value, Instance) and frame.self_value.is_module:
                yield frame, node, frame.self_value
            node = frame.call.node if frame.call is not None else None

    def makes(self, module: Instance) -> Dim | None:
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

    def lacks(self, step: Step, sizes: list[int]) -> bool:
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

    def consumer_of(self) -> Consumer | None:
        layer, name = self.scene.layer, self.scene.at
        made = layer.layer if layer is not None else None
        return Consumer(made.call, name, made.row.signature) if made is not None and name in TAKES and name else None

    def written(self, fix: str | None) -> str | None:
        """What to write, in the words that the message of the rule asks for."""
        return f"write {fix}" if fix and "; {fix}" in self.finding.report.rule.template else fix


def child_of(module: Instance, layer: Instance | None) -> tuple[str, Instance] | None:
    """The attribute of a module in which a layer hangs."""
    while layer is not None and layer.owner is not None:
        owner, name = layer.owner
        if owner is module:
            return name, layer
        layer = owner
    return None


def leaves(module: Instance) -> Iterator[Instance]:
    if module.layer is not None:
        yield module
        return
    for _, child in module.children():
        yield from leaves(child)


def is_idle(module: Instance) -> bool:
    """Is neither a module ever called nor a member of it, as those of a list are one by one?  What its holder would
    have called, had it not raised before, is not idle."""
    if module.called or any(leaf.called for leaf in leaves(module)):
        return False
    holder, name = module.owner if module.owner is not None else (None, "")
    made = holder.cls if holder is not None else None
    if holder is None or not holder.raised or not isinstance(made, Class) or made.node is None:
        return True
    return name not in _called_in(made.node)


@lru_cache(maxsize=256)
def _called_in(node: cst.ClassDef) -> frozenset[str]:
    """The attributes of itself that a class calls in ``forward``, and in the methods that this calls."""
    methods = {part.name.value: part for part in node.body.body if isinstance(part, cst.FunctionDef)}
    waiting, found = ["forward"], set[str]()
    while waiting:
        method = methods.pop(waiting.pop(), None)
        for here in walk(method) if method is not None else ():
            match here:
                case cst.Call(func=cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name))):
                    found.add(name)
                    waiting.append(name)
    return frozenset(found)


def takes_of(module: Instance) -> object:
    """What the first layer of a module takes."""
    for leaf in leaves(module):
        for name in TAKES:
            if name in leaf.attrs:
                value = leaf.attrs[name]
                return value[-1] if isinstance(value, tuple) and value else value
    return None


def gives_of(module: Instance) -> int | None:
    """What the last layer of a module gives that changes the number of channels."""
    given = [leaf.attrs[name] for leaf in leaves(module) for name in GIVES if name in leaf.attrs]
    return given[-1] if given and isinstance(given[-1], int) else None


def size_of(machine: Machine, value: object, axis: int) -> Dim | None:
    if not isinstance(value, Tensor):
        return None
    sizes = machine.shape(value.shape).known
    return sizes[axis] if -len(sizes) <= axis < 0 else None
