"""Bluesky plans of the bench."""

from aefi_bluesky.plans.characterise import characterise_bench
from aefi_bluesky.plans.fly import fly_map
from aefi_bluesky.plans.stubs import fly_lines

__all__ = ["characterise_bench", "fly_lines", "fly_map"]
