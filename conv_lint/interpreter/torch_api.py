"""Functions and classes of torch that are no ops on shapes: wrappers, parameters, checkpoints, switches."""

from __future__ import annotations

import libcst as cst

from conv_lint import dims
from conv_lint.dims import Expr
from conv_lint.interpreter import checks
from conv_lint.interpreter.calls import Arguments
from conv_lint.interpreter.expressions import truth_of
from conv_lint.interpreter.libraries import Context, native
from conv_lint.interpreter.machine import PythonRaise
from conv_lint.interpreter.objects import Class, Function, Instance, Native
from conv_lint.interpreter.sequences import items_of
from conv_lint.interpreter.tensors import of_kind
from conv_lint.ops.create import is_surely_number
from conv_lint.ops.unary import kind_of_dtype
from conv_lint.values import Apart, Condition, External, Real, Tensor, Unknown, Value, any_shape


@native(
    "torch.compile", "torch.jit.script", "torch.jit.export", "torch.jit.ignore", "torch.jit.unused", "torch.no_grad",
    "torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.nn.utils.weight_norm",
    "torch.nn.utils.spectral_norm", "torch.nn.utils.parametrizations.weight_norm", "torch.fx.wrap",
    "torch.nn.utils.parametrizations.spectral_norm", "torch.nn.utils.parametrizations.orthogonal",
    "torch.nn.SyncBatchNorm.convert_sync_batchnorm", "torch.autograd.Variable", "torch.inference_mode",
    "torch.jit.script_if_tracing", "torch.nn.utils.remove_weight_norm", "torch.jit.trace",
    "torch.nn.utils.fuse_conv_bn_eval", "torch.nn.utils.fusion.fuse_conv_bn_eval",
    "torch.nn.utils.fuse_linear_bn_eval", "torch.nn.utils.fusion.fuse_linear_bn_eval",
)  # fmt: skip
def _wrapped(c: Context, value: Value = None, *more: Value, **options: Value) -> Value:
    """The same model (tensor, function), as far as shapes are concerned."""
    if c.name == "torch.jit.trace" and isinstance(value, Instance) and more:
        inputs = more[0] if isinstance(more[0], tuple) else (more[0],)
        c.call(value, *inputs)
    if isinstance(value, Instance):
        value.parallel |= c.name.endswith("DataParallel")  # and ``value.module`` is the model again
        c.machine.shared[id(value)] = value  # it has more attributes than its class says
    return value if value is not None else Unknown(c.name)


@native("torch.nn.Parameter", "torch.nn.Buffer")
def _parameter(c: Context, data: Value = None, requires_grad: Value = True, **more: Value) -> Value:
    if isinstance(data, Tensor):
        return Tensor(data.shape, data.step, data.dtype, parameter=True)
    return Tensor(any_shape("a parameter of something unknown"), parameter=True)


@native("torch.nn.Embedding.from_pretrained", "torch.nn.EmbeddingBag.from_pretrained")
def _from_pretrained(c: Context, embeddings: Value = None, *more: Value, **options: Value) -> Value:
    """A layer with these vectors, a row each (torch.nn.Embedding.from_pretrained)."""
    if not isinstance(embeddings, Tensor):
        return Unknown("an embedding of unknown vectors")
    sizes = (c.machine.peek(embeddings, axis) for axis in (0, 1))
    return c.call(External(c.name.rpartition(".")[0]), *sizes)


@native("torch.multiprocessing.spawn", "torch.multiprocessing.start_processes")
def _spawn(c: Context, fn: Value, args: Value = (), nprocs: Value = 1, *more: Value, **options: Value) -> Value:
    """One process stands for all: ``fn(rank, *args)``."""
    given = items_of(c.machine, args)
    if given is not None:
        c.call(fn, dims.symbol("rank", 0), *given)
    return None


@native("torch.multiprocessing.Process", "multiprocessing.Process", "threading.Thread")
def _process(c: Context, group: Value = None, target: Value = None, name: Value = None, args: Value = (),
             kwargs: Value = None, **options: Value) -> Value:  # fmt: skip
    """What it will run is run now."""
    given = items_of(c.machine, args)
    if target is not None and given is not None and kwargs is None:
        c.call(target, *given)
    return Unknown("a process")


