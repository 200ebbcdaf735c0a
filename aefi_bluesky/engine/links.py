"""How the engine reaches a bench: real ports, or a simulated one in virtual time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aefi_bluesky.engine import _native


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
    status_period_ms
        Period of status and full position queries in flight, in ms.
    conversion_ns
        Period of one conversion, in ns.
    """

    stage_port: str
    stage_baud: int
    acquisition_port: str
    acquisition_baud: int
    paced: bool
    stage_name: str
    stage_allowance_ms: int
    acquisition_allowance_ms: int
    status_period_ms: int
    conversion_ns: int

    def native_stage(self) -> _native.StageLink:
        """Return the stage's link in the engine's words."""
        return _native.StageLink(
            port=self.stage_port,
            baud=self.stage_baud,
            paced=self.paced,
            name=self.stage_name,
            address=int(self.stage_name[-2:]),
            reply_allowance_ms=self.stage_allowance_ms,
            status_period_ms=self.status_period_ms,
        )

    def native_detector(self) -> _native.DetectorLink:
        """Return the acquisition's link in the engine's words."""
        return _native.DetectorLink(
            port=self.acquisition_port,
            baud=self.acquisition_baud,
            paced=self.paced,
            reply_allowance_ms=self.acquisition_allowance_ms,
            conversion_ns=self.conversion_ns,
        )


class Connection(Protocol):
    """What the adapter needs of a bench that is reached in one way or another."""

    def start_flight(self, plan: _native.FlightPlan) -> _native.Flight:
        """Start to fly and return at once."""
        ...

    def clear_errors(self) -> None:
        """Let the stage forget latched limit and alarm errors."""
        ...


class SerialConnection:
    """Real ports, opened exclusively for each flight.

    Parameters
    ----------
    links
        The ports and their settings.
    """

    def __init__(self, links: EngineLinks) -> None:
        self._links = links

    def start_flight(self, plan: _native.FlightPlan) -> _native.Flight:
        """See `Connection`."""
        stage, detector = self._links.native_stage(), self._links.native_detector()
        return _native.Flight.start(plan, stage, detector)

    def clear_errors(self) -> None:
        """See `Connection`."""
        self._links.native_stage().clear_errors()


class VirtualConnection:
    """A simulated bench in virtual time.

    Parameters
    ----------
    links
        The settings of the links; their ports are not used.
    bench
        The bench.
    """

    def __init__(self, links: EngineLinks, bench: _native.SimulatedBench) -> None:
        self._links = links
        self._bench = bench

    def start_flight(self, plan: _native.FlightPlan) -> _native.Flight:
        """See `Connection`."""
        stage, detector = self._links.native_stage(), self._links.native_detector()
        return _native.Flight.start_virtual(plan, stage, detector, self._bench)

    def clear_errors(self) -> None:
        """See `Connection`."""
        self._links.native_stage().clear_errors_virtual(self._bench)
