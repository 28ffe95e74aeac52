"""What is said of arguments that torch's functions lack, or do not know: torch refuses them, whatever else is given."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from conv_lint import ops
from conv_lint.interpreter.arity import OTHER_FORMS, TOLERATED, torch_problem
from conv_lint.ops.table import NUMPY_NAMES, Signature
from conv_lint.runtime.signatures import forms
from conv_lint.runtime.table import resolve

#: Values of every sort, the commonest first: with many arguments only the first few are tried.
VALUES: list[Any] = [
    torch.randn(2, 3, 4, 4),
    1,
    (1, 1),
    torch.tensor([0, 1]),
    [torch.randn(2, 2), torch.randn(2, 2)],
    0.5,
    True,
    "mean",
    None,
    torch.float32,
    slice(0, 1),
]
#: A wrapper of torch's looks at an argument before the function itself does.
OF_WRAPPERS = ("tuple index out of range", "Boolean value of Tensor")
TRIED = {0: 1, 1: 11, 2: 11, 3: 7, 4: 3}
ROWS = sorted(
    n
    for n in ops.FUNCTIONS
    if n.startswith("torch.") and n not in OTHER_FORMS and not n.rpartition(".")[2].startswith("__")
)


def is_refused(function: Callable[..., Any], names: tuple[str, ...], positional: int) -> bool:
    """Does torch raise a TypeError, whatever the arguments of these names are?"""
    for values in itertools.product(VALUES[: TRIED.get(len(names), 2)], repeat=len(names)):
        try:
            function(*values[:positional], **dict(zip(names[positional:], values[positional:])))
        except TypeError:
            continue
        except Exception as error:
            if str(error).startswith(OF_WRAPPERS):
                continue
            return False
        return False
    return True


def required(signature: Signature) -> list[str]:
    return [n for n in (*signature.positional, *signature.keyword_only) if n not in signature.defaults]


def forms_without(signature: Signature, name: str, method: bool) -> Iterator[tuple[tuple[str, ...], int]]:
    """The ways to leave out a required argument: what stands before it, and by name some of what else may be given."""
    order = list(signature.positional)
    before = order[: order.index(name)] if name in order else order
    after = [n for n in required(signature) if n != name and n not in before][:3]
    for count in range(len(after) + 1):
        for some in itertools.combinations(after, count):
            yield (*before, *some), len(before)
    for option in signature.defaults:
        if option not in before and option != "out" and not (method and not before):
            yield (*before, option), len(before)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_missing(name: str) -> None:
    function, signature = resolve(name), ops.FUNCTIONS[name].signature
    if not callable(function):
        return
    method = ".Tensor." in name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for missing in required(signature)[method:]:
            for names, positional in forms_without(signature, missing, method):
                given = dict.fromkeys(names[positional:], 0)
                if torch_problem(signature, [0] * positional, given) is not None:
                    assert is_refused(function, names, positional), (missing, names)
        before = signature.positional
        if signature.star and torch_problem(signature, [0] * len(before), {}) is not None:
            assert is_refused(function, before, len(before))


@pytest.mark.parametrize("name", ROWS)
def test_what_torch_does_not_know(name: str) -> None:
    function, signature = resolve(name), ops.FUNCTIONS[name].signature
    if not callable(function) or signature.double_star:
        return
    found = forms(name)
    known = {n for form in found for n in form.defaults}
    assert known <= {*signature.positional, *signature.keyword_only, signature.star, *TOLERATED, *NUMPY_NAMES}
    order = signature.positional
    if torch_problem(signature, [0] * len(order), {"axes_": 0}) is not None:
        names = tuple(n for n in order if n not in signature.defaults)[:4]
        assert is_refused(function, (*names, "axes_"), len(names))
