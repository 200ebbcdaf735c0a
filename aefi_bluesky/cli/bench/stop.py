"""``aefi bench stop``: from the request to the bytes, with the interpreter held."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np

from aefi_bluesky.cli.bench.benches import (
    LINKS,
    POSITION_QUERY,
    Benches,
    RunningBench,
    bench_of,
    line_limit_hz,
    shuttle,
)
from aefi_bluesky.cli.bench.clients import Client, Figures, ask, raw_port
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.side_by_side import idle_engine, side_by_side
from aefi_bluesky.cli.bench.stall import hold_interpreter
from aefi_bluesky.domain.errors import DeviceTimeoutError
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.engine.rust_scan_adapter import RustScanInFlight
from aefi_bluesky.views.recorder import Recorder

STOP = b"@00STOP\r"

HOLD_S = 0.03
"""How long the interpreter is held right after each request, in s."""

_PATIENCE_S = 10.0
_SLOW_MM_PER_S = 5.0
_LENGTH_MM = 500.0

ABOUT = (
    "From the request (a pause of the flight) to the last byte of STOP at the "
    f"simulated controller; right after it one C call holds the interpreter for "
    f"{HOLD_S * 1e3:.0f} ms. Where there is a line, STOP waits for the exchange under "
    "way, half of one on average, and its own eight bytes take their time (115200 Bd: "
    "1.0 and 0.69 ms); the goal for the median is this and 0.3 ms for the host. "
    "'Python thread' is a bare loop that looks "
    "at an event between two exchanges."
)

_HOST_MS = 0.3
"""What the host may take beside its line, in the median; 0.5 where there is no line."""

_LINE_REASON = "{:.2f} ms on average belong to the line, and "
_HOST_REASON = (
    "neither the link thread nor the simulated bench, which notes the time of "
    "arrival, has real-time priority: on a shared core both wait for their turn."
)


def measure(benches: Benches, effort: Effort) -> Report:
    """Measure the engine and a Python thread over links and loads."""
    rows = side_by_side(
        "stop", STOPPERS, benches, effort, amount=effort.stops, quantity="p50_ms"
    )
    targets: list[Target] = []
    for row in idle_engine(rows):
        link, found = row.labels["link"], row.values
        share_ms = line_share_ms(link)
        reason = _HOST_REASON
        if share_ms:
            reason = _LINE_REASON.format(share_ms) + reason
        goal_ms = round(share_ms + _HOST_MS, 1) if share_ms else 0.5
        name = "stop to bytes {}, {}".format
        targets += [
            Target(name("p50", link), found["p50_ms"], goal_ms, False, "ms", reason),
            Target(name("p99", link), found["p99_ms"], 10.0, False, "ms", _HOST_REASON),
        ]
    return Report("stop", ABOUT, rows, targets)


def line_share_ms(link: str) -> float:
    """Return half an exchange and the wire time of STOP, in ms."""
    limit_hz = line_limit_hz(LINKS[link])
    if limit_hz is None:
        return 0.0
    wire_s = len(STOP) * 10 / bench_of(LINKS[link]).stage.baud
    return (0.5 / limit_hz + wire_s) * 1e3


def _engine(bench: RunningBench, stops: float) -> Figures:
    """Pause and resume one flight."""
    requests: list[int] = []
    with bench.flying(shuttle(_LENGTH_MM, _SLOW_MM_PER_S), Recorder()) as flight:
        for _ in range(int(stops)):
            _until(flight, ScanState.FLYING)
            # Into the line, and anywhere in an exchange.
            time.sleep(random.uniform(0.1, 0.11))
            requests.append(time.monotonic_ns())
            flight.pause()
            hold_interpreter(HOLD_S)
            _until(flight, ScanState.PAUSED)
            flight.resume()
    return _figures(requests, bench.whole_truth())


def _until(flight: RustScanInFlight, state: ScanState) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while flight.progress().state is not state:
        flight.wait(0.0)
        if time.monotonic() > deadline or flight.is_over:
            raise DeviceTimeoutError(
                f"bench stop: expected the flight to be {state.value} within "
                f"{_PATIENCE_S:g} s, was {flight.progress().state.value}"
            )
        time.sleep(0.002)


def _python(bench: RunningBench, stops: float) -> Figures:
    """Let a Python thread poll, and send STOP when an event is set."""
    requests: list[int] = []
    with (
        raw_port(bench.configuration.stage.port) as port,
        ThreadPoolExecutor(1, thread_name_prefix="aefi-bench-stop") as thread,
    ):
        for _ in range(int(stops)):
            asked = Event()
            polling = thread.submit(_poll_until, port, asked)
            time.sleep(random.uniform(0.02, 0.03))
            requests.append(time.monotonic_ns())
            asked.set()
            hold_interpreter(HOLD_S)
            polling.result()
    return _figures(requests, bench.whole_truth())


def _poll_until(port: int, asked: Event) -> None:
    while not asked.is_set():
        ask(port, POSITION_QUERY)
    ask(port, STOP)


STOPPERS = (Client("engine", _engine), Client("Python thread", _python))


def _figures(requests: list[int], truth: Path) -> Figures:
    """Return how long after each request the next STOP arrived."""
    arrivals = np.array(_stops(truth), dtype=np.int64)
    first = np.searchsorted(arrivals, requests)
    n_answered = len(np.unique(first[first < len(arrivals)]))
    if n_answered < len(requests):
        raise DeviceTimeoutError(
            f"bench stop: expected a STOP after each of {len(requests)} requests, "
            f"received {n_answered}"
        )
    late_ms = (arrivals[first] - np.array(requests)) * 1e-6
    p50, p99 = np.percentile(late_ms, [50, 99])
    return {
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "max_ms": float(np.max(late_ms)),
    }


def _stops(truth: Path) -> list[int]:
    """Return when STOP commands arrived, in ns; a torn last line is left out."""
    with truth.open(encoding="utf-8") as lines:
        return sorted(
            json.loads(line)["t_ns"]
            for line in lines
            if line.startswith('{"command":"STOP"') and line.endswith("\n")
        )
