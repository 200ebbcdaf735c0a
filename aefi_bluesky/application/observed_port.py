"""A scan port with more than one observer a flight."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import (
    RunRecord,
    ScanControl,
    ScanInFlight,
    ScanObserver,
    ScanPort,
)
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)

logger = logging.getLogger(__name__)


class TeeObserver:
    """Tells several observers the same; one that raises harms no other.

    Parameters
    ----------
    own
        Told first. What it raises goes on to the port, when all have been told.
    others
        Told in this order. What they raise is logged.
    """

    def __init__(self, own: ScanObserver, others: Sequence[ScanObserver]) -> None:
        self._own = own
        self._others = others

    def _tell(self, say: Callable[[ScanObserver], None]) -> None:
        try:
            say(self._own)
        finally:
            for observer in self._others:
                try:
                    say(observer)
                except Exception:
                    logger.exception("observer %r failed", type(observer).__name__)

    def flight_started(self, plan: FlightPlan) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.flight_started(plan))

    def state_changed(self, state: ScanState) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.state_changed(state))

    def frames_ended(self, frames: FrameChunk) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.frames_ended(frames))

    def readings_taken(self, readings: ReadingChunk) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.readings_taken(readings))

    def fixes_taken(self, fixes: FixChunk) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.fixes_taken(fixes))

    def lines_ended(self, lines: LineChunk) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.lines_ended(lines))

    def flight_ended(self, results: ScanResults) -> None:
        """See `ScanObserver`."""
        self._tell(lambda observer: observer.flight_ended(results))


class ObservedScanPort:
    """A scan port whose flights are all watched by the same observers too.

    Parameters
    ----------
    port
        What flies.
    observers
        Told of every flight, after the flight's own observer.
    """

    def __init__(self, port: ScanPort, observers: Sequence[ScanObserver]) -> None:
        self._port = port
        self._observers = list(observers)

    @property
    def control(self) -> ScanControl:
        """See `ScanExecutor`."""
        return self._port.control

    @contextlib.contextmanager
    def watched_by(self, observer: ScanObserver) -> Generator[None]:
        """Let one more observer watch the flights that start inside the context."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    def _tee(self, observer: ScanObserver) -> ScanObserver:
        others = tuple(self._observers)
        return TeeObserver(observer, others) if others else observer

    def start_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> ScanInFlight:
        """See `ScanPort`."""
        return self._port.start_scan(flight_plan, self._tee(observer))

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """See `ScanPort`."""
        return self._port.execute_scan(flight_plan, self._tee(observer), run)
