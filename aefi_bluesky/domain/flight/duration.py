"""How long a flight takes, and how well that is known."""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.reading_rates import (
    detector_rate_hz,
    reading_rate_hz,
)
from aefi_bluesky.domain.flight.exchanges import POSITION, PREPARING
from aefi_bluesky.domain.flight.legs import (
    first_way_s,
    line_s,
    speeds_s,
    turnarounds_s,
)
from aefi_bluesky.domain.flight.moves import Place
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, TriggerKind

SETUP_EXCHANGES = 36
"""Exchanges with the acquisition before anything moves: 18 registers of converter and
generator are selected and written (acquisition reference §5, §6). Setting up the stage
is done by then."""

MUTE_EXCHANGES = 4
"""Exchanges with the acquisition to mute or unmute: two gain registers are selected and
written (acquisition reference §4.3)."""

OFF_EXCHANGES = 2 * MUTE_EXCHANGES
"""The same to switch off when all is over: the engine writes twice, because a write
that was damaged on its way is acknowledged as well."""

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

    The sum of set-up, way to the first line, lines, turnarounds, setting the speed of
    each, and the end of the last reading with switching off; all turnarounds to
    another row are alike. Exchanges are those that the engine makes. Its error is the
    sum of

    - the way to the first line: from anywhere in the travel, if it is not known from
      where. Half the longest way is expected, and as much is its error;
    - the set-up, whose exchanges may each take half as long or half as long again;
    - for each line two position queries, by which rests are noticed, and what the
      host adds: when a query falls is not known, and all lines of the same length may
      end at the same instant between two;
    - a thousandth of the moves for the controller's clock;
    - what may be left of the last reading, more or less than the mean;
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
    link = bench.link
    setup = setup_duration(bench, PREPARING.get(spec.trigger.kind, 0))
    shortest, longest = first_way_s(spec, bench, rests_at)
    moves = turnarounds_s(spec, bench) + spec.n_lines * line_s(spec, bench)
    muting, ending = _muting_s(spec, bench), _ending(spec, bench)
    return DurationEstimate(
        setup.seconds
        + (shortest + longest) / 2
        + moves
        + speeds_s(spec, bench)
        + muting
        + ending.seconds,
        setup.error_s
        + (longest - shortest) / 2
        + CLOCK * moves
        + spec.n_lines * (NOTICES / link.fix_rate_hz + HOST_S)
        + muting
        + ending.error_s,
    )


def setup_duration(
    bench: BenchDescription, more_exchanges: int = 0
) -> DurationEstimate:
    """Both links are set up at once, and nothing moves before both are.

    Parameters
    ----------
    bench
        With its links.
    more_exchanges
        With the stage, beyond those of each flight; as long as a fix's.
    """
    of_stage = bench.link.setup_s + more_exchanges * POSITION.duration_s(bench.link)
    seconds = max(of_stage, SETUP_EXCHANGES * _register_s(bench))
    return DurationEstimate(seconds, seconds / 2)


def switching_off_s(bench: BenchDescription) -> float:
    """Return the time that taking the excitation away takes in the end, in s."""
    return OFF_EXCHANGES * _register_s(bench)


def _register_s(bench: BenchDescription) -> float:
    """Return the time of an exchange that sets up the acquisition, in s."""
    detector = bench.detector
    if detector.setup_s == 0:
        return 1 / detector.reading_rate_hz
    return detector.setup_s / (SETUP_EXCHANGES + MUTE_EXCHANGES)


def _ending(spec: FlyScanSpec, bench: BenchDescription) -> DurationEstimate:
    """Return what passes after the last line, till the excitation is off.

    Readings are taken for the lag of the lock-in. They end in a reading or in the wait
    for one, in proportion to their length, and half of it is left. Aimed readings are
    over, and what follows begins between two ticks of the adapter.
    """
    off = bench.detector.lag_s + switching_off_s(bench)
    if spec.trigger.kind is TriggerKind.POSITIONS:
        half_tick = bench.detector.latency_tick_s / 2
        return DurationEstimate(off - half_tick, half_tick)
    reading, period = (
        1 / detector_rate_hz(spec, bench),
        1 / reading_rate_hz(spec, bench),
    )
    wait = period - reading
    left = (reading**2 + wait**2) / (2 * period)
    return DurationEstimate(off + left, max(reading, wait) - left)


def _muting_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    changes = spec.n_lines - 1 if spec.differential else 0
    return changes * MUTE_EXCHANGES / bench.detector.reading_rate_hz
