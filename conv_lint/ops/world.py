"""Who asks a rule, and is told what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from conv_lint.dims import Dim
from conv_lint.finding import Report
from conv_lint.values import Rest


class World(Protocol):
    """Who asks: the interpreter, the runtime hook, or a test.

    ``batched``: where torch takes one sample as well as a batch and the rank is not known, which of the two is tried.
    """

    @property
    def batched(self) -> bool: ...

    def emit(self, report: Report, at: str | None) -> None:
        """A definite fault.  ``at`` names the argument to point at."""

    def equate(self, a: Dim, b: Dim) -> None:
        """From here on the two sizes are equal, or torch would have raised."""

    def settle(self, rest: Rest, sizes: tuple[Dim, ...], assumed: bool) -> None:
        """The unknown leading dimensions are these; ``assumed`` if another number would do as well."""

    def known(self, size: Dim) -> Dim:
        """A size, with what has been settled by now."""

    def guess(self, usual: int, other: int) -> int:
        """Which of two numbers of dimensions is tried, where nothing tells."""

    def note_batch(self, size: Dim) -> None:
        """A layer takes this size for the number of samples."""

    def is_batch(self, size: Dim) -> bool:
        """Is a size a multiple of the number of samples that a layer was given?"""


@dataclass
class Recorder:
    """A world that only writes down what it is told; for tests and for known shapes."""

    reports: list[Report] = field(default_factory=list)
    points: list[str | None] = field(default_factory=list)
    batched: bool = True

    def emit(self, report: Report, at: str | None) -> None:
        self.reports.append(report)
        self.points.append(at)

    def equate(self, a: Dim, b: Dim) -> None:
        """Nothing to remember: known sizes are equal already."""

    def settle(self, rest: Rest, sizes: tuple[Dim, ...], assumed: bool) -> None:
        """Nothing to remember."""

    def known(self, size: Dim) -> Dim:
        return size

    def guess(self, usual: int, other: int) -> int:
        return usual

    def note_batch(self, size: Dim) -> None:
        """Nothing to remember."""

    def is_batch(self, size: Dim) -> bool:
        return False
