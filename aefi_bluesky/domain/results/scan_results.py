"""What comes out of a flight: chunks while it flies, results at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy.typing as npt

CHANNELS = ("x_I", "x_Q", "y_I", "y_Q", "z_I", "z_Q")
"""The six voltages of a reading, in the order of the detector's channels 1 to 6."""


class FrameState(StrEnum):
    """The one final state of a planned frame."""

    OK = "ok"
    LATE = "late"
    MISSED = "missed"
    DUPLICATE = "duplicate"
    OUT_OF_WINDOW = "out-of-window"
    ABORTED = "aborted"
    NOT_REACHED = "not-reached"


FRAME_STATES = tuple(FrameState)
"""Frame states by their code in `FrameChunk.state`: the index is the code."""


STOP_KINDS = ("stops", "aborts", "drives_off")
"""What a stage can be stopped by, weakest first; each follows if the one before is not
obeyed."""


class ScanState(StrEnum):
    """Where a flight stands; the last four are final."""

    PREPARING = "preparing"
    FLYING = "flying"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in (
            ScanState.COMPLETED,
            ScanState.STOPPED,
            ScanState.ABORTED,
            ScanState.FAILED,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some records of one kind as named columns.

    Parameters
    ----------
    data
        Column name to array; all arrays have the same length.
    """

    data: Mapping[str, npt.NDArray[Any]]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.data.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        for column in self.data.values():
            column.setflags(write=False)

    def __len__(self) -> int:
        return len(next(iter(self.data.values()), ()))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.data[name]


class FrameChunk(Chunk):
    """Frames that ended.

    Columns: ``frame`` (identifier), ``line``, ``pass``, ``state`` (code, see
    `FRAME_STATES`), ``x_nominal``, ``y_nominal`` (planned centre, mm), ``x``,
    ``y``, ``x_lo``, ``x_hi``, ``y_lo``, ``y_hi`` (estimated position and guaranteed
    interval in mm, NaN without readings), ``t`` (s since the flight's start),
    ``late`` (s, how late the latest reading was that was due in it), ``count`` and,
    for each channel, mean and standard deviation in V: ``x_I`` … ``z_Q``,
    ``x_I_std`` … ``z_Q_std``.
    """

    __slots__ = ()


class ReadingChunk(Chunk):
    """Readings: ``t_start``, ``t_end`` (ns since the flight's start), ``x``, ``y``,
    ``x_lo``, ``x_hi``, ``y_lo``, ``y_hi`` (mm), ``code_1`` … ``code_8`` (raw),
    ``frame`` (identifier of the frame it counts in, -1 for none), ``flags`` (a sum of
    1: no place, 2: its interval is wider than a frame, 4: a voltage at an end of the
    range).
    """  # noqa: D205

    __slots__ = ()


class FixChunk(Chunk):
    """Position replies: ``t_sent``, ``t_received`` (ns since the flight's start),
    ``axis`` (0 x, 1 y), ``counts`` (steps), ``flags`` (1: known much worse than is
    usual, not interpolated from; not used at all: 2: impossible, 4: latched by a
    foreign edge, 8: contradicted by those around).
    """  # noqa: D205

    __slots__ = ()


class LineChunk(Chunk):
    """Lines flown: ``line``, ``pass``, ``slow`` (mm), ``t_start``, ``t_end`` (s),
    ``run_up``, ``window``, ``run_down``, ``turnaround`` (s; they sum to the time since
    the line before ended), ``link``, ``host`` (s; the same time, spent in exchanges and
    between them), ``n_ok``,
    ``n_not_ok``, ``n_readings``, ``n_fixes``, ``reading_rate``, ``fix_rate``,
    ``loop_rate`` (Hz), ``period_p50``, ``period_p99``, ``period_max`` (ms).
    """  # noqa: D205

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a flight is.

    Parameters
    ----------
    state
        Where the flight stands.
    lines_done, lines_planned
        Lines flown and lines in the plan.
    frames_done, frames_planned
        Frames in a final state and frames in the plan.
    elapsed_s
        Bench time since the flight's start, in seconds.
    x_mm, y_mm
        Where the axes are expected to be by now, in mm, for a display: a causal
        estimate without an interval; NaN before the first position reply.
    """

    state: ScanState
    lines_done: int
    lines_planned: int
    frames_done: int
    frames_planned: int
    elapsed_s: float
    x_mm: float = math.nan
    y_mm: float = math.nan


@dataclass(frozen=True, slots=True)
class ScanResults:
    """How a flight ended.

    Parameters
    ----------
    state
        A final state.
    cause
        Why it ended there, in one sentence; empty after completion.
    frames
        Number of frames in each ledger state; the sum is the number planned.
    n_readings, n_fixes
        Records taken.
    n_lost
        Records lost to a full ring, by kind; all zero in a healthy flight.
    lost_spans
        For each kind that lost some: the first and the last of them, counted from 0 in
        the order they were taken.
    flight_s
        Bench time of the flight, in seconds.
    position_suspect
        Whether steps may have been lost, by a stop without a ramp or whatever else
        the flight ended by: reference the axes before the next scan.
    stops_sent
        How often each of `STOP_KINDS` was sent to the stage.
    excitation_off
        Whether the excitation is known to be off.
    anomalies
        What the links did wrong and the flight survived, counted by kind.
    times_s
        Quantiles of each link's round trips and periods, and the time it was busy,
        by name, in seconds.
    latch
        Where in its turnaround the stage controller latches its counters, 0 for its
        beginning and 1 for its end, and the standard error of that; NaN if not known.
    realtime
        What became of each setting that the system is asked for, by its name:
        ``applied``, ``not asked``, or why not.
    realtime_refused
        The settings that were asked for in vain, with the reasons; empty if none.
    """

    state: ScanState
    cause: str
    frames: Mapping[FrameState, int]
    n_readings: int
    n_fixes: int
    n_lost: Mapping[str, int]
    flight_s: float
    position_suspect: bool
    excitation_off: bool = False
    lost_spans: Mapping[str, tuple[int, int]] = field(
        default_factory=dict[str, tuple[int, int]]
    )
    stops_sent: Mapping[str, int] = field(default_factory=dict[str, int])
    anomalies: Mapping[str, int] = field(default_factory=dict[str, int])
    times_s: Mapping[str, float] = field(default_factory=dict[str, float])
    latch: tuple[float, float] = (math.nan, math.nan)
    realtime: Mapping[str, str] = field(default_factory=dict[str, str])
    realtime_refused: str = ""
