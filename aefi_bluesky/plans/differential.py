"""Maps flown with and without excitation, line by line."""

from typing import Any, Literal

from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Pattern, Zone
from aefi_bluesky.plans.device_names import FLYERS, device_names
from aefi_bluesky.plans.fly import fly_spec
from aefi_bluesky.plans.parameters import (
    ExcitationName,
    excitation_of,
    plan_arguments,
)


@device_names(flyer=FLYERS)
def differential_map(
    flyer: AefiFlyer,
    x_min_mm: float,
    x_max_mm: float,
    n_x: int,
    y_min_mm: float,
    y_max_mm: float,
    n_y: int,
    speed_mm_per_s: float = 32.7,
    pattern: Literal["serpentine", "raster", "comb"] = "raster",
    fast_axis: Literal["x", "y"] = "y",
    n_avg: int = 10,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    repeats: int = 1,
    min_readings_per_frame: int = 1,
    allowed_bad_frames: int = 0,
    gap_fill_passes: int = 0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Fly each line of a map twice: with the excitation on, then with it off.

    So the drifting background, which is there without excitation too, is measured one
    line later and not one map later. The stream ``maps`` has the driven images as
    ``map_x_I`` and so on, and the images without excitation as ``map_x_I_muted``.

    Parameters
    ----------
    flyer
        The flyer.
    x_min_mm, x_max_mm, y_min_mm, y_max_mm
        Centres of the outer frames, in mm.
    n_x, n_y
        Frames along each axis; both ends are included.
    speed_mm_per_s
        Speed in the lines, in mm/s.
    pattern
        As in `fly_map`. In a ``raster`` both lines go the same way, and a lag that is
        not corrected is the same in both.
    fast_axis
        The axis that moves in the lines.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation_mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        Frequency of the excitation, in Hz.
    repeats
        How often each pair of lines is flown.
    min_readings_per_frame
        Readings that a frame needs to be ok.
    allowed_bad_frames
        Frames that need not be ok in a successful run.
    gap_fill_passes
        Extra passes over frames that are not ok, at most; 0 to 10.
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
    spec = FlyScanSpec(
        zone=Zone(x_min_mm, x_max_mm, y_min_mm, y_max_mm),
        n_x=n_x,
        n_y=n_y,
        pattern=Pattern(pattern),
        fast_axis=fast_axis,
        speed_mm_per_s=speed_mm_per_s,
        n_avg=n_avg,
        excitation=excitation_of(arguments),
        min_readings_per_frame=min_readings_per_frame,
        allowed_bad_frames=allowed_bad_frames,
        gap_fill_passes=gap_fill_passes,
        repeats=repeats,
        differential=True,
    )
    return (yield from fly_spec(flyer, spec, md, "differential_map", arguments))
