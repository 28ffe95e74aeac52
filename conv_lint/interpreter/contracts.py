"""Declared shapes of parameters, held against what is passed: annotations and comments at a ``def``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import libcst as cst

from conv_lint import catalogue, dims, docstrings
from conv_lint.dims import Dim
from conv_lint.finding import Origin, Step
from conv_lint.inputs import Declared, Malformed, from_annotation, from_comment, sizes_for
from conv_lint.interpreter import locate
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import Frame, Function, Instance
from conv_lint.interpreter.ways import way_at
from conv_lint.values import Shape, Tensor, Value

#: What is declared at each ``def``, by parameter: parsed once.  Without a node it is from a docstring.
_Declarations = dict[str, tuple[Declared, "cst.CSTNode | None"]]
#: The key under which the shape of the result is kept.
RETURN = "return"


def hold(machine: Machine, frame: Frame, function: Function) -> None:
    """Hold the tensors in a new frame against the shapes that its function declares.

    What is not known yet is settled by the declaration; what definitely differs is CONV502 at the call.
    """
    declared = declarations(machine, function)
    names: dict[str, Dim] = {}
    of_base = isinstance(frame.self_value, Instance) and frame.self_value.cls is not function.owner
    is_prose_right = not of_base and not any(_is_denied(machine, frame, name, *d) for name, d in declared.items())
    for name, (shape, node) in declared.items():
        value = machine.resolve(frame.locals.get(name))
        if isinstance(value, Tensor) and node is None:
            if not is_prose_right:
                continue
            frame.locals[name] = _believe(machine, name, value, shape, names)
        elif isinstance(value, Tensor) and node is not None:
            _hold_one(machine, frame, function, name, value, shape, node, names)
    frame.shape_names = names


def _is_denied(machine: Machine, frame: Frame, name: str, described: Declared, node: cst.CSTNode | None) -> bool:
    """Is a tensor given whose number of dimensions is another than the docstring tells?"""
    value = machine.resolve(frame.locals.get(name)) if node is None else None
    shape = machine.shape(value.shape) if isinstance(value, Tensor) else None
    return shape is not None and shape.rest is None and not described.rest and len(shape) != len(described.sizes)


def _believe(machine: Machine, name: str, value: Tensor, described: Declared, names: dict[str, Dim]) -> Tensor:
    """An input of the net is what the docstring says, unless anything speaks against that.

    Its number of dimensions is an assumption: what is wrong with that must be found without it, too.
    """
    if not machine.reads_docstrings:
        return value
    shape = machine.shape(value.shape)
    wanted = sizes_for(described, names)
    if shape.rest is None or not shape.rest.image or len(shape.known) > len(wanted):
        return value
    pairs = list(zip(shape.known[::-1], wanted[::-1]))
    if any(dims.eq(machine.size(a), machine.size(b)) is False for a, b in pairs):
        return value
    machine.read_docstring = True
    machine.settle(shape.rest, wanted[: len(wanted) - len(pairs)])
    for a, b in pairs:
        machine.equate(a, b)
    place = value.step.place if value.step is not None else None
    step = Step(f"the input {name}, by the docstring {described.text}", place, wanted)
    return Tensor(value.shape, step, value.dtype, sure=True)


def hold_result(machine: Machine, frame: Frame, function: Function, result: Value) -> None:
    """Hold what a function returns against its return annotation; what definitely differs is CONV504."""
    declared = declarations(machine, function).get(RETURN)
    value = machine.resolve(result)
    if declared is None or declared[1] is None or not isinstance(value, Tensor):
        return
    wanted, shape = sizes_for(declared[0], frame.shape_names), machine.shape(value.shape)
    given = shape.known
    differs = any(dims.eq(machine.size(a), machine.size(b)) is False for a, b in zip(given[::-1], wanted[::-1]))
    if not declared[0].rest:
        differs = differs or len(given) > len(wanted) or (shape.rest is None and len(given) != len(wanted))
    if differs:
        label = f"{function.owner.name}.{function.name}" if function.owner is not None else function.name
        report = catalogue.return_annotation(
            layer=label, given=shape, annotated=declared[0].text, source=_origin(value)
        )
        locate.report_at(machine, frame, declared[1], report)


def _origin(value: Tensor) -> Origin | None:
    return Origin(value.step.label, value.step.place, value.step) if value.step is not None else None


def _hold_one(
    machine: Machine,
    frame: Frame,
    function: Function,
    name: str,
    value: Tensor,
    declared: Declared,
    node: cst.CSTNode,
    names: dict[str, Dim],
) -> None:
    wanted = sizes_for(declared, names)
    shape = machine.shape(value.shape)
    value.sure = True
    if shape.rest is not None:
        missing = len(wanted) - len(shape.known)
        if missing >= 0 and not declared.rest:
            machine.settle(shape.rest, wanted[:missing])
        shape = machine.shape(value.shape)
    given = shape.known
    if not declared.rest and shape.rest is None and len(given) != len(wanted):
        _broken(machine, frame, function, name, shape, declared, node)
        frame.locals[name] = Tensor(Shape(wanted), value.step, value.dtype)
        return
    for a, b in zip(reversed(given), reversed(wanted)):
        answer = dims.eq(machine.size(a), machine.size(b))
        if answer is False:
            _broken(machine, frame, function, name, shape, declared, node)
            if not declared.rest:
                # The call is wrong, not the function: it goes on with what it declares.
                frame.locals[name] = Tensor(Shape(wanted), value.step, value.dtype)
            return
        if answer is None:
            machine.equate(a, b)


def _broken(
    machine: Machine, frame: Frame, function: Function, name: str, given: Shape, declared: Declared, node: cst.CSTNode
) -> None:
    assert frame.call is not None
    label = f"{function.owner.name}.{function.name}" if function.owner is not None else function.name
    report = catalogue.call_contract(layer=label, given=given, name=name, annotated=declared.text)
    expression, caller = frame.arguments.get(name, (frame.call.node, frame.call.frame))
    locate.report_at(machine, caller or frame.call.frame, expression, report)


def hold_comment(machine: Machine, frame: Frame, node: cst.SimpleStatementLine) -> None:
    """``x = self.conv(x)  # (B, 64, H, W)``: what the comment says of the assigned tensor must be true.

    A comment may speak of one certain input.  It is not held against the input of a docstring's example, nor against
    another batch size than its own, nor, in a function, against the sizes of what a caller gives it, nor where it is
    right for one of the models that a file makes.
    """
    comment = node.trailing_whitespace.comment
    statement = node.body[0]
    if comment is None or machine.is_example or not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return
    target = statement.targets[0].target
    try:
        parsed = from_comment(comment.value) if isinstance(target, cst.Name) else None
    except Malformed:
        return
    if parsed is None or parsed[0] not in (None, getattr(target, "value", None)):
        return
    assert isinstance(target, cst.Name)
    value, declared = machine.resolve(frame.locals.get(target.value)), parsed[1]
    if not isinstance(value, Tensor) or declared.rest or (value.step is not None and value.step.doubts):
        return
    shape = machine.shape(value.shape)
    if shape.rest is not None or len(shape) != len(declared.sizes):
        return
    pairs = enumerate(zip(shape, declared.sizes))
    wrong = [i for i, (g, w) in pairs if isinstance(g, int) and isinstance(w, int) and g != w]
    of_another_input = wrong and wrong[0] == 0 and len(wrong) > 1
    if frame.function is not None and not any(_is_decided(value.step, i - len(shape)) for i in wrong):
        of_another_input = True
    if not wrong:
        machine.right_comments.add(id(node))
    if wrong and not of_another_input:
        report = catalogue.shape_annotation(name=target.value, annotated=declared.text, problem=f"it is {shape!r}")
        locate.report_at(machine, frame, node, report)


def _is_decided(step: Step | None, axis: int) -> bool:
    """Did a layer decide the size, or what the code says of its input?  Else it is the caller's."""
    points = way_at(step, axis) if step is not None else []
    kept = list(itertools.takewhile(lambda p: p.size == points[0].size, points))
    if any(p.step.made == p.axis for p in kept):
        return True
    *behind, first = points  # the input, which may have been written down before its sizes were known
    ranks = {tuple.__len__(p.step.shape) for p in behind}
    return len(ranks) <= 1 and first.step.label.startswith("the input")


