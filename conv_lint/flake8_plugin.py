"""The flake8 plugin: registered as ``CON``, codes ``CONVnnn``.  Importing it loads neither libcst nor torch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from conv_lint import __version__, source
from conv_lint.config import OPT_IN, OPTIONS, SIZES
from conv_lint.configured import Inputs, parse

if TYPE_CHECKING:
    from flake8.options.manager import OptionManager

    from conv_lint.check import Result


class Plugin:
    """One file for flake8.  Findings become ``(line, column, "CONVnnn text", type)``."""

    name = "conv-lint"
    version = __version__
    sizes = "strict"
    unknowns = False
    inputs: tuple[Inputs, ...] = ()
    display_name = "stdin"

    def __init__(self, tree: object, filename: str, lines: Sequence[str]) -> None:
        self.filename, self.lines = filename, lines

    @classmethod
    def add_options(cls, parser: OptionManager) -> None:
        """Register the options; the opt-in codes are off by default as flake8 means it."""
        parser.extend_default_ignore(OPT_IN)
        for option in OPTIONS:
            if option.plugin:
                choices = {"choices": list(option.choices)} if option.choices else {}
                parser.add_option(
                    f"--{option.name}", parse_from_config=True, default=option.default, help=option.help, **choices
                )
        parser.add_option(
            "--conv-unknowns",
            parse_from_config=True,
            action="store_true",
            default=False,
            help="also list what was not understood (CONV901)",
        )

    @classmethod
    def parse_options(cls, options: Namespace) -> None:
        """Keep the options; flake8 calls this once in each process."""
        try:
            cls.inputs = parse(options.conv_inputs)
        except ValueError as error:
            from flake8.exceptions import ExecutionError

            raise ExecutionError(f"conv-inputs: {error}") from None
        cls.sizes = options.conv_sizes
        cls.unknowns = options.conv_unknowns
        cls.display_name = options.stdin_display_name

    def run(self) -> Iterator[tuple[int, int, str, type[Any]]]:
        """The findings of the file.  A fault of ours is silence, never another plugin's loss."""
        text = "".join(self.lines)
        if not source.worth_reading(text):
            return
        from conv_lint.check import check

        try:
            result = check(text, self.path, measure=self.unknowns, inputs=self.inputs)
            found = [(*f.position, f"{f.code} {f.message}") for f in result.findings if f.code not in SIZES[self.sizes]]
        except Exception:
            if debugging():
                raise
            return
        for line, column, text in found:
            yield line, column, text, type(self)
        if self.unknowns:
            yield from self._notes(result)

    def _notes(self, result: Result) -> Iterator[tuple[int, int, str, type[Any]]]:
        """What was not understood in this file, once for each place."""
        from conv_lint.catalogue import not_understood

        if result.problem is not None:
            yield 1, 0, f"{not_understood.code} {not_understood(reason=result.problem).message()}", type(self)
        for finding in result.unknowns():
            yield *finding.position, f"{finding.code} {finding.message}", type(self)

    @property
    def path(self) -> str:
        """Where the file lies; what comes from stdin lies where its display name says."""
        return self.display_name if self.filename in ("stdin", "-") else self.filename


def debugging() -> bool:
    """``CONV_LINT_DEBUG=1`` lets errors of the checker itself through, for those who work on it."""
    import os

    return bool(os.environ.get("CONV_LINT_DEBUG"))
