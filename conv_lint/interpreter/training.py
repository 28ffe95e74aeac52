"""Lightning's Trainer, which runs the steps of a module on the batches of its loaders.

As the documentation of Lightning describes it (Trainer, "Under the hood"): the hooks that prepare the data, one batch
of the loader for validation, then those for training.
"""

from __future__ import annotations

from collections.abc import Iterator

from conv_lint import dims
from conv_lint.interpreter import attributes
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import MISSING, BoundMethod, Instance, Native
from conv_lint.interpreter.sequences import items_of, stream_of
from conv_lint.values import External, List, Value

_LIBRARIES = ("pytorch_lightning", "lightning", "lightning.pytorch")
#: What each method of a Trainer runs: the hook that gives a loader, and the step for its batches.
_STEPS = {
    "fit": (("val_dataloader", "validation_step"), ("train_dataloader", "training_step")),
    "validate": (("val_dataloader", "validation_step"),),
    "test": (("test_dataloader", "test_step"),),
    "predict": (("predict_dataloader", "predict_step"),),
}


@native(*(f"{library}.Trainer" for library in _LIBRARIES), "pytorch_lightning.trainer.Trainer")
def _trainer(c: Context, *values: Value, **options: Value) -> Value:
    made = Instance(External("pytorch_lightning.Trainer"), open="an attribute of a Trainer")
    for name in _STEPS:
        made.attrs[name] = Native(name, _run)
    return made


def _run(c: Context, *values: Value) -> Value:
    """``trainer.fit(model, train_dataloaders, val_dataloaders, datamodule=...)``"""
    options = c.arguments.kwargs
    model, *loaders = values or (options.get("model"),)
    if not isinstance(model, Instance):
        return None
    given = _given(c.name, loaders, options)
    module = options.get("datamodule", given.get("train_dataloader"))
    source = module if isinstance(module, Instance) and _hook(c, module, "train_dataloader") is not None else None
    for owner in (source, model):
        for name, args in (("prepare_data", ()), ("setup", (c.name,))):
            hook = _hook(c, owner, name)
            if hook is not None:
                c.call(hook, *args)
    for name, step in _STEPS[c.name]:
        made = _hook(c, source, name) or _hook(c, model, name)
        loader = given.get(name) if source is None and name in given else c.call(made) if made is not None else None
        for batch in _batches(c, loader):
            _step(c, model, step, batch)
    return None


def _given(method: str, loaders: list[Value], options: dict[str, Value]) -> dict[str, Value]:
    """The loaders that a call gives, by the hooks that would give them."""
    names = ("train_dataloader", "val_dataloader") if method == "fit" else (_STEPS[method][0][0],)
    keywords = ("train_dataloaders", "val_dataloaders") if method == "fit" else ("dataloaders",)
    found = dict(zip(names, loaders))
    found.update((name, options[word]) for name, word in zip(names, keywords) if word in options)
    return {name: loader for name, loader in found.items() if loader is not None}


def _hook(c: Context, owner: Value, name: str) -> Value:
    """A method of the checked code, if an object has it."""
    if not isinstance(owner, Instance):
        return None
    found = attributes.find(c.machine, c.frame, owner, name)
    return found if found is not MISSING and isinstance(found, BoundMethod) else None


def _batches(c: Context, loader: Value) -> Iterator[Value]:
    """What a loader gives, or each of several loaders."""
    loader = c.machine.resolve(loader)
    stream = stream_of(loader)
    if stream is not None:
        yield stream.item
    elif isinstance(loader, (List, tuple)):
        for one in items_of(c.machine, loader) or ():
            yield from _batches(c, one)


def _step(c: Context, model: Instance, name: str, batch: Value) -> None:
    """``training_step(batch, batch_idx)``; a step may leave the number of the batch out."""
    step = _hook(c, model, name)
    if not isinstance(step, BoundMethod):
        return
    params = step.function.node.params
    c.call(step, *(batch, dims.unknown(0))[: max(len(params.params) - 1, 1)])
