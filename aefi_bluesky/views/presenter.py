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
from aefi_bluesky.domain.results.uncertainty import voltage_uncertainty
from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.domain.spec.step_spec import StepMapSpec
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.step.points import StepPixels

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
    """The last line of a map in the order of its fast axis, or a whole series.

    Parameters
    ----------
    label, unit
        What the frames are spread along: a fast axis in mm, or the number of the
        measurement.
    along
        Where they are along it; shape (n,).
    volts
        The voltages by channel, in V; shape (n,) each.
    """

    label: str
    unit: str
    along: npt.NDArray[np.float64]
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
        What is flown or measured at rest; None before the first.
    state
        Where that stands; None before the first.
    images, muted
        Mean of each pixel by channel, in V, shape (n_y, n_x), NaN where nothing was
        measured. The muted ones are empty where no frame is muted, both where no map
        is measured.
    counts, readings
        Frames in the mean of each pixel, and their readings, shape (n_y, n_x).
    half_widths_mm
        Half the width of the interval of each pixel's position along the fast axis, in
        mm, shape (n_y, n_x).
    noise_v
        Noise of a reading by channel, in V: the median of the frames' standard
        deviations. Channels of which no frame has several readings are left out.
    trace
        The last line; None before the first.
    health
        How well it goes.
    time_left_s
        Of the plan, by the frames that are left; NaN before the first plan.
    results
        The outcome of a flight; None before its end, and at rest.
    """

    version: int
    plan: FlightPlan | StepPlan | None
    state: ScanState | None
    images: Mapping[str, Image]
    muted: Mapping[str, Image]
    counts: npt.NDArray[np.int64]
    readings: Image
    half_widths_mm: Image
    noise_v: Mapping[str, float]
    trace: Trace | None
    health: Health
    time_left_s: float
    results: ScanResults | None

    @property
    def grid(self) -> Grid | None:
        """The grid of the map; None where no map is measured."""
        spec = None if self.plan is None else self.plan.spec
        return spec if isinstance(spec, Grid) else None

    def image(self, name: str, *, muted: bool = False) -> Image:
        """Return what is called `name`.

        Parameters
        ----------
        name
            One of `SHOWN`.
        muted
            Whether the muted frames are meant.

        Raises
        ------
        KeyError
            If nothing is called so.
        """
        images = self.muted if muted else self.images
        kind, _, of = name.rpartition(" ")
        if not kind:
            return images[name]
        if kind == "uncertainty":
            return self._uncertainty(of)
        parts = images[f"{of}_I"], images[f"{of}_Q"]
        return {"amplitude": amplitude, "phase": phase_deg}[kind](*parts)

    def _uncertainty(self, channel: str) -> Image:
        """Return the expanded uncertainty of a channel, in V; NaN where not known."""
        image, grid = self.images[channel], self.grid
        fast = None if grid is None else grid.effective_fast_axis
        if grid is None or fast is None or grid.count_along(fast) < 2:
            return np.full_like(image, np.nan)
        if channel not in self.noise_v:
            return np.full_like(image, np.nan)
        return voltage_uncertainty(
            image,
            self.readings,
            self.half_widths_mm,
            grid.pitch_mm(fast),
            self.noise_v[channel],
            along=0 if fast == "y" else 1,
            at_rest=isinstance(self.plan, StepPlan),
        )


SHOWN = (
    *CHANNELS,
    *(f"amplitude {component}" for component in COMPONENTS),
    *(f"phase {component}" for component in COMPONENTS),
    *(f"uncertainty {channel}" for channel in CHANNELS),
)
"""What `Snapshot.image` takes."""


def unit_of(name: str) -> str:
    """Return the unit of an image."""
    return "deg" if name.startswith("phase") else "V"


class _Sums:
    """Running sums of the pixels of one map."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        shape = pixels.spec.n_y, pixels.spec.n_x
        self._sums = {channel: np.zeros(shape) for channel in CHANNELS}
        self._half_widths_mm = np.zeros(shape)
        self.readings = np.zeros(shape)
        self.counts = np.zeros(shape, dtype=np.int64)

    def add(self, frames: FrameChunk, wanted: npt.NDArray[np.bool_], fast: str) -> None:
        of = frames["frame"][wanted]
        at = self._pixels.frame_iy[of], self._pixels.frame_ix[of]
        half_mm = (frames[f"{fast}_hi"] - frames[f"{fast}_lo"])[wanted] / 2
        np.add.at(self.counts, at, 1)
        np.add.at(self.readings, at, frames["count"][wanted])
        np.add.at(self._half_widths_mm, at, half_mm)
        for channel, sums in self._sums.items():
            np.add.at(sums, at, frames[channel][wanted])

    def _mean(self, sums: Image) -> Image:
        nothing = np.full_like(sums, np.nan)
        return np.divide(sums, self.counts, out=nothing, where=self.counts > 0)

    def means(self) -> dict[str, Image]:
        return {channel: self._mean(sums) for channel, sums in self._sums.items()}

    def half_widths_mm(self) -> Image:
        return self._mean(self._half_widths_mm)


