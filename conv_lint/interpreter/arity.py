"""Do the arguments of a call fit the parameters of the file's own function, class or ``forward``, or of torch's?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import libcst as cst

from conv_lint import catalogue, ops
from conv_lint.finding import Origin
from conv_lint.interpreter import faults, tensors
from conv_lint.interpreter.calls import Arguments
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import BoundMethod, Class, Frame, Function, Instance, Method, Partial
from conv_lint.ops.table import NUMPY_NAMES, Signature
from conv_lint.tree import dotted
from conv_lint.values import External, Tensor, Value

#: Decorators that leave the parameters as they are, by their last name.
_TRANSPARENT = frozenset(
    "staticmethod classmethod abstractmethod no_grad inference_mode enable_grad override final lru_cache cache".split()
)
#: No longer list of parameters is shown in a message.
SHOWN = 60
#: Functions that may be called with no tensors at all name them so; of others torch wants one number at least.
_NO_TENSORS = frozenset({"tensors", "operands", "matrices"})
#: Keywords that one form or another of torch's functions takes, though the rows do not list them.
TOLERATED = frozenset(
    "out memory_format non_blocking generator pin_memory layout requires_grad device dtype inplace _stacklevel names"
    " axis keepdims x x1 x2 a b l n t i idx list y input other tensor tensors tensor2 batch2 value values indices"
    " sections split_size_or_sections tensor_indices_or_sections qtensor qtensors dimension divisor dividend size shape"
    " dims repeats sizes copy reverse rcond tol max min A out_dtype self correction unbiased".split()
)
#: Functions of which another form takes less than the row says: ``arange(end=3)``, ``repeat_interleave(repeats)``.
OTHER_FORMS = frozenset({"torch.arange", "torch.repeat_interleave", "torch.einsum"})
#: Methods that arrays, pictures or texts have too, with other parameters.
_SHARED = frozenset("split view reshape transpose swapaxes put take dot cumsum cumprod repeat".split())
_FOREIGN = ("numpy", "PIL", "pandas", "jax", "tensorflow", "cv2")


def check(machine: Machine, frame: Frame, node: cst.CSTNode | None, called: Value, arguments: Arguments) -> bool:
    """Report arguments that do not fit (CONV112), where the call is made for sure and all of them are known.  Returns
    whether a function of the checked code lacks one.

    ``called`` may be a function or method of the checked code, one of its classes, an object of one, or a partial of
    those.  A decorator that is not known may have changed the parameters, a metaclass the call, a hook the inputs.
    """
    if not isinstance(node, cst.Call) or arguments.open or arguments.rest:
        return False
    while isinstance(called, Partial):
        arguments = Arguments([*called.args, *arguments.args], {**called.kwargs, **arguments.kwargs})
        called = called.function
    if isinstance(called, (External, Method)):
        _check_torch(machine, frame, node, called, arguments)
        return False
    function, is_bound = _function_of(machine, called)
    if function is None:
        return False
    is_certain = faults.is_certain(machine, frame)
    if not (machine.catching or machine.visiting or is_certain):
        return False
    signature = _signature(function, is_bound)
    if signature.double_star and function.node.params.posonly_params:
        return False  # a keyword of the name of a positional parameter goes to the others
    if any(torchs in signature.positional for name, torchs in NUMPY_NAMES.items() if name in arguments.kwargs):
        return False  # here ``axis`` is no other name for ``dim``
    try:
        signature.bind(arguments.args, arguments.kwargs)
    except TypeError as error:
        lacks = str(error).startswith("missing")
        if passes_on_nothing(machine, frame, node) and lacks:
            return False
        if machine.catching and str(error).startswith("unexpected"):
            raise PythonRaise("TypeError") from None
        if is_certain and not machine.catching:
            _report(machine, frame, node, called, function, is_bound, str(error))
        return lacks and not machine.catching
    return False


def _check_torch(
    machine: Machine, frame: Frame, node: cst.Call, called: External | Method, arguments: Arguments
) -> None:
    """A function or method of torch that lacks an argument, or is given one by a name that it does not know."""
    name, args = called.name, arguments.args
    if isinstance(called, Method):
        receiver = machine.resolve(called.receiver)
        if not isinstance(receiver, Tensor):
            return
        name, args = f"torch.Tensor.{called.name}", [receiver, *args]
    row = ops.FUNCTIONS.get(name)
    if row is None or name in OTHER_FORMS or not name.startswith("torch."):
        return
    problem = torch_problem(row.signature, args, arguments.kwargs)
    loose = 0 if problem is not None or isinstance(called, Method) else _loose_tensors(row.signature, arguments)
    if loose and faults.is_certain(machine, frame):
        last = name.rpartition(".")[2]
        fix = f"write {last}(({', '.join(['...'] * loose)}), dim)"
        faults.report(machine, frame, node, catalogue.tensor_list(layer=last, given=f"{loose} one by one", fix=fix))
    if problem is None or not faults.is_certain(machine, frame) or _may_be_foreign(machine, called):
        return
    if problem.startswith("missing") and passes_on_nothing(machine, frame, node):
        return
    report = catalogue.call_signature(layer=name.rpartition(".")[2], problem=problem)
    faults.report(machine, frame, node, report)


def _loose_tensors(signature: Signature, arguments: Arguments) -> int:
    """How many tensors ``torch.cat(x, y, dim=1)`` is given in the place of one list of them."""
    if signature.positional[:1] != ("tensors",):
        return 0
    try:
        signature.bind(arguments.args, arguments.kwargs)
    except TypeError:
        loose = list(itertools.takewhile(lambda value: isinstance(value, Tensor), arguments.args))
        return len(loose) if len(loose) > 1 else 0
    return 0


def _may_be_foreign(machine: Machine, called: External | Method) -> bool:
    """May a method be that of an array, a picture or a text, which has other parameters?"""
    if not isinstance(called, Method):
        return False
    receiver = machine.resolve(called.receiver)
    if called.name == "split" and not (isinstance(receiver, Tensor) and tensors.is_surely_one(machine, receiver)):
        return True
    return called.name in _SHARED and any(word in machine.tree.text for word in _FOREIGN)


def torch_problem(signature: Signature, args: Sequence[object], kwargs: Mapping[str, object]) -> str | None:
    """What torch has against the arguments, as far as it concerns their names and number; too many may be another
    form of the function."""
    try:
        bound = signature.bind(args, kwargs)
    except TypeError as error:
        text = str(error)
        is_odd = text.startswith("unexpected") and not TOLERATED.intersection(kwargs)
        return text if text.startswith("missing") or is_odd else None
    star = signature.star
    if star is None or star in _NO_TENSORS or signature.double_star or bound[star] != ():
        return None
    return f"missing argument {star!r}"


def passes_on_nothing(machine: Machine, frame: Frame, node: cst.CSTNode | None) -> bool:
    """Does a call pass on ``*args`` or ``**kwargs``, of which a call that the checker makes up gives none, or call what
    is only the default for something that another caller gives?"""
    if not machine.by_default or not isinstance(node, cst.Call):
        return False
    if _is_replaceable(frame, node.func):
        return True
    return any(argument.star and not _is_spelt_out(frame, argument) for argument in node.args)


def _is_replaceable(frame: Frame, called: cst.BaseExpression) -> bool:
    """Is it a parameter that has kept its default, or an attribute of the module itself: ``self.which_conv(3, 8)``?"""
    match called:
        case cst.Name(value=name):
            return frame.has_default(name)
        case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=name)):
            held = frame.self_value.attrs.get(name) if isinstance(frame.self_value, Instance) else None
            return isinstance(held, (External, Class))
    return False


def _is_spelt_out(frame: Frame, argument: cst.Arg) -> bool:
    """Is a starred argument a display, or a name for one that the function uses for nothing else?

    ``dd = {"device": device, "dtype": dtype}`` holds these two, whatever the function was given.
    """
    value = argument.value
    if not isinstance(value, cst.Name) or argument.star != "**":
        return _is_display(value)
    if frame.function is None or not isinstance(frame.function.node, cst.FunctionDef):
        return False
    made: list[cst.BaseExpression] = []
    return _uses(frame.function.node, value.value, made) == 0 and len(made) == 1 and _is_display(made[0])


def _is_display(node: cst.BaseExpression) -> bool:
    match node:
        case cst.Dict(elements=elements):
            return not any(isinstance(e, cst.StarredDictElement) for e in elements)
        case cst.List(elements=elements) | cst.Tuple(elements=elements):
            return not any(isinstance(e, cst.StarredElement) for e in elements)
        case cst.Call(func=cst.Name(value="dict"), args=arguments):
            return all(argument.keyword is not None for argument in arguments)
    return False


def _uses(node: cst.CSTNode, name: str, made: list[cst.BaseExpression]) -> int:
    """How often a name is used but to unpack it in a call; what is assigned to it alone is put into ``made``."""
    match node:
        case cst.Arg(star="**", value=cst.Name(value=found)) if found == name:
            return 0
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=found))], value=value) if found == name:
            made.append(value)
            return _uses(value, name, made)
        case cst.Name(value=found):
            return found == name
        case cst.Attribute(value=value):
            return _uses(value, name, made)
    return sum(_uses(child, name, made) for child in node.children)


def _function_of(machine: Machine, called: Value) -> tuple[Function | None, bool]:
    """The function that takes the arguments, and whether its first parameter is given by Python itself."""
    found: Value = called
    match called:
        case BoundMethod():
            found = called.function
        case Class() if _is_plain(called):
            found = called.find("__init__")
        case Instance() if isinstance(called.cls, Class) and faults.has_known_bases(called.cls) and not machine.hooked:
            found = called.cls.find("__call__")
            if not isinstance(found, Function):
                found = called.cls.find("forward") if called.is_module and "forward" not in called.attrs else None
    if not isinstance(found, Function) or not _is_as_written(found):
        return None, False
    return found, found is not called and found.kind != "static"


def _is_plain(made: Class) -> bool:
    """Does calling this class run its ``__init__`` with the very arguments of the call?"""
    if made.kind or not faults.has_known_bases(made) or any(_changes_calls(base) for base in made.mro):
        return False
    return not isinstance(made.find("__new__"), Function)


def _changes_calls(base: Value) -> bool:
    return isinstance(base, Class) and (base.node is None or bool(base.node.decorators) or bool(base.node.keywords))


def _is_as_written(function: Function) -> bool:
    """Has the function the parameters of its ``def``?"""
    if not isinstance(function.node, cst.FunctionDef):
        return True
    for decorator in function.node.decorators:
        node = decorator.decorator
        name = dotted(node.func if isinstance(node, cst.Call) else node)
        if name.rpartition(".")[2] not in _TRANSPARENT and not name.startswith("torch.jit."):
            return False
    return True


def _signature(function: Function, is_bound: bool) -> Signature:
    params = function.node.params
    positional = [p.name.value for p in (*params.posonly_params, *params.params)][is_bound:]
    star = params.star_arg.name.value if isinstance(params.star_arg, cst.Param) else None
    if is_bound and not (params.posonly_params or params.params):
        star = star or "args"  # def forward(*args): its first argument is in there
    more = tuple(p.name.value for p in params.kwonly_params)
    return Signature(
        tuple(positional),
        function.defaults,
        star,
        more,
        params.star_kwarg.name.value if params.star_kwarg is not None else None,
    )


def _report(
    machine: Machine, frame: Frame, node: cst.Call, called: Value, function: Function, is_bound: bool, problem: str
) -> None:
    if machine.visiting and any(argument.star for argument in node.args):
        return  # what another file has given is handed on
    params = function.node.params
    written = _written(function, [*params.posonly_params, *params.params][is_bound:])
    place = Origin("defined", frame.place(function.node)) if function.tree is frame.tree else None
    report = catalogue.call_signature(layer=_label(called, function), problem=problem, parameters=written, source=place)
    faults.report(machine, frame, node, report)


def _label(called: Value, function: Function) -> str:
    if isinstance(called, Instance):
        return called.label
    return called.name if isinstance(called, Class) else function.name


def _written(function: Function, params: Sequence[cst.Param]) -> str | None:
    """``(cin, cout, stride=1)``, or nothing where that is long."""

    def one(parameter: cst.Param) -> str:
        default = parameter.default
        return parameter.name.value + (f"={function.tree.module.code_for_node(default)}" if default is not None else "")

    parts = [one(p) for p in params]
    more = function.node.params
    if isinstance(more.star_arg, cst.Param):
        parts.append(f"*{more.star_arg.name.value}")
    elif more.kwonly_params:
        parts.append("*")
    parts += [one(p) for p in more.kwonly_params]
    text = f"({', '.join(parts)})"
    return text if len(text) <= SHOWN and "\n" not in text else None
