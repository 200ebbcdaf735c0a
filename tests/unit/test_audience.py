"""Who watches flights: from the beginning, later, slowly, or with failures."""

import threading
import time

import pytest

from aefi_bluesky.application.buffered_observer import BufferedObserver
from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.domain.results.scan_results import FrameState, ScanState
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.testing.fakes import (
    BrokenObserver,
    FakeScanPort,
    RecordingObserver,
)

PLAN = a_plan(n_x=4)
KEPT = {"flight_started", "state_changed", "frames_ended", "lines_ended"}


@pytest.fixture
def port():
    return ObservedScanPort(FakeScanPort())


def what_of(observer, names=KEPT):
    return [(told.name, told.value) for told in observer.told if told.name in names]


class Joining(RecordingObserver):
    """Lets another one join when so many lines were flown."""

    def __init__(self, port, other, after):
        super().__init__()
        self.port, self.other, self.after = port, other, after

    def lines_ended(self, lines):
        super().lines_ended(lines)
        if self.names.count("lines_ended") == self.after:
            joins = threading.Thread(target=self.port.audience.join, args=(self.other,))
            joins.start()
            joins.join()


@pytest.mark.parametrize("after", [1, 3])
def test_who_joins_in_flight_hears_frames_and_lines_from_the_start(port, after):
    late = RecordingObserver()
    early = RecordingObserver()
    port.audience.join(early)
    own = Joining(port, late, after)
    port.execute_scan(PLAN, own)
    # The line in which it joined is told to the audience after the flight's own.
    assert what_of(late) == what_of(early) == what_of(own)
    assert late.values("flight_ended") == own.values("flight_ended")
    assert 0 < late.names.count("readings_taken") < own.names.count("readings_taken")


def test_who_joins_between_flights_hears_nothing_of_the_last_one(port):
    port.execute_scan(PLAN, RecordingObserver())
    late = RecordingObserver()
    port.audience.join(late)
    assert late.told == []
    port.execute_scan(PLAN, RecordingObserver())
    assert late.names.count("flight_started") == 1


def test_who_leaves_hears_nothing_any_more(port):
    observer = RecordingObserver()
    with port.watched_by(observer):
        port.execute_scan(PLAN, RecordingObserver())
    heard = len(observer.told)
    port.execute_scan(PLAN, RecordingObserver())
    assert len(observer.told) == heard > 0


def test_one_that_joins_while_others_are_told_hears_all_in_order(port):
    """From any thread, at any time; each frame once."""
    latecomers = [RecordingObserver() for _ in range(20)]
    plan = a_plan(n_x=60)

    def join_all():
        for observer in latecomers[1:]:
            port.audience.join(observer)

    joins = threading.Thread(target=join_all)
    own = RecordingObserver()

    class Starting(RecordingObserver):
        def flight_started(self, plan):
            port.audience.join(latecomers[0])
            joins.start()

    port.audience.join(Starting())
    port.execute_scan(plan, own)
    joins.join()
    heard = [observer for observer in latecomers if observer.told]
    assert latecomers[0] in heard
    for observer in heard:
        assert what_of(observer) == what_of(own)


def test_one_that_raises_harms_neither_the_flight_nor_others(port, caplog):
    broken, whole = BrokenObserver(), RecordingObserver()
    port.audience.join(broken)
    port.audience.join(whole)
    results = port.execute_scan(PLAN, RecordingObserver())
    assert results.frames[FrameState.OK] == PLAN.n_frames
    assert len(what_of(whole)) == len(what_of(broken)) > 0
    assert "BrokenObserver" in caplog.text


class Slow(RecordingObserver):
    """Takes its time until it is let go."""

    def __init__(self):
        super().__init__()
        self.may_go_on = threading.Event()

    def _keep(self, name, value):
        self.may_go_on.wait(10.0)
        super()._keep(name, value)


def test_a_slow_one_is_not_waited_for_and_misses_no_frame(port, caplog):
    slow, own = Slow(), RecordingObserver()
    buffered = BufferedObserver(slow, most_samples=3)
    port.audience.join(buffered)
    began = time.monotonic()
    results = port.execute_scan(PLAN, own)
    assert time.monotonic() - began < 5.0
    assert results.state is ScanState.COMPLETED
    slow.may_go_on.set()
    assert buffered.flush(10.0)
    assert what_of(slow) == what_of(own)
    assert slow.names[-1] == "flight_ended"
    samples = {"readings_taken", "fixes_taken"}
    heard = what_of(slow, samples)
    assert 0 < len(heard) <= 4
    # The newest ones are left.
    assert heard[-3:] == what_of(own, samples)[-3:]
    assert "was not told of" in caplog.text
    assert buffered.close()


def test_a_quick_one_is_told_everything_in_order_on_its_own_thread(port):
    quick, own = RecordingObserver(), RecordingObserver()
    buffered = BufferedObserver(quick)
    port.audience.join(buffered)
    port.execute_scan(PLAN, own)
    assert buffered.close()
    assert what_of(quick, set(own.names)) == what_of(own, set(own.names))
    assert {told.thread for told in quick.told} != {threading.get_ident()}


def test_one_that_raises_is_told_the_rest(port, caplog):
    broken = BrokenObserver()
    buffered = BufferedObserver(broken)
    port.audience.join(buffered)
    port.execute_scan(PLAN, RecordingObserver())
    assert buffered.close()
    assert broken.names[-1] == "flight_ended"
    assert "BrokenObserver" in caplog.text
