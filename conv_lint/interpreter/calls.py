"""Calls: evaluating arguments, binding them to parameters, running functions, constructing objects."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import libcst as cst

from conv_lint.interpreter.journal import MAX_SAMPLED, each_of, join
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import (
    MISSING,
    BoundMethod,
    Call,
    Class,
    Frame,
    Function,
    Instance,
    Method,
    Native,
    Partial,
    Super,
)
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import Apart, Choice, Condition, Dict, External, Iter, List, Tensor, Unknown, Value

#: What ``*args`` and ``**kwargs`` hold in a call that the checker makes up.
FURTHER = "further arguments of a call that nobody makes"


@dataclass
class Arguments:
    """Evaluated arguments with the expressions that the caller wrote for them.

    ``open``: a reason if the arguments are not these for sure.  ``others``: a reason if there may be more of them that
    are not known.  ``maybe``: keyword arguments that are given only under a condition.  ``rest``: a reason if only
    ``*args`` and ``**kwargs`` of the function may hold more, :data:`FURTHER` of a call that the checker makes up: what
    has a default keeps it then, also in the functions of the checked code to which they are passed on.
    ``starred``: the list behind the only star, of which some items are there under conditions only.
    """

    args: list[Value] = field(default_factory=list)
    kwargs: dict[str, Value] = field(default_factory=dict)
    nodes: list[cst.CSTNode | None] = field(default_factory=list)
    kw_nodes: dict[str, cst.CSTNode] = field(default_factory=dict)
    others: str | None = None
    rest: str | None = None
    maybe: dict[str, Condition] = field(default_factory=dict)
    starred: List | None = None

    @property
    def open(self) -> str | None:
        return self.others or ("arguments that are given only under a condition" if self.maybe else None)

    @open.setter
    def open(self, reason: str | None) -> None:
        self.others = reason


def evaluate_call(machine: Machine, frame: Frame, node: cst.Call) -> Value:
    """The value of a call expression."""
    from conv_lint.interpreter import arity, faults, in_place, kinds
    from conv_lint.interpreter.expressions import extend

    function = _callee(machine, frame, node.func)
    if isinstance(function, External) and function.name == "builtins.super":
        return _super(machine, frame, node)
    if isinstance(function, Method) and function.name == "extend" and isinstance(function.receiver, List):
        lazy = node.args[0].value if len(node.args) == 1 else None
        if isinstance(lazy, cst.GeneratorExp) and not lazy.for_in.ifs:
            extend(machine, frame, function.receiver, lazy)
            return None
    arguments = evaluate_arguments(machine, frame, node.args)
    if arguments.others and not isinstance(function, (Class, External)) and not _initializes(function):
        _may_change(machine, function, arguments.others)
        faults.share(machine, [*arguments.args, *arguments.kwargs.values()])
        return machine.unknown(f"called with {arguments.open}", frame, node)
    found = len(machine.findings)
    lacks = arity.check(machine, frame, node, function, arguments)
    if lacks and machine.visiting:
        return Unknown("a call that Python refuses")
    if len(machine.findings) > found:  # what would run with other arguments is run, but has nothing to say
        with machine.quiet():
            result = call_with(machine, frame, node, function, arguments)
        return Unknown("a call that Python refuses") if lacks else result
    if kinds.refuse_arguments(machine, frame, node, function, arguments):
        return Unknown("a call that Python refuses")
    result = call_with(machine, frame, node, function, arguments)
    if isinstance(function, Method):
        in_place.follow(machine, frame, node, function, result)
    return result


def _initializes(function: Value) -> bool:
    """``super().__init__`` of a library class, which takes arguments that are not known."""
    return isinstance(function, Method) and function.name == "__init__" and isinstance(function.base, External)


def _may_change(machine: Machine, function: Value, reason: str) -> None:
    """A method that is not followed may have given its object more than is known of it."""
    receiver = function.receiver if isinstance(function, (BoundMethod, Method)) else None
    if isinstance(receiver, (Instance, List)):
        machine.journal.touch(receiver)
        receiver.open = receiver.open or f"was called with {reason}"


def _callee(machine: Machine, frame: Frame, node: cst.BaseExpression) -> Value:
    """What is called.  A method of a text is one only here: ``cfg.upper`` may be a number."""
    from conv_lint.interpreter import attributes, texts
    from conv_lint.interpreter.expressions import evaluate

    if not isinstance(node, cst.Attribute) or node.attr.value not in texts.OF_UNKNOWN_TEXT:
        return evaluate(machine, frame, node)

    def method(base: Value) -> Value:
        if isinstance(base, Choice) and base.then is not None and base.other is not None:
            return machine.choose(frame, base, method)
        if type(base) is Unknown:
            return Method(base, node.attr.value)
        return attributes.get(machine, frame, node, base, node.attr.value)

    return method(machine.resolve(evaluate(machine, frame, node.value)))


def evaluate_arguments(machine: Machine, frame: Frame, nodes: Sequence[cst.Arg]) -> Arguments:
    """The arguments of a call, ``*`` and ``**`` unpacked."""
    from conv_lint.interpreter import kinds
    from conv_lint.interpreter.expressions import evaluate

    out = Arguments()
    displaced = False
    for argument in nodes:
        value = evaluate(machine, frame, argument.value)
        if argument.star == "*":
            items = items_of(machine, value) if not displaced else None
            if isinstance(value, List) and value.open == FURTHER and not displaced:
                items, out.rest = value.items, FURTHER
            if items is None:
                kinds.refuse_iterating(machine, frame, argument.value, value, kinds.NOT_STARRED)
                out.open = "unknown positional arguments"
                out.starred = value if len(nodes) == 1 and isinstance(value, List) and value.maybe else None
                displaced = True
                continue
            out.args.extend(items)
            out.nodes.extend(_parts(argument.value, len(items)))
        elif argument.star == "**":
            value = _one_dict(machine, value)
            if not isinstance(value, Dict):
                out.open = out.others or ("unknown keyword arguments" if not _is_empty_unknown(value) else None)
                continue
            if value.others == FURTHER:
                out.rest = FURTHER
            elif value.others:
                out.open = out.others or f"keyword arguments from a dict that {value.others}"
            out.kwargs.update({k: v for k, v in value.items.items() if isinstance(k, str)})
            for name in value.maybe:
                there = machine.has_key(value, name)
                if isinstance(there, Condition):
                    out.maybe[name] = there
                elif not there:
                    del out.kwargs[name]
        elif argument.keyword is not None:
            out.kwargs[argument.keyword.value] = value
            out.kw_nodes[argument.keyword.value] = argument.value
        elif not displaced:  # behind unknown ones nobody knows the position
            out.args.append(value)
            out.nodes.append(argument.value)
    return out


def _one_dict(machine: Machine, value: Value) -> Value:
    """``**(a if c else b)`` of two dicts: one dict, with the keys that only one of them has under the condition."""
    value = machine.resolve(value)
    if not isinstance(value, Choice):
        return value
    one, two = _one_dict(machine, value.then), _one_dict(machine, value.other)
    if not isinstance(one, Dict) or not isinstance(two, Dict) or one.maybe or two.maybe:
        return value
    made = Dict(open=one.others or two.others)
    for key in dict.fromkeys([*one.items, *two.items]):
        if key in one.items and key in two.items:
            made.items[key] = join(value.condition, one.items[key], two.items[key])
        else:
            made.items[key] = one.items.get(key, two.items.get(key))
            made.maybe[key] = value.condition if key in one.items else value.condition.inverse()
    return made


def _is_empty_unknown(value: Value) -> bool:
    return value is None


def _parts(node: cst.BaseExpression, count: int) -> list[cst.CSTNode | None]:
    """The expressions of a starred display, ``*[a, b]``; of anything else the whole of it."""
    if isinstance(node, (cst.List, cst.Tuple)) and len(node.elements) == count:
        return [e.value for e in node.elements]
    return [node] * count


def _super(machine: Machine, frame: Frame, node: cst.Call) -> Value:
    """``super()`` and ``super(Class, self)``."""
    from conv_lint.interpreter.expressions import evaluate

    if len(node.args) >= 2:
        after = evaluate(machine, frame, node.args[0].value)
        receiver = evaluate(machine, frame, node.args[1].value)
        return Super(receiver, after) if isinstance(after, Class) else Unknown("super() of an unknown class")
    scope: Frame | None = frame
    while scope is not None:
        if scope.function is not None and scope.function.owner is not None and scope.self_value is not None:
            return Super(scope.self_value, scope.function.owner)
        scope = scope.parent
    return Unknown("super() outside a method")


# calling any value ------------------------------------------------------------------------------------------


def call_value(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    function: Value,
    args: list[Value],
    kwargs: Mapping[str, Value],
) -> Value:
    """Call a value with values."""
    return call_with(machine, frame, node, function, Arguments(list(args), dict(kwargs), [None] * len(args)))


def call_with(machine: Machine, frame: Frame, node: cst.CSTNode | None, function: Value, arguments: Arguments) -> Value:
    """Call a value with evaluated arguments."""
    from conv_lint.interpreter import classes, faults, libraries, methods, module_methods

    function = machine.resolve(function)
    if arguments.rest and isinstance(function, (External, Native, Method)):
        arguments = replace(arguments, others=arguments.others or arguments.rest)
    match function:
        case Function():
            return run_function(machine, frame, node, function, arguments)
        case BoundMethod():
            return run_function(machine, frame, node, function.function, with_first(arguments, function.receiver))
        case Instance():
            return _call_instance(machine, frame, node, function, arguments)
        case Class():
            return classes.construct(machine, frame, node, function, arguments)
        case External():
            return libraries.call(machine, frame, node, function, arguments)
        case Method() if isinstance(function.receiver, (Instance, Class)):
            return module_methods.call_method(machine, frame, node, function, arguments)
        case Method():
            return methods.call(machine, frame, node, function, arguments)
        case Native():
            return libraries.run_native(machine, frame, node, function, arguments)
        case Partial():
            joined = Arguments([*function.args, *arguments.args], {**function.kwargs, **arguments.kwargs})
            joined.nodes = [*[None] * len(function.args), *arguments.nodes]
            joined.kw_nodes, joined.others = dict(arguments.kw_nodes), arguments.others
            for name, condition in arguments.maybe.items():
                if name in function.kwargs:
                    joined.kwargs[name] = Choice(condition, joined.kwargs[name], function.kwargs[name])
                else:
                    joined.maybe[name] = condition
            return call_with(machine, frame, node, function.function, joined)
        case Choice():
            return _call_choice(machine, frame, node, function, arguments)
        case None:
            faults.not_callable(machine, frame, node, None)
            raise PythonRaise("TypeError")
    if faults.not_callable(machine, frame, node, function):
        return Unknown("a call of what cannot be called")
    if isinstance(function, Apart):
        return Apart(function.reason)
    faults.share(machine, [*arguments.args, *arguments.kwargs.values()])
    reason = function.reason if isinstance(function, Unknown) else "something that is not known is called"
    return machine.unknown(reason, frame, node)


def _call_choice(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, function: Choice, arguments: Arguments
) -> Value:
    from conv_lint.interpreter import suppose

    one = suppose.layer(machine, function)
    if one is not None:
        return call_with(machine, frame, node, one, arguments)
    return machine.choose(frame, function, lambda v: call_with(machine, frame, node, v, arguments))


def with_first(arguments: Arguments, first: Value) -> Arguments:
    return Arguments(
        [first, *arguments.args],
        arguments.kwargs,
        [None, *arguments.nodes],
        arguments.kw_nodes,
        arguments.others,
        arguments.rest,
        arguments.maybe,
    )


def _call_instance(
    machine: Machine, frame: Frame, node: cst.CSTNode | None, instance: Instance, arguments: Arguments
) -> Value:
    from conv_lint.interpreter import modules

    if instance.is_module:
        return modules.call_module(machine, frame, node, instance, arguments)
    if isinstance(instance.cls, Class):
        method = instance.cls.find("__call__")
        if isinstance(method, Function):
            return run_function(machine, frame, node, method, with_first(arguments, instance))
    return machine.unknown(f"a call of an object of {instance.class_name}", frame, node)


def call_method(machine: Machine, frame: Frame, receiver: Instance, name: str, args: list[Value]) -> Value | None:
    """Call a method that the object's own class defines; ``None`` if it has none."""
    method = receiver.cls.find(name) if isinstance(receiver.cls, Class) else MISSING
    if not isinstance(method, Function):
        return None
    return call_function(machine, frame, None, method, [receiver, *args], {})


