"""The scans of a study as runs: flights, and measurements at rest."""

from typing import Any, Protocol

import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.devices import AefiFlyer, StepRecord
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import RunRecord, ScanObserver, StepObserver
from aefi_bluesky.domain.results.scan_results import (
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import ScanSpec
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    StepSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.plans.at_rest import AtRest, measure
from aefi_bluesky.plans.fly import fly_plan, fly_spec, results_since

_PLAN_NAMES: dict[type[StepSpec], str] = {
    StepMapSpec: "step_map",
    PointSpec: "measure_point",
    TimeSeriesSpec: "time_series",
    FrequencySequenceSpec: "frequency_sequence",
}


class RunOfScan(Protocol):
    """A scan that is carried out as a run of its own."""

    def plan(
        self,
        run: RunRecord,
        md: dict[str, Any] | None = None,
        plan_name: str | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> MsgGenerator[str]:
        """Carry it out and return the run's uid.

        Parameters
        ----------
        run
            What the run says of the scan; gets the run's uid when that is open.
        md
            More for the start document; what the run says is over it.
        plan_name, arguments
            The plan and its arguments by name, for the start document; unless told,
            the plan that carries out the like for itself.
        """
        ...

    def results(self, *, interrupted: bool = False) -> ScanResults:
        """Return how it ended.

        Parameters
        ----------
        interrupted
            Whether somebody asked it to end.

        Raises
        ------
        ScanAbortedError
            If it was interrupted before it began.
        """
        ...

    def progress(self, state: ScanState) -> ScanProgress:
        """Return how far it is where no flight tells; `state` is that of the run."""
        ...


class RunMaker:
    """Makes runs of scans.

    Parameters
    ----------
    flyer
        The flyer.
    port
        The port of the flyer, which lets the observer of a flight watch.
    at_rest
        The devices that measure at rest.
    """

    def __init__(
        self, flyer: AefiFlyer, port: ObservedScanPort, at_rest: AtRest
    ) -> None:
        self._flyer = flyer
        self._port = port
        self._at_rest = at_rest

    def of_flight(self, plan: FlightPlan, observer: ScanObserver) -> RunOfScan:
        """Return the run of a flight."""
        return _Flown(self._flyer, self._port, plan, observer)

    def of_steps(self, plan: StepPlan, observer: StepObserver) -> RunOfScan:
        """Return the run of a measurement at rest."""
        return _Measured(self._at_rest, plan, observer)

    def seen(
        self, spec: ScanSpec, md: dict[str, Any], name: str, arguments: dict[str, Any]
    ) -> MsgGenerator[str]:
        """Return the devices that carry `spec` out, for an observer that only looks."""
        if isinstance(spec, FlyScanSpec):
            return fly_spec(self._flyer, spec, md, name, arguments)
        return measure(self._at_rest, self._at_rest.plan(spec), name, arguments, md)


def _telling_its_run(plan: MsgGenerator[str], run: RunRecord) -> MsgGenerator[str]:
    """Tell a record of its run when the run's start document says so.

    The plan hears of it later, and not at all if it is interrupted just then.
    """

    def take(_name: str, start: dict[str, Any]) -> None:
        run.uid = start["uid"]

    return bpp.subs_wrapper(plan, {"start": [take]})


class _Run:
    """What runs of both kinds have in common: what they say, and whom they tell."""

    def plan(
        self,
        run: RunRecord,
        md: dict[str, Any] | None = None,
        plan_name: str | None = None,
        arguments: dict[str, Any] | None = None,
    ) -> MsgGenerator[str]:
        told = {**(md or {}), **run.metadata}
        return _telling_its_run(self._carried_out(told, plan_name, arguments), run)

    def _carried_out(
        self,
        md: dict[str, Any],
        plan_name: str | None,
        arguments: dict[str, Any] | None,
    ) -> MsgGenerator[str]:
        raise NotImplementedError


class _Flown(_Run):
    def __init__(
        self,
        flyer: AefiFlyer,
        port: ObservedScanPort,
        plan: FlightPlan,
        observer: ScanObserver,
    ) -> None:
        self._flyer, self._port = flyer, port
        self._plan, self._observer = plan, observer
        self._before = flyer.results

    def _carried_out(
        self,
        md: dict[str, Any],
        plan_name: str | None,
        arguments: dict[str, Any] | None,
    ) -> MsgGenerator[str]:
        name = plan_name or "fly_map"
        with self._port.watched_by(self._observer):
            return (yield from fly_plan(self._flyer, self._plan, md, name, arguments))

    def results(self, *, interrupted: bool = False) -> ScanResults:
        return results_since(self._flyer, self._before)

    def progress(self, state: ScanState) -> ScanProgress:
        ended = self._flyer.results is not self._before
        return ScanProgress(
            state=state if ended or state is ScanState.PAUSED else ScanState.PREPARING,
            lines_done=len(self._plan.lines) if ended else 0,
            lines_planned=len(self._plan.lines),
            frames_done=self._plan.n_frames if ended else 0,
            frames_planned=self._plan.n_frames,
            elapsed_s=0.0,
        )


class _Measured(_Run):
    def __init__(self, at_rest: AtRest, plan: StepPlan, observer: StepObserver) -> None:
        self._at_rest, self._plan = at_rest, plan
        self._record = StepRecord(plan, observer, name="step")

    def _carried_out(
        self,
        md: dict[str, Any],
        plan_name: str | None,
        arguments: dict[str, Any] | None,
    ) -> MsgGenerator[str]:
        name = plan_name or _PLAN_NAMES[type(self._plan.spec)]
        return measure(self._at_rest, self._plan, name, arguments, md, self._record)

    def results(self, *, interrupted: bool = False) -> ScanResults:
        state = ScanState.STOPPED if interrupted else ScanState.COMPLETED
        is_off = self._at_rest.source.state() == "off"
        return self._record.results(state, excitation_off=is_off)

    def progress(self, state: ScanState) -> ScanProgress:
        return self._record.progress(state)
