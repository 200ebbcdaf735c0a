"""The RunEngine's executor keeps the promises of one: each flight is a run."""

import numpy as np
import pytest
from flyer_bench import VirtualBench

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import compile_flight
from aefi_bluesky.domain.ports import RunRecord
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.session.study_runs import RunEngineScanExecutor
from aefi_bluesky.testing.builders import a_long_plan, a_plan, a_spec
from aefi_bluesky.testing.contracts.scan_port import ScanExecutorContract
from aefi_bluesky.testing.fakes import FakeScanPort, RecordingObserver

BENCH = load_bench("simulated")


@pytest.fixture
def run_bench(new_run_engine, tmp_path):
    bench = VirtualBench(new_run_engine(), tmp_path)
    yield bench
    bench.close()


class TestRunEngineScanExecutor(ScanExecutorContract):
    records_runs = True

    @pytest.fixture
    def flight_plan(self) -> FlightPlan:
        return a_plan(n_x=21)

    @pytest.fixture
    def long_plan(self) -> FlightPlan:
        return a_long_plan()

    @pytest.fixture
    def scan_port(self, run_bench) -> RunEngineScanExecutor:
        return RunEngineScanExecutor(run_bench.RE, run_bench.run_maker, run_bench.port)


def test_the_runs_documents_say_what_they_were_given(run_bench):
    executor = RunEngineScanExecutor(run_bench.RE, run_bench.run_maker, run_bench.port)
    run = RunRecord({"study": {"id": "ball"}})
    plan = a_plan()
    executor.execute_scan(plan, RecordingObserver(), run)
    assert run_bench.run.start["uid"] == run.uid
    assert run_bench.run.start["study"] == {"id": "ball"}
    assert run_bench.run.start["flight_plan"]["sha256"] == plan.digest


PLANNED = ("frame", "line", "pass", "x_nominal", "y_nominal")


def test_a_compiled_plan_flies_the_same_whoever_flies_it(run_bench):
    """Frame for frame; and to the bit where the same bench flies it."""
    description = BENCH.description()
    plan = compile_flight(a_spec(n_x=4, n_y=5, gap_fill_passes=1), description)
    simulated = simulated_bench(BENCH, SimulationSettings(seed=1))
    ports = {
        "fake": FakeScanPort(),
        "engine": RustScanAdapter(
            description, VirtualConnection(BENCH.links(), simulated)
        ),
        "run engine": RunEngineScanExecutor(
            run_bench.RE, run_bench.run_maker, run_bench.port
        ),
    }
    frames = {}
    for name, port in ports.items():
        observer = RecordingObserver()
        port.execute_scan(plan, observer)
        chunks = observer.values("frames_ended")
        columns = {
            column: np.concatenate([chunk.data[column] for chunk in chunks])
            for column in chunks[0].data
        }
        order = np.argsort(columns["frame"], kind="stable")
        frames[name] = {column: each[order] for column, each in columns.items()}
    for name in ("engine", "run engine"):
        for column in PLANNED:
            np.testing.assert_array_equal(frames[name][column], frames["fake"][column])
    for column, values in frames["engine"].items():
        assert values.tobytes() == frames["run engine"][column].tobytes(), column
