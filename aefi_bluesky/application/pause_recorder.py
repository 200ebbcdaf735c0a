"""An observer that notices when a flight holds and when it goes on."""

from __future__ import annotations

from collections.abc import Callable

from aefi_bluesky.application.observed_port import TeeObserver
from aefi_bluesky.domain.ports import ScanObserver
from aefi_bluesky.domain.scan_results import ScanState


class PauseRecorder(TeeObserver):
    """Tells one observer everything, and two functions of the pauses.

    Parameters
    ----------
    observer
        Told first.
    paused, resumed
        Called when the flight holds, and when it goes on after that.
    """

    def __init__(
        self,
        observer: ScanObserver,
        paused: Callable[[], None],
        resumed: Callable[[], None],
    ) -> None:
        super().__init__(observer, ())
        self._paused = paused
        self._resumed = resumed
        self._holds = False

    def state_changed(self, state: ScanState) -> None:
        """See `ScanObserver`."""
        try:
            super().state_changed(state)
        finally:
            self._take(state)

    def _take(self, state: ScanState) -> None:
        if state is ScanState.PAUSED and not self._holds:
            self._holds = True
            self._paused()
        elif state is ScanState.FLYING and self._holds:
            self._holds = False
            self._resumed()
