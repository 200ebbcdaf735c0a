"""Who notices when a scan holds and when it goes on."""

from __future__ import annotations

from collections.abc import Callable

from aefi_bluesky.application.forwarder import Forwarder, Say, Told
from aefi_bluesky.domain.ports import ScanObserver, StepObserver
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.step.planning import StepPlan


class Pauses:
    """Makes pauses of states.

    Parameters
    ----------
    paused, resumed
        Called when the scan holds, and when it goes on after that.
    """

    def __init__(self, paused: Callable[[], None], resumed: Callable[[], None]) -> None:
        self._paused = paused
        self._resumed = resumed
        self._holds = False

    def take(self, state: ScanState) -> None:
        """Take notice of the state that the scan is in by now."""
        if state is ScanState.PAUSED and not self._holds:
            self._holds = True
            self._paused()
        elif state is ScanState.FLYING and self._holds:
            self._holds = False
            self._resumed()


class PauseRecorder(Forwarder):
    """Tells one observer of a flight everything, and others of the pauses.

    Parameters
    ----------
    observer
        Told first.
    pauses
        Takes the states.
    """

    def __init__(self, observer: ScanObserver, pauses: Pauses) -> None:
        self._observer = observer
        self._pauses = pauses

    def forward(self, told: Told, say: Say) -> None:
        """See `Forwarder`."""
        say(self._observer)

    def state_changed(self, state: ScanState) -> None:
        """See `ScanObserver`."""
        try:
            super().state_changed(state)
        finally:
            self._pauses.take(state)


class StepPauseRecorder:
    """The same for a measurement at rest.

    Parameters
    ----------
    observer
        Told first; None for no observer.
    pauses
        Takes the states.
    """

    def __init__(self, observer: StepObserver | None, pauses: Pauses) -> None:
        self._observer = observer
        self._pauses = pauses

    def state_changed(self, state: ScanState) -> None:
        """See `StepObserver`."""
        try:
            if self._observer is not None:
                self._observer.state_changed(state)
        finally:
            self._pauses.take(state)

    def measured(self, done: int, plan: StepPlan) -> None:
        """See `StepObserver`."""
        if self._observer is not None:
            self._observer.measured(done, plan)
