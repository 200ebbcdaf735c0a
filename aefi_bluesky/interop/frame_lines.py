"""Frames one after the other, as lines of a grid; or what they are instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.grid import Pattern
from aefi_bluesky.domain.spec.zone import OTHER_AXIS, AxisName

Numbers = npt.NDArray[np.float64]

ROUNDING = 1e-6
"""Relative differences that mean the same; of positions relative to the pitch."""

_DIGITS = 9
"""Decimals of positions in mm that are kept: the arithmetic before rounds beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """All frames in their order.

    Parameters
    ----------
    centres, lower, upper
        Positions by axis, in mm.
    duration_s
        What each of them lasts, in s.
    """

    centres: dict[AxisName, Numbers]
    lower: dict[AxisName, Numbers]
    upper: dict[AxisName, Numbers]
    duration_s: float


def moving_axis(frames: Frames) -> AxisName:
    """Return the one axis that moves while a frame is passed.

    Raises
    ------
    InvalidScanSpecError
        If none does, or both do.
    """
    moving: list[AxisName] = [
        axis
        for axis in ("x", "y")
        if bool(np.any(frames.lower[axis] != frames.upper[axis]))
    ]
    if len(moving) == 1:
        return moving[0]
    raise InvalidScanSpecError(
        "only one axis must move in the frames, but both did"
        if moving
        else "no axis moves in the frames: put the Spec into Fly, and give its lines a "
        "length"
    )


@dataclass(frozen=True, slots=True, eq=False)
class FrameLines:
    """The frames as lines of `n_frames` each.

    Parameters
    ----------
    fast_axis
        The axis that moves in them.
    fast_mm, slow_mm
        Centres of the frames, in mm; shape (n_lines, n_frames).
    pitch_mm
        Distance of neighbours, in mm.
    """

    fast_axis: AxisName
    fast_mm: Numbers
    slow_mm: Numbers
    pitch_mm: float

    @classmethod
    def of(cls, frames: Frames, fast: AxisName) -> FrameLines:
        """Cut the frames where a line ends, and check each of them.

        Raises
        ------
        InvalidScanSpecError
            If they are no lines of equal frames.
        """
        lower, upper = frames.lower[fast], frames.upper[fast]
        slow_mm = frames.centres[OTHER_AXIS[fast]]
        widths = np.abs(upper - lower)
        pitch = float(np.median(widths))
        same = _same_within(ROUNDING * pitch)
        _require_all(
            same(widths, pitch),
            f"frames along {fast} must have one width, found {widths.min():g} to "
            f"{widths.max():g} mm",
        )
        turns = np.sign(upper - lower)
        ends = (
            (turns[1:] != turns[:-1])
            | (slow_mm[1:] != slow_mm[:-1])
            | ~same(lower[1:], upper[:-1])
        )
        lengths = np.diff([0, *(np.flatnonzero(ends) + 1).tolist(), len(lower)])
        _require_all(
            lengths == lengths[0],
            f"all lines must have the same number of frames, found {lengths.min()} to "
            f"{lengths.max()}",
        )
        shape = len(lengths), int(lengths[0])
        fast_mm = frames.centres[fast]
        _require_all(
            same(fast_mm, (lower + upper) / 2),
            f"the centre of each frame along {fast} must be the middle of its bounds",
        )
        return cls(fast, fast_mm.reshape(shape), slow_mm.reshape(shape), pitch)

    @property
    def n_frames(self) -> int:
        """Frames in a line."""
        return self.fast_mm.shape[1]

    @property
    def _descends(self) -> npt.NDArray[np.bool_]:
        return self.fast_mm[:, 0] > self.fast_mm[:, -1]

    def fast_ends_mm(self) -> tuple[float, float]:
        """Return where all lines begin and end, in mm, ascending."""
        lows, highs = self.fast_mm.min(axis=1), self.fast_mm.max(axis=1)
        same = _same_within(ROUNDING * self.pitch_mm)
        _require_all(
            same(lows, lows[0]) & same(highs, highs[0]),
            f"all lines must have the same ends along {self.fast_axis}, their lower "
            f"ends were {lows.min():g} to {lows.max():g} mm",
        )
        return self._written(lows[0]), self._written(highs[0])

    def pattern(self) -> Pattern:
        """Return in which directions the lines are flown."""
        descends = self._descends
        if not descends.any():
            return Pattern.RASTER
        if np.array_equal(descends, np.arange(len(descends)) % 2 == 1):
            return Pattern.SERPENTINE
        first = int(np.flatnonzero(descends)[0])
        raise InvalidScanSpecError(
            "all lines must ascend, or every second line must descend; "
            f"{int(descends.sum())} of {len(descends)} descended, the first was line "
            f"{first}"
        )

    def rows(self) -> tuple[list[float], int]:
        """Return the positions of the slow axis in mm, and the lines at each."""
        slow, lines_mm = OTHER_AXIS[self.fast_axis], self.slow_mm[:, 0]
        starts = np.flatnonzero(np.diff(lines_mm, prepend=np.nan) != 0)
        repeats = np.diff([*starts.tolist(), len(lines_mm)])
        _require_all(
            repeats == repeats[0],
            f"each row must be flown the same number of times, found "
            f"{repeats.min()} to {repeats.max()} times",
        )
        rows = lines_mm[starts]
        if len(rows) > 1:
            pitch = (rows[-1] - rows[0]) / (len(rows) - 1)
            even = np.linspace(float(rows[0]), float(rows[-1]), len(rows))
            _require_all(
                (pitch > 0) & _same_within(ROUNDING * abs(pitch))(rows, even),
                f"rows must ascend evenly along {slow}, found "
                f"{', '.join(f'{row:g}' for row in rows[:4])} ... {rows[-1]:g} mm",
            )
        return [self._written(row) for row in rows], int(repeats[0])

    def _written(self, position_mm: float) -> float:
        """Return a position as a person writes it, where that is the same one."""
        exact = float(position_mm)
        written = round(exact, _DIGITS)
        return written if abs(written - exact) <= ROUNDING * self.pitch_mm else exact


def _same_within(tolerance: float) -> Callable[[Any, Any], npt.NDArray[np.bool_]]:
    def same(one: Any, other: Any) -> npt.NDArray[np.bool_]:
        # Large positions are rounded by more than a share of a small pitch.
        return np.abs(one - other) <= tolerance + 4 * np.spacing(np.abs(one))

    return same


def _require_all(good: Any, message: str) -> None:
    if not np.all(good):
        raise InvalidScanSpecError(message)
