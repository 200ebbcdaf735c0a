"""What keeps the queue server from starting is said in a sentence, before anything."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from real_time import wait_until

from aefi_bluesky.domain.errors import QueueServerError, StorageError
from aefi_bluesky.session.leashed_process import LeashedProcess
from aefi_bluesky.session.queue_server import QueueServer, install_profile
from aefi_bluesky.session.redis_server import RedisServer, require_redis
from aefi_bluesky.storage.local.loopback import HOST, free_port, is_free

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def lives(pid):
    """Whether a process is there and no mere memory of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def written_pid(path):
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), path.name)
    return int(path.read_text())


def sleeper(path, before=""):
    """A command that writes its process number and sleeps."""
    code = (
        f"{before}import os, time, pathlib; "
        f"pathlib.Path({str(path)!r}).write_text(f'{{os.getpid()}}\\n'); time.sleep(99)"
    )
    return [sys.executable, "-c", code]


def test_redis_answers_keeps_nothing_and_ends(tmp_path):
    with RedisServer(tmp_path) as server:
        require_redis(server.address)
    with pytest.raises(QueueServerError, match=f"no Redis at {server.address}: "):
        require_redis(server.address)
    assert [file.name for file in tmp_path.iterdir()] == ["redis.log"]


def test_a_missing_redis_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QueueServerError, match="apt-get install redis-server"):
        RedisServer(tmp_path).start()


def test_a_redis_that_does_not_start_shows_its_last_words(tmp_path, monkeypatch):
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho no memory today\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(QueueServerError, match=r"(?s)did not start.*no memory today"):
        RedisServer(tmp_path).start()


def test_a_redis_that_is_none_is_told(tmp_path):
    with socket.create_server((HOST, 0)) as silent:
        address = f"{HOST}:{silent.getsockname()[1]}"
        with pytest.raises(QueueServerError, match=f"no Redis at {address}: "):
            require_redis(address)


@pytest.mark.parametrize("address", ["6379", "localhost", ":6379", "here:0", "a:b"])
def test_an_address_that_is_none_is_told(address):
    with pytest.raises(QueueServerError, match=r"must be HOST:PORT .*, was "):
        require_redis(address)


def test_a_taken_port_is_told(tmp_path):
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        assert not is_free(port)
        server = QueueServer(tmp_path, "", {}, control_port=port, info_port=0)
        with pytest.raises(QueueServerError, match=f"port {port} on {HOST} is taken"):
            server.start()
    assert is_free(port)


def test_a_manager_that_does_not_start_shows_its_last_words(tmp_path):
    install_profile(tmp_path / "queue")
    (tmp_path / "queue" / "qs-config.yml").write_text("network: {speed: 11}\n")
    server = QueueServer(
        tmp_path / "queue", f"{HOST}:{free_port()}", {}, control_port=0, info_port=0
    )
    with pytest.raises(QueueServerError, match=r"(?s)did not start.*'speed'"):
        server.start()


def test_only_the_user_may_read_the_log(tmp_path):
    install_profile(tmp_path / "queue")
    assert (tmp_path / "queue").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "queue").touch()
    with pytest.raises(StorageError, match=r"queue cannot be written: .*File exists"):
        install_profile(tmp_path / "queue")


def test_a_program_is_ended_by_force_if_it_does_not_listen(tmp_path):
    command = sleeper(tmp_path / "pid", STUBBORN)
    process = LeashedProcess(command, tmp_path / "log")
    pid = written_pid(tmp_path / "pid")
    process.stop()
    assert not lives(pid)
    assert not process.is_running
    assert process.wait() == 128 + signal.SIGKILL


def test_what_a_program_has_left_is_ended_too(tmp_path):
    child = sleeper(tmp_path / "pid", STUBBORN)
    code = (
        f"import os, subprocess, time; subprocess.Popen({child!r})\n"
        f"while not os.path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.01)\n"
        "raise SystemExit(7)"
    )
    process = LeashedProcess([sys.executable, "-c", code], tmp_path / "log")
    assert process.wait(30) == 7
    assert not lives(written_pid(tmp_path / "pid"))
    process.stop()


def test_a_program_ends_with_a_parent_that_was_killed(tmp_path):
    command = sleeper(tmp_path / "pid")
    code = (
        "import pathlib, time; "
        "from aefi_bluesky.session.leashed_process import LeashedProcess; "
        f"LeashedProcess({command!r}, pathlib.Path({str(tmp_path / 'log')!r})); "
        "time.sleep(99)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    pid = written_pid(tmp_path / "pid")
    assert lives(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not lives(pid), "the program's end")
