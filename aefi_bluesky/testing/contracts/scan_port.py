"""What every `ScanExecutor` promises, and every `ScanPort` beside it.

A subclass named ``Test...`` gives the fixtures ``scan_port`` (a fresh port, its bench
ready) and ``flight_plan`` (for a port, a plan whose flight does not end before somebody
waits for it, so that a pause right after the start comes in time; see `a_long_plan`),
the ``bench`` that it was planned for, and whether it ``records_runs``.
"""

# ruff: noqa: S101  (a test suite: its asserts are meant)

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Generator

import numpy as np
import pytest

from aefi_bluesky.domain.errors import (
    IllegalTransitionError,
    PortBusyError,
    ScanPortError,
)
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import compile_flight, plan_flight
from aefi_bluesky.domain.ports import (
    RunRecord,
    ScanExecutor,
    ScanInFlight,
    ScanObserver,
    ScanPort,
)
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FrameChunk,
    FrameState,
    ScanResults,
    ScanState,
)
from aefi_bluesky.testing.builders import a_bench
from aefi_bluesky.testing.fakes import BrokenObserver, RecordingObserver

PATIENCE_S = 60.0
"""A flight that takes longer than this has hung."""

_PLACE = {"x", "x_lo", "x_hi", "y", "y_lo", "y_hi"}
_CODES = {f"code_{number}" for number in range(1, 9)}
_VOLTS = {*CHANNELS, *(f"{channel}_std" for channel in CHANNELS)}
_TIMES = {
    *("run_up", "window", "run_down", "turnaround", "t_start", "t_end"),
    *("link", "host"),
}
_COUNTS = {"n_ok", "n_not_ok", "n_readings", "n_fixes"}
_RATES = {"reading_rate", "fix_rate", "loop_rate"}
_PERIODS = {"period_p50", "period_p99", "period_max"}

COLUMNS = {
    "fixes_taken": {"t_sent", "t_received", "axis", "counts", "flags"},
    "readings_taken": {"t_start", "t_end", "frame", "flags", *_PLACE, *_CODES},
    "frames_ended": {
        *("frame", "line", "pass", "state", "t", "late", "count"),
        *("x_nominal", "y_nominal"),
        *_PLACE,
        *_VOLTS,
    },
    "lines_ended": {"line", "pass", "slow", *_TIMES, *_COUNTS, *_RATES, *_PERIODS},
}
"""The columns of each kind of chunk, by the observer's method."""


@contextlib.contextmanager
def _flying(
    port: ScanPort, plan: FlightPlan, observer: ScanObserver
) -> Generator[ScanInFlight]:
    """Start and pause at once; leave no flight behind."""
    flight = port.start_scan(plan, observer)
    try:
        flight.pause()
        yield flight
    finally:
        flight.stop()
        with contextlib.suppress(ScanPortError):
            flight.wait(PATIENCE_S)


def _wait_for_pause(flight: ScanInFlight) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while flight.progress().state is not ScanState.PAUSED:
        assert flight.wait(0.05) is None, "the flight ended instead of pausing"
        assert time.monotonic() < deadline, "the flight did not pause"


def _ended(flight: ScanInFlight) -> ScanResults:
    results = flight.wait(PATIENCE_S)
    assert results is not None, "the flight hangs"
    return results


def _check_ledger(results: ScanResults, plan: FlightPlan) -> None:
    assert set(results.frames) <= set(FrameState)
    assert sum(results.frames.values()) == plan.n_frames


def _stop(flight: ScanInFlight) -> None:
    flight.stop()


def _abort(flight: ScanInFlight) -> None:
    flight.abort()


