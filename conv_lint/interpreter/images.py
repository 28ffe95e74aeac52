"""Images of OpenCV, which are arrays ``(H, W, C)``, or ``(H, W)`` if they are gray, and albumentations on them."""

from __future__ import annotations

from collections.abc import Callable

from conv_lint import dims
from conv_lint.dims import Dim
from conv_lint.finding import Step
from conv_lint.interpreter.data import as_size
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.tensors import of_kind
from conv_lint.values import Dict, External, Shape, Tensor, Unknown, Value


def _array(c: Context, sizes: tuple[Dim, ...], like: Tensor | None = None) -> Tensor:
    parents = (like.step,) if like is not None and like.step is not None else ()
    return Tensor(Shape(sizes), Step(c.name.rpartition(".")[2], c.place, sizes, parents), like.dtype if like else "int")


def _sizes(value: Value) -> tuple[Dim, ...] | None:
    """The sizes of an image: two, or three with the channels last."""
    if isinstance(value, Tensor) and value.shape.rest is None and len(value.shape) in (2, 3):
        return tuple(value.shape)
    return None


@native("cv2.imread")
def _imread(c: Context, path: Value = None, flags: Value = 1) -> Value:
    """Color, unless the flag says gray; with any other flag the channels are those of the file."""
    height, width = dims.unknown(1), dims.unknown(1)
    if flags == 0 or flags == External("cv2.IMREAD_GRAYSCALE"):
        return _array(c, (height, width))
    if flags == 1 or flags == External("cv2.IMREAD_COLOR"):
        return _array(c, (height, width, 3))
    return Unknown("an image read with another flag")


@native("cv2.cvtColor")
def _cvt_color(c: Context, image: Value = None, code: Value = None, *more: Value) -> Value:
    sizes = _sizes(image)
    name = code.name.rpartition("_")[2] if isinstance(code, External) else ""
    if sizes is None or not name.startswith(("2", "BGR2", "RGB2", "GRAY2", "RGBA2", "BGRA2", "HSV2", "LAB2")):
        return Unknown("an image of unknown color")
    to = name.partition("2")[2]
    assert isinstance(image, Tensor)
    if to == "GRAY":
        return _array(c, sizes[:2], image)
    return _array(c, (*sizes[:2], 4 if to in ("RGBA", "BGRA") else 3), image)


@native("cv2.resize")
def _resize(c: Context, image: Value = None, dsize: Value = None, *more: Value, **options: Value) -> Value:
    """``dsize`` is width and height, in this order."""
    sizes = _sizes(image)
    if sizes is None or not isinstance(image, Tensor):
        return Unknown("an image of unknown size")
    if not isinstance(dsize, tuple) or len(dsize) != 2 or dsize == (0, 0):  # by the factors fx and fy
        return _array(c, (dims.unknown(1), dims.unknown(1), *sizes[2:]), image)
    channels = sizes[2:] if sizes[2:] != (1,) else ()  # an image of one channel loses its last axis
    return _array(c, (as_size(dsize[1]), as_size(dsize[0]), *channels), image)


@native("cv2.GaussianBlur", "cv2.blur", "cv2.medianBlur", "cv2.bilateralFilter", "cv2.flip", "cv2.normalize",
        "cv2.equalizeHist", "cv2.addWeighted")  # fmt: skip
def _same(c: Context, image: Value = None, *more: Value, **options: Value) -> Value:
    return image if isinstance(image, Tensor) else Unknown("an image that is not known")


# albumentations -----------------------------------------------------------------------------------------------


def _transform(
    change: Callable[[tuple[Dim, ...], tuple[Value, ...], dict[str, Value]], tuple[Dim, ...] | None],
) -> Callable[..., Value]:
    """A constructor: what it makes is called with ``image=`` and gives a dict."""

    def construct(made_by: Context, *args: Value, **options: Value) -> Value:
        def run(c: Context, *more: Value) -> Value:
            return Dict({name: moved(name, value) for name, value in c.arguments.kwargs.items()})

        def moved(name: str, value: Value) -> Value:
            """The image, and those that ``additional_targets`` names after it; masks and points are not followed."""
            if not isinstance(value, Tensor) and name != "mask":
                return value if name != "image" else Unknown(f"an image from {made_by.name}")
            sizes = _sizes(value) if name.startswith("image") else None
            out = change(sizes, args, options) if sizes is not None else None
            if out is None or not isinstance(value, Tensor):
                return Unknown(f"what {made_by.name} makes of {name}")
            made = _array(made_by, out, value)
            return of_kind(made, "float") if made_by.name.endswith((".Normalize", ".ToFloat")) else made

        return Native(made_by.name, run)

    return construct


