"""How long a flight takes, and how well that is known."""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.flight_geometry import approach_mm
from aefi_bluesky.domain.grid import Pattern
from aefi_bluesky.domain.moves import (
    Place,
    farthest_way_s,
    first_way_s,
    move_duration_s,
    way_s,
)
from aefi_bluesky.domain.scan_spec import FlyScanSpec

SETUP_EXCHANGES = 36
"""Exchanges with the acquisition before anything moves: 18 registers of converter and
generator are selected and written (acquisition reference §5, §6). Setting up the stage
is done by then."""

MUTE_EXCHANGES = 4
"""Exchanges with the acquisition to mute or unmute: two gain registers are selected
and written (acquisition reference §4.3)."""

_WAY_EXCHANGES = 4
"""Exchanges of a line's overhead that are spared where nothing moves before it: the
move, and queries of both positions, which are longer, until its end is noticed."""

NOTICES = 2
"""Position queries a line by which the end of its moves may be noticed late: one for
the way to it, one for the line."""

HOST_S = 0.005
"""What a host that is not a real-time one may add to a line, in s."""

CLOCK = 0.001
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
    overhead of a line, less of it where nothing moves between two repeats; all
    turnarounds to another row are alike. Its error is the sum of

    - the way to the first line: from anywhere in the travel, if it is not known from
      where. Half the longest way is expected, and as much is its error;
    - the set-up, whose exchanges may each take half as long or half as long again;
    - for each line two position queries, by which rests are noticed, and what the
      host adds;
    - a thousandth of the moves for the controller's clock;
    - what muting takes: it costs nothing while the stage turns.

    A controller that reports idle while it still moves (up to 250 ms, Arcus
    reference §5) delays nothing: the engine waits for the position.

    Parameters
    ----------
    spec, bench
        What is flown on what.
    rests_at
        Where the stage rests before; None if it is not known.
    """
    lines, link = spec.n_lines, bench.link
    setup = setup_duration(bench)
    fast = spec.effective_fast_axis
    shortest, longest = first_way_s(
        _start_mm(spec, bench), bench, rests_at, in_steps_of=fast
    )
    moves = lines * _line_s(spec, bench) + _turnarounds_s(spec, bench)
    muting = _muting_s(spec, bench)
    return DurationEstimate(
        setup.seconds
        + (shortest + longest) / 2
        + moves
        + _overhead_s(spec, bench)
        + muting,
        setup.error_s
        + (longest - shortest) / 2
        + CLOCK * moves
        + lines * (NOTICES / link.fix_rate_hz + HOST_S)
        + muting,
    )


def _overhead_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    link, still = bench.link, 0
    if spec.pattern is Pattern.SERPENTINE:
        still = spec.n_lines - spec.count_along(spec.slow_axis)
    spared_s = min(_WAY_EXCHANGES / link.fix_rate_hz, link.line_overhead_s)
    return spec.n_lines * link.line_overhead_s - still * spared_s


def _muting_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    changes = spec.n_lines - 1 if spec.differential else 0
    return changes * MUTE_EXCHANGES / bench.detector.reading_rate_hz


def setup_duration(bench: BenchDescription) -> DurationEstimate:
    """Both links are set up at once, and nothing moves before both are."""
    known = bench.detector.setup_s, bench.link.setup_s
    seconds = max(known)
    if 0 in known:
        seconds = max(seconds, SETUP_EXCHANGES / bench.detector.reading_rate_hz)
    return DurationEstimate(seconds, seconds / 2)


def _line_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Stations are whole steps, and speeds whole steps a second."""
    fast = spec.effective_fast_axis
    step = bench.axis(fast).mm_per_step
    low, high = spec.zone.along(fast)
    outside = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    steps = round((high + outside) / step) - round((low - outside) / step)
    speed = max(round(spec.speed_mm_per_s / step), 1) * step
    return move_duration_s(steps * step, speed, bench.motion)


def _turnarounds_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Both axes at once; the fast one stays where it is between serpentine lines."""
    fast = spec.effective_fast_axis
    back_mm = 0.0
    if spec.pattern is not Pattern.SERPENTINE:
        window = spec.pitch_mm(fast) * spec.count_along(fast)
        back_mm = window + 2 * approach_mm(spec, bench)
    rows = spec.count_along(spec.slow_axis)
    to_next_row = farthest_way_s(
        {spec.slow_axis: spec.pitch_mm(spec.slow_axis), fast: back_mm},
        bench,
        in_steps_of=fast,
    )
    return (rows - 1) * to_next_row + (spec.n_lines - rows) * way_s(back_mm, bench)


def _start_mm(spec: FlyScanSpec, bench: BenchDescription) -> Place:
    """Return where the first line's run-up begins, in mm."""
    fast, zone = spec.effective_fast_axis, spec.zone
    ahead = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    if fast == "x":
        return zone.x_min_mm - ahead, zone.y_min_mm
    return zone.x_min_mm, zone.y_min_mm - ahead
