"""A child that was forked leaves the parent's flight, ports and signals alone.

Each case is a program of its own: a fork copies all of pytest otherwise.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")

FLIGHT = """
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.testing.builders import a_long_plan
from aefi_bluesky.views.recorder import Recorder

configuration = load_bench("simulated")
bench = simulated_bench(configuration, SimulationSettings(seed=1))
connection = VirtualConnection(configuration.links(), bench)
port = RustScanAdapter(configuration.description(), connection)
flight = port.start_scan(a_long_plan(), Recorder())
flight.pause()
"""

SIGNALLED = """
import os, signal, time

signal.signal(signal.SIGTERM, lambda *_: None)
stop = port._signal_stop
flight.resume()
with stop.listening([signal.SIGTERM]):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b".")
        time.sleep(0.5)
        os._exit(signal.set_wakeup_fd(-1) + 1)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    time.sleep(0.2)
    print(stop._native.is_holding, os.waitstatus_to_exitcode(status))
flight.stop()
"""

DROPPED = """
import gc, os

child = os.fork()
if child == 0:
    del flight, port
    gc.collect()
    os._exit(0)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), flight.progress().state)
flight.stop()
"""

RELEASED = """
import os, time
from aefi_bluesky.engine import _native

_, slave = os.openpty()
link = _native.DetectorLink(
    port=os.ttyname(slave), baud=115200, paced=True, reply_allowance_ms=10,
    conversion_ns=1000,
)
os.close(slave)
held = _native.Sampler(link)
held.run(writes=[])
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
try:
    _native.Sampler(link).run(writes=[])
except Exception as error:
    print(type(error).__name__, end=" ")
held.release()
_native.Sampler(link).run(writes=[])
print("free")
os.kill(child, 9)
"""


def printed(program):
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_signal_to_a_child_does_not_stop_the_parents_flight():
    assert printed(FLIGHT + SIGNALLED) == ["False", "0"]


def test_a_child_that_forgets_the_flight_ends_neither_it_nor_itself():
    assert printed(FLIGHT + DROPPED) == ["0", "paused"]


def test_a_port_that_was_released_is_free_although_a_child_lives():
    assert printed(RELEASED) == ["PortBusyError", "free"]
