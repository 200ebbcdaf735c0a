"""Ports that somebody has open, that echo, or that start a board anew.

The simulated bench is a process of its own, reached as any client reaches it.
"""

import dataclasses
import os
import sys
import time

import pytest
from port_programs import programs

from aefi_bluesky.domain.errors import (
    DeviceTimeoutError,
    DeviceUnavailableError,
    PortBusyError,
)
from aefi_bluesky.engine import PortOpening, RustScanAdapter, SerialConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, SimulatorProcess
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.views.recorder import Recorder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no ptys")

BENCH = load_bench("simulated")
BOOT_MS = 1600
"""As long as an Arduino's boot loader waits."""


@pytest.fixture
def serve(tmp_path):
    """Starts simulated benches; returns how the engine reaches them."""
    running = []

    def start(**settings):
        simulated = SimulationSettings(**settings)
        process = SimulatorProcess("simulated", simulated, tmp_path / "truth.jsonl")
        running.append(process)
        process.__enter__()
        ports = process.stage_port, process.acquisition_port
        return BENCH.on_ports(*ports).links()

    yield start
    for process in running:
        process.__exit__(None, None, None)


def fly(links):
    port = RustScanAdapter(BENCH.description(), SerialConnection(links))
    plan = a_plan(BENCH.description(), n_x=1)
    return port.execute_scan(plan, Recorder())


@pytest.fixture
def opened():
    """Opens a port in another program, without a lock."""
    with programs("import os; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)") as start:
        yield start


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who")
def test_port_that_another_program_opened_without_a_lock_is_left_alone(serve, opened):
    links = serve()
    program = opened(links.acquisition_port)
    with pytest.raises(PortBusyError) as busy:
        fly(links)
    assert f"port {links.acquisition_port} is busy: it is held by" in str(busy.value)
    assert f"process {program.pid}: " in str(busy.value)
    program.communicate()
    assert fly(links).frames["ok"] == 9


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who")
def test_port_that_this_program_has_open_is_said_to_be_so(serve):
    links = serve()
    descriptor = os.open(links.stage_port, os.O_RDWR | os.O_NOCTTY)
    try:
        with pytest.raises(PortBusyError, match="held by this program itself"):
            fly(links)
    finally:
        os.close(descriptor)


def test_adapter_that_sends_requests_back_changes_nothing(serve):
    results = fly(serve(stage_echoes=True))
    assert results.frames["ok"] == 9
    assert results.anomalies["echoed_bytes"] > 1000
    others = {**results.anomalies, "echoed_bytes": 0}
    assert set(others.values()) == {0}


def test_board_that_starts_anew_with_its_port_is_waited_for(serve):
    links = serve(boot_ms=BOOT_MS)
    with pytest.raises(DeviceTimeoutError, match="did not answer"):
        fly(links)
    opening = PortOpening(delay_ms=BOOT_MS + 200)
    patient = dataclasses.replace(links, acquisition_opening=opening)
    began = time.monotonic()
    assert fly(patient).frames["ok"] == 9
    assert time.monotonic() - began > BOOT_MS / 1000


def test_line_that_a_port_lacks_is_named(serve):
    """A pty has none."""
    links = serve()
    opening = PortOpening(dtr=False)
    with pytest.raises(DeviceUnavailableError, match="its line DTR cannot be set"):
        fly(dataclasses.replace(links, stage_opening=opening))
