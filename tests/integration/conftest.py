"""A RunEngine, and benches in virtual time that fly on it."""

import asyncio
import threading

import pytest
from bluesky import RunEngine
from virtual_bench import VirtualBench


@pytest.fixture
def run_engine():
    loop = asyncio.new_event_loop()
    engine = RunEngine({}, loop=loop, context_managers=[])
    yield engine
    if engine.state not in ("idle", "panicked"):
        engine.halt()
    loop.call_soon_threadsafe(loop.stop)
    engine._th.join()
    loop.close()


@pytest.fixture
def make_bench(run_engine, tmp_path):
    """Builds the bench of a test, and ends its flight."""
    made = []

    def make(**options):
        made.append(VirtualBench(run_engine, tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.flyer.stop()
        assert bench.flyer.wait_for_end(10.0), "the flight did not come to rest"
        bench.flyer._release()


@pytest.fixture
def bench(make_bench):
    return make_bench()


@pytest.fixture
def pause_when(run_engine):
    """Pauses a run once, as soon as a document or message meets a condition."""
    threads = []

    def on_documents(condition, *, defer=False):
        def look(name, doc):
            if condition(name, doc) and not threads:
                pause = threading.Thread(
                    target=run_engine.request_pause, kwargs={"defer": defer}
                )
                threads.append(pause)
                pause.start()

        run_engine.subscribe(look)

    yield on_documents
    for thread in threads:
        thread.join()
