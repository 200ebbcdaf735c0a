"""From a scan spec to a flight plan, or to every reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.feasibility import FeasibilityReport
from aefi_bluesky.domain.flight_duration import Place, flight_duration
from aefi_bluesky.domain.flight_geometry import OTHER_AXIS, approach_mm
from aefi_bluesky.domain.flight_load import HostLimits
from aefi_bluesky.domain.flight_plan import FlightPlan, Line
from aefi_bluesky.domain.flight_rules import broken_rules
from aefi_bluesky.domain.scan_spec import FARTHEST_MM, AxisName, FlyScanSpec, Pattern


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
    _require_place(rests_at)
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
        As of `plan_flight`.

    Raises
    ------
    InvalidScanSpecError
        If `rests_at` is no place.
    """
    _require_place(rests_at)
    fast = spec.effective_fast_axis
    slow = OTHER_AXIS[fast]
    lines = tuple(_lines(spec, approach_mm(spec, bench)))
    frames = _frames(spec)
    motion = bench.motion
    duration = flight_duration(spec, bench, rests_at)
    return FlightPlan(
        spec=spec,
        fast_axis=fast,
        slow_axis=slow,
        speed_mm_per_s=spec.speed_mm_per_s,
        positioning_speed_mm_per_s=motion.positioning_speed_mm_per_s,
        start_speed_mm_per_s=motion.start_speed_mm_per_s,
        ramp_s=motion.ramp_s,
        lines=lines,
        frame_x_mm=_grid(spec, "x")[frames["x"]],
        frame_y_mm=_grid(spec, "y")[frames["y"]],
        frame_ix=frames["x"],
        frame_iy=frames["y"],
        duration_s=duration.seconds,
        duration_error_s=duration.error_s,
    )


def _require_place(rests_at: Place | None) -> None:
    for name, place in zip(("x", "y"), rests_at or (), strict=False):
        require_number(f"rest: {name}", place, "mm", -FARTHEST_MM, FARTHEST_MM)


def _grid(spec: FlyScanSpec, axis: AxisName) -> npt.NDArray[np.float64]:
    low, high = spec.zone.along(axis)
    count = spec.count_along(axis)
    # linspace hits both ends exactly; a single frame lies at the minimum.
    return np.linspace(low, high, count) if count > 1 else np.array([low])


def _descends(spec: FlyScanSpec, line: int) -> bool:
    return spec.pattern is Pattern.SERPENTINE and line % 2 == 1


def _lines(spec: FlyScanSpec, approach: float) -> Iterator[Line]:
    fast = spec.effective_fast_axis
    low, high = spec.zone.along(fast)
    half = spec.pitch_mm(fast) / 2
    n_frames = spec.count_along(fast)
    for index, slow_mm in enumerate(_grid(spec, OTHER_AXIS[fast])):
        first, last, sign = low - half, high + half, 1.0
        if _descends(spec, index):
            first, last, sign = last, first, -1.0
        yield Line(
            index=index,
            slow_mm=float(slow_mm),
            start_mm=first - sign * approach,
            window_start_mm=first,
            window_stop_mm=last,
            end_mm=last + sign * approach,
            first_frame=index * n_frames,
            n_frames=n_frames,
        )


def _frames(spec: FlyScanSpec) -> dict[AxisName, npt.NDArray[np.int64]]:
    """Return the grid indices of all frames in the order of flight, by axis."""
    fast = spec.effective_fast_axis
    n_fast, n_slow = spec.count_along(fast), spec.count_along(OTHER_AXIS[fast])
    along = np.tile(np.arange(n_fast, dtype=np.int64), (n_slow, 1))
    for line in range(n_slow):
        if _descends(spec, line):
            along[line] = along[line, ::-1]
    across = np.repeat(np.arange(n_slow, dtype=np.int64), n_fast)
    return {fast: along.ravel(), OTHER_AXIS[fast]: across}
