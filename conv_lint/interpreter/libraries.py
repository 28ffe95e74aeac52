"""Names of libraries: what calling them does.  Torch's go to the op table; natives are found by name."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import libcst as cst

from conv_lint import dims, ops
from conv_lint.finding import Place
from conv_lint.interpreter import protocols, tensors
from conv_lint.interpreter.calls import Arguments, call_value, call_with
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Frame, Instance, Method, is_module_name
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import Apart, Choice, Condition, Dict, External, Iter, List, Real, Tensor, Unknown, Value


@dataclass
class Context:
    """What a native function may ask of the interpreter."""

    machine: Machine
    frame: Frame
    node: cst.CSTNode | None
    name: str
    arguments: Arguments

    @property
    def place(self) -> Place | None:
        """Where the call stands."""
        return self.frame.place(self.node) if self.node is not None else None

    def call(self, function: Value, *args: Value, **kwargs: Value) -> Value:
        """Call a value of the checked program."""
        return call_value(self.machine, self.frame, self.node, function, list(args), kwargs)

    def call_torch(self, name: str, *args: Value, **kwargs: Value) -> Value:
        """Call a function of torch by its full name."""
        return self.call(External(name), *args, **kwargs)

    def truth(self, value: Value) -> bool | Condition:
        from conv_lint.interpreter.expressions import truth_of

        return truth_of(self.machine, self.frame, value)

    def binary(self, kind: type[cst.BaseBinaryOp], left: Value, right: Value) -> Value:
        from conv_lint.interpreter.operators import binary

        return binary(self.machine, self.frame, self.node or cst.Name("_"), kind, left, right)

    def mapped(self, value: Choice, use: Callable[[Value], Value]) -> Value:
        """Apply ``use`` to both alternatives."""
        return self.machine.choose(self.frame, value, use)

    def evaluate_text(self, text: str) -> Value:
        """``eval`` of a known string: parsed, and evaluated here like any expression."""
        from conv_lint.interpreter.expressions import evaluate

        try:
            return evaluate(self.machine, self.frame, cst.parse_expression(text))
        except cst.ParserSyntaxError:
            return Unknown("eval of something that is no expression")


NativeFunction = Callable[..., Value]
NATIVES: dict[str, NativeFunction] = {}


def native(*names: str) -> Callable[[NativeFunction], NativeFunction]:
    """Provide a function of a library.  Its parameters after the context bind as Python binds them."""

    def register(function: NativeFunction) -> NativeFunction:
        for name in names:
            if NATIVES.setdefault(name, function) is not function:
                raise ValueError(f"{name} is provided twice")
        return function

    return register


@functools.cache
def _fits(function: NativeFunction, positional: int, named: tuple[str, ...]) -> bool:
    """Does a native function take so many arguments, and those of these names, behind its context?"""
    try:
        inspect.signature(function).bind(*range(positional + 1), **dict.fromkeys(named))
    except TypeError:
        return False
    return True


_ALIASES = {
    "torch.FloatTensor": "torch.Tensor",
    "torch.autograd.Variable": "torch.autograd.Variable",
    "torch.nn.parameter.Parameter": "torch.nn.Parameter",
    "torch.nn.parallel.DataParallel": "torch.nn.DataParallel",
    "torch.functional": "torch",
    "torch.concat": "torch.cat",
    "torch.concatenate": "torch.cat",
    "numpy.product": "numpy.prod",
    **{
        f"timm.{place}.{name}": known
        for place in ("layers", "layers.drop", "layers.weight_init", "models.layers")
        for name, known in (("DropPath", "torch.nn.Identity"), ("trunc_normal_", "torch.nn.init.trunc_normal_"))
    },
}
#: The kinds of a parameter, in the order of :class:`inspect.Parameter`, where they are numbers too.
PARAMETER_KINDS = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "KEYWORD_ONLY", "VAR_KEYWORD")
_CONSTANTS: dict[str, Value] = {
    "math.pi": math.pi,
    "math.inf": math.inf,
    "math.e": math.e,
    "numpy.pi": math.pi,
    "numpy.inf": math.inf,
    "typing.TYPE_CHECKING": False,
    # The release that the op rules are checked with: what is written for older ones is not run.
    **dict.fromkeys(("torch.__version__", "torch.version.__version__"), "2.13.0"),
    "torchvision.__version__": "0.28.0",
    "inspect._empty": External("inspect.Parameter.empty"),
    "inspect.Signature.empty": External("inspect.Parameter.empty"),
    **{f"inspect.Parameter.{kind}": number for number, kind in enumerate(PARAMETER_KINDS)},
}


def library(name: str) -> Value:
    """The value of a library's dotted name, under the name that torch documents."""
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in _ALIASES:
        return External(_ALIASES[name])
    if name.startswith("torch.nn.modules."):
        last = name.rpartition(".")[2]
        return External(f"torch.nn.{last}" if last[:1].isupper() or last.startswith("_") else name)
    if name.startswith(("torch._C._nn.", "torch._nn.")):
        return External(f"torch.nn.functional.{name.rpartition('.')[2]}")
    return External(name)


