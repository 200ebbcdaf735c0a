"""Ophyd devices of the bench."""

from aefi_bluesky.devices.bench_constants import BenchConstants
from aefi_bluesky.devices.excitation_state import ExcitationState
from aefi_bluesky.devices.flyer import AefiFlyer

__all__ = ["AefiFlyer", "BenchConstants", "ExcitationState"]
