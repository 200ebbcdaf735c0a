"""The alternatives: other ways to ask the stage for its position.

Each asks back to back for a while, on the caller's thread, and returns

rate_hz
    positions a second,
p50_us, p99_us, max_us
    from the request to the end of the reply,
cpu_us
    CPU time of the asking thread for each position.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aefi_bluesky.cli.bench.benches import POSITION_QUERY, RunningBench
from aefi_bluesky.domain.errors import DeviceTimeoutError, DeviceUnavailableError

LEGACY_PAUSE_S = 0.010
"""What pylablib's USB path sleeps before every query, unless told otherwise."""

READING_QUERY = b"m1*"

Figures = Mapping[str, float]


def nothing() -> str:
    """Return that nothing is missing."""
    return ""


@dataclass(frozen=True, slots=True)
class Client:
    """One way to ask.

    Parameters
    ----------
    name
        Its name in a table.
    poll
        Asks a bench for so many seconds.
    missing
        Returns why it can't be measured here; empty if it can.
    """

    name: str
    poll: Callable[[RunningBench, float], Figures]
    missing: Callable[[], str] = nothing


def package(name: str) -> Callable[[], str]:
    """Return what says whether a package is missing."""

    def missing() -> str:
        is_there = importlib.util.find_spec(name)
        return "" if is_there else f"{name} is not installed (extra 'dev')"

    return missing


AWAKE_US = 100
"""How long the engine waits awake around the usual time of a reply, where it does."""


def poll_engine(bench: RunningBench, seconds: float, spin_us: int = 0) -> Figures:
    """Poll by the link thread and the conversation of a flight."""
    stage = bench.links.native_stage()
    before = time.thread_time_ns()
    found = stage.poll(seconds, spin_us)
    cpu_ns = time.thread_time_ns() - before
    if found["stage_fixes"] < 2:
        raise DeviceTimeoutError(
            f"bench: expected positions for {seconds:g} s, "
            f"received {found['stage_fixes']}"
        )
    return {
        "rate_hz": (found["stage_fixes"] - 1) / found["stage_elapsed"] * 1e9,
        "p50_us": found["stage_round_trip_p50"] / 1e3,
        "p99_us": found["stage_round_trip_p99"] / 1e3,
        "max_us": found["stage_round_trip_max"] / 1e3,
        "cpu_us": cpu_ns / found["stage_fixes"] / 1e3,
        "own_p50_us": found["stage_own_p50"] / 1e3,
    }


def poll_bare(bench: RunningBench, seconds: float) -> Figures:
    """Poll by ``os.write`` and a blocking ``os.read``."""
    with raw_port(bench.configuration.stage.port) as port:
        return timed(lambda: int(ask(port, POSITION_QUERY)), seconds)


def poll_pyserial(bench: RunningBench, seconds: float) -> Figures:
    """Poll by pyserial's ``write`` and ``read_until``."""
    with serial_port(bench.configuration.stage.port, 115200) as port:
        return timed(lambda: ask_serial(port, POSITION_QUERY), seconds)


def poll_pylablib(bench: RunningBench, seconds: float, pause_s: float = 0.0) -> Figures:
    """Poll by pylablib's own class for this controller on a serial line."""
    from pylablib.devices.Arcus import Performax4EXStage

    stage: Any = Performax4EXStage(
        idx=0, conn=(bench.configuration.stage.port, 115200), enable=False
    )

    def position() -> None:
        if pause_s:
            time.sleep(pause_s)
        stage.get_position("x")

    try:
        return timed(position, seconds)
    finally:
        stage.close()


def poll_paused(bench: RunningBench, seconds: float) -> Figures:
    """Poll by pylablib with the pause of its USB path before each query."""
    return poll_pylablib(bench, seconds, LEGACY_PAUSE_S)


CLIENTS = (
    Client("engine", poll_engine),
    Client("engine, awake", partial(poll_engine, spin_us=AWAKE_US)),
    Client("os.read/os.write", poll_bare),
    Client("pyserial", poll_pyserial, package("serial")),
    Client("pylablib serial", poll_pylablib, package("pylablib")),
    Client("pylablib + 10 ms", poll_paused, package("pylablib")),
)


def timed(exchange: Callable[[], object], seconds: float) -> Figures:
    """Return the figures of exchanges repeated for so many seconds."""
    exchange()
    spans: list[int] = []
    cpu, began = time.thread_time_ns(), time.perf_counter_ns()
    end, now = began + seconds * 1e9, began
    while now < end:
        before = now
        exchange()
        now = time.perf_counter_ns()
        spans.append(now - before)
    cpu = time.thread_time_ns() - cpu
    p50, p99 = np.percentile(spans, [50, 99])
    return {
        "rate_hz": len(spans) / (now - began) * 1e9,
        "p50_us": float(p50) / 1e3,
        "p99_us": float(p99) / 1e3,
        "max_us": max(spans) / 1e3,
        "cpu_us": cpu / len(spans) / 1e3,
    }


@contextlib.contextmanager
def raw_port(path: str) -> Generator[int]:
    """Open a port without anything in between."""
    if sys.platform == "win32":
        raise DeviceUnavailableError("ptys are not available on Windows")
    import tty

    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(port)
        yield port
    finally:
        os.close(port)


def ask(port: int, query: bytes, terminator: bytes = b"\r", lines: int = 1) -> bytes:
    """Write a query and return its reply, of so many lines."""
    os.write(port, query)
    reply = os.read(port, 256)
    while reply.count(terminator) < lines:
        reply += os.read(port, 256)
    return reply


@contextlib.contextmanager
def serial_port(path: str, baud: int) -> Generator[Any]:
    """Open a port by pyserial."""
    import serial

    with serial.Serial(path, baud, timeout=3.0) as port:
        yield port


def ask_serial(port: Any, query: bytes) -> int:
    """Write a query by pyserial and return the number of its reply."""
    port.write(query)
    return int(port.read_until(b"\r"))
