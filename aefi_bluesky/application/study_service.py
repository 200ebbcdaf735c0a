"""The use cases of a study: plan it, fly it, record how it went."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import TypeVar

from aefi_bluesky.application.begun_scan import BegunScan, run_metadata
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
    RunRecord,
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

    Each call loads the study, asks it, stores it, and hands its events on. If somebody
    else stored the study in between, it is loaded and asked again.

    Parameters
    ----------
    repository
        Keeps the studies.
    scan_port
        Flies.
    bench
        What it flies on.
    handlers
        Get every event after the study was stored; one that raises is logged.
    at_rest
        Measures what is not flown; without, such a scan is refused.
    """

    def __init__(
        self,
        repository: StudyRepository,
        scan_port: ScanExecutor,
        bench: BenchDescription,
        handlers: Iterable[StudyEventHandler] = (),
        *,
        at_rest: StepExecutor | None = None,
    ) -> None:
        self._repository = repository
        self._scan_port = scan_port
        self._bench = bench
        self._handlers = tuple(handlers)
        self._at_rest = at_rest

    def study_ids(self) -> tuple[StudyId, ...]:
        """Return the identifiers of all studies, oldest first."""
        return tuple(self._repository)

    def get_study(self, study_id: StudyId) -> Study:
        """Return a study as it is stored; what is done to it is not kept.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        """
        return self._repository.get(study_id)

    def recalibrate(self, bench: BenchDescription) -> None:
        """Plan from now on with what was measured of the bench.

        A study that was configured before keeps its snapshot, and its scans are
        refused on what is another bench to it.
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
            raise StudyRuleError(StudyRule.UNIQUE_STUDY, f"{study_id!r} is taken")
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
        """Plan a scan again that did not complete; see `Study.retry_scan`."""
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
    ) -> ScanResults:
        """Carry the study's next scan out and return when that is over.

        Parameters
        ----------
        study_id
            The study.
        observer
            Gets a flight's chunks on this thread; None if nobody looks.
        step_observer
            Is told how a measurement at rest goes; None if nobody looks.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyRuleError
            If the study has no scan to run, or was not planned for this bench.
        StudyBusyError
            If another session flies the study.
        InfeasibleScanError
            If this bench can't do it, or nobody here measures at rest; nothing was
            started or stored.
        ScanPortError
            If it failed; the scan is stored as failed, with the cause.
        """
        flies_only = self._at_rest is None
        with self.begin_next_scan(study_id, flies_only=flies_only) as begun:
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
        self, study_id: StudyId, *, flies_only: bool = False
    ) -> Generator[BegunScan]:
        """Begin the study's next scan, for who carries it out inside the context.

        The study is held meanwhile, by nobody else. Whatever leaves the context
        before the flight's end was told fails the scan, with that as the cause:
        Ctrl-C and the end of a generator too.

        Parameters
        ----------
        study_id
            The study.
        flies_only
            Whether a scan at rest is refused.

        Raises
        ------
        StudyNotFoundError, StudyRuleError, StudyBusyError, InfeasibleScanError
            As `execute_next_scan` has them; nothing was begun.
        """
        # Asked before the study is held too: a rule says more than that it is held.
        self.next_scan(study_id)
        with self._repository.hold(study_id):
            begun = self._begin(study_id, flies_only=flies_only)
            try:
                yield begun
            except BaseException as err:
                # Whatever ended it, the bench no longer carries this scan out.
                begun.fail(f"{type(err).__name__}: {err}")
                raise
            begun.fail("nobody told how its flight ended")

    def recover(self, study_id: StudyId) -> PlannedScan | None:
        """Fail the scan that is running or paused though no session flies it.

        To be called after a crash: nothing else ends such a scan, and the study runs
        no other one before.

        Returns
        -------
        PlannedScan or None
            The scan as it was failed; None if there was none.

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

    def _begin(self, study_id: StudyId, *, flies_only: bool) -> BegunScan:
        def begin(study: Study) -> BegunScan:
            scan = study.next_scan()
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
        planned = (
            plan_flight(spec, self._bench)
            if isinstance(spec, FlyScanSpec)
            else plan_steps(spec, self._bench)
        )
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
            f"scan {scan.id!r} is a {kind_of(scan.spec)}, measured at rest, and what "
            "carries scans out here can only fly: run the study in a session "
            "(aefi study run, run_study)",
        )
    )
