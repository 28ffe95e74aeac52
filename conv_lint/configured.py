"""The option ``conv-inputs``: the shapes of a model's inputs, by the name of its class or factory.

    Net = 1,3,224,224
    models.unet.* = B,1,572,572
    Siamese = 1,3,32,32 ; 1,3,32,32

A name may be qualified with its module and may hold ``*`` and ``?``.  Inputs are separated by semicolons; a size is a
number, or a name for a size that is not fixed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv_lint.dims import Dim

Size = int | str
_ENTRY = re.compile(r"([\w.*?\[\]!-]+)\s*=\s*")
_SIZE = re.compile(r"[1-9][0-9]{0,8}\Z|[A-Za-z_]\w*\Z", re.A)


@dataclass(frozen=True)
class Inputs:
    """The shapes of the inputs of every class and factory whose name matches ``pattern``."""

    pattern: str
    shapes: tuple[tuple[Size, ...], ...]

    def matches(self, name: str) -> bool:
        """Does the pattern match a dotted name, or its last part?"""
        return fnmatchcase(name, self.pattern) or fnmatchcase(name.rpartition(".")[2], self.pattern)

    def sizes(self) -> list[tuple[Dim, ...]]:
        """The shapes with a symbol for each name, the same for all inputs."""
        from conv_lint import dims  # every run of flake8 reads the option, and few files need sizes

        names: dict[str, Dim] = {}
        return [
            tuple(size if isinstance(size, int) else names.setdefault(size, dims.symbol(size)) for size in shape)
            for shape in self.shapes
        ]


def parse(value: object) -> tuple[Inputs, ...]:
    """The option as it is written: a text, or a table of TOML.  Raises ``ValueError`` with one line for the user."""
    if isinstance(value, Mapping):
        return tuple(Inputs(str(pattern), _of_toml(str(pattern), shapes)) for pattern, shapes in value.items())
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is neither a text nor a table")
    found: list[Inputs] = []
    for line in value.splitlines():
        marks = list(_ENTRY.finditer(line))
        if line.strip() and (not marks or line[: marks[0].start()].strip()):
            raise ValueError(f"{line.strip()!r} is not of the form 'Net = 1,3,224,224'")
        ends = [m.start() for m in marks[1:]] + [len(line)]
        for mark, end in zip(marks, ends):
            texts = line[mark.end() : end].split(";")
            found.append(Inputs(mark[1], tuple(_shape(mark[1], text.strip(" ()[],").split(",")) for text in texts)))
    return tuple(found)


def _shape(pattern: str, sizes: Sequence[object]) -> tuple[Size, ...]:
    out: list[Size] = []
    for size in sizes:
        text = str(size).strip()
        if isinstance(size, bool) or not _SIZE.match(text):
            raise ValueError(f"{pattern}: {text!r} is no size: a whole number or a name is")
        out.append(int(text) if text[0].isdigit() else text)
    return tuple(out)


def _of_toml(pattern: str, shapes: object) -> tuple[tuple[Size, ...], ...]:
    """``"1,3,224,224"``, ``[1, 3, 224, 224]``, or a list of such."""
    if isinstance(shapes, str):
        return tuple(_shape(pattern, text.strip(" ()[],").split(",")) for text in shapes.split(";"))
    if isinstance(shapes, list) and shapes and all(isinstance(s, (list, str)) and not _is_name(s) for s in shapes):
        return tuple(one for shape in shapes for one in _of_toml(pattern, shape))
    if isinstance(shapes, list) and shapes:
        return (_shape(pattern, shapes),)
    raise ValueError(f"{pattern}: {shapes!r} is no shape such as '1,3,224,224'")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and "," not in value


def shapes_for(inputs: Sequence[Inputs], name: str) -> list[tuple[Dim, ...]] | None:
    """The shapes that are configured for a name; of several patterns the last one that matches."""
    found = [one for one in inputs if one.matches(name)]
    return found[-1].sizes() if found else None
