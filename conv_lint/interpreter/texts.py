"""Methods of texts: Python's own where the text is known."""

from __future__ import annotations

import re
from typing import Any

from conv_lint.interpreter.machine import Machine
from conv_lint.interpreter.operators import MAX_CONSTANT
from conv_lint.interpreter.sequences import items_of
from conv_lint.values import Condition, Iter, List, Unknown, Value

#: No string is padded to more than this.
MAX_WIDTH = 10_000
#: String methods that are Python's own on known arguments.
TEXT = frozenset(
    "capitalize casefold count endswith find format index isalnum isalpha isdecimal isdigit isidentifier islower"
    " isnumeric isupper join lower lstrip partition removeprefix removesuffix replace rfind rpartition rsplit rstrip"
    " split splitlines startswith strip swapcase title upper zfill".split()
)

#: What is asked of a text, and what is made of one: the same each time, though the text is not known.
ASKED = frozenset("endswith isalpha isdecimal isdigit islower isnumeric isupper startswith".split())
OF_UNKNOWN_TEXT = ASKED | frozenset("capitalize casefold lower lstrip rstrip strip title upper".split())


def of_unknown(receiver: Unknown, name: str, args: tuple[Value, ...]) -> Value:
    if not all(isinstance(v, (str, tuple)) for v in args):
        return Unknown(f"{name} of something unknown")
    if name in ASKED:
        return Condition(("text", receiver, name, args), receiver.reason)
    return receiver.part((name, args), lambda: Unknown(receiver.reason))


def call(machine: Machine, receiver: Any, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    plain: list[Any] = []
    for value in args:
        items = items_of(machine, value) if isinstance(value, (List, Iter)) else None
        plain.append(items if items is not None else value)
    flat = [v for p in [*plain, *kwargs.values()] for v in (p if isinstance(p, (list, tuple)) else [p])]
    if name not in TEXT or not all(isinstance(v, (str, int, float, bytes, type(None))) for v in flat):
        return Unknown(f"a string made by {name}")
    if any(isinstance(v, int) and abs(v) > MAX_WIDTH for v in flat) or len(receiver) > MAX_CONSTANT:
        return Unknown(f"a string made by {name}")
    if name == "format" and isinstance(receiver, str) and re.search(r"\d{5}", receiver):
        return Unknown("a wide string")
    try:
        made = getattr(receiver, name)(*plain, **kwargs)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        return Unknown(f"a string that {name} cannot make")
    return List(made) if isinstance(made, list) else made
