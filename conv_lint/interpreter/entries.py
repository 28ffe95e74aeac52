"""What is run, in order: the module's own code, test functions, factories with their defaults, every nn.Module class.

Each entry but the first runs on a state of its own.  Where only the assumption that an input of unknown rank is a
batch leads to findings, the entry is run again with a single sample: a finding must stand either way, unless the code
itself speaks of batches (see ``batches.py``).  A run that raises, or that works only for one certain height or width,
counts as one that does not work.
"""

from __future__ import annotations

import ast
import contextlib
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import libcst as cst

from conv_lint import source
from conv_lint.docstrings import examples
from conv_lint.finding import Place
from conv_lint.interpreter import rounds
from conv_lint.interpreter.attempts import attempt, hangs_on_guess, note_end, reset, what_and_where
from conv_lint.interpreter.calls import FURTHER, Arguments, call_with
from conv_lint.interpreter.feed import configured, feed
from conv_lint.interpreter.machine import Machine, OutOfBudget, PythonRaise, TooLong
from conv_lint.interpreter.made_up import arguments_for, instead_of
from conv_lint.interpreter.modules import walk
from conv_lint.interpreter.namespace import Namespace
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Inherited, Instance
from conv_lint.interpreter.statements import execute
from conv_lint.tree import Tree, dotted
from conv_lint.tree import walk as walk_tree
from conv_lint.values import Choice, External, Tensor, Value


def run_all(machine: Machine) -> dict[str, Value]:
    """Run everything that the file offers.  Returns the functions and classes that nothing in the file itself has used:
    what they are given is made up."""
    namespace = run_top_level(machine)
    _doubt_ranks(machine)
    for node in definitions(machine.tree.module):
        value = namespace.frame.locals.get(node.name.value)
        if isinstance(node, cst.FunctionDef) and needs_nothing(node):
            attempt(machine, node, partial(factory, machine, namespace.frame, node, value))
    for documented in [machine.tree.module, *definitions(machine.tree.module)]:
        _examples(machine, namespace, documented)
    late = _late(machine, namespace)
    for value in list(namespace.frame.locals.values()):
        if not isinstance(value, Instance) or not value.is_module or (late and _names(machine, value.cls) & late):
            continue
        if not any(m.called for _, m in walk(value)):
            attempt(machine, machine.tree.module, partial(feed, machine, namespace.frame, value))
    unused = {name: value for name, value in namespace.frame.locals.items() if _is_unused(machine, value)}
    unused = {name: value for name, value in unused.items() if not (late and _names(machine, value) & late)}
    classes = [name for name, value in unused.items() if isinstance(value, Class)]
    for value in list(namespace.frame.locals.values()):
        if not isinstance(value, Function) or value.tree is not machine.tree or value in machine.used:
            continue
        if any(_calls(value, name) for name in classes):
            rounds.supposing(machine, value.node, partial(_factory_of, machine, namespace.frame, value))
    _feed_classes(machine, namespace, unused, late)
    idle = [v for v in unused.values() if isinstance(v, Function) and v not in machine.used and _makes_layers(v)]
    for value in idle[:MOST_FUNCTIONS]:
        if value not in machine.used:
            rounds.supposing(machine, value.node, partial(_factory_of, machine, namespace.frame, value))
    return unused


def _late(machine: Machine, namespace: Namespace) -> set[str]:
    """The functions, classes, tensors and models of the file that change: their names are bound again further down.

    In a notebook a class that mentions one of them was written for the one above it.
    """
    counts: Counter[str] = Counter()
    for statement in machine.tree.module.body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            counts[statement.name.value] += 1
        elif isinstance(statement, cst.SimpleStatementLine):
            targets = [t.target for part in statement.body if isinstance(part, cst.Assign) for t in part.targets]
            counts.update(target.value for target in targets if isinstance(target, cst.Name))
    kinds = (Function, Class, Tensor, Instance)
    return {n for n, count in counts.items() if count > 1 and isinstance(namespace.frame.locals.get(n), kinds)}


def _names(machine: Machine, value: Value) -> set[str]:
    """The names that a function or class of the file reads and does not bind itself."""
    if not isinstance(value, (Function, Class)) or value.node is None or value.tree is not machine.tree:
        return set()
    module = source.parse(textwrap.dedent(machine.tree.module.code_for_node(value.node)))
    nodes = list(ast.walk(module)) if module is not None else []
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return read - stored - {n.arg for n in nodes if isinstance(n, ast.arg)} - {value.name}