def _kept(sizes: tuple[Dim, ...], args: tuple[Value, ...], options: dict[str, Value]) -> tuple[Dim, ...]:
    return sizes


def _cut(sizes: tuple[Dim, ...], args: tuple[Value, ...], options: dict[str, Value]) -> tuple[Dim, ...] | None:
    """``(height, width)``, or ``size=(height, width)``, as two arguments or one."""
    both = options.get("size", args[0] if args and isinstance(args[0], tuple) else None)
    if isinstance(both, tuple) and len(both) == 2:
        return (as_size(both[0]), as_size(both[1]), *sizes[2:])
    height = options.get("height", args[0] if args else None)
    width = options.get("width", args[1] if len(args) > 1 else None)
    if height is None or width is None:
        return None
    return (as_size(height), as_size(width), *sizes[2:])


def _resized(sizes: tuple[Dim, ...], args: tuple[Value, ...], options: dict[str, Value]) -> tuple[Dim, ...]:
    """Another height and width, which hang on those of the image or on chance."""
    return (dims.unknown(1), dims.unknown(1), *sizes[2:])


def _padded(sizes: tuple[Dim, ...], args: tuple[Value, ...], options: dict[str, Value]) -> tuple[Dim, ...]:
    """At least ``min_height`` and ``min_width``, 1024 unless they are given."""
    least = [
        options.get(name, args[i] if len(args) > i else 1024) for i, name in enumerate(("min_height", "min_width"))
    ]
    return (*(dims.unknown(v if isinstance(v, int) else 1) for v in least), *sizes[2:])


def _first(sizes: tuple[Dim, ...], args: tuple[Value, ...], options: dict[str, Value]) -> tuple[Dim, ...]:
    """``ToTensorV2``: the channels first; a gray image gets an axis for its one channel."""
    return (sizes[2], *sizes[:2]) if len(sizes) == 3 else (1, *sizes)


for _name in (
    "HorizontalFlip VerticalFlip Normalize RandomBrightnessContrast ColorJitter GaussNoise GaussianBlur Blur MotionBlur"
    " MedianBlur HueSaturationValue RGBShift CLAHE ShiftScaleRotate Rotate Affine CoarseDropout ElasticTransform"
    " GridDistortion OpticalDistortion RandomGamma ImageCompression Sharpen ToFloat NoOp ChannelShuffle Perspective"
).split():
    native(f"albumentations.{_name}")(_transform(_kept))
for _name in (
    "LongestMaxSize SmallestMaxSize RandomScale Pad Crop CropAndPad CropNonEmptyMaskIfExists RandomCropFromBorders"
    " RandomSizedBBoxSafeCrop BBoxSafeRandomCrop RandomRotate90 Transpose D4 OneOf SomeOf OneOrOther RandomOrder"
).split():
    native(f"albumentations.{_name}")(_transform(_resized))
for _name in ("Resize", "CenterCrop", "RandomCrop", "RandomResizedCrop"):
    native(f"albumentations.{_name}")(_transform(_cut))
native("albumentations.PadIfNeeded")(_transform(_padded))
native("albumentations.pytorch.ToTensorV2", "albumentations.pytorch.transforms.ToTensorV2")(_transform(_first))


@native("albumentations.Compose")
def _compose(made_by: Context, transforms: Value = (), *more: Value, **options: Value) -> Value:
    steps = items_of(made_by.machine, transforms)

    def run(c: Context, *more: Value) -> Value:
        given: Value = Dict(dict(c.arguments.kwargs))
        for step in steps if steps is not None else [Unknown("unknown transforms")]:
            if not isinstance(given, Dict):
                break
            given = c.call(step, **{k: v for k, v in given.items.items() if isinstance(k, str)})
        return given

    return Native("Compose", run)
