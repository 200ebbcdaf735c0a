"""Whether a bench can measure a step-wise spec, and how long it takes. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.reading_rates import (
    detector_rate_hz,
    passing_readings,
)
from aefi_bluesky.domain.feasibility.report import Change, FeasibilityReport, Violation
from aefi_bluesky.domain.feasibility.speed_rules import positioning_violations
from aefi_bluesky.domain.feasibility.travel_rules import travel_violations
from aefi_bluesky.domain.flight.duration import (
    CLOCK,
    HOST_S,
    MUTE_EXCHANGES,
    NOTICES,
    DurationEstimate,
    setup_duration,
    switching_off_s,
)
from aefi_bluesky.domain.flight.moves import Place, first_ways_mm, require_rest, way_s
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    StepMapSpec,
    StepSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.spec.zone import AxisName
from aefi_bluesky.domain.step.points import StepPoint, step_points

PLAN_S = 0.05
"""What Python and the RunEngine may add to a measurement, in s: allowed for, not
measured."""

_FREQUENCY_EXCHANGES = 4
"""Exchanges with the acquisition for a frequency: its word is in two registers
(acquisition reference §4.1)."""

_AXES: tuple[AxisName, AxisName] = ("x", "y")


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step-wise spec that a bench can measure.

    Parameters
    ----------
    spec
        What is measured.
    n_measurements
        Measurements in all.
    duration_s
        Estimated duration, in s.
    duration_error_s
        By how much it may differ, in s.
    """

    spec: StepSpec
    n_measurements: int
    duration_s: float
    duration_error_s: float

    def points(self) -> Iterator[StepPoint]:
        """Yield the measurements in order."""
        return step_points(self.spec)


def plan_steps(
    spec: StepSpec, bench: BenchDescription, *, rests_at: Place | None = None
) -> StepPlan | FeasibilityReport:
    """Check `spec` against `bench`; no clock, no I/O.

    Parameters
    ----------
    spec
        What to measure.
    bench
        What it is to be measured with.
    rests_at
        Where the stage rests before, x and y in mm; the duration is known better
        then.

    Returns
    -------
    StepPlan or FeasibilityReport
        The plan, or all violations at once.

    Raises
    ------
    InvalidScanSpecError
        If `rests_at` is no place.
    """
    require_rest(rests_at)
    # Axes of the same step break the same rule about ramps.
    violations = tuple(dict.fromkeys(_broken_rules(spec, bench)))
    if violations:
        return FeasibilityReport(violations)
    duration = step_duration(spec, bench, rests_at)
    return StepPlan(spec, spec.n_measurements, duration.seconds, duration.error_s)


def step_duration(
    spec: StepSpec, bench: BenchDescription, rests_at: Place | None = None
) -> DurationEstimate:
    """Estimate a step-wise measurement from its start to its end.

    The sum of set-up, way to the first point, moves with the link's overhead of
    each, settling, readings, muting or changing the frequency, and switching off. Its
    error is the sum of

    - the way to the first point and the set-up, as in a flight;
    - for each move its overhead, two position queries, by which rest is noticed, and
      what the host adds; a thousandth of it for the controller's clock;
    - for each measurement a reading, which may be under way when it is asked for,
      and `PLAN_S`; once for a whole time series whose readings are due at instants.
    """
    link, exchange_s = bench.link, 1 / bench.detector.reading_rate_hz
    setup = setup_duration(bench)
    first_ways = first_ways_mm(_first_place(spec), bench, rests_at)
    longest = max(way_s(way, bench, axis) for axis, way in first_ways.items())
    shortest = 0.0 if rests_at is None else longest
    moves_s, n_moves = _moves(spec, bench)
    reading_s = 1 / detector_rate_hz(spec, bench)
    periodic = isinstance(spec, TimeSeriesSpec) and spec.period_s > 0
    n_uncertain = 1 if periodic else spec.n_measurements
    return DurationEstimate(
        setup.seconds
        + (shortest + longest) / 2
        + moves_s
        + n_moves * link.line_overhead_s
        + _measuring_s(spec, bench)
        + _switches(spec) * exchange_s
        + switching_off_s(bench),
        setup.error_s
        + (longest - shortest) / 2
        + CLOCK * moves_s
        + (n_moves + 1) * (link.line_overhead_s + NOTICES / link.fix_rate_hz + HOST_S)
        + n_uncertain * (reading_s + PLAN_S),
    )


