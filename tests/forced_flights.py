"""Flies plans, refused ones too, and judges them by what the simulated bench did.

The judge asks the truth of the simulated bench, its controller and the ledger of the
flight; it shares no code with the rules that accept and refuse.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from random_cases import Case
from simulator_log import SimulatorLog

from aefi_bluesky.domain.errors import InvalidScanSpecError, ScanPortError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import compile_flight
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.spec.fly_spec import TriggerKind
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.simulated import simulated_bench
from aefi_bluesky.views.recorder import Columns, Recorder
from aefi_bluesky.views.truth import Truth

SAME = 1e-6
"""Relative difference, or part of a step, that is none."""

PULSES = TriggerKind.SYNC_OUTPUT, TriggerKind.DIGITAL_OUTPUT


@dataclass(frozen=True, slots=True)
class Flown:
    """A flight that was flown to its end, and what happened.

    Parameters
    ----------
    plan, results
        What was flown and how it ended.
    lines
        Columns of `LineChunk`.
    began_ns
        Start of the flight on the clock of the truth.
    log, conversions
        What the bench did; starts of readings' integrations, in ns.
    """

    plan: FlightPlan
    results: ScanResults
    lines: Columns
    began_ns: int
    log: SimulatorLog
    conversions: np.ndarray


def fly(case: Case, folder: Path) -> Flown | str:
    """Fly a case, whether it is feasible or not; the refusal if engine or bench do."""
    virtual = simulated_bench(case.configuration, case.settings)
    connection = VirtualConnection(case.configuration.links(), virtual)
    port, recorder = RustScanAdapter(case.bench, connection), Recorder()
    plan = compile_flight(case.spec, case.bench, rests_at=resting_place(case))
    try:
        flight = port.start_scan(plan, recorder)
        while not flight.is_over:
            flight.wait(5e-4)  # a long flight fills its rings
        results = flight.wait()
    except (InvalidScanSpecError, ScanPortError, ValueError) as refusal:
        return str(refusal)
    assert results is not None
    virtual.write_truth(path := folder / "truth.jsonl")
    return Flown(
        plan=plan,
        results=results,
        lines=recorder.columns("lines"),
        began_ns=flight.began_ns,
        log=SimulatorLog.read(path),
        conversions=Truth.read(path).conversions[:, 0],
    )


def resting_place(case: Case) -> tuple[float, float]:
    """Where a simulated bench rests before, in mm."""
    x, y = (
        (axis.travel_min_mm + axis.travel_max_mm) / 2
        for axis in (case.bench.x, case.bench.y)
    )
    return x, y


def broken_promises(flown: Flown | str, case: Case) -> set[str]:
    """Return what of a flight was not as it was asked for or allowed."""
    if isinstance(flown, str):
        return {"refused"}
    promises = {
        "refused": flown.results.state is ScanState.COMPLETED
        and not any(flown.results.anomalies.values()),
        "lost": not any(flown.results.n_lost.values()),
        "frames": flown.results.frames[FrameState.OK] == flown.plan.n_frames,
        "travel": _kept_to_travel(flown, case),
        "speed": _kept_to_speeds(flown, case),
        "ramp": _kept_to_ramps(flown, case),
        "period": _kept_the_period(flown, case),
        "pulses": _gave_all_pulses(flown, case),
    }
    return {name for name, kept in promises.items() if not kept}


def _kept_to_travel(flown: Flown, case: Case) -> bool:
    # From rest to rest no move turns: where segments begin is where they are farthest.
    for name in ("x", "y"):
        axis = case.bench.axis(name)
        steps = [row["p0"] for row in flown.log.segments[name]]
        low, high = (
            end * 1000 / axis.um_per_step
            for end in (axis.travel_min_mm, axis.travel_max_mm)
        )
        if min(steps) < low - SAME or max(steps) > high + SAME:
            return False
    return True


def _kept_to_speeds(flown: Flown, case: Case) -> bool:
    """In the middle of each window: what was asked to half a step/s, and the range."""
    if not flown.lines:
        return True
    plan, motion = flown.plan, case.bench.motion_along(flown.plan.fast_axis)
    step = case.bench.axis(plan.fast_axis).um_per_step / 1000
    speeds = [abs(v) * step for v in _speeds_in_windows(flown, step)]
    return all(
        abs(speed - plan.speed_mm_per_s) <= step * (0.5 + SAME)
        and motion.min_speed_mm_per_s - step * SAME <= speed
        and speed <= motion.max_speed_mm_per_s + step * SAME
        for speed in speeds
    )


def _speeds_in_windows(flown: Flown, step_mm: float) -> list[float]:
    """Return the true speeds in the middle of all lines, in steps/s; NaN on a ramp."""
    rows, speeds = flown.log.segments[flown.plan.fast_axis], []
    times = (flown.began_ns + flown.lines[name] * 1e9 for name in ("t_start", "t_end"))
    for index, began, ended in zip(flown.lines["line"], *times, strict=True):
        line = flown.plan.lines[index]
        middle = (line.start_mm + line.end_mm) / 2 / step_mm
        for row, following in itertools.pairwise(rows):
            is_passing = (row["p0"] - middle) * (following["p0"] - middle) < 0
            if is_passing and began < following["t0_ns"] and row["t0_ns"] < ended:
                speeds.append(row["v"] if row["a"] == 0 else math.nan)
    return speeds


def _kept_to_ramps(flown: Flown, case: Case) -> bool:
    """Whether all speeds are gained and lost in the time that was asked for."""
    step = case.bench.axis(flown.plan.fast_axis).um_per_step / 1000
    plan = flown.plan
    start = round(plan.start_speed_mm_per_s / step)
    asked = [
        (round(speed / step) - start) / plan.ramp_s
        for speed in (plan.speed_mm_per_s, plan.positioning_speed_mm_per_s)
    ]
    flown_at = {abs(row["a"]) for rows in flown.log.segments.values() for row in rows}
    return all(
        any(abs(found - rate) <= SAME * abs(rate) for rate in asked)
        for found in flown_at - {0.0}
    )


def _kept_the_period(flown: Flown, case: Case) -> bool:
    trigger = case.spec.trigger
    if trigger.kind is not TriggerKind.PERIODIC or len(flown.conversions) < 3:
        return True
    apart_s = np.diff(flown.conversions) * 1e-9
    return bool(np.all(np.abs(apart_s - trigger.period_s) <= 1e-3 * trigger.period_s))


def _gave_all_pulses(flown: Flown, case: Case) -> bool:
    if case.spec.trigger.kind not in PULSES:
        return True
    return len(flown.log.rises) >= flown.plan.n_frames
