"""Bluesky plans of the bench."""

from aefi_bluesky.plans.calibrate import calibrate_lag
from aefi_bluesky.plans.characterise import characterise_bench
from aefi_bluesky.plans.differential import differential_map
from aefi_bluesky.plans.fly import fly_map
from aefi_bluesky.plans.line import fly_line
from aefi_bluesky.plans.step import (
    frequency_sequence,
    measure_point,
    step_map,
    time_series,
)
from aefi_bluesky.plans.stubs import fly_in_run, fly_lines
from aefi_bluesky.plans.study import study_plan

__all__ = [
    "calibrate_lag",
    "characterise_bench",
    "differential_map",
    "fly_in_run",
    "fly_line",
    "fly_lines",
    "fly_map",
    "frequency_sequence",
    "measure_point",
    "step_map",
    "study_plan",
    "time_series",
]
