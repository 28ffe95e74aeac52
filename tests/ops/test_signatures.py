"""Every row of the op table has the names, order and defaults of the installed torch's parameters."""

from __future__ import annotations

import pytest

from conv_lint import ops
from conv_lint.runtime.signatures import ALLOWED, function_faults, layer_faults


@pytest.mark.parametrize("name", sorted(ops.FUNCTIONS))
def test_function(name: str) -> None:
    found = function_faults(name)
    assert not found or name in ALLOWED


@pytest.mark.parametrize("name", ALLOWED)
def test_the_exceptions_are_needed(name: str) -> None:
    assert function_faults(name)


@pytest.mark.parametrize("name", sorted(ops.LAYERS))
def test_layer(name: str) -> None:
    assert not layer_faults(name)
