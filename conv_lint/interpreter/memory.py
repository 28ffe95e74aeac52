"""The calls that are remembered, and the watch over what they may have read unseen."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from conv_lint.dims import Symbol
from conv_lint.finding import Step
from conv_lint.interpreter.objects import Frame, Instance
from conv_lint.values import Mutable, Value, birth


@dataclass
class Record:
    """A call that was run: what it was given, and what came of it.

    ``symbols``, ``parts`` and ``floats``: those of the description in its order, so that the same places of two equal
    descriptions correspond.  ``made``: the parts that the call has made; ``twins``: for each module among them the one
    that is kept as it was then.  ``steps``: what the call has added to the way of its result, the first one first.
    ``began``: what is older than the call is shared, what is younger is copied.  ``identities``: what is described by
    its identity, which it keeps as long as it is kept here.  ``asked``: the conditions and unknown values that the call
    has asked the path for, and the ``answers``.
    """

    symbols: list[Symbol]
    parts: list[object]
    floats: list[float]
    identities: list[object]
    caller: Frame
    began: int
    result: Value = None
    made: list[object] = field(default_factory=list)
    twins: dict[int, Instance] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)


@dataclass
class Cases:
    """The records of one description: one for each value of the floats that decide something, by their numbers."""

    deciding: tuple[int, ...]
    records: dict[tuple[float, ...], Record] = field(default_factory=dict)

    def find(self, floats: list[float]) -> Record | None:
        return self.records.get(tuple(floats[i] for i in self.deciding))

    def add(self, record: Record, deciding: set[int]) -> None:
        if not deciding <= set(self.deciding):
            self.deciding = tuple(sorted({*self.deciding, *deciding}))
            self.records.clear()
        self.records[tuple(record.floats[i] for i in self.deciding)] = record


class Memory:
    """The calls that are remembered, and the watch over what they may have read.

    ``horizon``: what was made before it may be reached from globals.  ``oldest``: for each call that is being run, when
    the oldest thing that it has changed was made.  ``forgotten``: since when descriptions of layers hold.
    """

    def __init__(self) -> None:
        self.records: dict[Hashable, Cases] = {}
        self.horizon = 0
        self.oldest: list[int] = []
        self.forgotten = 0

    def notice(self, target: Mutable) -> None:
        """Something is going to change, or is put back."""
        born = target.born
        if not born:  # facts, which every record compares by itself
            return
        if self.oldest and born < self.oldest[-1]:
            self.oldest[-1] = born
        if type(target) is Instance:
            target.portrait = None
        if born < self.horizon or (type(target) is Frame and target.function is None):
            self.horizon = birth()
            self.records.clear()

    def outlast(self) -> None:
        """Something was made that outlasts the calls that are being run: they cannot be repeated by copies."""
        if self.oldest:
            self.oldest[-1] = 0

    def forget(self) -> None:
        """Something has changed of which no journal is kept."""
        self.forgotten = birth()
        self.records.clear()
        self.outlast()
