"""An observer that keeps all that a flight produced, as whole columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import (
    Chunk,
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)

Columns = dict[str, npt.NDArray[Any]]


class Recorder:
    """Keeps every chunk of the last flight in memory."""

    def __init__(self) -> None:
        self.plan: FlightPlan | None = None
        self.results: ScanResults | None = None
        self._chunks: dict[str, list[Chunk]] = {}

    def flight_started(self, plan: FlightPlan) -> None:
        """Forget the flight before."""
        self.plan, self.results = plan, None
        self._chunks = {"frames": [], "lines": [], "readings": [], "fixes": []}

    def state_changed(self, state: ScanState) -> None:
        """Keep nothing: the results tell the final state."""

    def frames_ended(self, frames: FrameChunk) -> None:
        """Keep frames."""
        self._chunks["frames"].append(frames)

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Keep readings."""
        self._chunks["readings"].append(readings)

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Keep fixes."""
        self._chunks["fixes"].append(fixes)

    def lines_ended(self, lines: LineChunk) -> None:
        """Keep lines."""
        self._chunks["lines"].append(lines)

    def flight_ended(self, results: ScanResults) -> None:
        """Keep the outcome."""
        self.results = results

    def columns(self, kind: str) -> Columns:
        """Return all records of a kind: frames, lines, readings or fixes."""
        chunks = self._chunks.get(kind, [])
        names = chunks[0].data if chunks else ()
        return {
            name: np.concatenate([chunk[name] for chunk in chunks]) for name in names
        }
