"""Where a finding stands: the expression that a person would edit, in the file that is being linted.

A number passed on as a parameter is followed to the caller who wrote it, up to the place where both sides of the
disagreement were made: two layers of one block disagree inside the block, two blocks where both were constructed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

import libcst as cst

from conv_lint import catalogue
from conv_lint.dims import Dim
from conv_lint.finding import CALL, Finding, Origin, Place, Report, Step
from conv_lint.interpreter.decided import argument_node, passed_on
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Call, Frame, Instance
from conv_lint.interpreter.own_layers import Number, constructed_in, number_of
from conv_lint.interpreter.repair import STRIDE, Repair, repairs
from conv_lint.interpreter.ways import Scene, Scope, decided_by
from conv_lint.ops.table import Signature


def report_at(machine: Machine, frame: Frame, node: cst.CSTNode, report: Report, trail: tuple[Step, ...] = ()) -> None:
    """Report something of a node itself."""
    if machine.muted:
        return
    places = [frame.place(node), *_calls(frame)]
    _keep(machine, report, places, trail)


def report_argument(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    report: Report,
    at: str | None,
    signature: Signature | None,
    layer: Instance | None = None,
    trail: tuple[Step, ...] = (),
) -> None:
    """Report something of the argument ``at`` of a call, or of the construction of the layer that was called."""
    if machine.muted:
        return
    source = report.facts.get("source")
    step = source.step if isinstance(source, Origin) else None
    made = decided_by(step, report.facts.get("given")) if step is not None else None
    theirs = made if made is not None and isinstance(made.scope, Scope) else step
    site = layer.layer.call if layer is not None and layer.layer is not None else None
    stop = _common_scope(frame, site.frame if site is not None else None, theirs)
    places: list[Place] = []
    makers: list[Place] = []
    own = number_of(report, trail, frame) if layer is None and at != CALL else None
    if own is not None:
        places += _own_places(own, frame, report, theirs)
    if site is not None and at is not None:
        # Of several numbers for one, the layer takes the wrong parameter: the caller is right.
        stop = site.frame if report.facts.get("fix") == catalogue.ONE else stop
        handed = written(site, at, signature, stop, report.facts.get("takes"))
        places += [place for place, _ in handed]
        report.facts["fix"] = _by_parameter(report.facts.get("fix"), at, handed, machine.tree.path)
        makers = list(_calls(site.frame))
        is_own = any(place.file.path == machine.tree.path for place in places)
        if is_own or not _is_ready_made(makers, machine):
            places, makers = [*places, *makers], []
        if not is_own and str(report.facts.get("fix")).startswith(f"{at}="):
            # A layer of a library, by its own numbers: it is used in a wrong way.
            report.facts["fix"] = _GRAY if _is_gray(report, trail) else None
    chain = _chain(frame, node, layer) if at == CALL else None
    if node is not None and at == CALL and not _beside(layer, trail):
        joined = chain.call if chain is not None else None
        places.insert(0, frame.place(node) if joined is None else joined.frame.place(joined.node))
    elif node is not None:
        expression = argument_node(node, at, signature) if at is not None and layer is None else None
        followed = _followed(expression, frame, stop) if expression is not None else [(frame.place(node), None)]
        places += [place for place, _ in followed]
    if at == CALL and (chain is not None or _beside(layer, trail)):
        report.facts["fix"] = _as_layers(report.facts.get("fix"))
    places += [*_calls(frame), *makers]
    scene = Scene(frame, node, layer, at, tuple((f, dict(f.locals)) for f in frame.stack()))
    _keep(machine, report, [*_wrong_size(machine, report, trail, frame), *places], trail, scene)


#: What makes three channels of one.
_GRAY = "x.repeat(1, 3, 1, 1) for x, its one channel three times"


def _is_gray(report: Report, trail: tuple[Step, ...]) -> bool:
    """Is a batch of gray images given to a model for colour?"""
    numbers = report.facts.get("takes"), report.facts.get("given")
    return numbers == (3, 1) and bool(trail) and tuple.__len__(trail[0].shape) == 4


def _is_ready_made(makers: list[Place], machine: Machine) -> bool:
    """Does the linted file take a library's model as it is: ``resnet18(pretrained=True)``?"""
    own = next((place.node for place in makers if place.file.path == machine.tree.path), None)
    if not isinstance(own, cst.Call):
        return False
    return all(
        argument.keyword.value in _HARMLESS
        if argument.keyword is not None
        else isinstance(argument.value, cst.Name) and argument.value.value in ("True", "False", "None", "pretrained")
        for argument in own.args
    )


#: Arguments of factories that change no number of any layer.
_HARMLESS = frozenset({"pretrained", "weights", "progress"})


