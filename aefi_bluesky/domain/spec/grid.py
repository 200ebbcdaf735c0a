"""Frames on a regular grid, and the order in which they are visited."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.checks import keep_count
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import Reader, member_of, require_member
from aefi_bluesky.domain.spec.zone import MOST_FRAMES, OTHER_AXIS, AxisName, Zone


class Pattern(StrEnum):
    """The order and direction in which lines are visited."""

    SERPENTINE = "serpentine"
    """Even lines ascend, odd ones descend."""
    RASTER = "raster"
    """All lines ascend."""
    COMB = "comb"
    """`RASTER` with fast axis y, whatever axis is given."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Frames in lines: what all maps are.

    Parameters
    ----------
    zone
        Centres of the outer frames, in mm.
    n_x, n_y
        Frames along each axis; ten million in all.
    pattern
        Order and direction of the lines.
    fast_axis
        The axis that moves in the lines; `COMB` always takes y.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type, is out of range, or makes no grid.
    """

    zone: Zone
    n_x: int
    n_y: int
    pattern: Pattern
    fast_axis: AxisName

    def __post_init__(self) -> None:
        require_member("zone", Zone, self.zone)
        require_member("pattern", Pattern, self.pattern)
        keep_count(self, "n_x", "frames along x", 1, MOST_FRAMES)
        keep_count(self, "n_y", "frames along y", 1, MOST_FRAMES)
        if self.n_x * self.n_y > MOST_FRAMES:
            raise InvalidScanSpecError(
                f"a map has at most {MOST_FRAMES} frames, was {self.n_x * self.n_y} "
                f"({self.n_x} along x by {self.n_y} along y)"
            )
        if self.fast_axis not in ("x", "y"):
            raise InvalidScanSpecError(
                f"fast axis must be 'x' or 'y', was {self.fast_axis!r}"
            )
        for axis in ("x", "y"):
            low, high = self.zone.along(axis)
            count = self.count_along(axis)
            if low == high and count > 1:
                raise InvalidScanSpecError(
                    f"{count} frames along {axis} need {axis} min below {axis} max, "
                    f"both were {low:g} mm"
                )

    @property
    def effective_fast_axis(self) -> AxisName:
        """The axis that really moves in the lines."""
        return "y" if self.pattern is Pattern.COMB else self.fast_axis

    @property
    def slow_axis(self) -> AxisName:
        """The axis that rests in the lines."""
        return OTHER_AXIS[self.effective_fast_axis]

    def count_along(self, axis: AxisName) -> int:
        """Return the number of frames along `axis`."""
        return self.n_x if axis == "x" else self.n_y

    def pitch_mm(self, axis: AxisName) -> float:
        """Return the distance of neighbours along `axis` in mm; zero for one frame."""
        low, high = self.zone.along(axis)
        count = self.count_along(axis)
        return (high - low) / (count - 1) if count > 1 else 0.0

    def centres_mm(self, axis: AxisName) -> npt.NDArray[np.float64]:
        """Return the frames' centres along `axis`, ascending, in mm."""
        low, high = self.zone.along(axis)
        count = self.count_along(axis)
        # linspace hits both ends exactly; a single frame lies at the minimum.
        return np.linspace(low, high, count) if count > 1 else np.array([low])


GRID_READERS: dict[str, Reader] = {
    "zone": Zone.from_plain,
    "pattern": member_of("pattern", Pattern),
}
"""What makes a grid's fields of plain values."""


@dataclass(frozen=True, slots=True)
class Traverse:
    """One line of a grid as it is visited.

    Parameters
    ----------
    index
        Place in the order of visits, from 0.
    row
        Index of the line's centre along the slow axis.
    descends
        Whether the fast axis goes down.
    muted
        Whether the excitation is muted.
    """

    index: int
    row: int
    descends: bool
    muted: bool


def traverses(
    grid: Grid, repeats: int = 1, *, differential: bool = False
) -> Iterator[Traverse]:
    """Yield the lines of a grid in the order they are visited.

    Parameters
    ----------
    grid
        The frames.
    repeats
        How often each line is visited before the slow axis goes on.
    differential
        Whether each of these visits is two: driven, then muted.
    """
    rows = range(grid.count_along(grid.slow_axis))
    muted = (False, True) if differential else (False,)
    for index, (row, _, is_muted) in enumerate(
        itertools.product(rows, range(repeats), muted)
    ):
        descends = grid.pattern is Pattern.SERPENTINE and index % 2 == 1
        yield Traverse(index, row, descends, is_muted)


def frame_indices(
    grid: Grid, order: Sequence[Traverse]
) -> dict[AxisName, npt.NDArray[np.int64]]:
    """Return the grid indices of all frames in the order of visits, by axis."""
    n_fast = grid.count_along(grid.effective_fast_axis)
    along = np.tile(np.arange(n_fast, dtype=np.int64), (len(order), 1))
    back = np.array([line.descends for line in order], dtype=np.bool_)
    along[back] = along[back, ::-1]
    rows = np.array([line.row for line in order], dtype=np.int64)
    return {
        grid.effective_fast_axis: along.ravel(),
        grid.slow_axis: np.repeat(rows, n_fast),
    }
