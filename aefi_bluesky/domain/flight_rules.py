"""What a bench must be able to do to fly a scan spec, rule by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench import BenchDescription, WiringDescription
from aefi_bluesky.domain.feasibility import Violation
from aefi_bluesky.domain.flight_geometry import approach_mm
from aefi_bluesky.domain.flight_load import (
    RING_SAMPLES,
    HostLimits,
    detector_rate_hz,
    document_bytes,
    frame_s,
    line_fix_rate_hz,
    reading_rate_hz,
    uncertain_s,
)
from aefi_bluesky.domain.scan_spec import FlyScanSpec, TriggerKind
from aefi_bluesky.domain.speed_rules import (
    positioning_violations,
    ramp_violations,
    slower,
    speed_violations,
)
from aefi_bluesky.domain.travel_rules import travel_violations

FIXES_PER_FRAME = 2
"""Fixes that must fall into a frame beside the time that a reading is uncertain by."""

_ROUNDING = 1e-8
"""Relative difference of numbers that mean the same: what is suggested is rounded."""

_PULSE_EXCHANGES = {TriggerKind.SYNC_OUTPUT: 9, TriggerKind.DIGITAL_OUTPUT: 6}
"""Time that a frame's pulse takes on the link, in times of a position query.

Off, count, on, status, and queries to see the centre passed; or on, off, a span kept
free before, and queries to predict from. The engine's tests fly frames as short as
these (``rust/aefi-scan-engine/tests/wires.rs``).
"""


def broken_rules(
    spec: FlyScanSpec, bench: BenchDescription, host: HostLimits
) -> Iterator[Violation]:
    """Yield every rule that `spec` breaks on `bench`, all of them."""
    yield from speed_violations(spec, bench)
    yield from ramp_violations(spec, bench)
    yield from positioning_violations(spec.effective_fast_axis, bench)
    yield from _travel_violations(spec, bench)
    yield from _reading_violations(spec, bench)
    yield from _fix_violations(spec, bench)
    yield from _trigger_violations(spec, bench)
    yield from _stall_violations(spec, bench, host)
    yield from _memory_violations(spec, host)


def reading_limit_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the speed at which a frame meets just enough readings."""
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    return pitch * reading_rate_hz(spec, bench) / _readings_needed(spec)


def fix_limit_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the speed at which just enough fixes tell the frame of a reading."""
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    fixes_s = FIXES_PER_FRAME / line_fix_rate_hz(bench)
    return pitch / (uncertain_s(spec, bench) + fixes_s)


def _travel_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    fast = spec.effective_fast_axis
    outside = spec.pitch_mm(fast) / 2 + approach_mm(spec, bench)
    yield from travel_violations(fast, spec.zone.along(fast), bench, outside_mm=outside)
    slow = spec.slow_axis
    yield from travel_violations(slow, spec.zone.along(slow), bench)


def _reading_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    rate = reading_rate_hz(spec, bench)
    found = pitch * rate / spec.speed_mm_per_s
    needed = _readings_needed(spec)
    if found < needed * (1 - _ROUNDING):
        yield Violation(
            "readings per frame",
            found,
            needed,
            "readings",
            f"{found:.3g} readings fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s and {rate:.3g} readings/s; "
            f"{needed:g} are needed for {spec.min_readings_per_frame} whole ones",
            slower(reading_limit_mm_per_s(spec, bench), spec, bench),
        )


def _readings_needed(spec: FlyScanSpec) -> float:
    """Return how many readings must fit into a frame for enough whole ones."""
    if spec.trigger.kind is TriggerKind.POSITIONS:
        # Each is aimed, and the slowest exchange takes twice the usual one: its reply
        # just misses a tick of the adapter.
        return 2 * spec.min_readings_per_frame
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
            slower(pitch / needed_s, spec, bench),
        )


def _fix_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield that the fixes are too few to tell a reading's frame.

    A reading counts if the interval of its place is narrower than a frame. What is
    known of its instant is the request's and the reply's, less the integration; what
    is known of the place at these, the fixes around them: one on either side, and
    between two of them no more than a period passes.
    """
    uncertain = uncertain_s(spec, bench)
    rate = line_fix_rate_hz(bench)
    found = (frame_s(spec) - uncertain) * rate
    if found < FIXES_PER_FRAME * (1 - _ROUNDING):
        pitch = spec.pitch_mm(spec.effective_fast_axis)
        yield Violation(
            "fixes per frame",
            max(found, 0.0),
            FIXES_PER_FRAME,
            "fixes",
            f"{max(found, 0.0):.3g} fixes fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s and {rate:.4g} fixes/s, beside the "
            f"{uncertain * 1000:.3g} ms that a reading's instant is uncertain by; "
            f"{FIXES_PER_FRAME} are needed to tell its frame",
            slower(fix_limit_mm_per_s(spec, bench), spec, bench),
        )


def _stall_violations(
    spec: FlyScanSpec, bench: BenchDescription, host: HostLimits
) -> Iterator[Violation]:
    """Both rings must bear a consumer that takes nothing for a while."""
    most = RING_SAMPLES / host.stall_s
    changes = {
        "readings": f"read periodically, each {1 / most:.12g} s or less often",
        "fixes": "no scan spec changes that: allow a shorter stall",
    }
    rates = {"readings": reading_rate_hz(spec, bench), "fixes": bench.link.fix_rate_hz}
    for samples, rate in rates.items():
        if rate > most * (1 + _ROUNDING):
            yield Violation(
                f"stalled {samples}",
                RING_SAMPLES / rate,
                host.stall_s,
                "s",
                f"the engine holds {RING_SAMPLES} {samples}: at {rate:.6g}/s they are "
                f"lost when nobody takes them for {RING_SAMPLES / rate:.3g} s, and "
                f"{host.stall_s:g} s must be borne",
                changes[samples],
            )


def _memory_violations(spec: FlyScanSpec, host: HostLimits) -> Iterator[Violation]:
    found, limit = document_bytes(spec), host.memory_bytes
    if found > limit:
        slow = spec.slow_axis
        rows = int(limit * spec.count_along(slow) / found)
        what = "lines" if spec.n_lines == spec.count_along(slow) else "positions"
        yield Violation(
            "memory",
            found,
            limit,
            "B",
            f"the documents of {spec.n_frames} frames take {found / 1e6:.6g} MB, "
            f"{limit / 1e6:.6g} MB are there for them",
            f"fly {rows} {what} at most along {slow}"
            if rows
            else "no number of lines fits: use fewer frames in a line, or more memory",
        )
