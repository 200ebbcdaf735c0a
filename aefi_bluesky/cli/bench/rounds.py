"""Rounds that are interleaved, their medians and ranges, and what may be said of them.

On a shared machine an absolute number is weak. So all alternatives take turns in
every round, each round begins with another one, and a ratio whose ranges overlap is
no difference.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aefi_bluesky.cli.bench.load import under, watched_cpu
from aefi_bluesky.domain.errors import AefiError

FEWEST_ROUNDS = 2
"""Rounds that a range needs."""

UNQUIET = 0.2
"""Share of the machine that others took, above which a number is marked."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave.

    Parameters
    ----------
    median, low, high
        Of the rounds.
    rounds
        How many there were.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of at least one value."""
        # numpy's numbers are no JSON.
        kept = sorted(float(value) for value in values)
        return cls(statistics.median(kept), kept[0], kept[-1], len(kept))

    def overlaps(self, other: Spread) -> bool:
        """Whether both ranges have a value in common."""
        return self.low <= other.high and other.low <= self.high

    def scaled(self, factor: float) -> Spread:
        """Return the spread of all rounds times `factor`, which is above zero."""
        return Spread(
            self.median * factor, self.low * factor, self.high * factor, self.rounds
        )

    def plain(self) -> dict[str, float]:
        """Return the spread as plain JSON values."""
        return {
            "median": self.median,
            "low": self.low,
            "high": self.high,
            "rounds": self.rounds,
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity over another of the same run.

    Parameters
    ----------
    spread
        Ratio of the medians; the worst and the best ratio of two rounds.
    is_difference
        False if the ranges overlap: then nothing may be said.
    """

    spread: Spread
    is_difference: bool

    @classmethod
    def of(cls, over: Spread, under: Spread) -> Ratio:
        """Return `over` divided by `under`; something over nothing is infinite."""
        spread = Spread(
            _divided(over.median, under.median),
            _divided(over.low, under.high),
            _divided(over.high, under.low),
            min(over.rounds, under.rounds),
        )
        return cls(spread, not over.overlaps(under))

    def verdict(self) -> str:
        """Return the ratio in words: a number, or that there is no difference."""
        if self.spread.rounds < FEWEST_ROUNDS:
            return "one round"
        if not self.is_difference:
            return "no difference"
        return f"x {self.spread.median:.3g}"

    def plain(self) -> dict[str, Any]:
        """Return the ratio as plain JSON values."""
        return {**self.spread.plain(), "verdict": self.verdict()}


def _divided(over: float, under: float) -> float:
    return over / under if under else math.inf


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to be measured once a round.

    Parameters
    ----------
    labels
        What tells it from the others, as the columns of a table.
    load
        The load under which it is measured.
    measure
        Returns its quantities by name.
    """

    labels: Mapping[str, str]
    load: str
    measure: Callable[[], Mapping[str, float]]


@dataclass(slots=True)
class Row:
    """One line of a table.

    Parameters
    ----------
    labels
        As the cell's, with its load.
    values
        Quantities by name; empty if it could not be measured.
    ratio
        The engine's quantity over this one's.
    foreign
        Share of the machine that others took, median of the rounds.
    note
        What a reader must know, as why there are no values.
    """

    labels: dict[str, str]
    values: dict[str, Spread] = field(default_factory=dict[str, Spread])
    ratio: Ratio | None = None
    foreign: float | None = None
    note: str = ""

    @property
    def is_unquiet(self) -> bool:
        """Whether others took too much of the machine for a number to be good."""
        return self.foreign is not None and self.foreign > UNQUIET

    def plain(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        return {
            **self.labels,
            "values": {name: spread.plain() for name, spread in self.values.items()},
            "engine_over_this": self.ratio.plain() if self.ratio else None,
            "foreign_cpu": self.foreign,
            "unquiet": self.is_unquiet,
            "note": self.note,
        }


def interleave(
    cells: Sequence[Cell], rounds: int, budget_s: float = math.inf
) -> list[Row]:
    """Measure every cell once a round, each round from another one on.

    A cell that fails, as a flight on a machine that starves it may, is told in its
    row's note, and the others are measured all the same.

    Parameters
    ----------
    cells
        What is measured.
    rounds
        How often, at most; once at least.
    budget_s
        A further round that would end later than this is left out.

    Returns
    -------
    list
        A row a cell, in the order of `cells`.
    """
    found: list[dict[str, list[float]]] = [{} for _ in cells]
    foreign: list[list[float]] = [[] for _ in cells]
    failed: list[list[str]] = [[] for _ in cells]
    began = time.monotonic()
    for turn in range(rounds):
        if turn and (time.monotonic() - began) * (turn + 1) / turn > budget_s:
            break
        for step in range(len(cells)):
            index = (step + turn) % len(cells)
            with under(cells[index].load), watched_cpu() as cpu:
                try:
                    values = cells[index].measure()
                except AefiError as err:
                    failed[index].append(str(err))
                    continue
            for name, value in values.items():
                found[index].setdefault(name, []).append(value)
            if cpu.foreign is not None:
                foreign[index].append(cpu.foreign)
    return [
        Row(
            {**cell.labels, "load": cell.load},
            {name: Spread.of(values) for name, values in found[index].items()},
            foreign=statistics.median(foreign[index]) if foreign[index] else None,
            note=_failures(failed[index]),
        )
        for index, cell in enumerate(cells)
    ]


def _failures(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    rounds = "round" if len(reasons) == 1 else "rounds"
    return f"failed in {len(reasons)} {rounds}: {reasons[0]}"


def compare(rows: Sequence[Row], quantity: str, client: str = "engine") -> None:
    """Give each row the ratio of `client`'s quantity to its own, all else equal."""
    for row in rows:
        twin = find(rows, **{**row.labels, "client": client})
        both = [other for other in (twin, row) if other and quantity in other.values]
        if twin is not row and len(both) == 2:
            row.ratio = Ratio.of(*(other.values[quantity] for other in both))


def find(rows: Iterable[Row], **labels: str) -> Row | None:
    """Return the row with these labels that was measured, if there is one."""
    for row in rows:
        if row.values and labels.items() <= row.labels.items():
            return row
    return None
