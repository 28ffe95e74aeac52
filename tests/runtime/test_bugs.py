"""Each kind of mistake: ``check`` raises ``ShapeError`` with the linter's code, on meta tensors and on real ones."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from conv_lint import check_source
from conv_lint.finding import Finding
from conv_lint.runtime import ShapeError, check
from tests.runtime.bugs import BUGS, CONSTRUCTION, Bug

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
each_construction = pytest.mark.parametrize("bug", CONSTRUCTION, ids=lambda bug: bug.name)


def load(bug: Bug, folder: Path) -> Any:
    """The class ``Net`` of the bug's file, imported from a real file so that its source can be read."""
    path = folder / "net.py"
    path.write_text(bug.source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("net", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Net


@functools.cache
def findings(source: str, path: str = "net.py") -> list[Finding]:
    """What the linter says, CONV301 and CONV302 aside."""
    return [f for f in check_source(source, path) if f.code not in ("CONV301", "CONV302")]


def raised(net: Any, bug: Bug, **options: Any) -> ShapeError:
    with pytest.raises(ShapeError) as caught:
        check(net, *bug.inputs, **options)
    return caught.value


@each_bug
def test_the_code_is_said(bug: Bug, tmp_path: Path) -> None:
    error = raised(load(bug, tmp_path)(), bug)
    assert error.code == bug.code, str(error)
    assert str(error).startswith(f"{bug.code} {error.message}\n")
    assert isinstance(error.__cause__, Exception)
    assert error.report is not None
    assert not error.report.calls[0].finished


@each_bug
def test_real_tensors_give_the_same(bug: Bug, tmp_path: Path) -> None:
    net = load(bug, tmp_path)()
    virtual, real = raised(net, bug), raised(net, bug, device="cpu")
    assert (real.code, real.message, real.module) == (virtual.code, virtual.message, virtual.module)


@each_bug
def test_torch_fails_too(bug: Bug, tmp_path: Path) -> None:
    """What torch itself raises is what the cause says, in eager mode's words."""
    net = load(bug, tmp_path)()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        net(*(torch.rand(shape) for shape in bug.inputs))
    cause = raised(net, bug).__cause__
    assert (type(cause), str(cause)) == (type(caught.value), str(caught.value))


@pytest.mark.parametrize("bug", [b for b in (*BUGS, *CONSTRUCTION) if b.static], ids=lambda bug: bug.name)
def test_the_linter_says_the_same_code(bug: Bug) -> None:
    assert {f.code for f in findings(bug.source)} == {bug.code}


@each_construction
def test_a_class_that_cannot_be_made(bug: Bug, tmp_path: Path) -> None:
    error = raised(load(bug, tmp_path), bug)
    assert error.code == bug.code
    assert error.line is not None
    assert error.line.text.startswith("self.")


@pytest.mark.parametrize("bug", [b for b in BUGS if b.static], ids=lambda bug: bug.name)
def test_the_words_are_the_linters(bug: Bug, tmp_path: Path) -> None:
    """Up to where a number comes from, the sentence is the same."""
    error = raised(load(bug, tmp_path)(), bug)
    finding = next(f for f in findings(bug.source) if f.code == bug.code)
    assert _core(error.message) == _core(finding.message)


def _core(message: str) -> str:
    return message.split(" (")[0].split(";")[0]
