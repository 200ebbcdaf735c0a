"""Runs of a real RunEngine to a real Tiled server, and what happens without one."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import urllib.request

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import det, motor

from aefi_bluesky.storage.runs.journal import journal_documents
from aefi_bluesky.storage.runs.sample_file import RunFile
from aefi_bluesky.storage.runs.writer import DocumentWriter
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.read_back import differences
from aefi_bluesky.storage.tiled.server import TiledServer

LINES = 4
FRAMES = 81
SAMPLES = 20_000

READINGS = {
    "t_start": np.dtype("i8"),
    "x": np.dtype("f8"),
    "code_1": np.dtype("i4"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a lab")  # with a space, as on the bench's PC
    with TiledServer(folder / "server", folder / "raw") as running:
        yield running


@pytest.fixture
def client(server):
    connected = connect(server.uri, server.api_key)
    yield connected
    connected.context.close()


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
def make_writer(tmp_path):
    writers = []

    def make(open_client, **options):
        writers.append(DocumentWriter(open_client, tmp_path / "backup", **options))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close(1.0)


class Frames:
    """A flyer that hands out one page of frames a line."""

    name = "frames"
    parent = None
    hints = {"fields": []}  # noqa: RUF012

    def __init__(self):
        rng = np.random.default_rng(7)
        self.data = {
            "x": rng.normal(size=(LINES, FRAMES)),
            "count": rng.integers(0, 2**40, size=(LINES, FRAMES)),
            "state": np.array([["ok", "missed", "late"] * 27] * LINES),
        }
        self.data["x"][0, :4] = (np.nan, -0.0, np.inf, 5e-324)
        self.line = 0

    def describe_collect(self):
        kinds = {"x": "number", "count": "integer", "state": "string"}
        return {
            key: {"source": "test", "dtype": kind, "shape": []}
            for key, kind in kinds.items()
        }

    def collect_pages(self):
        stamps = [time.time()] * FRAMES
        data = {key: rows[self.line].tolist() for key, rows in self.data.items()}
        self.line += 1
        yield {"data": data, "timestamps": dict.fromkeys(data, stamps), "time": stamps}

    def expected(self):
        return {key: rows.reshape(-1) for key, rows in self.data.items()}


class Samples:
    """A device whose rows are in a run file."""

    name = "samples"
    parent = None
    hints = {"fields": []}  # noqa: RUF012

    def __init__(self, file):
        self.file = file
        self.data = {name: [] for name in READINGS}

    def sample(self):
        rng = np.random.default_rng(self.file.rows("readings"))
        rows = {
            "t_start": rng.integers(0, 2**62, SAMPLES),
            "x": rng.normal(size=SAMPLES),
            "code_1": rng.integers(-(2**31), 2**31, SAMPLES, dtype=np.int32),
        }
        rows["x"][:2] = (np.nan, -0.0)
        self.file.append("readings", rows)
        for name, values in rows.items():
            self.data[name].append(values)

    def describe_collect(self):
        return self.file.describe("readings")

    def get_index(self):
        return self.file.rows("readings")

    def collect_asset_docs(self, index=None):
        yield from self.file.asset_documents("readings")

    def expected(self):
        return {name: np.concatenate(parts) for name, parts in self.data.items()}


def fly(frames, samples, *, after_line=lambda line: None):
    """A run of `LINES` lines with both streams."""

    @bpp.run_decorator(md={"plan_name": "fly"})
    def body():
        yield from bps.declare_stream(frames, name="primary", collect=True)
        yield from bps.declare_stream(samples, name="readings", collect=True)
        for line in range(LINES):
            samples.sample()
            yield from bps.collect(frames, name="primary")
            yield from bps.collect(samples, name="readings")
            after_line(line)

    return (yield from body())


@pytest.fixture
def devices(server):
    """Frames and samples; the file is where the server may read."""
    folder = server._raw_folder
    name = f"run-{time.time_ns()}"
    with RunFile.create(folder, name, {"readings": READINGS}) as file:
        yield Frames(), Samples(file)


def fly_into(writer, run_engine, devices, **options):
    run_engine.subscribe(writer)
    (uid,) = run_engine(fly(*devices, **options))
    return uid


def test_a_run_reads_back_bit_for_bit(
    server, client, run_engine, make_writer, devices, tmp_path
):
    stored = []
    writer = make_writer(
        lambda: connect(server.uri, server.api_key), on_stored=stored.append
    )
    uid = fly_into(writer, run_engine, devices)
    assert writer.flush(60)
    assert stored == [uid]
    frames, samples = devices
    expected = {"primary": frames.expected(), "readings": samples.expected()}

    assert differences(client[uid], expected) == ()
    assert client[uid].stop["exit_status"] == "success"
    health = writer.health
    assert (health.queued, health.last_error, health.using_backup) == (0, None, False)
    assert health.written > 0
    assert list((tmp_path / "backup").iterdir()) == []

    changed = samples.expected()
    changed["x"][12_345] = np.nextafter(changed["x"][12_345], 9)
    (found,) = differences(client[uid], {**expected, "readings": changed})
    assert found.startswith("readings/x differs in 1 of 80000 values, first at 12345")


def test_a_run_says_which_streams_and_columns_differ(
    server, client, run_engine, make_writer, devices
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    uid = fly_into(writer, run_engine, devices)
    assert writer.flush(60)
    frames, _ = devices
    primary = frames.expected()
    primary["y"] = primary.pop("x")
    primary["count"] = primary["count"].astype(np.float64)

    assert differences(client[uid], {"primary": primary, "maps": {}}) == (
        "stream maps is not in Tiled",
        "primary/count is int64 in Tiled, float64 was expected",
        "primary/x is in Tiled and was not expected",
        "primary/y is not in Tiled",
        "stream readings is in Tiled and was not expected",
    )


def test_rows_are_readable_while_the_run_goes_on(
    server, client, run_engine, make_writer, devices
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    seen = []
    uids = []
    run_engine.subscribe(lambda name, doc: uids.append(doc["uid"]), "start")

    def read(line):
        assert writer.flush(60)
        run = client[uids[0]]
        seen.append((len(run["readings"]["x"].read()), len(run["primary"]["x"].read())))

    fly_into(writer, run_engine, devices, after_line=read)
    assert seen == [(SAMPLES * line, FRAMES * line) for line in range(1, LINES + 1)]


def test_a_page_reaches_the_server_in_one_request(
    server, run_engine, make_writer, devices
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    before = server.log_file.read_text().count("PATCH /api/v1/table/partition")
    fly_into(writer, run_engine, devices)
    assert writer.flush(60)
    after = server.log_file.read_text().count("PATCH /api/v1/table/partition")
    assert after - before == LINES


def test_tables_come_as_lines_that_a_browser_can_parse(
    server, run_engine, make_writer, devices
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    uid = fly_into(writer, run_engine, devices)
    assert writer.flush(60)
    url = f"{server.uri}/table/partition/{uid}/primary/internal?partition=0"
    request = urllib.request.Request(
        url,
        headers={
            "Authorization": f"Apikey {server.api_key}",
            "Accept": "application/json-seq",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        body = answer.read().decode()
    assert "\x1e" not in body
    rows = [json.loads(line) for line in body.splitlines()]
    assert len(rows) == LINES * FRAMES
    assert rows[0]["x"] is None
    assert rows[1]["seq_num"] == 2


def test_documents_of_a_run_can_be_exported(
    server, client, run_engine, make_writer, devices
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    uid = fly_into(writer, run_engine, devices)
    assert writer.flush(60)
    names = [name for name, _ in client[uid].documents()]
    assert names[0] == "start"
    assert names[-1] == "stop"
    assert {"descriptor", "stream_resource", "stream_datum"} <= set(names)


def test_numpy_values_and_odd_ones_lose_no_document(server, client, make_writer):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    uid = f"numpy-{time.time_ns()}"
    for name, doc in hand_made_run(uid, extra=np.float32(0.5)):
        writer(name, doc)
    assert writer.flush(60)
    assert writer.health.last_error is None
    assert client[uid].start["extra"] == 0.5
    assert client[uid]["primary"]["a"].read().tolist() == [1, 2, 3]


def test_a_run_without_server_is_kept_whole(
    run_engine, make_writer, devices, tmp_path, caplog
):
    stored, received = [], []
    writer = make_writer(
        lambda: connect("http://127.0.0.1:9/api/v1", "key"), on_stored=stored.append
    )
    run_engine.subscribe(lambda name, doc: received.append(name))
    with caplog.at_level(logging.WARNING):
        uid = fly_into(writer, run_engine, devices)
        assert writer.flush(60)

    path = tmp_path / "backup" / f"{uid}.jsonl"
    assert [name for name, _ in journal_documents(path)] == received
    health = writer.health
    assert health.backup_files == (path,)
    assert health.using_backup
    assert health.written == 0
    assert stored == []
    assert "Tiled at http://127.0.0.1:9/api/v1 is not reachable" in health.last_error
    said = [text for text in caplog.messages if str(path) in text]
    assert len(said) == 1


def test_a_server_killed_in_the_run_does_not_touch_it(
    run_engine, make_writer, tmp_path, monkeypatch
):
    # 10 tries, some of them twice, would take 45 s.
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 3)
    with TiledServer(tmp_path / "server", tmp_path / "raw") as server:
        writer = make_writer(lambda: connect(server.uri, server.api_key))
        file = RunFile.create(tmp_path / "raw", "killed", {"readings": READINGS})
        devices = Frames(), Samples(file)
        received = []
        lasted = []
        run_engine.subscribe(lambda name, doc: received.append(name))

        def kill(line):
            if line == 1:
                assert writer.flush(60)
                server._process.kill()
                server._process.wait()
                lasted.append(time.monotonic())

        uid = fly_into(writer, run_engine, devices, after_line=kill)
        lasted.append(time.monotonic())
        file.close()
        assert lasted[1] - lasted[0] < 2.0  # two lines; the client retries for longer
        assert run_engine.state == "idle"
        assert writer.flush(120)

    path = tmp_path / "backup" / f"{uid}.jsonl"
    documents = list(journal_documents(path))
    assert [name for name, _ in documents] == received
    assert documents[-1][1]["exit_status"] == "success"
    assert writer.health.backup_files == (path,)
    # The kept documents are as good as the run: Tiled takes them later.
    with TiledServer(tmp_path / "server", tmp_path / "raw") as server:
        client = connect(server.uri, server.api_key)
        assert "stop" not in client[uid].metadata
        client.delete_contents(uid, recursive=True, external_only=False)
        again = make_writer(lambda: connect(server.uri, server.api_key))
        for name, doc in documents:
            again(name, doc)
        assert again.flush(60)
        frames, samples = devices
        expected = {"primary": frames.expected(), "readings": samples.expected()}
        assert differences(client[uid], expected) == ()
        client.context.close()
        again.close()


def test_the_next_run_is_stored_once_the_server_is_back(
    server, client, make_writer, tmp_path
):
    address = ["http://127.0.0.1:9/api/v1"]
    writer = make_writer(lambda: connect(address[0], server.api_key))
    stamp = time.time_ns()
    for name, doc in hand_made_run(f"lost-{stamp}"):
        writer(name, doc)
    assert writer.flush(60)
    assert writer.health.using_backup

    address[0] = server.uri
    for name, doc in hand_made_run(f"stored-{stamp}"):
        writer(name, doc)
    assert writer.flush(60)
    assert not writer.health.using_backup
    assert f"stored-{stamp}" in client
    assert [path.name for path in (tmp_path / "backup").iterdir()] == [
        f"lost-{stamp}.jsonl"
    ]


def test_close_keeps_what_a_hanging_server_did_not_take(make_writer, tmp_path):
    release = threading.Event()

    def hang():
        release.wait(30)
        raise RuntimeError("never mind")

    writer = make_writer(hang)
    documents = list(hand_made_run("hangs"))
    for name, doc in documents[:3]:
        writer(name, doc)
    assert not writer.flush(0.2)
    assert writer.health.queued == 3
    writer.close(0.2)
    for name, doc in documents[3:]:
        writer(name, doc)
    release.set()
    writer._thread.join(10)

    assert not writer.health.alive
    kept = journal_documents(tmp_path / "backup" / "hangs.jsonl")
    assert [name for name, _ in kept] == [name for name, _ in documents]
    assert "0.2 s of closing" in writer.health.last_error


def test_documents_after_close_are_kept(make_writer, tmp_path):
    writer = make_writer(lambda: None)
    writer.close()
    writer.close()
    for name, doc in hand_made_run("late"):
        writer(name, doc)
    assert writer.flush(1.0)
    names = [
        name
        for path in sorted((tmp_path / "backup").iterdir())
        for name, _ in journal_documents(path)
    ]
    assert sorted(names) == sorted(name for name, _ in hand_made_run("late"))


def test_a_run_too_far_behind_is_left_to_its_journal(make_writer, tmp_path):
    go_on = threading.Event()

    def slow():
        go_on.wait(30)
        raise RuntimeError("too late")

    writer = make_writer(slow, max_waiting=2)
    for name, doc in hand_made_run("slow"):
        writer(name, doc)
    go_on.set()
    assert writer.flush(30)
    assert (tmp_path / "backup" / "slow.jsonl").exists()


def test_a_backup_folder_that_cannot_be_written_is_reported(
    server, client, tmp_path, make_writer, caplog
):
    (tmp_path / "backup").write_text("a file where the folder should be")
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    uid = f"nobackup-{time.time_ns()}"
    for name, doc in hand_made_run(uid):
        writer(name, doc)
    assert writer.flush(60)
    assert any("could not be backed up" in text for text in caplog.messages)
    assert "Not a directory" in writer.health.last_error
    assert client[uid].stop["exit_status"] == "success"


def hand_made_run(uid, **start):
    """Documents of a small run, full of numpy values."""
    now = np.float64(time.time())
    yield "start", {"uid": uid, "time": now, "scan_id": np.int64(4), **start}
    key = {"source": "test", "dtype": "integer", "shape": []}
    yield (
        "descriptor",
        {
            "uid": f"{uid}-d",
            "run_start": uid,
            "time": now,
            "name": "primary",
            "data_keys": {"a": key},
            "configuration": {},
            "hints": {},
            "object_keys": {"dev": ["a"]},
        },
    )
    yield (
        "event_page",
        {
            "uid": [f"{uid}-e{i}" for i in range(3)],
            "descriptor": f"{uid}-d",
            "seq_num": np.arange(1, 4),
            "time": np.full(3, now),
            "data": {"a": np.arange(1, 4)},
            "timestamps": {"a": np.full(3, now)},
            "filled": {},
        },
    )
    yield (
        "stop",
        {
            "uid": f"{uid}-s",
            "run_start": uid,
            "time": now,
            "exit_status": "success",
            "reason": "",
            "num_events": {"primary": np.int64(3)},
        },
    )


# -- values are what their data keys say -------------------------------------


class Gauge:
    """A device whose values are given, and whose data key tells of the first."""

    name = "gauge"
    parent = None
    hints = {"fields": []}  # noqa: RUF012

    def __init__(self, values):
        self.values = list(values)

    def _key(self):
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
        first = self.values[0]
        if isinstance(first, list):
            return {"dtype": "array", "shape": [len(first)], "dtype_numpy": "<i8"}
        return {"dtype": kinds[type(first)], "shape": []}

    def describe(self):
        return {"gauge": {"source": "test", **self._key()}}

    def read(self):
        return {"gauge": {"value": self.values.pop(0), "timestamp": 5}}

    def read_configuration(self):
        return {}

    describe_configuration = read_configuration


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0.0, 0.5, 1.0]),
        ([1, 2, 3], [1, 2, 3]),
        ([True, 3], [1, 3]),
        ([1, "closed", 2.5], ["1", "closed", "2.5"]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([[1, 2], [3.5, 4]], [[1.0, 2.0], [3.5, 4.0]]),
    ],
)
def test_a_column_keeps_values_that_its_data_key_does_not_declare(
    server, client, run_engine, make_writer, values, expected
):
    gauge = Gauge(values)

    def plan():
        yield from bps.open_run()
        for _ in range(len(expected)):
            yield from bps.trigger_and_read([gauge])
        yield from bps.close_run()

    writer = make_writer(lambda: connect(server.uri, server.api_key))
    run_engine.subscribe(writer)
    (uid,) = run_engine(plan())
    assert writer.flush(30.0)
    assert writer.health.last_error is None
    assert repr(client[uid]["primary"]["gauge"].read().tolist()) == repr(expected)
    # The run is whole, and the journal is gone.
    assert client[uid].metadata["stop"]["num_events"]["primary"] == len(expected)
    assert not writer.health.backup_files


def test_a_stock_scan_that_begins_at_zero_is_stored(
    server, client, run_engine, make_writer
):
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    run_engine.subscribe(writer)
    (uid,) = run_engine(bp.list_scan([det], motor, [0, 0.5]))
    assert writer.flush(30.0)
    assert writer.health.last_error is None
    assert client[uid]["primary"]["motor"].read().tolist() == [0.0, 0.5]
    assert "motor_setpoint" in client[uid].metadata["notes"][0]


def test_a_run_is_not_begun_anew_from_a_journal_that_lacks_documents(
    server, client, run_engine, make_writer, tmp_path
):
    """Else what it lacks would be gone from Tiled, and the run pass for a whole one."""
    (tmp_path / "backup").write_text("a file where the folder should be")
    writer = make_writer(lambda: connect(server.uri, server.api_key))
    run_engine.subscribe(writer)
    (uid,) = run_engine(bp.list_scan([det], motor, [0, 0.5]))
    assert writer.flush(30.0)
    assert "lacks" in writer.health.last_error
    assert uid not in client or "stop" not in client[uid].metadata
