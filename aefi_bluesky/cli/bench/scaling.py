"""``aefi bench scaling``: the whole path in virtual time, as scans grow."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aefi_bluesky.cli.bench.benches import LINKS, fly_virtually, shuttle
from aefi_bluesky.cli.bench.clients import Figures
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import IDLE
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Cell, Ratio, Row, interleave
from aefi_bluesky.domain.results.scan_results import FixChunk, ReadingChunk
from aefi_bluesky.domain.spec.fly_spec import Excitation, FlyScanSpec
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.recorder import Recorder

_STANDARD = SimulationSettings()
"""The bench as its file has it, with the 16 ms tick of its acquisition."""

_DENSE = replace(LINKS["115200"], acquisition_baud=100_000_000, keep_conversions=False)
_CONVERTER = {"osr": 256, "conversion_rate_hz": 16_000.0, "reading_rate_hz": 10_000.0}
_READINGS_HZ = 16_000.0
"""About what `_DENSE` gives in virtual time."""

_SPEED_MM_PER_S = 10.0
_LONGEST_MM = 700.0

ABOUT = (
    "Wall time and memory of flights in virtual time, from the spec to Python "
    "columns: the standard map, then larger flights with about as many readings as "
    "given (16 000 a second of bench time, more than any acquisition delivers). "
    "Memory is the largest growth of the process while the chunks were counted and "
    "dropped."
)


_SHARED_REASON = (
    "simulation, flight and conversion to columns need the whole time of one core, "
    "and other programs took a part of it (see foreign CPU)."
)


class _Watching(Recorder):
    """Keeps no samples, but counts readings and watches the process' memory."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.first_mb = self.peak_mb = resident_mb()

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Count, and look at the memory."""
        self.readings += len(readings)
        self.peak_mb = max(self.peak_mb, resident_mb())

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Drop them."""


def resident_mb() -> float:
    """Return the resident memory of this process in MB; NaN where not told."""
    if sys.platform == "win32":
        return math.nan
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return math.nan


def measure(effort: Effort) -> Report:
    """Measure the standard map and flights of growing size."""
    standard = FlyScanSpec.standard(635.0, 610.0, Excitation.off())
    # What is loaded and reserved once is no growth.
    _fly_dense(50_000)
    cells = [Cell({"client": "standard map"}, IDLE, partial(_fly, _STANDARD, standard))]
    cells += [
        Cell({"client": f"{size:,} readings"}, IDLE, partial(_fly_dense, size))
        for size in effort.readings
    ]
    # The largest takes long and repeats little: once is enough.
    rows = interleave(cells[:-1], effort.rounds, effort.budget_s)
    rows += interleave(cells[-1:], 1)
    return Report("scaling", ABOUT, rows, _targets(*rows))


def _targets(standard: Row, first: Row, *larger: Row) -> list[Target]:
    wall = standard.values["wall_s"]
    targets = [
        Target(
            "standard map in virtual time", wall, 1.0, False, "s", reason=_SHARED_REASON
        )
    ]
    for row in larger:
        name = row.labels["client"]
        cost = Ratio.of(row.values["us_per_reading"], first.values["us_per_reading"])
        linear = f"cost a reading, {name} / {first.labels['client']}"
        targets.append(Target(linear, cost, 1.2, False, reason=_SHARED_REASON))
        if "grown_mb" in row.values:
            grown = row.values["grown_mb"]
            targets.append(Target(f"memory grown, {name}", grown, 100, False, "MB"))
    return targets


def _fly_dense(readings: int) -> Figures:
    """Fly about so many readings."""
    way_mm = readings / _READINGS_HZ * _SPEED_MM_PER_S
    lines = max(2, -(-int(way_mm) // int(_LONGEST_MM)))
    spec = shuttle(way_mm / lines, _SPEED_MM_PER_S, n_x=lines)
    return _fly(_DENSE, spec, **_CONVERTER)


def _fly(settings: SimulationSettings, spec: FlyScanSpec, **converter: Any) -> Figures:
    watching = _Watching()
    before = time.perf_counter()
    results = fly_virtually(settings, spec, watching, **converter)
    wall_s = time.perf_counter() - before
    figures = {
        "wall_s": wall_s,
        "readings": float(watching.readings),
        "us_per_reading": wall_s / max(watching.readings, 1) * 1e6,
        "us_per_exchange": wall_s / max(results.n_readings + results.n_fixes, 1) * 1e6,
        "grown_mb": watching.peak_mb - watching.first_mb,
        "lost": float(sum(results.n_lost.values())),
    }
    return {name: value for name, value in figures.items() if not math.isnan(value)}
