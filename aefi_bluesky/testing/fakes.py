"""Stand-ins for the bench and for its watchers."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aefi_bluesky.application.flight_control import FlightControl
from aefi_bluesky.domain.errors import (
    IllegalTransitionError,
    PortBusyError,
    ScanPortError,
)
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import RunRecord, ScanObserver
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    FrameState,
    LineChunk,
    ReadingChunk,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.testing.fake_line import TURNAROUND_S, FakeLine

logger = logging.getLogger(__name__)

_ENDINGS = (ScanState.STOPPED, ScanState.ABORTED, ScanState.FAILED)
"""Later ones replace earlier ones."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong in a flight.

    Parameters
    ----------
    at_line
        The line in whose place it happens; 0 before anything was flown.
    error
        What `ScanInFlight.wait` raises.
    """

    at_line: int
    error: ScanPortError


class FakeScanPort:
    """A `ScanPort` that flies a line in no time, inside `wait`.

    Parameters
    ----------
    failure
        What goes wrong in each flight; None for nothing.
    refusal
        What `start_scan` raises instead of flying; None to fly.
    """

    def __init__(
        self, failure: Failure | None = None, refusal: ScanPortError | None = None
    ) -> None:
        self.failure = failure
        self.refusal = refusal
        self.plans: list[FlightPlan] = []
        self._lock = threading.Lock()
        self._current: FakeScanInFlight | None = None
        self.control = FlightControl(self._under_way)

    @property
    def in_flight(self) -> bool:
        """Whether a flight is under way."""
        return self._under_way() is not None

    def _under_way(self) -> FakeScanInFlight | None:
        current = self._current
        return None if current is None or current.is_over else current

    def start_scan(
        self, flight_plan: FlightPlan, observer: ScanObserver
    ) -> FakeScanInFlight:
        """Start to fly and return at once; see `ScanPort`."""
        with self._lock:
            if self.refusal is not None:
                raise self.refusal
            if self.in_flight:
                raise PortBusyError("the fake bench is in flight: one at a time")
            self.plans.append(flight_plan)
            self._current = FakeScanInFlight(flight_plan, observer, self.failure)
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
            while (results := flight.wait(1.0)) is None:
                pass
        except BaseException:
            flight.stop()
            raise
        return results


class FakeScanInFlight:
    """A made-up flight; requests are obeyed between lines.

    Parameters
    ----------
    plan
        What it flies.
    observer
        Gets the chunks on the thread that waits.
    failure
        What goes wrong, if anything.
    """

    def __init__(
        self, plan: FlightPlan, observer: ScanObserver, failure: Failure | None = None
    ) -> None:
        self._plan = plan
        self._observer = observer
        self._failure = failure
        self._pump = threading.Lock()
        self._requests = threading.Condition()
        self._paused = False
        self._ending: ScanState | None = None
        self._state = ScanState.PREPARING
        self._told: ScanState | None = None
        self._lines_done = 0
        self._now_s = 0.0
        self._place_mm = (math.nan, math.nan)
        self._counts: Counter[str] = Counter()
        self._results: ScanResults | None = None

    @property
    def is_over(self) -> bool:
        """Whether the motion is over."""
        return self._results is not None or self._ending is not None

    def pause(self) -> None:
        """Hold between two lines; see `ScanInFlight`."""
        with self._requests:
            if not self.is_over:
                self._paused = True
                self._state = ScanState.PAUSED

    def resume(self) -> None:
        """Go on with the next line; see `ScanInFlight`."""
        with self._requests:
            if self.is_over or not self._paused:
                raise IllegalTransitionError(
                    f"only a paused flight can be resumed, this one is {self._state}"
                )
            self._paused = False
            self._state = ScanState.FLYING
            self._requests.notify_all()

    def stop(self) -> None:
        """End between two lines; see `ScanInFlight`."""
        self._end(ScanState.STOPPED)

    def abort(self) -> None:
        """End between two lines; see `ScanInFlight`."""
        self._end(ScanState.ABORTED)

    def progress(self) -> ScanProgress:
        """Return how far the flight is; see `ScanInFlight`."""
        x_mm, y_mm = self._place_mm
        return ScanProgress(
            state=self._state,
            lines_done=self._lines_done,
            lines_planned=len(self._plan.lines),
            frames_done=self._frames_done,
            frames_planned=self._plan.n_frames,
            elapsed_s=self._now_s,
            x_mm=x_mm,
            y_mm=y_mm,
        )

    def wait(self, timeout_s: float | None = None) -> ScanResults | None:
        """Fly lines until the flight ends or time is up; see `ScanInFlight`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        # Another thread may fly already: its flight, but our time.
        if not self._pump.acquire(timeout=-1 if timeout_s is None else timeout_s):
            return None
        try:
            if self._results is None:
                self._fly(deadline)
        finally:
            self._pump.release()
        if self._results is not None and self._results.state is ScanState.FAILED:
            raise self._error
        return self._results

    @property
    def _error(self) -> ScanPortError:
        return self._failure.error if self._failure else ScanPortError("failed")

    @property
    def _frames_done(self) -> int:
        return sum(line.n_frames for line in self._plan.lines[: self._lines_done])

    def _end(self, ending: ScanState) -> None:
        with self._requests:
            if self._results is not None:
                return
            known = self._ending
            if known is None or _ENDINGS.index(ending) > _ENDINGS.index(known):
                self._ending = self._state = ending
            self._requests.notify_all()

    def _fly(self, deadline: float | None) -> None:
        if self._told is None:
            self._tell(lambda: self._observer.flight_started(self._plan))
            self._announce(ScanState.PREPARING)
        while self._may_fly(deadline):
            if self._failure and self._failure.at_line <= self._lines_done:
                self._end(ScanState.FAILED)
            elif self._lines_done == len(self._plan.lines):
                return self._conclude(ScanState.COMPLETED)
            else:
                self._fly_line()
        if self._ending is not None:
            self._conclude(self._ending)
        return None

    def _may_fly(self, deadline: float | None) -> bool:
        """Wait out a pause; return whether there is time and no ending."""
        with self._requests:
            paused = self._paused and self._ending is None
        if paused:
            self._announce(ScanState.PAUSED)
        with self._requests:
            left = None if deadline is None else deadline - time.monotonic()
            self._requests.wait_for(
                lambda: not self._paused or self._ending is not None,
                None if left is None else max(left, 0.0),
            )
            if self._ending is not None or self._paused:
                return False
            self._state = ScanState.FLYING
        self._announce(ScanState.FLYING)
        return self._ending is None

    def _fly_line(self) -> None:
        turnaround_s = TURNAROUND_S if self._lines_done else 0.0
        line = FakeLine(
            self._plan,
            self._plan.lines[self._lines_done],
            self._now_s + turnaround_s,
            turnaround_s,
        )
        self._now_s = line.ended_s
        self._lines_done += 1
        slow, end = line.line.slow_mm, line.line.end_mm
        self._place_mm = (slow, end) if self._plan.fast_axis == "y" else (end, slow)
        observer, fixes, readings = self._observer, line.fixes(), line.readings()
        self._counts.update(fixes=len(fixes), readings=len(readings))
        self._tell(lambda: observer.fixes_taken(fixes))
        self._tell(lambda: observer.readings_taken(readings))
        self._tell(lambda: observer.frames_ended(line.frames()))
        self._tell(lambda: observer.lines_ended(line.ended()))

    def _conclude(self, state: ScanState) -> None:
        with self._requests:
            state = self._ending or state
            self._state = state
            self._results = results = self._results_in(state)
        self._announce(state)
        self._tell(lambda: self._observer.flight_ended(results))

    def _results_in(self, state: ScanState) -> ScanResults:
        frames = dict.fromkeys(FrameState, 0)
        frames[FrameState.OK] = self._frames_done
        frames[FrameState.NOT_REACHED] = self._plan.n_frames - self._frames_done
        causes = {
            ScanState.STOPPED: "stopped on request",
            ScanState.ABORTED: "aborted on request",
            ScanState.FAILED: str(self._error),
        }
        return ScanResults(
            state=state,
            cause=causes.get(state, ""),
            frames=frames,
            n_readings=self._counts["readings"],
            n_fixes=self._counts["fixes"],
            n_lost=dict.fromkeys(("fixes", "readings", "frames", "lines"), 0),
            flight_s=self._now_s,
            position_suspect=state is ScanState.ABORTED and not self._paused,
        )

    def _announce(self, state: ScanState) -> None:
        if state is not self._told:
            self._told = state
            self._tell(lambda: self._observer.state_changed(state))

    def _tell(self, say: Callable[[], None]) -> None:
        try:
            say()
        except Exception:
            logger.exception("observer %r failed", type(self._observer).__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One call of an observer.

    Parameters
    ----------
    name
        The method, as ``"frames_ended"``.
    value
        Its argument.
    thread
        Identifier of the thread that called.
    """

    name: str
    value: Any
    thread: int


class RecordingObserver:
    """A `ScanObserver` that keeps everything it was told, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    @property
    def names(self) -> list[str]:
        """The methods called, in order."""
        return [told.name for told in self.told]

    def values(self, name: str) -> list[Any]:
        """Return what the method called `name` was given, in order."""
        return [told.value for told in self.told if told.name == name]

    def column(self, name: str, column: str) -> list[Any]:
        """Return a column of all chunks that the method called `name` was given."""
        return [entry for chunk in self.values(name) for entry in chunk[column]]

    def _keep(self, name: str, value: object) -> None:
        self.told.append(Told(name, value, threading.get_ident()))

    def flight_started(self, plan: FlightPlan) -> None:
        """Keep the plan."""
        self._keep("flight_started", plan)

    def state_changed(self, state: ScanState) -> None:
        """Keep the state."""
        self._keep("state_changed", state)

    def frames_ended(self, frames: FrameChunk) -> None:
        """Keep the frames."""
        self._keep("frames_ended", frames)

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Keep the readings."""
        self._keep("readings_taken", readings)

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Keep the position replies."""
        self._keep("fixes_taken", fixes)

    def lines_ended(self, lines: LineChunk) -> None:
        """Keep the lines."""
        self._keep("lines_ended", lines)

    def flight_ended(self, results: ScanResults) -> None:
        """Keep the outcome."""
        self._keep("flight_ended", results)


class BrokenObserver(RecordingObserver):
    """A `ScanObserver` that raises whatever it is told, once it has kept it."""

    def _keep(self, name: str, value: object) -> None:
        super()._keep(name, value)
        raise RuntimeError(f"a broken view in {name}")
