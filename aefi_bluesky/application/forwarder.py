"""An observer that hands on what it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import ScanObserver
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)

logger = logging.getLogger(__name__)

Say = Callable[[ScanObserver], None]
"""Tells one observer one thing."""


def tell(observer: ScanObserver, say: Say) -> None:
    """Tell one observer; what it raises is logged, and harms nobody else."""
    try:
        say(observer)
    except Exception:
        logger.exception("observer %r failed", type(observer).__name__)


class Told(Enum):
    """What an observer is told of."""

    START = auto()
    STATE = auto()
    FRAMES = auto()
    LINES = auto()
    SAMPLES = auto()
    END = auto()


class Forwarder:
    """A `ScanObserver` whose methods are all one: `forward`."""

    def forward(self, told: Told, say: Say) -> None:
        """Hand on; `say` tells it to whom it is given."""
        raise NotImplementedError

    def flight_started(self, plan: FlightPlan) -> None:
        """See `ScanObserver`."""
        self.forward(Told.START, lambda observer: observer.flight_started(plan))

    def state_changed(self, state: ScanState) -> None:
        """See `ScanObserver`."""
        self.forward(Told.STATE, lambda observer: observer.state_changed(state))

    def frames_ended(self, frames: FrameChunk) -> None:
        """See `ScanObserver`."""
        self.forward(Told.FRAMES, lambda observer: observer.frames_ended(frames))

    def readings_taken(self, readings: ReadingChunk) -> None:
        """See `ScanObserver`."""
        self.forward(Told.SAMPLES, lambda observer: observer.readings_taken(readings))

    def fixes_taken(self, fixes: FixChunk) -> None:
        """See `ScanObserver`."""
        self.forward(Told.SAMPLES, lambda observer: observer.fixes_taken(fixes))

    def lines_ended(self, lines: LineChunk) -> None:
        """See `ScanObserver`."""
        self.forward(Told.LINES, lambda observer: observer.lines_ended(lines))

    def flight_ended(self, results: ScanResults) -> None:
        """See `ScanObserver`."""
        self.forward(Told.END, lambda observer: observer.flight_ended(results))
