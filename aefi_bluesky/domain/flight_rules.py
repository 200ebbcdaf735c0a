"""What a bench must be able to do to fly a scan spec, rule by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench import (
    BenchDescription,
    MotionDescription,
    WiringDescription,
)
from aefi_bluesky.domain.feasibility import Violation
from aefi_bluesky.domain.scan_spec import AxisName, FlyScanSpec, TriggerKind

MARGIN_STEPS = 2
"""Room between ramp and window, in steps, beside the way of two fix periods."""

MIN_ACCELERATION_STEPS_PER_S2 = 50
"""The gentlest ramp of the controller (Arcus reference §6.2, speeds to 65 000/s)."""

_ROUNDING = 1e-9
"""Relative difference of speeds that mean the same."""

_PULSE_EXCHANGES = {TriggerKind.SYNC_OUTPUT: 9, TriggerKind.DIGITAL_OUTPUT: 6}
"""Time that a frame's pulse takes on the link, in times of a position query.

Off, count, on, status, and queries to see the centre passed; or on, off, a span kept
free before, and queries to predict from. The engine's tests fly frames as short as
these (``rust/aefi-scan-engine/tests/wires.rs``).
"""

OTHER_AXIS: dict[AxisName, AxisName] = {"x": "y", "y": "x"}
"""The slow axis of each fast one."""


def approach_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the way from rest to the window, in mm: the ramp and a margin."""
    speed = spec.speed_mm_per_s
    step = bench.axis(spec.effective_fast_axis).um_per_step / 1000
    margin = MARGIN_STEPS * step + 2 * speed / bench.link.fix_rate_hz
    return bench.motion.ramp_length_mm(speed) + margin


