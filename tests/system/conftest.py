"""Benches on ptys and demos as a person starts them, all in real time."""

import pytest
from flyer_bench import PtyBench
from real_time import Demo, Shell, opens_exclusively


@pytest.fixture
def start_demo(tmp_path):
    """Starts demos and ends them; by default in a folder of the test's own."""
    started = []

    def start(*options, folder=tmp_path / "data", **popen):
        started.append(Demo(folder, *options, **popen))
        return started[-1]

    yield start
    for demo in started:
        demo.close()


@pytest.fixture
def start_shell(tmp_path):
    """Starts shells that run code on ptys, and ends them."""
    started = []

    def start(code, *options):
        started.append(Shell(tmp_path / "data", code, *options))
        return started[-1]

    yield start
    for shell in started:
        shell.close()


@pytest.fixture
def make_pty_bench(new_run_engine, tmp_path):
    """Builds benches on ptys; afterwards both ports can be opened exclusively."""
    made = []

    def make(**options):
        made.append(PtyBench(new_run_engine(), tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()
        free = [opens_exclusively(port) for port in bench.ports]
        bench.simulator.stop()
        assert free == [True, True]


@pytest.fixture
def pty_bench(make_pty_bench):
    return make_pty_bench()
