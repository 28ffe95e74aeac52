"""What a forward was: a row for each call of a module, and the sums."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conv_lint.runtime.arguments import render_shapes
from conv_lint.runtime.receptive import one_number

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("layer", "type", "input", "output", "weight", "parameters", "multiply-adds", "field", "stride")
NUMBERS = HEADINGS[5:]


@dataclass
class Call:
    """One call of one module.

    ``path``: where the module hangs, ``layer2.0.conv1``; empty for the model itself.  ``depth``: how many module calls
    it lies inside.  ``leaf``: no other module was called inside.  ``input`` and ``output``: a shape, or a list or dict
    of shapes; ``output`` is ``None`` if the call did not come to its end.  ``parameters``: of the module and all below
    it; a shared one once.  ``multiply_adds``: of everything that ran inside.  ``receptive_field`` and ``stride``: of
    the output against the input of the model, in pixels for each axis; ``None`` where they are not defined.
    ``finished``: false for the call that raised, and for those around it.
    """

    path: str
    type: str
    depth: int
    input: Any
    output: Any = None
    weight: tuple[int, ...] | None = None
    parameters: int = 0
    multiply_adds: int = 0
    receptive_field: tuple[int, ...] | None = None
    stride: tuple[int, ...] | None = None
    leaf: bool = True
    finished: bool = False

    def record(self) -> dict[str, Any]:
        """The row as plain JSON values; shapes are lists."""
        return {
            "path": self.path,
            "type": self.type,
            "depth": self.depth,
            "leaf": self.leaf,
            "input_shape": _listed(self.input),
            "output_shape": _listed(self.output),
            "weight_shape": _listed(self.weight),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "receptive_field": one_number(self.receptive_field),
            "stride": one_number(self.stride),
        }

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of ``HEADINGS``."""
        name = "  " * self.depth + (self.path.rpartition(".")[2] or "(model)")
        sizes = [render_shapes(self.input), render_shapes(self.output) if self.finished else "failed"]
        return (
            name,
            self.type,
            *sizes,
            render_shapes(self.weight),
            f"{self.parameters:,}" if self.parameters else "-",
            f"{self.multiply_adds:,}" if self.multiply_adds else "-",
            _axes(self.receptive_field),
            _axes(self.stride),
        )


@dataclass
class Report:
    """The calls of one forward in the order in which they began.  ``print`` shows a table.

    ``device``: where the forward ran (``meta`` and ``fake`` have no data and take no memory).  ``note``: why it did
    not run where it was asked to, if so.  ``parameters``, ``trainable`` and ``buffers`` count each tensor's elements
    once.  ``output``: the shapes of what the model returned.
    """

    model: str
    calls: list[Call] = field(default_factory=list)
    output: Any = None
    device: str = "meta"
    note: str | None = None
    parameters: int = 0
    trainable: int = 0
    buffers: int = 0
    multiply_adds: int = 0

    def to_records(self) -> list[dict[str, Any]]:
        """A dict for each call, as ``pandas.DataFrame`` takes them."""
        return [call.record() for call in self.calls]

    def to_json(self, indent: int | None = None) -> str:
        """Everything as JSON: the sums under their names, the rows under ``calls``."""
        sums = {
            name: getattr(self, name)
            for name in ("model", "device", "note", "parameters", "trainable", "buffers", "multiply_adds")
        }
        return json.dumps({**sums, "output_shape": _listed(self.output), "calls": self.to_records()}, indent=indent)

    def find(self, path: str) -> Call:
        """The first call of the module at ``path``.  Raises ``KeyError`` if it was not called."""
        for call in self.calls:
            if call.path == path:
                return call
        raise KeyError(f"{path!r} was not called; see [call.path for call in report.calls]")

    @property
    def summary(self) -> str:
        """The sums in a line or two."""
        text = (
            f"{self.parameters:,} parameters ({self.trainable:,} trainable), {self.multiply_adds:,} multiply-adds,"
            f" ran on {self.device}"
        )
        return f"{text}\n{self.note}" if self.note else text

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE, title=self.model, caption=self.summary, caption_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="right" if heading in NUMBERS else "left", no_wrap=True)
        for call in self.calls:
            table.add_row(*call.cells())
        return table

    def __str__(self) -> str:
        try:
            from rich.console import Console
        except ImportError:
            return f"{self.model}\n{text_table(self.calls)}\n{self.summary}"
        console = Console(file=io.StringIO(), width=1000, color_system=None)
        console.print(self)
        assert isinstance(console.file, io.StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().rstrip().splitlines())


def text_table(calls: Iterable[Call], columns: Sequence[str] = HEADINGS) -> str:
    """The rows as aligned text, for a message."""
    wanted = [HEADINGS.index(name) for name in columns]
    rows = [tuple(columns), *(tuple(call.cells()[i] for i in wanted) for call in calls)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(wanted))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _axes(sizes: tuple[int, ...] | None) -> str:
    number = one_number(sizes)
    return "-" if number is None else "x".join(map(str, number)) if isinstance(number, list) else str(number)


def _listed(shapes: Any) -> Any:
    if isinstance(shapes, dict):
        return {key: _listed(item) for key, item in shapes.items()}
    return [_listed(item) for item in shapes] if isinstance(shapes, (tuple, list)) else shapes
