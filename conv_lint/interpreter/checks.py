"""The file's own checks: a ``raise`` behind an ``if``, an ``assert``, that refuse what the file itself gives.

Only where every operand of the condition is known exactly, the line is reached for sure, and a module is being built or
called.  In a call that the checker makes up, and in a class of another file, every operand must have been written down
in a call of the linted file (or left to its default there).  Whatever else fails may be meant to.
"""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterable, Sequence

import libcst as cst

from conv_lint import catalogue
from conv_lint.interpreter import faults
from conv_lint.interpreter.machine import Machine, PythonRaise
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.interpreter.written import is_written, leaves_out
from conv_lint.solving import divisors_near
from conv_lint.tree import dotted, walk
from conv_lint.values import List, Tensor, Value

#: Errors that say what is wrong with a number; others are answers, or say that something is not written yet.
_SAYING = frozenset({"ValueError", "AssertionError", "RuntimeError", "TypeError", "Exception"})
#: A function of such a name wants to see an error.
_WANTS_ERRORS = re.compile(r"rais|error|invalid|fail|wrong|bad|reject|illegal|except", re.IGNORECASE)
_COMPARISONS = (
    cst.Equal, cst.NotEqual, cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual, cst.In, cst.NotIn,
)  # fmt: skip
#: So many operands are shown.
SHOWN = 4


def refuse(machine: Machine, frame: Frame, tests: Sequence[cst.BaseExpression], body: cst.BaseSuite) -> None:
    """Report the ``raise`` that ends a block, chosen by tests of which the outcome is known (CONV604)."""
    node = _raise_of(body)
    if node is None:
        return
    machine.asked = _names(tests)
    call = node.exc if isinstance(node.exc, cst.Call) else None
    target = call.func if call is not None else node.exc
    if not isinstance(target, cst.Name) or target.value not in _SAYING:
        return
    words = call.args[0].value if call is not None and call.args else None
    problem = f"its own check raises {target.value}"
    if _is_meant(machine, frame, tests):
        text = f", {words.raw_value!r}" if isinstance(words, cst.SimpleString) and len(words.raw_value) < 80 else ""
        _report(machine, frame, node, tests, problem + text)
    elif (site := _site(machine, frame)) is not None:
        _report_at(machine, frame, site, tests, problem + _words(machine, frame, words))


def deny(machine: Machine, frame: Frame, node: cst.Assert) -> None:
    """Report an ``assert`` that is false (CONV604)."""
    machine.asked = _names([node.test])
    if _is_meant(machine, frame, [node.test]):
        text = faults.shown(frame, node.test)
        words = f", assert {text}" if text != "it" else ""
        _report(machine, frame, node, [node.test], f"its own check fails{words}")
    elif (site := _site(machine, frame)) is not None:
        _report_at(machine, frame, site, [node.test], f"its own check fails{_words(machine, frame, node.msg)}")


def deny_of_library(machine: Machine, frame: Frame, node: cst.CSTNode | None) -> None:
    """Report a ``torch._assert(...)`` of a library that is false, where the linted file calls what asks (CONV604)."""
    site = _site(machine, frame)
    if site is not None and isinstance(node, cst.Call) and node.args:
        said = node.args[1].value if len(node.args) > 1 else None
        _report_at(machine, frame, site, [node.args[0].value], f"its own check fails{_words(machine, frame, said)}")


def _site(machine: Machine, frame: Frame) -> tuple[Frame, cst.Call] | None:
    """The call of the linted file that leads to a line of another file for sure, and is no call that the checker makes
    up."""
    if machine.by_default or machine.visiting or frame.tree is machine.tree:
        return None
    at: cst.CSTNode | None = None
    caller: Frame | None = frame
    while caller is not None and caller.tree is not machine.tree:
        if faults.may_have_left(caller) or caller.call is None:
            return None
        at, caller = caller.call.node, caller.call.frame
    if caller is None or not isinstance(at, cst.Call) or not faults.is_certain(machine, caller):
        return None
    names = (f.function.name for f in caller.stack() if f.function is not None)
    return None if any(_WANTS_ERRORS.search(name) for name in names) else (caller, at)


def _report_at(
    machine: Machine, frame: Frame, site: tuple[Frame, cst.Call], tests: Sequence[cst.BaseExpression], problem: str
) -> None:
    values: dict[str, Value] = {}
    if not all(_is_exact(machine, frame, test, values) for test in tests) or not values:
        return
    if any(isinstance(value, str) or value is None for value in values.values()):
        return  # what a command line gives, and the checks that want it to
    module = frame.self_value
    layer = module.class_name if isinstance(module, Instance) else dotted(site[1].func)
    report = catalogue.own_check(layer=layer, problem=problem, values=_shown(values))
    faults.report(machine, *site, report)


