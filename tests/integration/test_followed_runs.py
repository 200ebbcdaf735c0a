"""Runs of another session, followed by what Tiled has of them."""

import time

import numpy as np
import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.results.scan_results import CHANNELS, FrameState, ScanState
from aefi_bluesky.plans import fly_map, step_map
from aefi_bluesky.session import Session
from aefi_bluesky.session.followed_runs import FollowedRuns
from aefi_bluesky.views.presenter import Presenter


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with Session.open(kind="virtual", folder=tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def followed(session):
    presenter = Presenter()
    runs = FollowedRuns(
        session.tiled.uri, session.tiled.api_key, presenter, period_s=0.1
    )
    runs.start()
    yield presenter, runs
    runs.close()


def wait_for(condition):
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_viewer_of_another_process_shows_what_the_session_shows(session, followed):
    presenter, runs = followed
    own = Presenter()
    with session.observed.watched_by(own):
        uid = session.RE(fly_map(session.flyer, 600, 610, 3, 590, 610, 5))
    uid = uid.run_start_uids[0]
    wait_for(lambda: presenter.snapshot().state is ScanState.COMPLETED)
    assert runs.notice == f"run {uid}: success"
    shown, expected = presenter.snapshot(), own.snapshot()
    for channel in CHANNELS:
        np.testing.assert_array_equal(shown.image(channel), expected.image(channel))
        np.testing.assert_array_equal(
            shown.image(f"uncertainty {channel}"),
            expected.image(f"uncertainty {channel}"),
        )
    assert shown.health.frames[FrameState.OK] == 15
    assert shown.health.reading_rate_hz == expected.health.reading_rate_hz
    assert shown.health.interval_mm == expected.health.interval_mm


def test_a_viewer_that_comes_late_shows_all(session, followed):
    presenter, _ = followed
    wait_for(lambda: presenter.snapshot().counts.sum() == 15)


def test_a_step_map_is_followed(session, followed):
    presenter, runs = followed
    at_rest = session.stage_x, session.stage_y, session.sensor, session.excitation
    uid = session.RE(step_map(*at_rest, 600, 610, 2, 590, 610, 3)).run_start_uids[0]
    wait_for(lambda: runs.notice == f"run {uid}: success")
    shown = presenter.snapshot()
    assert (shown.counts.sum(), shown.state) == (6, ScanState.COMPLETED)
    assert shown.trace.label == "y"


def test_a_server_that_does_not_answer_is_named_and_asked_again():
    presenter = Presenter()
    runs = FollowedRuns("http://127.0.0.1:9?api_key=k", None, presenter, period_s=0.05)
    runs.start()
    wait_for(lambda: "not reachable" in runs.notice)
    runs.close()


@pytest.mark.parametrize("uri", ["", "127.0.0.1:8000", "ftp://host/"])
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(StorageError, match="must be like http"):
        FollowedRuns(uri, "k", Presenter())
