"""What a window asks of a session; nothing here waits, and nothing knows Qt.

Whoever draws looks at `ScanClient.status` as often as it likes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import AefiError, ScanAbortedError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.ports import ScanControl
from aefi_bluesky.domain.results.scan_results import (
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.spec.formats import ScanSpec
from aefi_bluesky.domain.spec.zone import AxisName
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.planned_scan import ScanRole
from aefi_bluesky.domain.study.study import Study
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.spec_tree import spec_of

logger = logging.getLogger(__name__)

_AGAIN_S = 0.1


class Moving(Protocol):
    """Moves that were started."""

    def wait(self) -> None:
        """Return when the axes rest; raises what ended a move before its target."""
        ...

    def when_over(self, call: Callable[[], None]) -> None:
        """Call something when the axes rest, on any thread."""
        ...


@dataclass(frozen=True, slots=True)
class ServedBench:
    """A session as a window and PyMoDAQ's plugins use it.

    Whatever moves or reads raises `PortBusyError` while a plan runs.

    Parameters
    ----------
    studies
        Plans, flies and records scans.
    watch
        A context in which a presenter is told of all scans of the session.
    positions_mm
        Returns where x and y are, in mm.
    start_moves
        Starts to move to targets by axis, in mm.
    start_homing
        Starts to look for the home input of an axis.
    stop_moves
        Stops the axes with their ramps, from any thread.
    take_readings
        Takes readings of so many conversions, and returns their mean by channel, in V.
    settings
        File in which a window keeps what was chosen last.
    run_url
        Returns the link that opens a run in Tiled; None without one.
    """

    studies: StudyService
    watch: Callable[[Presenter], AbstractContextManager[None]]
    positions_mm: Callable[[], tuple[float, float]]
    start_moves: Callable[[Mapping[AxisName, float]], Moving]
    start_homing: Callable[[AxisName], Moving]
    stop_moves: Callable[[], None]
    take_readings: Callable[[int, int], Mapping[str, float]]
    settings: Path
    run_url: Callable[[str], str | None]


class ClientState(StrEnum):
    """Where a client stands."""

    CLOSED = "closed"
    OPENING = "opening"
    READY = "ready"
    BUSY = "busy"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bench can carry a spec out.

    Parameters
    ----------
    spec
        The spec; None if the values make none.
    text
        How long it takes, or every reason against it.
    """

    spec: ScanSpec | None
    text: str

    @property
    def is_feasible(self) -> bool:
        """Whether it can be carried out."""
        return self.spec is not None


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """All that a window must know of its client at one moment.

    Parameters
    ----------
    state
        Where the client stands.
    doing
        What it is busy with, in words.
    notice
        What it said last: what was done, or why not.
    failed
        Whether the notice says why not.
    verdict
        On the spec that was asked about last; None while that is not known.
    studies
        All studies, oldest first.
    last_run
        Uid of the last run.
    """

    state: ClientState = ClientState.CLOSED
    doing: str = ""
    notice: str = ""
    failed: bool = False
    verdict: Verdict | None = None
    studies: tuple[Study, ...] = ()
    last_run: str | None = None