def _shown(values: dict[str, Value]) -> str:
    return ", ".join(f"{name}={_plain(value)!r}" for name, value in list(values.items())[:SHOWN])


def _words(machine: Machine, frame: Frame, said: cst.BaseExpression | None) -> str:
    """What a check that fails says."""
    from conv_lint.interpreter.expressions import evaluate

    words: Value = None
    with machine.quiet(), contextlib.suppress(PythonRaise):  # it may name what the block computes first
        words = evaluate(machine, frame, said) if said is not None else None
    return ", " + repr(textwrap.shorten(words, LONGEST, placeholder=" ...")) if isinstance(words, str) and words else ""


#: So much of the words of a check is shown.
LONGEST = 100


def _names(tests: Iterable[cst.CSTNode]) -> frozenset[str]:
    return frozenset(n.value for test in tests for n in walk(test) if isinstance(n, cst.Name))


def _raise_of(body: cst.BaseSuite) -> cst.Raise | None:
    """The ``raise`` of a block that does nothing else but simple statements."""
    lines = body.body
    last = lines[-1] if lines else None
    while isinstance(last, cst.SimpleStatementLine):
        last = last.body[-1] if last.body else None
    simple = all(isinstance(s, (cst.SimpleStatementLine, cst.BaseSmallStatement)) for s in lines)
    return last if isinstance(last, cst.Raise) and simple else None


def _is_meant(machine: Machine, frame: Frame, tests: Sequence[cst.BaseExpression]) -> bool:
    """Is a module being built or called here for sure, or its result looked at, in no test of errors?  What another
    file gives is said there."""
    if machine.visiting or not _is_reached(machine, frame):
        return False
    stack = list(frame.stack())
    if any(f.function is not None and _WANTS_ERRORS.search(f.function.name) for f in stack):
        return False
    if any(isinstance(f.self_value, Instance) and f.self_value.is_module for f in stack):
        return frame.function is not None
    return not machine.by_default and all(_is_of_results(machine, frame, test) for test in tests)


def _is_reached(machine: Machine, frame: Frame) -> bool:
    """Does the linted file reach the line, or is it in the constructor of another file's class that it calls?"""
    if frame.tree is machine.tree:
        return faults.is_certain(machine, frame)
    call = frame.call
    if call is None or not isinstance(call.node, cst.Call) or frame.function is None:
        return False
    is_constructor = frame.function.name == "__init__" and not faults.may_have_left(frame)
    return is_constructor and faults.is_certain(machine, call.frame)


def _report(
    machine: Machine, frame: Frame, node: cst.CSTNode, tests: Sequence[cst.BaseExpression], problem: str
) -> None:
    values: dict[str, Value] = {}
    if not all(_is_exact(machine, frame, test, values) for test in tests) or not values:
        return
    is_made_up = machine.by_default or frame.tree is not machine.tree
    if is_made_up and not all(is_written(machine, frame, t) or _is_of_results(machine, frame, t) for t in tests):
        return
    module = frame.self_value
    name = frame.function.name if frame.function is not None else "this file"
    layer = module.class_name if isinstance(module, Instance) else name
    report = catalogue.own_check(
        layer=layer, problem=problem, values=_shown(values), fix=_divisor(frame, tests, values)
    )
    call = frame.call if frame.function is not None and frame.function.name == "__init__" else None
    if machine.by_default and any(found.message == report.message(machine.tree.path) for found in machine.findings):
        return  # what the file's own calls have shown
    if call is not None and call.frame.tree is machine.tree and leaves_out(machine, frame):
        faults.report(machine, call.frame, call.node, report)  # what is given is wrong, not the check
    else:
        faults.report(machine, frame, node, report)


def _divisor(frame: Frame, tests: Sequence[cst.BaseExpression], values: dict[str, Value]) -> str | None:
    """What to write for ``heads`` where ``dim % heads`` is to be 0: the numbers next to it that divide ``dim``."""
    for node in (node for test in tests for node in walk(test)):
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Modulo):
            number, by = (faults.shown(frame, side) for side in (node.left, node.right))
            one, two = values.get(number), values.get(by)
            if isinstance(one, int) and isinstance(two, int) and two and one % two:
                near = divisors_near(one, two)
                return f"{by}={near}" if near is not None else None
    return None


