"""The transforms of torchvision: from an image, or a tensor ``(..., C, H, W)``, to the new one, as far as shapes go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conv_lint import catalogue, dims
from conv_lint.dims import Dim, Expr
from conv_lint.finding import Step
from conv_lint.interpreter import locate
from conv_lint.interpreter.data import Image, as_size, image_of, made_like
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import Instance, Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.tensors import of_kind
from conv_lint.values import List, Rest, Shape, Tensor, Unknown, Value


def transform(*names: str) -> Callable[[Callable[..., Image | None]], Callable[..., Image | None]]:
    """Register a transform of torchvision: from the image and the arguments of its construction to the new image."""

    def register(rule: Callable[..., Image | None]) -> Callable[..., Image | None]:
        for name in names:
            for module in ("torchvision.transforms.", "torchvision.transforms.v2."):
                native(module + name)(_constructor(rule))
        return rule

    return register


def _constructor(rule: Callable[..., Image | None]) -> Callable[..., Value]:
    def construct(made_by: Context, *args: Value, **kwargs: Value) -> Value:
        def run(c: Context, value: Value = None, *more: Value) -> Value:
            return _transformed(made_by, rule, value, args, kwargs)

        return Native(made_by.name, run)

    return construct


def _transformed(
    c: Context,
    rule: Callable[..., Image | None],
    value: Value,
    args: Sequence[Value],
    kwargs: Mapping[str, Value],
) -> Value:
    """A picture, or a tensor ``(..., C, H, W)``, behind a transform."""
    if isinstance(value, Tensor) and rule is _kept:
        # One of them turns whole numbers into floats.
        return value if value.dtype != "int" else of_kind(value, None)
    image, before = image_of(value), tuple[Any, ...]()
    if image is None and isinstance(value, Tensor):
        image, before = _last_three(c.machine.shape(value.shape))
    try:
        out = rule(image, *args, **kwargs) if image is not None else None
    except TypeError:  # arguments that are not understood
        out = None
    return made_like(c, value, out, before) if out is not None else Unknown(f"the result of {c.name}")


def _last_three(shape: Shape) -> tuple[Image | None, tuple[Any, ...]]:
    """Channels, height and width of a batch, as far as they are known, and what stands before them."""
    sizes = tuple(tuple.__iter__(shape))
    if shape.rest is not None:
        known = sizes[1:][-3:]
        last = [*(dims.unknown(1) for _ in range(3 - len(known))), *known]
        before = shape.rest if len(known) == 3 else Rest(shape.rest.reason), *sizes[1:-3]
        return (last[0], last[1], last[2]), before
    return ((sizes[-3], sizes[-2], sizes[-1]), sizes[:-3]) if len(sizes) > 3 else (None, ())


def functional(*names: str) -> Callable[[Callable[..., Image | None]], Callable[..., Image | None]]:
    """Register a transform under its names in torchvision.transforms.functional: the image comes first."""

    def register(rule: Callable[..., Image | None]) -> Callable[..., Image | None]:
        def run(c: Context, img: Value = None, *args: Value, **kwargs: Value) -> Value:
            value = next((kwargs.pop(name) for name in _IMAGES if name in kwargs), img)
            return _transformed(c, rule, value, args, kwargs)

        for name in names:
            for module in ("torchvision.transforms.functional.", "torchvision.transforms.v2.functional."):
                native(module + name)(run)
        return rule

    return register


#: What the functions of torchvision call the image.
_IMAGES = ("img", "inpt", "image", "pic", "tensor")


@functional(
    "normalize", "hflip", "horizontal_flip", "vflip", "vertical_flip", "adjust_brightness", "adjust_contrast",
    "adjust_hue", "adjust_saturation", "adjust_gamma", "adjust_sharpness", "autocontrast", "equalize", "invert",
    "posterize", "solarize", "gaussian_blur", "affine", "perspective", "erase", "convert_image_dtype", "to_dtype",
)  # fmt: skip
@transform(
    "RandomHorizontalFlip", "RandomVerticalFlip", "ColorJitter", "RandomErasing", "GaussianBlur", "RandomGrayscale",
    "RandomInvert", "RandomPosterize", "RandomSolarize", "RandomAdjustSharpness", "RandomAutocontrast",
    "RandomEqualize", "AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix", "RandomPerspective",
    "RandomAffine", "ConvertImageDtype", "ToDtype", "RandomChannelPermutation", "ElasticTransform",
)  # fmt: skip
def _kept(image: Image, *values: Value, **more: Value) -> Image:
    return image


@functional("rotate")
@transform("RandomRotation")
def _rotated(image: Image, degrees: Value, *values: Value, expand: Value = False, **more: Value) -> Image | None:
    return image if expand is False and len(values) < 2 else None


@functional("resize")
@transform("Resize")
def _resized(image: Image, size: Value, *values: Value, max_size: Value = None, **more: Value) -> Image | None:
    """One number is the shorter side; two are height and width."""
    channels, height, width = image
    pair = _pair(size)
    if pair is not None and isinstance(size, (tuple, List)):
        return channels, *pair
    if pair is None or max_size is not None:
        return None
    short = pair[0]
    if height is width or height == width:
        return channels, short, short
    if isinstance(height, int) and isinstance(width, int) and isinstance(short, int):
        long = int(short * max(height, width) / min(height, width))
        return (channels, long, short) if height > width else (channels, short, long)
    return channels, dims.unknown(1), dims.unknown(1)


def _pair(size: Value) -> tuple[Dim, Dim] | None:
    """``224`` or ``(224, 200)`` as height and width."""
    if isinstance(size, List) and not size.open:
        size = tuple(size.items)
    if isinstance(size, tuple) and len(size) == 2:
        return as_size(size[0]), as_size(size[1])
    if isinstance(size, tuple) and len(size) == 1:
        size = size[0]
    if isinstance(size, (int, Expr)) and not isinstance(size, bool):
        return size, size
    return None


@functional("center_crop")
@transform("CenterCrop", "RandomResizedCrop")
def _cropped(image: Image, size: Value, *values: Value, **more: Value) -> Image | None:
    pair = _pair(size)
    return (image[0], *pair) if pair is not None else None


@transform("RandomCrop")
def _random_crop(image: Image, size: Value, *values: Value, **more: Value) -> Image | None:
    return _cropped(image, size)


@functional("pad")
@transform("Pad")
def _padded(image: Image, padding: Value, *values: Value, **more: Value) -> Image | None:
    if not isinstance(padding, int):
        return None
    return image[0], image[1] + 2 * padding, image[2] + 2 * padding


@functional("crop")
def _cut_out(image: Image, top: Value, left: Value, height: Value, width: Value) -> Image:
    return image[0], as_size(height), as_size(width)


@functional("resized_crop")
def _cut_and_resized(image: Image, top: Value, left: Value, height: Value, width: Value, size: Value, *values: Value,
                     **more: Value) -> Image | None:  # fmt: skip
    return _cropped(image, size)


@functional("rgb_to_grayscale", "to_grayscale")
@transform("Grayscale")
def _gray(image: Image, num_output_channels: Value = 1) -> Image | None:
    return as_size(num_output_channels), image[1], image[2]


@native("torchvision.transforms.ToTensor", "torchvision.transforms.PILToTensor", "torchvision.transforms.v2.ToTensor",
        "torchvision.transforms.v2.ToImage", "torchvision.transforms.v2.PILToTensor")  # fmt: skip
def _to_tensor(made_by: Context) -> Value:
    return Native("ToTensor", _tensor_of)


@native("torchvision.transforms.functional.to_tensor", "torchvision.transforms.functional.pil_to_tensor")
def _tensor_of(c: Context, value: Value = None) -> Value:
    """``(C, H, W)`` of an image, or of an array ``(H, W, C)`` or ``(H, W)``."""
    image = image_of(value) if isinstance(value, Instance) else None
    if isinstance(value, Tensor) and value.shape.rest is None and len(value.shape) in (2, 3):
        sizes = tuple(value.shape)
        image = (sizes[2], sizes[0], sizes[1]) if len(sizes) == 3 else (1, sizes[0], sizes[1])
    if image is None:
        return Unknown("a tensor made from something unknown")
    return Tensor(Shape(image), Step("ToTensor", c.place, image), "float")


@native("torchvision.transforms.Compose", "torchvision.transforms.v2.Compose")
def _compose(made_by: Context, transforms: Value) -> Value:
    steps = items_of(made_by.machine, transforms)

    def run(c: Context, value: Value = None, *more: Value) -> Value:
        for step in steps if steps is not None else [Unknown("unknown transforms")]:
            value = c.call(step, value)
        return value

    return Native("Compose", run)


@native("torchvision.transforms.Lambda", "torchvision.transforms.v2.Lambda")
def _lambda(made_by: Context, function: Value, *types: Value) -> Value:
    return function


@native("torchvision.transforms.RandomApply", "torchvision.transforms.RandomChoice",
        "torchvision.transforms.RandomOrder")  # fmt: skip
def _sometimes(made_by: Context, transforms: Value, *values: Value, **more: Value) -> Value:
    """The image as it was, if each of the transforms leaves its size alone."""
    steps = items_of(made_by.machine, transforms)

    def run(c: Context, value: Value = None, *more: Value) -> Value:
        before = image_of(value)
        after = [image_of(c.call(step, value)) for step in steps or ()]
        return value if steps is not None and all(one == before for one in after) else Unknown(made_by.name)

    return Native("RandomApply", run)


@native("torchvision.transforms.Normalize", "torchvision.transforms.v2.Normalize")
def _normalize(made_by: Context, mean: Value, std: Value = None, inplace: Value = False) -> Value:
    counts = [len(items) for v in (mean, std) if (items := items_of(made_by.machine, v)) is not None]

    def run(c: Context, value: Value = None, *more: Value) -> Value:
        image = image_of(value)
        if isinstance(value, Tensor) and image is not None:
            for count in counts:
                # In place: one number fits any number of channels, but three do not fit one channel.
                if count != 1 and dims.eq(image[0], count) is False:
                    _report(made_by, count, image[0])
                    break
        return value

    return Native("Normalize", run)


def _report(made_by: Context, count: int, channels: Dim) -> None:
    report = catalogue.norm_size(
        layer="Normalize", takes=count, what="channels", given=channels, fix=f"a mean and a std for {channels}"
    )
    if made_by.node is not None:
        locate.report_at(made_by.machine, made_by.frame, made_by.node, report)
