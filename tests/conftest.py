"""What all tests share: nothing may be left behind, and one Tiled server."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from bluesky import RunEngine
from hypothesis import HealthCheck, settings

from aefi_bluesky.storage.tiled.server import TiledServer

# These machines are shared: how long an example takes says nothing about the code.
settings.register_profile(
    "shared", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared")

_GRACE_S = 5.0
_OURS = ("aefi", "bluesky-run-en")  # what the system keeps of a thread's name


def _threads_of_ours():
    """Names of the threads that the package starts, native ones included."""
    python = {t.name for t in threading.enumerate() if t.name.startswith(_OURS)}
    native = set()
    for file in Path("/proc/self/task").glob("*/comm"):
        try:
            native.add(file.read_text().strip())
        except OSError:  # it ended while we looked
            continue
    return python | {name for name in native if name.startswith(_OURS)}


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Fail a test that leaves a thread of the engine, the flyer or the RunEngine."""
    before = _threads_of_ours()
    yield
    deadline = time.monotonic() + _GRACE_S
    while (left := _threads_of_ours() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"threads left running: {sorted(left)}"


@pytest.fixture
def new_run_engine():
    """Makes RunEngines and ends them."""
    made = []

    def make():
        loop = asyncio.new_event_loop()
        made.append(RunEngine({}, loop=loop, context_managers=[]))
        return made[-1]

    yield make
    for engine in made:
        engine.loop.call_soon_threadsafe(engine.loop.stop)
        engine._th.join()
        engine.loop.close()


@pytest.fixture(scope="session")
def shared_tiled(tmp_path_factory):
    """A Tiled server, and the folder below which it may read sample files."""
    folder = tmp_path_factory.mktemp("tiled")
    with TiledServer(folder / "server", folder) as server:
        yield server, folder


@pytest.fixture(autouse=True)
def _own_environment():
    """Commands set variables for what they start: not for other tests."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
