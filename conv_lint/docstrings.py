"""What a docstring says of shapes, as text: parameters in the styles of Google, numpy and Sphinx, and torch's own
``Shape:`` section; and the examples behind ``>>>``.

A docstring is believed only where nothing else is known: it is prose, and prose grows old.
"""

from __future__ import annotations

import doctest
import itertools
import re
from collections.abc import Sequence

from conv_lint.inputs import Declared, Malformed, guessed

#: ``x (Tensor): ...``.  What is said of a list or a dict is said of its items.
_NAMED = re.compile(
    r"\s*(?::param\s+(?:[\w.\[\]]+\s+)?)?`{0,2}(?P<name>[A-Za-z_]\w*)`{0,2}\s*"
    r"(?:\((?!(?:[Ll]ist|[Tt]uple|[Dd]ict|Sequence)\b)[^()]*\))?\s*(?::|--)\s*(?P<rest>.*)\Z",
    re.A,
)
_SECTION = re.compile(r"\s*-?\s*Input\d?\s*:\s*(?P<rest>.*)\Z")
_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]]")
_OR = re.compile(r"\bor\b|\bwhere\b|->|→")


def shapes(docstring: str, parameters: Sequence[str]) -> dict[str, Declared]:
    """The shapes that a docstring gives to parameters, by name; ``- Input: (N, C, H, W)`` speaks of the first one."""
    found: dict[str, Declared] = {}
    lines = docstring.splitlines()
    for number, line in enumerate(lines):
        named = _NAMED.match(line)
        if named and named["name"] in parameters:
            rest = named["rest"]
            more = [line.strip() for line in itertools.takewhile(_goes_on, lines[number + 1 :])]
            if not _BRACKETS.search(rest) and more:
                rest = f"{rest} {more.pop(0)}"
            several = any(_shape_in(line.partition(" or ")[2] or line) for line in more)
            declared = None if several else _shape_in(rest)
            if declared is not None:
                found.setdefault(named["name"], declared)
            continue
        section = _SECTION.match(line)
        if section and parameters:
            declared = _shape_in(section["rest"])
            if declared is not None:
                found.setdefault(parameters[0], declared)
    return found


def _goes_on(line: str) -> bool:
    """Does a line go on with what the lines above it say of a parameter?"""
    return bool(line.strip()) and not _NAMED.match(line)


def _shape_in(text: str) -> Declared | None:
    """The one shape in a line of prose; none where the line speaks of several."""
    text = text.replace(":math:", "").replace("`", "").replace("\\text", "").replace("\\times", "*")
    groups = [g for g in _BRACKETS.findall(text) if "," in g]
    if len(groups) != 1 or _OR.search(text):
        return None
    inner = groups[0]
    try:
        declared = guessed(re.sub(r"_\{([^{}]*)\}|_([A-Za-z])", r"_\1\2", inner).replace("{", "").replace("}", ""))
    except Malformed:
        return None
    if declared is None or len(declared.sizes) < 3 or declared.rest:
        return None
    return declared


def examples(docstring: str) -> tuple[str, int]:
    """What stands behind ``>>>`` in a docstring, each statement on its own line of it and the other lines empty, and
    the column at which it stands there; empty if an example is meant to fail."""
    if ">>>" not in docstring:
        return "", 0
    try:
        found = doctest.DocTestParser().get_examples(docstring)
    except ValueError:
        return "", 0
    if any(e.exc_msg is not None for e in found):
        return "", 0
    text = ""
    for example in found:
        text += "\n" * (example.lineno - text.count("\n")) + example.source
    return text, found[0].indent + len(">>> ") if found else 0
