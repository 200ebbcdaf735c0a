"""The Rust engine keeps the promises of a port, over the bench in virtual time."""

import pytest

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.testing.builders import a_bench, a_long_plan
from aefi_bluesky.testing.contracts.scan_port import ScanPortContract

pytest.importorskip(
    "aefi_bluesky.engine._native",
    reason="the engine is not built",
    exc_type=ImportError,
)

from aefi_bluesky.engine import (
    EngineLinks,
    RustScanAdapter,
    VirtualConnection,
    _native,
)

LINKS = EngineLinks(
    stage_port="stage",
    stage_baud=115200,
    acquisition_port="acquisition",
    acquisition_baud=1_500_000,
    paced=True,
    stage_name="4EX00",
    stage_allowance_ms=100,
    acquisition_allowance_ms=150,
    stage_reply_delay_us=0,
    status_period_ms=500,
    host_watch_ms=0,
    conversion_ns=1_000_000,
)


class TestRustScanAdapter(ScanPortContract):
    @pytest.fixture
    def flight_plan(self) -> FlightPlan:
        return a_long_plan()

    @pytest.fixture
    def scan_port(self) -> RustScanAdapter:
        # Near the zone, so that the way there takes little of the flight.
        start = (27000.0, 27000.0)
        bench = _native.SimulatedBench(seed=1, baud_code=5, start_steps=start)
        return RustScanAdapter(a_bench(), VirtualConnection(LINKS, bench))
