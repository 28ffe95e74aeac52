"""Does the op table still say what the installed torch does?

:func:`run` holds every row against torch's signatures, and the rules of the main layers and functions against torch
itself by random calls, so that a new release of torch cannot make the linter lie unnoticed.
"""

from __future__ import annotations

import importlib.util
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from conv_lint import dims, ops
from conv_lint.ops.rule import Plain, evaluate, evaluate_layer
from conv_lint.runtime.signatures import ALLOWED, function_faults, layer_faults
from conv_lint.runtime.table import ACCEPTED, resolve
from conv_lint.values import Rest, Shape

#: Faults by the rules that torch takes without a word, by design of the rule.
SILENT = ACCEPTED | {"CONV407"}


@dataclass(frozen=True)
class Problem:
    """A row that does not hold: its full name, and what torch does instead."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def run(seconds: float = 10.0, seed: int = 0) -> list[Problem]:
    """Everything that does not hold; empty if all is well.

    The random calls are the same for the same ``seed``, and end after ``seconds``.
    """
    return [*signatures(), *calls(seconds, seed)]


def count_rows() -> int:
    """How many rows there are."""
    return len(ops.FUNCTIONS) + len(ops.LAYERS)


# signatures -------------------------------------------------------------------------------------------------


def signatures() -> list[Problem]:
    """The rows whose name, parameters, order or defaults are not torch's."""
    found = []
    for names, faults in ((ops.FUNCTIONS, function_faults), (ops.LAYERS, layer_faults)):
        for name in sorted(names):
            if name in ALLOWED or (name.startswith("einops") and importlib.util.find_spec("einops") is None):
                continue
            found += [Problem(name, text) for text in faults(name)]
    return found


# random calls -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A call: of a function with ``args``, or of the layer that ``args`` make with ``inputs``."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    inputs: Sequence[Any] | None = None

    def __str__(self) -> str:
        text = ", ".join([*map(str, self.args), *(f"{k}={v}" for k, v in self.kwargs.items())])
        return f"({text})" + (f"({', '.join(map(str, self.inputs))})" if self.inputs is not None else "")


def calls(seconds: float = 10.0, seed: int = 0) -> list[Problem]:
    """The rules that differ from torch in random calls, each with the first call that shows it."""
    found: dict[str, Problem] = {}
    end = time.monotonic() + seconds
    with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(ROUNDS):
            for generator in GENERATORS:
                trial = generator(random.Random(f"{seed} {generator.__name__} {number}"))
                text = difference(trial)
                if text is not None:
                    found.setdefault(trial.name, Problem(trial.name, f"{trial}: {text}"))
            if time.monotonic() > end:
                break
    return list(found.values())


def difference(trial: Trial) -> str | None:
    """How the rule differs from torch in this call, in words."""
    want, error = _torch_says(trial)
    try:
        if trial.inputs is None:
            result, reports = evaluate(trial.name, *trial.args, **trial.kwargs)
        else:
            result, reports = evaluate_layer(trial.name, trial.args, trial.kwargs, *trial.inputs, training=False)
    except Exception as why:
        return f"the rule raises {type(why).__name__}: {why}"
    said = [f"{r.rule.code} {r.message()}" for r in reports if r.rule.code not in SILENT]
    if error is not None:
        return None if said else f"torch refuses it ({str(error).splitlines()[0][:120]}), the rule does not"
    if said:
        return f"torch gives {want}, the rule says {said[0]}"
    ours = _plain(result)
    return None if result is None or _agrees(ours, want) else f"torch gives {want}, the rule {ours}"


def _torch_says(trial: Trial) -> tuple[Any, Exception | None]:
    try:
        made = resolve(trial.name)
        if trial.inputs is None:
            out = made(*_real(trial.args), **{k: _real(v) for k, v in trial.kwargs.items()})
        else:
            out = made(*trial.args, **trial.kwargs).eval()(*_real(trial.inputs))
        return _shapes(out), None
    except Exception as error:
        return None, error


def _real(value: Any) -> Any:
    if isinstance(value, Shape):
        sizes: Any = tuple(value)
        return torch.zeros(sizes, dtype=torch.long if value.dtype == "int" else torch.float)
    return type(value)(map(_real, value)) if isinstance(value, (list, tuple)) else value


