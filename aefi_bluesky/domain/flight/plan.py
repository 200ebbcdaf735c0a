"""The lines and frames a scan spec compiles to, in the order they are flown."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.fly_spec import AxisName, FlyScanSpec

_AXES: tuple[AxisName, AxisName] = ("x", "y")
_ARRAYS = {
    **dict.fromkeys(("frame_x_mm", "frame_y_mm"), np.float64),
    **dict.fromkeys(("frame_ix", "frame_iy"), np.int64),
}
_NUMBERS = (
    "speed_mm_per_s",
    "positioning_speed_mm_per_s",
    "start_speed_mm_per_s",
    "ramp_s",
    "duration_s",
    "duration_error_s",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One traverse of the fast axis: run-up, window, run-down.

    Parameters
    ----------
    index
        Place in the order of flight, from 0.
    slow_mm
        Where the slow axis is sent, to rest during the line, in mm; the step next to
        it where that is outside the travel by less than half a step.
    start_mm, end_mm
        Where the fast axis rests before the run-up and after the run-down, in mm: the
        places of whole steps.
    window_start_mm, window_stop_mm
        The ends of the window in the order they are passed, in mm; half a pitch
        outside the first and the last frame's centre.
    first_frame
        Identifier of the first frame passed.
    n_frames
        Frames in the window; identifiers follow each other in the order passed.
    muted
        Whether the excitation is off while it is flown.
    """

    index: int
    slow_mm: float
    start_mm: float
    window_start_mm: float
    window_stop_mm: float
    end_mm: float
    first_frame: int
    n_frames: int
    muted: bool = False

    def __post_init__(self) -> None:
        for name in _PLACES:
            object.__setattr__(self, name, float(getattr(self, name)))


_PLACES = ("slow_mm", "start_mm", "window_start_mm", "window_stop_mm", "end_mm")


@dataclass(frozen=True, slots=True, eq=False)
class FlightPlan:
    """What the engine flies: lines in order, frames numbered in order of flight.

    Parameters
    ----------
    spec
        The spec this plan was compiled from.
    fast_axis, slow_axis
        ``"x"`` or ``"y"``, different from each other.
    speed_mm_per_s
        Speed in the windows, in mm/s.
    positioning_speed_mm_per_s
        Speed between lines, in mm/s.
    start_speed_mm_per_s
        Start and stop speed of every ramp, in mm/s.
    ramp_s
        Duration of a ramp, in seconds.
    lines
        In the order of flight.
    frame_x_mm, frame_y_mm
        Nominal centres, exact grid values, in mm; shape (n_frames,).
    frame_ix, frame_iy
        Grid indices of each frame; shape (n_frames,). Repeated and muted frames have
        the same.
    duration_s
        Estimated duration of the flight, one pass, in seconds.
    duration_error_s
        By how much it may differ, in seconds; most of it where the stage rests
        before is not known.
    """

    spec: FlyScanSpec
    fast_axis: AxisName
    slow_axis: AxisName
    speed_mm_per_s: float
    positioning_speed_mm_per_s: float
    start_speed_mm_per_s: float
    ramp_s: float
    lines: tuple[Line, ...]
    frame_x_mm: npt.NDArray[np.float64]
    frame_y_mm: npt.NDArray[np.float64]
    frame_ix: npt.NDArray[np.int64]
    frame_iy: npt.NDArray[np.int64]
    duration_s: float
    duration_error_s: float

    def __post_init__(self) -> None:
        # A plan is what its digest says, whether somebody wrote 610 or 610.0.
        for name in _NUMBERS:
            object.__setattr__(self, name, float(getattr(self, name)))
        for name, kind in _ARRAYS.items():
            array = np.asarray(getattr(self, name), dtype=kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_frames(self) -> int:
        """Frames planned."""
        return len(self.frame_x_mm)

    @property
    def frame_muted(self) -> npt.NDArray[np.bool_]:
        """Whether each frame is of a muted line; shape (n_frames,)."""
        muted = np.array([line.muted for line in self.lines], dtype=np.bool_)
        return np.repeat(muted, [line.n_frames for line in self.lines])

    @property
    def digest(self) -> str:
        """SHA-256 over everything that is flown, as hexadecimal text."""
        sha, spec = hashlib.sha256(), self.spec
        sha.update(
            repr(
                (
                    self.fast_axis,
                    self.speed_mm_per_s,
                    self.positioning_speed_mm_per_s,
                    self.start_speed_mm_per_s,
                    self.ramp_s,
                    self.lines,
                    (spec.n_avg, spec.min_readings_per_frame, spec.gap_fill_passes),
                    (spec.trigger, spec.excitation),
                )
            ).encode()
        )
        sha.update(self.frame_x_mm.tobytes())
        sha.update(self.frame_y_mm.tobytes())
        return sha.hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as plain JSON values, with its digest.

        Short, whatever the number of frames: the axes' values stand once, and grid
        indices as runs.
        """
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _ARRAYS
        }
        plain["spec"] = self.spec.to_plain()
        plain["lines"] = [dataclasses.astuple(line) for line in self.lines]
        for axis in _AXES:
            places, indices = self._along(axis)
            values = np.zeros(self.spec.count_along(axis))
            values[indices] = places
            plain[f"{axis}_mm"] = values.tolist()
            plain[f"frame_i{axis}"] = _runs(indices)
        return {**plain, "digest": self.digest}

    def _along(
        self, axis: AxisName
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        if axis == "x":
            return self.frame_x_mm, self.frame_ix
        return self.frame_y_mm, self.frame_iy

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the plan that `to_plain` made plain.

        Raises
        ------
        InvalidScanSpecError
            If its spec is wrong, or its digest is another one.
        """
        values = {name: plain[name] for name in plain if name != "digest"}
        values["spec"] = FlyScanSpec.from_plain(plain["spec"])
        values["lines"] = tuple(Line(*line) for line in plain["lines"])
        for axis in _AXES:
            indices = _unrolled(plain[f"frame_i{axis}"])
            places = np.array(values.pop(f"{axis}_mm"), dtype=np.float64)
            values[f"frame_{axis}_mm"] = places[indices]
            values[f"frame_i{axis}"] = indices
        plan = cls(**values)
        if plan.digest != plain["digest"]:
            raise InvalidScanSpecError(
                f"flight plan has digest {plan.digest}, {plain['digest']} was expected"
            )
        return plan


def _runs(values: npt.NDArray[np.int64]) -> list[list[int]]:
    """Return first value, step and length of the progressions that values are."""
    runs: list[list[int]] = []
    for value in values.tolist():
        if runs:
            first, step, length = runs[-1]
            if length == 1:
                runs[-1] = [first, value - first, 2]
                continue
            if value == first + step * length:
                runs[-1][2] += 1
                continue
        runs.append([value, 0, 1])
    return runs


def _unrolled(runs: list[list[int]]) -> npt.NDArray[np.int64]:
    """Return the values that `_runs` was given."""
    parts = [first + step * np.arange(length) for first, step, length in runs]
    return np.concatenate(parts).astype(np.int64)