def _feed_classes(machine: Machine, namespace: Namespace, unused: dict[str, Value], late: set[str]) -> None:
    """Run the classes that nothing has used yet."""
    # What a class is for, its own file knows best: the outer classes come first, and what they have run is done.
    for node in reversed(list(definitions(machine.tree.module))):
        value = namespace.frame.locals.get(node.name.value)
        if (
            isinstance(value, Class)
            and value.is_module
            and value.tree is machine.tree
            and not (late and _names(machine, value) & late)
            and (not _is_exercised(machine, value) or machine.models is not None or configured(machine, value.name))
        ):
            found = len(machine.findings)
            rounds.supposing(machine, node, partial(feed_class, machine, namespace.frame, value))
            if _has_alternatives(value):
                machine.findings[found:] = [f for f in machine.findings[found:] if f.code != "CONV113"]
            if node.name.value in unused and _has_own_defaults(value):
                machine.of_defaults[value] = machine.findings[found:]


def _is_exercised(machine: Machine, made: Class) -> bool:
    """Has something used the class?  An outer class that hands on what nobody knows has not used its defaults."""
    return made in machine.exercised and (made in machine.well_made or not isinstance(made.find("__init__"), Function))


def _is_unused(machine: Machine, value: Value) -> bool:
    """Is it a module class of the file, or a function that works with tensors or layers, which has not run yet?"""
    if not isinstance(value, (Class, Function)) or value.tree is not machine.tree or value in machine.used:
        return False
    if isinstance(value, Class):
        return value.is_module
    return _OF_TENSORS.search(machine.tree.module.code_for_node(value.node)) is not None


#: What the text of a function has that makes layers, or works on the shapes of tensors.
_OF_TENSORS = re.compile(
    r"\bnn\.[A-Z]\w*\(|\bF\.\w+\(|\.(?:view|reshape|permute|transpose|expand|backward)\("
    r"|\b(?:cat|stack|einsum|rearrange|matmul|bmm)\(|Conv|Loss\("
)


def _has_alternatives(made: Class) -> bool:
    """Do several options of a class default to None?  Whoever uses it gives one of them."""
    init = made.find("__init__")
    params = init.node.params.params if isinstance(init, Function) else ()
    return sum(isinstance(p.default, cst.Name) and p.default.value == "None" for p in params) > 1


def _has_own_defaults(made: Class) -> bool:
    """Does its constructor have a default that a user may replace by another number?"""
    init = made.find("__init__")
    params = init.node.params if isinstance(init, Function) else None
    behind = [*params.params, *params.kwonly_params] if params is not None else []
    return any(p.default is not None and getattr(p.default, "value", None) != "None" for p in behind)


