"""The flake8 plugin: registered as ``CON``, codes ``CONVnnn``.  Importing it loads neither libcst nor torch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from conv_lint import __version__, source
from conv_lint.config import OPT_IN, OPTIONS, SIZES
from conv_lint.configured import Inputs, parse

if TYPE_CHECKING:
    from flake8.options.manager import OptionManager


class Plugin:
    """One file for flake8.  Findings become ``(line, column, "CONVnnn text", type)``."""

    name = "conv-lint"
    version = __version__
    sizes = "strict"
    unknowns = False
    caches = True
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

        parser.add_option(
            "--conv-no-cache",
            parse_from_config=True,
            action="store_true",
            default=False,
            help="check again what has not changed since it was checked last",
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
        cls.caches = not options.conv_no_cache
        cls.display_name = options.stdin_display_name

    def run(self) -> Iterator[tuple[int, int, str, type[Any]]]:
        """The findings of the file.  A fault of ours is silence, never another plugin's loss."""
        text = "".join(self.lines)
        if not source.worth_reading(text):
            return
        try:
            if self.caches and not debugging():
                from conv_lint.cache import remembered

                lines = remembered("flake8", text, self.path, (self.unknowns, self.inputs), partial(self._lines, text))
            else:
                lines, _ = self._lines(text)
        except Exception:
            if debugging():
                raise
            return
        for line, column, code, message in lines:
            if code not in SIZES[self.sizes]:
                yield line, column, f"{code} {message}", type(self)

    def _lines(self, text: str) -> tuple[list[tuple[int, int, str, str]], bool]:
        """All there is to say of the file, and whether that is worth keeping: not if the time was too short for it."""
        from conv_lint.catalogue import not_understood
        from conv_lint.check import check

        result = check(text, self.path, measure=self.unknowns, inputs=self.inputs)
        notes = result.unknowns() if self.unknowns else []
        lines = [(*f.position, f.code, f.message) for f in [*result.findings, *notes]]
        if self.unknowns and result.problem is not None:
            lines.append((1, 0, not_understood.code, not_understood(reason=result.problem).message()))
        return lines, not result.out_of_budget

    @property
    def path(self) -> str:
        """Where the file lies; what comes from stdin lies where its display name says."""
        return self.display_name if self.filename in ("stdin", "-") else self.filename


def debugging() -> bool:
    """``CONV_LINT_DEBUG=1`` lets errors of the checker itself through, for those who work on it."""
    import os

    return bool(os.environ.get("CONV_LINT_DEBUG"))
