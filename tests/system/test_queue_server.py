"""Plans by name through bluesky-queueserver, as a person starts it, up to Tiled."""

import contextlib
import signal
import subprocess
import sys

import pytest
import yaml
from bluesky_queueserver_api import BFunc, BPlan
from bluesky_queueserver_api.comm_base import RequestFailedError
from click.testing import CliRunner
from queue_client import QueueClient, QueueServerProgram
from real_time import wait_until
from simulator_log import SimulatorLog

from aefi_bluesky.cli import aefi
from aefi_bluesky.session.spec_files import write_spec
from aefi_bluesky.storage.local.loopback import HOST, free_port, is_free
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer
from aefi_bluesky.testing.builders import a_spec

SMALL = ("flyer", 600, 620, 3, 600, 620, 9)
"""Three lines of nine frames: plain values, the flyer by its name."""

LONG = {
    "flyer": "flyer",
    "x_min_mm": 630,
    "x_max_mm": 640,
    "n_x": 3,
    "y_min_mm": 600,
    "y_max_mm": 900,
    "n_y": 13,
    "md": {"sample": "a long one"},
}
"""Three lines of 9 s."""


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """A client of a server in virtual time with an open environment.

    Afterwards closing the environment ends the session, and SIGTERM everything.
    """
    folder = tmp_path_factory.mktemp("queue")
    server = QueueServerProgram(folder, "--virtual").wait_for_answer()
    client = QueueClient(server)
    try:
        client.folder = folder
        client.open()
        yield client
        client.close_environment()
        wait_until(lambda: not tiled_servers(server), "the session's end")
        redis = server.redis_port
        assert not is_free(redis)
        server.send(signal.SIGTERM)
        assert server.finish() == 0, server.err
        assert server.children() == []
        assert is_free(redis)
    finally:
        client.close()
        server.close()


def tiled_servers(server):
    return [words for words in server.children() if "tiled.yml" in words]


@pytest.fixture(scope="module")
def catalog(queue):
    """The session's Tiled, as another program reaches it."""
    tiled = queue.folder / "tiled"
    port = yaml.safe_load((tiled / "tiled.yml").read_text())["uvicorn"]["port"]
    key = (tiled / "api_key").read_text().strip()
    client = connect(f"http://{HOST}:{port}/api/v1", key)
    yield client
    client.context.close()


def stored(catalog, uid):
    """Return a run once Tiled has its end."""
    wait_until(lambda: uid in catalog and "stop" in catalog[uid].metadata, f"run {uid}")
    return catalog[uid]


@pytest.fixture
def start_server(tmp_path):
    started = []

    def start(*options, **popen):
        started.append(QueueServerProgram(tmp_path / "data", *options, **popen))
        return started[-1]

    yield start
    for server in started:
        server.close()


def test_plans_and_devices_are_offered_by_their_names(queue):
    plans = queue.api.plans_allowed()["plans_allowed"]
    assert set(plans) == {
        *("fly_map", "fly_line", "differential_map", "run_study"),
        *("step_map", "measure_point", "time_series", "frequency_sequence"),
        *("calibrate_lag", "characterise_bench"),
    }
    devices = queue.api.devices_allowed()["devices_allowed"]
    assert set(devices) == {
        *("flyer", "bench", "excitation", "stage_x", "stage_y", "sensor"),
        *("bench_meter", "calibration"),
    }


def test_a_plan_submitted_by_name_flies_and_its_run_is_in_tiled(queue, catalog):
    result = queue.run(BPlan("fly_map", *SMALL, md={"sample": "by name"}))
    assert result["exit_status"] == "completed", result["traceback"]
    (uid,) = result["run_uids"]
    run = stored(catalog, uid)
    assert run.metadata["start"]["sample"] == "by name"
    assert run.metadata["stop"]["exit_status"] == "success"
    frames = run["primary"].read()
    assert list(frames["state"].values) == ["ok"] * 27
    assert run.metadata["stop"]["num_events"]["primary"] == 27
    assert set(run) >= {"primary", "lines", "readings", "fixes", "maps", "baseline"}


def test_wrong_names_and_values_are_refused_when_submitted(queue):
    assert "should be 'flyer'" in queue.refusal(BPlan("fly_map", "you", *SMALL[1:]))
    assert "'comb'" in queue.refusal(BPlan("fly_map", *SMALL, pattern="zigzag"))
    assert "valid integer" in queue.refusal(BPlan("fly_map", *SMALL[:6], "many"))
    assert "not in the list" in queue.refusal(BPlan("fly_lines", "flyer"))
    assert queue.api.status()["items_in_queue"] == 0


