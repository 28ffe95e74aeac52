"""The formats that ``conv-lint check`` prints, by their names on the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator

from conv_lint.report import github, gitlab, json, sarif, text
from conv_lint.report.entry import Outcome

Format = Callable[[Outcome, Namespace], Iterator[str]]

FORMATS: dict[str, Format] = {
    "text": text.text,
    "full": text.full,
    "json": json.render,
    "sarif": sarif.render,
    "github": github.render,
    "gitlab": gitlab.render,
}
#: Formats that other programs parse: nothing else may stand on the same stream.
FOR_PROGRAMS = {"json", "sarif", "github", "gitlab"}


def lines(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """The report, in the format that is wanted; ``--quiet`` is stronger."""
    if options.quiet:
        return (text.names if options.quiet == 1 else text.nothing)(outcome, options)
    return FORMATS[options.format](outcome, options)