# functions of the checked code ------------------------------------------------------------------------------


def make_function(machine: Machine, frame: Frame, node: cst.FunctionDef | cst.Lambda) -> Value:
    """The value of a ``def`` or a ``lambda``; defaults are evaluated here, as Python does."""
    from conv_lint.interpreter.decorators import decorate
    from conv_lint.interpreter.expressions import evaluate

    name = node.name.value if isinstance(node, cst.FunctionDef) else "<lambda>"
    owner = frame.self_value if isinstance(frame.self_value, Class) and frame.function is None else None
    closure = frame.parent if owner is not None and frame.parent is not None else frame
    function = Function(node, frame.tree, closure, name, owner=owner if isinstance(owner, Class) else None)
    for parameter in (*node.params.posonly_params, *node.params.params, *node.params.kwonly_params):
        if parameter.default is not None:
            function.defaults[parameter.name.value] = evaluate(machine, frame, parameter.default)
    if not isinstance(node, cst.FunctionDef):
        return function
    if frame.tree is machine.tree and any(_may_declare(p) for p in node.params.params):
        from conv_lint.interpreter.contracts import declarations

        declarations(machine, function)
    return decorate(machine, frame, node, function)


def _may_declare(parameter: cst.Param) -> bool:
    annotation = parameter.annotation.annotation if parameter.annotation is not None else None
    return isinstance(annotation, (cst.Subscript, cst.SimpleString))