# reading ----------------------------------------------------------------------------------------------------


def declarations(machine: Machine, function: Function) -> _Declarations:
    """The shapes that a function declares, by parameter; one that cannot be read is CONV503."""
    if function.declared is None:
        found: _Declarations = {}
        if isinstance(function.node, cst.FunctionDef):
            for name, text, node, is_comment in _texts(function):
                _read(machine, function, found, name, text, node, is_comment)
            for name, shape in _described(function).items():
                found.setdefault(name, (shape, None))
        function.declared = found
    return function.declared  # type: ignore[no-any-return]


def _read(
    machine: Machine,
    function: Function,
    found: _Declarations,
    name: str,
    text: str,
    node: cst.CSTNode,
    is_comment: bool,
) -> None:
    parameters = [p.name.value for p in _parameters(function)]
    try:
        if is_comment:
            parsed = from_comment(text)
            if parsed is None:
                return
            label, declared = parsed
            target = label if label is not None else name
            if target in parameters:
                first = found.setdefault(target, (declared, node))[0]
                if _contradicts(first, declared):
                    frame = Frame(function.tree, function.frame.namespace)
                    problem = f"a comment says {declared.text}"
                    report = catalogue.shape_annotation(name=target, annotated=first.text, problem=problem)
                    locate.report_at(machine, frame, node, report)
        else:
            shape = from_annotation(text)
            if shape is not None:
                found[name] = (shape, node)
    except Malformed as error:
        frame = Frame(function.tree, function.frame.namespace)
        report = catalogue.malformed_annotation(text=text.lstrip("# "), name=name, problem=str(error))
        locate.report_at(machine, frame, node, report)


