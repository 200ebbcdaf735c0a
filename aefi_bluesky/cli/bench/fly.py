"""``aefi bench fly``: whole samples, position and reading, while the stage moves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from aefi_bluesky.cli.bench.benches import (
    POSITION_QUERY,
    Benches,
    RunningBench,
    fly_virtually,
    planned,
    shuttle,
)
from aefi_bluesky.cli.bench.clients import (
    LEGACY_PAUSE_S,
    READING_QUERY,
    Client,
    Figures,
    ask,
    ask_serial,
    package,
    poll_bare,
    raw_port,
    serial_port,
    timed,
)
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import IDLE
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Ratio, Row, find
from aefi_bluesky.cli.bench.rtt import LIMIT_REASON
from aefi_bluesky.cli.bench.side_by_side import (
    add_line_limit,
    rate_targets,
    side_by_side,
)
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.recorder import Recorder

SPEED_MM_PER_S = 32.7
VIRTUAL = "engine, virtual time"
BARE = "bare query loop"
_LONG_MM = 600.0
_WAY_FROM_REST_S = 0.6
"""Both ramps of a line, which count as much as its window."""

ABOUT = (
    "Positions and readings a second. The engine really flies (two lines, both links "
    "at once); its status and full position queries take 0.5 % of the line at 115200 "
    "Bd, 2.5 % at 9600 Bd. In virtual time it flies lines of "
    f"{_LONG_MM:g} mm, and each exchange costs the host 20 us, which is assumed. The "
    "bare query loop asks for X only. 'Two threads' asks both devices in Python, with "
    "one thread and one bare loop for each link. The legacy loop asks for X, then for "
    "Y, then for the detector, on one thread. The Python loops ask a stage at rest. "
    "The own part is the engine's time from a reply to its next request."
)

_LIMIT_REASON = (
    "status and full position queries take 0.5 % of the line at 115200 Bd, 2.5 % at "
    f"9600 and a tick each where an adapter has ticks; and {LIMIT_REASON}"
)


def measure(benches: Benches, effort: Effort) -> Report:
    """Measure flights and loops over links and loads."""
    rows = side_by_side(
        "fly", FLYERS, benches, effort, amount=effort.seconds, quantity="fixes_hz"
    )
    add_line_limit(rows, "fixes_hz")
    targets = rate_targets(rows, "fixes_hz", "fixes in flight", _LIMIT_REASON)
    return Report("fly", ABOUT, rows, [*targets, *_fix_targets(rows)])


def _fix_targets(rows: Sequence[Row]) -> list[Target]:
    """Return the targets of fixes in flight at 115200 Bd, on an idle machine."""
    at = {"link": "115200", "load": IDLE}
    found = [find(rows, client=name, **at) for name in ("engine", VIRTUAL, BARE)]
    engine, virtual, bare = found
    targets: list[Target] = []
    if virtual:
        share = virtual.values["of_limit"]
        name = "fixes in flight / line limit, 115200, virtual time"
        targets.append(Target(name, share, 0.985, True))
    if engine and bare:
        ratio = Ratio.of(engine.values["fixes_hz"], bare.values["fixes_hz"])
        name = "fixes in flight / bare query loop, 115200, idle"
        targets.append(Target(name, ratio.spread, 1.0, True))
    return targets


def fly(bench: RunningBench, seconds: float) -> Figures:
    """Fly two lines, each of about so many seconds."""
    length_mm = max(seconds - _WAY_FROM_REST_S, 0.3) * SPEED_MM_PER_S
    recorder = Recorder()
    plan = planned(bench.description, shuttle(length_mm, SPEED_MM_PER_S))
    results = bench.adapter().execute_scan(plan, recorder)
    own_us = results.times_s["stage_own_p50"] * 1e6
    return {**_figures(recorder), "own_p50_us": own_us}


def fly_virtual(bench: RunningBench, _seconds: float) -> Figures:
    """Fly on the same link in virtual time, where no host is late."""
    return virtual_figures(bench.settings)


def virtual_figures(settings: SimulationSettings) -> Figures:
    """Fly two long lines on a bench with such a link, in virtual time."""
    recorder = Recorder()
    fly_virtually(settings, shuttle(_LONG_MM, SPEED_MM_PER_S), recorder)
    return _figures(recorder)


def _figures(recorder: Recorder) -> Figures:
    lines, readings = recorder.columns("lines"), recorder.columns("readings")
    in_line = [
        np.count_nonzero((readings["t_end"] >= begin) & (readings["t_end"] < end))
        for begin, end in zip(lines["t_start"] * 1e9, lines["t_end"] * 1e9, strict=True)
    ]
    duration_s = float(np.sum(lines["t_end"] - lines["t_start"]))
    return {
        "fixes_hz": float(np.sum(lines["n_fixes"])) / duration_s,
        "readings_hz": sum(in_line) / duration_s,
        "period_p99_ms": float(np.max(lines["period_p99"])),
    }


def bare_loop(bench: RunningBench, seconds: float) -> Figures:
    """Ask the stage alone, at rest, by one bare loop."""
    fixes = poll_bare(bench, seconds)
    return {"fixes_hz": fixes["rate_hz"]}


def two_threads(bench: RunningBench, seconds: float) -> Figures:
    """Ask both devices at once, a Python thread and a bare loop each."""
    acquisition = bench.configuration.acquisition.port
    with (
        raw_port(bench.configuration.stage.port) as stage,
        raw_port(acquisition) as detector,
        ThreadPoolExecutor(1, thread_name_prefix="aefi-bench-detector") as thread,
    ):
        asking = thread.submit(
            timed, lambda: ask(detector, READING_QUERY, b"\n", 2), seconds
        )
        fixes = timed(lambda: int(ask(stage, POSITION_QUERY)), seconds)
        readings = asking.result()
    return {"fixes_hz": fixes["rate_hz"], "readings_hz": readings["rate_hz"]}


def legacy(bench: RunningBench, seconds: float, pause_s: float = 0.0) -> Figures:
    """Ask for X, then Y, then the detector, by pyserial on one thread."""
    table = bench.configuration
    with (
        serial_port(table.stage.port, 115200) as stage,
        serial_port(table.acquisition.port, table.acquisition.baud) as detector,
    ):
        figures = timed(lambda: _legacy_sample(stage, detector, pause_s), seconds)
    rate_hz = figures["rate_hz"]
    return {"fixes_hz": rate_hz, "readings_hz": rate_hz}


def _legacy_sample(stage: Any, detector: Any, pause_s: float) -> None:
    for query in (b"@00PX\r", b"@00PY\r"):
        if pause_s:
            time.sleep(pause_s)
        ask_serial(stage, query)
    detector.write(READING_QUERY)
    detector.read_until(b"\n")
    [int(code) for code in detector.read_until(b"\n").split()]


def legacy_paused(bench: RunningBench, seconds: float) -> Figures:
    """Do the same with 10 ms of sleep before each query of the stage."""
    return legacy(bench, seconds, LEGACY_PAUSE_S)


FLYERS = (
    Client("engine", fly),
    Client(VIRTUAL, fly_virtual),
    Client(BARE, bare_loop),
    Client("two threads", two_threads),
    Client("legacy loop", legacy, package("serial")),
    Client("legacy + 10 ms", legacy_paused, package("serial")),
)
