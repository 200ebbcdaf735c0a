"""Runs of a process that died: completed from their spools, and stored in Tiled."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from flyer_bench import VirtualBench
from recorded_run import SAMPLE_STREAMS

from aefi_bluesky.cli import aefi
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.engine import SpooledFlight
from aefi_bluesky.session import SessionFolders
from aefi_bluesky.session.recovery import close_runs, recover_spools
from aefi_bluesky.session.spools_of_runs import SpoolsOfRuns
from aefi_bluesky.storage.runs.journal import RunJournal, journal_documents
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer
from aefi_bluesky.views.recorder import Recorder


class Dead:
    """A data folder as a process leaves it that died after some pages of frames.

    Its bench really flew to the end; that is cut off here.
    """

    def __init__(self, engine, root):
        self.folders = SessionFolders(root)
        spools, self.seen = SpoolsOfRuns(), Recorder()
        bench = VirtualBench(
            engine,
            root,
            spool_folder=self.folders.spool,
            spools=spools,
            observers=(self.seen,),
        )
        engine.subscribe(spools)
        self.run = bench.fly()
        bench.close()
        self.uid = self.run.start["uid"]

    @property
    def spool(self):
        (path,) = self.folders.spool.iterdir()
        return path

    @property
    def backup(self):
        return sorted(path.name for path in self.folders.backup.iterdir())

    def documents_until(self, pages):
        """What was journaled when so many pages of frames had been."""
        frames = next(u for u, n in self.run.descriptors().items() if n == "primary")
        for name, document in self.run.documents[:-1]:
            if name == "event_page" and document["descriptor"] == frames:
                if pages == 0:
                    return
                pages -= 1
            yield name, document

    def leave_journal(self, pages):
        journal = RunJournal(self.folders.backup, self.uid)
        for name, document in self.documents_until(pages):
            journal.append(name, document)
        journal.close()

    def tear_spool(self, share):
        written = self.spool.read_bytes()
        self.spool.write_bytes(written[: int(len(written) * share)])

    def close(self):
        """Close the run; return what was told of it, and its documents."""
        spools = list(recover_spools(self.folders))
        (closed,) = close_runs(self.folders, spools)
        return closed, list(journal_documents(closed.kept))


@pytest.fixture
def dead(new_run_engine, tmp_path):
    return Dead(new_run_engine(), tmp_path)


@pytest.fixture
def in_tiled(tmp_path):
    """Returns a run of the folder's Tiled; the server is started once."""
    server = TiledServer(tmp_path / "tiled", tmp_path / "raw")
    clients = []

    def find(uid):
        if not server.is_running:
            server.start()
            clients.append(connect(server.uri, server.api_key))
        return clients[0][uid]

    yield find
    for client in clients:
        client.context.close()
    server.stop()


def recover(folder, status=0):
    done = CliRunner().invoke(aefi, ["recover", str(folder)], catch_exceptions=False)
    assert done.exit_code == status
    return done.output


def rows_of(documents, stream):
    """Column to values of a stream of events."""
    (uid,) = (
        doc["uid"]
        for name, doc in documents
        if name == "descriptor" and doc["name"] == stream
    )
    pages = [
        doc["data"]
        for name, doc in documents
        if name == "event_page" and doc["descriptor"] == uid
    ]
    return {key: [each for page in pages for each in page[key]] for key in pages[0]}


# -- whose spool it is -----------------------------------------------------------------


def test_spool_names_the_run_of_its_flight(dead):
    assert SpooledFlight.read(dead.spool).run == {
        "uid": dead.uid,
        "scan_id": dead.run.start["scan_id"],
    }


def test_spool_stays_until_its_run_is_stored(tmp_path):
    spools, spool = SpoolsOfRuns(), tmp_path / "a.spool"
    spool.touch()
    spools("start", {"uid": "run", "scan_id": 3, "study": {"id": "s", "scan": "1"}})
    assert spools.current_run()["study"] == {"id": "s", "scan": "1"}
    spools.let_go(spool)
    spools("stop", {"run_start": "run"})
    spools.run_stored("another")
    assert spool.exists()
    spools.run_stored("run")
    assert not spool.exists()
    assert spools.current_run() == {}


# -- what documents lack ---------------------------------------------------------------