def call_function(
    machine: Machine,
    frame: Frame,
    node: cst.CSTNode | None,
    function: Function,
    args: list[Value],
    kwargs: Mapping[str, Value],
) -> Value:
    """Run a function of the checked code with values."""
    return run_function(machine, frame, node, function, Arguments(list(args), dict(kwargs), [None] * len(args)))


def run_function(
    machine: Machine, caller: Frame, node: cst.CSTNode | None, function: Function, arguments: Arguments
) -> Value:
    """Bind the arguments, run the body, return its value; of a cached function, the value of the last such call."""
    machine.tick()
    if function.known is not None and _are_plain(given := (*arguments.args, *arguments.kwargs.values())):
        key = (len(arguments.args), *arguments.kwargs, *((type(v), v) for v in given))
        if key not in function.known:
            made = _run_followed(machine, caller, node, function, arguments)
            if not isinstance(made, Unknown) and not _are_plain((made,)):
                return made
            function.known[key] = made
        return function.known[key]
    return _run_followed(machine, caller, node, function, arguments)


def _are_plain(values: Iterable[Value]) -> bool:
    return all(isinstance(v, (str, bool, int, type(None))) for v in values)


def _run_followed(
    machine: Machine, caller: Frame, node: cst.CSTNode | None, function: Function, arguments: Arguments
) -> Value:
    if caller.depth >= machine.limits.depth:
        machine.hooked = True  # whatever it would have changed
        return machine.unknown("calls too deep to follow", caller, node)
    with machine.running(function, arguments.args) as undecided:
        if undecided:
            machine.hooked = True
            return machine.unknown(f"{function.name} calls itself as often as nobody knows", caller, node)
        return _run_function(machine, caller, node, function, arguments)


