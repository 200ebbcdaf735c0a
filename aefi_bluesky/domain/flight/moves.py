"""How long moves from rest to rest take."""

from __future__ import annotations

import math

from aefi_bluesky.domain.bench.description import BenchDescription, MotionDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.spec.zone import FARTHEST_MM, AxisName

_AXES: tuple[AxisName, AxisName] = ("x", "y")

Place = tuple[float, float]
"""Positions of x and y, in mm."""


def require_rest(place: Place | None) -> Place | None:
    """Return a place to rest at as floats; None is one that is not known."""
    if place is None:
        return None
    x, y = (
        require_number(f"rest: {name}", value, "mm", -FARTHEST_MM, FARTHEST_MM)
        for name, value in zip(_AXES, place, strict=True)
    )
    return x, y


def first_ways_mm(
    to: Place, bench: BenchDescription, rests_at: Place | None
) -> dict[AxisName, float]:
    """Return how far each axis goes to the first place, in mm.

    Parameters
    ----------
    to
        Where the stage goes.
    bench
        With its travel.
    rests_at
        Where the stage rests before; None if it is anywhere in the travel: the ways
        are then the longest.
    """
    ways: dict[AxisName, float] = {}
    for number, (axis, place) in enumerate(zip(_AXES, to, strict=True)):
        travel = bench.axis(axis)
        ways[axis] = (
            max(place - travel.travel_min_mm, travel.travel_max_mm - place)
            if rests_at is None
            else abs(place - rests_at[number])
        )
    return ways


def way_s(way_mm: float, bench: BenchDescription, axis: AxisName = "y") -> float:
    """Return the duration of a way of an axis between measurements, in s."""
    motion = bench.motion_along(axis)
    return move_duration_s(way_mm, motion.positioning_speed_mm_per_s, motion)


def move_duration_s(
    way_mm: float, speed_mm_per_s: float, motion: MotionDescription
) -> float:
    """Return the duration of a move from rest to rest (Arcus reference §6.3).

    Parameters
    ----------
    way_mm
        Distance, in mm; its sign does not matter.
    speed_mm_per_s
        Highest speed, in mm/s.
    motion
        Start speed and ramp.

    Returns
    -------
    float
        Seconds.
    """
    way, start = abs(way_mm), motion.start_speed_mm_per_s
    if way == 0:
        return 0.0
    if speed_mm_per_s <= start:
        return way / speed_mm_per_s
    ramp = motion.ramp_length_mm(speed_mm_per_s)
    if way >= 2 * ramp:
        return (way - 2 * ramp) / speed_mm_per_s + 2 * motion.ramp_s
    acceleration = (speed_mm_per_s - start) / motion.ramp_s
    peak = math.sqrt(start**2 + acceleration * way)
    return 2 * (peak - start) / acceleration


def last_half_step_s(
    speed_mm_per_s: float, mm_per_step: float, motion: MotionDescription
) -> float:
    """Return how long the last half step of a move takes, in s.

    The counter shows the target meanwhile, at the end of a ramp (Arcus reference
    §6.3): long where the start speed is low.

    Parameters
    ----------
    speed_mm_per_s
        Highest speed of the move, in mm/s.
    mm_per_step
        Way of a step, in mm.
    motion
        Start speed and ramp.
    """
    start = min(motion.start_speed_mm_per_s, speed_mm_per_s)
    gain = (speed_mm_per_s - start) / motion.ramp_s
    # This form of the root has no division by a gain of zero.
    return mm_per_step / (start + math.sqrt(start**2 + gain * mm_per_step))
