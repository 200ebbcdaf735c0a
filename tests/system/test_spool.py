"""The host dies, or its disk is full: what was flown stays, and the stage stops.

In real time on ptys. The simulated bench is a process of its own and outlives the
host. Tolerance: a second is what may be lost, 0.2 s for a slow flush.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import spool_host
from real_time import LINE_SPEED, opens_exclusively, wait_until
from simulator_log import SimulatorLog

from aefi_bluesky.engine import SpooledFlight, _native
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, SimulatorProcess
from aefi_bluesky.storage.runs.journal import journal_documents
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer

pytestmark = pytest.mark.realtime

MOST_LOST_S = 1.2

KILLS = int(os.environ.get("AEFI_KILLS", "4"))
"""Kills at random instants; a night's worth finds what four don't."""

FLIGHT_S = 12.0
"""Shorter than a flight, and reaching into its last line."""


class Host:
    """A program that flies, and the bench that it flies."""

    def __init__(self, truth, folder, *limit):
        self.folder = folder
        self.truth = truth
        self.simulator = SimulatorProcess("simulated", SimulationSettings(), self.truth)
        self.ports = self.simulator.stage_port, self.simulator.acquisition_port
        self.process = subprocess.Popen(
            [
                *(sys.executable, spool_host.__file__),
                *(*self.ports, str(folder / "spool"), *map(str, limit)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def spool(self):
        (path,) = (self.folder / "spool").glob("*.spool")
        return path

    def is_in_line(self, number):
        """Whether the stage crosses this window now, the first one being 1."""
        if not self.truth.exists():
            return False
        return self.log().cruises("y", LINE_SPEED) == (number, True)

    def log(self):
        return SimulatorLog.read(self.truth)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.simulator.stop()


@pytest.fixture
def start_host(tmp_path):
    started = []

    def start(*limit, folder=tmp_path):
        started.append(Host(tmp_path / "truth.jsonl", folder, *limit))
        return started[-1]

    yield start
    for host in started:
        host.close()


def recover(folder):
    done = subprocess.run(
        [sys.executable, "-m", "aefi_bluesky", "recover", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        pytest.param((), 2, id="in its second line"),
        pytest.param(("stall",), 5, id="stalled since it began"),
    ],
)
def test_host_killed_in_mid_line_loses_at_most_the_last_second(
    start_host, record_property, capsys, limit, line
):
    host = start_host(*limit)
    wait_until(lambda: host.is_in_line(line), f"line {line}")
    killed_ns = time.monotonic_ns()
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()

    spool = _native.read_spool(host.spool)
    assert spool["state"] is None
    assert not spool["is_growing"]
    fixes = spool["fixes"]
    received = fixes["t_received"] + spool["began_ns"]
    lost_s = (killed_ns - received.max()) * 1e-9
    record_property("lost_s", lost_s)
    with capsys.disabled():
        print(
            f"\nspool: killed in line {line}, the last {lost_s:.3f} s are lost of "
            f"{(received.max() - spool['began_ns']) * 1e-9:.1f} s, "
            f"{len(received)} fixes and {len(spool['readings']['frame'])} readings; "
            f"{spool['torn_bytes']} bytes torn"
        )
    assert lost_s <= MOST_LOST_S
    wait_until(lambda: host.log().at_rest, "rest", 10.0)
    check_fixes(fixes, spool["began_ns"], host.log())
    first_line_ns = spool["began_ns"] + spool["lines"]["began"][0]
    flown = received[received > first_line_ns]
    assert np.diff(flown).max() < 0.25e9, "no fix is missing in between"

    # Nobody tells the stage to stop: the line's end is its target.
    assert host.log().stops == []
    assert host.log().segments["y"][-1]["p0"] == pytest.approx(
        end_of_line(line - 1), abs=1
    )
    assert [opens_exclusively(port) for port in host.ports] == [True, True]

    assert "flight cut off" in recover(host.folder)
    check_recovered(host.folder, host.spool)
    assert "as before" in recover(host.folder)


@pytest.fixture(scope="module")
def losses(request):
    """What each kill at a random instant cost, in s; told at the end."""
    lost = []
    yield lost
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(
            f"\nspool: {len(lost)} kills at random instants lost "
            f"{np.median(lost):.3f} s in the median, {max(lost):.3f} s at worst"
        )


@pytest.mark.parametrize("seed", range(KILLS))
def test_host_killed_at_any_instant_leaves_its_data_and_the_committed_move(
    start_host, losses, seed
):
    """Stratified: each of the kills has its own part of the flight."""
    host = start_host()
    wait_until(lambda: list((host.folder / "spool").glob("*.spool")), "the spool")
    share = (seed + random.Random(seed).random()) / KILLS
    time.sleep(share * FLIGHT_S)
    killed_ns = time.monotonic_ns()
    assert host.process.poll() is None, "the flight was over before"
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()

    spool = _native.read_spool(host.spool)
    assert (spool["state"], spool["is_growing"]) == (None, False)
    received = spool["fixes"]["t_received"] + spool["began_ns"]
    last_ns = max(received.max(initial=0), spool["began_ns"])
    losses.append((killed_ns - last_ns) * 1e-9)
    assert losses[-1] <= MOST_LOST_S
    assert [opens_exclusively(port) for port in host.ports] == [True, True]
    wait_until(lambda: host.log().at_rest, "rest", 10.0)
    log = host.log()
    assert log.stops == []
    if len(received):
        check_fixes(spool["fixes"], spool["began_ns"], log)
    check_rests_where_a_move_ends(log)


def check_rests_where_a_move_ends(log):
    """No axis has gone further than to the target of the move under way."""
    bench, plan = load_bench("simulated").description(), spool_host.a_plan()
    targets = {
        "x": [line.slow_mm * 1000 / bench.x.um_per_step for line in plan.lines],
        "y": [
            place * 1000 / bench.y.um_per_step
            for line in plan.lines
            for place in (line.start_mm, line.end_mm)
        ],
    }
    for axis, places in targets.items():
        rows = log.segments.get(axis, [])
        if not any(row["v"] or row["a"] for row in rows):
            continue  # it has never moved
        rest = rows[-1]["p0"]
        assert min(abs(rest - place) for place in places) <= 1, axis


def check_fixes(fixes, began_ns, log):
    """Each fix is what the true counter was at some time of its exchange, and within
    the step that a counter lags at most.
    """
    believed = fixes["flags"] & 2 == 0
    names = ("t_sent", "t_received", "axis", "counts")
    rows = zip(*(fixes[name][believed].tolist() for name in names), strict=True)
    for sent, received, axis, counts in rows:
        ends = [log.position("xy"[axis], began_ns + at) for at in (sent, received)]
        assert min(ends) - 1 <= counts <= max(ends) + 1


def end_of_line(index):
    um_per_step = load_bench("simulated").description().y.um_per_step
    return round(spool_host.a_plan().lines[index].end_mm * 1000 / um_per_step)


def check_recovered(folder, spool):
    flight = SpooledFlight.read(spool)
    recovered = folder / "raw" / "recovered"
    with h5py.File(recovered / f"{spool.stem}.h5", swmr=True) as file:
        for stream, table in flight.tables.items():
            for name, values in table.items():
                np.testing.assert_array_equal(file[stream][name], values)
        assert set(file["primary"]["state"]) <= {0}
        x = file["primary/x"][...]
        assert np.all((x > 610) & (x < 660))
    summary = json.loads((recovered / f"{spool.stem}.json").read_text())
    assert summary["state"] is None
    assert summary["frames_planned"] == 45


# -- a disk that takes no more ---------------------------------------------------------


@pytest.fixture
def mount():
    """Mounts small disks in memory; skips where that is refused."""
    mounted = []

    def mount(folder, options):
        folder.mkdir(parents=True, exist_ok=True)
        command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this system mounts nothing for us: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder):
    """Write until there is no room."""
    path = folder / "of another program"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def check_ended_for_want_of_room(host, system_word):
    """The flight failed by the cause's name, with a ramped stop and its data kept."""
    out, _ = host.process.communicate(timeout=60)
    ended = json.loads(out)
    assert ended["state"] == "failed"
    kind, message = ended["error"]
    assert kind == "DataLossError"
    assert str(host.spool) in message
    assert system_word in message

    spool = _native.read_spool(host.spool)
    assert spool["torn_bytes"] == 0
    assert spool["state"] is None, "nothing is written after the error"
    log = host.log()
    assert log.at_rest
    assert log.stops[0]["command"].startswith("STOP")
    last_ns = spool["began_ns"] + int(spool["fixes"]["t_received"].max())
    assert (log.stops[0]["t_ns"] - last_ns) * 1e-9 < MOST_LOST_S
    ramp_steps = (LINE_SPEED + 1000) / 2 * 0.3
    assert log.way_after(log.stops[0]["t_ns"]) <= ramp_steps + LINE_SPEED * 0.020
    check_fixes(spool["fixes"], spool["began_ns"], log)


