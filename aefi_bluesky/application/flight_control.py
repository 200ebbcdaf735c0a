"""Control of a port's present flight."""

from __future__ import annotations

from collections.abc import Callable

from aefi_bluesky.domain.errors import IllegalTransitionError
from aefi_bluesky.domain.ports import ScanInFlight
from aefi_bluesky.domain.results.scan_results import ScanProgress


class FlightControl:
    """A `ScanControl` over the flight that a port has under way.

    Parameters
    ----------
    under_way
        Returns the flight under way; None if there is none.
    """

    def __init__(self, under_way: Callable[[], ScanInFlight | None]) -> None:
        self._under_way = under_way

    def pause(self) -> None:
        """See `ScanControl`."""
        self._flight("paused").pause()

    def resume(self) -> None:
        """See `ScanControl`."""
        self._flight("resumed").resume()

    def stop(self) -> None:
        """See `ScanControl`."""
        flight = self._under_way()
        if flight is not None:
            flight.stop()

    def abort(self) -> None:
        """See `ScanControl`."""
        flight = self._under_way()
        if flight is not None:
            flight.abort()

    def progress(self) -> ScanProgress | None:
        """See `ScanControl`."""
        flight = self._under_way()
        return None if flight is None else flight.progress()

    def _flight(self, what: str) -> ScanInFlight:
        flight = self._under_way()
        if flight is None:
            raise IllegalTransitionError(
                f"only a scan under way can be {what}, and none is"
            )
        return flight
