"""The op table holds for the installed torch, and a row that does not is named."""

from __future__ import annotations

from typing import Any

import pytest

from conv_lint import catalogue, ops
from conv_lint.runtime import selfcheck


def test_nothing_is_wrong() -> None:
    assert selfcheck.signatures() == []
    assert selfcheck.calls(seconds=3) == []


def test_the_same_seed_gives_the_same_calls() -> None:
    import random

    for generator in selfcheck.GENERATORS:
        assert str(generator(random.Random("0 a"))) == str(generator(random.Random("0 a")))


def test_a_parameter_that_is_not_torchs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.FUNCTIONS["torch.flatten"], "text", "(input, first_dim=0, end_dim=-1)")
    (problem, *_) = selfcheck.signatures()
    assert problem.name == "torch.flatten"
    assert "first_dim" in str(problem)


def test_a_default_that_is_not_torchs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ops.LAYERS["torch.nn.MaxPool2d"], "text", ops.LAYERS["torch.nn.MaxPool2d"].text.replace("=0", "=1")
    )
    assert "the default of padding is 0, not 1" in [p.text for p in selfcheck.signatures()]


def test_a_name_that_torch_no_longer_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ops.FUNCTIONS, "torch.gone", ops.FUNCTIONS["torch.flatten"])
    assert str(selfcheck.signatures()[0]) == "torch.gone: torch has no such name"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda op, input: (*input[:-1], input[-1] + 1), "the rule (2,"),
        (lambda op, input: op.fail(catalogue.input_channels(takes=1, given=2)), "the rule says CONV201"),
    ],
)
def test_a_rule_that_torch_does_not_follow(monkeypatch: pytest.MonkeyPatch, rule: Any, words: str) -> None:
    row = ops.LAYERS["torch.nn.Linear"]
    monkeypatch.setattr(row, "rule", lambda op, input: rule(op, input))
    problems = {p.name: p.text for p in selfcheck.calls(seconds=2)}
    assert "torch.nn.Linear" in problems
    trial = selfcheck.Trial("torch.nn.Linear", (3, 5), {}, [selfcheck.Shape((2, 3))])
    assert words in str(selfcheck.difference(trial))
