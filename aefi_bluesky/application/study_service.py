"""The use cases of a study: plan it, fly it, record how it went."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import TypeVar

from aefi_bluesky.application.begun_scan import BegunScan, run_metadata
from aefi_bluesky.application.leases import NullLease
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import (
    InfeasibleScanError,
    StaleStudyError,
    StudyRuleError,
)
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.ports import (
    HardwareLease,
    RunRecord,
    ScanControl,
    ScanExecutor,
    ScanObserver,
    StepExecutor,
    StepObserver,
    StudyEventHandler,
    StudyRepository,
)
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import ScanSpec, kind_of
from aefi_bluesky.domain.step.planning import StepPlan, plan_steps
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.rules import StudyRule
from aefi_bluesky.domain.study.study import PlannedScan, ScanRole, Study

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_MOST_TRIES = 20
"""How often a change is made anew because somebody else was faster."""


class StudyService:
    """Plans, flies and records the scans of studies.

    Each call loads the study, changes it, stores it, and hands its events on. If
    another program stored the study in between, it is loaded and changed again.

    Parameters
    ----------
    repository
        Keeps the studies.
    scan_port
        Flies the scans.
    bench
        The bench behind the port.
    handlers
        Get every event after the study was stored; one that raises is logged.
    at_rest
        Carries out measurements at rest. If it is None, such scans are refused.
    lease
        Held for each scan, before the study hears that it begins: a bench that somebody
        else owns leaves the scan pending. `NullLease` by default.
    """

    def __init__(
        self,
        repository: StudyRepository,
        scan_port: ScanExecutor,
        bench: BenchDescription,
        handlers: Iterable[StudyEventHandler] = (),
        *,
        at_rest: StepExecutor | None = None,
        lease: HardwareLease | None = None,
    ) -> None:
        self._repository = repository
        self._scan_port = scan_port
        self._bench = bench
        self._handlers = tuple(handlers)
        self._at_rest = at_rest
        self._lease = lease or NullLease()

    @property
    def bench(self) -> BenchDescription:
        """The bench that scans are planned for."""
        return self._bench

    @property
    def control(self) -> ScanControl:
        """Pauses and ends the scan that `execute_next_scan` carries out."""
        return self._scan_port.control

    def check(self, spec: ScanSpec) -> FlightPlan | StepPlan | FeasibilityReport:
        """Return the plan of `spec` on this bench, or every reason why there is none.

        Nothing is stored, and nothing moves.
        """
        if isinstance(spec, FlyScanSpec):
            return plan_flight(spec, self._bench)
        return plan_steps(spec, self._bench)

    def study_ids(self) -> tuple[StudyId, ...]:
        """Return the identifiers of all studies, oldest first."""
        return tuple(self._repository)

    def get_study(self, study_id: StudyId) -> Study:
        """Return a study as it is stored; changes to the returned one are not stored.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        """
        return self._repository.get(study_id)

    def recalibrate(self, bench: BenchDescription) -> None:
        """Use the constants that were measured of the bench from now on.

        A study that was configured before keeps its snapshot. Its scans are refused,
        because the new constants make another bench.
        """
        self._bench = bench

    def create_study(
        self, study_id: StudyId, measured_object: MeasuredObject, operator: str
    ) -> None:
        """Create and store a study without scans.

        Raises
        ------
        StudyRuleError
            If the identifier is taken, or a name is empty.
        """
        if study_id in self.study_ids():
            raise StudyRuleError(
                StudyRule.UNIQUE_STUDY, f"{study_id!r} is taken by another study"
            )
        self._store(Study(study_id, measured_object, operator))

    def configure_study(self, study_id: StudyId) -> None:
        """Make this bench the study's snapshot; see `Study.configure`."""
        self._change(study_id, lambda study: study.configure(self._bench))

    def add_scan(
        self,
        study_id: StudyId,
        scan_id: ScanId,
        spec: ScanSpec,
        role: ScanRole,
        prerequisites: tuple[ScanId, ...] = (),
        *,
        reference: ScanId | None = None,
    ) -> None:
        """Plan one more scan; see `Study.add_scan`."""
        self._change(
            study_id,
            lambda study: study.add_scan(
                scan_id, spec, role, prerequisites, reference=reference
            ),
        )

    def retry_scan(self, study_id: StudyId, scan_id: ScanId, retry_id: ScanId) -> None:
        """Plan a scan again if it did not complete; see `Study.retry_scan`."""
        self._change(study_id, lambda study: study.retry_scan(scan_id, retry_id))

    def cancel_scan(self, study_id: StudyId, scan_id: ScanId, cause: str) -> None:
        """Give up a pending scan; see `Study.cancel_scan`."""
        self._change(study_id, lambda study: study.cancel_scan(scan_id, cause))

    def next_scan(self, study_id: StudyId) -> PlannedScan:
        """Return the scan that `execute_next_scan` would fly; see `Study.next_scan`."""
        return self._repository.get(study_id).next_scan()

    def complete_study(self, study_id: StudyId) -> None:
        """Close a study whose scans are over; see `Study.complete`."""
        self._change(study_id, Study.complete)

    def abort_study(self, study_id: StudyId, cause: str) -> None:
        """Give a study up; see `Study.abort`."""
        self._change(study_id, lambda study: study.abort(cause))

    def archive_study(self, study_id: StudyId) -> None:
        """Close a study for good; see `Study.archive`."""
        self._change(study_id, Study.archive)

    def execute_next_scan(
        self,
        study_id: StudyId,
        observer: ScanObserver | None = None,
        step_observer: StepObserver | None = None,
        *,
        scan_id: ScanId | None = None,
    ) -> ScanResults:
        """Carry the study's next scan out and return when that is over.

        Parameters
        ----------
        study_id
            The study.
        observer
            Gets a flight's chunks; see `ScanObserver` for the thread. None for no
            observer.
        step_observer
            Is told how a measurement at rest goes; None for no observer.
        scan_id
            The scan that is wanted; the next one if None.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyRuleError
            If the study has no scan to run, the wanted one must not run, or the study
            was not planned for this bench.
        StudyBusyError
            If another session flies the study.
        InfeasibleScanError
            If this bench can't carry the scan out, or it is measured at rest and
            `at_rest` is None. Nothing was started or stored.
        PortBusyError
            If somebody else owns the bench, or one of its ports. The scan is still
            pending.
        ScanPortError
            If the scan failed; it is stored as failed, with the cause.
        """
        flies_only = self._at_rest is None
        with self.begin_next_scan(
            study_id, flies_only=flies_only, scan_id=scan_id
        ) as begun:
            results = begun.carry_out(
                flown=partial(self._scan_port.execute_scan, run=begun.run),
                at_rest=partial(self._execute_steps, run=begun.run),
                observer=observer,
                step_observer=step_observer,
            )
            begun.record(results)
            return results

    def _execute_steps(
        self, plan: StepPlan, observer: StepObserver, run: RunRecord
    ) -> ScanResults:
        assert self._at_rest is not None  # noqa: S101  else the scan was refused
        return self._at_rest.execute_steps(plan, observer, run)

    @contextlib.contextmanager
    def begin_next_scan(
        self,
        study_id: StudyId,
        *,
        flies_only: bool = False,
        scan_id: ScanId | None = None,
    ) -> Generator[BegunScan]:
        """Begin the study's next scan; the caller carries it out inside the context.

        Inside the context, no other program can hold the study. If the context is left
        before the end of the scan was told, the scan fails, and whatever left the
        context is the cause: also Ctrl-C and the end of a generator.

        Parameters
        ----------
        study_id
            The study.
        flies_only
            Whether a scan at rest is refused.
        scan_id
            The scan that is wanted; the next one if None.

        Raises
        ------
        StudyNotFoundError, StudyRuleError, StudyBusyError
            As in `execute_next_scan`; no scan was begun.
        PortBusyError, InfeasibleScanError
            As well.
        """
        # Asked before the study is held too: a rule says more than that it is held.
        self._repository.get(study_id).next_scan(scan_id)
        with contextlib.ExitStack() as held:
            held.enter_context(self._repository.hold(study_id))
            held.enter_context(self._lease.hold(f"study {study_id!r}"))
            begun = self._begin(study_id, scan_id, flies_only=flies_only)
            try:
                yield begun
            except BaseException as err:
                # Whatever ended it, the bench no longer carries this scan out.
                begun.fail(f"{type(err).__name__}: {err}")
                raise
            begun.fail("no program told the study how the scan ended")

    def recover(self, study_id: StudyId) -> PlannedScan | None:
        """Mark a scan as failed that is running or paused, but that no session flies.

        Call this after a crash: nothing else ends such a scan, and until then the study
        runs no other scan.

        Returns
        -------
        PlannedScan or None
            The failed scan; None if no scan was running or paused.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyBusyError
            If another session flies the study: its scan is not lost.
        """
        if self._repository.get(study_id).active_scan is None:
            return None
        with self._repository.hold(study_id):
            return self._change(study_id, Study.fail_lost_scan)

    def _begin(
        self, study_id: StudyId, scan_id: ScanId | None, *, flies_only: bool
    ) -> BegunScan:
        def begin(study: Study) -> BegunScan:
            scan = study.next_scan(scan_id)
            if flies_only and not isinstance(scan.spec, FlyScanSpec):
                raise _only_flown(scan)
            study.require_bench(self._bench)
            plan = self._feasible(scan.spec)
            study.start_scan(scan.id)
            return BegunScan(
                scan,
                plan,
                RunRecord(run_metadata(study, scan)),
                partial(self._change, study_id),
            )

        return self._change(study_id, begin)

    def _feasible(self, spec: ScanSpec) -> FlightPlan | StepPlan:
        planned = self.check(spec)
        if isinstance(planned, FeasibilityReport):
            raise planned.error()
        return planned

    def _change(self, study_id: StudyId, change: Callable[[Study], _T]) -> _T:
        """Load a study, change it, store it; again if it was stored in between."""
        for _ in range(_MOST_TRIES - 1):
            try:
                return self._change_once(study_id, change)
            except StaleStudyError:
                continue
        return self._change_once(study_id, change)

    def _change_once(self, study_id: StudyId, change: Callable[[Study], _T]) -> _T:
        study = self._repository.get(study_id)
        outcome = change(study)
        self._store(study)
        return outcome

    def _store(self, study: Study) -> None:
        self._repository.save(study)
        for event in study.take_events():
            for handler in self._handlers:
                try:
                    handler.handle(event)
                except Exception:
                    # What happened has happened: a listener cannot undo it.
                    logger.exception("handler %r failed", type(handler).__name__)


def _only_flown(scan: PlannedScan) -> InfeasibleScanError:
    return InfeasibleScanError(
        (
            f"scan {scan.id!r} is a {kind_of(scan.spec)}, which is measured at rest, "
            "but this program can only fly scans: run the study in a session "
            "('aefi study run', or the plan run_study in 'aefi shell')",
        )
    )
