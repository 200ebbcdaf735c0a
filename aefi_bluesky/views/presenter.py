"""What a window shows of scans, without a window: maps, trace, health, progress.

Numbers only. Whoever draws asks for a `Snapshot` as often as it likes; whoever measures
hands in chunks, on its own thread.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.map_image import Pixels
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FixChunk,
    FrameChunk,
    FrameState,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)

Image = npt.NDArray[np.float64]

COMPONENTS = ("x", "y", "z")
"""Components of the field."""


def amplitude(in_phase: Image, quadrature: Image) -> Image:
    """Return the amplitude of a component, in V."""
    return np.hypot(in_phase, quadrature)


def phase_deg(in_phase: Image, quadrature: Image) -> Image:
    """Return the phase of a component against the excitation, in degrees."""
    return np.degrees(np.arctan2(quadrature, in_phase))


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The frames of one line, in the order of the fast axis.

    Parameters
    ----------
    along_mm
        Where they are along the fast axis, in mm; shape (n,).
    volts
        The voltages by channel, in V; shape (n,) each.
    """

    along_mm: npt.NDArray[np.float64]
    volts: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Health:
    """How well a flight goes.

    Parameters
    ----------
    reading_rate_hz, fix_rate_hz
        Readings and position fixes a second in the last line; NaN before the first.
    interval_mm
        Median width of the interval of the positions along the fast axis in the last
        line, in mm; NaN before the first.
    frames
        Frames by state.
    """

    reading_rate_hz: float = math.nan
    fix_rate_hz: float = math.nan
    interval_mm: float = math.nan
    frames: Mapping[FrameState, int] = field(default_factory=dict[FrameState, int])


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that is shown at one moment.

    Parameters
    ----------
    version
        Grows with each change: who has drawn this one need not draw it again.
    plan
        What is flown; None before the first flight.
    state
        Where the flight stands; None before the first one.
    images, muted
        Mean of each pixel by channel, in V, shape (n_y, n_x), NaN where nothing was
        measured. The muted ones are empty where no frame is muted.
    counts
        Frames in the mean of each pixel, shape (n_y, n_x).
    trace
        The last line; None before the first.
    health
        How well it goes.
    time_left_s
        Of the plan, by the lines that are left; NaN before the first flight.
    results
        The outcome; None before the end.
    """

    version: int
    plan: FlightPlan | None
    state: ScanState | None
    images: Mapping[str, Image]
    muted: Mapping[str, Image]
    counts: npt.NDArray[np.int64]
    trace: Trace | None
    health: Health
    time_left_s: float
    results: ScanResults | None

    def image(self, name: str, *, muted: bool = False) -> Image:
        """Return what is called `name`.

        Parameters
        ----------
        name
            A channel, or ``amplitude x``, ``phase x`` and the like.
        muted
            Whether the muted frames are meant.
        """
        images = self.muted if muted else self.images
        kind, _, component = name.partition(" ")
        if not component:
            return images[name]
        parts = images[f"{component}_I"], images[f"{component}_Q"]
        return {"amplitude": amplitude, "phase": phase_deg}[kind](*parts)


SHOWN = (
    *CHANNELS,
    *(f"amplitude {component}" for component in COMPONENTS),
    *(f"phase {component}" for component in COMPONENTS),
)
"""What `Snapshot.image` takes."""


class _Sums:
    """Running sums of the pixels of one map."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self._shape = pixels.spec.n_y, pixels.spec.n_x
        self._sums = {channel: np.zeros(self._shape) for channel in CHANNELS}
        self.counts = np.zeros(self._shape, dtype=np.int64)

    def add(self, frames: FrameChunk, wanted: npt.NDArray[np.bool_]) -> None:
        of = frames["frame"][wanted]
        at = self._pixels.frame_iy[of], self._pixels.frame_ix[of]
        np.add.at(self.counts, at, 1)
        for channel, sums in self._sums.items():
            np.add.at(sums, at, frames[channel][wanted])

    def means(self) -> dict[str, Image]:
        known = self.counts > 0
        nothing = np.full(self._shape, np.nan)
        return {
            channel: np.divide(sums, self.counts, out=nothing.copy(), where=known)
            for channel, sums in self._sums.items()
        }


