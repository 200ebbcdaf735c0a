"""Which speeds may be flown, and the rules about them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench.description import BenchDescription, MotionDescription
from aefi_bluesky.domain.feasibility.report import Change, Violation
from aefi_bluesky.domain.feasibility.speed_spans import (
    SpeedSpans,
    controller_speeds,
    flown_speed,
    ramp_range_s,
    whole_speed,
)
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.zone import AxisName

_LEAST = 1e-300
"""What is less has no digits to round to."""


_WHOLE = 1e-6
"""A limit that should be a whole step/s may miss it by this."""

_HALF_MS = 0.0005
"""The controller takes ramps in whole milliseconds."""


def _mm_per_step(spec: FlyScanSpec, bench: BenchDescription) -> float:
    return bench.axis(spec.effective_fast_axis).mm_per_step


def _motion(spec: FlyScanSpec, bench: BenchDescription) -> MotionDescription:
    return bench.motion_along(spec.effective_fast_axis)


def flyable_speeds(spec: FlyScanSpec, bench: BenchDescription) -> SpeedSpans:
    """Return the speeds that bench and controller fly in lines along the fast axis."""
    motion, step = _motion(spec, bench), _mm_per_step(spec, bench)
    low = math.ceil(motion.min_speed_mm_per_s / step - _WHOLE) * step
    high = math.floor(motion.max_speed_mm_per_s / step + _WHOLE) * step
    return controller_speeds(motion, step).within(low, high)


def flown_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the speed that is flown, in mm/s: whole steps/s, one at least."""
    return flown_speed(spec.speed_mm_per_s, _mm_per_step(spec, bench))


def whole_up_to(
    speed_mm_per_s: float, spec: FlyScanSpec, bench: BenchDescription
) -> float:
    """Return the highest speed up to this one that is flown as it is, in mm/s."""
    step = _mm_per_step(spec, bench)
    return math.floor(speed_mm_per_s / step + _WHOLE) * step


def speed_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield that the speed, as it is flown, is out of the bench's range."""
    asked, motion = spec.speed_mm_per_s, _motion(spec, bench)
    speed = whole_speed(asked, _mm_per_step(spec, bench))
    low, high = motion.min_speed_mm_per_s, motion.max_speed_mm_per_s
    allowed = SpeedSpans(((low, high),))
    if speed not in allowed:
        told = speed if asked in allowed else asked
        yield Violation(
            "speed",
            speed,
            low if speed < low else high,
            "mm/s",
            f"speed {told:g} mm/s is outside {low:g} to {high:g} mm/s",
            _fly_at(flyable_speeds(spec, bench).nearest(asked)),
        )


def ramp_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield that the controller would change the ramp to the speed."""
    motion, step = _motion(spec, bench), _mm_per_step(spec, bench)
    speed, start = spec.speed_mm_per_s, motion.start_speed_mm_per_s
    speeds = controller_speeds(motion, step)
    if whole_speed(speed, step) not in speeds:
        yield Violation(
            "ramp",
            speed,
            speeds.nearest(speed) or math.nan,
            "mm/s",
            f"a ramp of {motion.ramp_s:g} s from {start:g} to {speed:.6g} mm/s "
            f"{_refusal(speed, spec, bench)}",
            _fly_at(flyable_speeds(spec, bench).nearest(speed)),
        )


def _refusal(speed: float, spec: FlyScanSpec, bench: BenchDescription) -> str:
    allowed = ramp_range_s(speed, _motion(spec, bench), _mm_per_step(spec, bench))
    if allowed is None or allowed[0] > allowed[1]:
        return "is not possible on the controller"
    return (
        f"would be changed by the controller, which allows {allowed[0]:g} to "
        f"{allowed[1]:.4g} s"
    )


def _fly_at(speed_mm_per_s: float | None, most: str = "") -> Change | str:
    if speed_mm_per_s is None:
        return "this ramp fits no speed of the bench: change the ramp of the bench"
    words = f"fly at {{:.12g}} mm/s{most}"
    return Change("speed_mm_per_s", speed_mm_per_s, "mm/s", words)


def positioning_violations(
    axis: AxisName, bench: BenchDescription
) -> Iterator[Violation]:
    """Yield that the ramp to the positioning speed is none of the controller's."""
    motion, step = bench.motion_along(axis), bench.axis(axis).mm_per_step
    speed, ramp = whole_speed(motion.positioning_speed_mm_per_s, step), motion.ramp_s
    if speed in controller_speeds(motion, step):
        return
    allowed = ramp_range_s(speed, motion, step)
    if allowed is None or allowed[0] > allowed[1]:
        limit, change = math.nan, "no ramp fits: change the positioning speed"
    else:
        limit = allowed[0] if ramp < allowed[0] else allowed[1]
        words = "set the ramp of the bench to {:g} s"
        change = Change("bench.motion.ramp_s", _floored(limit), "s", words)
    yield Violation(
        "positioning ramp",
        ramp,
        limit,
        "s",
        f"a ramp of {ramp:g} s to the positioning speed of {speed:.6g} mm/s is not "
        "possible on the controller",
        change,
        guard=_HALF_MS,
    )


def slower(
    speed_mm_per_s: float, spec: FlyScanSpec, bench: BenchDescription
) -> Change | str:
    """Suggest the highest speed up to this one that breaks no rule of speeds."""
    speeds = flyable_speeds(spec, bench)
    whole = whole_up_to(speed_mm_per_s, spec, bench)
    # Rounded down to what people write, unless only the very speed fits.
    for speed in (_floored(whole), whole):
        highest = speeds.highest_up_to(speed)
        if highest is not None:
            return _fly_at(highest, " at most")
    return "no speed is slow enough: use fewer frames, or ask for fewer readings"


def _floored(value: float) -> float:
    """Round down to four digits: a suggestion must still fit."""
    if value < _LEAST:
        return 0.0
    scale = 10.0 ** (math.floor(math.log10(value)) - 3)
    return math.floor(value / scale) * scale
