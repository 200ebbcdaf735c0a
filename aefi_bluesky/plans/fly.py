"""Maps that are flown."""

import contextlib
import json
from collections.abc import Callable
from typing import Any, Literal

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import (
    IllegalMessageSequence,
    MsgGenerator,
    RunEngineControlException,
)

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.errors import ScanAbortedError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Pattern, Zone
from aefi_bluesky.plans.device_names import FLYERS, device_names
from aefi_bluesky.plans.parameters import (
    ExcitationName,
    TriggerName,
    how_to_fly,
    plan_arguments,
)
from aefi_bluesky.plans.stubs import fly_to_results


@device_names(flyer=FLYERS)
def fly_map(
    flyer: AefiFlyer,
    x_min_mm: float,
    x_max_mm: float,
    n_x: int,
    y_min_mm: float,
    y_max_mm: float,
    n_y: int,
    speed_mm_per_s: float = 32.7,
    pattern: Literal["serpentine", "raster", "comb"] = "serpentine",
    fast_axis: Literal["x", "y"] = "y",
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
    """Fly a map line by line.

    The excitation is on for the flight and off when it is over.

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
        ``serpentine``: even lines ascend, odd ones descend. ``raster``: all ascend.
        ``comb``: as raster, and the fast axis is y.
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
    min_readings_per_frame
        Readings that a frame needs to be ok.
    allowed_bad_frames
        Frames that need not be ok in a successful run.
    gap_fill_passes
        Extra passes over frames that are not ok, at most; 0 to 10.
    trigger
        What decides when a reading is taken. ``free-running``: one after the other.
        ``periodic``: one every `trigger_period_s`. ``positions``: at predicted places
        spaced evenly in each frame. The other kinds need wiring (``[wiring]`` in the
        bench file); without it they are refused by name. They serve another detector;
        our own detector is then free-running. ``sync-output`` and ``digital-output``
        give the other detector a pulse at the centre of each frame, ``latch`` keeps
        the position at the edges of the other detector's signal.
    trigger_period_s
        Time from one reading to the next, in s; only for ``periodic``.
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
        **how_to_fly(arguments),
    )
    return (yield from fly_spec(flyer, spec, md, "fly_map", arguments))


def fly_spec(
    flyer: AefiFlyer,
    spec: FlyScanSpec,
    md: dict[str, Any] | None = None,
    plan_name: str = "fly_map",
    plan_args: dict[str, Any] | None = None,
    then: Callable[[str, FlightPlan], MsgGenerator[None]] | None = None,
) -> MsgGenerator[str]:
    """Fly the map of a spec, as a run of its own; see `fly_map`.

    Parameters
    ----------
    flyer
        The flyer.
    spec
        The map to fly.
    md, plan_name, plan_args, then
        As in `fly_plan`.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    InfeasibleScanError
        If the bench can't fly it; the error has every reason. Nothing has moved.
    """
    plan = flyer.plan(spec)
    return (yield from fly_plan(flyer, plan, md, plan_name, plan_args, then))


def fly_plan(
    flyer: AefiFlyer,
    plan: FlightPlan,
    md: dict[str, Any] | None = None,
    plan_name: str = "fly_map",
    plan_args: dict[str, Any] | None = None,
    then: Callable[[str, FlightPlan], MsgGenerator[None]] | None = None,
) -> MsgGenerator[str]:
    """Fly a plan as it is, as a run of its own.

    Parameters
    ----------
    flyer
        The flyer.
    plan
        The plan to fly. It is not checked again: whoever made it has checked that the
        bench can fly it.
    md
        More metadata for the start document.
    plan_name, plan_args
        The plan and its arguments by name, for the start document; without
        arguments the start document has the spec only.
    then
        Called with the run's uid and the plan that was flown, after a flight that
        succeeded and before its run is closed. Not called by a simulator.

    Returns
    -------
    str
        The run's uid.
    """
    told: dict[str, Any] = {"plan_name": plan_name}
    if plan_args is not None:
        told["plan_args"] = plan_args

    def prepared_run() -> MsgGenerator[str]:
        # ophyd's status does not meet bluesky's protocol of one, by type.
        yield from bps.prepare(flyer, plan, wait=True)  # pyright: ignore[reportArgumentType]
        # Nothing is replayed after a pause: a second baseline or map would come of it.
        return (yield from bpp.rewindable_wrapper(run(), False))

    def run() -> MsgGenerator[str]:
        uid = yield from bpp.contingency_wrapper(
            bps.open_run({**told, **start_document(flyer, plan), **(md or {})}),
            except_plan=close_interrupted,
        )
        yield from bpp.contingency_wrapper(
            fly_and_then(uid), except_plan=close_failed, else_plan=bps.close_run
        )
        return uid

    def fly_and_then(uid: str) -> MsgGenerator[None]:
        yield from fly_to_results(flyer)
        if then is not None and flyer.results is not None:
            yield from then(uid, plan)

    def close_interrupted(error: Exception) -> MsgGenerator[None]:
        # The run is open if it was asked to end, in the first baseline.
        if isinstance(error, RunEngineControlException):
            yield from close_failed(error)

    def close_failed(error: Exception) -> MsgGenerator[None]:
        # What was cut off between create and save is in the way of the last baseline.
        with contextlib.suppress(IllegalMessageSequence):
            yield from bps.drop()
        asked = isinstance(error, RunEngineControlException)
        yield from bps.close_run(
            exit_status="abort" if asked else "fail", reason=reason_of(flyer, error)
        )

    return (yield from bpp.stage_wrapper(prepared_run(), [flyer]))


def start_document(flyer: AefiFlyer, plan: FlightPlan) -> dict[str, Any]:
    """Return what the start document says of the flight, whatever plan flies it.

    Parameters
    ----------
    flyer
        The flyer.
    plan
        What is flown.
    """
    spec = plan.spec
    return {
        "detectors": [flyer.name],
        "num_points": plan.n_frames,
        "shape": [spec.n_y, spec.n_x],
        "extents": [list(spec.zone.along("y")), list(spec.zone.along("x"))],
        "hints": {"dimensions": [[["line"], "lines"]]},
        "scan_spec": spec.to_plain(),
        "flight_plan": {
            "sha256": plan.digest,
            "lines": len(plan.lines),
            "frames": plan.n_frames,
            "estimated_duration_s": plan.duration_s,
            "estimated_duration_error_s": plan.duration_error_s,
        },
        "bench": flyer.bench.to_plain(),
    }


def results_since(flyer: AefiFlyer, before: ScanResults | None) -> ScanResults:
    """Return the results of a plan's flight; the plan may have been interrupted.

    Parameters
    ----------
    flyer
        The flyer of the plan.
    before
        Results of the flyer before the plan.

    Raises
    ------
    ScanAbortedError
        If no flight has ended since.
    """
    results = flyer.results
    if results is None or results is before:
        raise ScanAbortedError("the scan was interrupted before its flight began")
    return results


def reason_of(flyer: AefiFlyer, error: Exception) -> str:
    """Return why a run is no success, as JSON, for its stop document.

    Parameters
    ----------
    flyer
        The flyer of the plan.
    error
        What ended the plan.
    """
    reason: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    results = flyer.results
    if results is not None:
        reason["state"] = results.state.value
        reason["cause"] = results.cause
        reason["frames"] = {state.value: results.frames[state] for state in FrameState}
    return json.dumps(reason)
