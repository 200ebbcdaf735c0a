"""How the engine reaches a bench: real ports, or a simulated one in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aefi_bluesky.engine import _native
from aefi_bluesky.engine.spool import new_spool


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """What the system is asked for, for the sake of time; nothing of it is vital.

    Parameters
    ----------
    timer_slack
        Timers of the link threads may be 1 ns late by choice, not 50 us.
    fifo_priority
        ``SCHED_FIFO`` priority of the link threads, 1 to 99; None leaves them alone.
    lock_memory
        Keep all memory of the process in RAM.
    low_latency
        Let the serial adapters hand on each reply within 1 ms.
    spin_us
        The stage's thread waits awake for a reply that is expected so soon, and so much
        longer, in us, but at most for half of an exchange; 0 if it always sleeps.
    """

    timer_slack: bool = True
    fifo_priority: int | None = None
    lock_memory: bool = False
    low_latency: bool = True
    spin_us: int = 0

    def native(self) -> _native.Realtime:
        """Return the same in the engine's words."""
        return _native.Realtime(
            timer_slack=self.timer_slack,
            fifo_priority=self.fifo_priority,
            lock_memory=self.lock_memory,
            low_latency=self.low_latency,
            spin_us=self.spin_us,
        )


@dataclass(frozen=True, slots=True)
class PortOpening:
    """What happens when a port is opened: some boards start anew by it.

    Parameters
    ----------
    dtr, rts
        Levels of the lines "data terminal ready" and "request to send"; None leaves
        them to the system, which raises them.
    delay_ms
        How long nothing is asked then, in ms.
    """

    dtr: bool | None = None
    rts: bool | None = None
    delay_ms: int = 0

    def native(self) -> _native.PortOpening:
        """Return the same in the engine's words."""
        return _native.PortOpening(dtr=self.dtr, rts=self.rts, delay_ms=self.delay_ms)


@dataclass(frozen=True, slots=True)
class EngineLinks:
    """Both serial links of a bench.

    Parameters
    ----------
    stage_port, acquisition_port
        Names of the ports, as the system knows them; unused in virtual time.
    stage_baud, acquisition_baud
        Bits per second.
    paced
        False only for a simulated bench without wire pacing: bytes take no time.
    stage_name
        The controller's device name (``DN``); its last two digits are its address.
    stage_allowance_ms, acquisition_allowance_ms
        Time from request to reply beyond wire and conversions, at most, in ms.
    stage_reply_delay_us
        A counter is latched at least this long before its reply begins, in us: what
        is known of the controller's own delay; 0 if nothing is.
    status_period_ms
        Period of full position queries in flight, in ms; status is asked half as
        often, and when an axis that was sent off stands still.
    host_watch_ms
        The controller reports a host that is silent for so long (``TOC``), in ms;
        0 leaves its watch alone.
    conversion_ns
        Period of one conversion, in ns.
    realtime
        What the system is asked for while both links are in use.
    """

    stage_port: str
    stage_baud: int
    acquisition_port: str
    acquisition_baud: int
    paced: bool
    stage_name: str
    stage_allowance_ms: int
    acquisition_allowance_ms: int
    stage_reply_delay_us: int
    status_period_ms: int
    host_watch_ms: int
    conversion_ns: int
    realtime: RealtimeSettings = RealtimeSettings()
    stage_opening: PortOpening = PortOpening()
    acquisition_opening: PortOpening = PortOpening()

    @property
    def stage_byte_s(self) -> float:
        """Time of a byte on the stage's wire: ten bits, in s; zero without pacing."""
        return 10 / self.stage_baud if self.paced else 0.0

    def native_stage(self) -> _native.StageLink:
        """Return the stage's link in the engine's words."""
        return _native.StageLink(
            port=self.stage_port,
            baud=self.stage_baud,
            paced=self.paced,
            name=self.stage_name,
            address=int(self.stage_name[-2:]),
            reply_allowance_ms=self.stage_allowance_ms,
            reply_delay_us=self.stage_reply_delay_us,
            status_period_ms=self.status_period_ms,
            host_watch_ms=self.host_watch_ms,
            opening=self.stage_opening.native(),
        )

    def native_detector(self) -> _native.DetectorLink:
        """Return the acquisition's link in the engine's words."""
        return _native.DetectorLink(
            port=self.acquisition_port,
            baud=self.acquisition_baud,
            paced=self.paced,
            reply_allowance_ms=self.acquisition_allowance_ms,
            conversion_ns=self.conversion_ns,
            opening=self.acquisition_opening.native(),
        )


@dataclass(frozen=True, slots=True)
class AxisSpeeds:
    """How the axes move where a move says nothing else, x first.

    Parameters
    ----------
    speeds, start_speeds
        In steps/s.
    ramps_ms
        Duration of a ramp, in ms.
    """

    speeds: tuple[int, int]
    start_speeds: tuple[int, int]
    ramps_ms: tuple[int, int]