def _broken_rules(spec: StepSpec, bench: BenchDescription) -> Iterator[Violation]:
    for axis in _AXES:
        yield from positioning_violations(axis, bench)
    for axis in _AXES:
        is_place = not isinstance(spec, StepMapSpec)
        ends_mm = _ends_mm(spec, axis)
        yield from travel_violations(axis, ends_mm, bench, is_place=is_place)
    if isinstance(spec, TimeSeriesSpec):
        yield from _period_violations(spec, bench)


def _ends_mm(spec: StepSpec, axis: AxisName) -> tuple[float, float]:
    if isinstance(spec, StepMapSpec):
        low, high = spec.zone.along(axis)
        # A single pixel lies at the minimum, wherever the maximum is.
        return (low, high) if spec.count_along(axis) > 1 else (low, low)
    place = spec.x_mm if axis == "x" else spec.y_mm
    return place, place


def _period_violations(
    spec: TimeSeriesSpec, bench: BenchDescription
) -> Iterator[Violation]:
    shortest_s = 1 / detector_rate_hz(spec, bench)
    if 0 < spec.period_s < shortest_s * (1 - 1e-8):
        yield Violation(
            "period",
            spec.period_s,
            shortest_s,
            "s",
            f"a reading each {spec.period_s:g} s is faster than the detector, which "
            f"takes {shortest_s:.3g} s for one of {spec.n_avg} conversions",
            Change(
                "period_s",
                shortest_s,
                "s",
                "use a period of {:.9g} s or more, or 0 for as fast as they come",
            ),
        )


def _first_place(spec: StepSpec) -> Place:
    if isinstance(spec, StepMapSpec):
        return spec.zone.x_min_mm, spec.zone.y_min_mm
    return spec.x_mm, spec.y_mm


def _moves(spec: StepSpec, bench: BenchDescription) -> tuple[float, int]:
    """Return the time of all moves between points in s, and their number."""
    if not isinstance(spec, StepMapSpec):
        return 0.0, 0
    seconds, count = 0.0, 0
    for one, other in itertools.pairwise(step_points(spec)):
        x_mm, y_mm = other.x_mm - one.x_mm, other.y_mm - one.y_mm
        seconds += max(way_s(x_mm, bench, "x"), way_s(y_mm, bench, "y"))
        count += (x_mm, y_mm) != (0, 0)
    return seconds, count


def _measuring_s(spec: StepSpec, bench: BenchDescription) -> float:
    """Return the time of settling and reading, in s; readings go by for it."""
    reading_s = 1 / detector_rate_hz(spec, bench)
    settling_s = passing_readings(spec, bench, spec.settle_s) * reading_s
    if isinstance(spec, TimeSeriesSpec):
        each_s = max(spec.period_s, reading_s)
        return settling_s + (spec.count - 1) * each_s + reading_s
    is_map = isinstance(spec, StepMapSpec)
    readings = spec.readings_per_point if is_map else spec.readings
    return spec.n_measurements * (settling_s + readings * reading_s)


def _switches(spec: StepSpec) -> int:
    """Return the exchanges that mute, unmute and change frequencies."""
    if isinstance(spec, TimeSeriesSpec):
        return 0
    mutings = spec.n_measurements - 1 if spec.differential else 0
    exchanges = MUTE_EXCHANGES * mutings
    if isinstance(spec, FrequencySequenceSpec):
        exchanges += _FREQUENCY_EXCHANGES * (len(spec.frequencies_hz) - 1)
    return exchanges