@native("torch.utils.checkpoint.checkpoint")
def _checkpoint(c: Context, function: Value, *args: Value, **more: Value) -> Value:
    options = ("use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug")
    return c.call(function, *args, **{k: v for k, v in more.items() if k not in options})


@native("torch.utils.checkpoint.checkpoint_sequential")
def _checkpoint_sequential(c: Context, functions: Value, segments: Value, value: Value, **more: Value) -> Value:
    for function in items_of(c.machine, functions) or [Unknown("unknown functions")]:
        value = c.call(function, value)
    return value


@native(
    "torch.jit.is_scripting", "torch.jit.is_tracing", "torch.onnx.is_in_onnx_export",
    "torch._jit_internal.is_scripting", "torch._C._get_tracing_state", "torch.fx._symbolic_trace.is_fx_tracing",
    "torch.compiler.is_compiling", "torch.compiler.is_exporting", "torch._dynamo.is_compiling",
    "torch.overrides.has_torch_function", "torch.overrides.has_torch_function_unary",
    "torch.overrides.has_torch_function_variadic",
)  # fmt: skip
def _not_compiling(c: Context, *values: Value) -> Value:
    """The checked program is taken to run as it stands."""
    return False


@native("torch.is_tensor")
def _is_tensor(c: Context, value: Value) -> Value:
    return c.call(External("builtins.isinstance"), value, External("torch.Tensor"))


@native("torch.Size")
def _size(c: Context, values: Value = ()) -> Value:
    items = items_of(c.machine, values)
    return tuple(items) if items is not None else Unknown("a size that is not known")


@native(
    "torch.manual_seed", "torch.set_grad_enabled", "torch.cuda.empty_cache", "torch.cuda.synchronize", "torch.save",
    "torch._C._log_api_usage_once", "torch.cuda.manual_seed", "torch.set_default_dtype",
)  # fmt: skip
def _nothing(c: Context, *values: Value, **more: Value) -> Value:
    return None


@native("torch._assert")
def _assert(c: Context, condition: Value = True, message: Value = None) -> Value:
    """``assert`` as a function, so that it can be traced."""
    truth = truth_of(c.machine, c.frame, condition)
    if truth is False:
        checks.deny_of_library(c.machine, c.frame, c.node)
        raise PythonRaise("AssertionError")
    if isinstance(truth, Condition):
        c.machine.require(truth, True)
        c.machine.assume(truth, True)
    return None


@native(
    "torch.onnx.export", "torch.onnx.dynamo_export", "torch.export.export", "torch.jit._get_trace_graph",
    "torch.onnx.utils.export", "torch.onnx._export",
)  # fmt: skip
def _export(c: Context, model: Value, inputs: Value = (), *more: Value, **options: Value) -> Value:
    """Runs the model on the inputs."""
    inputs = options.get("args", inputs)
    values = inputs if isinstance(inputs, tuple) else (inputs,)
    if values and not isinstance(values[-1], Unknown):
        with c.machine.evaluating("onnx" in c.name):
            c.call(model, *values)
    return Unknown(f"what {c.name} gives")


#: The types of tensors from before there were dtypes; ``torch.FloatTensor`` is an alias of ``torch.Tensor``.
_TYPES = "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()


@native("torch.Tensor", *(f"torch.{place}{kind}Tensor" for kind in _TYPES for place in ("", "cuda.")))
def _tensor(c: Context, *values: Value, **more: Value) -> Value:
    """``torch.Tensor(2, 3)`` makes an empty tensor of these sizes; of data, see ``torch.tensor``."""
    made = _tensor_of(c, *values)
    kind = kind_of_dtype(c.name)
    if not isinstance(made, Tensor) or made.dtype == kind:
        return made
    told = of_kind(made, kind)
    told.numbers = made.numbers
    return told


@native("torch.get_default_dtype")
def _default_dtype(c: Context) -> Value:
    return External("torch.float32")


def _tensor_of(c: Context, *values: Value) -> Value:
    if values and all(isinstance(v, (int, Expr)) for v in values):
        first = values[0]
        if len(values) == 1 and not is_surely_number(first):
            return Tensor(any_shape("a tensor made from a size, or from data"))
        return c.call(External("torch.empty"), *values)
    # A tuple may be a torch.Size, which is a shape, or data: the two are told apart by how they are written only.
    if len(values) == 1 and isinstance(values[0], tuple) and _is_size(c.node):
        return c.call(External("torch.empty"), *values[0])
    if len(values) == 1 and not isinstance(values[0], (Unknown, tuple)):
        return c.call(External("torch.tensor"), values[0])
    return Tensor(any_shape("a tensor made from something unknown"))


