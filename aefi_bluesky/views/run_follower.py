"""Shows a run by its documents: what is measured at rest, or in another process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.results.scan_results import (
    FRAME_STATES,
    FrameChunk,
    LineChunk,
    ScanState,
)
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import from_plain
from aefi_bluesky.domain.step.planning import StepPlan, plan_steps

logger = logging.getLogger(__name__)

Columns = Mapping[str, npt.NDArray[Any]]

_CODES = {state.value: code for code, state in enumerate(FRAME_STATES)}
_ENDS = {
    "success": ScanState.COMPLETED,
    "abort": ScanState.ABORTED,
    "fail": ScanState.FAILED,
}


class Shows(Protocol):
    """What is told of a run; a `Presenter`, for one."""

    def flight_started(self, plan: FlightPlan) -> None:
        """Show what is about to be flown."""
        ...

    def measurement_started(self, plan: StepPlan) -> None:
        """Show what is measured at rest."""
        ...

    def state_changed(self, state: ScanState) -> None:
        """Show where it stands."""
        ...

    def frames_ended(self, frames: FrameChunk) -> None:
        """Show frames."""
        ...

    def lines_ended(self, lines: LineChunk) -> None:
        """Show lines."""
        ...


class RunFollower:
    """Turns the documents of a run into what is shown of a scan.

    A callback of the RunEngine. Whoever has rows instead, as of a table that grows,
    calls `started`, `frames_taken`, `lines_taken` and `ended`. Runs that are no scan of
    ours are left out.

    Parameters
    ----------
    shows
        Is told.
    flights
        Whether flights are followed too. In the session that flies them they come by
        an observer, sooner than their documents.
    """

    def __init__(self, shows: Shows, *, flights: bool = True) -> None:
        self._shows = shows
        self._flights = flights
        self._run: str | None = None
        self._streams: dict[str, str] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; what can't be shown is logged, and harms no run."""
        try:
            self._hear(name, doc)
        except Exception:
            logger.exception("run %s is not shown any more", self._run)
            self._run = None

    def _hear(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self.started(doc)
        elif self._run is None:
            return
        elif name == "descriptor" and doc["run_start"] == self._run:
            self._streams[doc["uid"]] = doc["name"]
        elif name == "event":
            one = {key: np.array([value]) for key, value in doc["data"].items()}
            self._take(doc["descriptor"], one)
        elif name == "event_page":
            columns = {key: np.asarray(values) for key, values in doc["data"].items()}
            self._take(doc["descriptor"], columns)
        elif name == "stop" and doc["run_start"] == self._run:
            self.ended(doc)

    def _take(self, descriptor: str, columns: Columns) -> None:
        take: dict[str, Callable[[Columns], None]] = {
            "primary": self.frames_taken,
            "lines": self.lines_taken,
        }
        stream = self._streams.get(descriptor, "")
        if stream in take:
            take[stream](columns)

    def started(self, start: Mapping[str, Any]) -> bool:
        """Take the start document of a run; return whether the run is followed."""
        plan = self._plan_of(start)
        if plan is None:
            return False
        self._run, self._streams = start["uid"], {}
        if isinstance(plan, FlightPlan):
            self._shows.flight_started(plan)
        else:
            self._shows.measurement_started(plan)
        self._shows.state_changed(ScanState.FLYING)
        return True

    def _plan_of(self, start: Mapping[str, Any]) -> FlightPlan | StepPlan | None:
        if "scan_spec" not in start or "bench" not in start:
            return None
        try:
            spec = from_plain(start["scan_spec"])
            bench = BenchDescription.from_plain(start["bench"])
        except (AefiError, ValueError) as err:
            logger.warning("run %s is not shown: %s", start["uid"], err)
            return None
        if not isinstance(spec, FlyScanSpec):
            planned = plan_steps(spec, bench)
        elif self._flights:
            planned = plan_flight(spec, bench)
        else:
            return None
        return planned if isinstance(planned, FlightPlan | StepPlan) else None

    def frames_taken(self, columns: Columns) -> None:
        """Take rows of the stream ``primary``."""
        if len(columns["frame"]):
            codes = [_CODES[state] for state in columns["state"]]
            told = {**columns, "state": np.array(codes, dtype=np.int64)}
            self._shows.frames_ended(FrameChunk(told))

    def lines_taken(self, columns: Columns) -> None:
        """Take rows of the stream ``lines``."""
        self._shows.lines_ended(LineChunk(columns))

    def ended(self, stop: Mapping[str, Any]) -> None:
        """Take the stop document of the run."""
        self._run = None
        self._shows.state_changed(_ENDS[stop["exit_status"]])
