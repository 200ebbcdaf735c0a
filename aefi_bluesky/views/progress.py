"""A flight's progress on one terminal line."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

QUIET_PERIOD_S = 5.0
"""Between lines where the output is no terminal."""


class FlightProgress:
    """A waiting hook of the RunEngine: lines, rate and time left.

    Parameters
    ----------
    out
        Where it is shown.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._watched: set[int] = set()
        self._next = 0.0
        self._open = False

    def __call__(self, statuses: Any) -> None:
        """Watch what the RunEngine waits for; None says that it waits no more."""
        for status in statuses or ():
            if hasattr(status, "watch") and id(status) not in self._watched:
                self._watched.add(id(status))
                status.watch(self._show)

    def _show(self, **progress: Any) -> None:
        if progress.get("unit") != "lines":
            return
        done, planned = progress["current"], progress["target"]
        elapsed, left = progress["time_elapsed"], progress["time_remaining"]
        rate = 60 * done / elapsed if elapsed else 0.0
        bar = ("#" * round(30 * done / planned)).ljust(30)
        rest = "" if left is None else f", {left // 60:.0f}:{left % 60:02.0f} left"
        self._write(f"{bar} line {done} of {planned}, {rate:.1f} lines/min{rest}")

    def _write(self, text: str) -> None:
        if self._out.isatty():
            self._out.write(f"\r{text:<78}")
            self._open = True
        elif (now := time.monotonic()) >= self._next:
            self._next = now + QUIET_PERIOD_S
            self._out.write(f"{text}\n")
        self._out.flush()

    def close(self) -> None:
        """End the terminal line, if one was begun."""
        if self._open:
            self._out.write("\n")
            self._open = False