def _is_size(node: cst.CSTNode | None) -> bool:
    """Is the one argument of a call written as ``x.size()`` or ``x.shape``?"""
    given = node.args[0].value if isinstance(node, cst.Call) and len(node.args) == 1 else None
    if isinstance(given, cst.Call) and not given.args:
        return isinstance(given.func, cst.Attribute) and given.func.attr.value == "size"
    return isinstance(given, cst.Attribute) and given.attr.value == "shape"


@native("torch.nn.Transformer.generate_square_subsequent_mask")
def _triangular_mask(c: Context, sz: Value, *values: Value, **more: Value) -> Value:
    return c.call(External("torch.zeros"), sz, sz)


@native("torch.nn.quantized.FloatFunctional", "torch.ao.nn.quantized.FloatFunctional", "torch.nn.quantized.QFunctional")
def _float_functional(c: Context) -> Value:
    """``add``, ``cat``, ``mul`` as a module, so that quantization can observe them."""
    made = Instance(External("torch.ao.nn.quantized.FloatFunctional"))
    for name in ("add", "mul", "cat", "matmul"):
        made.attrs[name] = External(f"torch.{name}")
    made.attrs["add_scalar"], made.attrs["mul_scalar"] = External("torch.add"), External("torch.mul")
    made.attrs["add_relu"] = External("torch.add")
    return made


@native("torch.finfo", "numpy.finfo")
def _finfo(c: Context, *dtype: Value) -> Value:
    """The limits of a kind of numbers, which are numbers with a point."""
    attrs: dict[str, Value] = {name: Real(name, ()) for name in ("eps", "max", "min", "tiny", "smallest_normal")}
    return Instance(External(c.name), attrs, open=f"an attribute of {c.name}")


@native("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.get_total_norm")
def _total_norm(c: Context, *values: Value, **options: Value) -> Value:
    return c.call_torch("torch.zeros", ())


@native("torch.distributions.Normal", "torch.distributions.normal.Normal")
def _normal(c: Context, loc: Value, scale: Value, *more: Value, **options: Value) -> Value:
    """What is drawn has the sizes that are asked for, and behind them those of loc and scale, broadcast together
    (torch.distributions.Normal)."""
    made = Instance(External("torch.distributions.Normal"), open="an attribute of a distribution")
    both = c.call_torch("torch.add", loc, scale) if isinstance(loc, Tensor) and isinstance(scale, Tensor) else None
    if not isinstance(both, Tensor):
        return made

    def drawn(c: Context, sample_shape: Value = ()) -> Value:
        sizes = items_of(c.machine, sample_shape)
        if sizes is None:
            return Tensor(any_shape("a sample of an unknown shape"), both.step)
        return c.call_torch("torch.zeros", (*sizes, *tuple.__iter__(both.shape))) if sizes else both

    made.attrs.update(dict.fromkeys(("mean", "loc", "mode", "stddev", "scale", "variance"), both))
    made.attrs.update({name: Native(name, drawn) for name in ("sample", "rsample", "sample_n")})
    made.attrs.update({name: Native(name, lambda c, value: value) for name in ("log_prob", "cdf", "icdf")})
    made.attrs["entropy"] = Native("entropy", lambda c: both)
    return made


def apply_function(c: Context, cls: Class, arguments: Arguments) -> Value:
    """``MyFunction.apply(...)`` of a torch.autograd.Function runs its ``forward`` with a context."""
    forward = cls.find("forward")
    if not isinstance(forward, Function):
        return Unknown(f"{cls.name} has no forward that is known")
    return c.call(forward, _context(), *arguments.args, **arguments.kwargs)


def _context() -> Instance:
    """What the ``forward`` of a torch.autograd.Function is given first: it keeps things for ``backward``."""
    attrs: dict[str, Value] = {name: Native(name, lambda c, *_, **__: None) for name in _KEEPING}
    attrs["needs_input_grad"] = Apart("which inputs need a gradient")
    return Instance(External("torch.autograd.function.FunctionCtx"), attrs, open="the context of an autograd function")


_KEEPING = ("save_for_backward", "save_for_forward", "mark_dirty", "mark_non_differentiable", "set_materialize_grads")
