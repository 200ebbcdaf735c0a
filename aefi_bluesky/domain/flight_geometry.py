"""The way a line takes beside its window."""

from __future__ import annotations

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.scan_spec import FlyScanSpec

MARGIN_STEPS = 2
"""Room between ramp and window, in steps, beside the way of two fix periods."""


def approach_mm(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the way from rest to the window, in mm: the ramp and a margin."""
    speed = spec.speed_mm_per_s
    step = bench.axis(spec.effective_fast_axis).mm_per_step
    margin = MARGIN_STEPS * step + 2 * speed / bench.link.fix_rate_hz
    return bench.motion.ramp_length_mm(speed) + margin
