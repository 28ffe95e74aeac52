"""For people: the lines of flake8, and ``full``, which shows the source and how the shapes came about."""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator

from flake8.formatting.default import COLORS, COLORS_OFF, Default
from flake8.statistics import Statistics
from flake8.violation import Violation

from conv_lint.report.entry import Entry, Outcome, Spot, Step

#: Longer ways are shown without their middle.
MOST_STEPS = 20


def text(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """``path:line:column: CODE message``, with the source below if it is wanted."""
    for found in outcome.entries:
        yield _line(found, options.colors)
        if options.show_source and found.lines:
            yield found.lines + _blank(found.lines[: found.spot.column - 1]) + "^"


def names(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """Only which files have findings."""
    return iter(dict.fromkeys(found.spot.path for found in outcome.entries))


def nothing(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """Nothing: the exit status says it."""
    return iter(())


def statistics(outcome: Outcome) -> Iterator[str]:
    """How many findings each code has, with the message of the first."""
    counts = Statistics()
    for found in outcome.entries:
        spot = found.spot
        counts.record(Violation(found.code, spot.path, spot.line, spot.column, found.message, None))
    for code in counts.error_codes():
        of_code = list(counts.statistics_for(code))
        yield f"{sum(s.count for s in of_code):<5} {code} {of_code[0].message}"


def coverage(outcome: Outcome) -> Iterator[str]:
    """A line for each class with layers, the sum of all, and what most of the rest waits for."""
    waiting: Counter[str] = Counter()
    for one in outcome.covered:
        yield f"{one.path}: {one.name or 'outside classes'}: {one.checked} of {one.total} layer calls checked"
        waiting.update(dict(one.reasons))
    checked, total = sum(c.checked for c in outcome.covered), sum(c.total for c in outcome.covered)
    yield f"{checked} of {total} layer calls checked" + (f" ({checked / total:.0%})" if total else "")
    for reason, count in waiting.most_common(1):
        yield (
            f"most of the rest, {count} layer call{'s' * (count != 1)}, would be checked if this were known: {reason}"
            + next((f"; {hint}" for words, hint in _HINTS.items() if reason.startswith(words)), "")
        )


#: What to write, by the words in which the checker says what it does not know.
_HINTS = {
    "the number of dimensions of": "a comment such as '# shape: (B, 3, 224, 224)' at the def of forward says it",
    "its number of channels": "a comment such as '# shape: (B, 3, 224, 224)' at the def of forward says it",
    "the parameter": "a default value, or a call of the class in the same file, says it",
}


def _line(found: Entry, colors: bool) -> str:
    facts = {"path": found.spot.path, "row": found.spot.line, "col": found.spot.column}
    words = {"code": found.code, "text": found.message, **(COLORS if colors else COLORS_OFF)}
    line: str = Default.error_format % {**facts, **words}
    return line


def _blank(text: str) -> str:
    """Space as wide as a text: tabs stay tabs."""
    return "".join(c if c.isspace() else " " for c in text)


# full -------------------------------------------------------------------------------------------------------


def full(outcome: Outcome, options: Namespace) -> Iterator[str]:
    """Each finding with its line, the steps that made the numbers, and where it is called from."""
    colors = COLORS if options.colors else COLORS_OFF
    for found in outcome.entries:
        margin = " " * len(str(found.spot.line))
        yield _line(found, options.colors)
        yield f"{colors['cyan']}{margin} |{colors['reset']}"
        yield f"{colors['cyan']}{found.spot.line} |{colors['reset']} {found.text}"
        yield f"{colors['cyan']}{margin} |{colors['reset']} {_marked(found, colors)}"
        for number, trail in enumerate(found.trails):
            shared = _shared(found.trails[0], trail) if number else 0
            yield f"{margin} = {'and of the other tensor' if number else 'the shapes on the way'}:"
            yield from _way(trail[max(shared - 1, 0) :], found.spot.path, margin)
        if found.calls:
            where = ", ".join(_at(call, found.spot.path) for call in found.calls)
            yield f"{margin} = reached by: {where}"
        yield f"{margin} = more: conv-lint rule {found.code}"
        yield ""
    if outcome.entries:
        files = {found.spot.path for found in outcome.entries}
        yield f"{_several(len(outcome.entries), 'finding')} in {_several(len(files), 'file')}"


def _several(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _marked(found: Entry, colors: dict[str, str]) -> str:
    """Marks below the part of the line that is meant; of a part of several lines, the first."""
    start = found.spot.column - 1
    end = found.spot.end_column - 1 if found.spot.end_line == found.spot.line else len(found.text.rstrip())
    marks = "^" * max(end - start, 1)
    return f"{_blank(found.text[:start])}{colors['red']}{marks}{colors['reset']}"


def _shared(first: tuple[Step, ...], second: tuple[Step, ...]) -> int:
    """How many steps two ways have in common from the input on."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second)))


def _way(trail: tuple[Step, ...], path: str, margin: str) -> Iterator[str]:
    """A table of steps: who, the shape that comes out, and where."""
    steps: list[Step | None] = list(trail)
    if len(steps) > MOST_STEPS:
        half = MOST_STEPS // 2
        steps[half:-half] = [None]
    wide = max((len(s.label) for s in steps if s), default=0)
    long = max((len(s.shape) for s in steps if s), default=0)
    for step in steps:
        if step is None:
            yield f"{margin}   ... {len(trail) - MOST_STEPS} more"
            continue
        where = f"  {_at(step.spot, path)}" if step.spot is not None else ""
        yield f"{margin}   {step.label:<{wide}}  {step.shape:<{long}}{where}".rstrip()


def _at(spot: Spot, path: str) -> str:
    return f"line {spot.line}" if spot.path == path else f"{spot.path}:{spot.line}"
