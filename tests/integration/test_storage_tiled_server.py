"""The Tiled server as a process: start, stop, refusals, and the parent's death."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiled")
    with TiledServer(folder / "server", folder / "raw") as running:
        yield running


def ends(pid, within_s=20.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not is_alive(pid):
            return True
        time.sleep(0.1)
    return False


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_files_with_the_key_are_private(server):
    folder = server.folder
    for name in ("api_key", "tiled.yml", "server.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert server.api_key == (folder / "api_key").read_text()
    assert server.api_key not in (folder / "tiled.yml").read_text()
    assert server.api_key not in server.log_file.read_text()
    command = Path(f"/proc/{server._process.pid}/cmdline")
    if command.exists():
        assert server.api_key not in command.read_text()


def test_a_wrong_key_is_refused(server):
    with pytest.raises(
        StorageError, match=r"is not reachable: it refuses the key \(401\)"
    ):
        connect(server.uri, "wrong")


def test_browse_url_opens_the_page(server):
    url = server.browse_url("abc")
    assert url.endswith(f"/ui/browse/abc?api_key={server.api_key}")
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert b"<html" in answer.read().lower()


def test_reading_needs_the_key(server):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.uri}/search/", timeout=20)
    assert caught.value.code == 401
    caught.value.close()


def test_start_twice_is_one_server(server):
    pid = server._process.pid
    server.start()
    assert server._process.pid == pid


def test_the_terminals_interrupt_does_not_reach_it(server):
    assert os.getsid(server._process.pid) != os.getsid(0)


def test_stop_ends_it_and_the_key_stays(tmp_path):
    server = TiledServer(tmp_path / "server", tmp_path / "raw")
    server.stop()
    server.start()
    key, pid = server.api_key, server._process.pid
    client = connect(server.uri, key)
    assert len(client) == 0
    server.stop()
    server.stop()
    assert not is_alive(pid)
    assert not server.is_running
    client.context.close()
    with pytest.raises(StorageError, match="refused"):
        connect(server.uri, key)
    server.start()
    assert server.api_key == key
    server.stop()


def test_it_dies_with_its_parent(tmp_path):
    code = f"""
        import sys, time
        from pathlib import Path
        from aefi_bluesky.storage.tiled.server import TiledServer
        folder = Path({str(tmp_path)!r})
        server = TiledServer(folder / "server", folder / "raw")
        server.start()
        print(server._process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert ends(pid)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    server = TiledServer(tmp_path / "file", tmp_path / "raw")
    with pytest.raises(StorageError, match=r"folder .*/file cannot be written: File"):
        server.start()
    server = TiledServer(tmp_path / "server", tmp_path / "file" / "raw")
    with pytest.raises(StorageError, match=r"file/raw cannot be written: Not a dir"):
        server.start()


def test_a_server_that_ends_while_starting_shows_its_log(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "catalog.db").write_text("this is no database, " * 99)
    server = TiledServer(tmp_path / "server", tmp_path / "raw")
    with pytest.raises(StorageError, match=r"(?s)ended while starting.*database"):
        server.start()
    assert not server.is_running


def test_a_server_that_does_not_answer_in_time_is_stopped(tmp_path):
    server = TiledServer(tmp_path / "s", tmp_path / "raw", start_timeout_s=0.3)
    with pytest.raises(StorageError, match=r"did not answer within 0\.3 s"):
        server.start()
    assert not server.is_running


def test_a_key_file_of_nonsense_is_refused(tmp_path):
    (tmp_path / "api_key").write_text("")
    with pytest.raises(StorageError, match="delete the file"):
        TiledServer(tmp_path, tmp_path / "raw").start()


def test_a_port_in_use_is_said(tmp_path, server):
    taken = urlsplit(server.uri).port
    second = TiledServer(tmp_path / "server", tmp_path / "raw", port=taken)
    with pytest.raises(StorageError, match=r"(?s)ended while starting.*in use"):
        second.start()
    assert server.is_running


# -- the first start ---------------------------------------------------------


def assert_serves(server):
    client = connect(server.uri, server.api_key)
    assert list(client) == []
    client.context.close()


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_a_first_start_takes_any_folder_in_any_locale(tmp_path, monkeypatch, locale):
    monkeypatch.setenv("LC_ALL", locale)
    folder = tmp_path / "Über \N{MICRO SIGN}m's"
    with TiledServer(folder / "server", folder / "raw") as server:
        assert_serves(server)
    assert (folder / "server" / "catalog.db").exists()


def test_a_first_start_that_died_leaves_nothing_in_the_way(tmp_path):
    """Killed at once, and while the catalogue is made; what it left may be at work."""
    for delay_s in (0.0, 0.5, 1.0, 1.5):
        server = TiledServer(tmp_path / "server", tmp_path / "raw")
        server.launch()
        time.sleep(delay_s)
        os.kill(server._process.pid, signal.SIGKILL)
        server._process.wait()
        server.stop()
    with TiledServer(tmp_path / "server", tmp_path / "raw") as server:
        assert_serves(server)


def test_a_catalogue_that_cannot_be_made_is_told_and_leaves_none(tmp_path):
    (tmp_path / "server").mkdir()
    # Nobody, root included, makes a file below one.
    server = TiledServer(tmp_path / "server", tmp_path / "raw", start_timeout_s=60.0)
    (tmp_path / "server" / "catalog.db").mkdir()
    with pytest.raises(StorageError, match="ended while starting"):
        server.start()
    assert not server.is_running
