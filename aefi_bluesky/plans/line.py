"""Single lines that are flown."""

from typing import Any, Literal

from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Pattern, Zone
from aefi_bluesky.plans.device_names import FLYERS, device_names
from aefi_bluesky.plans.fly import fly_spec
from aefi_bluesky.plans.parameters import (
    ExcitationName,
    TriggerName,
    how_to_fly,
    plan_arguments,
)


@device_names(flyer=FLYERS)
def fly_line(
    flyer: AefiFlyer,
    slow_mm: float,
    fast_min_mm: float,
    fast_max_mm: float,
    n_frames: int,
    fast_axis: Literal["x", "y"] = "y",
    speed_mm_per_s: float = 32.7,
    n_avg: int = 10,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    min_readings_per_frame: int = 1,
    allowed_bad_frames: int = 0,
    gap_fill_passes: int = 0,
    trigger: TriggerName = "free-running",
    trigger_period_s: float = 0.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Fly one line: a map with one position of the slow axis, ascending.

    Streams and data keys are those of `fly_map`.

    Parameters
    ----------
    flyer
        The flyer.
    slow_mm
        Where the other axis rests, in mm.
    fast_min_mm, fast_max_mm
        Centres of the first and the last frame, in mm.
    n_frames
        Frames of the line; both ends are included.
    fast_axis
        The axis that moves.
    speed_mm_per_s
        Speed in the line, in mm/s.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation_mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        Frequency of the excitation, in Hz.
    min_readings_per_frame
        Readings that a frame needs to be ok.
    allowed_bad_frames
        Frames that need not be ok in a successful run.
    gap_fill_passes
        Extra passes over frames that are not ok, at most; 0 to 10.
    trigger, trigger_period_s
        What decides when a reading is taken; see `fly_map`.
    md
        More metadata for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    InfeasibleScanError
        If the bench can't fly it; the error has every reason. Nothing has moved.
    """
    arguments = plan_arguments(locals())
    fast, slow = (fast_min_mm, fast_max_mm), (slow_mm, slow_mm)
    along_x = fast_axis == "x"
    spec = FlyScanSpec(
        zone=Zone(*fast, *slow) if along_x else Zone(*slow, *fast),
        n_x=n_frames if along_x else 1,
        n_y=1 if along_x else n_frames,
        pattern=Pattern.RASTER,
        fast_axis=fast_axis,
        **how_to_fly(arguments),
    )
    return (yield from fly_spec(flyer, spec, md, "fly_line", arguments))
