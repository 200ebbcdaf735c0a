"""What the domain needs from the outside, in its own words.

Adapters turn the errors of their technology into those of
`aefi_bluesky.domain.errors`. One contract suite runs over every adapter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from aefi_bluesky.domain.events import StudyEvent, StudyId
from aefi_bluesky.domain.flight_plan import FlightPlan
from aefi_bluesky.domain.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.study import Study


class ScanObserver(Protocol):
    """Gets whole chunks of a flight on the thread that waits for it.

    An observer that raises is reported by the port and never ends the flight.
    """

    def flight_started(self, plan: FlightPlan) -> None:
        """Take notice that `plan` is about to move."""
        ...

    def state_changed(self, state: ScanState) -> None:
        """Take notice of the flight's new state."""
        ...

    def frames_ended(self, frames: FrameChunk) -> None:
        """Take frames that reached a final state, in order of the engine."""
        ...

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Take detector readings with their estimated positions."""
        ...

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Take raw position replies."""
        ...

    def lines_ended(self, lines: LineChunk) -> None:
        """Take lines that were flown; all their frames were handed out before."""
        ...

    def flight_ended(self, results: ScanResults) -> None:
        """Take the outcome; nothing follows."""
        ...


class ScanInFlight(Protocol):
    """A flight that was started and is not necessarily over."""

    def pause(self) -> None:
        """Stop the motion with a ramp and keep the ledger; returns at once."""
        ...

    def resume(self) -> None:
        """Go on with a fresh run-up at the first frame that is not ok.

        Raises
        ------
        IllegalTransitionError
            If the flight is neither paused nor pausing.
        """
        ...

    def stop(self) -> None:
        """End the flight with a ramped stop; returns at once, idempotent."""
        ...

    def abort(self) -> None:
        """End the flight at once, position suspect; returns at once, idempotent."""
        ...

    def wait(self, timeout_s: float | None = None) -> ScanResults | None:
        """Hand chunks to the observer until the flight ends or time is up.

        Returns
        -------
        ScanResults or None
            None if `timeout_s` seconds went by first.

        Raises
        ------
        ScanPortError
            If the flight failed; the results so far were handed out before.
        """
        ...

    def progress(self) -> ScanProgress:
        """Return how far the flight is, without waiting."""
        ...


class ScanExecutor(Protocol):
    """Something that flies a plan to its end: all that the service needs."""

    def execute_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> ScanResults:
        """Fly and return when the flight is over.

        Raises
        ------
        PortBusyError
            If another flight holds the bench.
        ScanPortError
            If a device is missing, another one answers, or the flight fails.
        """
        ...


class ScanPort(ScanExecutor, Protocol):
    """Something that can fly a plan and be asked for more while it does."""

    def start_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> ScanInFlight:
        """Start to fly and return at once.

        Raises
        ------
        PortBusyError
            If another flight holds the bench.
        DeviceUnavailableError
            If a device is missing or another one answers.
        StorageError
            If what the flight records can't be kept.
        """
        ...


@runtime_checkable
class HardwareLease(Protocol):
    """The right to own the bench's ports for a while."""

    def hold(self, owner: str) -> AbstractContextManager[None]:
        """Own the bench inside the context.

        Raises
        ------
        PortBusyError
            If somebody else does; names the holder.
        """
        ...


class StudyRepository(Protocol):
    """Keeps studies."""

    def save(self, study: Study) -> None:
        """Store `study` as it is now, replacing what it was loaded from.

        Either all of it is stored or, whatever happens, nothing.

        Raises
        ------
        StaleStudyError
            If somebody else saved the study since this one was loaded.
        StorageError
            If it can't be kept.
        """
        ...

    def get(self, study_id: StudyId) -> Study:
        """Return a study equal to what was stored.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyFormatError
            If what is stored is no legal study.
        StorageError
            If it can't be read.
        """
        ...

    def __iter__(self) -> Iterator[StudyId]:
        """Iterate over the identifiers of all studies, oldest first."""
        ...

    def hold(self, study_id: StudyId) -> AbstractContextManager[None]:
        """Be the only one that flies the study, inside the context.

        The hold ends with its process at the latest, however that dies: who gets it
        knows that nobody else flies the study's scans.

        Raises
        ------
        StudyBusyError
            If somebody else holds it.
        StorageError
            If that can't be found out.
        """
        ...


class StudyEventHandler(Protocol):
    """Takes events of a study after it was stored."""

    def handle(self, event: StudyEvent) -> None:
        """Take one event."""
        ...
