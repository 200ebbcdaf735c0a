"""From a scan spec to a flight plan, or to every reason why there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.bench import BenchDescription, MotionDescription
from aefi_bluesky.domain.feasibility import FeasibilityReport, Violation
from aefi_bluesky.domain.flight_plan import FlightPlan, Line
from aefi_bluesky.domain.scan_spec import AxisName, FlyScanSpec, Pattern

MARGIN_STEPS = 2
"""Room between ramp and window, in steps, beside the way of two fix periods."""

_ROUNDING = 1e-9
"""Relative difference of speeds that mean the same."""

_OTHER: dict[AxisName, AxisName] = {"x": "y", "y": "x"}


def plan_flight(
    spec: FlyScanSpec, bench: BenchDescription
) -> FlightPlan | FeasibilityReport:
    """Compile `spec` for `bench`; no clock, no I/O.

    Parameters
    ----------
    spec
        What to measure.
    bench
        What it is to be measured with.

    Returns
    -------
    FlightPlan or FeasibilityReport
        The plan, or all violations at once.
    """
    violations = tuple(_violations(spec, bench))
    if violations:
        return FeasibilityReport(violations)
    return _compile(spec, bench)


def approach_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the way from rest to the window, in mm: the ramp and a margin."""
    speed = spec.speed_mm_per_s
    step = bench.axis(spec.effective_fast_axis).um_per_step / 1000
    margin = MARGIN_STEPS * step + 2 * speed / bench.link.fix_rate_hz
    return bench.motion.ramp_length_mm(speed) + margin


def _violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    yield from _speed_violations(spec, bench)
    yield from _travel_violations(spec, bench)
    yield from _reading_violations(spec, bench)


def _speed_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    speed, motion = spec.speed_mm_per_s, bench.motion
    low, high = motion.min_speed_mm_per_s, motion.max_speed_mm_per_s
    # A limit as it is written may differ from the limit in its last bits.
    if not low * (1 - _ROUNDING) <= speed <= high * (1 + _ROUNDING):
        limit = low if speed < low else high
        yield Violation(
            "speed",
            speed,
            limit,
            "mm/s",
            f"speed {speed:g} mm/s is outside {low:g} to {high:g} mm/s",
            f"fly at {limit:.9g} mm/s",
        )


def _travel_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    fast = spec.effective_fast_axis
    reach: dict[AxisName, float] = {
        fast: spec.pitch_mm(fast) / 2 + approach_mm(spec, bench),
        _OTHER[fast]: 0.0,
    }
    for axis, outside in reach.items():
        low, high = spec.zone.along(axis)
        description = bench.axis(axis)
        travel = description.travel_min_mm, description.travel_max_mm
        way = "with run-up and run-down " if axis == fast else ""
        span = f"{travel[0]:g} to {travel[1]:g} mm"
        for found, limit, worst in (
            (low - outside, travel[0], low - outside < travel[0]),
            (high + outside, travel[1], high + outside > travel[1]),
        ):
            if worst:
                yield Violation(
                    "travel",
                    found,
                    limit,
                    "mm",
                    f"axis {axis}: {found:.6g} mm {way}is outside {span}",
                    _room(axis, travel[0] + outside, travel[1] - outside),
                )


def _room(axis: AxisName, low_mm: float, high_mm: float) -> str:
    """Say where a zone fits, rounded inwards to micrometres."""
    low, high = math.ceil(low_mm * 1000) / 1000, math.floor(high_mm * 1000) / 1000
    if low >= high:
        return f"no zone fits along {axis} so: fly slower, or use more frames"
    return f"keep the zone from {low:.3f} to {high:.3f} mm along {axis}"


def _reading_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    rate = reading_rate_hz(spec, bench)
    found = pitch * rate / spec.speed_mm_per_s
    # One reading more than asked for: the first may begin before the frame does.
    needed = spec.min_readings_per_frame + 1
    if found < needed:
        yield Violation(
            "readings per frame",
            found,
            needed,
            "readings",
            f"{found:.3g} readings fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s and {rate:.3g} readings/s; "
            f"{needed} are needed for {spec.min_readings_per_frame} whole ones",
            _slower(pitch * rate / needed, bench.motion),
        )


def _slower(speed_mm_per_s: float, motion: MotionDescription) -> str:
    # Refused before it is rounded: next to nothing has no digits to round to.
    slowest = motion.min_speed_mm_per_s
    if speed_mm_per_s < slowest or _floored(speed_mm_per_s) < slowest:
        return "no speed is slow enough: use fewer frames, or ask for fewer readings"
    return f"fly at {_floored(speed_mm_per_s):g} mm/s at most"


def _floored(value: float) -> float:
    """Round down to four digits: a suggestion must still fit."""
    scale = 10.0 ** (math.floor(math.log10(value)) - 3)
    return math.floor(value / scale) * scale


def reading_rate_hz(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the readings a second that `spec`'s averaging leaves, in Hz."""
    integration_s = spec.n_avg / bench.detector.conversion_rate_hz
    return min(bench.detector.reading_rate_hz, 1 / integration_s)


def _compile(spec: FlyScanSpec, bench: BenchDescription) -> FlightPlan:
    fast = spec.effective_fast_axis
    slow = _OTHER[fast]
    lines = tuple(_lines(spec, approach_mm(spec, bench)))
    frames = _frames(spec)
    motion = bench.motion
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
        duration_s=_duration_s(lines, spec, bench),
    )


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
    for index, slow_mm in enumerate(_grid(spec, _OTHER[fast])):
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
    n_fast, n_slow = spec.count_along(fast), spec.count_along(_OTHER[fast])
    along = np.tile(np.arange(n_fast, dtype=np.int64), (n_slow, 1))
    for line in range(n_slow):
        if _descends(spec, line):
            along[line] = along[line, ::-1]
    across = np.repeat(np.arange(n_slow, dtype=np.int64), n_fast)
    return {fast: along.ravel(), _OTHER[fast]: across}


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


def _duration_s(
    lines: tuple[Line, ...], spec: FlyScanSpec, bench: BenchDescription
) -> float:
    """Sum over lines and the turnarounds between them; the way there is not known."""
    total, motion = 0.0, bench.motion
    before: Line | None = None
    for line in lines:
        total += move_duration_s(
            line.end_mm - line.start_mm, spec.speed_mm_per_s, motion
        )
        if before is not None:
            total += max(
                move_duration_s(way, motion.positioning_speed_mm_per_s, motion)
                for way in (
                    line.slow_mm - before.slow_mm,
                    line.start_mm - before.end_mm,
                )
            )
        before = line
    return total + len(lines) * bench.link.line_overhead_s
