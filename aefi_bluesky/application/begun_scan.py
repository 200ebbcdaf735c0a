"""A scan of a study from its start to its end, with any executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aefi_bluesky.application.pause_recorder import (
    PauseRecorder,
    Pauses,
    StepPauseRecorder,
)
from aefi_bluesky.application.silent_observer import SilentObserver
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import RunRecord, ScanObserver, StepObserver
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.study.planned_scan import PlannedScan
from aefi_bluesky.domain.study.study import Study

_T = TypeVar("_T")

StudyChange = Callable[[Callable[[Study], None]], None]
"""Loads a study, does to it what is given, and stores it."""


class BegunScan:
    """A scan that its study regards as running, until it is told how the scan ended.

    Parameters
    ----------
    scan
        The scan as it was planned.
    plan
        The plan of the scan, for a flight or a measurement at rest.
    run
        Metadata for the run of the scan (`run_metadata`). Whoever opens the run sets
        the uid of the run there.
    change
        Changes the study of the scan.
    """

    def __init__(
        self,
        scan: PlannedScan,
        plan: FlightPlan | StepPlan,
        run: RunRecord,
        change: StudyChange,
    ) -> None:
        self.scan = scan
        self.plan = plan
        self.run = run
        self._change = change
        self._is_told = False

    def carry_out(
        self,
        *,
        flown: Callable[[FlightPlan, ScanObserver], _T],
        at_rest: Callable[[StepPlan, StepObserver], _T],
        observer: ScanObserver | None = None,
        step_observer: StepObserver | None = None,
    ) -> _T:
        """Call what carries out a scan of its kind, with its plan and its observer.

        Parameters
        ----------
        flown, at_rest
            Takes the plan that was accepted, and who tells the study of pauses.
        observer, step_observer
            Another observer; None for no observer.
        """
        if isinstance(self.plan, FlightPlan):
            return flown(self.plan, self.observer(observer))
        return at_rest(self.plan, self.step_observer(step_observer))

    def observer(self, watching: ScanObserver | None = None) -> ScanObserver:
        """Return an observer that tells the study of pauses and of their ends.

        Parameters
        ----------
        watching
            Gets everything before; None for no observer.
        """
        observer = SilentObserver() if watching is None else watching
        return PauseRecorder(observer, self._pauses())

    def step_observer(self, watching: StepObserver | None = None) -> StepObserver:
        """Return the same for a measurement at rest; see `observer`."""
        return StepPauseRecorder(watching, self._pauses())

    def _pauses(self) -> Pauses:
        scan_id = self.scan.id
        return Pauses(
            paused=lambda: self._change(lambda study: study.pause_scan(scan_id)),
            resumed=lambda: self._change(lambda study: study.resume_scan(scan_id)),
        )

    def record(self, results: ScanResults) -> None:
        """End the scan as it was carried out; see `Study.record_results`."""
        # First: results that can't be stored are no failed scan, but for `recover`.
        self._is_told = True
        self._change(
            lambda study: study.record_results(self.scan.id, results, self.run.uid)
        )

    def fail(self, cause: str) -> None:
        """End the scan as failed; nothing happens if it has already ended.

        Parameters
        ----------
        cause
            Why, in one sentence.
        """
        if self._is_told:
            return
        self._is_told = True
        self._change(lambda study: study.fail_scan(self.scan.id, cause, self.run.uid))


def run_metadata(study: Study, scan: PlannedScan) -> dict[str, Any]:
    """Return what a run's start document says of its study.

    Parameters
    ----------
    study
        The study.
    scan
        The scan of it that the run is.
    """
    return {
        "study": {
            "id": study.id,
            "object": study.measured_object.reference,
            "scan": scan.id,
            "role": scan.role.value,
        }
    }
