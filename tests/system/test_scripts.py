"""Scripts with a session that end otherwise than they should."""

import subprocess
import sys

from aefi_bluesky.session.folders import SessionFolders

OPENED = """
import contextlib, sys
from pathlib import Path
from aefi_bluesky.session import Session

stack = contextlib.ExitStack()
session = stack.enter_context(Session.open(
    kind="virtual", folder=Path(sys.argv[1]), tiled_uri=sys.argv[2],
    tiled_key=sys.argv[3],
))
"""
FLIES = """
from aefi_bluesky.plans import fly_map
session.RE.msg_hook = lambda m: m.command == "complete" and session.RE.loop.create_task(
    session.RE._request_pause_coro())
try:
    session.RE(fly_map(session.flyer, 600, 660, 81, 560, 650, 31))
except Exception as err:
    print(type(err).__name__, session.RE.state)
"""


def run(folder, tiled, code):
    server, _ = tiled
    return subprocess.run(
        [sys.executable, "-c", code, str(folder), server.uri, server.api_key],
        capture_output=True,
        text=True,
        timeout=120,
    )


def check_closed(folder):
    folders = SessionFolders(folder)
    assert folders.log.read_text().count("session closes") == 1
    assert not folders.lock.with_suffix(".holder").exists()


def test_a_script_that_dies_in_its_session_says_only_why(tmp_path, shared_tiled):
    done = run(tmp_path, shared_tiled, OPENED + "raise ValueError('it dies')")
    assert done.returncode == 1
    assert done.stderr.endswith("\nValueError: it dies\n")
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert "ignored" not in done.stderr
    check_closed(tmp_path)


def test_a_script_that_dies_in_mid_flight_ends_its_run(tmp_path, shared_tiled):
    code = OPENED + FLIES + "raise ValueError('it dies')"
    done = run(tmp_path, shared_tiled, code)
    assert done.returncode == 1
    assert "RunEngineInterrupted paused" in done.stdout
    assert done.stderr.endswith("\nValueError: it dies\n"), done.stderr
    assert "ignored" not in done.stderr
    check_closed(tmp_path)
    kept = list(SessionFolders(tmp_path).backup.iterdir())
    assert kept == [], "Tiled has the run with its end"


def test_a_session_that_was_left_is_not_ended_again_at_exit(tmp_path, shared_tiled):
    done = run(tmp_path, shared_tiled, OPENED + "stack.close()")
    assert (done.returncode, done.stderr) == (0, "")
    check_closed(tmp_path)