def _shapes(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return [_shapes(v) for v in value] if isinstance(value, (list, tuple)) else value


def _plain(result: Any) -> Any:
    if isinstance(result, Plain):
        return result.value
    if isinstance(result, tuple) and all(isinstance(v, (int, dims.Expr, Rest)) for v in tuple.__iter__(result)):
        return tuple(tuple.__iter__(result))
    return [_plain(v) for v in result] if isinstance(result, (list, tuple)) else result


def _agrees(ours: Any, want: Any) -> bool:
    """Do the two agree wherever ours is known?"""
    if isinstance(ours, dims.Expr):
        return True
    if isinstance(ours, (list, tuple)) and isinstance(want, (list, tuple)):
        if any(isinstance(size, Rest) for size in tuple(ours)):
            return True
        return len(ours) == len(want) and all(map(_agrees, ours, want))
    return bool(ours == want)


# what is called ---------------------------------------------------------------------------------------------

#: How often each generator is asked.
ROUNDS = 60
Generator = Callable[[random.Random], Trial]
GENERATORS: list[Generator] = []


def _generator(make: Generator) -> Generator:
    GENERATORS.append(make)
    return make


def _sizes(r: random.Random, n: int, low: int = 1, high: int = 9) -> tuple[int, ...]:
    return tuple(r.randint(low, high) for _ in range(n))


def _input(r: random.Random, n: int, channels: int) -> Shape:
    """A batch, now and then one sample, of ``n`` spatial axes; now and then with another number of channels."""
    channels += r.random() < 0.15
    return Shape((*_sizes(r, r.random() < 0.9, 1, 3), channels, *_sizes(r, n)))


@_generator
def _conv(r: random.Random) -> Trial:
    n, groups = r.randint(1, 3), r.choice((1, 1, 1, 2, 3))
    channels, out = groups * r.randint(1, 3), groups * r.randint(1, 3) + (r.random() < 0.1)
    kwargs = {
        "stride": r.randint(1, 3), "padding": r.choice((0, 1, 2, "valid")), "dilation": r.randint(1, 2),
        "groups": groups,
    }  # fmt: skip
    return Trial(f"torch.nn.Conv{n}d", (channels, out, r.randint(1, 4)), kwargs, [_input(r, n, channels)])


@_generator
def _conv_transpose(r: random.Random) -> Trial:
    n, channels = r.randint(1, 2), r.randint(1, 4)
    kwargs = {"stride": r.randint(1, 3), "padding": r.randint(0, 1), "output_padding": r.randint(0, 2)}
    args = (channels, r.randint(1, 4), r.randint(2, 4))
    return Trial(f"torch.nn.ConvTranspose{n}d", args, kwargs, [_input(r, n, channels)])


@_generator
def _pool(r: random.Random) -> Trial:
    n, kind = r.randint(1, 3), r.choice(("Max", "Avg"))
    kwargs = {"stride": r.choice((None, 1, 2, 3)), "padding": r.randint(0, 2), "ceil_mode": r.random() < 0.3}
    return Trial(f"torch.nn.{kind}Pool{n}d", (r.randint(1, 4),), kwargs, [_input(r, n, r.randint(1, 3))])


@_generator
def _adaptive_pool(r: random.Random) -> Trial:
    n, kind = r.randint(1, 3), r.choice(("Max", "Avg"))
    return Trial(f"torch.nn.Adaptive{kind}Pool{n}d", (r.choice((1, 2, 3)),), {}, [_input(r, n, 2)])


@_generator
def _batch_norm(r: random.Random) -> Trial:
    n, kind, channels = r.randint(1, 3), r.choice(("BatchNorm", "InstanceNorm")), r.randint(1, 4)
    affine = {"affine": True} if kind == "InstanceNorm" else {}
    shape = _input(r, n, channels)
    if kind == "InstanceNorm":  # whose other channels are only warned of in some versions
        shape = Shape((r.randint(1, 3), channels, *_sizes(r, n, 2)))
    return Trial(f"torch.nn.{kind}{n}d", (channels,), affine, [shape])


@_generator
def _group_norm(r: random.Random) -> Trial:
    groups = r.randint(1, 3)
    channels = groups * r.randint(1, 3) + (r.random() < 0.1)
    return Trial(
        "torch.nn.GroupNorm", (groups, channels), {}, [Shape((2, channels + (r.random() < 0.1), *_sizes(r, 2)))]
    )


@_generator
def _layer_norm(r: random.Random) -> Trial:
    shape = _sizes(r, r.randint(1, 4), 1, 5)
    normalized = list(shape[-r.randint(1, len(shape)) :])
    normalized[0] += r.random() < 0.2
    return Trial("torch.nn.LayerNorm", (normalized,), {}, [Shape(shape)])


@_generator
def _linear(r: random.Random) -> Trial:
    features = r.randint(1, 6)
    shape = (*_sizes(r, r.randint(0, 3), 1, 4), features + (r.random() < 0.2))
    return Trial("torch.nn.Linear", (features, r.randint(1, 6)), {}, [Shape(shape)])


@_generator
def _embedding(r: random.Random) -> Trial:
    return Trial("torch.nn.Embedding", (5, r.randint(1, 4)), {}, [Shape(_sizes(r, r.randint(1, 3)), dtype="int")])


@_generator
def _recurrent(r: random.Random) -> Trial:
    features, kwargs = r.randint(1, 4), {"batch_first": r.random() < 0.5, "bidirectional": r.random() < 0.5}
    shape = (*_sizes(r, r.randint(1, 2), 1, 4), features + (r.random() < 0.2))
    return Trial(f"torch.nn.{r.choice(('LSTM', 'GRU', 'RNN'))}", (features, r.randint(1, 4)), kwargs, [Shape(shape)])


@_generator
def _upsample(r: random.Random) -> Trial:
    return Trial("torch.nn.Upsample", (), {"scale_factor": r.choice((2, 3, 0.5))}, [Shape((1, 2, *_sizes(r, 2, 2)))])


@_generator
def _pixel_shuffle(r: random.Random) -> Trial:
    return Trial("torch.nn.PixelShuffle", (r.randint(1, 3),), {}, [Shape((1, r.choice((4, 9, 8, 5)), *_sizes(r, 2)))])


@_generator
def _pad(r: random.Random) -> Trial:
    name = r.choice(("ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d", "CircularPad2d"))
    return Trial(f"torch.nn.{name}", (r.randint(0, 4),), {}, [Shape((1, 2, *_sizes(r, 2, 1, 6)))])


@_generator
def _cat(r: random.Random) -> Trial:
    shape = list(_sizes(r, r.randint(1, 4), 1, 4))
    other, dim = list(shape), r.randint(-len(shape), len(shape) - 1)
    other[r.randrange(len(shape)) if r.random() < 0.3 else dim] += r.randint(0, 2)
    return Trial(r.choice(("torch.cat", "torch.stack")), ([Shape(shape), Shape(other)],), {"dim": dim})


@_generator
def _view(r: random.Random) -> Trial:
    shape = _sizes(r, r.randint(1, 4), 1, 6)
    target = [*shape]
    r.shuffle(target)
    if r.random() < 0.7:
        target[r.randrange(len(target))] = -1
    if r.random() < 0.3:
        target[r.randrange(len(target))] = r.randint(1, 7)
    return Trial(f"torch.Tensor.{r.choice(('view', 'reshape'))}", (Shape(shape), *target), {})


@_generator
def _flatten(r: random.Random) -> Trial:
    return Trial("torch.flatten", (Shape(_sizes(r, r.randint(1, 4), 1, 4)), r.randint(-2, 3)), {})


@_generator
def _permute(r: random.Random) -> Trial:
    shape = _sizes(r, r.randint(2, 4), 1, 4)
    order = [*range(len(shape))]
    r.shuffle(order)
    if r.random() < 0.2:
        order[0] = r.randint(0, len(shape))
    return Trial("torch.Tensor.permute", (Shape(shape), *order), {})


@_generator
def _transpose(r: random.Random) -> Trial:
    return Trial("torch.Tensor.transpose", (Shape(_sizes(r, 3, 1, 4)), r.randint(-4, 3), r.randint(-3, 2)), {})


@_generator
def _squeeze(r: random.Random) -> Trial:
    name = r.choice(("squeeze", "unsqueeze"))
    return Trial(f"torch.Tensor.{name}", (Shape(_sizes(r, r.randint(1, 3), 1, 2)), r.randint(-4, 3)), {})


@_generator
def _matmul(r: random.Random) -> Trial:
    inner = r.randint(1, 4)
    left = (*_sizes(r, r.randint(0, 2), 1, 2), *_sizes(r, 1, 1, 4), inner)
    right = (*_sizes(r, r.randint(0, 1), 1, 2), inner + (r.random() < 0.2), *_sizes(r, 1, 1, 4))
    return Trial("torch.matmul", (Shape(left), Shape(right)), {})


@_generator
def _add(r: random.Random) -> Trial:
    shape = _sizes(r, r.randint(1, 4), 1, 4)
    other = [1 if r.random() < 0.3 else size + (r.random() < 0.1) for size in shape[r.randrange(len(shape)) :]]
    return Trial(f"torch.{r.choice(('add', 'mul', 'sub', 'maximum'))}", (Shape(shape), Shape(other)), {})


@_generator
def _reduce(r: random.Random) -> Trial:
    name = r.choice(("mean", "sum", "amax"))
    args = (Shape(_sizes(r, 3, 1, 4)), r.choice((0, -1, (1, 2), (0, 3), -4)))
    return Trial(f"torch.{name}", args, {"keepdim": r.random() < 0.5})


@_generator
def _split(r: random.Random) -> Trial:
    size, sizes = r.randint(1, 6), [r.randint(1, 3), r.randint(1, 3)]
    how = r.choice((r.randint(1, 4), sizes))
    return Trial("torch.split", (Shape((2, size)), how), {"dim": r.choice((1, -1, 0))})


@_generator
def _chunk(r: random.Random) -> Trial:
    return Trial("torch.chunk", (Shape(_sizes(r, 2, 1, 7)), r.randint(1, 4)), {"dim": r.choice((0, 1, 2))})
