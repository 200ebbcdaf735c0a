"""Spools of flights in virtual time: when they are kept, and what they give back."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.cli import aefi
from aefi_bluesky.devices.flight_log import FlightLog
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.engine import RustScanAdapter, SpooledFlight, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.storage.runs.closing import abandoned_journals, close_journal
from aefi_bluesky.storage.runs.journal import RunJournal, journal_documents
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.views.recorder import Recorder

BENCH = load_bench("simulated").description()
PLAN = a_plan(BENCH, n_x=3)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def scan_port(folder):
    configuration = load_bench("simulated")
    bench = simulated_bench(configuration, SimulationSettings())
    connection = VirtualConnection(configuration.links(), bench, folder)
    return RustScanAdapter(BENCH, connection)


LEAST_LINES = 8


class Stopper(Recorder):
    """Stops its flight after a few lines: its spool is longer than its header."""

    flight = None

    def lines_ended(self, lines):
        super().lines_ended(lines)
        if len(self.columns("lines")["line"]) >= LEAST_LINES:
            self.flight.stop()


def fly_and_stop(scan_port):
    observer = Stopper()
    observer.flight = scan_port.start_scan(a_plan(BENCH, n_x=1001), observer)
    while observer.flight.wait(1.0) is None:
        pass
    return observer


@pytest.fixture
def stopped(scan_port):
    """What the observer of a stopped flight got."""
    return fly_and_stop(scan_port)


@pytest.fixture
def spool(stopped, folder):
    (path,) = folder.iterdir()
    return path


def recovered_file(folder, spool):
    return folder / "raw" / "recovered" / f"{spool.stem}.h5"


def run_recover(folder, status=0):
    done = CliRunner().invoke(aefi, ["recover", str(folder)], catch_exceptions=False)
    assert done.exit_code == status
    return done.output


# -- kept or removed -----------------------------------------------------------------


def test_spool_of_a_completed_flight_is_removed(scan_port, folder):
    assert scan_port.execute_scan(PLAN, Recorder()).state == "completed"
    assert list(folder.iterdir()) == []


def test_spool_is_kept_when_an_observer_failed(scan_port, folder):
    class Failing(Recorder):
        def lines_ended(self, lines):
            raise OSError("no space left on device")

    assert scan_port.execute_scan(PLAN, Failing()).state == "completed"
    (path,) = folder.iterdir()
    assert SpooledFlight.read(path).state == "completed"


class FailingSamples:
    """A sample file that takes all rows but those of one call."""

    def __init__(self, failing):
        self.failing = failing

    def append(self, stream, columns):
        if self.failing == "append" and stream == "readings":
            raise StorageError("no space left on device")

    def close(self):
        if self.failing == "close":
            raise StorageError("no space left on device")


@pytest.mark.parametrize("failing", ["append", "close"])
@pytest.mark.parametrize("others", [(), (Recorder(),)], ids=["alone", "watched"])
def test_spool_is_kept_when_samples_did_not_reach_their_file(
    scan_port, folder, failing, others
):
    log = FlightLog(PLAN, FailingSamples(failing))
    ObservedScanPort(scan_port, others).execute_scan(PLAN, log)
    assert isinstance(log.failure, StorageError)
    assert log.results.state == "completed"
    (path,) = folder.iterdir()
    assert len(SpooledFlight.read(path).readings) == log.results.n_readings


def test_spool_is_removed_although_a_view_failed(scan_port, folder):
    class Failing(Recorder):
        def flight_ended(self, results):
            raise OSError("no display")

    ObservedScanPort(scan_port, [Failing()]).execute_scan(PLAN, Recorder())
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_made_is_refused_before_anything_flies(scan_port, folder):
    folder.write_text("a file")
    with pytest.raises(StorageError, match="cannot be made: File exists"):
        scan_port.start_scan(PLAN, Recorder())
    folder.unlink()
    scan_port.execute_scan(PLAN, Recorder())


# -- what it gives back --------------------------------------------------------------


def test_spool_gives_back_what_the_observer_got(stopped, spool):
    flight = SpooledFlight.read(spool)
    assert (flight.state, flight.cause) == ("stopped", "stop requested")
    assert flight.torn_bytes == 0
    assert not flight.is_growing
    for kind, stream in (
        ("frames", "primary"),
        ("lines", "lines"),
        ("readings", "readings"),
        ("fixes", "fixes"),
    ):
        seen, found = stopped.columns(kind), flight.tables[stream]
        assert list(seen) == list(found)
        for name, values in found.items():
            assert values.tobytes() == seen[name].tobytes(), name


def test_torn_spool_gives_back_all_before_the_tear(stopped, spool):
    whole = SpooledFlight.read(spool)
    written = spool.read_bytes()
    spool.write_bytes(written[: len(written) // 2 + 7])
    torn = SpooledFlight.read(spool)
    assert torn.state is None
    assert torn.torn_bytes < 300, "less than the longest record"
    n = len(torn.tables["fixes"]["counts"])
    assert 0 < n < len(whole.tables["fixes"]["counts"])
    for name, values in torn.tables["fixes"].items():
        np.testing.assert_array_equal(values, whole.tables["fixes"][name][:n])


def check_prefix(path, whole):
    """What is found is true to the bit, and in order from the beginning."""
    found = SpooledFlight.read(path)
    for stream, table in found.tables.items():
        for name, values in table.items():
            before = whole.tables[stream][name][: len(values)]
            assert values.tobytes() == before.tobytes(), (stream, name)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_spool_cut_or_changed_anywhere_gives_what_was_true_before(spool, seed):
    whole, written = SpooledFlight.read(spool), spool.read_bytes()
    rng = np.random.default_rng(seed)
    place = int(rng.integers(len(written)))
    changed = bytearray(written)
    changed[place] ^= int(rng.integers(1, 256))
    counted = []
    for damaged in (written[:place], bytes(changed)):
        spool.write_bytes(damaged)
        try:
            found = check_prefix(spool, whole)
        except StorageError:
            header = 21 + int.from_bytes(written[12:16], "little")
            assert place < header < len(written) // 5
            return
        counted.append((len(found.frames), len(found.readings), len(found.fixes)))
        assert found.torn_bytes > 0 or damaged == written[:place]
    assert counted[0] == counted[1]


def test_recovery_writes_each_spool_once(stopped, spool, tmp_path):
    told = run_recover(tmp_path)
    assert f"{spool.name}: no run; flight stopped; frames: " in told
    with h5py.File(recovered_file(tmp_path, spool), swmr=True) as file:
        assert set(file) == {"primary", "lines", "readings", "fixes"}
        codes = file["readings/code_1"][...]
        np.testing.assert_array_equal(codes, stopped.columns("readings")["code_1"])
        assert file["primary/x_I"].attrs["units"] == "V"
        assert file["fixes/counts"].attrs["units"] == "steps"
        x = file["primary/x_nominal"]
        np.testing.assert_array_equal(x, stopped.columns("frames")["x_nominal"])
        assert x.attrs["units"] == "mm"
    before = sorted(tmp_path.rglob("*"))
    assert "as before" in run_recover(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_recovery_passes_over_what_is_no_spool(folder, tmp_path):
    folder.mkdir()
    (folder / "a.spool").write_bytes(b"")
    (folder / "b.spool").write_bytes(b"AEFISPL\n\x02\0\0\0\x05")
    told = run_recover(tmp_path, status=1)
    assert "a.spool: spool" in told
    assert "it does not begin as a spool does" in told
    assert "its header is cut short or damaged" in told
    assert not (tmp_path / "raw").exists()


def test_nothing_to_recover_is_said_so(tmp_path):
    assert run_recover(tmp_path) == "Nothing to recover.\n"


# -- runs without an end -------------------------------------------------------------

START = ("start", {"uid": "run", "time": 1.0})
DESCRIPTOR = ("descriptor", {"uid": "d", "run_start": "run", "name": "primary"})
PAGE = ("event_page", {"descriptor": "d", "seq_num": [1, 2, 3], "data": {}})


@pytest.fixture
def journal(tmp_path):
    journal = RunJournal(tmp_path / "backup", "run")
    for name, document in (START, DESCRIPTOR, PAGE):
        journal.append(name, document)
    yield journal
    journal.close()


def test_journal_of_a_living_process_is_left_alone(journal, tmp_path):
    assert abandoned_journals(tmp_path / "backup") == []
    assert run_recover(tmp_path) == "Nothing to recover.\n"


def test_run_without_an_end_gets_one(journal, tmp_path):
    journal.close()
    with journal.path.open("a") as file:
        file.write('{"name": "event_page", "doc": {"descr')
    assert abandoned_journals(tmp_path / "backup") == [journal.path]
    uid, kept = close_journal(journal.path)
    assert (uid, kept.name) == ("run", "run.jsonl")
    *documents, (name, stop) = journal_documents(kept)
    assert documents == [START, DESCRIPTOR, PAGE]
    assert (name, stop["exit_status"], stop["run_start"]) == ("stop", "fail", "run")
    assert json.loads(stop["reason"]) == {"cause": "process died"}
    assert stop["num_events"] == {"primary": 3}
    assert [path.name for path in kept.parent.iterdir()] == ["run.jsonl"]


def test_run_that_has_its_end_keeps_it(journal):
    stop = ("stop", {"uid": "s", "run_start": "run", "exit_status": "success"})
    journal.append(*stop)
    journal.close()
    _, kept = close_journal(journal.path)
    assert list(journal_documents(kept)) == [START, DESCRIPTOR, PAGE, stop]


def test_journal_without_a_run_is_told_and_left(tmp_path):
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "run.jsonl.part").touch()
    told = run_recover(tmp_path, status=1)
    assert "does not begin with a start document" in told
    assert [path.name for path in folder.iterdir()] == ["run.jsonl.part"]
