"""What a bench must be able to do to fly a scan spec, rule by rule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from aefi_bluesky.domain.bench.description import BenchDescription, WiringDescription
from aefi_bluesky.domain.feasibility.reading_rates import (
    fastest_reading_s,
    integration_s,
    reading_rate_hz,
    readings_s,
    slowest_reading_s,
    uncertain_s,
)
from aefi_bluesky.domain.feasibility.report import Change, Violation
from aefi_bluesky.domain.feasibility.speed_rules import (
    flown_mm_per_s,
    positioning_violations,
    ramp_violations,
    slower,
    speed_violations,
    whole_up_to,
)
from aefi_bluesky.domain.feasibility.travel_rules import travel_violations
from aefi_bluesky.domain.flight.geometry import AIMED, approach_mm
from aefi_bluesky.domain.flight.load import (
    RING_SAMPLES,
    HostLimits,
    document_bytes,
)
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, TriggerKind

FIXES_PER_FRAME = 1
"""Fixes that must fall into a frame beside the time that a reading is uncertain by: the
counter is latched at some instant of an exchange."""

VAGUE_STEPS = 2
"""Steps that fixes tell a place to at worst: a counter's rounding on either side."""

AIM_STEPS = 4
"""Steps between two places to aim at: what is off by a quarter of this way is late, and
a prediction may be off by a step."""

_ROUNDING = 1e-8
"""Relative difference of numbers that mean the same: what is suggested is rounded."""

_PULSE_EXCHANGES = {TriggerKind.SYNC_OUTPUT: 9, TriggerKind.DIGITAL_OUTPUT: 3}
"""Time that a frame's pulse takes on the link, in times of a position query.

Off, count, on, status, and queries to see the centre passed; or on, off and a query,
or the same time kept free. The commands of the former are longer than a query, which
matters on a slow line. The engine's tests fly frames as short as these
(``rust/aefi-scan-engine/tests/wires.rs``).
"""


_LEAST_EXCHANGES = 2
"""No pulse takes less: on and off."""


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
    yield from _aim_violations(spec, bench)
    yield from _stall_violations(spec, bench, host)
    yield from _memory_violations(spec, host)


def reading_limit_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the speed at which a frame meets just enough readings."""
    limit = _reading_room_mm(spec, bench) / readings_s(spec, bench)
    return whole_up_to(limit, spec, bench)


def fix_limit_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the speed at which just enough fixes tell the frame of a reading."""
    fixes_s = FIXES_PER_FRAME / bench.link.fix_rate_hz
    room_mm = _room_mm(spec, bench, VAGUE_STEPS)
    lost, usual = (
        room_mm / (uncertain_s(spec, bench, lost_ticks=ticks) + fixes_s)
        for ticks in (1, 0)
    )
    limit = max(lost, min(usual, _sparing_mm_per_s(spec, bench)))
    return whole_up_to(limit, spec, bench)


def _sparing_mm_per_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return up to which speed a frame can spare the reading that lost a tick."""
    readings = spec.min_readings_per_frame + 1
    spared_s = readings / reading_rate_hz(spec, bench) + bench.detector.latency_tick_s
    return _reading_room_mm(spec, bench) / spared_s


def _reading_room_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the way in a frame for its readings, in mm."""
    return _room_mm(spec, bench, _reading_steps(spec))


def _reading_steps(spec: FlyScanSpec) -> int:
    """Return the steps that a frame's readings may be off by.

    Its edges are known to half a step each, a place that is aimed at to one.
    """
    is_aimed = spec.trigger.kind is TriggerKind.POSITIONS
    return 1 + (spec.min_readings_per_frame if is_aimed else 0)


