"""Studies whose scans are runs: the service over the RunEngine."""

from __future__ import annotations

from collections.abc import Iterable

from bluesky import RunEngine

from aefi_bluesky.application.leases import NullLease, SeveralLeases
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import (
    HardwareLease,
    RunRecord,
    ScanObserver,
    StepObserver,
    StudyEventHandler,
    StudyRepository,
)
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.engine import RustScanAdapter
from aefi_bluesky.plans.at_rest import AtRest
from aefi_bluesky.plans.run_maker import RunMaker, RunOfScan
from aefi_bluesky.session.composition import Session
from aefi_bluesky.session.run_control import IdleEngine, RunControl
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository


class RunEngineScanExecutor:
    """Carries each scan out as a plan on the RunEngine: every run is stored.

    What is flown is the plan `fly_map`, what is measured at rest `step_map` and its
    like.

    Parameters
    ----------
    engine
        Runs the plans.
    runs
        Makes runs of scans.
    port
        The bench: its motion ends before the RunEngine hears of a stop.
    """

    def __init__(
        self, engine: RunEngine, runs: RunMaker, port: RustScanAdapter
    ) -> None:
        self._runs = runs
        self.control = RunControl(engine, port.control, port.stage.abort)

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """Fly and return when the run is closed; see `ScanExecutor`.

        Raises
        ------
        ScanAbortedError
            If the run was interrupted before its flight began.
        """
        return self._carry_out(self._runs.of_flight(flight_plan, observer), run)

    def execute_steps(
        self, plan: StepPlan, observer: StepObserver, run: RunRecord | None = None
    ) -> ScanResults:
        """Measure and return when the run is closed; see `StepExecutor`."""
        return self._carry_out(self._runs.of_steps(plan, observer), run)

    def _carry_out(self, made: RunOfScan, run: RunRecord | None) -> ScanResults:
        plan = made.plan(run or RunRecord())
        return made.results(interrupted=self.control.carry_out(made, plan))


def run_maker(session: Session) -> RunMaker:
    """Return what makes runs of scans in a session."""
    at_rest = AtRest(
        session.stage_x, session.stage_y, session.sensor, session.excitation
    )
    return RunMaker(session.flyer, session.observed, at_rest)


def study_service(
    session: Session,
    repository: StudyRepository | None = None,
    *,
    handlers: Iterable[StudyEventHandler] = (),
    lease: HardwareLease | None = None,
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
    lease
        Held for each scan, before the session takes its ports; None for no other.

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
    executor = RunEngineScanExecutor(session.RE, run_maker(session), session.port)
    service = StudyService(
        studies,
        executor,
        session.bench,
        handlers=handlers,
        at_rest=executor,
        lease=SeveralLeases(IdleEngine(session.RE), lease or NullLease(), session.port),
    )
    session.users.append(service)
    return service