class ScanClient:
    """Carries out what a window asks for, one after the other, on its own thread.

    Scans, moves, and the session's opening and end take their turns on one thread;
    checks and the list of studies on another. Pause, resume, stop and abort return at
    once.

    Parameters
    ----------
    opening
        Returns the context of a session. It is entered and left on the client's thread.
    presenter
        Is told of all scans.
    bench
        The bench that the session is about to have, as its file describes it.
    """

    def __init__(
        self,
        opening: Callable[[], AbstractContextManager[ServedBench]],
        presenter: Presenter,
        bench: BenchDescription,
    ) -> None:
        self.bench = bench
        self._opening = opening
        self._presenter = presenter
        self._lock = threading.Lock()
        self._status = ClientStatus()
        self._served: ServedBench | None = None
        self._held = ExitStack()
        self._asked = 0
        self._opened = self._job = _done()
        self._stop_asked = threading.Event()
        self.is_shut_down = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="aefi-client")
        self._looker = ThreadPoolExecutor(1, thread_name_prefix="aefi-client-look")

    @property
    def status(self) -> ClientStatus:
        """How it stands."""
        with self._lock:
            return self._status

    @property
    def served(self) -> ServedBench | None:
        """The session; None while it is closed."""
        return self._served

    def _set(self, **changed: Any) -> None:
        with self._lock:
            self._status = replace(self._status, **changed)

    def say(self, text: str, *, failed: bool = False) -> None:
        """Have something shown."""
        self._set(notice=text, failed=failed)

    # -- the session ----------------------------------------------------------

    def open(self) -> Future[None]:
        """Open the session; nothing if it is open, or about to be."""
        with self._lock:
            if self._status.state is ClientState.CLOSED and not self.is_shut_down:
                self._status = replace(self._status, state=ClientState.OPENING)
                self._opened = self._worker.submit(self._open)
            return self._opened

    def _open(self) -> None:
        try:
            with ExitStack() as stack:
                served = stack.enter_context(self._opening())
                stack.enter_context(served.watch(self._presenter))
                self._held = stack.pop_all()
        except BaseException as err:
            self._leave(ClientState.OPENING, ClientState.CLOSED)
            self._fail("the session could not be opened", err)
            return
        self._served = served
        self._leave(ClientState.OPENING, ClientState.READY)
        self.say("the bench is open")
        self.refresh()

    def _leave(self, state: ClientState, to: ClientState) -> None:
        """Go from a state to another; not if it is another one by now."""
        with self._lock:
            if self._status.state is state:
                self._status = replace(self._status, state=to, doing="")

    def close(self) -> Future[None]:
        """End what is under way, and the session; it takes as long as that takes.

        What others carry out in the session, as at a prompt, is not touched.
        """
        if self.is_shut_down:
            return _done()
        with self._lock:
            was_busy = self._status.state is ClientState.BUSY
            self._status = replace(self._status, state=ClientState.CLOSING)
        if was_busy:
            self.stop()
        return self._worker.submit(self._close)

    def _close(self) -> None:
        self._served = None
        try:
            self._held.pop_all().close()
            self.say("the session is closed")
        except BaseException as err:
            self._fail("the session did not end as it should", err)
        self._set(state=ClientState.CLOSED, doing="", studies=(), verdict=None)

    def shut_down(self) -> None:
        """End the client's threads as soon as they are done."""
        self.is_shut_down = True
        self._worker.shutdown(wait=False)
        self._looker.shutdown(wait=False)

    # -- what takes its turn ----------------------------------------------------

    def run(
        self,
        study_id: StudyId,
        spec: ScanSpec,
        role: ScanRole = ScanRole.REFERENCE,
        reference: ScanId | None = None,
    ) -> Future[None]:
        """Plan a scan of a study, and carry it out."""

        def job(served: ServedBench) -> ScanResults:
            scan_id = self._planned(served, study_id, spec, role, reference)
            return self._execute(served, study_id, scan_id)

        return self._do(f"scanning for study {study_id}", job)

    def run_next(self, study_id: StudyId) -> Future[None]:
        """Carry the next pending scan of a study out."""
        return self._do(
            f"scanning for study {study_id}",
            lambda served: self._execute(served, study_id, None),
        )

    def _planned(
        self,
        served: ServedBench,
        study_id: StudyId,
        spec: ScanSpec,
        role: ScanRole,
        reference: ScanId | None,
    ) -> ScanId:
        taken = {scan.id for scan in served.studies.get_study(study_id).scans}
        number = len(taken) + 1
        while (scan_id := ScanId(f"scan-{number}")) in taken:
            number += 1
        served.studies.add_scan(study_id, scan_id, spec, role, reference=reference)
        return scan_id

    def _execute(
        self, served: ServedBench, study_id: StudyId, scan_id: ScanId | None
    ) -> ScanResults:
        scan = served.studies.get_study(study_id).next_scan(scan_id)
        self.refresh()
        if self._stop_asked.is_set():
            raise ScanAbortedError(f"scan {scan.id} was stopped before it began")
        try:
            results = served.studies.execute_next_scan(study_id, scan_id=scan.id)
        finally:
            found = served.studies.get_study(study_id).scan(scan.id)
            self._set(last_run=found.run_uid or self.status.last_run)
        cause = f": {results.cause}" if results.cause else ""
        self.say(f"scan {scan.id} of study {study_id} is {results.state}{cause}")
        return results

    def move_to(self, x_mm: float, y_mm: float) -> Future[None]:
        """Move to a place, in mm."""

        def job(served: ServedBench) -> None:
            if not self._stop_asked.is_set():
                served.start_moves({"x": x_mm, "y": y_mm}).wait()
            at_x_mm, at_y_mm = served.positions_mm()
            self.say(f"the head is at x {at_x_mm:.3f} mm, y {at_y_mm:.3f} mm")

        return self._do(f"moving to x {x_mm:.3f} mm, y {y_mm:.3f} mm", job)

    def _do(self, doing: str, job: Callable[[ServedBench], object]) -> Future[None]:
        with self._lock:
            if self._status.state is not ClientState.READY:
                refused = f"the client is {self._status.state}, not ready: not {doing}"
                self._status = replace(self._status, notice=refused, failed=True)
                return _done()
            self._status = replace(self._status, state=ClientState.BUSY, doing=doing)
        self._stop_asked.clear()
        self._job = self._worker.submit(self._carry_out, doing, job)
        return self._job

    def _carry_out(self, doing: str, job: Callable[[ServedBench], object]) -> None:
        served = self._served
        try:
            if served is not None:
                job(served)
        except BaseException as err:
            self._fail(doing, err)
        self._leave(ClientState.BUSY, ClientState.READY)
        self.refresh()

    def _fail(self, doing: str, err: BaseException) -> None:
        if not isinstance(err, AefiError):
            logger.error("%s failed", doing, exc_info=err)
        self.say(f"{doing}: {err}", failed=True)

    # -- at once ---------------------------------------------------------------

    def pause(self) -> None:
        """Pause the scan."""
        self._control(lambda control: control.pause())

    def resume(self) -> None:
        """Go on after a pause."""
        self._control(lambda control: control.resume())

    def stop(self) -> None:
        """End the scan, or a move, with a ramp."""
        self._stop_asked.set()
        self._control(lambda control: control.stop())
        self._stop_moves()
        if not self._job.done():
            threading.Thread(
                target=self._insist, args=(self._job,), name="aefi-stop", daemon=True
            ).start()

    def _insist(self, job: Future[None]) -> None:
        """Ask again while a scan begins: before its run there is nothing to stop."""
        while not job.done():
            progress = self.progress()
            self._control(lambda control: control.stop())
            self._stop_moves()
            if progress is not None and progress.state is not ScanState.PREPARING:
                return
            time.sleep(_AGAIN_S)

    def _stop_moves(self) -> None:
        served = self._served
        if served is not None and self.progress() is None:  # or they are a scan's
            served.stop_moves()

    def abort(self) -> None:
        """End the scan without a ramp."""
        self._control(lambda control: control.abort())

    def _control(self, act: Callable[[ScanControl], None]) -> None:
        if (served := self._served) is None:
            return
        try:
            act(served.studies.control)
        except AefiError as err:
            self.say(str(err), failed=True)

    def progress(self) -> ScanProgress | None:
        """Return how far the scan is; None if there is none."""
        served = self._served
        return None if served is None else served.studies.control.progress()

    # -- looks -------------------------------------------------------------------

    def check(self, values: dict[str, Any]) -> None:
        """Ask whether the bench can do what these values of a tree say.

        Until the verdict is there, there is none; of several, only the last is given.
        """
        self._look_later(self._check, self.doubt(), values)

    def doubt(self) -> int:
        """Forget the verdict, as the values changed; return the question's number."""
        with self._lock:
            self._asked += 1
            self._status = replace(self._status, verdict=None)
            return self._asked

    def _check(self, asked: int, values: dict[str, Any]) -> None:
        served = self._served
        if served is None or asked != self._asked:
            return
        try:
            verdict = _verdict(served.studies, values)
        except Exception as err:
            logger.exception("a spec could not be checked")
            verdict = Verdict(None, f"it could not be checked: {err!r}")
        with self._lock:
            if asked == self._asked:
                self._status = replace(self._status, verdict=verdict)

    def refresh(self) -> None:
        """Read the studies anew."""
        self._look_later(self._look)

    def _look_later(self, job: Callable[..., None], *arguments: Any) -> None:
        if not self.is_shut_down:  # a form may still tell of a last change
            self._looker.submit(job, *arguments)

    def _look(self) -> None:
        served = self._served
        if served is None:
            return
        try:
            ids = served.studies.study_ids()
            self._set(studies=tuple(map(served.studies.get_study, ids)))
        except AefiError as err:
            self.say(f"the studies cannot be read: {err}", failed=True)

    def create_study(self, study_id: str, reference: str, operator: str) -> None:
        """Create a study of an object, for this bench."""

        def create(studies: StudyService) -> None:
            created = StudyId(study_id)
            studies.create_study(created, MeasuredObject(reference), operator)
            studies.configure_study(created)

        self._change(f"study {study_id} is created", create)

    def retry(self, study_id: StudyId, scan_id: ScanId) -> None:
        """Plan a scan again that did not complete."""

        def retry(studies: StudyService) -> None:
            taken = {scan.id for scan in studies.get_study(study_id).scans}
            number = 2
            while (retry_id := ScanId(f"{scan_id}-try-{number}")) in taken:
                number += 1
            studies.retry_scan(study_id, scan_id, retry_id)

        self._change(f"scan {scan_id} is planned again", retry)

    def _change(self, done: str, change: Callable[[StudyService], None]) -> None:
        def job() -> None:
            if (served := self._served) is None:
                return
            try:
                change(served.studies)
                self.say(done)
            except AefiError as err:
                self.say(str(err), failed=True)
            self._look()

        self._look_later(job)


def _verdict(studies: StudyService, values: dict[str, Any]) -> Verdict:
    try:
        spec = spec_of(values)
        planned = studies.check(spec)
    except AefiError as err:
        return Verdict(None, str(err))
    if isinstance(planned, FeasibilityReport):
        return Verdict(None, str(planned.error()))
    minutes, seconds = divmod(round(planned.duration_s), 60)
    return Verdict(spec, f"can be carried out in about {minutes} min {seconds:02d} s")


def _done() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done
