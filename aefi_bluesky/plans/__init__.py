"""Bluesky plans of the bench."""

from aefi_bluesky.plans.characterise import characterise_bench
from aefi_bluesky.plans.fly import fly_map
from aefi_bluesky.plans.line import fly_line
from aefi_bluesky.plans.stubs import fly_in_run, fly_lines

__all__ = [
    "characterise_bench",
    "fly_in_run",
    "fly_line",
    "fly_lines",
    "fly_map",
]