def _is_exact(machine: Machine, frame: Frame, node: cst.CSTNode, values: dict[str, Value]) -> bool:
    """Is every operand of an expression a constant?  Those with a name are noted in ``values``."""
    match node:
        case cst.Integer() | cst.Float() | cst.SimpleString() | cst.Name(value="True" | "False" | "None"):
            return True
        case cst.Name() | cst.Attribute() | cst.Subscript():
            return _is_constant_name(machine, frame, node, values)
        case cst.Comparison(left=left, comparisons=parts):
            if not all(isinstance(part.operator, _COMPARISONS) for part in parts):
                return False
            return _are_exact(machine, frame, [left, *(part.comparator for part in parts)], values)
        case cst.BooleanOperation(left=left, right=right) | cst.BinaryOperation(left=left, right=right):
            return _are_exact(machine, frame, [left, right], values)
        case cst.UnaryOperation(expression=inner):
            return _is_exact(machine, frame, inner, values)
        case cst.Tuple(elements=elements) | cst.List(elements=elements) | cst.Set(elements=elements):
            return _are_exact(machine, frame, [e.value for e in elements], values)
        case cst.Call(func=cst.Name(value="len")) if not machine.by_default and machine.rounds is None:
            return _is_constant_name(machine, frame, node, values)
        case cst.Call(func=cst.Name(value="len" | "tuple" | "list"), args=[argument]):
            return _is_exact(machine, frame, argument.value, values)
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="Size")), args=[argument]):
            return _is_exact(machine, frame, argument.value, values)
        case cst.Call(func=cst.Attribute(attr=cst.Name(value=name))) if name in _OF_A_SHAPE:
            return _is_constant_name(machine, frame, node, values)
    return False


def _is_of_results(machine: Machine, frame: Frame, test: cst.BaseExpression) -> bool:
    """Does a test ask for nothing but the shapes of tensors, ``x.dim() != 4``, and of one that layers have made,
    whatever is given?"""
    from conv_lint.interpreter.expressions import evaluate

    sides = [test.left, *(part.comparator for part in test.comparisons)] if isinstance(test, cst.Comparison) else []
    made = False
    for side in sides:
        if _is_written_shape(side):
            continue
        asked = _whose_shape(side)
        if asked is None:
            return False
        with machine.quiet():
            tensor = machine.resolve(evaluate(machine, frame, asked))
        if not isinstance(tensor, Tensor) or tensor.step is None:
            return False
        made |= bool(tensor.step.parents)
    return made


def _is_written_shape(node: cst.BaseExpression) -> bool:
    """``4``, ``(2, 3)``, ``[2, 3]`` or ``torch.Size([2, 3])``"""
    match node:
        case cst.Tuple(elements=elements) | cst.List(elements=elements):
            return all(isinstance(element.value, cst.Integer) for element in elements)
        case cst.Call(func=cst.Attribute(attr=cst.Name(value="Size")), args=[cst.Arg(value=sizes)]):
            return _is_written_shape(sizes)
    return isinstance(node, cst.Integer)


def _whose_shape(node: cst.BaseExpression) -> cst.BaseExpression | None:
    """``x`` of ``x.dim()``, ``x.ndim``, ``x.shape``, ``x.shape[1]`` and ``len(x.shape)``."""
    match node:
        case cst.Call(func=cst.Attribute(value=asked, attr=cst.Name(value=name))) if name in _OF_A_SHAPE:
            return asked
        case cst.Attribute(value=asked, attr=cst.Name(value="ndim" | "shape")):
            return asked
        case (
            cst.Subscript(value=cst.Attribute() as shape)
            | cst.Call(func=cst.Name(value="len" | "tuple" | "list"), args=[cst.Arg(value=shape)])
        ):
            return _whose_shape(shape)
    return None


#: Methods of tensors, and ``torch.numel``, that say how large a tensor is and do nothing else.
_OF_A_SHAPE = frozenset({"size", "dim", "ndimension", "numel", "nelement"})


def _are_exact(machine: Machine, frame: Frame, nodes: Iterable[cst.CSTNode], values: dict[str, Value]) -> bool:
    return all(_is_exact(machine, frame, node, values) for node in nodes)


def _is_constant_name(machine: Machine, frame: Frame, node: cst.BaseExpression, values: dict[str, Value]) -> bool:
    from conv_lint.interpreter.expressions import evaluate

    with machine.quiet():
        value = evaluate(machine, frame, node)
    if not _is_constant(machine, value):
        return False
    if value is not None:
        values[faults.shown(frame, node)] = value
    return True


def _is_constant(machine: Machine, value: Value) -> bool:
    if isinstance(value, List):
        return faults.is_kept(machine, value) and all(_is_constant(machine, v) for v in value.items)
    if isinstance(value, tuple):
        return all(_is_constant(machine, v) for v in value)
    return isinstance(value, (int, float, str, type(None)))


def _plain(value: Value) -> Value:
    return value.items if isinstance(value, List) else value
