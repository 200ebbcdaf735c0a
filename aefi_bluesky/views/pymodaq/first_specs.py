"""The spec that a form shows before anybody has typed."""

from __future__ import annotations

from typing import Any

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.spec.excitation import Excitation, ExcitationMode
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Pattern, Zone
from aefi_bluesky.domain.spec.formats import ScanSpec, SpecKind
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)

_SPAN_MM = 40.0
_FRAMES = 17
_SPEED_MM_PER_S = 32.7
_N_AVG = 10
_SETTLE_S = 0.05


def first_spec(kind: SpecKind, bench: BenchDescription) -> ScanSpec:
    """Return a small scan in the middle of a bench, of the kind that is asked for.

    Parameters
    ----------
    kind
        What it is a spec of.
    bench
        The bench, with its travel.
    """
    x_mm, y_mm = (
        (axis.travel_min_mm + axis.travel_max_mm) / 2 for axis in (bench.x, bench.y)
    )
    how: dict[str, Any] = {
        "n_avg": _N_AVG,
        "excitation": Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0),
    }
    grid: dict[str, Any] = {
        "zone": Zone.centred(x_mm, y_mm, _SPAN_MM, _SPAN_MM),
        "n_x": _FRAMES,
        "n_y": _FRAMES,
        "pattern": Pattern.SERPENTINE,
        "fast_axis": "y",
    }
    place: dict[str, Any] = {"x_mm": x_mm, "y_mm": y_mm, "settle_s": _SETTLE_S}
    if kind is SpecKind.FLY_MAP:
        return FlyScanSpec(**grid, **how, speed_mm_per_s=_SPEED_MM_PER_S)
    if kind is SpecKind.STEP_MAP:
        return StepMapSpec(**grid, **how, settle_s=_SETTLE_S)
    if kind is SpecKind.POINT:
        return PointSpec(**place, **how, readings=10)
    if kind is SpecKind.TIME_SERIES:
        return TimeSeriesSpec(**place, **how, count=100)
    return FrequencySequenceSpec(**place, **how, frequencies_hz=(500.0, 1000.0, 2000.0))