class ScanExecutorContract:
    """The promises of `ScanExecutor`: whoever flies a plan to its end."""

    bench = a_bench()
    """The bench that plans of this suite are for."""
    records_runs = False
    """Whether each flight is a run with a uid."""

    @pytest.fixture
    def long_plan(self, flight_plan: FlightPlan) -> FlightPlan:
        """Return a plan whose flight does not end before it hears of a pause."""
        return flight_plan

    def test_completed_flight_accounts_for_every_frame(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """Every planned frame has one state when the last line was flown."""
        results = scan_port.execute_scan(flight_plan, RecordingObserver())
        assert results.state is ScanState.COMPLETED
        assert results.cause == ""
        assert not results.position_suspect
        assert results.frames.get(FrameState.NOT_REACHED, 0) == 0
        _check_ledger(results, flight_plan)

    def test_frames_of_a_line_come_before_the_line(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """Whoever gets a line has all its frames."""
        observer = RecordingObserver()
        scan_port.execute_scan(flight_plan, observer)
        open_lines = {line.index: line.n_frames for line in flight_plan.lines}
        for told in observer.told:
            for line in told.value["line"] if told.name == "frames_ended" else ():
                open_lines[line] -= 1
            for line in told.value["line"] if told.name == "lines_ended" else ():
                assert open_lines.pop(line) == 0
        assert not open_lines

    def test_every_frame_comes_once_with_its_planned_centre(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """Frames keep the identifiers of the plan."""
        observer = RecordingObserver()
        results = scan_port.execute_scan(flight_plan, observer)
        frames = np.array(observer.column("frames_ended", "frame"))
        x_mm = observer.column("frames_ended", "x_nominal")
        assert sorted(frames) == list(range(flight_plan.n_frames))
        np.testing.assert_array_equal(x_mm, flight_plan.frame_x_mm[frames])
        _check_states(observer, results)

    def test_records_are_counted(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """What was handed out is what the results count; nothing is lost."""
        observer = RecordingObserver()
        results = scan_port.execute_scan(flight_plan, observer)
        assert len(observer.column("readings_taken", "t_end")) == results.n_readings
        assert len(observer.column("fixes_taken", "axis")) == results.n_fixes
        assert not any(results.n_lost.values())

    @pytest.mark.parametrize("kind", list(COLUMNS))
    def test_chunks_have_the_documented_columns(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan, kind: str
    ) -> None:
        """Names are those of `results.scan_results`; arrays are read-only."""
        observer = RecordingObserver()
        scan_port.execute_scan(flight_plan, observer)
        chunks = observer.values(kind)
        assert chunks
        for chunk in chunks:
            assert set(chunk.data) == COLUMNS[kind]
            assert not any(column.flags.writeable for column in chunk.data.values())

    def test_broken_observer_does_not_end_the_flight(
        self,
        scan_port: ScanExecutor,
        flight_plan: FlightPlan,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A view that raises is logged, and told everything that follows."""
        observer = BrokenObserver()
        results = scan_port.execute_scan(flight_plan, observer)
        assert results.state is ScanState.COMPLETED
        assert set(observer.names) >= {"flight_started", "lines_ended", "flight_ended"}
        logged = [record for record in caplog.records if record.exc_info]
        assert len(logged) == len(observer.told)

    def test_bench_is_free_after_a_flight(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """One flight follows the other over the same port."""
        for _ in range(2):
            results = scan_port.execute_scan(flight_plan, RecordingObserver())
            assert results.state is ScanState.COMPLETED

    def test_flown_is_the_plan_and_nothing_else(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """Nobody plans again what was accepted: the observer is shown that plan."""
        observer = RecordingObserver()
        scan_port.execute_scan(flight_plan, observer)
        (flown,) = observer.values("flight_started")
        assert flown is flight_plan

    def test_plan_that_planning_would_refuse_is_flown(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """Who compiled it knows what he does; frame for frame it is what he planned."""
        spec = dataclasses.replace(flight_plan.spec, min_readings_per_frame=1_000)
        assert isinstance(plan_flight(spec, self.bench), FeasibilityReport)
        plan = compile_flight(spec, self.bench)
        observer = RecordingObserver()
        with contextlib.suppress(ScanPortError):  # too few readings in each frame
            scan_port.execute_scan(plan, observer)
        for name, planned in (
            ("x_nominal", plan.frame_x_mm),
            ("y_nominal", plan.frame_y_mm),
        ):
            frames = np.array(observer.column("frames_ended", "frame"))
            assert sorted(set(frames)) == list(range(plan.n_frames))
            found = observer.column("frames_ended", name)
            np.testing.assert_array_equal(found, planned[frames])

    def test_run_is_told_where_one_is_recorded(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """What the run is to say of the scan is not changed."""
        run = RunRecord({"study": {"id": "study"}})
        scan_port.execute_scan(flight_plan, RecordingObserver(), run)
        assert run.metadata == {"study": {"id": "study"}}
        assert (run.uid is not None) is self.records_runs

    # Control

    def test_nothing_is_controlled_where_nothing_is_carried_out(
        self, scan_port: ScanExecutor, flight_plan: FlightPlan
    ) -> None:
        """A pause or a resume is refused; an end has nothing to end."""
        for _ in range(2):
            control = scan_port.control
            assert control.progress() is None
            with pytest.raises(IllegalTransitionError, match="paused"):
                control.pause()
            with pytest.raises(IllegalTransitionError, match="resumed"):
                control.resume()
            control.stop()
            control.abort()
            results = scan_port.execute_scan(flight_plan, RecordingObserver())
            assert results.state is ScanState.COMPLETED

    def test_paused_scan_goes_on_with_every_frame_once(
        self, scan_port: ScanExecutor, long_plan: FlightPlan
    ) -> None:
        """Whoever carries the scan out waits for the end of the pause."""
        observer = _Pausing(scan_port)
        with _carried_out(scan_port, long_plan, observer) as ended:
            _wait_for_state(scan_port, ScanState.PAUSED)
            scan_port.control.resume()
            results = ended.result(PATIENCE_S)
        assert results.state is ScanState.COMPLETED
        _check_ledger(results, long_plan)
        frames = sorted(observer.column("frames_ended", "frame"))
        assert frames == list(range(long_plan.n_frames))
        assert scan_port.control.progress() is None

    @pytest.mark.parametrize(
        ("end", "state"),
        [("stop", ScanState.STOPPED), ("abort", ScanState.ABORTED)],
    )
    def test_ended_scan_keeps_what_was_flown(
        self,
        scan_port: ScanExecutor,
        long_plan: FlightPlan,
        end: str,
        state: ScanState,
    ) -> None:
        """In a pause, and by whoever is asked to."""
        observer = _Pausing(scan_port)
        with _carried_out(scan_port, long_plan, observer) as ended:
            _wait_for_state(scan_port, ScanState.PAUSED)
            getattr(scan_port.control, end)()
            results = ended.result(PATIENCE_S)
        assert results.state is state
        reached = long_plan.n_frames - results.frames[FrameState.NOT_REACHED]
        assert reached < long_plan.n_frames
        assert len(observer.column("frames_ended", "frame")) == reached
        _check_ledger(results, long_plan)


class _Pausing(RecordingObserver):
    """Pauses its scan as soon as it hears of it."""

    def __init__(self, scan_port: ScanExecutor) -> None:
        super().__init__()
        self._scan_port = scan_port

    def flight_started(self, plan: FlightPlan) -> None:
        """Keep the plan and pause."""
        self._scan_port.control.pause()
        super().flight_started(plan)


@contextlib.contextmanager
def _carried_out(
    port: ScanExecutor, plan: FlightPlan, observer: ScanObserver
) -> Generator[concurrent.futures.Future[ScanResults]]:
    """Carry a scan out in a worker; end it on leaving."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(port.execute_scan, plan, observer)
        finally:
            port.control.stop()


def _wait_for_state(port: ScanExecutor, state: ScanState) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        progress = port.control.progress()
        if progress is not None and progress.state is state:
            return
        assert time.monotonic() < deadline, f"no {state}: {progress}"
        time.sleep(0.001)


class ScanPortContract(ScanExecutorContract):
    """The promises of `ScanPort` and `ScanInFlight`."""

    # How a flight ends

    @pytest.mark.parametrize(
        ("end", "state"), [(_stop, ScanState.STOPPED), (_abort, ScanState.ABORTED)]
    )
    def test_ended_flight_accounts_for_every_frame(
        self,
        scan_port: ScanPort,
        flight_plan: FlightPlan,
        end: Callable[[ScanInFlight], None],
        state: ScanState,
    ) -> None:
        """A stop and an abort are named as such; at rest neither spoils positions."""
        with _flying(scan_port, flight_plan, RecordingObserver()) as flight:
            _wait_for_pause(flight)
            end(flight)
            results = _ended(flight)
        assert results.state is state
        assert results.cause
        assert not results.position_suspect
        assert results.frames.get(FrameState.NOT_REACHED, 0) > 0
        _check_ledger(results, flight_plan)

    @pytest.mark.parametrize("end", [_stop, _abort])
    def test_ending_twice_is_like_ending_once(
        self,
        scan_port: ScanPort,
        flight_plan: FlightPlan,
        end: Callable[[ScanInFlight], None],
    ) -> None:
        """Stop and abort may be repeated, after the end too."""
        observer = RecordingObserver()
        with _flying(scan_port, flight_plan, observer) as flight:
            end(flight)
            end(flight)
            results = _ended(flight)
            end(flight)
            assert _ended(flight).state is results.state
        assert observer.names.count("flight_ended") == 1

    def test_ending_a_flown_flight_changes_nothing(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """A stop, an abort or a pause after the last line comes too late."""
        flight = scan_port.start_scan(flight_plan, RecordingObserver())
        results = _ended(flight)
        flight.pause()
        flight.stop()
        flight.abort()
        assert _ended(flight) == results

    # What the observer is told

    def test_observer_is_called_on_the_waiting_thread(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """No foreign thread calls into a view."""
        observer = RecordingObserver()
        flight = scan_port.start_scan(flight_plan, observer)
        waiting = threading.Thread(target=flight.wait, args=(PATIENCE_S,))
        waiting.start()
        ident = waiting.ident
        waiting.join()
        assert {told.thread for told in observer.told} == {ident}

    def test_flight_ended_comes_once_and_last(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """The start comes first, the end last, each once; nothing follows."""
        observer = RecordingObserver()
        flight = scan_port.start_scan(flight_plan, observer)
        results = _ended(flight)
        flight.wait(0.1)
        assert observer.names[0] == "flight_started"
        assert observer.names[-1] == "flight_ended"
        assert observer.names.count("flight_started") == 1
        assert observer.names.count("flight_ended") == 1
        assert observer.values("flight_started") == [flight_plan]
        assert observer.values("flight_ended") == [results]
        assert observer.values("state_changed")[-1] is ScanState.COMPLETED

    # Pause and resume

    def test_waiting_for_a_paused_flight_ends_with_the_time(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """The wait returns None, and the flight still holds."""
        with _flying(scan_port, flight_plan, RecordingObserver()) as flight:
            _wait_for_pause(flight)
            assert flight.wait(0.05) is None
            assert flight.progress().state is ScanState.PAUSED

    def test_resumed_flight_completes_with_every_frame_once(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """A pause neither loses a frame nor doubles one."""
        observer = RecordingObserver()
        with _flying(scan_port, flight_plan, observer) as flight:
            _wait_for_pause(flight)
            flight.resume()
            results = _ended(flight)
        assert results.state is ScanState.COMPLETED
        _check_ledger(results, flight_plan)
        frames = sorted(observer.column("frames_ended", "frame"))
        assert frames == list(range(flight_plan.n_frames))

    def test_pausing_twice_is_like_pausing_once(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """One resume takes any number of pauses back."""
        with _flying(scan_port, flight_plan, RecordingObserver()) as flight:
            flight.pause()
            _wait_for_pause(flight)
            flight.resume()
            assert _ended(flight).state is ScanState.COMPLETED

    def test_resume_is_refused_unless_paused(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """Neither a flight that was never paused nor an ended one is resumed."""
        flight = scan_port.start_scan(flight_plan, RecordingObserver())
        with pytest.raises(IllegalTransitionError, match="paused"):
            flight.resume()
        _ended(flight)
        with pytest.raises(IllegalTransitionError, match="paused"):
            flight.resume()

    def test_stopped_flight_is_not_resumed(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """A stop outdoes the pause before it."""
        with _flying(scan_port, flight_plan, RecordingObserver()) as flight:
            flight.stop()
            with pytest.raises(IllegalTransitionError, match="paused"):
                flight.resume()

    # One flight at a time

    def test_second_flight_is_refused_while_one_is_paused(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """A paused flight holds the bench, and takes no harm."""
        with _flying(scan_port, flight_plan, RecordingObserver()) as flight:
            _wait_for_pause(flight)
            with pytest.raises(PortBusyError):
                scan_port.start_scan(flight_plan, RecordingObserver())
            flight.resume()
            assert _ended(flight).state is ScanState.COMPLETED

    # Progress

    def test_progress_ends_at_what_was_planned(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """Lines and frames are counted up to the plan's."""
        flight = scan_port.start_scan(flight_plan, RecordingObserver())
        results = _ended(flight)
        progress = flight.progress()
        assert progress.state is ScanState.COMPLETED
        assert progress.lines_done == progress.lines_planned == len(flight_plan.lines)
        assert progress.frames_done == progress.frames_planned == flight_plan.n_frames
        assert results.flight_s > 0

    def test_progress_tells_where_the_axes_are(
        self, scan_port: ScanPort, flight_plan: FlightPlan
    ) -> None:
        """At the end that is the end of the last line."""
        flight = scan_port.start_scan(flight_plan, RecordingObserver())
        _ended(flight)
        progress, line = flight.progress(), flight_plan.lines[-1]
        fast, slow = progress.y_mm, progress.x_mm
        if flight_plan.fast_axis == "x":
            fast, slow = slow, fast
        assert abs(fast - line.end_mm) < 1
        assert abs(slow - line.slow_mm) < 1


def _check_states(observer: RecordingObserver, results: ScanResults) -> None:
    """Check that the frames handed out are the ledger's."""
    chunks: list[FrameChunk] = observer.values("frames_ended")
    codes = np.concatenate([chunk["state"] for chunk in chunks])
    for code, state in enumerate(FRAME_STATES):
        assert np.count_nonzero(codes == code) == results.frames.get(state, 0)