def test_largest_file_ends_the_flight_by_its_name_with_a_ramped_stop(start_host):
    most_bytes = 100_000
    host = start_host(most_bytes)
    check_ended_for_want_of_room(host, "File too large")
    assert most_bytes - 200 < host.spool.stat().st_size <= most_bytes


def test_small_disk_ends_the_flight_by_its_name_with_a_ramped_stop(
    mount, start_host, tmp_path
):
    mount(tmp_path / "spool", "size=100k")
    check_ended_for_want_of_room(start_host(), "No space left on device")


def test_disk_filled_by_another_program_ends_the_flight_in_mid_line(
    mount, start_host, tmp_path
):
    mount(tmp_path / "spool", "size=4m")
    host = start_host()
    wait_until(lambda: host.is_in_line(2), "the second line")
    fill(host.folder / "spool")
    check_ended_for_want_of_room(host, "No space left on device")


def check_refused(host, message):
    """Nothing was sent, nothing is left, and the ports are free."""
    out, _ = host.process.communicate(timeout=60)
    refused = json.loads(out)
    assert refused["state"] is None
    kind, words = refused["error"]
    assert (kind, message in words) == ("StorageError", True), words
    assert not host.log().moved
    assert host.log().stops == []
    assert list((host.folder / "spool").glob("*.spool")) == []
    assert [opens_exclusively(port) for port in host.ports] == [True, True]


