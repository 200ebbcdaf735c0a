"""What a window has of a session: one that it opens, or one that is there."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from aefi_bluesky.application.buffered_observer import BufferedObserver
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.session.composition import Session
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import ServedBench
from aefi_bluesky.views.run_follower import RunFollower


@contextlib.contextmanager
def opened_bench(**choices: Any) -> Generator[ServedBench]:
    """Open a session for a window, and end it on leaving.

    Parameters
    ----------
    choices
        As `Session.open` has them.
    """
    with Session.open(**choices) as session:
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
    return ServedBench(
        studies=studies,
        watch=partial(_watched, session),
        move_to=partial(_move_to, session),
        stop_moves=session.port.stage.stop,
        settings=Path(session.folders.root) / "window.json",
        run_url=session.browse_url,
    )


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


def _move_to(session: Session, x_mm: float, y_mm: float) -> None:
    if session.RE.state != "idle":
        raise PortBusyError(
            f"the head cannot be moved: a plan is {session.RE.state}; wait for its "
            "end, or stop it"
        )
    targets = {session.stage_x: x_mm, session.stage_y: y_mm}
    for axis, target in targets.items():
        axis.check_value(target)
    try:
        statuses = [axis.move(target) for axis, target in targets.items()]
        for status in statuses:
            status.wait()
    finally:
        session.stage_x.stop()  # both axes, if one still moves
        session.stage_y.stop()
        session.port.stage.wait_for_rest(_REST_S)
        session.port.release()


_REST_S = 10.0
