"""Observers that raise, and that take a second a call, beside a flight on ptys."""

import time

import pytest

from aefi_bluesky.application.buffered_observer import BufferedObserver
from aefi_bluesky.application.forwarder import Forwarder
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session import Session

pytestmark = pytest.mark.realtime


class Raises(Forwarder):
    def forward(self, told, say):
        raise ValueError(f"cannot take {told}")


class Sleeps(Forwarder):
    def __init__(self):
        self.takes_s = 1.0

    def forward(self, told, say):
        time.sleep(self.takes_s)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with Session.open(kind="ptys", folder=tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.mark.parametrize("make", [Raises, Sleeps])
@pytest.mark.parametrize("buffered", [False, True])
def test_neither_costs_a_frame_or_a_record(session, make, buffered):
    observer = make()
    told = BufferedObserver(observer) if buffered else observer
    with session.observed.watched_by(told):
        session.RE(fly_map(session.flyer, 600, 610, 2, 590, 620, 9))
    observer.takes_s = 0.0  # the flight is over: what still waits need not take long
    if buffered:
        assert told.close(30.0)
    results = session.flyer.results
    assert results.frames["ok"] == sum(results.frames.values()) == 18
    assert not any(results.n_lost.values())