class Presenter:
    """A `ScanObserver` from which a window takes what it shows, when it likes.

    Frames that are repeated or flown again are averaged, as in ``maps``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._plan: FlightPlan | None = None
        self._forget()

    def _forget(self) -> None:
        self._state: ScanState | None = None
        self._results: ScanResults | None = None
        self._driven: _Sums | None = None
        self._muted: _Sums | None = None
        self._frames: Counter[FrameState] = Counter()
        self._line: list[FrameChunk] = []
        self._trace: Trace | None = None
        self._rates = (math.nan, math.nan)
        self._interval_mm = math.nan
        self._lines_done = 0

    def snapshot(self) -> Snapshot:
        """Return what is to be shown now."""
        with self._lock:
            driven, muted = self._driven, self._muted
            reading_rate_hz, fix_rate_hz = self._rates
            return Snapshot(
                version=self._version,
                plan=self._plan,
                state=self._state,
                images={} if driven is None else driven.means(),
                muted={} if muted is None else muted.means(),
                counts=np.zeros((0, 0), np.int64)
                if driven is None
                else driven.counts.copy(),
                trace=self._trace,
                health=Health(
                    reading_rate_hz, fix_rate_hz, self._interval_mm, dict(self._frames)
                ),
                time_left_s=self._time_left_s(),
                results=self._results,
            )

    def _time_left_s(self) -> float:
        if self._plan is None:
            return math.nan
        if self._results is not None:
            return 0.0
        planned = len(self._plan.lines)
        left = max(planned - self._lines_done, 0)
        return self._plan.duration_s * left / planned

    # -- what a flight tells -----------------------------------------------------

    def flight_started(self, plan: FlightPlan) -> None:
        """Show an empty map of what is about to be flown."""
        with self._lock:
            self._forget()
            self._plan = plan
            self._driven = _Sums(plan)
            self._muted = _Sums(plan) if plan.frame_muted.any() else None
            self._version += 1

    def state_changed(self, state: ScanState) -> None:
        """Show the state."""
        with self._lock:
            self._state = state
            self._version += 1

    def frames_ended(self, frames: FrameChunk) -> None:
        """Add frames that are ok to their pixels."""
        plan = self._plan
        if plan is None:
            return
        is_ok = frames["state"] == FRAME_STATES.index(FrameState.OK)
        with self._lock:
            states, counts = np.unique(frames["state"], return_counts=True)
            for state, count in zip(states, counts, strict=True):
                self._frames[FRAME_STATES[state]] += int(count)
            for sums, is_muted in ((self._driven, False), (self._muted, True)):
                wanted = is_ok & (plan.frame_muted[frames["frame"]] == is_muted)
                if sums is not None and wanted.any():
                    sums.add(frames, wanted)
            self._line.append(frames)
            self._version += 1

    def lines_ended(self, lines: LineChunk) -> None:
        """Show the last line by itself, and how well it went."""
        plan = self._plan
        if plan is None or not len(lines):
            return
        with self._lock:
            self._take_line(plan, int(lines["line"][-1]))
            self._rates = (
                float(lines["reading_rate"][-1]),
                float(lines["fix_rate"][-1]),
            )
            self._lines_done += int(np.count_nonzero(lines["pass"] == 0))
            self._version += 1

    def _take_line(self, plan: FlightPlan, line: int) -> None:
        chunks, self._line = self._line, []
        rows = _rows_of(chunks, line)
        if rows is None:
            return
        fast = plan.fast_axis
        order = np.argsort(rows[fast], kind="stable")
        self._trace = Trace(
            rows[fast][order], {channel: rows[channel][order] for channel in CHANNELS}
        )
        self._interval_mm = float(np.median(rows[f"{fast}_hi"] - rows[f"{fast}_lo"]))

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Show nothing: frames are what is shown."""

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Show nothing: the lines tell the rate."""

    def flight_ended(self, results: ScanResults) -> None:
        """Show the outcome."""
        with self._lock:
            self._results = results
            self._state = results.state
            self._frames = Counter(results.frames)
            self._version += 1


def _rows_of(chunks: list[FrameChunk], line: int) -> dict[str, npt.NDArray[Any]] | None:
    """Return the frames of a line that are ok as columns; None if there is none."""
    ok = FRAME_STATES.index(FrameState.OK)
    wanted = [(chunk["line"] == line) & (chunk["state"] == ok) for chunk in chunks]
    if not any(each.any() for each in wanted):
        return None
    return {
        name: np.concatenate(
            [chunk[name][each] for chunk, each in zip(chunks, wanted, strict=True)]
        )
        for name in chunks[0].data
    }
