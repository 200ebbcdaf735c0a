"""Nothing may be asked of an axis outside its travel."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench.description import (
    WHOLE_STEP,
    AxisDescription,
    BenchDescription,
)
from aefi_bluesky.domain.feasibility.report import Change, Violation
from aefi_bluesky.domain.spec.zone import AxisName

_ROUNDING = 1e-8
"""Of a step: what two sums of the same numbers may differ by."""


def travel_violations(
    axis: AxisName,
    ends_mm: tuple[float, float],
    bench: BenchDescription,
    *,
    outside_mm: float = 0.0,
    is_place: bool = False,
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
    is_place
        Whether both ends are one place, and no zone.
    """
    description = bench.axis(axis)
    span = f"{description.travel_min_mm:g} to {description.travel_max_mm:g} mm"
    way = "with run-up and run-down " if outside_mm else ""
    first, last = _whole_steps(description)
    for wanted, limit, side in (
        (ends_mm[0] - outside_mm, first, -1),
        (ends_mm[1] + outside_mm, last, 1),
    ):
        found = description.step_mm(wanted)
        if side * (found - limit) > _ROUNDING * description.mm_per_step:
            yield Violation(
                "travel",
                found,
                limit,
                "mm",
                f"axis {axis}: {wanted:.6g} mm {way}is outside {span}",
                _room(axis, first + outside_mm, last - outside_mm, is_place),
            )


def _whole_steps(axis: AxisDescription) -> tuple[float, float]:
    """Return the first and the last step of the travel, in mm."""
    step = axis.mm_per_step
    first = math.ceil(axis.travel_min_mm / step - WHOLE_STEP)
    last = math.floor(axis.travel_max_mm / step + WHOLE_STEP)
    return first * step, last * step


def _room(
    axis: AxisName, low_mm: float, high_mm: float, is_place: bool
) -> Change | str:
    """Say where a zone or a place fits, rounded inwards to micrometres."""
    low, high = math.ceil(low_mm * 1000) / 1000, math.floor(high_mm * 1000) / 1000
    if low >= high:
        return f"no zone fits along {axis}: fly slower, or use more frames"
    what, name = ("place", f"{axis}_mm") if is_place else ("zone", f"zone.{axis}")
    words = f"keep the {what} inside {{:.3f}} to {{:.3f}} mm along {axis}"
    return Change(name, (low, high), "mm", words)
