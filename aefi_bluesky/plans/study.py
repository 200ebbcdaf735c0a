"""The scans of a study, flown by the RunEngine as any other plan."""

from collections.abc import Callable
from typing import Any

from bluesky.utils import MsgGenerator, RunEngineControlException

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.application.study_flight import StudyFlight
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.errors import ScanAbortedError
from aefi_bluesky.domain.events import StudyId
from aefi_bluesky.domain.scan_results import ScanResults, ScanState
from aefi_bluesky.plans.fly import fly_spec, results_since
from aefi_bluesky.plans.stubs import is_carried_out

HALTED_CAUSE = "its plan was closed before the flight's end, as a halt does"
"""Cause of a scan whose plan could not even wait for the stage to rest."""


def study_plan(
    studies: StudyService, flyer: AefiFlyer, port: ObservedScanPort
) -> Callable[..., MsgGenerator[list[str]]]:
    """Return the plan ``run_study`` of a session's studies.

    A queue server knows plain values and names of devices, and a study is neither: so
    the plan has what it needs from here, and takes the rest by name.

    Parameters
    ----------
    studies
        The studies; its uid of the last run is that of a run of `flyer`.
    flyer
        What flies.
    port
        That of the flyer, to notice when a flight holds.
    """

    def run_study(
        study_id: str, all_scans: bool = False, md: dict[str, Any] | None = None
    ) -> MsgGenerator[list[str]]:
        """Fly the next scan of a study, or all that are left, each as its own run.

        Nobody else flies the study meanwhile. A pause may be resumed. A flight that
        fails, or a run that is stopped or aborted, ends the scan as failed or
        cancelled, with the cause, and the plan: ask for the next scan anew.

        Parameters
        ----------
        study_id
            The study.
        all_scans
            Whether to go on until no scan is pending.
        md
            More for each start document, which tells study, scan, role and object.

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
            If another session flies the study.
        InfeasibleScanError
            If the bench can't fly it; nothing was started or stored.
        ScanPortError
            If the flight failed; the scan is stored as failed, with the cause.
        """
        told = {"study_id": study_id, "all_scans": all_scans}
        study, uids = StudyId(study_id), list[str]()
        if not (yield from is_carried_out()):
            # Somebody looks at the plan: the study must not take that for a flight.
            spec = studies.next_scan(study).spec
            yield from fly_spec(flyer, spec, md, "run_study", told)
            return uids
        while True:
            uids.append((yield from fly_next(study, told, md or {})))
            # A flight that somebody ended is no failure, and no reason to go on.
            ended = flyer.results is None or (
                flyer.results.state is not ScanState.COMPLETED
            )
            if ended or not all_scans or not studies.get_study(study).pending_scans:
                return uids

    def fly_next(
        study: StudyId, told: dict[str, Any], md: dict[str, Any]
    ) -> MsgGenerator[str]:
        before = flyer.results
        with (
            studies.next_flight(study) as flight,
            port.watched_by(flight.observer()),
        ):
            try:
                uid = yield from fly_spec(
                    flyer, flight.scan.spec, md | flight.metadata, "run_study", told
                )
            except RunEngineControlException:
                # Asked to end: what has flown has come to rest.
                record_interrupted(flight, before)
                raise
            except GeneratorExit:
                flight.fail(HALTED_CAUSE)
                raise
            flight.record(results_since(flyer, before))
        return uid

    def record_interrupted(flight: StudyFlight, before: ScanResults | None) -> None:
        try:
            results = results_since(flyer, before)
        except ScanAbortedError as err:
            flight.fail(f"{type(err).__name__}: {err}")
        else:
            flight.record(results)

    return run_study
