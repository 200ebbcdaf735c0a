"""``aefi bench estimator``: estimated positions against the simulator's truth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aefi_bluesky.cli.bench.benches import LINKS, fly_virtually, shuttle
from aefi_bluesky.cli.bench.clients import Figures
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import IDLE
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Cell, Row, find, interleave
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.recorder import Columns, Recorder
from aefi_bluesky.views.truth import Truth

KNOWN = "115200, turnaround known"
JITTER = "115200, turnaround varies by 0.1 ms"

ESTIMATED = {
    "9600": LINKS["9600"],
    "115200": LINKS["115200"],
    KNOWN: LINKS["115200"],
    JITTER: replace(LINKS["115200"], stage_jitter_us=100),
    "115200, no turnaround": replace(LINKS["115200"], stage_turnaround_us=0),
    "usb 2 ms": LINKS["usb 2 ms"],
    "ftdi 16 ms": LINKS["ftdi 16 ms"],
}
"""Links in virtual time; how long the real controller thinks is not known, and the
engine is told only where the name says so (``reply_delay_us`` of the bench file)."""

KNOWN_US = 1000
"""The turnaround of the simulated stage, in us."""

SPEED_MM_PER_S = 32.7
_LENGTH_MM = 150.0
_LINES = 6

ABOUT = (
    "Readings in the windows of flights in virtual time. The estimated position of "
    "the moving axis and its interval are compared with the truth; the rms error is "
    "divided by the quantisation floor (step / sqrt 12), at "
    f"{SPEED_MM_PER_S} mm/s. 'Last reply held' is what the legacy loop does. The "
    "offset is the mean error along the motion; 'less offset' is the rms without it. "
    "The width is the whole interval; the bound is half of it, the +- of the position. "
    "Each round has another seed: 0, 1, 2 and so on."
)

_OFFSET_REASON = (
    "the count is latched somewhere in the controller's turnaround. The distance "
    "from its middle is a constant offset. The engine finds it where the turnaround "
    "varies, and can't where it does not; without that offset the rms is {:.2f}."
)
_WIDTH_REASON = (
    "most of the width of the interval is the way that the stage moves in the part "
    "of an exchange in which the count may have been latched: the turnaround, which "
    "the engine is told nothing about here."
)


def measure(effort: Effort) -> Report:
    """Measure one flight a link and seed."""
    seeds = {link: iter(range(effort.rounds)) for link in ESTIMATED}
    cells = [
        Cell(
            {"client": "engine", "link": link},
            IDLE,
            partial(_next_seed, link, seeds[link]),
        )
        for link in ESTIMATED
    ]
    rows = interleave(cells, effort.rounds, effort.budget_s)
    targets: list[Target] = []
    for link in ("115200", JITTER, KNOWN, "115200, no turnaround"):
        row = find(rows, link=link)
        if row:
            targets += _targets(link, row)
    inside = [row.values["inside_percent"] for row in rows]
    worst = min(inside, key=lambda spread: spread.low)
    targets.append(Target("truth inside, worst link", worst, 100.0, True, "%"))
    return Report("estimator", ABOUT, rows, targets)


def _targets(link: str, row: Row) -> list[Target]:
    found = row.values
    rms = found["rms_of_floor"]
    offset = _OFFSET_REASON.format(found["less_offset"].median)
    width, bound = found["width_steps"], found["bound_steps"]
    return [
        Target(f"rms / quantisation floor, {link}", rms, 1.05, False, reason=offset),
        Target(f"median width, {link}", width, 1.0, False, "steps", _WIDTH_REASON),
        Target(f"median bound, {link}", bound, 1.0, False, "steps", _WIDTH_REASON),
    ]


def _next_seed(link: str, seeds: Iterator[int]) -> Figures:
    known_us = KNOWN_US if link == KNOWN else 0
    return judge(replace(ESTIMATED[link], seed=next(seeds)), known_us)


def judge(settings: SimulationSettings, known_us: int = 0) -> Figures:
    """Fly in virtual time and return how far estimates are from the truth.

    Parameters
    ----------
    settings
        The bench.
    known_us
        What the engine is told of the stage's turnaround, in us.
    """
    recorder = Recorder()
    spec = shuttle(_LENGTH_MM, SPEED_MM_PER_S, n_x=_LINES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "truth.jsonl"
        fly_virtually(settings, spec, recorder, file, known_us)
        truth = Truth.read(file)
    step_mm = load_bench("simulated").description().y.um_per_step / 1000
    return _figures(recorder, truth, step_mm)


def _figures(recorder: Recorder, truth: Truth, mm_per_step: float) -> Figures:
    """Compare the fast axis in steps; the flight began at time zero."""
    readings, middle = _in_windows(recorder.columns("readings"), truth)
    true = truth.position_steps("y", middle)
    low, high, found = (readings[name] / mm_per_step for name in ("y_lo", "y_hi", "y"))
    floor = 1 / np.sqrt(12)
    # The interval's ends come from mm: a millionth of a step is rounding.
    inside = (low - 1e-6 <= true) & (true <= high + 1e-6)
    along = (found - true) * np.sign(np.gradient(true))
    held = _last_reply(recorder.columns("fixes"), readings["t_end"])
    width = float(np.median(high - low))
    return {
        "rms_of_floor": _rms(found - true) / floor,
        "less_offset": _rms(along - np.mean(along)) / floor,
        "offset_steps": float(np.mean(along)),
        "held_of_floor": _rms(held - true) / floor,
        "width_steps": width,
        "bound_steps": width / 2,
        "inside_percent": float(np.mean(inside)) * 100,
        "readings": float(len(true)),
    }


def _in_windows(
    readings: Columns, truth: Truth
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Return the readings of frames, and the middle of each one's conversion."""
    in_frame = readings["frame"] >= 0
    framed = {name: column[in_frame] for name, column in readings.items()}
    kept, middle = truth.middles_within(framed["t_start"], framed["t_end"])
    return {name: column[kept] for name, column in framed.items()}, middle


def _last_reply(
    fixes: Columns, at_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the last count of the fast axis that was known at each time."""
    mine = fixes["axis"] == 1
    known = np.searchsorted(fixes["t_received"][mine], at_ns, side="right") - 1
    return fixes["counts"][mine][np.maximum(known, 0)].astype(np.float64)


def _rms(error: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(error**2)))
