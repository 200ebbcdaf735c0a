"""``aefi bench handoff``: from the link thread to Python, and without Python."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from aefi_bluesky.cli.bench.benches import (
    LINKS,
    Benches,
    RunningBench,
    shuttle,
)
from aefi_bluesky.cli.bench.clients import Figures
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import IDLE
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Cell, Row, interleave
from aefi_bluesky.cli.bench.stall import hold_interpreter
from aefi_bluesky.engine.measuring import sample_path_ns
from aefi_bluesky.engine.rust_scan_adapter import RustScanInFlight
from aefi_bluesky.views.recorder import Columns, Recorder
from aefi_bluesky.views.truth import Truth

READINGS_HZ = 10_000
"""What Python's stall is to be survived at."""

_FLOOD = replace(LINKS["115200"], acquisition_baud=11_000_000)
"""12 000 readings a second, if the ptys carry them: the rings hold 10 s of that."""

_CONVERTER = {"osr": 32, "conversion_rate_hz": 128_000.0, "reading_rate_hz": 10_000.0}

_SLOW_MM_PER_S = 5.0
_BATCHES = 20
_WARM_UP_S = 2.0

ABOUT = (
    "The cost of a sample compared with its line, and what is lost while the "
    "interpreter is held in a C call. Readings come as fast as the ptys carry them, "
    "at most 12 000 a second; no real acquisition is so fast. A sample costs ten "
    "thousand times less than its line takes, so it is never the bottleneck. The "
    "rings hold 262 144 readings. 'Lost' is what the simulated bench has sent and no "
    "reading holds; 'counted lost' is what the engine reports as lost."
)

_RATE_REASON = (
    "the simulated bench and the ptys got too little CPU time to send more: the "
    "engine takes all that comes, and counts what it can't keep as 'lost'."
)
_LOSS_REASON = "more readings came than the rings hold, which is 262 144."


def measure(benches: Benches, effort: Effort) -> Report:
    """Measure the sample path and a stalled interpreter."""
    path = Cell({"client": "engine"}, IDLE, _sample_path)
    (cost,) = interleave([path], effort.rounds)
    bench = benches.on(_FLOOD, **_CONVERTER)
    stall = Cell(
        {"client": "engine, held"}, IDLE, partial(_stalled, bench, effort.stall_s)
    )
    (held,) = interleave([stall], effort.rounds, effort.budget_s)
    targets = _targets(cost, held, effort.stall_s)
    return Report("handoff", ABOUT, [cost, held], targets)


def _targets(cost: Row, stall: Row, stall_s: float) -> list[Target]:
    found = stall.values
    held, rate, lost = found["held_s"], found["readings_hz"], found["lost"]
    name = f"lost in {stall_s:g} s with Python held"
    return [
        Target("stamp + parse + push", cost.values["sample_ns"], 100, False, "ns"),
        Target("Python held for", held, stall_s, True, "s"),
        Target("readings meanwhile", rate, READINGS_HZ, True, "/s", _RATE_REASON),
        Target(name, lost, 0, False, "records", _LOSS_REASON),
    ]


def _sample_path() -> Figures:
    found = np.array(sample_path_ns(_BATCHES))
    sample_ns, exchange_ns = np.median(found, axis=0)
    return {"sample_ns": float(sample_ns), "exchange_ns": float(exchange_ns)}


def _stalled(bench: RunningBench, stall_s: float) -> Figures:
    """Fly, hold the interpreter, and see what is in the rings afterwards."""
    recorder = Recorder()
    spec = shuttle((stall_s + 4) * _SLOW_MM_PER_S, _SLOW_MM_PER_S)
    with bench.flying(spec, recorder) as flight:
        flight.wait(_WARM_UP_S)
        begin, end = hold_interpreter(stall_s)
        cost_ns = _hand_out(flight)
    conversions = Truth.read(bench.whole_truth()).conversions
    sent = conversions[(conversions[:, 0] >= begin) & (conversions[:, 1] < end)]
    arrived = is_read(sent - flight.began_ns, recorder.columns("readings"))
    kept, held_s = np.count_nonzero(arrived), (end - begin) * 1e-9
    results = flight.wait(0.0)
    return {
        "held_s": held_s,
        "readings_hz": len(sent) / held_s,
        "kept": float(kept),
        "lost": float(len(sent) - kept),
        "counted_lost": float(sum(results.n_lost.values()) if results else math.nan),
        "drain_ns": cost_ns / max(kept, 1),
    }


def is_read(sent_ns: npt.NDArray[np.int64], readings: Columns) -> npt.NDArray[np.bool_]:
    """Return which conversions lie between request and reply of a reading."""
    at = np.searchsorted(readings["t_start"], sent_ns[:, 0], side="right") - 1
    return (at >= 0) & (sent_ns[:, 1] <= readings["t_end"][np.maximum(at, 0)])


def _hand_out(flight: RustScanInFlight) -> int:
    """Take all that waits; return the CPU time of it, in ns."""
    before = time.thread_time_ns()
    flight.wait(0.0)
    return time.thread_time_ns() - before