class _Rows:
    """Columns that grow, chunk by chunk; chunks are joined now and then."""

    def __init__(self) -> None:
        self._chunks: list[Mapping[str, npt.NDArray[Any]]] = []

    def add(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._chunks.append(columns)
        if len(self._chunks) > _MOST_CHUNKS:
            self._chunks = [self.columns()]

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        if not self._chunks:
            return {}
        return {
            name: np.concatenate([chunk[name] for chunk in self._chunks])
            for name in self._chunks[0]
        }


_MOST_CHUNKS = 64


class _Noise:
    """The noise of a reading, by the standard deviations of frames."""

    def __init__(self) -> None:
        self._stds = _Rows()
        self._medians_v: dict[str, float] | None = {}

    def add(self, frames: FrameChunk, wanted: npt.NDArray[np.bool_]) -> None:
        several = wanted & (frames["count"] > 1)
        if several.any():
            self._stds.add({c: frames[f"{c}_std"][several] for c in CHANNELS})
            self._medians_v = None

    def median_v(self) -> dict[str, float]:
        if self._medians_v is None:
            stds = self._stds.columns()
            self._medians_v = {c: float(np.median(found)) for c, found in stds.items()}
        return self._medians_v


class Presenter:
    """A `ScanObserver` from which a window takes what it shows, when it likes.

    It takes measurements at rest as well (`RunFollower`). Frames that are repeated or
    flown again are averaged, as in ``maps``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._begin(None, None)

    def _begin(self, plan: FlightPlan | StepPlan | None, pixels: Pixels | None) -> None:
        self._plan = plan
        self._muted_frames = None if pixels is None else pixels.frame_muted
        self._fast = "" if pixels is None else pixels.spec.effective_fast_axis
        self._state: ScanState | None = None
        self._results: ScanResults | None = None
        self._driven = None if pixels is None else _Sums(pixels)
        is_muted = pixels is not None and pixels.frame_muted.any()
        self._muted = _Sums(pixels) if pixels is not None and is_muted else None
        self._noise = _Noise()
        self._frames: Counter[FrameState] = Counter()
        self._done = 0
        self._line = _Rows()
        self._line_is: tuple[int, int] | None = None
        self._rates = (math.nan, math.nan)
        self._version += 1

    def snapshot(self) -> Snapshot:
        """Return what is to be shown now."""
        with self._lock:
            driven, muted = self._driven, self._muted
            trace, interval_mm = self._last_line()
            health = Health(*self._rates, interval_mm, dict(self._frames))
            none = np.zeros((0, 0))
            return Snapshot(
                version=self._version,
                plan=self._plan,
                state=self._state,
                images={} if driven is None else driven.means(),
                muted={} if muted is None else muted.means(),
                counts=none.astype(np.int64)
                if driven is None
                else driven.counts.copy(),
                readings=none if driven is None else driven.readings.copy(),
                half_widths_mm=none if driven is None else driven.half_widths_mm(),
                noise_v=self._noise.median_v(),
                trace=trace,
                health=health,
                time_left_s=self._time_left_s(),
                results=self._results,
            )

    @property
    def version(self) -> int:
        """The version of what `snapshot` would return."""
        return self._version

    def _last_line(self) -> tuple[Trace | None, float]:
        rows = self._line.columns()
        if not rows:
            return None, math.nan
        along, interval_mm = rows["frame"].astype(np.float64), math.nan
        if self._fast:
            along = rows[self._fast]
            interval_mm = float(
                np.median(rows[f"{self._fast}_hi"] - rows[f"{self._fast}_lo"])
            )
        order = np.argsort(along, kind="stable")
        volts = {channel: rows[channel][order] for channel in CHANNELS}
        label, unit = (self._fast, "mm") if self._fast else ("measurement", "")
        return Trace(label, unit, along[order], volts), interval_mm

    def _time_left_s(self) -> float:
        if self._plan is None:
            return math.nan
        if self._state is not None and self._state.is_final:
            return 0.0
        planned = _n_frames(self._plan)
        return self._plan.duration_s * max(planned - self._done, 0) / planned

    # -- what a scan tells --------------------------------------------------------

    def flight_started(self, plan: FlightPlan) -> None:
        """Show an empty map of what is about to be flown."""
        with self._lock:
            self._begin(plan, plan)

    def measurement_started(self, plan: StepPlan) -> None:
        """Show an empty map, or an empty series, of what is measured at rest."""
        spec = plan.spec
        pixels = StepPixels.of(spec) if isinstance(spec, StepMapSpec) else None
        with self._lock:
            self._begin(plan, pixels)

    def state_changed(self, state: ScanState) -> None:
        """Show the state."""
        with self._lock:
            self._state = state
            self._version += 1

    def frames_ended(self, frames: FrameChunk) -> None:
        """Add frames that are ok to their pixels."""
        is_ok = frames["state"] == _OK
        with self._lock:
            states, counts = np.unique(frames["state"], return_counts=True)
            for state, count in zip(states, counts, strict=True):
                self._frames[FRAME_STATES[state]] += int(count)
            self._done += int(np.count_nonzero(frames["pass"] == 0))
            self._add_to_pixels(frames, is_ok)
            self._noise.add(frames, is_ok)
            self._add_to_line(frames, is_ok)
            self._version += 1

    def _add_to_pixels(self, frames: FrameChunk, is_ok: npt.NDArray[np.bool_]) -> None:
        if self._muted_frames is None:
            return
        muted = self._muted_frames[frames["frame"]]
        for sums, wanted in (
            (self._driven, is_ok & ~muted),
            (self._muted, is_ok & muted),
        ):
            if sums is not None and wanted.any():
                sums.add(frames, wanted, self._fast)

    def _add_to_line(self, frames: FrameChunk, is_ok: npt.NDArray[np.bool_]) -> None:
        if not len(frames):
            return
        last = int(frames["line"][-1]), int(frames["pass"][-1])
        if self._line_is != last:
            self._line, self._line_is = _Rows(), last
        wanted = is_ok & (frames["line"] == last[0]) & (frames["pass"] == last[1])
        if wanted.any():
            shown = ("frame", *self._line_columns, *CHANNELS)
            self._line.add({name: frames[name][wanted] for name in shown})

    @property
    def _line_columns(self) -> tuple[str, ...]:
        fast = self._fast
        return (fast, f"{fast}_lo", f"{fast}_hi") if fast else ()

    def lines_ended(self, lines: LineChunk) -> None:
        """Show how well the last line went."""
        if not len(lines):
            return
        with self._lock:
            self._rates = (
                float(lines["reading_rate"][-1]),
                float(lines["fix_rate"][-1]),
            )
            self._version += 1

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


_OK = FRAME_STATES.index(FrameState.OK)


def _n_frames(plan: FlightPlan | StepPlan) -> int:
    return plan.n_frames if isinstance(plan, FlightPlan) else plan.n_measurements
