"""How long a flight takes, and how well that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aefi_bluesky.domain.bench import BenchDescription, MotionDescription
from aefi_bluesky.domain.flight_geometry import OTHER_AXIS, approach_mm, step_mm
from aefi_bluesky.domain.scan_spec import AxisName, FlyScanSpec, Pattern

Place = tuple[float, float]
"""Positions of x and y, in mm."""

_SETUP_EXCHANGES = 36
"""Exchanges with the acquisition before anything moves: 18 registers of converter and
generator are selected and written (acquisition reference §5, §6). Setting up the stage
is done by then."""

_NOTICES = 2
"""Position queries a line by which the end of its moves may be noticed late: one for
the way to it, one for the line."""

_HOST_S = 0.005
"""What a host that is not a real-time one may add to a line, in s."""

_CLOCK = 0.001
"""How much the controller's crystal and its pulse rate may be off, as the engine
allows for it."""


@dataclass(frozen=True, slots=True)
class DurationEstimate:
    """A duration with its bounds.

    Parameters
    ----------
    seconds
        What is expected, in s.
    error_s
        It takes at most this much more or less, in s, where nothing fails and
        nobody pauses.
    """

    seconds: float
    error_s: float


def flight_duration(
    spec: FlyScanSpec, bench: BenchDescription, rests_at: Place | None = None
) -> DurationEstimate:
    """Estimate a flight from its start to its end, one pass.

    The sum of set-up, way to the first line, lines, turnarounds and the link's
    overhead of a line; all turnarounds are alike. Its error is the sum of

    - the way to the first line: from anywhere in the travel, if it is not known from
      where. Half the longest way is expected, and as much is its error;
    - the set-up, whose exchanges may each take half as long or half as long again;
    - for each line two position queries, by which rests are noticed, and what the
      host adds;
    - a thousandth of the moves for the controller's clock.

    A controller that reports idle while it still moves (up to 250 ms, Arcus
    reference §5) delays nothing: the engine waits for the position.

    Parameters
    ----------
    spec, bench
        What is flown on what.
    rests_at
        Where the stage rests before; None if it is not known.
    """
    lines, link = spec.count_along(OTHER_AXIS[spec.effective_fast_axis]), bench.link
    setup = _setup(bench)
    shortest, longest = _first_way_s(spec, bench, rests_at)
    moves = lines * _line_s(spec, bench) + (lines - 1) * _turnaround_s(spec, bench)
    return DurationEstimate(
        setup.seconds + (shortest + longest) / 2 + moves + lines * link.line_overhead_s,
        setup.error_s
        + (longest - shortest) / 2
        + _CLOCK * moves
        + lines * (_NOTICES / link.fix_rate_hz + _HOST_S),
    )


def _setup(bench: BenchDescription) -> DurationEstimate:
    """Both links are set up at once, and nothing moves before both are."""
    known = bench.detector.setup_s, bench.link.setup_s
    seconds = max(known)
    if 0 in known:
        seconds = max(seconds, _SETUP_EXCHANGES / bench.detector.reading_rate_hz)
    return DurationEstimate(seconds, seconds / 2)


def _line_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Stations are whole steps, and speeds whole steps a second."""
    fast = spec.effective_fast_axis
    step = step_mm(fast, bench)
    low, high = spec.zone.along(fast)
    outside = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    steps = round((high + outside) / step) - round((low - outside) / step)
    speed = max(round(spec.speed_mm_per_s / step), 1) * step
    return move_duration_s(steps * step, speed, bench.motion)


def _turnaround_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Both axes at once; the fast one stays where it is between serpentine lines."""
    fast = spec.effective_fast_axis
    slow_mm = _as_fast_mm(
        spec.pitch_mm(OTHER_AXIS[fast]), OTHER_AXIS[fast], spec, bench
    )
    back_mm = 0.0
    if spec.pattern is not Pattern.SERPENTINE:
        window = spec.pitch_mm(fast) * spec.count_along(fast)
        back_mm = window + 2 * approach_mm(spec, bench)
    return _way_s(max(slow_mm, back_mm), bench)


def _first_way_s(
    spec: FlyScanSpec, bench: BenchDescription, rests_at: Place | None
) -> tuple[float, float]:
    """Return the shortest and the longest time to the first line, in s."""
    fast = spec.effective_fast_axis
    start = spec.zone.along(fast)[0]
    start -= spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    places: dict[AxisName, float] = {
        fast: start,
        OTHER_AXIS[fast]: spec.zone.along(OTHER_AXIS[fast])[0],
    }
    ways: dict[AxisName, float]
    if rests_at is not None:
        rests: dict[AxisName, float] = {"x": rests_at[0], "y": rests_at[1]}
        ways = {axis: abs(place - rests[axis]) for axis, place in places.items()}
    else:
        ways = {
            axis: max(
                place - bench.axis(axis).travel_min_mm,
                bench.axis(axis).travel_max_mm - place,
            )
            for axis, place in places.items()
        }
    farthest = max(_as_fast_mm(ways[axis], axis, spec, bench) for axis in ways)
    longest = _way_s(farthest, bench)
    return longest if rests_at is not None else 0.0, longest


def _as_fast_mm(
    way_mm: float, axis: AxisName, spec: FlyScanSpec, bench: BenchDescription
) -> float:
    """Return the way of the fast axis that takes as many steps: speeds between lines
    are those of the fast axis, and the same in steps on both.
    """  # noqa: D205
    fast = spec.effective_fast_axis
    return way_mm * step_mm(fast, bench) / step_mm(axis, bench)


def _way_s(way_mm: float, bench: BenchDescription) -> float:
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
