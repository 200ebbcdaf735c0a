"""What the domain needs from the outside, in its own words.

Adapters turn the errors of their technology into those of
`aefi_bluesky.domain.errors`. One contract suite runs over every adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.spec.fly_spec import AxisName, Excitation
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.study.events import StudyEvent, StudyId
from aefi_bluesky.domain.study.study import Study


class ScanObserver(Protocol):
    """Gets whole chunks of a flight, on the thread that waits for the flight.

    With a port that is who called `ScanInFlight.wait` or `ScanExecutor.execute_scan`.
    In a session it is the flyer's own thread, never that of a window. If an observer
    raises, the port reports the error and the flight goes on. One that is slow delays
    the others and the run's documents, but loses no data: `BufferedObserver` takes it
    out of the way.
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
    """A flight that was started; it may be over already."""

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
        """End the flight at once; returns at once, idempotent.

        Positions are suspect afterwards, unless the flight was paused.
        """
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


@dataclass(slots=True)
class RunRecord:
    """What the run of a scan says of it, and which run that is.

    Parameters
    ----------
    metadata
        For the run's start document.
    uid
        Uid of the run, known as soon as the run is open. None before that, and if the
        port records no run.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    uid: str | None = None


class ScanControl(Protocol):
    """The scan that is carried out now, a flight or a measurement at rest.

    All calls come from any thread and return at once; what they ask for follows.
    """

    def pause(self) -> None:
        """Come to rest and wait for `resume`, `stop` or `abort`.

        Raises
        ------
        IllegalTransitionError
            If no scan is carried out.
        """
        ...

    def resume(self) -> None:
        """Go on after a pause, with what is not measured yet.

        Raises
        ------
        IllegalTransitionError
            If no scan is paused or pausing.
        """
        ...

    def stop(self) -> None:
        """End the scan with a ramped stop and keep its data; idempotent.

        Nothing happens if no scan is carried out.
        """
        ...

    def abort(self) -> None:
        """End the scan at once, position suspect unless it rested; see `stop`."""
        ...

    def progress(self) -> ScanProgress | None:
        """Return how far the scan is, without waiting; None if there is none."""
        ...


class ScanExecutor(Protocol):
    """Flies a plan to its end, which is all that the service needs."""

    @property
    def control(self) -> ScanControl:
        """Pauses and ends what is carried out."""
        ...

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """Fly and return when the flight is over.

        Parameters
        ----------
        flight_plan
            The plan to fly. It is not planned or checked again.
        observer
            Gets the flight's chunks.
        run
            Metadata for the run of the scan; a port that records runs sets the uid
            there. None if the scan belongs to no study.

        Raises
        ------
        PortBusyError
            If another flight holds the bench.
        ScanPortError
            If a device is missing, another one answers, or the flight fails.
        """
        ...


class StepObserver(Protocol):
    """Is told how a measurement at rest goes, on the thread that measures."""

    def state_changed(self, state: ScanState) -> None:
        """Take notice of a pause (`PAUSED`), or of its end (`FLYING`)."""
        ...

    def measured(self, done: int, plan: StepPlan) -> None:
        """Take notice that so many measurements of `plan` are done; 0 at the start."""
        ...


class StepExecutor(Protocol):
    """Carries out a measurement at rest, to its end."""

    def execute_steps(
        self, plan: StepPlan, observer: StepObserver, run: RunRecord | None = None
    ) -> ScanResults:
        """Measure and return when all is over; each measurement is a frame.

        See `ScanExecutor.execute_scan` for the parameters.

        Raises
        ------
        PortBusyError
            If a flight is under way.
        ScanPortError
            If a device is missing or fails, or another one answers.
        """
        ...


class ScanPort(ScanExecutor, Protocol):
    """Flies plans; a flight under way can be watched, paused and stopped."""

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
            If another program owns the bench; the message names it.
        """
        ...


@dataclass(frozen=True, slots=True)
class MoveEnd:
    """How the move of an axis ended.

    Parameters
    ----------
    outcome
        ``arrived``, ``stopped`` or ``failed``.
    error
        Why the move failed; None if it did not fail.
    """

    outcome: str
    error: Exception | None = None


