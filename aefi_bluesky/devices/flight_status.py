"""The status of a flight, which a progress bar can watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ophyd.status import DeviceStatus

from aefi_bluesky.domain.results.scan_results import ScanProgress

REPORT_PERIOD_S = 0.2
"""A watcher draws at each call: not more than five a second."""


class FlightStatus(DeviceStatus):
    """Done when the last sample is stored; watchers hear of lines flown.

    Parameters
    ----------
    device
        The flyer.
    """

    def __init__(self, device: Any) -> None:
        # The flyer ends its own flight: a failed one has stopped already.
        super().__init__(device, call_stop_on_failure=False)
        self._next_report = 0.0

    def watch(self, func: Callable[..., None]) -> None:
        """Let `func` be called with how far the flight is (see bluesky's bars)."""
        self._watchers.append(func)

    def report(self, progress: ScanProgress) -> None:
        """Tell all watchers, unless they were told a moment ago."""
        now = time.monotonic()
        if now < self._next_report or self.done:
            return
        self._next_report = now + REPORT_PERIOD_S
        done, planned = progress.lines_done, progress.lines_planned
        share = done / planned
        elapsed = progress.elapsed_s
        for watcher in self._watchers:
            watcher(
                name=self.device.name,
                current=done,
                initial=0,
                target=planned,
                unit="lines",
                precision=0,
                fraction=1 - share,
                time_elapsed=elapsed,
                time_remaining=elapsed * (1 / share - 1) if share else None,
            )
