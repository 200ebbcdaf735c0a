"""``RE.md`` goes on where the last session left it: in a file, or in Redis."""

import shutil
import socket
import subprocess
import sys
import time

import bluesky.plans as bp
import pytest

from aefi_bluesky.domain.errors import (
    ConfigurationError,
    InvalidMetadataError,
    StorageError,
)
from aefi_bluesky.session.run_metadata import run_metadata


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run-engine.json"


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def redis_server(free_port, tmp_path, monkeypatch):
    """A Redis server of the test's own, named by the environment."""
    pytest.importorskip("redis_json_dict")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on PATH")
    words = ["--bind", "127.0.0.1", "--port", str(free_port), "--save", ""]
    server = subprocess.Popen(
        [program, *words, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    monkeypatch.setenv("AEFI_REDIS_URL", f"redis://127.0.0.1:{free_port}/0")
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", free_port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.05)
    yield
    server.terminate()
    server.wait()


@pytest.fixture
def fly_sessions(path, new_run_engine):
    """Has runs in one session after the other; returns their start documents."""

    def fly(sessions, change=lambda md: None):
        starts = []
        for _ in range(sessions):
            with run_metadata(path) as metadata:
                engine = new_run_engine()
                engine.md = metadata
                change(metadata)
                for _ in range(2):
                    engine(bp.count([]), {"start": lambda _, doc: starts.append(doc)})
        return starts

    return fly


def test_scan_ids_go_on_in_the_next_session(fly_sessions, path):
    assert [doc["scan_id"] for doc in fly_sessions(2)] == [1, 2, 3, 4]
    assert path.exists()


def test_nested_change_is_in_the_document_and_in_the_next_session(fly_sessions, path):
    def change(md):
        md.setdefault("sample", {"name": "ball"})["name"] += "!"

    starts = fly_sessions(2, change)
    assert starts[0]["sample"] == {"name": "ball!"}
    assert starts[-1]["sample"] == {"name": "ball!!"}


def test_metadata_that_cannot_be_kept_opens_no_run(fly_sessions):
    def spoil(md):
        md["sample"] = {}
        md["sample"]["size"] = {3}

    with pytest.raises(InvalidMetadataError, match=r"'sample\.size'"):
        fly_sessions(1, spoil)


@pytest.mark.usefixtures("redis_server")
def test_scan_ids_go_on_in_redis(fly_sessions, path):
    def change(md):
        md.setdefault("sample", {"name": "ball"})
        md["sample"]["name"] += "!"

    starts = fly_sessions(2, change)
    assert [doc["scan_id"] for doc in starts] == [1, 2, 3, 4]
    assert starts[-1]["sample"]["name"] == "ball!!"
    assert not path.exists()


def test_absent_redis_is_named_without_its_password(path, free_port, monkeypatch):
    pytest.importorskip("redis_json_dict")
    monkeypatch.setenv("AEFI_REDIS_URL", f"redis://me:secret@127.0.0.1:{free_port}")
    with pytest.raises(StorageError, match=f"Redis at 127.0.0.1:{free_port}") as error:
        run_metadata(path).__enter__()
    assert "secret" not in str(error.value)


def test_address_that_is_none_is_refused(path, monkeypatch):
    pytest.importorskip("redis_json_dict")
    monkeypatch.setenv("AEFI_REDIS_URL", "nowhere")
    with pytest.raises(ConfigurationError, match="AEFI_REDIS_URL: Redis URL must"):
        run_metadata(path).__enter__()


def test_missing_package_is_named_with_the_remedy(path, monkeypatch):
    monkeypatch.setenv("AEFI_REDIS_URL", "redis://127.0.0.1")
    monkeypatch.setitem(sys.modules, "redis_json_dict", None)
    with pytest.raises(
        ConfigurationError, match=r"pip install 'aefi-bluesky\[redis\]'"
    ):
        run_metadata(path).__enter__()
