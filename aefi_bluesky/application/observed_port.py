"""A scan port with more than one observer a flight."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable

from aefi_bluesky.application.audience import Audience
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import (
    RunRecord,
    ScanControl,
    ScanInFlight,
    ScanObserver,
    ScanPort,
)
from aefi_bluesky.domain.results.scan_results import ScanResults


class ObservedScanPort:
    """A scan port whose flights are all watched by the same observers too.

    Parameters
    ----------
    port
        What flies.
    observers
        Told of every flight, after the flight's own observer.
    """

    def __init__(self, port: ScanPort, observers: Iterable[ScanObserver] = ()) -> None:
        self._port = port
        self.audience = Audience(observers)

    @property
    def control(self) -> ScanControl:
        """See `ScanExecutor`."""
        return self._port.control

    @contextlib.contextmanager
    def watched_by(self, observer: ScanObserver) -> Generator[None]:
        """Let one more observer watch inside the context, a flight under way too."""
        self.audience.join(observer)
        try:
            yield
        finally:
            self.audience.leave(observer)

    def start_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> ScanInFlight:
        """See `ScanPort`."""
        return self._port.start_scan(flight_plan, self.audience.beside(observer))

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """See `ScanPort`."""
        observed = self.audience.beside(observer)
        return self._port.execute_scan(flight_plan, observed, run)