def _contradicts(one: Declared, two: Declared) -> bool:
    """Can no tensor be of both shapes?"""
    if not (one.rest or two.rest) and len(one.sizes) != len(two.sizes):
        return True
    pairs = zip(reversed(one.sizes), reversed(two.sizes))
    return any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _described(function: Function) -> dict[str, Declared]:
    """What the docstring of a function, and for ``forward`` that of its class, says of the parameters."""
    assert isinstance(function.node, cst.FunctionDef)
    texts = [function.node.get_docstring()]
    if function.name == "forward" and function.owner is not None and function.owner.node is not None:
        texts.append(function.owner.node.get_docstring())
    names = [p.name.value for p in _parameters(function)]
    names = names[1:] if function.owner is not None else names
    out: dict[str, Declared] = {}
    for text in texts:
        if text:
            out = {**docstrings.shapes(text, names), **out}
    return out


def _parameters(function: Function) -> list[cst.Param]:
    params = function.node.params
    return [*params.posonly_params, *params.params, *params.kwonly_params]


def _texts(function: Function) -> Iterator[tuple[str, str, cst.CSTNode, bool]]:
    """Name, text and node of everything at a ``def`` that may declare a shape; annotations first.

    A comment without a name speaks of the parameter on its line; on the line of the ``def`` or above it, of the first
    one behind ``self``.
    """
    node = function.node
    assert isinstance(node, cst.FunctionDef)
    parameters = _parameters(function)
    for parameter in parameters:
        if parameter.annotation is not None:
            inner = parameter.annotation.annotation
            yield parameter.name.value, function.tree.module.code_for_node(inner), inner, False
    if node.returns is not None:
        inner = node.returns.annotation
        yield RETURN, function.tree.module.code_for_node(inner), inner, False
    for parameter in parameters:
        after = [parameter.whitespace_after_param]
        if isinstance(parameter.comma, cst.Comma):
            after.append(parameter.comma.whitespace_after)
        for space in after:
            if isinstance(space, cst.ParenthesizedWhitespace) and space.first_line.comment is not None:
                yield parameter.name.value, space.first_line.comment.value, parameter, True
    behind_self = [p for p in parameters if p.name.value not in ("self", "cls")]
    if not behind_self:
        return
    first = behind_self[0]
    comments = [line.comment for line in node.leading_lines]
    if isinstance(node.body, cst.IndentedBlock):
        comments.append(node.body.header.comment)
    for comment in comments:
        if comment is not None:
            yield first.name.value, comment.value, first, True
