"""The scans of a study, carried out by the RunEngine as any other plan."""

from collections.abc import Callable
from typing import Any

from bluesky.utils import MsgGenerator, RunEngineControlException

from aefi_bluesky.application.begun_scan import BegunScan
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import ScanAbortedError
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.study.events import StudyId
from aefi_bluesky.plans.run_maker import RunMaker, RunOfScan
from aefi_bluesky.plans.stubs import is_carried_out

HALTED_CAUSE = (
    "the plan of this scan was closed before the scan ended, for example by RE.halt()"
)
"""Cause of a scan whose plan could not even wait for the stage to rest."""


def study_plan(
    studies: StudyService, runs: RunMaker
) -> Callable[..., MsgGenerator[list[str]]]:
    """Return the plan ``run_study`` of a session's studies.

    A queue server knows only plain values and names of devices, and a study is
    neither. So the plan has the studies and the run maker from here; its arguments are
    plain values.

    Parameters
    ----------
    studies
        The studies.
    runs
        Makes runs of scans.
    """

    def run_study(
        study_id: str, all_scans: bool = False, md: dict[str, Any] | None = None
    ) -> MsgGenerator[list[str]]:
        """Run the next scan of a study, or all that are left, each as its own run.

        A scan is flown or measured at rest, as its spec says. No other session can run
        the study meanwhile. After a pause, the run can be resumed. If the run fails,
        the scan ends as failed; if the run is stopped or aborted, the scan ends as
        cancelled. In both cases the plan ends too: call it again to run the next scan.

        Parameters
        ----------
        study_id
            The study.
        all_scans
            Whether to go on until no scan is pending.
        md
            More metadata for each start document, which already has study, scan, role
            and object.

        Returns
        -------
        list[str]
            The runs' uids.

        Raises
        ------
        StudyNotFoundError
            If no study has this identifier.
        StudyRuleError
            If the study has no scan to run, or was not planned for this bench.
        StudyBusyError
            If another session runs the study.
        InfeasibleScanError
            If the bench can't do it; nothing was started or stored.
        ScanPortError
            If it failed; the scan is stored as failed, with the cause.
        """
        told = {"study_id": study_id, "all_scans": all_scans}
        study, uids = StudyId(study_id), list[str]()
        if not (yield from is_carried_out()):
            # Somebody looks at the plan: the study must not take that for a flight.
            spec = studies.next_scan(study).spec
            yield from runs.seen(spec, md or {}, "run_study", told)
            return uids
        while True:
            uid, state = yield from run_next(study, told, md or {})
            uids.append(uid)
            # A scan that somebody ended is no failure, and no reason to go on.
            ended = state is not ScanState.COMPLETED
            if ended or not all_scans or not studies.get_study(study).pending_scans:
                return uids

    def run_next(
        study: StudyId, told: dict[str, Any], md: dict[str, Any]
    ) -> MsgGenerator[tuple[str, ScanState]]:
        with studies.begin_next_scan(study) as begun:
            made = begun.carry_out(flown=runs.of_flight, at_rest=runs.of_steps)
            try:
                uid = yield from made.plan(begun.run, md, "run_study", told)
            except RunEngineControlException:
                # Asked to end: what has flown has come to rest.
                record_interrupted(begun, made)
                raise
            except GeneratorExit:
                begun.fail(HALTED_CAUSE)
                raise
            results = made.results()
            begun.record(results)
        return uid, results.state

    def record_interrupted(begun: BegunScan, made: RunOfScan) -> None:
        try:
            results = made.results(interrupted=True)
        except ScanAbortedError as err:
            begun.fail(f"{type(err).__name__}: {err}")
        else:
            begun.record(results)

    return run_study
