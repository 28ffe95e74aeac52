"""Where the tensors of a training script come from: datasets, transforms and loaders, as far as shapes go.

The sizes of the datasets are those that torchvision.datasets documents; a transform takes an image of PIL (an instance
with channels, height and width) or a tensor ``(C, H, W)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conv_lint import dims, loader_sizes
from conv_lint.dims import Dim, Expr
from conv_lint.finding import Step
from conv_lint.interpreter import protocols
from conv_lint.interpreter import tensors as pieces
from conv_lint.interpreter.calls import call_method
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.machine import PythonRaise
from conv_lint.interpreter.objects import Class, Function, Instance, Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.subscripts import alike
from conv_lint.values import Dict, External, List, Shape, Stream, Tensor, Unknown, Value

# images -----------------------------------------------------------------------------------------------------

PICTURE = External("PIL.Image.Image")
_CHANNELS = {"L": 1, "1": 1, "P": 1, "RGB": 3, "YCbCr": 3, "HSV": 3, "LAB": 3, "RGBA": 4, "CMYK": 4}
Image = tuple[Dim, Dim, Dim]


def picture(channels: Dim, height: Dim, width: Dim) -> Instance:
    """An image of PIL."""
    made = Instance(PICTURE, open="an attribute of an image")
    made.attrs.update(channels=channels, height=height, width=width, size=(width, height))

    def convert(c: Context, mode: Value = "RGB", *more: Value) -> Value:
        known = _CHANNELS.get(mode) if isinstance(mode, str) else None
        return picture(known if known is not None else dims.unknown(1), height, width)

    def resize(c: Context, size: Value, *more: Value) -> Value:
        if isinstance(size, tuple) and len(size) == 2:
            return picture(channels, as_size(size[1]), as_size(size[0]))
        return picture(channels, dims.unknown(1), dims.unknown(1))

    made.attrs["convert"] = Native("convert", convert)
    made.attrs["resize"] = Native("resize", resize)
    return made


def as_size(value: Value) -> Dim:
    """A size that an option gives, or one that is not known."""
    return value if isinstance(value, (int, Expr)) and not isinstance(value, bool) else dims.unknown(1)


@native("PIL.Image.open")
def _open(c: Context, *values: Value, **more: Value) -> Value:
    return picture(dims.unknown(1), dims.unknown(1), dims.unknown(1))


@native("PIL.Image.new")
def _new(c: Context, mode: Value, size: Value, *more: Value) -> Value:
    made = picture(dims.unknown(1), dims.unknown(1), dims.unknown(1))
    converted = c.call(made.attrs["convert"], mode)
    return c.call(converted.attrs["resize"], size) if isinstance(converted, Instance) else converted


@native("PIL.Image.fromarray")
def _fromarray(c: Context, array: Value, mode: Value = None) -> Value:
    """A picture of an array of height, width and channels, or of height and width (Pillow, Image.fromarray)."""
    shape = c.machine.shape(array.shape) if isinstance(array, Tensor) else None
    if shape is None or shape.rest is not None or len(shape) not in (2, 3) or mode is not None:
        return picture(dims.unknown(1), dims.unknown(1), dims.unknown(1))
    height, width, *channels = tuple.__iter__(shape)
    return picture(channels[0] if channels else 1, height, width)


def as_array(value: Value) -> Value:
    """``np.array(image)``: height, width and, unless it is gray, channels."""
    if not isinstance(value, Instance) or value.cls != PICTURE:
        return Unknown("an array of unknown data")
    channels, height, width = image_of(value) or (dims.unknown(1),) * 3
    if not isinstance(channels, int):
        return Unknown("an array of an image with an unknown number of channels")
    sizes = (height, width) if channels == 1 else (height, width, channels)
    return Tensor(Shape(sizes), Step("the image", None, sizes), "int")


def image_of(value: Value) -> Image | None:
    """Channels, height and width of an image, or of a tensor ``(C, H, W)``."""
    if isinstance(value, Instance) and value.cls == PICTURE:
        return value.attrs["channels"], value.attrs["height"], value.attrs["width"]  # type: ignore[return-value]
    if isinstance(value, Tensor) and value.shape.rest is None and len(value.shape) == 3:
        return tuple(value.shape)  # type: ignore[return-value]
    return None


def made_like(c: Context, like: Value, image: Image, before: tuple[Any, ...] = ()) -> Value:
    """A picture, or a tensor with further sizes ``before`` those of the image."""
    if isinstance(like, Tensor):
        shape = Shape((*before, *image))
        label, parents = c.name.rpartition(".")[2], (like.step,) if like.step else ()
        return Tensor(shape, Step(label, c.place, tuple(shape.known), parents), like.dtype)
    return picture(*image)


# datasets ---------------------------------------------------------------------------------------------------

_UNKNOWN_SIZE = (3, None, None)
#: Channels, height and width of an image (None: differs from image to image), and how many there are to train and test.
DATASETS: dict[str, tuple[tuple[int, int | None, int | None], tuple[int, int] | None]] = {
    "MNIST": ((1, 28, 28), (60_000, 10_000)),
    "FashionMNIST": ((1, 28, 28), (60_000, 10_000)),
    "KMNIST": ((1, 28, 28), (60_000, 10_000)),
    "QMNIST": ((1, 28, 28), None),
    "EMNIST": ((1, 28, 28), None),
    "CIFAR10": ((3, 32, 32), (50_000, 10_000)),
    "CIFAR100": ((3, 32, 32), (50_000, 10_000)),
    "SVHN": ((3, 32, 32), None),
    "USPS": ((1, 16, 16), None),
    "STL10": ((3, 96, 96), None),
    "Omniglot": ((1, 105, 105), None),
    "FER2013": ((1, 48, 48), None),
    "SEMEION": ((1, 16, 16), None),
    "CelebA": ((3, 218, 178), None),
    "LFWPeople": ((3, 250, 250), None),
    "EuroSAT": ((3, 64, 64), None),
    "PCAM": ((3, 96, 96), None),
    "ImageFolder": (_UNKNOWN_SIZE, None),
    "ImageNet": (_UNKNOWN_SIZE, None),
    "Flowers102": (_UNKNOWN_SIZE, None),
    "Food101": (_UNKNOWN_SIZE, None),
    "OxfordIIITPet": (_UNKNOWN_SIZE, None),
    "DTD": (_UNKNOWN_SIZE, None),
    "Places365": (_UNKNOWN_SIZE, None),
    "GTSRB": (_UNKNOWN_SIZE, None),
    "Imagenette": (_UNKNOWN_SIZE, None),
    "Country211": (_UNKNOWN_SIZE, None),
    "FGVCAircraft": (_UNKNOWN_SIZE, None),
    "RenderedSST2": (_UNKNOWN_SIZE, None),
    "StanfordCars": (_UNKNOWN_SIZE, None),
    "SUN397": (_UNKNOWN_SIZE, None),
}
DATASET = External("torch.utils.data.Dataset")


def dataset(item: Callable[[Context], Value], count: Dim) -> Instance:
    """A dataset of which every item looks alike."""
    made = Instance(DATASET, open="an attribute of a dataset")
    made.attrs["__getitem__"] = Native("__getitem__", lambda c, index=None: item(c))
    made.attrs["__len__"] = Native("__len__", lambda c: count)
    return made


def _of_torchvision(c: Context, *values: Value, **options: Value) -> Value:
    """An image, with its transform, and a whole number for its class."""
    (channels, height, width), counts = DATASETS[c.name.rpartition(".")[2]]
    change, target = options.get("transform"), options.get("target_transform")
    if change is None and c.name.endswith("ImageFolder") and len(values) > 1:
        change = values[1]
    train = values[1] if len(values) > 1 else options.get("train", True)
    count = dims.unknown(1) if counts is None or not isinstance(train, bool) else counts[not train]

    name, kind = c.name, options.get("target_type", values[2] if len(values) > 2 else "attr")

    def item(c: Context) -> Value:
        sizes = tuple(dims.unknown(1) if size is None else size for size in (height, width))
        image: Value = picture(channels, *sizes)
        label: Value = Unknown("a label", "label")
        if name.endswith("CelebA"):  # its attributes, unless something else is asked for
            label = (
                c.call_torch("torch.zeros", 40, dtype=External("torch.int64"))
                if kind == "attr"
                else Unknown("a target")
            )
        return (
            c.call(change, image) if change is not None else image,
            c.call(target, label) if target is not None else label,
        )

    made = dataset(item, count)
    if channels == 1 and isinstance(count, int) and height is not None and width is not None:
        sizes = (count, height, width)
        made.attrs["data"] = Tensor(Shape(sizes), Step("data", c.place, sizes), "int")
        made.attrs["targets"] = Tensor(Shape((count,)), Step("targets", c.place, (count,)), "int")
    return made


for _name in DATASETS:
    native(f"torchvision.datasets.{_name}")(_of_torchvision)


@native("torchvision.datasets.FakeData")
def _fake(c: Context, size: Value = 1000, image_size: Value = (3, 224, 224), num_classes: Value = 10,
          transform: Value = None, target_transform: Value = None, random_offset: Value = 0) -> Value:  # fmt: skip
    sizes = items_of(c.machine, image_size)

    def item(c: Context) -> Value:
        if sizes is None or len(sizes) != 3:
            return Unknown("an item of a dataset of unknown size")
        image: Value = picture(*(as_size(s) for s in sizes))
        return c.call(transform, image) if transform is not None else image, Unknown("a label", "label")

    return dataset(item, as_size(size))


@native("torch.utils.data.TensorDataset")
def _tensors(c: Context, *tensors: Value) -> Value:
    first = tensors[0] if tensors else None
    shape = c.machine.shape(first.shape) if isinstance(first, Tensor) else None
    count = shape[0] if shape is not None and shape.rest is None and len(shape) else dims.unknown(1)

    def item(c: Context) -> Value:
        return tuple(pieces.piece(c.machine, t, None) if isinstance(t, Tensor) else t for t in tensors)

    return dataset(item, count)


@native("torch.utils.data.Subset", "torch.utils.data.random_split", "torch.utils.data.ConcatDataset")
def _part(c: Context, whole: Value, *more: Value, **options: Value) -> Value:
    """The items are those of the whole; how many there are is not known."""
    if c.name.endswith("ConcatDataset"):
        parts = items_of(c.machine, whole)
        whole = parts[0] if parts else Unknown("no datasets")

    def part() -> Value:
        return dataset(lambda c: item_of(c, whole), dims.unknown(1))

    if not c.name.endswith("random_split"):
        return part()
    sizes = items_of(c.machine, more[0] if more else options.get("lengths"))
    return List([part() for _ in sizes]) if sizes is not None else Unknown("the parts of a dataset")


def item_of(c: Context, source: Value) -> Value:
    """``dataset[i]`` for some ``i``; a tensor or a list is a dataset, too."""
    if isinstance(source, Tensor):
        return pieces.piece(c.machine, source, None)
    if isinstance(source, List) and not source.open:
        return alike(source.items)
    if not isinstance(source, Instance):
        return Unknown("an item of an unknown dataset")
    index = dims.symbol("index", 0)
    if "__getitem__" in source.attrs:
        return c.call(source.attrs["__getitem__"], index)
    if not isinstance(source.cls, Class) or not isinstance(source.cls.find("__getitem__"), Function):
        return Unknown("an item of an unknown dataset")
    c.machine.reading += 1
    try:
        with c.machine.doubting():  # what it reads from files is not known
            return call_method(c.machine, c.frame, source, "__getitem__", [index])
    except PythonRaise:
        return Unknown("an item of a dataset that raises")
    finally:
        c.machine.reading -= 1


# loaders ----------------------------------------------------------------------------------------------------


@native("torchaudio.load")
def _wave(c: Context, *values: Value, **options: Value) -> Value:
    """Channels and samples, and the rate (torchaudio.load)."""
    return c.call_torch("torch.zeros", dims.unknown(1), dims.unknown(1)), dims.unknown(1)


@native("torch.utils.data.DataLoader")
def _loader(c: Context, dataset: Value = None, batch_size: Value = 1, *values: Value, **options: Value) -> Value:
    """Batches of ``batch_size`` items; the last one has the rest, so that their number is not known."""
    made = Instance(External("torch.utils.data.DataLoader"), open="an attribute of a loader")
    made.attrs.update(dataset=dataset, batch_size=batch_size)
    collate = options.get("collate_fn", values[4] if len(values) > 4 else None)
    if options.get("batch_sampler") is not None:
        return made
    item = item_of(c, dataset)
    if collate is not None and collate not in _DEFAULT_COLLATE:
        batch = _collated_by(c, collate, item, batch_size)
        if batch is not None:
            made.attrs["stream"] = Stream(batch, "the batches of a loader")
        return made
    count = c.call(dataset.attrs["__len__"]) if isinstance(dataset, Instance) and "__len__" in dataset.attrs else None
    has_length = isinstance(dataset, Instance) and isinstance(dataset.cls, Class) and protocols.has(dataset, "__len__")
    if isinstance(dataset, (Tensor, List)) or has_length:
        count = c.call(External("builtins.len"), dataset)
    last = count % batch_size if isinstance(count, int) and isinstance(batch_size, int) and batch_size > 0 else None
    size: Dim = loader_sizes.batch_size(batch_size if isinstance(batch_size, int) else None, last or None)
    if isinstance(batch_size, int) and batch_size > 0:
        sampler = options.get("sampler")
        # A sampler of the checked code gives as many as it likes: whole batches, for all that is known.
        own = sampler is not None and not (isinstance(sampler, Instance) and isinstance(sampler.cls, External))
        full = own or (isinstance(count, int) and count % batch_size == 0)
        if batch_size == 1 or options.get("drop_last") is True or full:
            size = batch_size
    made.attrs["stream"] = Stream(_collated(c, item, None if batch_size is None else size), "the batches of a loader")
    return made


_DEFAULT_COLLATE = [
    External(f"torch.utils.data.{place}default_collate") for place in ("", "dataloader.", "_utils.collate.")
]
#: A larger batch is not written out for a function that collates it.
LARGEST_BATCH = 256


def _collated_by(c: Context, collate: Value, item: Value, batch_size: Value) -> Value | None:
    """What a function of the checked code makes of the first batch, a whole one; ``None`` if that is not known."""
    if batch_size is None:
        samples = item
    elif isinstance(batch_size, int) and 0 < batch_size <= LARGEST_BATCH:
        samples = List([item] * batch_size)
    else:
        return None
    try:
        return c.call(collate, samples)
    except PythonRaise:
        return None


def _collated(c: Context, item: Value, batch: Dim | None) -> Value:
    """Items stacked to a batch, as ``torch.utils.data.default_collate`` does."""
    if batch is None:
        return item
    match item:
        case Tensor():
            if item.shape.rest is not None:
                return Unknown("a batch of tensors of unknown rank")
            sizes = (batch, *item.shape)
            return Tensor(Shape(sizes), Step("the loader", c.place, sizes), item.dtype)
        case tuple():
            return tuple(_collated(c, part, batch) for part in item)
        case List():
            return List([_collated(c, part, batch) for part in item.items], item.open)
        case Dict():
            made = item.copy()
            made.items = {key: _collated(c, part, batch) for key, part in item.items.items()}
            return made
        case bool() | int() | float() | Expr():
            return Tensor(Shape((batch,)), dtype="float" if isinstance(item, float) else "int")
        case Unknown(name="label"):
            return Tensor(Shape((batch,)), Step("the labels of the loader", c.place, (batch,)), "int")
    return Unknown("a batch of something unknown")


@native("tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.notebook.tqdm", "tqdm.tqdm_notebook", "rich.progress.track")
def _progress(c: Context, iterable: Value = None, *values: Value, **options: Value) -> Value:
    return iterable
