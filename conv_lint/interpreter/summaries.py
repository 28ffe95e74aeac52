"""Those who run a model on an input: summaries, profilers, writers of graphs."""

from __future__ import annotations

from conv_lint.dims import Expr
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.objects import Instance, Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import External, List, Tensor, Unknown, Value


def _zeros(c: Context, *sizes: Value) -> Value:
    return c.call_torch("torch.zeros", *sizes)


def _is_sizes(value: Value) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(v, (int, Expr)) for v in value)


@native("torchsummary.summary", "ptflops.get_model_complexity_info")
def _summary_of_sample(c: Context, model: Value, input_size: Value = None, *values: Value, **options: Value) -> Value:
    """The sizes of one sample; the batch is added."""
    size = input_size if input_size is not None else options.get("input_res")
    many = items_of(c.machine, size) if not _is_sizes(size) and isinstance(size, (List, tuple)) else None
    if isinstance(size, List) and _is_sizes(tuple(size.items)):
        size, many = tuple(size.items), None
    samples = [size] if _is_sizes(size) else many or []
    if samples and all(_is_sizes(s) for s in samples):
        with c.machine.evaluating(c.name.startswith("ptflops")):
            c.call(model, *(_zeros(c, 2, *s) for s in samples))  # type: ignore[misc]
    return Unknown(c.name)


@native("torchinfo.summary")
def _summary(c: Context, model: Value, input_size: Value = None, input_data: Value = None, *values: Value,
             batch_dim: Value = None, **options: Value) -> Value:  # fmt: skip
    """The sizes of a whole batch."""
    given: list[Value] = []
    if isinstance(input_data, Tensor):
        given = [input_data]
    elif isinstance(input_data, (tuple, List)):
        given = items_of(c.machine, input_data) or []
    elif batch_dim is None and input_size is not None:
        if isinstance(input_size, List):
            input_size = tuple(input_size.items)
        samples = [input_size] if _is_sizes(input_size) else items_of(c.machine, input_size) or []
        if all(_is_sizes(s) for s in samples):
            given = [_zeros(c, *s) for s in samples]  # type: ignore[misc]
    if given:
        with c.machine.evaluating(options.get("mode", "eval") == "eval"):
            c.call(model, *given)
    return Unknown(c.name)


@native(
    "thop.profile", "fvcore.nn.FlopCountAnalysis", "torch.jit.trace_module",
    "hiddenlayer.build_graph",
)  # fmt: skip
def _profiled(c: Context, model: Value, inputs: Value = (), *values: Value, **options: Value) -> Value:
    given = items_of(c.machine, inputs) if isinstance(inputs, (tuple, List)) else [inputs]
    if given and all(isinstance(v, Tensor) for v in given):
        with c.machine.evaluating(c.name.startswith(("thop", "add_graph"))):
            c.call(model, *given)
    return (Unknown(c.name), Unknown(c.name)) if c.name == "thop.profile" else Unknown(c.name)


@native("torch.utils.tensorboard.SummaryWriter", "tensorboardX.SummaryWriter")
def _writer(c: Context, *values: Value, **options: Value) -> Value:
    writer = Instance(External("torch.utils.tensorboard.SummaryWriter"), open="a method of a writer")

    def add_graph(c: Context, model: Value = None, inputs: Value = None, *values: Value) -> Value:
        return _profiled(c, model, inputs)

    writer.attrs["add_graph"] = Native("add_graph", add_graph)
    return writer
