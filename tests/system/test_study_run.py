"""``aefi study run`` in real time on ptys: a signal stops it, and what it was is kept.

Tolerance: as in ``test_interruptions``, from the STOP's arrival to rest.
"""

import json
import signal

import pytest
from real_time import Program
from simulator_log import SimulatorLog
from test_interruptions import check_stopped

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.cli.study.store import Grounded
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.session import load_bench
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.testing.builders import a_spec, an_object

pytestmark = pytest.mark.realtime

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture
def start_run(shared_tiled):
    """Plans a study in a folder and starts ``aefi study run`` in it."""
    server, root = shared_tiled
    started = []

    def start(name):
        folder = root / name
        repository = SqliteStudyRepository(folder / "studies.sqlite")
        bench = load_bench("simulated").description()
        service = StudyService(repository, Grounded(), bench)
        if not service.study_ids():
            service.create_study("ball", an_object(), "me")
            service.configure_study("ball")
            service.add_scan("ball", "r", a_spec(n_x=5), ScanRole.REFERENCE)
        words = ("ball", "--sim", "--all", "--tiled", server.uri)
        started.append(Program("study run", folder, *words, key=server.api_key))
        return started[-1], repository

    yield start
    for program in started:
        program.close()


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_signal_stops_the_stage_and_the_scan_is_recorded_with_its_cause(
    start_run, shared_tiled, number
):
    program, repository = start_run(f"study {number.name}")
    program.wait_for_second_line()
    program.send(number)
    assert program.finish() == STATUS[number], program.out + program.err
    assert "Traceback" not in program.out + program.err
    check_stopped(SimulatorLog.read(program.truth))
    assert program.children() == []
    scan = repository.get("ball").scan("r")
    assert (str(scan.state), scan.cause) == ("cancelled", "stop requested")
    assert f"scan r cancelled, run {scan.run_uid}: stop requested" in program.out
    server, _root = shared_tiled
    client = connect(server.uri, server.api_key)
    try:
        stop = client[scan.run_uid].metadata["stop"]
    finally:
        client.context.close()
    assert stop["exit_status"] == "abort"
    assert json.loads(stop["reason"])["cause"] == "stop requested"


def test_second_program_is_refused_by_the_name_of_the_first(start_run):
    first, repository = start_run("study twice")
    first.wait_for_second_line()
    second, _ = start_run("study twice")
    assert second.finish() == 1
    (sentence,) = second.err.splitlines()
    assert f"is in use by process {first.process.pid} of" in sentence
    assert "-m aefi_bluesky study run" in sentence
    assert first.finish() == 0, first.out + first.err
    assert str(repository.get("ball").scan("r").state) == "completed"
