"""The way a line takes beside its window."""

from __future__ import annotations

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, TriggerKind

MARGIN_STEPS = 2
"""Room between ramp and window, in steps, beside the way of some fix periods."""

SETTLING_FIXES = 16
"""Fixes at speed after which the engine predicts the way well enough to aim by it: its
filter follows a cruise within a step after ten, and a status and a full position query
may take the time of four."""

AIMED = TriggerKind.POSITIONS, TriggerKind.DIGITAL_OUTPUT
"""Triggers that the host aims by a prediction of the way."""


def approach_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the way from rest to the window, in mm: the ramp and a margin."""
    speed = spec.speed_mm_per_s
    step = bench.axis(spec.effective_fast_axis).mm_per_step
    fixes = SETTLING_FIXES if spec.trigger.kind in AIMED else 2
    margin = MARGIN_STEPS * step + fixes * speed / bench.link.fix_rate_hz
    motion = bench.motion_along(spec.effective_fast_axis)
    return motion.ramp_length_mm(speed) + margin
