"""How long moves from rest to rest take."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aefi_bluesky.domain.bench import BenchDescription, MotionDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.zone import FARTHEST_MM, AxisName

_AXES: tuple[AxisName, AxisName] = ("x", "y")

Place = tuple[float, float]
"""Positions of x and y, in mm."""


def require_rest(place: Place | None) -> None:
    """Refuse what is no place to rest at; None is one that is not known."""
    for name, value in zip(("x", "y"), place or (), strict=False):
        require_number(f"rest: {name}", value, "mm", -FARTHEST_MM, FARTHEST_MM)


def first_way_s(
    to: Place,
    bench: BenchDescription,
    rests_at: Place | None,
    *,
    in_steps_of: AxisName | None = None,
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
    in_steps_of
        See `farthest_way_s`.
    """
    ways: dict[AxisName, float] = {}
    for number, (axis, place) in enumerate(zip(_AXES, to, strict=True)):
        travel = bench.axis(axis)
        ways[axis] = (
            max(place - travel.travel_min_mm, travel.travel_max_mm - place)
            if rests_at is None
            else abs(place - rests_at[number])
        )
    longest = farthest_way_s(ways, bench, in_steps_of=in_steps_of)
    return longest if rests_at is not None else 0.0, longest


def farthest_way_s(
    ways_mm: Mapping[AxisName, float],
    bench: BenchDescription,
    *,
    in_steps_of: AxisName | None = None,
) -> float:
    """Return the duration of ways that both axes go at once, in s.

    Parameters
    ----------
    ways_mm
        The way of each axis, in mm.
    bench
        With its speeds.
    in_steps_of
        The axis in whose steps a second both go, as between the lines of a flight;
        None if each goes its own mm/s.
    """
    as_far = ways_mm.items()
    if in_steps_of is not None:
        step = bench.axis(in_steps_of).mm_per_step
        as_far = [
            (axis, way * step / bench.axis(axis).mm_per_step) for axis, way in as_far
        ]
    return way_s(max(way for _, way in as_far), bench)


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