class Connection(Protocol):
    """What the adapter needs of a bench that is reached in one way or another."""

    @property
    def stage_byte_s(self) -> float:
        """Time of a byte on the stage's wire, in s; zero without pacing."""
        ...

    def start_flight(self, plan: _native.FlightPlan, note: str = "") -> _native.Flight:
        """Start to fly and return at once; a spool has `note` in its header."""
        ...

    def clear_errors(self) -> None:
        """Let the stage forget latched limit and alarm errors."""
        ...

    def require_free(self) -> None:
        """See that no program has a port open.

        Raises
        ------
        PortBusyError
            If one has; names it.
        """
        ...

    def poll_stage(self, duration_s: float) -> dict[str, int]:
        """Ask for positions back to back for a while; see `StageLink.poll`."""
        ...

    def stage_moves(self, speeds: AxisSpeeds) -> _native.StageMoves:
        """Return the stage for moves outside flights; nothing is opened."""
        ...

    def sampler(self) -> _native.Sampler:
        """Return the acquisition for readings outside flights; nothing is opened."""
        ...


class SerialConnection:
    """Real ports, opened exclusively for each flight.

    Parameters
    ----------
    links
        The ports and their settings.
    spool_folder
        Where each flight's spool goes; None keeps none.
    """

    def __init__(self, links: EngineLinks, spool_folder: Path | None = None) -> None:
        self._links = links
        self._spool_folder = spool_folder

    def start_flight(self, plan: _native.FlightPlan, note: str = "") -> _native.Flight:
        """See `Connection`."""
        stage, detector = self._links.native_stage(), self._links.native_detector()
        spool = new_spool(self._spool_folder)
        return _native.Flight.start(
            plan,
            stage,
            detector,
            realtime=self._links.realtime.native(),
            spool=spool,
            spool_note=note,
        )

    def clear_errors(self) -> None:
        """See `Connection`."""
        self._links.native_stage().clear_errors()

    def require_free(self) -> None:
        """See `Connection`."""
        for port in (self._links.stage_port, self._links.acquisition_port):
            _native.require_free(port)

    @property
    def stage_byte_s(self) -> float:
        """See `Connection`."""
        return self._links.stage_byte_s

    def poll_stage(self, duration_s: float) -> dict[str, int]:
        """See `Connection`."""
        spin_us = self._links.realtime.spin_us
        return self._links.native_stage().poll(duration_s, spin_us)

    def stage_moves(self, speeds: AxisSpeeds) -> _native.StageMoves:
        """See `Connection`."""
        return _stage_moves(self._links, speeds, None)

    def sampler(self) -> _native.Sampler:
        """See `Connection`."""
        return _native.Sampler(self._links.native_detector())


class VirtualConnection:
    """A simulated bench in virtual time.

    Parameters
    ----------
    links
        The settings of the links; their ports are not used.
    bench
        The bench.
    spool_folder
        Where each flight's spool goes; None keeps none.
    """

    def __init__(
        self,
        links: EngineLinks,
        bench: _native.SimulatedBench,
        spool_folder: Path | None = None,
    ) -> None:
        self._links = links
        self._bench = bench
        self._spool_folder = spool_folder

    def start_flight(self, plan: _native.FlightPlan, note: str = "") -> _native.Flight:
        """See `Connection`."""
        stage, detector = self._links.native_stage(), self._links.native_detector()
        spool = new_spool(self._spool_folder)
        return _native.Flight.start_virtual(
            plan,
            stage,
            detector,
            self._bench,
            realtime=self._links.realtime.native(),
            spool=spool,
            spool_note=note,
        )

    def clear_errors(self) -> None:
        """See `Connection`."""
        self._links.native_stage().clear_errors_virtual(self._bench)

    def require_free(self) -> None:
        """See `Connection`; here no other program is."""

    @property
    def stage_byte_s(self) -> float:
        """See `Connection`."""
        return self._links.stage_byte_s

    def poll_stage(self, duration_s: float) -> dict[str, int]:
        """See `Connection`."""
        return self._links.native_stage().poll_virtual(self._bench, duration_s)

    def stage_moves(self, speeds: AxisSpeeds) -> _native.StageMoves:
        """See `Connection`."""
        return _stage_moves(self._links, speeds, self._bench)

    def sampler(self) -> _native.Sampler:
        """See `Connection`."""
        return _native.Sampler(self._links.native_detector(), bench=self._bench)


def _stage_moves(
    links: EngineLinks, speeds: AxisSpeeds, bench: _native.SimulatedBench | None
) -> _native.StageMoves:
    return _native.StageMoves(
        links.native_stage(),
        speeds=list(speeds.speeds),
        start_speeds=list(speeds.start_speeds),
        ramps_ms=list(speeds.ramps_ms),
        bench=bench,
    )
