"""Values of frames as an image of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.spec.grid import Grid


class Pixels(Protocol):
    """Which pixel each frame belongs to: a flight plan, or what is like one."""

    @property
    def spec(self) -> Grid:
        """The grid."""
        ...

    @property
    def frame_ix(self) -> npt.NDArray[np.int64]:
        """Index of each frame along x."""
        ...

    @property
    def frame_iy(self) -> npt.NDArray[np.int64]:
        """Index of each frame along y."""
        ...

    @property
    def frame_muted(self) -> npt.NDArray[np.bool_]:
        """Whether the excitation is muted in each frame."""
        ...


def map_image(
    plan: Pixels,
    frames: Sequence[int] | npt.NDArray[np.int64],
    values: Sequence[float] | npt.NDArray[np.float64],
    *,
    muted: bool = False,
    total: bool = False,
) -> npt.NDArray[np.float64]:
    """Return the mean of each pixel over its frames.

    Parameters
    ----------
    plan
        What was flown.
    frames, values
        Identifiers of frames, and a value of each.
    muted
        Whether to take muted frames; the driven ones unless told.
    total
        Return the sum instead: of what counts.

    Returns
    -------
    numpy.ndarray
        Shape (n_y, n_x); NaN where a pixel has no frame.
    """
    at = np.asarray(frames, dtype=np.int64)
    wanted = plan.frame_muted[at] == muted
    at, taken = at[wanted], np.asarray(values, dtype=np.float64)[wanted]
    pixels = plan.frame_iy[at], plan.frame_ix[at]
    sums = np.zeros((plan.spec.n_y, plan.spec.n_x))
    count = np.zeros_like(sums)
    np.add.at(sums, pixels, taken)
    np.add.at(count, pixels, 1)
    shares = np.ones_like(count) if total else count
    return np.divide(sums, shares, out=np.full_like(sums, np.nan), where=count > 0)
