"""What one line of a flight produces, made up: the same plan gives the same chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.flight.plan import FlightPlan, Line
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FixChunk,
    FrameChunk,
    FrameState,
    LineChunk,
    ReadingChunk,
)
from aefi_bluesky.domain.results.voltage import volts_per_code

VREF_V, GAIN = 2.442, 1
"""Constants of the made-up detector."""
MM_PER_STEP = 0.0218
"""Way of a step of the made-up axes, in mm."""
HALF_INTERVAL_MM = 0.05
"""Half of the guaranteed interval of a made-up position, in mm."""
TURNAROUND_S = 0.25
"""Made-up time between two lines, in s."""
UNUSED_CODE = -875_500
"""What channels 7 and 8 of the bench read."""

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class FakeLine:
    """One line as it was flown.

    Parameters
    ----------
    plan
        The plan it belongs to.
    line
        The line.
    began_s
        When the fast axis was sent off, in s since the flight's start.
    turnaround_s
        Time since the line before, in s.
    """

    plan: FlightPlan
    line: Line
    began_s: float
    turnaround_s: float

    @property
    def ended_s(self) -> float:
        """When the fast axis rested, in s since the flight's start."""
        return self._left_s + self._run_s

    @property
    def _run_s(self) -> float:
        way = abs(self.line.window_start_mm - self.line.start_mm)
        return way / self.plan.speed_mm_per_s

    @property
    def _entered_s(self) -> float:
        return self.began_s + self._run_s

    @property
    def _left_s(self) -> float:
        way = abs(self.line.window_stop_mm - self.line.window_start_mm)
        return self._entered_s + way / self.plan.speed_mm_per_s

    @property
    def _frames(self) -> npt.NDArray[np.int64]:
        first = self.line.first_frame
        return np.arange(first, first + self.line.n_frames, dtype=np.int64)

    @property
    def _per_frame(self) -> int:
        return max(2, self.plan.spec.min_readings_per_frame)

    def _instants_s(self, count: int) -> npt.NDArray[np.float64]:
        """Return the middles of `count` equal parts of the window."""
        parts = (np.arange(count) + 0.5) / count
        return self._entered_s + parts * (self._left_s - self._entered_s)

    def _place(self, times_s: npt.NDArray[np.float64]) -> Columns:
        line = self.line
        window = (self._entered_s, self._left_s)
        ends = (line.window_start_mm, line.window_stop_mm)
        at = {
            self.plan.fast_axis: np.interp(times_s, window, ends),
            self.plan.slow_axis: np.full(len(times_s), line.slow_mm),
        }
        columns: Columns = {}
        for axis in ("x", "y"):
            columns[axis] = at[axis]
            columns[f"{axis}_lo"] = at[axis] - HALF_INTERVAL_MM
            columns[f"{axis}_hi"] = at[axis] + HALF_INTERVAL_MM
        return columns

    def _codes(self) -> npt.NDArray[np.int32]:
        """Return made-up codes by reading and channel, 1 to 6."""
        reading = np.arange(self.line.n_frames * self._per_frame)[:, np.newaxis]
        channel = np.arange(1, len(CHANNELS) + 1)
        return (1000 * channel + 10 * self.line.index + reading).astype(np.int32)

    def readings(self) -> ReadingChunk:
        """Return the readings of the window, as many in each frame."""
        count = self.line.n_frames * self._per_frame
        times = self._instants_s(count)
        half = (self._left_s - self._entered_s) / count / 2
        codes = self._codes()
        unused = np.full(count, UNUSED_CODE, dtype=np.int32)
        return ReadingChunk(
            {
                "t_start": _nanoseconds(times - half),
                "t_end": _nanoseconds(times + half),
                **self._place(times),
                **{f"code_{n + 1}": codes[:, n].copy() for n in range(len(CHANNELS))},
                "code_7": unused,
                "code_8": unused.copy(),
                "frame": np.repeat(self._frames, self._per_frame),
                "flags": np.zeros(count, dtype=np.int64),
            }
        )

    def fixes(self) -> FixChunk:
        """Return a position reply of the fast axis for each frame."""
        times = self._instants_s(self.line.n_frames)
        fast = self.plan.fast_axis
        counts = np.rint(self._place(times)[fast] / MM_PER_STEP).astype(np.int64)
        return FixChunk(
            {
                "t_sent": _nanoseconds(times - 1e-3),
                "t_received": _nanoseconds(times + 1e-3),
                "axis": np.full(len(times), int(fast == "y"), dtype=np.int64),
                "counts": counts,
                "flags": np.zeros(len(times), dtype=np.int64),
            }
        )

    def frames(self) -> FrameChunk:
        """Return the line's frames, all ok."""
        frames, count = self._frames, self.line.n_frames
        times = self._instants_s(count)
        columns: Columns = {
            "frame": frames,
            "line": np.full(count, self.line.index, dtype=np.int64),
            "pass": np.zeros(count, dtype=np.int64),
            "state": np.full(count, FRAME_STATES.index(FrameState.OK), dtype=np.int64),
            "x_nominal": self.plan.frame_x_mm[frames],
            "y_nominal": self.plan.frame_y_mm[frames],
            **self._place(times),
            "t": times,
            "late": np.zeros(count),
            "count": np.full(count, self._per_frame, dtype=np.int64),
        }
        volts = self._codes() * volts_per_code(VREF_V, GAIN)
        for number, channel in enumerate(CHANNELS):
            in_frames = volts[:, number].reshape(count, self._per_frame)
            columns[channel] = in_frames.mean(axis=1)
            columns[f"{channel}_std"] = in_frames.std(axis=1, ddof=1)
        return FrameChunk(columns)

    def ended(self) -> LineChunk:
        """Return the line's own row."""
        n_frames, n_readings = self.line.n_frames, self.line.n_frames * self._per_frame
        window_s, whole_s = self._left_s - self._entered_s, self.ended_s - self.began_s
        row: dict[str, float] = {
            "line": self.line.index,
            "pass": 0,
            "slow": self.line.slow_mm,
            "t_start": self.began_s,
            "t_end": self.ended_s,
            "run_up": self._run_s,
            "window": window_s,
            "run_down": self._run_s,
            "turnaround": self.turnaround_s,
            "link": 0.0,
            "host": self.turnaround_s + whole_s,
            "n_ok": n_frames,
            "n_not_ok": 0,
            "n_readings": n_readings,
            "n_fixes": n_frames,
            "reading_rate": n_readings / window_s,
            "fix_rate": n_frames / whole_s,
            "loop_rate": n_frames / whole_s,
            "period_p50": 1e3 * window_s / n_frames,
            "period_p99": 1e3 * window_s / n_frames,
            "period_max": 1e3 * window_s / n_frames,
        }
        return LineChunk({name: np.array([value]) for name, value in row.items()})


def _nanoseconds(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(times_s * 1e9).astype(np.int64)