def definitions(module: cst.Module) -> Iterator[cst.FunctionDef | cst.ClassDef]:
    """The functions and classes at the top level of a file, also those behind ``if`` and ``try``."""
    bodies: list[Sequence[cst.CSTNode]] = [module.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
                yield node
            elif isinstance(node, (cst.If, cst.Try, cst.Else)):
                bodies.append(node.body.body)
                if not isinstance(node, cst.Else) and node.orelse is not None:
                    bodies.append([node.orelse])


def start(machine: Machine) -> Namespace:
    """The namespace of the linted file, empty."""
    namespace = Namespace(machine, machine.project.name, machine.project.path)
    namespace.frame.locals["__name__"] = "__main__"
    namespace.frame.locals["__file__"] = machine.project.path
    machine.namespaces["__main__"] = namespace
    return namespace


def run_top_level(machine: Machine) -> Namespace:
    """Run the file's top level statement by statement; one that raises does not keep the others from running."""
    namespace = start(machine)
    for statement in machine.tree.module.body:
        machine.entry_start = machine.steps
        try:
            execute(machine, namespace.frame, statement)
        except (PythonRaise, OutOfBudget, RecursionError) as error:
            reset(machine)
            note_end(machine, statement, error)
            machine.doubts = 1  # the program has ended; what follows lacks what it would have made
        machine.forget_pending(namespace.frame)
    machine.doubts = 0
    return namespace


def _doubt_ranks(machine: Machine) -> None:
    """Forget what was found at the top level only because a tensor of unknown rank (a picture, a wave) was taken
    for a batch, or for one of the usual rank: taken for a single sample, the program has no fault."""
    assumed = machine.rank_was_assumed and not machine.is_batched
    if not machine.findings or not (assumed or any(hangs_on_guess(machine, f) for f in machine.findings)):
        return
    single = Machine(machine.tree, machine.project, machine.limits, inputs=machine.inputs, started=machine.started)
    single.prefer_batched, single.prefer_usual = not assumed, False
    run_top_level(single)
    again, found = ({what_and_where(f)[1:] for f in run.findings} for run in (single, machine))
    if not single.strained and not single.stop and again <= found:
        machine.findings[:] = [f for f in machine.findings if what_and_where(f)[1:] in again]


# examples of docstrings -------------------------------------------------------------------------------------


def _examples(machine: Machine, namespace: Namespace, node: cst.Module | cst.FunctionDef | cst.ClassDef) -> None:
    """Run the examples behind ``>>>`` in the docstring of a file, a class and its methods, a function."""
    text = node.get_docstring(clean=False)
    found, column = examples(text) if text else ("", 0)
    if found and _DOWNLOADS not in found:
        first = machine.tree.position(node.body.body[0] if not isinstance(node, cst.Module) else node.body[0])[0]
        attempt(machine, node, partial(_run_examples, machine, namespace, found, (first, column)))
    if isinstance(node, cst.ClassDef):
        for inner in node.body.body:
            if isinstance(inner, cst.FunctionDef):
                _examples(machine, namespace, inner)


#: An example that starts from what it downloads says nothing of shapes: the configuration is not known.
_DOWNLOADS = ".from_pretrained("
#: An example is given up after so many steps: it shows how something is used, and what it uses is checked by itself.
EXAMPLE_STEPS = 40_000
_STARS = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\*", re.MULTILINE)
#: What examples take for given where their file does not import it.
_GIVEN = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy"}


def _run_examples(machine: Machine, namespace: Namespace, text: str, first: tuple[int, int]) -> None:
    try:
        tree = Tree(machine.tree.path, text, *first)
    except cst.ParserSyntaxError:
        return
    if any(machine.project.find(module) is None for module in _STARS.findall(text)):
        return  # any name may be another's
    frame = Frame(tree, namespace)
    for name, library in _GIVEN.items():
        if namespace.get(name) is MISSING:
            frame.locals[name] = External(library)
    machine.is_example, machine.training = True, True  # whatever it makes is new
    try:
        with machine.at_most(EXAMPLE_STEPS):
            for statement in tree.module.body:
                execute(machine, frame, statement)
    except TooLong:
        machine.note("the example takes too long to follow", Place(machine.tree, machine.tree.module))
    finally:
        machine.is_example = False


# factories --------------------------------------------------------------------------------------------------


def needs_nothing(node: cst.FunctionDef) -> bool:
    """Can it be called without arguments?"""
    params = node.params
    return all(p.default is not None for p in (*params.posonly_params, *params.params, *params.kwonly_params))


def factory(machine: Machine, frame: Frame, node: cst.FunctionDef, function: Value) -> None:
    """Call a function that needs no arguments; a module that it returns is fed."""
    arguments = Arguments()
    more = (node.params.star_arg, node.params.star_kwarg)
    machine.doubts += _wants_errors(node)
    machine.by_default = any(isinstance(p, cst.Param) for p in (*node.params.params, *node.params.kwonly_params, *more))
    if isinstance(node.params.star_arg, cst.Param):
        arguments.rest = FURTHER
    made = call_with(machine, frame, node, function, arguments)
    for module in _modules(machine, made):
        feed(machine, frame, module, configured(machine, node.name.value), function)


def _calls(function: Function, name: str) -> bool:
    """Does a function call something of this name?"""
    return any(isinstance(n, cst.Call) and dotted(n.func) == name for n in walk_tree(function.node))


def _factory_of(machine: Machine, frame: Frame, function: Function) -> None:
    """Call a function that makes layers, or a class which nothing else in the file has made, with symbols for what it
    needs: ``def resnet29(num_classes): return ResNet(Block, [3, 3, 3], num_classes)``.  What it returns is fed."""
    machine.by_default = True
    kwargs = arguments_for(machine, frame, None, function)
    for module in _modules(machine, call_with(machine, frame, function.node, function, Arguments([], kwargs))):
        feed(machine, frame, module)


def _makes_layers(function: Function) -> bool:
    """Does a function make layers of torch.nn, and return something?"""
    nodes = list(walk_tree(function.node))
    return any(isinstance(n, cst.Return) and n.value is not None for n in nodes) and any(
        isinstance(n, cst.Call) and _is_layer(function, dotted(n.func)) for n in nodes
    )


def _is_layer(function: Function, name: str) -> bool:
    """Is it the name of a layer of torch's, ``nn.Conv2d``, or ``Conv2d`` by ``from torch.nn import Conv2d``?"""
    if _LAYER.fullmatch(name):
        return True
    found: Value = None
    if name.isidentifier() and name[:1].isupper():
        with contextlib.suppress(PythonRaise, OutOfBudget, RecursionError):  # it may have to be imported first
            found = function.frame.namespace.get(name)
    return isinstance(found, External) and found.name.startswith("torch.nn.")


#: So many functions that nobody calls are run.
MOST_FUNCTIONS = 50
#: A call of a layer of torch's.
_LAYER = re.compile(r"(torch\.)?nn\.[A-Z]\w*")
#: Of so many models that a function makes, one for each of its options, some are run.
MOST_MODELS = 4


def _modules(machine: Machine, made: Value) -> list[Instance]:
    """The modules that a call has given, whatever the options are that decide."""
    waiting, found = [made], dict[int, Instance]()
    while waiting and len(found) < MOST_MODELS:
        value = machine.resolve(waiting.pop())
        if isinstance(value, Choice):
            waiting += [value.other, value.then]
        elif isinstance(value, Instance) and value.is_module:
            found[id(value)] = value
    return list(found.values())


def _wants_errors(node: cst.FunctionDef) -> bool:
    """A test that is marked to fail, or not to run."""
    names = (dotted(d.decorator.func if isinstance(d.decorator, cst.Call) else d.decorator) for d in node.decorators)
    return any(word in name.lower() for name in names for word in ("xfail", "skip", "expectedfailure", "raises"))


# classes ----------------------------------------------------------------------------------------------------


def _takes_more(function: Function) -> bool:
    """Does a function take further arguments?  What a wrapper takes is what it wraps takes."""
    params = function.node.params
    own = function.unwrapped is function
    return own and (params.star_kwarg is not None or isinstance(params.star_arg, cst.Param))


def feed_class(machine: Machine, frame: Frame, made: Class) -> None:
    """Construct a class with its defaults, and with symbols for what has none; then call it."""
    machine.by_default = True
    known = frame.namespace.frame.locals.values()
    machine.doubts += any(isinstance(v, Class) and v is not made and made in v.mro for v in known)  # it is derived from
    init = made.find("__init__")
    kwargs = arguments_for(machine, frame, made, init) if isinstance(init, Function) else {}
    arguments = Arguments([], kwargs)
    if isinstance(init, Function) and _takes_more(init):
        arguments.rest = FURTHER
    if isinstance(init, Inherited):
        arguments.open = "the arguments of its library base class"
    try:
        _make_and_feed(machine, frame, made, arguments, init)
    except PythonRaise as error:
        # A class that divides by 0 wants to be given what has such a default.
        if error.name != "ZeroDivisionError" or not _replace_defaults("0", init, kwargs):
            raise
        _make_and_feed(machine, frame, made, arguments, init)


def _make_and_feed(machine: Machine, frame: Frame, made: Class, arguments: Arguments, init: Value) -> None:
    while True:
        machine.asked = frozenset()
        try:
            instance = call_with(machine, frame, made.node, made, arguments)
            break
        except PythonRaise:
            # So does a class that refuses None: first for those of which its check asks, then for all.  Or its own
            # default, ``act="ELU"`` where its check wants "elu".
            ways = (("None", machine.asked), ("None", None), (None, machine.asked))
            if not any(_replace_defaults(default, init, arguments.kwargs, only) for default, only in ways):
                raise
    if isinstance(instance, Instance):
        feed(machine, frame, instance)


def _replace_defaults(
    default: str | None, init: Value, kwargs: dict[str, Value], only: frozenset[str] | None = None
) -> bool:
    """Give something unknown for each parameter that has this default, or any; for ``only`` some.  Is there one?"""
    given = instead_of(default, init) if isinstance(init, Function) else {}
    more = {name: value for name, value in given.items() if name not in kwargs and (only is None or name in only)}
    kwargs.update(more)
    return bool(more)