#: What is written in front of a layer, and the layers that do the same.
_LAYERS = {
    "F.adaptive_avg_pool2d(x, 1).flatten(1) first": "nn.AdaptiveAvgPool2d(1), nn.Flatten() before it",
    "torch.flatten(x, 1) first": "nn.Flatten() before it",
}


def _as_layers(fix: object) -> object:
    """Advice for a layer in a Sequential, where nothing has a name."""
    for functional, layers in _LAYERS.items():
        if isinstance(fix, str) and fix.startswith(functional):
            return fix.replace(functional, layers)
    return fix


def _chain(frame: Frame, node: cst.CSTNode | None, layer: Instance | None) -> Instance | None:
    """The Sequential that a call runs, where the layer belongs to another module: ``Sequential(*net.children())``."""
    if not isinstance(node, cst.Call) or layer is None:
        return None
    called: object = None
    match node.func:
        case cst.Name(value=name):
            called = frame.locals.get(name)
        case cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value=attribute)):
            owner = frame.locals.get(name)
            called = owner.attrs.get(attribute) if isinstance(owner, Instance) else None
    if not isinstance(called, Instance) or called.torch_name != "torch.nn.Sequential":
        return None
    holder: Instance | None = layer
    while holder is not None:
        if holder is called:
            return None
        holder = holder.owner[0] if holder.owner is not None else None
    return called


def _beside(layer: Instance | None, operands: tuple[Step, ...]) -> bool:
    """Has another member of the layer's own Sequential made its input?  What is missing is missing between the two."""
    step = operands[0] if operands else None
    while step is not None and step.parents and step.made is None and step.shape == step.parents[0].shape:
        step = step.parents[0]  # dropout or an activation
    scope = step.scope if step is not None else None
    before = scope.layer if isinstance(scope, Scope) else None
    if layer is None or layer.owner is None or before is None or before.owner is None:
        return False
    return layer.owner[0] is before.owner[0] and layer.owner[0].torch_name == "torch.nn.Sequential"


def _wrong_size(machine: Machine, report: Report, operands: tuple[Step, ...], frame: Frame) -> list[Place]:
    """Of tensors that do not fit by their height or width, the argument of the layer that made one of them so."""
    axis, shape = report.facts.get("axis"), report.facts.get("left")
    if report.rule not in (catalogue.broadcast, catalogue.concatenate) or not isinstance(axis, int):
        return []
    if not isinstance(shape, tuple):
        return []
    axis -= len(shape)
    sizes: list[Dim] = [report.facts[name] for name in ("a", "b")]  # type: ignore[misc]
    found = repairs(operands, axis, sizes, frame)
    if report.rule is catalogue.broadcast:
        # A sum without a layer on its other side may lack one there, that has the stride.
        found = [r for r in found if r.rank != STRIDE or not r.alone or _is_own(r, frame.self_value)]
    found = [r for r in found if r.rank != STRIDE or not r.decided.outside]
    if not found or len({id(r.decided.frame.function) for r in found}) > 1:
        return []
    repair = min(found, key=lambda r: r.doubt)
    if repair.rank != STRIDE or len(found) == 1:
        fix = f"{repair.name}={repair.value} in {repair.step.label}"
        if repair.rank == STRIDE and repair.alone and report.rule is catalogue.broadcast:
            fix += f", or give the other side a layer with stride={repair.window.stride}"
        report.facts["fix"] = fix
    return [repair.decided.place, *_calls(repair.decided.frame)]


def _is_own(repair: Repair, module: object) -> bool:
    """Is it a stride that a block gives a layer of its own, whatever it is made for, and has it no optional layer?"""
    node, made = repair.decided.place.node, repair.decided.frame.self_value
    if not isinstance(module, Instance) or made is not module or any(v is None for v in module.attrs.values()):
        return False
    return isinstance(node, cst.Integer) or (isinstance(node, cst.Call) and repair.window.follows)


#: A place where a number is written, and the parameter that it is given to there, if it is handed on from one.
Handed: TypeAlias = "tuple[Place, str | None]"


def _by_parameter(fix: object, at: str, handed: list[Handed], path: str) -> object:
    """``in_features=256`` by the name that it has at the call where the finding stands: ``channel=256``."""
    name = next((name for place, name in handed if place.file.path == path), None)
    if name is None or not isinstance(fix, str) or re.fullmatch(rf"{at}=\d+", fix) is None:
        return fix
    return f"{name}={fix.partition('=')[2]}"