def _room_mm(spec: FlyScanSpec, bench: BenchDescription, steps: int) -> float:
    """Return the way in a frame less so many steps, in mm."""
    fast = spec.effective_fast_axis
    return max(spec.pitch_mm(fast) - steps * bench.axis(fast).mm_per_step, 0.0)


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
    """Yield that too few readings are certain to lie in a frame."""
    speed, needed_s = flown_mm_per_s(spec, bench), readings_s(spec, bench)
    needed, room_s = spec.min_readings_per_frame, _reading_room_mm(spec, bench) / speed
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    found, steps = room_s / needed_s * needed, _reading_steps(spec)
    if found < needed * (1 - _ROUNDING):
        hopeless_s = _hopeless_s(spec, bench) - (pitch / speed - room_s)
        yield Violation(
            "readings per frame",
            found,
            needed,
            "readings",
            f"{found:.3g} readings are sure to fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s, {_in_words(steps)} subtracted for the "
            f"uncertain edges; needed: {needed}, which may take {needed_s:.3g} s",
            slower(reading_limit_mm_per_s(spec, bench), spec, bench),
            guard=needed * (1 - hopeless_s / needed_s),
        )


def _in_words(steps: int) -> str:
    return "a step" if steps == 1 else f"{steps} steps"


def _hopeless_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return how short a frame is certain to have too few readings, in s.

    A window of n frames has at most one reading more than fit into it, and each may
    come as early as its conversions end.
    """
    n_frames = spec.count_along(spec.effective_fast_axis)
    fastest_s = fastest_reading_s(spec, bench)
    if spec.trigger.kind is TriggerKind.PERIODIC:
        fastest_s = max(fastest_s, spec.trigger.period_s)
    return (spec.min_readings_per_frame - 1 / n_frames) * fastest_s


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
            Change(
                "trigger.kind", tuple(each.value for each in able), "", "use one of {}"
            ),
        )
    yield from _pulse_violations(spec, bench)
    if kind is TriggerKind.PERIODIC:
        shortest_s = slowest_reading_s(spec, bench)
        if spec.trigger.period_s < shortest_s * (1 - _ROUNDING):
            yield Violation(
                "trigger period",
                spec.trigger.period_s,
                shortest_s,
                "s",
                f"a reading each {spec.trigger.period_s:g} s is faster than the "
                f"detector, which takes {shortest_s:.3g} s for one",
                Change(
                    "trigger.period_s",
                    float(f"{shortest_s:.9g}"),
                    "s",
                    "use a period of {:.9g} s or more",
                ),
                guard=shortest_s - fastest_reading_s(spec, bench),
            )


def _pulse_violations(
    spec: FlyScanSpec, bench: BenchDescription
) -> Iterator[Violation]:
    kind, speed = spec.trigger.kind, flown_mm_per_s(spec, bench)
    exchanges = _PULSE_EXCHANGES.get(kind, 0)
    exchange_s = 1 / bench.link.fix_rate_hz
    pitch, seen = spec.pitch_mm(spec.effective_fast_axis), _seen_mm(spec, bench)
    found_s, needed_s = seen / speed, exchanges * exchange_s
    if found_s < needed_s * (1 - _ROUNDING):
        hopeless_s = _LEAST_EXCHANGES * exchange_s - (pitch - seen) / speed
        yield Violation(
            "time for pulses",
            found_s,
            needed_s,
            "s",
            f"a frame of {pitch:g} mm leaves {max(found_s, 0.0):.3g} s for its pulse "
            f"at {spec.speed_mm_per_s:g} mm/s; a pulse by {kind.value} "
            f"needs {needed_s:.3g} s on the link",
            slower(max(seen, 0.0) / needed_s, spec, bench),
            guard=needed_s - hopeless_s,
        )


def _seen_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return what of a frame is left when its pulse is known to be over, in mm.

    A position is known to a step, two pulses stand whole counts apart, and one has
    passed half a count and a step behind.
    """
    fast = spec.effective_fast_axis
    step, pitch = bench.axis(fast).mm_per_step, spec.pitch_mm(fast)
    if spec.trigger.kind is not TriggerKind.SYNC_OUTPUT:
        return pitch
    steps, count = pitch / step, bench.wiring.encoder_pulses_per_count
    if count:
        steps = math.floor(steps / count + _ROUNDING) * count
    return (steps - 3 - count / 2) * step


