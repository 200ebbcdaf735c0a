"""``aefi bench jitter``: how regular exchanges are, beside a bare timer's ticks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from aefi_bluesky.cli.bench.benches import Benches, RunningBench
from aefi_bluesky.cli.bench.clients import Client, Figures, poll_bare, poll_engine
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.report import Report
from aefi_bluesky.cli.bench.side_by_side import side_by_side

ABOUT = (
    "How much later than the median an exchange ends, and how late a bare 1 kHz "
    "timer wakes up in the same minutes, which shows what the machine itself allows. "
    "The timers are separate processes: one in Python, and cyclictest twice, with "
    "the ordinary priority that the engine has and with SCHED_FIFO 80. The "
    "percentiles of the engine come from a histogram, exact to 1/16 of a whole "
    "exchange. 'Engine is' compares the p99 values: a smaller ratio is better."
)

_PERIOD_US = 1000
_LONGEST_US = 100_000
"""What cyclictest's histogram goes to."""

_TIMER = """
import json, sys, time
late, period = [], 0.001
next = time.monotonic() + period
end = next + float(sys.argv[1])
while next < end:
    time.sleep(max(next - time.monotonic(), 0))
    late.append(time.monotonic() - next)
    next += period
late.sort()
pick = lambda share: late[min(int(share * len(late)), len(late) - 1)] * 1e6
missed = sum(span > period for span in late) / len(late)
print(json.dumps({"p50_us": pick(.5), "p99_us": pick(.99), "max_us": pick(1),
                  "missed_percent": 100 * missed}))
"""


def measure(benches: Benches, effort: Effort) -> Report:
    """Measure the engine, the bare loop and timers under all loads."""
    rows = side_by_side(
        "jitter", REGULAR, benches, effort, amount=effort.seconds, quantity="p99_us"
    )
    return Report("jitter", ABOUT, rows)


def _lateness(
    poll: Callable[[RunningBench, float], Figures], bench: RunningBench, seconds: float
) -> Figures:
    """Return how far the slow exchanges are above the median."""
    found = poll(bench, seconds)
    return {
        "p99_us": found["p99_us"] - found["p50_us"],
        "max_us": found["max_us"] - found["p50_us"],
    }


def _timer(_bench: RunningBench, seconds: float) -> Figures:
    """Return how late a 1 kHz timer loop wakes up."""
    return json.loads(_printed(sys.executable, "-S", "-c", _TIMER, str(seconds)))


def _cyclictest(options: tuple[str, ...], seconds: float) -> Figures:
    ticks = max(round(seconds * 1e6 / _PERIOD_US), 1)
    command = (
        *("cyclictest", "--quiet", f"--interval={_PERIOD_US}", f"--loops={ticks}"),
        *(f"--histogram={_LONGEST_US}", *options),
    )
    return lateness_of(_printed(*command))


def lateness_of(printed: str) -> Figures:
    """Return the figures of what cyclictest printed: its histogram and summary."""
    counts = np.array(re.findall(r"^(\d+) (\d+)$", printed, re.MULTILINE), dtype=int)
    (latest,) = re.findall(r"Max Latencies: (\d+)", printed)
    (beyond,) = re.findall(r"Histogram Overflows: (\d+)", printed)
    # What the histogram does not hold is taken to be as late as the latest.
    late_us = np.append(np.repeat(*counts.T), np.full(int(beyond), int(latest)))
    p50, p99 = np.percentile(late_us, [50, 99])
    return {
        "p50_us": float(p50),
        "p99_us": float(p99),
        "max_us": float(latest),
        "missed_percent": float(np.mean(late_us > _PERIOD_US)) * 100,
    }


def _printed(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def _why_no_cyclictest(options: tuple[str, ...]) -> str:
    if shutil.which("cyclictest") is None:
        return "cyclictest is not on PATH (Debian package rt-tests): not run"
    try:
        _cyclictest(options, 0.0)
    except subprocess.CalledProcessError as err:
        said = " ".join(f"{err.stdout} {err.stderr}".split())
        return f"cyclictest {' '.join(options)} was refused: {said}"
    return ""


def _yardstick(name: str, *options: str) -> Client:
    return Client(
        name,
        lambda _bench, seconds: _cyclictest(options, seconds),
        lambda: _why_no_cyclictest(options),
    )


REGULAR = (
    Client("engine", partial(_lateness, poll_engine)),
    Client("os.read/os.write", partial(_lateness, poll_bare)),
    Client("timer loop", _timer),
    _yardstick("cyclictest"),
    _yardstick("cyclictest FIFO", "--mlockall", "--priority=80"),
)