def constants(machine: Machine, values: tuple[Value, ...]) -> list[Any] | None:
    """Values as Python's own, lists and tuples inside too; ``None`` if any is not known."""
    out: list[Any] = []
    for value in values:
        value = machine.resolve(value)
        if isinstance(value, (int, float, str, bytes, type(None))):
            out.append(value)
        elif isinstance(value, (List, tuple, range, Iter)):
            items = items_of(machine, value)
            inner = constants(machine, tuple(items)) if items is not None else None
            if inner is None:
                return None
            out.append(inner)
        else:
            return None
    return out


# calling ----------------------------------------------------------------------------------------------------


def call(machine: Machine, frame: Frame, node: cst.CSTNode | None, function: External, arguments: Arguments) -> Value:
    """Call a library's function or class."""
    import conv_lint.interpreter.arrays
    import conv_lint.interpreter.builtins  # registers Python's own functions
    import conv_lint.interpreter.data
    import conv_lint.interpreter.images
    import conv_lint.interpreter.reflection
    import conv_lint.interpreter.stdlib  # and those of its standard library
    import conv_lint.interpreter.summaries
    import conv_lint.interpreter.torch_api
    import conv_lint.interpreter.training
    import conv_lint.interpreter.transforms
    import conv_lint.interpreter.type_tests  # noqa: F401
    from conv_lint.interpreter import faults, modules

    name = function.name
    if name in NATIVES:
        machine.weigh(*arguments.args, *arguments.kwargs.values())
        return run_named(machine, frame, node, name, arguments)
    if name in ops.LAYERS or name in modules.CONTAINERS or name == "torch.nn.Module":
        return modules.construct(machine, frame, node, name, arguments)
    owner, _, method = name.rpartition(".")
    if method in _OF_LAYERS and is_module_name(owner) and arguments.args:  # nn.Conv2d.__init__(self, ...)
        receiver = machine.resolve(arguments.args[0])
        if isinstance(receiver, Instance) and receiver.is_module:
            behind = replace(arguments, args=arguments.args[1:], nodes=arguments.nodes[1:])
            return call_with(machine, frame, node, Method(receiver, method, External(owner)), behind)
    if name.startswith(("builtins.dict.", "builtins.list.")) and arguments.args:
        held = arguments.args[0].held if isinstance(arguments.args[0], Instance) else arguments.args[0]
        if isinstance(held, (List, Dict)):
            method = name.rpartition(".")[2]
            return protocols.of_items(machine, frame, node, held, method, arguments.args[1:])
    if name.startswith("torch.Tensor.") and arguments.args and isinstance(arguments.args[0], Tensor):
        return tensors.call_method(
            machine, frame, node, arguments.args[0], name[13:], arguments.args[1:], arguments.kwargs, arguments.open
        )
    if tensors.row_of(name) is not None:
        return tensors.call(machine, frame, node, name, arguments.args, arguments.kwargs, arguments.open)
    if owner == "torch.nn.init" and (method.endswith("_") or method in _OLD_INIT):
        return arguments.args[0] if arguments.args else None
    if name.startswith("math.") or name in ("numpy.prod", "numpy.sqrt", "numpy.log2", "numpy.sum", "numpy.gcd"):
        return _mathematics(machine, name, arguments)
    if not name.startswith(_APART):
        faults.share(machine, [*arguments.args, *arguments.kwargs.values()])
    reason = f"{name.removeprefix('builtins.')} is not known"
    return Apart(reason) if name.startswith(_APART) else machine.unknown(reason, frame, node)


