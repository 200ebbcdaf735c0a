"""A study's scans as lines of text, for a program without a prompt."""

from __future__ import annotations

import sys
from typing import TextIO

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import (
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.study.events import ScanEnded, ScanStarted, StudyEvent


class _Console:
    """Prints lines of text.

    Parameters
    ----------
    out
        Where it is printed; standard output by default.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class FlightConsole(_Console):
    """A `ScanObserver` that prints a line of text for each line flown.

    Parameters
    ----------
    out
        Where it is printed; standard output by default.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self._planned = 0
        self._done = 0

    def flight_started(self, plan: FlightPlan) -> None:
        """Print what is about to be flown."""
        self._planned, self._done = len(plan.lines), 0
        self._print(
            f"{plan.n_frames} frames in {self._planned} lines, about "
            f"{plan.duration_s:.0f} s ± {plan.duration_error_s:.0f} s of bench time"
        )

    def state_changed(self, state: ScanState) -> None:
        """Print nothing: lines and the end say it."""

    def frames_ended(self, frames: FrameChunk) -> None:
        """Print nothing: the lines tell how many."""

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Print nothing: the lines tell the rate."""

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Print nothing: the lines tell the rate."""

    def lines_ended(self, lines: LineChunk) -> None:
        """Print each line; one that is flown again has the number of its pass."""
        for index in range(len(lines["line"])):
            line = {name: values[index] for name, values in lines.data.items()}
            again = f", pass {line['pass']}" if line["pass"] else ""
            self._print(
                f"line {line['line'] + 1} of {self._planned}{again}: "
                f"{line['n_ok']} ok, {line['n_not_ok']} not; "
                f"{line['reading_rate']:.1f} readings/s, "
                f"{line['fix_rate']:.1f} fixes/s"
            )

    def flight_ended(self, results: ScanResults) -> None:
        """Print how the flight ended, and what is to be done where it matters."""
        frames = ", ".join(f"{n} {state}" for state, n in results.frames.items() if n)
        self._print(
            f"flight {results.state} after {results.flight_s:.1f} s of bench time: "
            f"{frames}"
        )
        if results.position_suspect:
            self._print(
                "the position is not certain: reference the axes before the next flight"
            )
        if not results.excitation_off:
            self._print("the excitation is not known to be off")


class StepConsole(_Console):
    """A `StepObserver` that prints a line of text for each tenth that is measured.

    Parameters
    ----------
    out
        Where it is printed; standard output by default.
    """

    def state_changed(self, state: ScanState) -> None:
        """Print nothing: who pauses knows."""

    def measured(self, done: int, plan: StepPlan) -> None:
        """Print what is about to be measured, and how far it is."""
        planned = plan.n_measurements
        if done == 0:
            self._print(
                f"{planned} measurements at rest, about {plan.duration_s:.0f} s ± "
                f"{plan.duration_error_s:.0f} s of bench time"
            )
        elif done * 10 // planned > (done - 1) * 10 // planned:
            self._print(f"{done} of {planned} measured")


class StudyConsole(_Console):
    """A `StudyEventHandler` that prints the start and the end of each scan.

    Parameters
    ----------
    out
        Where it is printed; standard output by default.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        self.last_end: ScanEnded | None = None

    def handle(self, event: StudyEvent) -> None:
        """Print it, if a scan starts or ends."""
        if isinstance(event, ScanStarted):
            self.last_end = None
            self._print(f"scan {event.scan_id} of study {event.study_id}")
        elif isinstance(event, ScanEnded):
            self.last_end = event
            cause = f": {event.cause}" if event.cause else ""
            run = f", run {event.run_uid}" if event.run_uid else ""
            self._print(f"scan {event.scan_id} {event.state}{run}{cause}")