def _fix_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield that the fixes are too few to tell a reading's frame.

    A reading counts if the interval of its place is narrower than a frame. What is
    known of its instant is the request's and the reply's, less the integration; what
    is known of the place at these, the fixes around them, to two steps and to what
    passes in an exchange. One that has lost a tick may be spared.
    """
    speed, rate = flown_mm_per_s(spec, bench), bench.link.fix_rate_hz
    spares = speed <= _sparing_mm_per_s(spec, bench) * (1 + _ROUNDING)
    uncertain = uncertain_s(spec, bench, lost_ticks=0 if spares else 1)
    pitch = spec.pitch_mm(spec.effective_fast_axis)
    blur_s = uncertain + VAGUE_STEPS * _step_s(spec, bench)
    found = (pitch / speed - blur_s) * rate
    if found < FIXES_PER_FRAME * (1 - _ROUNDING):
        hopeless = (_least_uncertain_s(spec, bench) - blur_s) * rate
        yield Violation(
            "fixes per frame",
            found,
            FIXES_PER_FRAME,
            "fixes",
            f"{max(found, 0.0):.3g} fixes fall into a frame of {pitch:g} mm at "
            f"{spec.speed_mm_per_s:g} mm/s and {rate:.4g} fixes/s, two steps and "
            f"{uncertain * 1000:.3g} ms subtracted for the uncertain place and time of "
            f"a reading; {FIXES_PER_FRAME} is needed to tell the frame of a reading",
            slower(fix_limit_mm_per_s(spec, bench), spec, bench),
            guard=FIXES_PER_FRAME - hopeless,
        )


def _step_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    fast = spec.effective_fast_axis
    return bench.axis(fast).mm_per_step / flown_mm_per_s(spec, bench)


def _least_uncertain_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return what is not known of a reading's instant at best, in s.

    The wire time of its bytes is known, all of it at most.
    """
    known_s = integration_s(spec, bench) + bench.detector.exchange_s
    return max(fastest_reading_s(spec, bench) - known_s, 0.0)


def _aim_violations(spec: FlyScanSpec, bench: BenchDescription) -> Iterator[Violation]:
    """Yield that places aimed at lie closer than the prediction of the way is good."""
    fast, kind = spec.effective_fast_axis, spec.trigger.kind
    if kind not in AIMED:
        return
    shots = spec.min_readings_per_frame if kind is TriggerKind.POSITIONS else 1
    found, limit = spec.pitch_mm(fast) / shots, AIM_STEPS * bench.axis(fast).mm_per_step
    if found < limit * (1 - _ROUNDING):
        low, high = spec.zone.along(fast)
        frames = int((high - low) / (limit * shots)) + 1
        words = f"use {{}} frames at most in a line along {fast}"
        yield Violation(
            "aim",
            found,
            limit,
            "mm",
            f"places to aim at lie {found:.3g} mm apart; at least {AIM_STEPS} steps "
            f"({limit:.3g} mm) are needed, because the way is predicted to a step",
            Change(f"n_{fast}", frames, "frames", words)
            if frames > 1
            else f"use a longer line along {fast}, or ask for fewer readings",
            guard=limit,
        )


def _stall_violations(
    spec: FlyScanSpec, bench: BenchDescription, host: HostLimits
) -> Iterator[Violation]:
    """Both rings must bear a consumer that takes nothing for a while."""
    most = RING_SAMPLES / host.stall_s
    changes: dict[str, Change | str] = {
        "readings": Change(
            "trigger.period_s",
            1 / most,
            "s",
            "use a periodic trigger with a period of {:.12g} s or more",
        ),
        "fixes": "no change of the scan spec helps: allow a shorter stall",
    }
    rates = {"readings": reading_rate_hz(spec, bench), "fixes": bench.link.fix_rate_hz}
    for samples, rate in rates.items():
        if rate > most * (1 + _ROUNDING):
            yield Violation(
                f"stalled {samples}",
                RING_SAMPLES / rate,
                host.stall_s,
                "s",
                f"the engine holds {RING_SAMPLES} {samples}: at {rate:.6g}/s some are "
                f"lost if no program takes them for {RING_SAMPLES / rate:.3g} s, but a "
                f"stall of {host.stall_s:g} s must lose none",
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
            f"but the memory for them is {limit / 1e6:.6g} MB",
            Change(f"n_{slow}", rows, "lines", f"fly {{}} {what} at most along {slow}")
            if rows
            else "no number of lines fits: use fewer frames in a line, or more memory",
        )