def comparable(value):
    """Replace NaN, which stands for what is not known and equals nothing."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(each) for each in value]
    return "not known" if value != value else value


@pytest.mark.parametrize("pages", [0, 2, 5])
def test_documents_get_what_they_lack_and_keep_what_they_have(dead, pages):
    dead.leave_journal(pages)
    before = list(dead.documents_until(pages))
    closed, documents = dead.close()
    assert closed.remark == ""
    assert closed.added.get("primary", 0) == 45 - 9 * pages
    found, known = [*map(comparable, documents)], [*map(comparable, before)]
    assert [item for item in found if item in known] == [
        item
        for item in known
        if item[0] not in ("stream_resource", "stream_datum") or item in found
    ]
    for stream in ("primary", "lines"):
        whole = {
            key: dead.run.column(stream, key) for key in rows_of(documents, stream)
        }
        for key, values in rows_of(documents, stream).items():
            np.testing.assert_array_equal(values, whole[key], strict=True)
    name, stop = documents[-1]
    assert (name, stop["exit_status"]) == ("stop", "fail")
    assert json.loads(stop["reason"]) == {"cause": "process died"}
    samples = {
        kind: len(dead.seen.columns(kind)["frame" if kind == "readings" else "axis"])
        for kind in SAMPLE_STREAMS
    }
    assert {kind: stop["num_events"][kind] for kind in SAMPLE_STREAMS} == samples


def test_completed_documents_are_valid(dead):
    dead.leave_journal(2)
    _, documents = dead.close()
    dead.run.documents = documents
    dead.run.check()
    dead.run.check_frames_once(45)
    dead.run.check_pages_of_lines()


def test_run_that_died_before_it_described_a_stream_gets_it(dead):
    journal = RunJournal(dead.folders.backup, dead.uid)
    journal.append("start", dead.run.start)
    journal.close()
    _, documents = dead.close()
    names = {doc["name"] for name, doc in documents if name == "descriptor"}
    assert names == {"primary", "lines", "readings", "fixes", "maps"}
    dead.run.documents = documents
    dead.run.check()


def test_documents_that_differ_from_the_spool_are_left_as_they_are(dead):
    before = [*dead.documents_until(2)]
    page = next(
        doc
        for name, doc in reversed(before)
        if name == "event_page" and "x_I" in doc["data"]
    )
    page["data"]["x_I"][3] += 1e-15
    dead.leave_journal(2)
    closed, documents = dead.close()
    assert "documents and spool differ at {'frame': 12}: x_I is" in closed.remark
    assert documents[:-1] == before


def test_run_whose_end_found_no_room_is_completed_too(dead):
    dead.leave_journal(2)
    (journal,) = dead.folders.backup.iterdir()
    kept = journal.with_name(f"{dead.uid}.jsonl")
    journal.rename(kept)
    with kept.open("a") as file:
        file.write('{"name": "event_page", "doc": {"descr')  # cut short by a full disk
    closed, documents = dead.close()
    assert (closed.kept, closed.added["primary"]) == (kept, 27)
    reason = json.loads(documents[-1][1]["reason"])
    assert reason == {"cause": "its end was not stored"}


def test_journal_of_a_run_under_way_is_left_alone_when_it_is_kept(dead):
    journal = RunJournal(dead.folders.backup, dead.uid)
    journal.append("start", dead.run.start)
    journal.keep()
    assert list(close_runs(dead.folders, [])) == []
    journal.close()
    assert len(list(close_runs(dead.folders, []))) == 1


def test_run_without_a_spool_is_closed_as_it_is(dead):
    dead.leave_journal(2)
    dead.spool.unlink()
    closed, documents = dead.close()
    assert closed.remark == (
        "there are no spools of this run, one is needed to complete it: "
        "its documents are as they were"
    )
    assert documents[:-1] == list(dead.documents_until(2))


# -- in Tiled --------------------------------------------------------------------------


def test_recovered_run_is_in_tiled_with_all_samples(dead, in_tiled, tmp_path):
    dead.leave_journal(2)
    dead.tear_spool(0.75)
    told = recover(tmp_path)
    assert f"run {dead.uid}: stored in Tiled" in told
    assert dead.backup == []
    before = sorted(tmp_path.rglob("*"))

    again = recover(tmp_path)
    assert "as before" in again
    assert "stored" not in again
    assert sorted(tmp_path.rglob("*")) == before

    run = in_tiled(dead.uid)
    assert run.metadata["stop"]["exit_status"] == "fail"
    spooled = SpooledFlight.read(dead.spool)
    assert 18 < len(spooled.frames) < 45
    for stream, kind in (
        ("readings", "readings"),
        ("fixes", "fixes"),
        ("primary", "frames"),
    ):
        live = dead.seen.columns(kind)
        for column, values in spooled.tables[stream].items():
            n = len(values)
            if (stream, column) == ("primary", "state"):
                assert set(run[stream][column].read()) == {"ok"}
                continue
            found = np.asarray(run[stream][column].read())
            assert found.tobytes() == live[column][:n].tobytes(), (stream, column)
    assert np.isfinite(run["maps"]["map_x_I"].read()).sum() == len(spooled.frames)


def test_half_a_run_in_tiled_is_replaced(dead, in_tiled, tmp_path):
    dead.leave_journal(5)
    recover(tmp_path)
    run = in_tiled(dead.uid)
    assert len(run["lines"]["line"].read()) == 5


def test_journal_stays_when_no_server_can_be_started(dead, tmp_path):
    dead.leave_journal(2)
    (tmp_path / "tiled").write_text("a file where a folder should be")
    told = recover(tmp_path, status=1)
    assert "not stored: " in told
    assert "1 of the " in told
    assert dead.backup == [f"{dead.uid}.jsonl"]
    assert "not stored: " in recover(tmp_path, status=1)
    assert dead.backup == [f"{dead.uid}.jsonl"]


def line_of(document, name="start"):
    return json.dumps({"name": name, "doc": document}).encode() + b"\n"


START = line_of({"uid": "bad", "time": 1.0})
KEY = {"dtype": "number", "shape": []}
DAMAGED = {
    "a byte that is no text": START + b'{"name": "stop", "doc": {"a": "\xff"}}\n',
    "no JSON": START + b"\x00\x00\n",
    "JSON of another kind": START + b"[1, 2]\n",
    "a document that is none": START + line_of("text", "stop"),
    "no documents": b"",
    "a start without a run": line_of({}) + line_of({}, "stop"),
    "no start": line_of({"uid": "s", "run_start": "bad"}, "stop"),
    "a descriptor without a name": START + line_of({"uid": "d"}, "descriptor"),
    "a page without rows": START
    + line_of({"uid": "d", "name": "primary", "data_keys": {"a": KEY}}, "descriptor")
    + line_of({"descriptor": "d"}, "event_page"),
    "brackets without end": START + b"[" * 100_000 + b"\n",
}


def test_bad_journals_keep_no_other_from_being_recovered(dead, in_tiled, tmp_path):
    dead.leave_journal(2)
    damaged = {
        f"{number:02d}-{suffix.count('.')}": (suffix, content)
        for number, content in enumerate(DAMAGED.values())
        for suffix in (".jsonl.part", ".jsonl")
    }
    for stem, (suffix, content) in damaged.items():
        (dead.folders.backup / f"{stem}{suffix}").write_bytes(content)
    told = recover(tmp_path, status=1)
    assert f"run {dead.uid}: stored in Tiled" in told
    assert "Traceback" not in told
    # What could not be recovered is left as it was, under a name that is found again.
    left = {path.name[:4]: path for path in dead.folders.backup.iterdir()}
    assert set(left) == set(damaged)
    for stem, path in left.items():
        assert any(line.startswith(stem) for line in told.splitlines()), stem
        assert path.read_bytes().startswith(damaged[stem][1])
        assert path.suffixes[0] == ".jsonl"
    assert in_tiled(dead.uid).metadata["stop"]["exit_status"] == "fail"


def test_a_bad_spool_keeps_no_other_from_being_recovered(dead, in_tiled, tmp_path):
    dead.leave_journal(2)
    good = dead.spool.read_bytes()
    rng = np.random.default_rng(5)
    for number in range(30):
        bad = bytearray(good)
        for place in rng.integers(0, len(bad), size=3):
            bad[place] = rng.integers(0, 256)
        (dead.folders.spool / f"{number:02d}.spool").write_bytes(
            bytes(bad[: rng.integers(1, len(bad))])
        )
    told = CliRunner().invoke(aefi, ["recover", str(tmp_path)], catch_exceptions=False)
    assert f"run {dead.uid}: stored in Tiled" in told.output
    assert len([x for x in told.output.splitlines() if ".spool: " in x]) == 31


def test_second_server_over_a_folder_is_refused(in_tiled, tmp_path, monkeypatch):
    monkeypatch.setattr("aefi_bluesky.storage.tiled.server.OTHER_GRACE_S", 0.2)
    with pytest.raises(KeyError):
        in_tiled("no run")
    with pytest.raises(StorageError, match="can have only one server"):
        TiledServer(tmp_path / "tiled", tmp_path / "raw").start()