def test_an_infeasible_map_fails_with_our_sentence_and_the_session_lives_on(queue):
    far = BPlan("fly_map", "flyer", 600, 620, 3, 600, 6200, 9)
    result = queue.run(far)
    assert result["exit_status"] == "failed"
    assert result["msg"].startswith("Plan failed: axis y: ")
    assert "is outside 0 to 1227.78 mm" in result["msg"]
    assert result["run_uids"] == []
    queue.api.queue_clear()  # the server keeps what has failed
    assert queue.api.status()["worker_environment_state"] == "idle"
    assert queue.run(BPlan("fly_map", *SMALL))["exit_status"] == "completed"


def test_a_study_planned_meanwhile_is_flown_by_its_name(queue, catalog, tmp_path):
    spec = tmp_path / "map.json"
    write_spec(a_spec(n_x=2), spec)
    for words in (
        ("create", "ball", "--object", "a ball", "--operator", "me"),
        ("configure", "ball", "--bench", "simulated"),
        ("add-scan", "ball", "r", str(spec), "--role", "reference"),
        ("add-scan", "ball", "o", str(spec), "--role", "object", "--reference", "r"),
    ):
        told = CliRunner().invoke(
            aefi, ["study", *words, "--folder", str(queue.folder)]
        )
        assert told.exit_code == 0, told.output
    result = queue.run(BPlan("run_study", "ball", all_scans=True))
    assert result["exit_status"] == "completed", result["traceback"]
    runs = [stored(catalog, uid) for uid in result["run_uids"]]
    told = [run.metadata["start"]["study"] for run in runs]
    assert [(each["id"], each["scan"]) for each in told] == [
        ("ball", "r"),
        ("ball", "o"),
    ]
    scans = SqliteStudyRepository(queue.folder / "studies.sqlite").get("ball").scans
    assert [(str(scan.state), scan.run_uid) for scan in scans] == [
        ("completed", uid) for uid in result["run_uids"]
    ]
    refused = queue.run(BPlan("run_study", "ball"))
    assert refused["exit_status"] == "failed"
    assert "only a pending scan can be run" in refused["msg"]
    queue.api.queue_clear()


def test_the_console_has_the_runs_addresses_and_no_key(queue, catalog):
    result = queue.run(BPlan("fly_map", *SMALL))
    (uid,) = result["run_uids"]
    stored(catalog, uid)
    log = queue.folder / "qserver" / "manager.log"
    wait_until(lambda: f"/ui/browse/{uid}\n" in log.read_text(), "the run's address")
    assert (queue.folder / "tiled" / "api_key").read_text().strip() not in (
        log.read_text()
    )


def test_latched_errors_can_be_cleared_by_a_client(queue):
    task = queue.api.function_execute(BFunc("clear_errors"))["task_uid"]
    queue.api.wait_for_completed_task(task)
    result = queue.api.task_result(task)["result"]
    assert result["success"], result["traceback"]


def test_no_other_function_is_a_clients(queue):
    with pytest.raises(RequestFailedError, match="is not allowed"):
        queue.api.function_execute(BFunc("close_session"))


@pytest.mark.realtime
@pytest.mark.timeout(400)
def test_termination_stops_the_flight_stores_the_run_and_ends_everything(start_server):
    server = start_server("--sim").wait_for_answer()
    with contextlib.closing(QueueClient(server)) as client:
        client.open()
        client.api.item_add(BPlan("fly_map", **LONG))
        client.api.queue_start()
        server.wait_for_second_line()
        server.send(signal.SIGTERM)
        assert server.finish() == 0, server.err
    assert server.children() == []
    log = SimulatorLog.read(server.truth)
    assert log.at_rest
    folder = server.folder
    with TiledServer(folder / "tiled", folder / "raw") as tiled:
        catalog = connect(tiled.uri, tiled.api_key)
        (run,) = catalog.values()
        assert run.metadata["start"]["sample"] == "a long one"
        assert run.metadata["stop"]["exit_status"] == "abort"
        states = list(run["primary"].read()["state"].values)
        assert states[:13] == ["ok"] * 13
        catalog.context.close()
    assert list((folder / "backup").iterdir()) == []


def test_everything_ends_with_a_command_that_is_killed(start_server):
    server = start_server("--virtual").wait_for_answer()
    redis = server.redis_port
    server.send(signal.SIGKILL)
    server.finish()
    wait_until(lambda: server.children() == [], "the manager's end")
    assert is_free(redis)


def test_a_client_may_stop_the_manager(start_server):
    server = start_server("--virtual").wait_for_answer()
    with contextlib.closing(QueueClient(server)) as client:
        client.api.send_request(method="manager_stop")
    assert server.finish() == 0, server.err
    assert server.children() == []


def test_a_redis_out_of_reach_is_one_sentence(tmp_path):
    address = f"{HOST}:{free_port()}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "aefi_bluesky", "qserver", "--virtual"),
            *("--folder", str(tmp_path), "--redis", address),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"aefi: no Redis at {address}: ")
    assert done.stderr.count("\n") == 1
