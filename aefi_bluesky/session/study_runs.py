"""Studies whose scans are runs: the service over the RunEngine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from aefi_bluesky.application.study_flight import run_metadata
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import (
    ScanObserver,
    StepObserver,
    StudyEventHandler,
    StudyRepository,
)
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.study.events import ScanStarted, StudyEvent
from aefi_bluesky.plans.at_rest import AtRest
from aefi_bluesky.plans.scan_runs import ScanRun, ScanRuns
from aefi_bluesky.session.composition import Session
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository


class RunEngineScanExecutor:
    """Carries each scan out as a plan on the RunEngine: every run is stored.

    What is flown is the plan `fly_map`, what is measured at rest `step_map` and its
    like.

    A handler of the study's events too, so that the run's start document tells the
    study, the scan, its role and the object, and that a scan's run is known, whoever
    flies it.

    Parameters
    ----------
    engine
        Runs the plans.
    runs
        Makes runs of scans.
    repository
        Where the studies of the events are.
    """

    def __init__(
        self,
        engine: RunEngine,
        runs: ScanRuns,
        repository: StudyRepository,
    ) -> None:
        self._engine = engine
        self._runs = runs
        self._repository = repository
        self._study: dict[str, Any] = {}
        self._last_run_uid: str | None = None
        engine.subscribe(self._take_start, "start")

    def _take_start(self, _name: str, doc: dict[str, Any]) -> None:
        self._last_run_uid = doc["uid"]

    def last_run_uid(self) -> str | None:
        """Return the uid of the last scan's run; None if none was opened."""
        return self._last_run_uid

    def handle(self, event: StudyEvent) -> None:
        """Keep what the next run's start document says of its study."""
        if isinstance(event, ScanStarted):
            self._last_run_uid = None
            study = self._repository.get(event.study_id)
            self._study = run_metadata(study, study.scan(event.scan_id))

    def execute_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> ScanResults:
        """Fly and return when the run is closed; see `ScanExecutor`.

        Raises
        ------
        ScanAbortedError
            If the run was interrupted before its flight began.
        """
        return self._carry_out(self._runs.of_flight(flight_plan, observer))

    def execute_steps(self, plan: StepPlan, observer: StepObserver) -> ScanResults:
        """Measure and return when the run is closed; see `StepExecutor`."""
        return self._carry_out(self._runs.of_steps(plan, observer))

    def _carry_out(self, run: ScanRun) -> ScanResults:
        try:
            self._engine(run.plan(self._study))
        except RunEngineInterrupted:
            # Nobody is here who could resume: the run is closed with its cause.
            self._engine.abort("interrupted")
            return run.results(interrupted=True)
        return run.results()


def scan_runs(session: Session) -> ScanRuns:
    """Return what makes runs of scans in a session."""
    at_rest = AtRest(
        session.stage_x, session.stage_y, session.sensor, session.excitation
    )
    return ScanRuns(session.flyer, session.observed, at_rest)


def study_service(
    session: Session,
    repository: StudyRepository | None = None,
    *,
    handlers: Iterable[StudyEventHandler] = (),
) -> StudyService:
    """Return the service whose scans are runs of `session`.

    Parameters
    ----------
    session
        Has the RunEngine and the flyer.
    repository
        Keeps the studies; that of the session's data folder if None.
    handlers
        Get the studies' events too.

    Raises
    ------
    StorageError
        If the data folder's studies can't be read or written.
    """
    studies = (
        SqliteStudyRepository(session.folders.studies)
        if repository is None
        else repository
    )
    executor = RunEngineScanExecutor(session.RE, scan_runs(session), studies)
    service = StudyService(
        studies,
        executor,
        session.bench,
        handlers=(executor, *handlers),
        at_rest=executor,
        last_run_uid=executor.last_run_uid,
    )
    session.users.append(service)
    return service
