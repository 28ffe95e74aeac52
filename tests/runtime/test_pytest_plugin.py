"""``pytest --conv-lint`` and the fixture ``conv_shapes``."""

from __future__ import annotations

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from conv_lint import check_source
from conv_lint.pytest_plugin import is_said

pytest_plugins = ["pytester"]

#: Installed, the plugin has the name of its entry point; from a checkout it is named by its module.
NAME = next((e.name for e in entry_points(group="pytest11") if e.value == "conv_lint.pytest_plugin"), None)
PLUGIN = ("-p", NAME or "conv_lint.pytest_plugin")
ROOT = str(Path(__file__).resolve().parents[2])

BAD = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)

    def forward(self, x):
        return self.conv2(self.conv1(x))
"""


@pytest.fixture(autouse=True)
def _from_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)


def test_findings_are_failures(pytester: pytest.Pytester) -> None:
    package = pytester.mkpydir("package")
    (package / "bad.py").write_text(BAD, encoding="utf-8")
    (package / "good.py").write_text(BAD.replace("32, 64", "16, 64"), encoding="utf-8")
    (package / "plain.py").write_text("import os\n", encoding="utf-8")
    pytester.makepyfile(test_one="def test_one(): pass")
    result = pytester.runpytest_inprocess(*PLUGIN, "--conv-lint", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "package/bad.py::conv-lint FAILED*",
            "package/good.py::conv-lint PASSED*",
            "*conv-lint package/bad.py*",
            "package/bad.py:10:32: CONV201 conv2 takes 32 input channels but is given 16 (conv1, line 9)*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_off_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(bad=BAD, test_one="def test_one(): pass")
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("comment", "said"),
    [("", True), ("# noqa", False), ("# noqa: CONV201", False), ("# noqa: E501, CONV2", False), ("# noqa: E501", True)],
)
def test_noqa(comment: str, said: bool) -> None:
    text = BAD.replace("nn.Conv2d(32, 64, 3)", f"nn.Conv2d(32, 64, 3)  {comment}")
    assert [is_said(f, text.splitlines()) for f in check_source(text)] == [said]


def test_the_configuration_switches_it_on_and_items_can_be_selected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(bad=BAD, test_one="def test_one(): pass")
    pytester.makeini("[pytest]\nconv_lint = true\n")
    result = pytester.runpytest_inprocess(*PLUGIN, "--strict-markers", "-m", "conv_lint")
    result.assert_outcomes(failed=1, deselected=1)


@pytest.mark.parametrize(
    ("option", "loaded"), [((), set()), (("--conv-lint",), {"conv_lint.check", "libcst"})], ids=["off", "on"]
)
def test_what_is_loaded(pytester: pytest.Pytester, option: tuple[str, ...], loaded: set[str]) -> None:
    pytester.makepyfile(
        a_model=BAD.replace("32, 64", "16, 64"),
        test_loaded="""
            import sys
            def test_loaded():
                heavy = ("torch", "libcst", "conv_lint.check", "conv_lint.ops", "conv_lint.runtime", "rich")
                print("LOADED", sorted(m for m in heavy if m in sys.modules))
        """,
    )
    result = pytester.runpytest_subprocess(*PLUGIN, *option, "-s")
    line = next(line for line in result.outlines if "LOADED" in line)
    assert {name for name in loaded if repr(name) in line} == loaded
    assert "torch'" not in line
    assert loaded or line.endswith("LOADED []")


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from torch import nn

        def test_shapes(conv_shapes):
            report = conv_shapes(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (1, 3, 32, 32))
            assert report.output == (1, 8, 30, 30)
            assert report.find("0").receptive_field == (3, 3)

        def test_wrong(conv_shapes):
            conv_shapes(nn.Conv2d(3, 8, 3), (1, 4, 32, 32))
        """
    )
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ShapeError: CONV201 Conv2d takes 3 input channels but is given 4*"])


def test_the_fixture_without_torch(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a))
    pytester.makepyfile("def test_shapes(conv_shapes): pass")
    result = pytester.runpytest_inprocess(*PLUGIN, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*conv_shapes needs torch, which is not installed*"])
