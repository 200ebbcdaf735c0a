"""How well the voltages of a flown map are known. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.checks import require_number

Image = npt.NDArray[np.float64]

COVERAGE = 2
"""Standard deviations that are stated: 95 % of a normal distribution."""


def voltage_uncertainty(
    voltages_v: Image,
    counts: Image,
    half_widths_mm: Image,
    pitch_mm: float,
    noise_v: float,
    *,
    along: int,
    drift_v: float = 0.0,
    at_rest: bool = False,
) -> Image:
    """Return the expanded uncertainty of a map's voltages, for 95 % of the pixels.

    The sum of noise and of bounds, which are no noise and do not average out:

    - noise: two standard deviations of a reading, by the root of the readings;
    - place: the slope along the line, times half the width of the interval that holds
      the position;
    - frame: a frame shows the mean over its width, not the middle; for a curve that
      is its second derivative times the pitch squared by 24;
    - drift: how far the voltages moved, by themselves, between what is compared.

    A lag that was not corrected is not in it.

    Parameters
    ----------
    voltages_v
        The map, in V; shape (n_y, n_x).
    counts
        Readings in each pixel; same shape.
    half_widths_mm
        Half the width of each pixel's interval along the line, in mm; same shape.
    pitch_mm
        Distance of neighbouring pixels along the line, in mm.
    noise_v
        Standard deviation of a reading, in V.
    along
        Index of the axis of the lines: 0 if they go along y, 1 along x.
    drift_v
        Drift until whatever the map is compared with, in V: what one place shows
        before and after (`measure_point`).
    at_rest
        Whether each pixel was measured at rest: it then shows its middle.

    Returns
    -------
    numpy.ndarray
        In V, same shape; NaN where there is no reading.

    Raises
    ------
    InvalidScanSpecError
        If a number is no noise or no pitch.
    """
    require_number("noise of a reading", noise_v, "V", 0, 10)
    require_number("drift", drift_v, "V", 0, 10)
    require_number("pitch", pitch_mm, "mm", 1e-6, 1e6)
    slope = np.gradient(_without_holes(voltages_v, along), pitch_mm, axis=along)
    bend = np.gradient(slope, pitch_mm, axis=along)
    measured = np.where(counts > 0, counts, np.nan)
    noise = COVERAGE * noise_v / np.sqrt(measured)
    place = np.abs(slope) * half_widths_mm
    frame = np.zeros_like(bend) if at_rest else np.abs(bend) * pitch_mm**2 / 24
    return noise + place + frame + drift_v


def _without_holes(image: Image, along: int) -> Image:
    """Return an image whose missing pixels lie on a line between their neighbours."""

    def fill(line: Image) -> Image:
        known = np.isfinite(line)
        places = np.arange(len(line))
        return np.interp(places, places[known], line[known]) if known.any() else line

    return np.apply_along_axis(fill, along, image)
