"""Loads under which is measured, and what others took of the machine meanwhile."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IDLE, BUSY_THREAD, BUSY_CORES = "idle", "busy thread", "busy cores"
LOADS = (IDLE, BUSY_THREAD, BUSY_CORES)
"""None; a Python thread of this process that computes; a process on each core."""

_PROC = Path("/proc")
_CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_RESTING = ("idle", "iowait")


@contextlib.contextmanager
def under(load: str) -> Generator[None]:
    """Put the machine under one of `LOADS` for a while."""
    with {IDLE: contextlib.nullcontext, BUSY_THREAD: _thread, BUSY_CORES: _cores}[
        load
    ]():
        yield


@contextlib.contextmanager
def _thread() -> Generator[None]:
    ended = threading.Event()

    def compute() -> None:
        count = 0
        while not ended.is_set():
            count = (count * 1103515245 + 12345) % 2147483648

    burner = threading.Thread(target=compute, name="aefi-bench-load", daemon=True)
    burner.start()
    # A thread that asks for the interpreter for the first time is not a load yet.
    time.sleep(0.02)
    try:
        yield
    finally:
        ended.set()
        burner.join()


@contextlib.contextmanager
def _cores() -> Generator[None]:
    # Without site: nothing but the loop. It ends with its stdin, so with us.
    code = (
        "import os, sys, threading\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()\n"
        "while True: pass\n"
    )
    burners = [
        subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)
        for _ in range(os.cpu_count() or 1)
    ]
    time.sleep(0.1)
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
            if burner.stdin:
                burner.stdin.close()


@dataclass(slots=True)
class CpuShare:
    """Which share of the machine's CPU time others took.

    Others are all processes but this one and its descendants; steal counts too.

    Parameters
    ----------
    foreign
        From 0 to 1; None while it is watched, and where the system does not tell.
    """

    foreign: float | None = None


@contextlib.contextmanager
def watched_cpu() -> Generator[CpuShare]:
    """Yield what is known on leaving: the share that others took meanwhile."""
    share, before = CpuShare(), _times()
    yield share
    after = _times()
    if before and after:
        busy, total, ours = (b - a for a, b in zip(before, after, strict=True))
        if total > 0:
            share.foreign = min(max((busy - ours) / total, 0.0), 1.0)


def _times() -> tuple[float, float, float] | None:
    """Return busy and total time of all cores and the time of our tree, in ticks."""
    try:
        first = (_PROC / "stat").read_text().split("\n", 1)[0]
    except OSError:
        return None
    counts = map(float, first.split()[1:])
    by_name = dict(zip(_CPU_FIELDS, counts, strict=False))
    total = sum(by_name.values())
    return total - sum(by_name[name] for name in _RESTING), total, _our_ticks()


def _our_ticks() -> float:
    """Return the CPU time of this process and its descendants, dead ones included."""
    parents: dict[int, int] = {}
    ticks: dict[int, float] = {}
    for file in _PROC.glob("[0-9]*/stat"):
        try:
            # The name may hold anything but a closing parenthesis behind its end.
            fields = file.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended while we looked
            continue
        pid = int(file.parent.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(map(float, fields[11:15]))
    return sum(used for pid, used in ticks.items() if _is_ours(pid, parents))


def _is_ours(pid: int, parents: dict[int, int]) -> bool:
    while pid > 0:
        if pid == os.getpid():
            return True
        pid = parents.get(pid, 0)
    return False


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "governor": _first_line(
            Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        ),
        "load_average": _load_average(),
    }


def _load_average() -> list[float] | None:
    if sys.platform == "win32":
        return None
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except OSError:
        return None


def _first_line(path: Path) -> str:
    try:
        return path.read_text().split("\n", 1)[0]
    except OSError:
        return "not told"


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "not told"
