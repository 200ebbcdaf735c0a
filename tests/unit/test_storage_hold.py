"""A hold names who has it, and ends with its process."""

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aefi_bluesky.domain.errors import SessionBusyError, StorageError
from aefi_bluesky.storage.local.hold import held

HOLD = """
import sys
from pathlib import Path
from aefi_bluesky.storage.local.hold import held
with held(Path(sys.argv[1]), RuntimeError):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "a session.lock"


def hold(lock):
    return held(lock, lambda holder: SessionBusyError(f"in use by {holder}"))


def test_second_hold_is_refused_and_names_the_first(lock):
    with hold(lock), pytest.raises(SessionBusyError) as refused, hold(lock):
        pass
    sentence = str(refused.value)
    assert f"in use by process {os.getpid()} of {getpass.getuser()} since" in sentence
    assert Path(sys.orig_argv[0]).name in sentence


def test_hold_is_free_again_and_its_note_is_gone(lock):
    with hold(lock):
        assert json.loads(lock.with_suffix(".holder").read_text())["pid"] == os.getpid()
    assert [path.name for path in lock.parent.iterdir()] == [lock.name]
    with hold(lock):
        pass


def test_hold_of_a_killed_process_is_free_and_its_note_is_replaced(lock):
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(SessionBusyError, match=f"process {other.pid} "), hold(lock):
            pass
        other.kill()
    assert json.loads(lock.with_suffix(".holder").read_text())["pid"] == other.pid
    with hold(lock):
        assert json.loads(lock.with_suffix(".holder").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("note", [None, "{", '{"pid": 3}', "[]"])
def test_holder_without_a_note_is_told_by_its_lock(lock, note):
    with hold(lock):
        path = lock.with_suffix(".holder")
        path.unlink() if note is None else path.write_text(note)
        with pytest.raises(SessionBusyError, match=f"another process, .* {lock}"):
            hold(lock).__enter__()


def test_lock_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"lock file .*absent/x\.lock"):
        hold(tmp_path / "absent" / "x.lock").__enter__()


def test_error_inside_a_hold_stays_what_it_is(lock):
    with pytest.raises(ZeroDivisionError), hold(lock):
        raise ZeroDivisionError
    with hold(lock):
        pass