def _run_function(
    machine: Machine, caller: Frame, node: cst.CSTNode | None, function: Function, arguments: Arguments
) -> Value:
    from conv_lint.interpreter import contracts
    from conv_lint.interpreter.expressions import evaluate
    from conv_lint.interpreter.statements import run_body, suite

    if function.owner is None and function.tree is machine.tree and not machine.muted:
        machine.used.add(function)
    frame = Frame(function.tree, function.frame.namespace, function.frame, function, depth=caller.depth + 1)
    frame.call = Call(node if node is not None else (caller.call.node if caller.call else function.node), caller)
    bind_parameters(machine, frame, caller, function, arguments)
    if arguments.args and function.owner is not None and function.kind != "static":
        frame.self_value = arguments.args[0]
    if isinstance(function.node, cst.Lambda):
        return evaluate(machine, frame, function.node.body)
    if _is_generator(function):
        frame.yields = yields = List()
        with machine.doubting(), contextlib.suppress(PythonRaise):  # nobody may ask for the last of it
            run_body(machine, frame, suite(function.node.body))
        some = yields.items[:: len(yields.items) // MAX_SAMPLED + 1]
        items = yields.items if yields.items or not yields.open else [Unknown("what a generator yields")]
        return Iter(items, yields.open, each=yields.each or each_of(some))
    contracts.hold(machine, frame, function)
    result = run_body(machine, frame, suite(function.node.body))
    contracts.hold_result(machine, frame, function, result)
    return result


def _is_generator(function: Function) -> bool:
    if function.is_generator is None:
        assert isinstance(function.node, cst.FunctionDef)
        function.is_generator = "yield" in function.tree.text and _yields(function.node.body)
    return function.is_generator


def _yields(node: cst.CSTNode) -> bool:
    """Does a body hold a ``yield`` outside nested functions?"""
    if isinstance(node, cst.Yield):
        return True
    return any(
        _yields(child) for child in node.children if not isinstance(child, (cst.FunctionDef, cst.Lambda, cst.ClassDef))
    )


def bind_parameters(machine: Machine, frame: Frame, caller: Frame, function: Function, arguments: Arguments) -> None:
    """Give each parameter its value, and remember the expression behind it."""
    params = function.node.params
    positional = [*params.posonly_params, *params.params]
    given, nodes = arguments.args, arguments.nodes
    kwargs = dict(arguments.kwargs)
    for parameter, value, node in zip(positional, given, nodes):
        frame.locals[parameter.name.value] = value
        if node is not None:
            frame.arguments[parameter.name.value] = (node, caller)
    if isinstance(params.star_arg, cst.Param):
        name = params.star_arg.name.value
        frame.locals[name] = tuple(given[len(positional) :])
        if arguments.others or arguments.rest:
            frame.locals[name] = List(given[len(positional) :], arguments.others or arguments.rest)
    for parameter in (*positional, *params.kwonly_params):
        name = parameter.name.value
        if name in frame.locals:
            continue
        if name in arguments.maybe:
            frame.locals[name] = _perhaps(kwargs.pop(name), arguments, function, name)
        elif name in kwargs:
            frame.locals[name] = kwargs.pop(name)
            if name in arguments.kw_nodes:
                frame.arguments[name] = (arguments.kw_nodes[name], caller)
        elif name in function.defaults and not arguments.others:
            default = function.defaults[name]
            is_placeholder = machine.by_default and isinstance(default, Tensor) and 0 in tuple.__iter__(default.shape)
            frame.locals[name] = Unknown(f"the parameter {name}", name) if is_placeholder else default
            if parameter.default is not None:
                frame.arguments[name] = (parameter.default, None)
        else:
            frame.locals[name] = Unknown(f"the parameter {name}", name)
    if params.star_kwarg is not None:
        more = frame.locals[params.star_kwarg.name.value] = Dict(kwargs, arguments.others or arguments.rest)
        if machine.by_default:
            machine.shared[id(more)] = more  # a call that the file makes may give more
        more.maybe = {k: c for k, c in arguments.maybe.items() if k in kwargs}


def _perhaps(value: Value, arguments: Arguments, function: Function, name: str) -> Value:
    """An argument that is given under a condition, else its default."""
    if name not in function.defaults or arguments.others:
        return Unknown(f"the parameter {name}", name)
    return Choice(arguments.maybe[name], value, function.defaults[name])
