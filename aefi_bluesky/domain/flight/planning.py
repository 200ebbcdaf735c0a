"""From a scan spec to a flight plan, or to every reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.flight_rules import broken_rules
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.duration import flight_duration
from aefi_bluesky.domain.flight.geometry import approach_mm
from aefi_bluesky.domain.flight.load import HostLimits
from aefi_bluesky.domain.flight.moves import Place, require_rest
from aefi_bluesky.domain.flight.plan import FlightPlan, Line
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.grid import Traverse, frame_indices, traverses


def plan_flight(
    spec: FlyScanSpec,
    bench: BenchDescription,
    *,
    host: HostLimits | None = None,
    rests_at: Place | None = None,
) -> FlightPlan | FeasibilityReport:
    """Compile `spec` for `bench`; no clock, no I/O.

    Parameters
    ----------
    spec
        What to measure.
    bench
        What it is to be measured with.
    host
        What the host can hold; `HostLimits` as they are unless told.
    rests_at
        Where the stage rests before, x and y in mm; the duration is known better
        then.

    Returns
    -------
    FlightPlan or FeasibilityReport
        The plan, or all violations at once.

    Raises
    ------
    InvalidScanSpecError
        If `rests_at` is no place.
    """
    require_rest(rests_at)
    violations = tuple(broken_rules(spec, bench, host or HostLimits()))
    if violations:
        return FeasibilityReport(violations)
    return compile_flight(spec, bench, rests_at=rests_at)


def compile_flight(
    spec: FlyScanSpec, bench: BenchDescription, *, rests_at: Place | None = None
) -> FlightPlan:
    """Compile `spec` for `bench` whether `bench` can fly it or not.

    For those who look what a refused plan would do on a simulated bench; `plan_flight`
    is for flights.

    Parameters
    ----------
    spec, bench, rests_at
        As in `plan_flight`.

    Raises
    ------
    InvalidScanSpecError
        If `rests_at` is no place.
    """
    require_rest(rests_at)
    order = tuple(traverses(spec, spec.repeats, differential=spec.differential))
    lines = tuple(_lines(spec, order, bench))
    frames = frame_indices(spec, order)
    motion = bench.motion_along(spec.effective_fast_axis)
    duration = flight_duration(spec, bench, rests_at)
    return FlightPlan(
        spec=spec,
        fast_axis=spec.effective_fast_axis,
        slow_axis=spec.slow_axis,
        speed_mm_per_s=spec.speed_mm_per_s,
        positioning_speed_mm_per_s=motion.positioning_speed_mm_per_s,
        start_speed_mm_per_s=motion.start_speed_mm_per_s,
        ramp_s=motion.ramp_s,
        lines=lines,
        frame_x_mm=spec.centres_mm("x")[frames["x"]],
        frame_y_mm=spec.centres_mm("y")[frames["y"]],
        frame_ix=frames["x"],
        frame_iy=frames["y"],
        duration_s=duration.seconds,
        duration_error_s=duration.error_s,
    )


def _lines(
    spec: FlyScanSpec, order: Sequence[Traverse], bench: BenchDescription
) -> Iterator[Line]:
    fast = spec.effective_fast_axis
    axis, approach = bench.axis(fast), approach_mm(spec, bench)
    low, high = spec.zone.along(fast)
    half = spec.pitch_mm(fast) / 2
    n_frames = spec.count_along(fast)
    slow = bench.axis(spec.slow_axis)
    rows_mm = [
        row if slow.holds(row) else slow.stop_mm(row)
        for row in spec.centres_mm(spec.slow_axis).tolist()
    ]
    for line in order:
        first, last, sign = low - half, high + half, 1.0
        if line.descends:
            first, last, sign = last, first, -1.0
        yield Line(
            index=line.index,
            slow_mm=rows_mm[line.row],
            start_mm=axis.stop_mm(first - sign * approach),
            window_start_mm=first,
            window_stop_mm=last,
            end_mm=axis.stop_mm(last + sign * approach),
            first_frame=line.index * n_frames,
            n_frames=n_frames,
            muted=line.muted,
        )
