"""`ScanPort` over the Rust engine."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager

from aefi_bluesky.application.flight_control import FlightControl
from aefi_bluesky.application.leases import NullLease
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import IllegalTransitionError, PortBusyError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import HardwareLease, RunRecord, ScanObserver
from aefi_bluesky.domain.results.scan_results import (
    FRAME_STATES,
    STOP_KINDS,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.engine import _native
from aefi_bluesky.engine.chunks import ChunkConverter, Scales
from aefi_bluesky.engine.links import Connection
from aefi_bluesky.engine.native_plan import to_native
from aefi_bluesky.engine.rust_acquisition import RustAcquisition
from aefi_bluesky.engine.rust_stage import RustStage
from aefi_bluesky.engine.signal_stop import SignalStop
from aefi_bluesky.engine.spool import NoRuns, SpoolKeeper, spool_note

logger = logging.getLogger(__name__)

PULL_PERIOD_S = 0.03
"""How often batches are pulled from the engine's rings; they hold 26 s at 10 k/s."""

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a flight that somebody waits for."""


class RustScanAdapter:
    """Flies plans with the Rust engine, one at a time.

    Between flights `stage` moves and `acquisition` reads; the bench's ports have this
    one owner.

    Parameters
    ----------
    bench
        Scales and detector constants of the bench behind the links.
    connection
        Reaches the bench.
    spools
        Whose flights these are, and when their spools go; `NoRuns` by default.
    lease
        Held from when a port is needed until `release`: who else in this process uses
        the ports lets go of them meanwhile. `NullLease` by default.
    """

    def __init__(
        self,
        bench: BenchDescription,
        connection: Connection,
        spools: SpoolKeeper | None = None,
        lease: HardwareLease | None = None,
    ) -> None:
        self._bench = bench
        self._connection = connection
        self._spools = spools or NoRuns()
        self._lock = threading.Lock()
        self._lease = lease or NullLease()
        self._lease_lock = threading.Lock()
        self._leased: contextlib.ExitStack | None = None
        self._is_held = False
        self._current: RustScanInFlight | None = None
        self._signal_stop = SignalStop()
        self.control = FlightControl(self._under_way)
        self.stage = RustStage(bench, connection, self._with_ports, self._in_flight_mm)
        self.acquisition = RustAcquisition(bench, connection, self._with_ports)

    def recalibrate(self, bench: BenchDescription) -> None:
        """Fly the next flights with the constants of `bench`, measured anew.

        Raises
        ------
        PortBusyError
            If a flight is under way.
        """
        with self._outside_flight("no constant can be changed"):
            self._bench = bench

    @property
    def in_flight(self) -> bool:
        """Whether a flight is under way."""
        return self._under_way() is not None

    def _under_way(self) -> RustScanInFlight | None:
        current = self._current
        return None if current is None or current.is_over else current

    def clear_errors(self) -> None:
        """Let the stage forget latched limit and alarm errors.

        Raises
        ------
        PortBusyError
            If a flight is under way.
        ScanPortError
            If the stage or its link fails.
        """
        with self._for_flight("errors cannot be cleared"):
            self._connection.clear_errors()

    @contextlib.contextmanager
    def _outside_flight(self, refusal: str) -> Generator[None]:
        """Keep flights from beginning; refuse to be entered while there is one."""
        with self._lock:
            if self.in_flight:
                raise PortBusyError(
                    f"{refusal}: the bench is in flight, stop it or wait for its end"
                )
            yield

    @contextlib.contextmanager
    def _with_ports(self, refusal: str) -> Generator[None]:
        """As `_outside_flight`, and the ports are ours until `release`."""
        with contextlib.ExitStack() as held:
            # Who has the ports may take its time to let go; nobody releases meanwhile.
            with self._lease_lock:
                self._take_lease(refusal)
                held.enter_context(self._outside_flight(refusal))
            yield

    @contextlib.contextmanager
    def _for_flight(self, refusal: str) -> Generator[None]:
        """As `_with_ports`, with what moves and readings have opened closed."""
        with self._with_ports(refusal):
            self._close_ports()
            yield

    def _close_ports(self) -> None:
        self.stage.release()
        self.acquisition.release()

    def _in_flight_mm(self) -> tuple[float, float] | None:
        current = self._under_way()
        if current is None:
            return None
        progress = current.progress()
        return progress.x_mm, progress.y_mm

    def _take_lease(self, refusal: str) -> None:
        if self._leased is not None:
            return
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._lease.hold("the engine"))
            except PortBusyError as err:
                raise PortBusyError(f"{refusal}: {err}") from err
            self._leased = stack.pop_all()

    def release(self) -> None:
        """Let the ports go that moves and readings have opened, and end the lease.

        Raises
        ------
        PortBusyError
            If an axis moves or a flight is under way.
        """
        with self._lease_lock:
            if self._leased is None:
                return  # no port was needed since the last time
            with self._outside_flight("the ports cannot be given back"):
                self._close_ports()
            leased, self._leased = self._leased, None
            leased.close()

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """Own the ports inside the context; see `HardwareLease`.

        What moves and readings hold is let go, and the ports are seen to be free.
        Whoever flies opens them: that is the last word.

        Raises
        ------
        PortBusyError
            If an axis moves, a flight is under way, the lease is refused, or a program
            has a port open.
        """
        try:
            with self._for_flight(f"{owner} cannot begin"):
                self._is_held = True
                self._connection.require_free()
            yield
        finally:
            self._is_held = False
            self.let_go()

    def let_go(self) -> None:
        """As `release`, but keep the ports while they are needed or held."""
        if self._is_held:
            return
        try:
            self.release()
        except PortBusyError as err:
            logger.info("%s", err)

    def start_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> RustScanInFlight:
        """Start to fly and return at once; see `ScanPort`."""
        native = to_native(flight_plan, self._bench)
        with self._for_flight("a second flight cannot be started"):
            scales = Scales.of(self._bench)
            note = spool_note(flight_plan, scales, self._spools.current_run())
            flight = self._connection.start_flight(native, note)
            self._signal_stop.watch(flight)
            converter = ChunkConverter(flight_plan, scales)
            self._current = RustScanInFlight(
                flight, flight_plan, converter, observer, self._spools
            )
            return self._current

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """Fly and return when the flight is over; no run is recorded."""
        flight = self.start_scan(flight_plan, observer)
        try:
            with self.stopped_by_signals(ENDING_SIGNALS, then=flight.stop):
                while (results := flight.wait(1.0)) is None:
                    pass
        except BaseException:
            # Ctrl-C, or whatever else leaves the wait: nobody watches any more.
            flight.stop()
            raise
        return results

    def stopped_by_signals(
        self,
        at_once: Sequence[signal.Signals],
        on_second: Sequence[signal.Signals] = (),
        then: Callable[[], object] | None = None,
    ) -> AbstractContextManager[None]:
        """Return a context in which signals pause flights of this port at once.

        While a C call holds the interpreter too; see `SignalStop.listening`.
        """
        return self._signal_stop.listening(at_once, on_second, then)


class RustScanInFlight:
    """A native flight as the domain's `ScanInFlight`.

    Its spool, if it has one, is let go when the flight has completed and the
    observer took every chunk without a failure or a loss; else it is kept, for
    ``aefi recover``.

    Parameters
    ----------
    flight
        The native flight.
    plan
        What it flies.
    converter
        Converts its tables.
    observer
        Gets the chunks on the thread that waits.
    spools
        Removes the spool.
    """

    def __init__(
        self,
        flight: _native.Flight,
        plan: FlightPlan,
        converter: ChunkConverter,
        observer: ScanObserver,
        spools: SpoolKeeper,
    ) -> None:
        self._flight = flight
        self._plan = plan
        self._converter = converter
        self._observer = observer
        self._spools = spools
        self._state: ScanState | None = None
        self._counts = {"readings": 0, "fixes": 0}
        self._results: ScanResults | None = None
        self._error: BaseException | None = None
        self._observer_failed = False
        self._pump = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether the motion is over and both links are closed."""
        return self._flight.end() is not None

    @property
    def began_ns(self) -> int:
        """Start of the flight, in ns of the monotonic clock (or of virtual time)."""
        return self._flight.began_ns

    def pause(self) -> None:
        """Stop with a ramp and keep the ledger; returns at once."""
        self._flight.pause()

    def resume(self) -> None:
        """Go on at the first frame that is not ok; see `ScanInFlight`."""
        if not self._flight.resume():
            raise IllegalTransitionError(
                f"only a paused flight can be resumed, this one is {self._flight.state}"
            )

    def stop(self) -> None:
        """End with a ramped stop; returns at once."""
        self._flight.stop()

    def abort(self) -> None:
        """End at once, position suspect; returns at once."""
        self._flight.abort()

    def progress(self) -> ScanProgress:
        """Return how far the flight is, without waiting."""
        lines, frames = self._flight.done
        x_mm, y_mm = self._converter.positions_mm(self._flight.positions)
        return ScanProgress(
            state=ScanState(self._flight.state),
            lines_done=lines,
            lines_planned=len(self._plan.lines),
            frames_done=frames,
            frames_planned=self._plan.n_frames,
            elapsed_s=(self._flight.now_ns - self._flight.began_ns) * 1e-9,
            x_mm=x_mm,
            y_mm=y_mm,
        )

    def wait(self, timeout_s: float | None = None) -> ScanResults | None:
        """Hand chunks to the observer until the flight ends; see `ScanInFlight`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with self._pump:
                if self._results is None:
                    self._pull()
                if self._results is not None:
                    return self._outcome(self._results)
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(PULL_PERIOD_S)

    def _outcome(self, results: ScanResults) -> ScanResults:
        if results.state is ScanState.FAILED and self._error is not None:
            raise self._error
        return results

    def _pull(self) -> None:
        if self._state is None:
            self._tell(lambda: self._observer.flight_started(self._plan))
        # Asked before draining: what an ended flight produced is in the rings.
        end = self._flight.end()
        self._announce(ScanState(end.state if end else self._flight.state))
        self._hand_out()
        if end is not None:
            self._error = end.error
            self._results = results = self._conclude(end)
            self._tell(lambda: self._observer.flight_ended(results))
            if end.spool_error is not None:
                logger.warning("%s", end.spool_error)
            self._drop_spool(results)

    def _announce(self, state: ScanState) -> None:
        if state is not self._state:
            self._state = state
            self._tell(lambda: self._observer.state_changed(state))

    def _hand_out(self) -> None:
        tables = self._flight.drain()
        convert, observer = self._converter, self._observer
        for kind, column in (("fixes", "axis"), ("readings", "frame")):
            self._counts[kind] += len(tables[kind][column])
        if len(tables["fixes"]["axis"]):
            self._tell(lambda: observer.fixes_taken(convert.fixes(tables["fixes"])))
        if len(tables["readings"]["frame"]):
            self._tell(
                lambda: observer.readings_taken(convert.readings(tables["readings"]))
            )
        if len(tables["frames"]["frame"]):
            self._tell(lambda: observer.frames_ended(convert.frames(tables["frames"])))
        if len(tables["lines"]["line"]):
            self._tell(lambda: observer.lines_ended(convert.lines(tables["lines"])))

    def _tell(self, say: Callable[[], None]) -> None:
        try:
            say()
        except Exception:
            # A view must not end a flight: it is reported and the flight goes on.
            self._observer_failed = True
            logger.exception("observer %r failed", type(self._observer).__name__)

    def _drop_spool(self, results: ScanResults) -> None:
        spool = self._flight.spool
        complete = results.state is ScanState.COMPLETED
        if spool is None:
            return
        if not complete or self._observer_failed or any(results.n_lost.values()):
            logger.info("what the flight recorded is kept in %s", spool)
            return
        try:
            self._spools.let_go(spool)
        except OSError as err:
            logger.warning("spool %s cannot be removed: %s", spool, err)

    def _conclude(self, end: _native.FlightEnd) -> ScanResults:
        stage, detector = end.lost
        lost = {
            **self._flight.lost(),
            "stage_records": stage,
            "detector_records": detector,
        }
        return ScanResults(
            state=ScanState(end.state),
            cause=end.cause,
            frames=dict(zip(FRAME_STATES, end.totals, strict=True)),
            n_readings=self._counts["readings"],
            n_fixes=self._counts["fixes"],
            n_lost={kind: count for kind, (count, _, _) in lost.items()},
            lost_spans={
                kind: (first, last) for kind, (n, first, last) in lost.items() if n
            },
            flight_s=(end.ended_ns - end.began_ns) * 1e-9,
            position_suspect=end.position_suspect,
            stops_sent=dict(zip(STOP_KINDS, end.stops, strict=True)),
            excitation_off=end.excitation_off,
            anomalies={
                "timeouts": end.timeouts,
                "misunderstood": end.misunderstood,
                "stray_bytes": end.stray_bytes,
                "echoed_bytes": end.echoed_bytes,
            },
            times_s={name: span * 1e-9 for name, span in end.times_ns.items()},
            latch=end.latch or (math.nan, math.nan),
            realtime={name: told for name, _asked, told, _in_vain in end.realtime},
            realtime_refused="; ".join(
                f"{name} {asked}: {told}"
                for name, asked, told, in_vain in end.realtime
                if in_vain
            ),
        )
