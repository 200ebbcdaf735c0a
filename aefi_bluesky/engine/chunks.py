"""The engine's tables in steps and nanoseconds to the domain's chunks in mm and s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
)
from aefi_bluesky.domain.results.voltage import volts_per_code
from aefi_bluesky.engine.native_plan import mm_per_step

Table = Mapping[str, npt.NDArray[Any]]

_NS = 1e-9
_PLACE = ("x", "x_lo", "x_hi", "y", "y_lo", "y_hi")


@dataclass(frozen=True, slots=True)
class Scales:
    """What a step and a code of the bench are worth.

    Parameters
    ----------
    mm_per_step
        Axis to the way of one step, in mm.
    volts_per_code
        Voltage of one code, in V.
    """

    mm_per_step: Mapping[str, float]
    volts_per_code: float

    @classmethod
    def of(cls, bench: BenchDescription) -> Self:
        """Return the scales of `bench`."""
        return cls(
            mm_per_step={"x": mm_per_step(bench, "x"), "y": mm_per_step(bench, "y")},
            volts_per_code=volts_per_code(bench.detector.vref_v, bench.detector.gain),
        )


class ChunkConverter:
    """Converts the tables of one flight.

    Parameters
    ----------
    plan
        The plan that is flown.
    scales
        Those of the bench that flies it.
    """

    def __init__(self, plan: FlightPlan, scales: Scales) -> None:
        self._plan = plan
        self._mm = scales.mm_per_step
        self._volts = scales.volts_per_code

    def _place(self, table: Table) -> dict[str, npt.NDArray[Any]]:
        return {name: table[name] * self._mm[name[0]] for name in _PLACE}

    def positions_mm(self, steps: tuple[float, float]) -> tuple[float, float]:
        """Return positions of x and y."""
        return steps[0] * self._mm["x"], steps[1] * self._mm["y"]

    def fixes(self, table: Table) -> FixChunk:
        """Return position replies."""
        return FixChunk(dict(table))

    def readings(self, table: Table) -> ReadingChunk:
        """Return readings with their places."""
        return ReadingChunk(
            {
                "t_start": table["t_start"],
                "t_end": table["t_end"],
                **self._place(table),
                **{f"code_{n}": table[f"code_{n}"] for n in range(1, 9)},
                "frame": table["frame"],
                "flags": table["flags"],
            }
        )

    def frames(self, table: Table) -> FrameChunk:
        """Return ended frames with their nominal and estimated places."""
        columns = {name: table[name] for name in ("frame", "line", "pass", "state")}
        columns["x_nominal"] = self._plan.frame_x_mm[table["frame"]]
        columns["y_nominal"] = self._plan.frame_y_mm[table["frame"]]
        columns |= self._place(table)
        columns["t"] = table["t"] * _NS
        columns["late"] = table["late"] * _NS
        columns["count"] = table["count"]
        for number, channel in enumerate(CHANNELS, start=1):
            columns[channel] = table[f"mean_{number}"] * self._volts
            columns[f"{channel}_std"] = table[f"std_{number}"] * self._volts
        return FrameChunk(columns)

    @staticmethod
    def _reading_rate(table: Table, window: npt.NDArray[np.float64]) -> Any:
        """Return readings a second; NaN where they or the window are not known.

        In later passes only those count that fall into gaps.
        """
        rate = table["n_readings"] / np.maximum(window, _NS)
        return np.where(table["pass"] == 0, rate, np.nan)

    def lines(self, table: Table) -> LineChunk:
        """Return ended lines with their time budgets and rates."""
        began, entered, left, ended = (
            table[name] * _NS for name in ("began", "entered", "left", "ended")
        )
        duration = np.maximum(ended - began, _NS)
        slow = np.array([line.slow_mm for line in self._plan.lines])
        return LineChunk(
            {
                "line": table["line"],
                "pass": table["pass"],
                "slow": slow[table["line"]],
                "t_start": began,
                "t_end": ended,
                "run_up": entered - began,
                "window": left - entered,
                "run_down": ended - left,
                "turnaround": began - table["turnaround_from"] * _NS,
                "link": table["link"] * _NS,
                "host": ended - (table["turnaround_from"] + table["link"]) * _NS,
                **{
                    name: table[name]
                    for name in ("n_ok", "n_not_ok", "n_readings", "n_fixes")
                },
                "reading_rate": self._reading_rate(table, left - entered),
                "fix_rate": table["n_fixes"] / duration,
                "loop_rate": table["n_exchanges"] / duration,
                "period_p50": table["period_p50"] * 1e-6,
                "period_p99": table["period_p99"] * 1e-6,
                "period_max": table["period_max"] * 1e-6,
            }
        )