#: Functions of ``torch.nn.init`` without the underscore that they have now; others tell something of a tensor.
_OLD_INIT = frozenset(
    "constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal"
    " xavier_uniform".split()
)
#: Methods of torch's layers that classes which derive from them call by the name of the layer.
_OF_LAYERS = frozenset({"__init__", "forward", "__call__"})
#: What no shape depends on.
_APART = tuple(
    "torch.device torch.cuda. torch.optim. torch.backends. torch.distributed. torch.mps. torch.random. torch.autograd."
    " torch.amp. torch.set_ torch.profiler. torch.Generator torch.get_ torch.seed logging. time."
    " random.seed numpy.random.seed warnings. matplotlib. wandb. pathlib. os. sys. shutil. datetime. argparse."
    " builtins.print builtins.open builtins.id builtins.input".split()
)


#: What gives a number with a point whatever it is given.
_ROOTS = frozenset("sqrt log log2 log10 exp sin cos tan tanh".split())


def _mathematics(machine: Machine, name: str, arguments: Arguments) -> Value:
    """A function of ``math`` on known numbers; a product of sizes also where they are symbols."""
    machine.weigh(*arguments.args)
    last = name.rpartition(".")[2]
    if last == "prod" and arguments.args:
        items = items_of(machine, arguments.args[0])
        sizes = [v.size() if isinstance(v, Unknown) else v for v in items or ()]
        if items is not None and all(isinstance(v, (int, dims.Expr)) for v in sizes):
            return dims.product(sizes)  # type: ignore[arg-type]
    plain = constants(machine, tuple(arguments.args))
    base = arguments.args[1:] if last == "log" else ()
    is_root = last in _ROOTS and len(arguments.args) == 1 + len(base) and all(isinstance(b, (int, float)) for b in base)
    if is_root and isinstance(of := arguments.args[0], (dims.Expr, Unknown)):
        of = of.size() if isinstance(of, Unknown) and not isinstance(of, Real) else of
        words = ", ".join([of.text if isinstance(of, Real) else dims.render(of), *map(str, base)])
        return Real(f"{last}({words})", (of,))
    if plain is None or arguments.kwargs or (last in ("factorial", "comb", "perm") and plain[0] > 100):
        return Unknown("a number that is not known")
    function = sum if last == "sum" else getattr(math, last, None)
    try:
        return function(*plain) if function is not None else Unknown(f"{name} is not known")
    except (TypeError, ValueError, ArithmeticError):
        return Unknown(f"{name} of something that it does not take")


#: Keyword arguments that no shape depends on, and that may be given or not.
NO_MATTER = {
    "torch.utils.data.DataLoader": frozenset(
        "num_workers pin_memory shuffle sampler timeout worker_init_fn multiprocessing_context generator"
        " prefetch_factor persistent_workers pin_memory_device".split()
    )
}


def run_named(machine: Machine, frame: Frame, node: cst.CSTNode | None, name: str, arguments: Arguments) -> Value:
    """Run a native function with its name; arguments that do not fit make it unknown."""
    if arguments.maybe and not arguments.others and NO_MATTER.get(name, frozenset()).issuperset(arguments.maybe):
        kept = {key: value for key, value in arguments.kwargs.items() if key not in arguments.maybe}
        arguments = replace(arguments, kwargs=kept, maybe={})
    if arguments.open:
        return machine.unknown(f"{name} is called with {arguments.open}", frame, node)
    function = NATIVES[name]
    context = Context(machine, frame, node, name, arguments)
    args = [machine.resolve(a) for a in arguments.args]
    if not _fits(function, len(args), tuple(arguments.kwargs)):
        return machine.unknown(f"{name} with these arguments", frame, node)
    return function(context, *args, **arguments.kwargs)


def run_native(machine: Machine, frame: Frame, node: cst.CSTNode | None, function: Any, arguments: Arguments) -> Value:
    """Call a function that the interpreter made itself (``itemgetter(1)``)."""
    if arguments.open:
        return machine.unknown(arguments.open, frame, node)
    machine.weigh(*arguments.args, *arguments.kwargs.values())
    context = Context(machine, frame, node, function.name, arguments)
    code = function.run.__code__
    # The keywords that it names are bound to them; others it finds in its context.
    named = code.co_varnames[1 : code.co_argcount] if arguments.kwargs else ()
    try:
        return function.run(context, *arguments.args, **{n: v for n, v in arguments.kwargs.items() if n in named})
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # not of the call itself
        return machine.unknown(f"these arguments of {function.name}", frame, node)