class StageMotion(Protocol):
    """Axes that can be moved while nothing flies: each alone, or both at once."""

    def start_move(
        self, axis: AxisName, target_mm: float, speed_mm_per_s: float | None = None
    ) -> None:
        """Start to move to a target in mm and return at once.

        Raises
        ------
        InvalidScanSpecError
            If the target is outside the travel or the speed outside its range.
        PortBusyError
            In flight.
        IllegalTransitionError
            If the axis is moving.
        """
        ...

    def start_homing(
        self,
        axis: AxisName,
        *,
        upwards: bool = False,
        speed_mm_per_s: float | None = None,
    ) -> None:
        """Start to look for the home input and return at once; see `start_move`."""
        ...

    def wait(self, axis: AxisName, timeout_s: float) -> MoveEnd | None:
        """Return how the last move of an axis ended; None if it still moves by then."""
        ...

    def is_at(self, axis: AxisName, target_mm: float) -> bool:
        """Return whether an axis is known to rest within a step of a target."""
        ...

    def positions_mm(self) -> tuple[float, float]:
        """Return where x and y are, in mm: as read last, or as expected in flight.

        Raises
        ------
        ScanPortError
            If the stage has to be asked and does not answer as it should.
        """
        ...

    @property
    def stopped_well(self) -> bool:
        """Whether the moves that the last stop ended count as a success."""
        ...

    def stop(self, *, success: bool = False) -> None:
        """Stop both axes with their ramps; returns at once, idempotent.

        Parameters
        ----------
        success
            Whether the moves that this stop ends count as a success, for both axes.
        """
        ...

    def abort(self) -> None:
        """Stop without a ramp, position suspect; returns at once, idempotent."""
        ...

    def measure_fixes(self, duration_s: float) -> FixRate:
        """Ask for positions back to back for a while and return how fast they came.

        Raises
        ------
        PortBusyError
            If a flight is under way, or an axis moves.
        ScanPortError
            If the stage or its link fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class FixRate:
    """How fast position replies come.

    Parameters
    ----------
    rate_hz
        Replies a second, back to back.
    turnaround_s
        From the end of a request to the start of its reply, in s: a period less what
        its bytes take on the wire, so that the host's own time is in it.
    """

    rate_hz: float
    turnaround_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """Readings taken one after the other.

    Parameters
    ----------
    t_start_ns, t_end_ns
        Start and end of each exchange, in ns of the bench's clock; shape (n,).
    codes
        Raw codes of channels 1 to 8; shape (n, 8).
    """

    t_start_ns: npt.NDArray[np.int64]
    t_end_ns: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]

    def without_first(self, count: int) -> Self:
        """Return the batch without its first readings."""
        return type(self)(
            self.t_start_ns[count:], self.t_end_ns[count:], self.codes[count:]
        )


class Acquisition(Protocol):
    """Readings and excitation while nothing flies."""

    def take_readings(self, n_avg: int, readings: int = 1) -> SampleBatch:
        """Take readings back to back and return when they are there.

        Raises
        ------
        InvalidScanSpecError
            If a number is out of range.
        PortBusyError
            In flight.
        ScanPortError
            If the acquisition or its link fails.
        """
        ...

    def drive(self, excitation: Excitation) -> None:
        """Drive the spheres; see `take_readings`."""
        ...

    def switch_off(self) -> None:
        """Take the excitation away; see `take_readings`."""
        ...


class StudyRepository(Protocol):
    """Keeps studies."""

    def save(self, study: Study) -> None:
        """Store `study` as it is now, replacing what it was loaded from.

        Either the whole study is stored or, whatever happens, nothing.

        Raises
        ------
        StaleStudyError
            If another program saved the study after this one was loaded.
        StorageError
            If the study can't be stored.
        """
        ...

    def get(self, study_id: StudyId) -> Study:
        """Return a study equal to what was stored.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyFormatError
            If what is stored is not a possible study.
        StorageError
            If the store can't be read.
        """
        ...

    def __iter__(self) -> Iterator[StudyId]:
        """Iterate over the identifiers of all studies, oldest first."""
        ...

    def hold(self, study_id: StudyId) -> AbstractContextManager[None]:
        """Be the only program that flies the study, inside the context.

        The hold ends with its process at the latest, however that dies. So the holder
        knows that no other program flies the study's scans.

        Raises
        ------
        StudyBusyError
            If another program holds the study.
        StorageError
            If the state of the lock can't be found out.
        """
        ...


class StudyEventHandler(Protocol):
    """Takes events of a study after the study was stored."""

    def handle(self, event: StudyEvent) -> None:
        """Take one event."""
        ...
