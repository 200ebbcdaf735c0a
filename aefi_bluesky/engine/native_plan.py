"""A flight plan in millimetres to one in steps: here, and only here, steps begin."""

from __future__ import annotations

import numpy as np

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.spec.fly_spec import AxisName, TriggerKind
from aefi_bluesky.engine import _native
from aefi_bluesky.engine.excitation_registers import (
    converter_writes,
    excitation_writes,
    off_writes,
)


def mm_per_step(bench: BenchDescription, axis: AxisName) -> float:
    """Return the way of one step of `axis`, in mm."""
    description = bench.x if axis == "x" else bench.y
    return description.um_per_step / 1000


def _trigger_number(plan: FlightPlan, bench: BenchDescription) -> float:
    """Return what the engine must know of a trigger beside its name."""
    match plan.spec.trigger.kind:
        case TriggerKind.PERIODIC:
            return round(plan.spec.trigger.period_s * 1e9)
        case TriggerKind.SYNC_OUTPUT:
            return bench.wiring.encoder_pulses_per_count
        case TriggerKind.DIGITAL_OUTPUT:
            return bench.wiring.digital_output
        case _:
            return 0


def to_native(plan: FlightPlan, bench: BenchDescription) -> _native.FlightPlan:
    """Return `plan` in the engine's units.

    Raises
    ------
    InvalidScanSpecError
        If a line's stations are not in order once they are rounded to steps.
    """
    fast = mm_per_step(bench, plan.fast_axis)
    slow = mm_per_step(bench, plan.slow_axis)
    stations = [
        (
            round(line.slow_mm / slow),
            round(line.start_mm / fast),
            round(line.end_mm / fast),
            line.n_frames,
            line.muted,
        )
        for line in plan.lines
    ]
    windows = [
        (line.window_start_mm / fast, line.window_stop_mm / fast) for line in plan.lines
    ]
    return _native.FlightPlan(
        fast_axis=plan.fast_axis,
        speed=round(plan.speed_mm_per_s / fast),
        positioning_speed=round(plan.positioning_speed_mm_per_s / fast),
        start_speed=round(plan.start_speed_mm_per_s / fast),
        ramp_ms=round(plan.ramp_s * 1000),
        stations=np.array(stations, dtype=np.int64).reshape(-1, 5),
        windows=np.array(windows, dtype=np.float64).reshape(-1, 2),
        averaging=plan.spec.n_avg,
        min_readings=plan.spec.min_readings_per_frame,
        extra_passes=plan.spec.gap_fill_passes,
        lag_ns=round(bench.detector.lag_s * 1e9),
        trigger=(plan.spec.trigger.kind.value, _trigger_number(plan, bench)),
        excitation=[
            *converter_writes(bench.detector),
            *excitation_writes(plan.spec.excitation),
        ],
        excitation_off=off_writes(),
    )
