"""How long moves from rest to rest take."""

from __future__ import annotations

import math

from aefi_bluesky.domain.bench import BenchDescription, MotionDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.zone import FARTHEST_MM

Place = tuple[float, float]
"""Positions of x and y, in mm."""


def require_rest(place: Place | None) -> None:
    """Refuse what is no place to rest at; None is one that is not known."""
    for name, value in zip(("x", "y"), place or (), strict=False):
        require_number(f"rest: {name}", value, "mm", -FARTHEST_MM, FARTHEST_MM)


def first_way_s(
    to: Place, bench: BenchDescription, rests_at: Place | None
) -> tuple[float, float]:
    """Return the shortest and the longest time to the first place, in s.

    Parameters
    ----------
    to
        Where the stage goes.
    bench
        With its travel.
    rests_at
        Where the stage rests before; None if it is anywhere in the travel.
    """
    if rests_at is not None:
        known = way_s(max(abs(to[0] - rests_at[0]), abs(to[1] - rests_at[1])), bench)
        return known, known
    farthest = max(
        max(place - axis.travel_min_mm, axis.travel_max_mm - place)
        for axis, place in zip((bench.x, bench.y), to, strict=True)
    )
    return 0.0, way_s(farthest, bench)


def way_s(way_mm: float, bench: BenchDescription) -> float:
    """Return the duration of a way between measurements, in s."""
    motion = bench.motion
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
