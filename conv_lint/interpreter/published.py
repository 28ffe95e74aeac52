"""The images for which a model is published: what its weights, or the configuration that it carries, say of them.

``weights: Optional[ResNet18_Weights]``, whose members hold ``transforms=partial(ImageClassification, crop_size=224)``
(torchvision, Models and pre-trained weights); ``model.default_cfg = {"input_size": (3, 224, 224), ...}`` of timm and
those who follow it; ``model.input_size = [3, 224, 224]``.  Whoever uses the model gives it such images.
"""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.interpreter.expressions import evaluate
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.modules import walk
from conv_lint.interpreter.objects import Class, Frame, Function, Instance, Partial
from conv_lint.tree import walk as walk_tree
from conv_lint.values import Dict, External, List, Shape, Tensor, Value

#: What carries the default configuration of a model.
_CONFIGURATIONS = ("pretrained_cfg", "default_cfg")
#: What torchvision prepares photographs with (torchvision.transforms._presets), and whether it makes clips of them.
_PRESETS = {
    "ImageClassification": False,
    "SemanticSegmentation": False,
    "OpticalFlow": False,
    "VideoClassification": True,
}
#: What parts of models call the size of the images that they are made for.
_SIDES = ("img_size", "image_size")
#: The channels of a photograph; of any image.
_COLOURS, _CHANNELS = 3, (1, 3, 4)


def image(machine: Machine, module: Instance, maker: Value) -> Tensor | None:
    """A batch (B, C, H, W) of the images for which a model is published, of clips (B, C, T, H, W); ``None`` if nothing
    is said of them.  ``maker``: the function that has made the model.
    """
    sizes, source = _carried(machine, module)
    if sizes is None and isinstance(maker, Function):
        sizes, source = _of_weights(machine, maker)
    if sizes is None:
        return None
    batch = (dims.symbol("B"), *sizes)
    return Tensor(Shape(batch), Step(f"the input, by {source}", None, batch, (), None), sure=True)


# the configuration that a model carries ---------------------------------------------------------------------


def _carried(machine: Machine, module: Instance) -> tuple[tuple[Dim, ...] | None, str]:
    for name in _CONFIGURATIONS:
        found = machine.resolve(module.attrs.get(name))
        if isinstance(found, Dict) and not found.open:
            found = found.items.get("input_size")
        elif isinstance(found, Instance):
            found = found.attrs.get("input_size")
        sizes = _three(machine, found)
        if sizes is not None:
            return (sizes[0], *(_made_for(machine, module) or sizes[1:])), name
    return _three(machine, module.attrs.get("input_size")), "input_size"


def _made_for(machine: Machine, module: Instance) -> tuple[Dim, ...] | None:
    """The height and width that a model or a part of it was made for, which its configuration need not know."""
    for _, part in walk(module):
        for name in _SIDES:
            value = machine.resolve(part.attrs.get(name))
            sides = (value, value) if type(value) is int else value
            if isinstance(sides, tuple) and len(sides) == 2 and all(type(side) is int for side in sides):
                return sides
    return None


def _three(machine: Machine, value: Value) -> tuple[Dim, ...] | None:
    """Channels, height and width, if the value is a list of the three."""
    value = machine.resolve(value)
    items = value.items if isinstance(value, List) and not value.open else value
    if not isinstance(items, (tuple, list)) or len(items) != 3:
        return None
    sizes = tuple(size for size in map(machine.resolve, items) if type(size) is int and size > 0)
    return sizes if len(sizes) == 3 and sizes[0] in _CHANNELS else None


# the weights that a factory takes ---------------------------------------------------------------------------


def _of_weights(machine: Machine, maker: Function) -> tuple[tuple[Dim, ...] | None, str]:
    """By the class of weights that a parameter of a factory is annotated with.  Where its members are for images of
    several sizes, only the channels are known."""
    for weights in _weights(machine, maker):
        found = set(_prepared(machine, weights))
        if len({is_clip for is_clip, _ in found}) == 1:
            (is_clip, space), *others = found
            space = space if not others else (dims.image_size("H"), dims.image_size("W"))
            return (_COLOURS, *((dims.image_size("T"),) if is_clip else ()), *space), weights.name
    return None, ""


def _prepared(machine: Machine, weights: Class) -> Iterator[tuple[bool, tuple[Dim, Dim]]]:
    """Whether the members of a class of weights are for clips, and to what height and width they cut a picture, or
    resize a square one; else the smallest one that they take."""
    for member in map(machine.resolve, weights.attrs.values()):
        if not isinstance(member, Instance):
            continue
        preset, meta = (machine.resolve(member.attrs.get(name)) for name in ("transforms", "meta"))
        options = preset.kwargs if isinstance(preset, Partial) else {}
        kind = preset.function if isinstance(preset, Partial) else preset
        name = kind.name.rpartition(".")[2] if isinstance(kind, (Class, External)) else ""
        if name not in _PRESETS:
            continue
        least = meta.items.get("min_size") if isinstance(meta, Dict) and not meta.open else None
        match machine.resolve(options.get("crop_size", options.get("resize_size", least))):
            case int(side):
                yield _PRESETS[name], (side, side)
            case (int(height), int(width)):
                yield _PRESETS[name], (height, width)


def _weights(machine: Machine, maker: Function) -> Iterator[Class]:
    """The classes that the annotation of the parameter ``weights`` names, ``X`` in ``Optional[X]``."""
    maker = inner if isinstance(inner := maker.unwrapped, Function) else maker
    params = maker.node.params
    frame = Frame(maker.tree, maker.frame.namespace)
    for parameter in (*params.params, *params.kwonly_params):
        if parameter.annotation is None or parameter.name.value != "weights":
            continue
        for node in walk_tree(parameter.annotation.annotation):
            if isinstance(node, cst.Name):
                with machine.quiet():
                    found = machine.resolve(evaluate(machine, frame, node))
                if isinstance(found, Class):
                    yield found
