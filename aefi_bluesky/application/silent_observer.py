"""An observer for callers that need nothing of a flight."""

from __future__ import annotations

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)


class SilentObserver:
    """A `ScanObserver` that keeps nothing and shows nothing."""

    def flight_started(self, plan: FlightPlan) -> None:
        """Do nothing."""

    def state_changed(self, state: ScanState) -> None:
        """Do nothing."""

    def frames_ended(self, frames: FrameChunk) -> None:
        """Do nothing."""

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Do nothing."""

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Do nothing."""

    def lines_ended(self, lines: LineChunk) -> None:
        """Do nothing."""

    def flight_ended(self, results: ScanResults) -> None:
        """Do nothing."""
