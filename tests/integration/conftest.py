"""Benches in virtual time, and pauses."""

import threading

import pytest
from flyer_bench import VirtualBench


def pause_soon(engine, defer=False):
    """Ask for a pause on the RunEngine's own thread, where asking must not wait."""
    engine.loop.create_task(engine._request_pause_coro(defer))


@pytest.fixture
def make_bench(new_run_engine, tmp_path):
    """Builds benches in virtual time, each with a RunEngine, and ends their flights."""
    made = []

    def make(**options):
        folder = tmp_path / f"bench {len(made)}"
        folder.mkdir()
        made.append(VirtualBench(new_run_engine(), folder, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


@pytest.fixture
def pause_at_message():
    """Asks for a pause while the plan's n-th message is carried out."""
    seen = []

    def arm(bench, number, *, defer=False):
        def look(_message):
            seen.append(1)
            if len(seen) == number:
                pause_soon(bench.RE, defer)

        bench.RE.msg_hook = look

    return arm


@pytest.fixture
def pause_at_measurement():
    """Asks for a pause as the n-th measurement at rest begins."""

    def arm(bench, number):
        begun = []

        def look(message):
            if message.command != "trigger" or message.obj is not bench.sensor:
                return
            begun.append(message)
            if len(begun) == number:
                bench.RE.msg_hook = None
                pause_soon(bench.RE)

        bench.RE.msg_hook = look

    return arm


@pytest.fixture
def pause_at_next_wait():
    """Asks for a pause as soon as the plan waits again."""

    def arm(bench):
        def look(message):
            if message.command in ("wait", "sleep", "checkpoint"):
                bench.RE.msg_hook = None
                pause_soon(bench.RE)

        bench.RE.msg_hook = look

    return arm


@pytest.fixture
def pause_in_flight():
    """Asks for a pause so many seconds after a flight began to fly."""
    timers = []

    def arm(bench, after_s, *, defer=False):
        def ask():
            if bench.RE.state == "running":
                bench.RE.request_pause(defer)

        def look(message):
            if message.command == "complete" and not timers:
                timers.append(threading.Timer(after_s, ask))
                timers[0].start()

        bench.RE.msg_hook = look

    yield arm
    for timer in timers:
        timer.cancel()
        timer.join()
