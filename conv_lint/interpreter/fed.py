"""What a model is fed with that nobody calls: an input for each parameter of its ``forward``, by what its file says."""

from __future__ import annotations

import contextlib
from functools import lru_cache

import libcst as cst

from conv_lint import dims
from conv_lint.finding import Place, Step
from conv_lint.inputs import Malformed, from_annotation, sizes_for
from conv_lint.interpreter.calls import FURTHER, Arguments
from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.objects import MISSING, Class, Frame, Function, Instance
from conv_lint.interpreter.tensors import new_input
from conv_lint.tree import walk
from conv_lint.values import Choice, Condition, List, Shape, Tensor, Unknown, Value, any_shape


def inputs_of(machine: Machine, frame: Frame, forward: Function) -> Arguments:
    """One input for each parameter of ``forward`` behind ``self``.

    A parameter that defaults to None is either given or not, as is one behind the first that is compared with None; one
    with another default keeps it.
    """
    out = Arguments()
    params = forward.node.params
    inner = Frame(forward.tree, frame.namespace)

    def perhaps(parameter: cst.Param) -> Value:
        name = parameter.name.value
        value = _input(inner, parameter)
        if isinstance(value, Unknown):
            machine.assume(Condition(("==", value, None), f"{name} is None"), False)
        return Choice(Condition(("given", name), f"{name} is given"), value, None)

    behind_self = [*params.posonly_params, *params.params][forward.kind != "static" :]
    for number, parameter in enumerate(behind_self):
        if parameter.default is None:
            may_be_none = number > 0 and parameter.name.value in _compared_with_none(forward.node)
            out.args.append(perhaps(parameter) if may_be_none else _input(inner, parameter))
        elif isinstance(parameter.default, cst.Name) and parameter.default.value == "None":
            out.kwargs[parameter.name.value] = perhaps(parameter)
    for parameter in params.kwonly_params:
        if parameter.default is None:
            out.kwargs[parameter.name.value] = _input(inner, parameter)
    if isinstance(params.star_arg, cst.Param) or params.star_kwarg is not None:
        out.rest = FURTHER
    return out


@lru_cache(maxsize=256)
def _compared_with_none(node: cst.FunctionDef | cst.Lambda) -> frozenset[str]:
    """The names of which a function asks ``name is None`` or ``name is not None``."""
    found: set[str] = set()
    for here in walk(node):
        match here:
            case cst.Comparison(
                left=cst.Name(value=name),
                comparisons=[cst.ComparisonTarget(cst.Is() | cst.IsNot(), cst.Name(value="None"))],
            ):
                found.add(name)
    return frozenset(found)


#: Annotations of several tensors.
_SEQUENCES = frozenset({"List", "list", "Sequence", "Iterable"})


def _input(frame: Frame, parameter: cst.Param) -> Value:
    """What a parameter of forward may be by its annotation: a tensor for sure, something else, or perhaps a tensor."""
    name = parameter.name.value
    if parameter.annotation is None:
        return new_input(name, frame, parameter)
    text = frame.tree.module.code_for_node(parameter.annotation.annotation).strip("\"' ")
    words = list(text.replace("[", " ").replace("]", " ").replace("|", " ").replace(",", " ").split())
    kinds = {w.rpartition(".")[2] for w in words} - {"Optional", "None", "Union"}
    if kinds <= {"Tensor", "FloatTensor", "LongTensor", "Variable", "Any"}:
        return new_input(name, frame, parameter, sure="Any" not in kinds)
    if kinds <= _SEQUENCES | {"Tensor"} and "Tensor" in kinds:
        return List(open=f"the input {name}", each=new_input(name, frame, parameter, sure=True))
    try:
        declared = from_annotation(text)
    except Malformed:
        declared = None
    if declared is not None:
        return new_input(name, frame, parameter, sure=True)
    if kinds == {"int"}:
        return dims.symbol(name, None)
    made = frame.namespace.get(text) if text.isidentifier() else MISSING
    if isinstance(made, Class) and made.node is not None and not made.is_module:
        return _of_fields(frame, made)
    return Unknown(f"the input {name}", name)


def _of_fields(frame: Frame, made: Class) -> Instance:
    """An object of a class (a dataclass, a NamedTuple) whose fields say their shapes."""
    instance = Instance(made, open="an attribute of an input")
    assert made.node is not None
    for line in made.node.body.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if not isinstance(small, cst.AnnAssign) or not isinstance(small.target, cst.Name):
                continue
            name, text = small.target.value, made.tree.module.code_for_node(small.annotation.annotation)
            with contextlib.suppress(Malformed):
                declared = from_annotation(text.strip("\"' "))
                if declared is not None:
                    sizes = sizes_for(declared, {})
                    place = Place(made.tree, small)
                    shape = any_shape(f"the number of dimensions of {name}") if declared.rest else Shape(sizes)
                    step = Step(f"the field {name}", place, tuple(shape.known))
                    instance.attrs[name] = Tensor(shape, step, sure=True)
    return instance
