"""The lag of readings, measured and used."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

from typing import Any, Literal

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import MsgGenerator
from ophyd import Signal

from aefi_bluesky.devices import AefiFlyer, BenchCalibration
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.lag import LagEstimate, estimate_lag
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.plans.device_names import FLYERS, MOVERS, device_names
from aefi_bluesky.plans.fly import fly_spec
from aefi_bluesky.plans.parameters import (
    ExcitationName,
    excitation_of,
    plan_arguments,
)

_CERTAIN = 3
"""Standard errors that a lag below zero may be due to chance."""


@device_names(flyer=FLYERS, calibration=MOVERS)
def calibrate_lag(
    flyer: AefiFlyer,
    calibration: BenchCalibration,
    slow_mm: float,
    fast_min_mm: float,
    fast_max_mm: float,
    n_frames: int = 81,
    fast_axis: Literal["x", "y"] = "y",
    speed_mm_per_s: float = 32.7,
    there_and_back: int = 2,
    n_avg: int = 10,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Fly a line there and back, and use the lag at which both ways agree.

    The lag is that of the lock-in and of the link together: because of it, a reading
    shows the field at a place that the stage has already left. From now on, flights
    correct the places of their readings by this lag, in later sessions too. Choose a
    line along which the field changes.

    Parameters
    ----------
    flyer
        The flyer.
    calibration
        The device that stores the lag.
    slow_mm
        Where the other axis rests, in mm.
    fast_min_mm, fast_max_mm
        Centres of the first and the last frame, in mm.
    n_frames
        Frames of the line.
    fast_axis
        The axis that moves.
    speed_mm_per_s
        Speed in the line, in mm/s. The faster the line, the better the lag is known.
    there_and_back
        How often the line is flown there and back.
    n_avg
        Conversions averaged into a reading, 1 to 127. The lag is valid for this number.
    excitation_mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        Frequency of the excitation, in Hz.
    md
        More metadata for the start document.

    Returns
    -------
    str
        The run's uid. The stream ``lag`` of the run has the results.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong, the field changes too little along the line, or the lag
        found is below 0. The old lag is kept.
    InfeasibleScanError
        If the bench can't fly it; the error has every reason. Nothing has moved.
    """
    arguments = plan_arguments(locals())
    spec = FlyScanSpec.calibration_line(
        fast_axis,
        there_and_back=there_and_back,
        at_mm=slow_mm,
        from_mm=fast_min_mm,
        to_mm=fast_max_mm,
        n_frames=n_frames,
        speed_mm_per_s=speed_mm_per_s,
        n_avg=n_avg,
        excitation=excitation_of(arguments),
    )

    def use(uid: str, plan: FlightPlan) -> MsgGenerator[None]:
        used_s = flyer.bench.detector.lag_s
        found = _lag_of(flyer, plan)
        lag_s = _whole_lag_s(used_s, found)
        yield from _record(
            lag_s=lag_s,
            lag_error_s=found.error_s,
            lag_before_s=used_s,
            zigzag_before_mm=found.zigzag_mm,
        )
        lag.append({"run": uid, "lag_s": lag_s})

    lag: list[dict[str, Any]] = []
    uid = yield from fly_spec(flyer, spec, md, "calibrate_lag", arguments, then=use)
    for measured in lag:  # none where nothing is carried out: bluesky's simulators
        yield from bps.mv(calibration, measured)
    return uid


def _lag_of(flyer: AefiFlyer, plan: FlightPlan) -> LagEstimate:
    """Return what the flyer's last flight tells beside the lag it was corrected by."""
    direction = np.array(
        [np.sign(line.window_stop_mm - line.window_start_mm) for line in plan.lines]
    )
    lines = flyer.column_of("line").astype(np.int64)
    return estimate_lag(
        flyer.column_of(plan.fast_axis),
        np.stack([flyer.column_of(channel) for channel in CHANNELS], axis=1),
        direction[lines] * plan.speed_mm_per_s,
    )


def _whole_lag_s(used_s: float, found: LagEstimate) -> float:
    lag_s = used_s + found.lag_s
    if lag_s < -_CERTAIN * found.error_s:
        raise InvalidScanSpecError(
            f"the lag must not be below 0 ms, was {lag_s * 1e3:.3g} ms with a standard "
            f"error of {found.error_s * 1e3:.3g} ms: readings would show the field of "
            "a later place; check the scale of the axis (um_per_step)"
        )
    return max(lag_s, 0.0)


def _record(**values: float) -> MsgGenerator[None]:
    yield from bps.create("lag")
    for name, value in values.items():
        yield from bps.read(Signal(name=name, value=float(value)))
    yield from bps.save()
