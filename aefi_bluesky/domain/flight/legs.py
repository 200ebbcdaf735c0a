"""How long lines and the ways between them take: moves, and the engine's exchanges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.speed_spans import flown_speed, whole_speed
from aefi_bluesky.domain.flight.exchanges import (
    ARMING,
    DISARMING,
    MOVE,
    POSITION,
    POSITIONS,
    READ_SPEED,
    SPEED,
    STATUS,
    Exchange,
)
from aefi_bluesky.domain.flight.geometry import approach_mm
from aefi_bluesky.domain.flight.moves import (
    Place,
    first_ways_mm,
    last_half_step_s,
    move_duration_s,
)
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.grid import Pattern
from aefi_bluesky.domain.spec.zone import AxisName


def first_way_s(
    spec: FlyScanSpec, bench: BenchDescription, rests_at: Place | None
) -> tuple[float, float]:
    """Return the shortest and the longest time of the way to the first line, in s.

    Parameters
    ----------
    spec, bench
        What is flown on what.
    rests_at
        Where the stage rests before; None if it is anywhere in the travel.
    """
    ways = first_ways_mm(_start_mm(spec, bench), bench, rests_at)
    longest = _way_s(ways, spec, bench)
    return longest if rests_at is not None else _way_s({}, spec, bench), longest


def turnarounds_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the time of all ways from line to line, in s.

    Both axes move at once; the fast one stays where it is between serpentine lines.
    """
    fast, slow = spec.effective_fast_axis, spec.slow_axis
    back: dict[AxisName, float] = {}
    if spec.pattern is not Pattern.SERPENTINE:
        window = spec.pitch_mm(fast) * spec.count_along(fast)
        back[fast] = window + 2 * approach_mm(spec, bench)
    to_next_row = _way_s({**back, slow: spec.pitch_mm(slow)}, spec, bench)
    rows = spec.count_along(slow)
    repeats = spec.n_lines - rows
    return (rows - 1) * to_next_row + repeats * _way_s(back, spec, bench)


def line_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the time of a line from rest to rest, in s; stations are whole steps.

    At its end all positions are asked once more.
    """
    fast, kind = spec.effective_fast_axis, spec.trigger.kind
    step, fix_s = bench.axis(fast).mm_per_step, POSITION.duration_s(bench.link)
    low, high = spec.zone.along(fast)
    outside = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    steps = round((high + outside) / step) - round((low - outside) / step)
    flown_s = _leg_s(
        [steps * step],
        spec.speed_mm_per_s,
        fast,
        bench,
        query=POSITION,
        disarming_s=DISARMING.get(kind, 0) * fix_s,
    )
    look_s = POSITIONS.duration_s(bench.link)
    return ARMING.get(kind, 0) * fix_s + flown_s + look_s


def speeds_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the time of setting the fast axis' speed for each line and back, in s.

    Each is read back. At first it is the one between lines.
    """
    fast = spec.effective_fast_axis
    step, motion = bench.axis(fast).mm_per_step, bench.motion_along(fast)
    between_lines = whole_speed(motion.positioning_speed_mm_per_s, step)
    if whole_speed(spec.speed_mm_per_s, step) == between_lines:
        return 0.0
    change_s = SPEED.duration_s(bench.link) + READ_SPEED.duration_s(bench.link)
    return (2 * spec.n_lines - 1) * change_s


def _way_s(
    ways_mm: Mapping[AxisName, float], spec: FlyScanSpec, bench: BenchDescription
) -> float:
    """Return the time of a way to a line, in s.

    Both axes fly the same steps/s, so all ways are taken in steps of the fast one.
    """
    fast = spec.effective_fast_axis
    step = bench.axis(fast).mm_per_step
    ways = [
        round(ways_mm.get(axis, 0.0) / bench.axis(axis).mm_per_step) * step
        for axis in (spec.slow_axis, fast)
    ]
    speed = bench.motion_along(fast).positioning_speed_mm_per_s
    return _leg_s(ways, speed, fast, bench, query=POSITIONS)


def _leg_s(
    ways_mm: Sequence[float],
    speed_mm_per_s: float,
    axis: AxisName,
    bench: BenchDescription,
    *,
    query: Exchange,
    disarming_s: float = 0.0,
) -> float:
    """Return the time of moves from rest until all are known to rest, in s.

    All ways are in steps of `axis`, whose scale the speed has.
    They are sent one after the other. Then `query` is asked until it tells the targets,
    which the counters show before the last half step is done. What disarms a trigger
    follows, and the status until it is idle.
    """
    link, motion = bench.link, bench.motion_along(axis)
    mm_per_step = bench.axis(axis).mm_per_step
    speed = flown_speed(speed_mm_per_s, mm_per_step)
    sent = rest = 0.0
    for way in ways_mm:
        if way > 0:
            begins = sent + MOVE.heard_s(link)
            rest = max(rest, begins + move_duration_s(way, speed, motion))
            sent += MOVE.duration_s(link)
    if sent == 0:
        return STATUS.duration_s(link)
    shown = rest - last_half_step_s(speed, mm_per_step, motion)
    told = max(sent + query.duration_s(link), shown + query.notice_s(link))
    idle = told + disarming_s + STATUS.duration_s(link)
    return max(idle, rest + STATUS.notice_s(link))


def _start_mm(spec: FlyScanSpec, bench: BenchDescription) -> Place:
    """Return where the first line's run-up begins, in mm."""
    fast, zone = spec.effective_fast_axis, spec.zone
    ahead = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    if fast == "x":
        return zone.x_min_mm - ahead, zone.y_min_mm
    return zone.x_min_mm, zone.y_min_mm - ahead
