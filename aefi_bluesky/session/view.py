"""What a window has of a session: one that it opens, or one that is there."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from ophyd.status import MoveStatus

from aefi_bluesky.application.buffered_observer import BufferedObserver
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.devices import StageAxis
from aefi_bluesky.domain.errors import (
    ConfigurationError,
    PortBusyError,
    ScanPortError,
)
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.spec.zone import AxisName
from aefi_bluesky.session.composition import Session
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import Moving, ServedBench
from aefi_bluesky.views.run_follower import RunFollower

logger = logging.getLogger(__name__)


def require_windows() -> None:
    """Refuse without PyMoDAQ's windows and a binding of Qt, with what to install.

    Raises
    ------
    ConfigurationError
        If one of them can't be imported.
    """
    try:
        importlib.import_module("pymodaq_gui.qt_utils")
    except ImportError as err:
        raise ConfigurationError(
            f"windows need PyMoDAQ and one binding of Qt ({err}): "
            "pip install 'aefi-bluesky[pymodaq-qt6]'"
        ) from err


@contextlib.contextmanager
def opened_bench(**choices: Any) -> Generator[ServedBench]:
    """Open a session for a window, and end it on leaving.

    Parameters
    ----------
    choices
        As `Session.open` has them.
    """
    with Session.open(waits_on="worker", **choices) as session:
        yield served_bench(session, study_service(session))


def served_bench(session: Session, studies: StudyService) -> ServedBench:
    """Return a session as a window uses it.

    Parameters
    ----------
    session
        The session.
    studies
        Its service.
    """
    moves = _Moves(session)
    return ServedBench(
        studies=studies,
        watch=partial(_watched, session),
        positions_mm=moves.positions_mm,
        start_moves=moves.start,
        start_homing=moves.home,
        stop_moves=moves.stop,
        take_readings=partial(_take_readings, session),
        settings=session.folders.root / "window.json",
        run_url=session.browse_url,
    )


@contextlib.contextmanager
def bench_of(session: Session, studies: StudyService) -> Generator[ServedBench]:
    """Lend a window the session of a prompt; on leaving, that goes on."""
    yield served_bench(session, studies)


@contextlib.contextmanager
def _watched(session: Session, presenter: Presenter) -> Generator[None]:
    """Tell a presenter of all scans: flights by their chunks, others by documents."""
    observer = BufferedObserver(presenter)
    follower = session.RE.subscribe(RunFollower(presenter, flights=False))
    try:
        with session.observed.watched_by(observer):
            yield
    finally:
        session.RE.unsubscribe(follower)
        observer.close()


class _Moves:
    """Moves between plans, by the devices of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._axes: dict[AxisName, StageAxis] = {
            "x": session.stage_x,
            "y": session.stage_y,
        }
        self._known: tuple[Any, tuple[float, float]] | None = None

    def positions_mm(self) -> tuple[float, float]:
        """Return where x and y are, without taking the port from others each time.

        At rest that is what was read last, unless a run came in between.
        """
        stage, run = self._session.port.stage, self._session.RE.md.get("scan_id")
        if stage.is_known or self._session.RE.state != "idle":
            return stage.positions_mm()
        if self._known is None or self._known[0] != run:
            try:
                self._known = run, stage.positions_mm()
            finally:
                self._session.port.let_go()
        return self._known[1]

    def start(self, targets_mm: Mapping[AxisName, float]) -> Moving:
        _require_idle(self._session, "the head cannot be moved")
        for axis, target in targets_mm.items():
            self._axes[axis].check_value(target)
        self._known = None
        started: list[MoveStatus] = []
        try:
            for axis, target in targets_mm.items():
                started.append(self._axes[axis].move(target))
        except Exception:
            self.stop()
            self._let_go()
            raise
        return _MovesUnderWay(started, self._let_go)

    def home(self, axis: AxisName) -> Moving:
        _require_idle(self._session, "the head cannot be homed")
        self._known = None
        try:
            homing = self._axes[axis].home()
        except Exception:
            self._let_go()
            raise
        return _MovesUnderWay([homing], self._let_go)

    def stop(self) -> None:
        for axis in self._axes.values():
            axis.stop()

    def _let_go(self) -> None:
        """Give the ports back when the axes rest: others may wait for them."""
        stage = self._session.port.stage
        stage.wait_for_rest(_REST_S)
        try:
            if stage.is_known:
                run = self._session.RE.md.get("scan_id")
                self._known = run, stage.positions_mm()
        except ScanPortError as err:
            logger.warning("where the head rests is not known: %s", err)
        finally:
            self._session.port.let_go()


class _MovesUnderWay:
    def __init__(self, statuses: list[MoveStatus], then: Callable[[], None]) -> None:
        self._statuses, self._then = statuses, then
        self._left = len(statuses)
        self._lock = threading.Lock()
        for status in statuses:
            status.add_callback(self._one_ended)

    def _one_ended(self, _status: MoveStatus) -> None:
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._then()

    def wait(self) -> None:
        for status in self._statuses:
            status.wait()

    def when_over(self, call: Callable[[], None]) -> None:
        self._statuses[-1].add_callback(lambda _status: call())


def _take_readings(session: Session, n_avg: int, readings: int) -> dict[str, float]:
    _require_idle(session, "no reading can be taken")
    sensor = session.sensor
    sensor.n_avg.put(n_avg)
    sensor.n_readings.put(readings)
    sensor.n_discarded.put(0)
    try:
        sensor.trigger().wait()
        taken = sensor.read()
    finally:
        session.port.let_go()
    return {channel: taken[channel]["value"] for channel in CHANNELS}


def _require_idle(session: Session, refusal: str) -> None:
    if session.RE.state != "idle":
        raise PortBusyError(
            f"{refusal}: a plan is {session.RE.state}; wait for its end, or stop it"
        )


_REST_S = 10.0
