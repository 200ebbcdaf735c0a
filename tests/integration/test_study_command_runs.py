"""``aefi study run`` in virtual time: runs in Tiled, scans recorded, one status."""

import os
from importlib import resources

import pytest
from click.testing import CliRunner

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.cli import aefi
from aefi_bluesky.cli.study.store import Grounded
from aefi_bluesky.domain.errors import InfeasibleScanError, SessionBusyError
from aefi_bluesky.domain.study.study import ScanRole, Study
from aefi_bluesky.session import Session, load_bench
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.testing.builders import a_spec, an_object


@pytest.fixture
def folder(shared_tiled, request):
    _server, root = shared_tiled
    return root / request.node.name


@pytest.fixture
def repository(folder):
    return SqliteStudyRepository(folder / "studies.sqlite")


@pytest.fixture
def service(repository):
    """A study of two scans for the simulated bench."""
    bench = load_bench("simulated").description()
    service = StudyService(repository, Grounded(), bench)
    service.create_study("ball", an_object(), "me")
    service.configure_study("ball")
    service.add_scan("ball", "r", a_spec(), ScanRole.REFERENCE)
    service.add_scan("ball", "o", a_spec(), ScanRole.OBJECT, reference="r")
    return service


@pytest.fixture
def run(folder, shared_tiled, monkeypatch):
    """Runs ``aefi study run`` on the shared Tiled server."""
    server, _root = shared_tiled
    monkeypatch.setenv("TILED_API_KEY", server.api_key)

    def run(*options):
        words = ["--virtual", "--folder", str(folder), "--tiled", server.uri]
        return CliRunner().invoke(aefi, ["study", "run", "ball", *words, *options])

    return run


def states(repository):
    return {scan.id: str(scan.state) for scan in repository.get("ball").scans}


def test_next_scan_is_flown_and_in_tiled(run, service, repository, shared_tiled):
    done = run()
    assert done.exit_code == 0, done.output
    assert states(repository) == {"r": "completed", "o": "pending"}
    assert sum(line.startswith("line ") for line in done.output.splitlines()) == 9
    uid = repository.get("ball").scan("r").run_uid
    assert f"scan r completed, run {uid}" in done.output
    server, _root = shared_tiled
    client = connect(server.uri, server.api_key)
    try:
        start = client[uid].metadata["start"]
    finally:
        client.context.close()
    assert (start["study"]["scan"], start["study"]["role"]) == ("r", "reference")
    assert start["scan_id"] == 1


def test_all_that_are_left_are_flown_in_order(run, service, repository):
    service.add_scan("ball", "again", a_spec(), ScanRole.REPETITION, ("o",))
    done = run("--all")
    assert done.exit_code == 0, done.output
    assert set(states(repository).values()) == {"completed"}
    order = [done.output.index(f"scan {name} of") for name in ("r", "o", "again")]
    assert order == sorted(order)


def test_scan_that_fails_is_recorded_and_ends_the_rest(
    run, service, repository, tmp_path
):
    shipped = resources.files("aefi_bluesky.profiles") / "benches" / "simulated.toml"
    text = shipped.read_text(encoding="utf-8")
    bench = tmp_path / "other.toml"
    bench.write_text(text.replace('"4EX00"', '"4EX07"'))  # nobody has this address
    done = run("--all", "--bench", str(bench))
    assert done.exit_code == 1
    assert "aefi: " in done.output
    assert "Traceback" not in done.output
    assert states(repository) == {"r": "failed", "o": "pending"}
    scan = repository.get("ball").scan("r")
    assert scan.cause.startswith("DeviceTimeoutError: stage did not answer")
    assert "scan r failed" in done.output
    done = run("--all")
    assert "scan 'o' waits for 'r' (failed)" in str(done.exception)


def test_study_of_another_bench_is_not_flown(run, service, repository):
    done = run("--bench", "aefi")
    assert done.exit_code == 1
    assert "a study is flown on the bench of its snapshot" in done.output
    assert states(repository) == {"r": "pending", "o": "pending"}


def test_scan_that_the_bench_cannot_fly_starts_nothing(run, service, repository):
    service.cancel_scan("ball", "o", "a test")
    service.cancel_scan("ball", "r", "a test")
    service.add_scan("ball", "f", a_spec(speed_mm_per_s=200.0), ScanRole.PRE_SCAN)
    done = run()
    assert done.exit_code == 1
    assert "speed 200 mm/s is outside" in done.output
    assert InfeasibleScanError.__name__ not in done.output
    assert states(repository)["f"] == "pending"


def test_folder_of_another_session_is_refused_by_its_holder(
    run, service, repository, folder
):
    with SessionFolders(folder).held():
        done = run()
    assert isinstance(done.exception, SessionBusyError)
    assert f"data folder {folder} is in use by process {os.getpid()} of" in str(
        done.exception
    )
    assert states(repository) == {"r": "pending", "o": "pending"}


def test_two_sessions_do_not_share_a_folder(folder, shared_tiled):
    server, _root = shared_tiled
    tiled = {"tiled_uri": server.uri, "tiled_key": server.api_key}
    options = {"kind": "virtual", "folder": folder, **tiled}
    with (
        Session.open(**options) as first,
        pytest.raises(SessionBusyError, match=f"process {os.getpid()} of"),
        Session.open(**options),
    ):
        pass
    with Session.open(**options, md={"group": "test"}) as second:
        assert second.RE.md["group"] == "test"
    with Session.open(**options) as third:
        assert third.RE.md["group"] == "test"
    assert first.folders.log.read_text().count("session opened") == 3


def test_scan_that_a_signal_left_unrecorded_is_failed(
    run, service, repository, monkeypatch
):
    def leave(*_):
        raise SystemExit(130)

    # The scan has flown by then, and is stored as running.
    monkeypatch.setattr(Study, "record_results", leave)
    done = run()
    assert done.exit_code == 130
    scan = repository.get("ball").scan("r")
    assert str(scan.state) == "failed"
    assert "the program that carried this scan out died" in scan.cause
