"""Nothing may be asked of an axis outside its travel."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.feasibility import Violation
from aefi_bluesky.domain.zone import AxisName


def travel_violations(
    axis: AxisName,
    ends_mm: tuple[float, float],
    bench: BenchDescription,
    *,
    outside_mm: float = 0.0,
) -> Iterator[Violation]:
    """Yield each end of a zone that is outside the travel of an axis.

    Parameters
    ----------
    axis
        The axis.
    ends_mm
        Centres of the outer frames along it, in mm.
    bench
        With its travel.
    outside_mm
        Way to rest beyond them, in mm: half a frame and the run-up.
    """
    description = bench.axis(axis)
    travel = description.travel_min_mm, description.travel_max_mm
    low, high = ends_mm[0] - outside_mm, ends_mm[1] + outside_mm
    way = "with run-up and run-down " if outside_mm else ""
    for found, limit, is_outside in (
        (low, travel[0], low < travel[0]),
        (high, travel[1], high > travel[1]),
    ):
        if is_outside:
            yield Violation(
                "travel",
                found,
                limit,
                "mm",
                f"axis {axis}: {found:.6g} mm {way}is outside "
                f"{travel[0]:g} to {travel[1]:g} mm",
                _room(axis, travel[0] + outside_mm, travel[1] - outside_mm),
            )


def _room(axis: AxisName, low_mm: float, high_mm: float) -> str:
    """Say where a zone fits, rounded inwards to micrometres."""
    low, high = math.ceil(low_mm * 1000) / 1000, math.floor(high_mm * 1000) / 1000
    if low >= high:
        return f"no zone fits along {axis} so: fly slower, or use more frames"
    return f"keep the zone from {low:.3f} to {high:.3f} mm along {axis}"
