"""The use cases of a study: plan it, fly it, record how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from aefi_bluesky.domain.errors import StudyRuleError
from aefi_bluesky.domain.events import ScanId, StudyId
from aefi_bluesky.domain.feasibility import FeasibilityReport
from aefi_bluesky.domain.flight_plan import FlightPlan
from aefi_bluesky.domain.ports import (
    ScanExecutor,
    ScanObserver,
    StudyEventHandler,
    StudyRepository,
)
from aefi_bluesky.domain.scan_results import ScanResults
from aefi_bluesky.domain.scan_spec import FlyScanSpec
from aefi_bluesky.domain.study import ScanRole, Study

logger = logging.getLogger(__name__)

Planner = Callable[[FlyScanSpec], FlightPlan | FeasibilityReport]
"""Compiles a spec for the bench that the scan port flies."""


def _no_run() -> None:
    """Return None: a headless port records no run."""


class StudyService:
    """Plans, flies and records the scans of studies.

    Parameters
    ----------
    repository
        Keeps the studies.
    scan_port
        Flies.
    plan
        Compiles a spec, or says why it cannot be flown.
    handlers
        Get every event after the study was stored; one that raises is logged.
    last_run_uid
        Returns the uid of the run that the port recorded last; None if headless.
    """

    def __init__(
        self,
        repository: StudyRepository,
        scan_port: ScanExecutor,
        plan: Planner,
        handlers: Iterable[StudyEventHandler] = (),
        *,
        last_run_uid: Callable[[], str | None] = _no_run,
    ) -> None:
        self._repository = repository
        self._scan_port = scan_port
        self._plan = plan
        self._handlers = tuple(handlers)
        self._last_run_uid = last_run_uid

    def create_study(self, study_id: StudyId, object_name: str) -> None:
        """Create and store an empty study.

        Raises
        ------
        StudyRuleError
            If the identifier is taken, or a name is empty.
        """
        if study_id in tuple(self._repository):
            raise StudyRuleError(f"every study has its own name: {study_id!r} is taken")
        self._store(Study(study_id, object_name))

    def add_scan(
        self,
        study_id: StudyId,
        scan_id: ScanId,
        spec: FlyScanSpec,
        role: ScanRole,
        prerequisites: tuple[ScanId, ...] = (),
    ) -> None:
        """Plan one more scan; see `Study.add_scan`."""
        study = self._repository.get(study_id)
        study.add_scan(scan_id, spec, role, prerequisites)
        self._store(study)

    def execute_next_scan(
        self, study_id: StudyId, observer: ScanObserver
    ) -> ScanResults:
        """Fly the study's next scan and return when its flight is over.

        Parameters
        ----------
        study_id
            The study.
        observer
            Gets the flight's chunks on this thread.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyRuleError, IllegalTransitionError
            If the study has no scan to run.
        InfeasibleScanError
            If this bench cannot fly it; nothing was started or stored.
        ScanPortError
            If the flight failed; the scan is stored as failed, with the cause.
        """
        study = self._repository.get(study_id)
        scan = study.next_scan()
        flight_plan = self._feasible(scan.spec)
        study.start_scan(scan.id)
        self._store(study)
        try:
            results = self._scan_port.execute_scan(flight_plan, observer)
        except BaseException as err:
            # Whatever ended it, the bench no longer flies this scan: Ctrl-C too.
            self._record_failure(study_id, scan.id, err)
            raise
        self._record_results(study_id, scan.id, results)
        return results

    def _feasible(self, spec: FlyScanSpec) -> FlightPlan:
        planned = self._plan(spec)
        if isinstance(planned, FeasibilityReport):
            raise planned.error()
        return planned

    # The study is loaded again: it may have been given scans during the flight.

    def _record_results(
        self, study_id: StudyId, scan_id: ScanId, results: ScanResults
    ) -> None:
        study = self._repository.get(study_id)
        study.record_results(scan_id, results, self._last_run_uid())
        self._store(study)

    def _record_failure(
        self, study_id: StudyId, scan_id: ScanId, error: BaseException
    ) -> None:
        study = self._repository.get(study_id)
        cause = f"{type(error).__name__}: {error}"
        study.fail_scan(scan_id, cause, self._last_run_uid())
        self._store(study)

    def _store(self, study: Study) -> None:
        self._repository.save(study)
        for event in study.take_events():
            for handler in self._handlers:
                try:
                    handler.handle(event)
                except Exception:
                    # What happened has happened: a listener cannot undo it.
                    logger.exception("handler %r failed", type(handler).__name__)
