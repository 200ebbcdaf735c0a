"""How the engine reaches a bench: real ports, or a simulated one in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aefi_bluesky.engine import _native

FlightStarter = Callable[[_native.FlightPlan], _native.Flight]
"""Starts a native flight over the links it was made for."""


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


def serial_starter(links: EngineLinks) -> FlightStarter:
    """Return what starts flights over real ports, opened exclusively a flight."""

    def start(plan: _native.FlightPlan) -> _native.Flight:
        return _native.Flight.start(plan, links.native_stage(), links.native_detector())

    return start


def virtual_starter(links: EngineLinks, bench: _native.SimulatedBench) -> FlightStarter:
    """Return what starts flights in virtual time over a simulated bench."""

    def start(plan: _native.FlightPlan) -> _native.Flight:
        return _native.Flight.start_virtual(
            plan, links.native_stage(), links.native_detector(), bench
        )

    return start
