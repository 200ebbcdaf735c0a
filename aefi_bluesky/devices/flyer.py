"""The flyer: Bluesky's verbs over a `ScanPort`; no scan logic."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from event_model.documents import PartialEventPage
from ophyd import Device
from ophyd.status import DeviceStatus

from aefi_bluesky.devices.bench_constants import (
    described_constants,
    flat_constants,
    stamped_constants,
)
from aefi_bluesky.devices.data_keys import FRAME_UNITS, frame_keys
from aefi_bluesky.devices.flight_log import FlightLog, LinePage, SampleFile
from aefi_bluesky.devices.flight_status import FlightStatus
from aefi_bluesky.devices.streams import (
    HealthStream,
    LineStream,
    MapStream,
    SampleStream,
    page_of,
    plain_columns,
)
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import DataLossError, IllegalTransitionError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.ports import ScanInFlight, ScanPort
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.results.uncertainty import voltage_uncertainty
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec

SampleFileFactory = Callable[[str], SampleFile]
"""Makes the sample file of a flight under the name given."""

logger = logging.getLogger(__name__)

_WATCH_PERIOD_S = 0.1
_FRAME_COLUMNS = [*FRAME_UNITS, "state"]


class AefiFlyer(Device):
    """Flies one map at a time.

    Bluesky collects the flyer itself for ``primary`` and the attributes
    ``line_stream``, ``reading_stream`` and ``fix_stream`` for the streams of these
    names; ``map_stream`` and ``health_stream`` are read at the end.

    Parameters
    ----------
    port
        The port that flies the plans.
    bench
        The bench behind the port.
    open_samples
        Makes the sample file of a flight.
    name
        Name of the device.
    """

    def __init__(
        self,
        port: ScanPort,
        bench: BenchDescription,
        open_samples: SampleFileFactory,
        *,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.bench = bench
        self._port = port
        self._open_samples = open_samples
        self._constants = flat_constants(bench, name)
        self._log: FlightLog | None = None
        self._flight: ScanInFlight | None = None
        self._watcher: threading.Thread | None = None
        self._status: FlightStatus | None = None
        self._paused = False
        self._excitation_off = False
        self._page: LinePage | None = None
        self.line_stream = LineStream(f"{name}_lines", self, self._pages_at_hand)
        self.reading_stream = self._sample_stream("readings")
        self.fix_stream = self._sample_stream("fixes")
        self.map_stream = MapStream(f"{name}_maps", self, self._current_log)
        self.health_stream = HealthStream(f"{name}_health", self, self._current_log)

    def _sample_stream(self, stream: str) -> SampleStream:
        return SampleStream(
            f"{self.name}_{stream}",
            self,
            stream,
            self._current_log,
            self._pages_at_hand,
        )

    # -- before the flight ---------------------------------------------------

    def plan(self, spec: FlyScanSpec) -> FlightPlan:
        """Return the flight plan of `spec` on this bench.

        Raises
        ------
        InfeasibleScanError
            If the bench can't fly it; the error has every reason.
        """
        plan = plan_flight(spec, self.bench)
        if isinstance(plan, FeasibilityReport):
            raise plan.error()
        return plan

    def recalibrate(self, bench: BenchDescription) -> None:
        """Use the constants that were measured of the bench from now on.

        Raises
        ------
        IllegalTransitionError
            If a flight is under way.
        """
        self._require_rest()
        self.bench = bench
        self._constants = flat_constants(bench, self.name)

    def _require_rest(self) -> None:
        if self.is_flying:
            raise IllegalTransitionError(
                f"{self.name} is in flight: stop it or wait for its end"
            )

    def prepare(self, plan: FlightPlan) -> DeviceStatus:
        """Arm for `plan`: open the sample file; nothing moves.

        Raises
        ------
        IllegalTransitionError
            If a flight is under way.
        StorageError
            If the sample file can't be made.
        """
        self._require_rest()
        self._release()
        self._log = FlightLog(plan, self._open_samples(str(uuid.uuid4())))
        self._flight = self._watcher = self._page = None
        self._paused = False
        return self._finished()

    def _finished(self) -> DeviceStatus:
        status = DeviceStatus(self)
        status.set_finished()
        return status

    def _current_log(self) -> FlightLog:
        if self._log is None:
            raise IllegalTransitionError(f"{self.name} was not prepared")
        return self._log

    # -- the flight ----------------------------------------------------------

    @property
    def is_flying(self) -> bool:
        """Whether a flight is under way, paused ones included."""
        return self._watcher is not None and self._watcher.is_alive()

    @property
    def results(self) -> ScanResults | None:
        """Results of the last flight; None before the first flight has ended."""
        return self._log.results if self._log else None

    @property
    def excitation_off(self) -> bool:
        """Whether the last flight of this session left the excitation off."""
        return self._excitation_off

    def map_of(self, column: str, *, muted: bool = False) -> npt.NDArray[np.float64]:
        """Return a column of ``primary`` as an image; see `FlightLog.map_of`."""
        return self._current_log().map_of(column, muted=muted)

    def uncertainty_of(
        self, channel: str, noise_v: float, drift_v: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """Return the uncertainty of a voltage of the last map, for 95 % of its pixels.

        Parameters
        ----------
        channel
            One of `CHANNELS`.
        noise_v
            Standard deviation of a reading, in V; `characterise_bench` measures it.
        drift_v
            Drift of the voltage until the map is compared with another one, in V.

        Returns
        -------
        numpy.ndarray
            The uncertainty in V, shape (n_y, n_x); see `voltage_uncertainty`.
        """
        fast = self._current_log().plan.fast_axis
        width = self.map_of(f"{fast}_hi") - self.map_of(f"{fast}_lo")
        return voltage_uncertainty(
            self.map_of(channel),
            self._current_log().map_of("count", total=True),
            width / 2,
            self._current_log().plan.spec.pitch_mm(fast),
            noise_v,
            along=0 if fast == "y" else 1,
            drift_v=drift_v,
        )

    def column_of(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column of the frames that are ok; see `FlightLog.column`."""
        return self._current_log().column(column)

    @property
    def began_ns(self) -> int | None:
        """Start of the flight by its clock, in ns; None before the first flight."""
        return getattr(self._flight, "began_ns", None)

    def kickoff(self) -> DeviceStatus:
        """Start the flight, or go on with a paused flight.

        The RunEngine kicks off again after a hard pause. A flight under way is not
        started twice.

        Raises
        ------
        IllegalTransitionError
            If the flyer was not prepared since its last flight.
        """
        log = self._current_log()
        if self._flight is not None:
            if not (self.is_flying or self.pages_waiting or self.has_page):
                raise IllegalTransitionError(
                    f"{self.name} was not prepared since its last flight"
                )
            return self._finished()
        self._status = FlightStatus(self)
        self._flight = self._port.start_scan(log.plan, log)
        moving = DeviceStatus(self, call_stop_on_failure=False)
        self._watcher = threading.Thread(
            target=self._watch,
            args=(self._flight, log, moving),
            name="aefi-flyer",
            daemon=True,  # the session ends the flight; the exit must not wait
        )
        self._watcher.start()
        return moving

    def complete(self) -> FlightStatus:
        """Return the status that is done when the last sample is stored.

        The status fails if the flight fails, or if more frames are not ok than the
        spec allows.
        """
        self._current_log()
        if self._status is None:
            raise IllegalTransitionError(f"{self.name} was not kicked off")
        return self._status

    def _watch(
        self, flight: ScanInFlight, log: FlightLog, moving: DeviceStatus
    ) -> None:
        status, error = self._status, None
        assert status is not None  # noqa: S101  set by kickoff before this thread
        try:
            while flight.wait(_WATCH_PERIOD_S) is None:
                self._look(flight, log, status, moving)
        except Exception as err:
            error = err
        error = log.failure or error or self._shortfall(log)
        self._excitation_off = log.results is not None and log.results.excitation_off
        if not self._excitation_off:
            # A completed flight is a success all the same: 100 V are told aloud.
            logger.critical(
                "%s: the flight is over, but the excitation is not known to be off: "
                "set the device of the excitation to 'off', or switch it off by hand",
                self.name,
            )
        try:
            log.samples.close()
        except Exception as err:
            error = error or err
        for each in (moving, status):
            self._conclude(each, error)

    def _look(
        self,
        flight: ScanInFlight,
        log: FlightLog,
        status: FlightStatus,
        moving: DeviceStatus,
    ) -> None:
        if log.failure is not None:
            flight.stop()
        if log.state is not ScanState.PREPARING and not moving.done:
            moving.set_finished()
        status.report(flight.progress())

    @staticmethod
    def _conclude(status: DeviceStatus, error: Exception | None) -> None:
        if status.done:
            return
        if error is None:
            status.set_finished()
        else:
            status.set_exception(error)

    def _shortfall(self, log: FlightLog) -> Exception | None:
        """Return why the flight is no success although its port reports no fault."""
        results = log.results
        if results is None or results.state is not ScanState.COMPLETED:
            return None
        planned = log.plan.n_frames
        bad = planned - results.frames[FrameState.OK]
        allowed = log.plan.spec.allowed_bad_frames
        if bad > allowed:
            return DataLossError(
                f"{bad} of {planned} frames are not ok, {allowed} were allowed"
            )
        if sum(results.n_lost.values()):
            lost = {kind: n for kind, n in results.n_lost.items() if n}
            return DataLossError(
                f"records were lost because the rings of the engine were full: {lost}; "
                f"numbers of the first and the last one: {dict(results.lost_spans)}"
            )
        return None

    def wait_for_end(self, timeout_s: float) -> bool:
        """Wait until the stage rests and all is stored; return whether that is so."""
        watcher = self._watcher
        if watcher is None:
            return True
        watcher.join(timeout_s)
        return not watcher.is_alive()

    def pause(self) -> None:
        """Stop with a ramp and keep the ledger of frames; returns at once."""
        if self._flight is not None and self.is_flying:
            self._paused = True
            self._flight.pause()

    def resume(self) -> None:
        """Go on at the first frame that is not ok."""
        if self._flight is not None and self._paused:
            self._paused = False
            if self.is_flying:
                self._flight.resume()

    def stop(self, *, success: bool = False) -> None:
        """End the flight with a ramped stop; returns at once, idempotent."""
        self._paused = False
        if self._flight is not None:
            self._flight.stop()

    def unstage(self) -> list[Any]:
        """End the flight, whatever happened; returns at once."""
        self.stop()
        return super().unstage()

    def _release(self) -> None:
        if self._log is not None:
            self._log.samples.close()

    # -- documents -----------------------------------------------------------

    @property
    def pages_waiting(self) -> int:
        """Lines that can be collected."""
        return self._log.pages_waiting if self._log else 0

    @property
    def has_page(self) -> bool:
        """Whether a line's page is being handed out; its rows are given only once."""
        return self._page is not None

    def next_page(self) -> bool:
        """Take the next line's page for all streams; return whether there is one."""
        self._page = self._log.take_page() if self._log else None
        return self._page is not None

    def _pages_at_hand(self) -> list[LinePage]:
        return [] if self._page is None else [self._page]

    def take_pages(self) -> list[LinePage]:
        """Return all pages, when nothing is left that asks for them one by one."""
        log = self._current_log()
        log.close_page()
        return list(iter(log.take_page, None))

    def describe_collect(self) -> dict[str, Any]:
        """Return the data keys of a frame."""
        return frame_keys(self.name)

    def collect_pages(self) -> Iterator[PartialEventPage]:
        """Yield the frames of the present line; after a pause, all that are left.

        After a halt the RunEngine itself collects, once, and no plan asks for the lines
        one by one any more.
        """
        if self._log is None:
            return
        pages = self._pages_at_hand()
        if self._paused:
            pages += self.take_pages()
        for page in pages:
            if frames := page.take_frames():
                yield page_of(plain_columns(frames, _FRAME_COLUMNS))

    def read_configuration(self) -> dict[str, Any]:
        """Return the constants that recalibration needs."""
        return stamped_constants(self._constants)

    def describe_configuration(self) -> dict[str, Any]:
        """Return the constants' data keys."""
        return described_constants(self._constants, self.name)

    def sample_file_reading(self) -> dict[str, Any]:
        """Return where the sample file is, as a configuration has it."""
        return stamped_constants(
            {f"{self.name}_samples": self._current_log().samples.uri}
        )

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: frames come in pages, and ``lines`` is what is shown."""
        return {"fields": []}