def broken_rules(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield every rule that `spec` breaks on `bench`, all of them."""
    yield from _speed_violations(spec, bench)
    yield from _ramp_violations(spec, bench)
    yield from _travel_violations(spec, bench)
    yield from _reading_violations(spec, bench)
    yield from _trigger_violations(spec, bench)


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


def _ramp_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    # The controller shortens a ramp that is too gentle, without a word.
    speed, start = spec.speed_mm_per_s, bench.motion.start_speed_mm_per_s
    limit = _gentlest_mm_per_s(spec, bench)
    if _is_too_gentle(speed, start, limit):
        yield Violation(
            "ramp",
            speed,
            limit,
            "mm/s",
            f"a ramp of {bench.motion.ramp_s:g} s from {start:g} to {speed:.6g} mm/s "
            f"is too gentle for the controller: it must end at {limit:.6g} mm/s "
            "or more",
            _out_of_gentleness(limit, bench.motion),
        )


def _gentlest_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the lowest speed that the bench's ramp may end at, in mm/s."""
    step_mm = bench.axis(spec.effective_fast_axis).um_per_step / 1000
    gain = MIN_ACCELERATION_STEPS_PER_S2 * step_mm * bench.motion.ramp_s
    return bench.motion.start_speed_mm_per_s + gain


def _is_too_gentle(speed: float, start: float, limit: float) -> bool:
    return start * (1 + _ROUNDING) < speed < limit * (1 - _ROUNDING)


def _out_of_gentleness(limit_mm_per_s: float, motion: MotionDescription) -> str:
    start = motion.start_speed_mm_per_s
    if limit_mm_per_s <= motion.max_speed_mm_per_s:
        return f"fly at {limit_mm_per_s:.9g} mm/s"
    if start >= motion.min_speed_mm_per_s:
        return f"fly at {start:.9g} mm/s"
    return "no speed has such a ramp: shorten the ramp of the bench"


def _travel_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    fast = spec.effective_fast_axis
    reach: dict[AxisName, float] = {
        fast: spec.pitch_mm(fast) / 2 + approach_mm(spec, bench),
        OTHER_AXIS[fast]: 0.0,
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
    needed = _readings_needed(spec)
    if found < needed:
        yield Violation(
            "readings per frame",
            found,
            needed,
            "readings",
            f"{found:.3g} readings fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s and {rate:.3g} readings/s; "
            f"{needed:g} are needed for {spec.min_readings_per_frame} whole ones",
            _slower(pitch * rate / needed, spec, bench),
        )


def _readings_needed(spec: FlyScanSpec) -> float:
    """Return how many readings must fit into a frame for enough whole ones."""
    if spec.trigger.kind is TriggerKind.POSITIONS:
        # Each is aimed; a quarter of the time between two is what it may be late.
        return 1.25 * spec.min_readings_per_frame
    # One more than asked for: the first may begin before the frame does.
    return spec.min_readings_per_frame + 1


def _missing_wiring(kind: TriggerKind, wiring: WiringDescription) -> list[str]:
    """Return what a bench lacks for a trigger (Arcus reference §7)."""
    missing: list[str] = []
    if kind is TriggerKind.SYNC_OUTPUT:
        if not wiring.has_encoders:
            missing.append("an encoder on the axis (encoder_pulses_per_count)")
        if not wiring.sync_output:
            missing.append(
                "a detector that reads on the edge of DO1 or DO2 (sync_output)"
            )
    if kind is TriggerKind.DIGITAL_OUTPUT and not wiring.digital_output:
        missing.append(
            "a detector that reads on the edge of DO5 to DO8 (digital_output)"
        )
    if kind is TriggerKind.LATCH and not wiring.latch:
        missing.append("a detector whose edge reaches DI4 and DI6 (latch)")
    return missing


def _trigger_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    kind = spec.trigger.kind
    if missing := _missing_wiring(kind, bench.wiring):
        able = [each for each in TriggerKind if not _missing_wiring(each, bench.wiring)]
        yield Violation(
            "trigger",
            math.nan,
            math.nan,
            "",
            f"flights triggered by {kind.value} need wiring that bench {bench.name!r} "
            f"does not have: {', and '.join(missing)}",
            f"use one of {', '.join(able)}",
        )
    yield from _pulse_violations(spec, bench)
    if kind is TriggerKind.PERIODIC:
        shortest_s = 1 / detector_rate_hz(spec, bench)
        if spec.trigger.period_s < shortest_s * (1 - _ROUNDING):
            yield Violation(
                "trigger period",
                spec.trigger.period_s,
                shortest_s,
                "s",
                f"a reading each {spec.trigger.period_s:g} s is faster than the "
                f"detector, which takes {shortest_s:.3g} s for one",
                f"use a period of {shortest_s:.9g} s or more",
            )


def _pulse_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    exchanges = _PULSE_EXCHANGES.get(spec.trigger.kind, 0)
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    found_s = pitch / spec.speed_mm_per_s
    needed_s = exchanges / bench.link.fix_rate_hz
    if found_s < needed_s * (1 - _ROUNDING):
        yield Violation(
            "time for pulses",
            found_s,
            needed_s,
            "s",
            f"a frame of {pitch:g} mm takes {found_s:.3g} s at "
            f"{spec.speed_mm_per_s:g} mm/s; its pulse by {spec.trigger.kind.value} "
            f"needs {needed_s:.3g} s on the link",
            _slower(pitch / needed_s, spec, bench),
        )


def _slower(speed_mm_per_s: float, spec: FlyScanSpec, bench: BenchDescription) -> str:
    """Suggest the highest speed up to this one that breaks no rule of speeds."""
    motion = bench.motion
    speed = min(speed_mm_per_s, motion.max_speed_mm_per_s)
    # Refused before it is rounded: next to nothing has no digits to round to.
    if speed >= motion.min_speed_mm_per_s:
        speed, start = _floored(speed), motion.start_speed_mm_per_s
        if _is_too_gentle(speed, start, _gentlest_mm_per_s(spec, bench)):
            speed = _floored(start)
    if speed < motion.min_speed_mm_per_s:
        return "no speed is slow enough: use fewer frames, or ask for fewer readings"
    return f"fly at {speed:g} mm/s at most"


def _floored(value: float) -> float:
    """Round down to four digits: a suggestion must still fit."""
    scale = 10.0 ** (math.floor(math.log10(value)) - 3)
    return math.floor(value / scale) * scale


def reading_rate_hz(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the readings a second that `spec` gets from the detector, in Hz."""
    rate = detector_rate_hz(spec, bench)
    if spec.trigger.kind is TriggerKind.PERIODIC:
        return min(rate, 1 / spec.trigger.period_s)
    return rate


def detector_rate_hz(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the readings a second that the detector can give at best, in Hz."""
    integration_s = spec.n_avg / bench.detector.conversion_rate_hz
    return min(bench.detector.reading_rate_hz, 1 / integration_s)
