"""The pytest plugin: ``pytest --conv-lint`` checks the collected files, ``conv_shapes`` is a fixture for tests.

Importing it loads neither torch nor libcst; with ``--conv-lint`` off nothing of the checker is loaded at all.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conv_lint.finding import Finding
    from conv_lint.runtime.report import Report

_NOQA = re.compile(r"#\s*noqa(?::\s*(?P<codes>[A-Z]+\d*(?:[,\s]+[A-Z]+\d*)*))?", re.IGNORECASE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--conv-lint``, and ``conv_lint = true`` in the configuration file."""
    group = parser.getgroup("conv-lint")
    group.addoption(
        "--conv-lint",
        action="store_true",
        default=False,
        help="check every collected Python file that uses torch for convolution models that cannot work",
    )
    parser.addini("conv_lint", "as if --conv-lint were given", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that ``-m conv_lint`` and ``-m "not conv_lint"`` work under ``--strict-markers``."""
    config.addinivalue_line("markers", "conv_lint: the static shape check of one file, added by --conv-lint")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ConvLintFile | None:
    """One item for each Python file that uses torch, beside whatever tests it holds."""
    if file_path.suffix != ".py":
        return None
    if not parent.config.getoption("conv_lint") and not parent.config.getini("conv_lint"):
        return None
    from conv_lint import source

    text = source.read(str(file_path))
    if text is None or not source.worth_reading(text):
        return None
    return ConvLintFile.from_parent(parent, path=file_path)


class ConvLintFile(pytest.File):
    """A file to check."""

    def collect(self) -> list[pytest.Item]:
        """Its one item."""
        return [ConvLintItem.from_parent(self, name="conv-lint")]


class ConvLintItem(pytest.Item):
    """The check of one file; it fails if there are findings."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_marker("conv_lint")

    def runtest(self) -> None:
        """Raises :class:`Found` with the findings that no ``# noqa`` silences."""
        from conv_lint import source
        from conv_lint.check import check

        text = source.read(str(self.path)) or ""
        lines = text.splitlines()
        findings = [f for f in check(text, str(self.path)).findings if is_said(f, lines)]
        if findings:
            raise Found(findings, self._shown_path())

    def _shown_path(self) -> str:
        root = self.config.rootpath
        return str(self.path.relative_to(root) if self.path.is_relative_to(root) else self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings as lines; a traceback of the checker only if it is the checker that failed."""
        if isinstance(excinfo.value, Found):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The heading of a failure."""
        return self.path, None, f"conv-lint {self._shown_path()}"


class Found(Exception):
    """The findings of one file, ``model.py:14:22: CONV201 conv2 takes 32 input channels but is given 16``."""

    def __init__(self, findings: list[Finding], path: str) -> None:
        self.findings = findings
        places = ((f, *f.position) for f in findings)
        super().__init__("\n".join(f"{path}:{line}:{col + 1}: {f.code} {f.message}" for f, line, col in places))


def is_said(finding: Finding, lines: list[str]) -> bool:
    """Not opt-in, and not silenced by ``# noqa`` on its line as flake8 has it."""
    if finding.report.rule.opt_in:
        return False
    line = finding.position[0]
    match = _NOQA.search(lines[line - 1]) if line <= len(lines) else None
    if match is None:
        return True
    codes = match["codes"]
    return codes is not None and not any(finding.code.startswith(c.upper()) for c in re.split(r"[,\s]+", codes))


@pytest.fixture
def conv_shapes() -> Callable[..., Report]:
    """``report = conv_shapes(model, (1, 3, 224, 224))``: :func:`conv_lint.runtime.check`, skipped without torch."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("conv_shapes needs torch, which is not installed")
    from conv_lint.runtime import check

    return check