#: Arguments of layers that are a number of channels or features, and parameters that are none by their names.
_WIDTHS = frozenset(
    "in_channels out_channels in_features out_features num_features num_channels normalized_shape embed_dim".split()
)
_NO_WIDTH = re.compile(
    r"spatial|^(?!.*(?:dim|width|chan|plane|feat|hidden|embed))"
    r"(?:.*(?:kernel|stride|pad|dilat|ksize|scale|group|head|depth|layers|drop)|(?:k|ks|p)$)"
)


def written(made: Call, at: str, signature: Signature | None, stop: object, value: object) -> list[Handed]:
    """The argument of a construction, followed to where it was written; the construction itself if it was not given."""
    expression = argument_node(made.node, at, signature)
    if expression is None:
        here: list[Handed] = [(made.frame.place(made.node), None)]
        frame = made.frame
        inside = frame is stop or (stop is not None and frame.self_value is stop)
        passed = None if inside or signature is None else passed_on(made, at, signature.positional)
        return [*_followed(*passed, stop, value), *here] if passed is not None else here
    if at in _WIDTHS and isinstance(expression, cst.Name) and _NO_WIDTH.search(expression.value):
        return [(made.frame.place(expression), None)]  # the caller is right: it is the wrong one of the parameters
    return _followed(expression, made.frame, stop, value)


def _keep(
    machine: Machine, report: Report, places: list[Place], trail: tuple[Step, ...], scene: Scene | None = None
) -> None:
    """The first place in the linted file is where the finding stands; the others name the way to it."""
    path = machine.tree.path
    own = [p for p in places if p.file.path == path]
    if not own:
        return
    others = tuple(p for p in places if p is not own[0])
    of_user = machine.visiting and places[0] is not own[0]
    machine.report(Finding(report, own[0], trail, others, scene, of_user))


def _followed(expression: cst.CSTNode, frame: Frame, stop: object, value: object = None) -> list[Handed]:
    """The expression, and what callers wrote for it if it is a mere parameter; the outermost first."""
    places: list[Handed] = [(frame.place(expression), None)]
    while isinstance(expression, cst.Name):
        frame = frame.holder(expression.value)
        given = frame.given(expression.value, value)
        if given is None or _is_star(*given):
            given = _from_stars(frame, expression.value) or given
        if given is None:
            break
        if frame is stop or (stop is not None and frame.self_value is stop):
            break
        name = expression.value
        expression, caller = given
        if caller is None:
            assert frame.function is not None
            places.append((Place(frame.function.tree, expression), name))
            break
        frame = caller
        places.append((frame.place(expression), name))
    return places[::-1]


def _is_star(expression: cst.CSTNode, caller: Frame | None) -> bool:
    """Is it the ``args`` of a function that hands on its ``*args``?"""
    star = caller.function.node.params.star_arg if caller is not None and caller.function is not None else None
    return isinstance(expression, cst.Name) and isinstance(star, cst.Param) and star.name.value == expression.value


def _from_stars(frame: Frame, name: str) -> tuple[cst.CSTNode, Frame] | None:
    """What was written for a parameter of a function that others call with their ``*args`` and ``**kwargs``."""
    if frame.call is None or frame.function is None:
        return None
    params = frame.function.node.params
    is_method = frame.function.owner is not None and frame.function.kind != "static"
    positional = [p.name.value for p in (*params.posonly_params, *params.params)][is_method:]
    if name not in (*positional, *(p.name.value for p in params.kwonly_params)):
        return None
    return passed_on(frame.call, name, positional)


def _calls(frame: Frame) -> Iterator[Place]:
    """The calls that led here, the innermost first."""
    return (f.call.frame.place(f.call.node) for f in frame.stack() if f.call is not None)


def _own_places(own: Number, frame: Frame, report: Report, theirs: Step | None) -> list[Place]:
    """Where the number of an own layer was written, unless that is in the layer itself."""
    stop = _common_scope(frame, own.frame, theirs)
    handed = _followed(own.parameter, own.frame, stop, own.value)
    if len(handed) == 1:
        return []
    name = next((name for _, name in handed if name is not None), own.parameter.value)
    report.facts |= {"fix": f"{name}={own.wanted}", "layer": own.layer.label}
    return [place for place, _ in handed[:-1]]


def _common_scope(frame: Frame, site: Frame | None, step: Step | None) -> object:
    """Where both sides were made: the frame that constructed both layers, or the module whose forward ran both.

    ``site``: the frame that constructed the layer that is not content.
    """
    scope = step.scope if step is not None else None
    if not isinstance(scope, Scope):
        return None
    maker = constructed_in(scope, site)
    if site is not None and maker is not None:
        theirs = list(maker.stack())
        common = next((f for f in site.stack() if f in theirs), None)
        if common is not None and common.function is not None:
            return common
    callers = list(scope.frame.stack())
    shared = next((f for f in frame.stack() if f in callers), None)
    return shared.self_value if shared is not None else None
