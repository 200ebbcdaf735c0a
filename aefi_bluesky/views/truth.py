"""What a simulated bench really did, beside what was estimated.

For reports and tests: nothing that flies reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Trajectories and conversions of a simulated bench.

    Parameters
    ----------
    segments
        Axis name to rows (t0 in ns, p0 in steps, v in steps/s, a in steps/s²), in
        the order of time; a segment holds until the next begins.
    conversions
        Rows (start, end) of each reading's integration, in ns; shape (n, 2).
    drives
        Changes of the excitation in the order of time: t in ns, and the largest level
        of a sphere pair from then on, 0 to 1.
    """

    segments: Mapping[str, Floats]
    conversions: npt.NDArray[np.int64]
    drives: tuple[tuple[int, float], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file that the simulated bench writes; a torn end is left out."""
        segments: dict[str, dict[int, tuple[float, ...]]] = {"x": {}, "y": {}}
        conversions: list[list[int]] = []
        drives: list[tuple[int, float]] = []
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if not line.endswith("\n"):
                    break
                entry = json.loads(line)
                if "conversion" in entry:
                    conversions.append(entry["conversion"])
                elif "drive" in entry:
                    first, second = entry["drive"][:2], entry["drive"][2:]
                    level = max(math.hypot(*first), math.hypot(*second))
                    drives.append((entry["t_ns"], level))
                elif "p0" in entry and entry["axis"] in segments:
                    row = (entry["t0_ns"], entry["p0"], entry["v"], entry["a"])
                    segments[entry["axis"]][entry["t0_ns"]] = row
        return cls(
            {
                axis: np.array([rows[t] for t in sorted(rows)], dtype=np.float64)
                for axis, rows in segments.items()
            },
            np.array(conversions, dtype=np.int64).reshape(-1, 2),
            tuple(drives),
        )

    def level_at(self, time_ns: int) -> float:
        """Return the largest level of a sphere pair at a time in ns, 0 to 1."""
        before = [level for at, level in self.drives if at <= time_ns]
        return before[-1] if before else 0.0

    def middles_within(
        self, start_ns: npt.NDArray[np.int64], end_ns: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Return which spans of time hold a conversion, and its middle for these."""
        at = np.searchsorted(self.conversions[:, 0], start_ns)
        is_known = at < len(self.conversions)
        found = self.conversions[np.minimum(at, len(self.conversions) - 1)]
        is_held = is_known & (found[:, 1] <= end_ns)
        return is_held, (found[is_held, 0] + found[is_held, 1]) // 2

    def position_steps(self, axis: str, time_ns: npt.NDArray[np.int64]) -> Floats:
        """Return where an axis was, in steps, at times in ns."""
        rows = self.segments[axis]
        # Times exceed what float64 tells apart in ns: differences are taken in int.
        starts = rows[:, 0].astype(np.int64)
        at = np.maximum(np.searchsorted(starts, time_ns, side="right") - 1, 0)
        seconds = (time_ns - starts[at]) * 1e-9
        position, speed, acceleration = rows[at, 1], rows[at, 2], rows[at, 3]
        return position + speed * seconds + acceleration * seconds**2 / 2


@dataclass(frozen=True, slots=True)
class PositionReport:
    """Estimated positions judged by the truth.

    Parameters
    ----------
    rms_error_um
        Root mean square of estimate minus truth, in um.
    median_interval_um
        Median over readings of the wider one of both axes' intervals, in um.
    inside_fraction
        Share of readings whose true position lies inside the interval.
    n_judged
        Readings that have an estimate and a truth.
    """

    rms_error_um: float
    median_interval_um: float
    inside_fraction: float
    n_judged: int


def judge(
    readings: Mapping[str, npt.NDArray[Any]],
    truth: Truth,
    began_ns: int,
    mm_per_step: Mapping[str, float],
) -> PositionReport:
    """Compare estimated positions of both axes with the truth.

    A reading's truth is where the axis was in the middle of its conversion, the one
    that lies between the reading's request and its reply.

    Parameters
    ----------
    readings
        Columns of `ReadingChunk`.
    truth
        What really happened.
    began_ns
        Start of the flight on the truth's clock, in ns.
    mm_per_step
        Axis name to the way of a step, in mm.
    """
    judged = np.isfinite(readings["x"]) & np.isfinite(readings["y"])
    start, end = (readings[name][judged] + began_ns for name in ("t_start", "t_end"))
    is_held, middle = truth.middles_within(start, end)
    judged[judged] = is_held
    errors, widths, inside = [], [], np.ones(len(middle), dtype=bool)
    for axis, scale in mm_per_step.items():
        position = truth.position_steps(axis, middle) * scale
        low, high = readings[f"{axis}_lo"][judged], readings[f"{axis}_hi"][judged]
        errors.append(readings[axis][judged] - position)
        widths.append(high - low)
        # A nanometre for the rounding of millimetres.
        inside &= (low - 1e-6 <= position) & (position <= high + 1e-6)
    return PositionReport(
        rms_error_um=float(np.sqrt(np.mean(np.concatenate(errors) ** 2)) * 1e3),
        median_interval_um=float(np.median(np.maximum(*widths)) * 1e3),
        inside_fraction=float(np.mean(inside)),
        n_judged=len(middle),
    )
