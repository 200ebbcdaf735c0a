"""Ophyd devices of the bench."""

from aefi_bluesky.devices.bench_calibration import BenchCalibration
from aefi_bluesky.devices.bench_constants import BenchConstants
from aefi_bluesky.devices.bench_meter import BenchMeter
from aefi_bluesky.devices.excitation_source import ExcitationSource
from aefi_bluesky.devices.field_sensor import FieldSensor
from aefi_bluesky.devices.flyer import AefiFlyer
from aefi_bluesky.devices.nested_flyer import NestedFlyer
from aefi_bluesky.devices.stage_axis import StageAxis
from aefi_bluesky.devices.step_record import StepRecord

__all__ = [
    "AefiFlyer",
    "BenchCalibration",
    "BenchConstants",
    "BenchMeter",
    "ExcitationSource",
    "FieldSensor",
    "NestedFlyer",
    "StageAxis",
    "StepRecord",
]
