"""How long and how much is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aefi_bluesky.cli.bench.benches import LINKS
from aefi_bluesky.cli.bench.load import BUSY_THREAD, IDLE, LOADS

_FEW_LINKS = {"jitter": ("115200",), "stop": ("unlimited", "115200")}
"""What these say is of the host: more lines would add their own time only."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a run of the benches may cost.

    Parameters
    ----------
    rounds
        Interleaved rounds of each measurement, at most.
    budget_s
        Time for the rounds of one table of cells, in s: a round that would not fit
        is left out, but for the first.
    seconds
        Duration of one cell, in s. A busy thread shows only above some 2 s: a short
        cell ends before the thread has asked for the interpreter often.
    links
        Links that each measurement on ptys goes through, by its name.
    loads
        Loads that they go through.
    stops
        Stops in a cell.
    stall_s
        How long Python is stalled, in s.
    readings
        Sizes of virtual flights, in readings.
    """

    rounds: int
    budget_s: float
    seconds: float
    links: Mapping[str, tuple[str, ...]]
    loads: tuple[str, ...]
    stops: int
    stall_s: float
    readings: tuple[int, ...]

    @classmethod
    def full(cls) -> Effort:
        """Return what a claim may rest on: five rounds of two seconds."""
        sizes = (100_000, 1_000_000, 10_000_000)
        links = {"rtt": tuple(LINKS), "fly": tuple(LINKS), **_FEW_LINKS}
        return cls(5, math.inf, 2.0, links, LOADS, 100, 10.0, sizes)

    @classmethod
    def quick(cls) -> Effort:
        """Return what fits into two minutes: a look, no claim."""
        sizes = (100_000, 1_000_000)
        links = {"rtt": ("unlimited", "115200"), "fly": ("115200",), **_FEW_LINKS}
        return cls(3, 12.0, 0.25, links, (IDLE, BUSY_THREAD), 8, 10.0, sizes)