def test_full_disk_is_refused_before_anything_moves(mount, start_host, tmp_path):
    mount(tmp_path / "spool", "size=64k")
    fill(tmp_path / "spool")
    check_refused(start_host(), "cannot be written: No space left on device")


def test_read_only_disk_is_refused_before_anything_moves(mount, start_host, tmp_path):
    mount(tmp_path / "spool", "size=64k,ro")
    check_refused(start_host(), "cannot be written: Read-only file system")


def test_spool_folder_that_cannot_be_made_is_refused_before_anything_moves(
    mount, start_host, tmp_path
):
    mount(tmp_path / "data", "size=64k,ro")
    check_refused(start_host(folder=tmp_path / "data"), "cannot be made: Read-only")


def test_spool_of_a_completed_flight_is_removed(start_host):
    host = start_host()
    wait_until(lambda: (host.folder / "spool").exists(), "the spool")
    out, _ = host.process.communicate(timeout=60)
    assert json.loads(out) == {"state": "completed", "error": None}
    assert list((host.folder / "spool").iterdir()) == []


def test_run_of_a_killed_session_is_closed_by_recovery(start_demo):
    # The long one: another program starts and ends while it flies.
    demo = start_demo("--standard", start_new_session=True)
    demo.wait_for_second_line()
    wait_until(lambda: journal(demo.folder).stat().st_size > 0, "a journal")
    in_flight = recover(demo.folder)
    assert "in flight" in in_flight
    assert "closed" not in in_flight
    demo.send(signal.SIGKILL)
    demo.process.wait()
    wait_until(lambda: demo.children() == [], "the session's own processes", 20.0)

    run = next(iter(journal_documents(journal(demo.folder))))[1]
    told = recover(demo.folder)
    assert f"run {run['uid']}; flight cut off" in told
    assert f"run {run['uid']}: closed, its end was missing; " in told
    assert f"run {run['uid']}: stored in Tiled" in told
    assert list((demo.folder / "backup").iterdir()) == []
    check_in_tiled(demo.folder, run)
    before = sorted(demo.folder.rglob("*"))
    again = recover(demo.folder)
    assert "closed" not in again
    assert "stored" not in again
    assert sorted(demo.folder.rglob("*")) == before


def check_in_tiled(folder, start):
    """The run has its end, its study and all that was spooled."""
    (spool,) = (folder / "spool").iterdir()
    flight = SpooledFlight.read(spool)
    assert flight.run == {key: start[key] for key in ("uid", "scan_id", "study")}
    with TiledServer(folder / "tiled", folder / "raw") as server:
        client = connect(server.uri, server.api_key)
        run = client[start["uid"]]
        stop = run.metadata["stop"]
        assert (stop["exit_status"], stop["run_start"]) == ("fail", start["uid"])
        assert json.loads(stop["reason"]) == {"cause": "process died"}
        for stream, table in flight.tables.items():
            for name, values in table.items():
                found = np.asarray(run[stream][name].read())
                if (stream, name) != ("primary", "state"):
                    assert found.tobytes() == values.tobytes(), (stream, name)
        client.context.close()


def journal(folder):
    (path,) = Path(folder / "backup").glob("*.jsonl.part")
    return path
