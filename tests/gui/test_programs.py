"""Whole programs with windows: the Dashboard, ``aefi view``, and their ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aefi_bluesky.session.ground import held_ground
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.testing.builders import a_spec

pytestmark = pytest.mark.realtime

HERE = Path(__file__).parent
ENDS_S = 60.0


def processes_with(word):
    """Command lines of processes that have a word in them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def test_a_map_flown_in_the_dashboard_is_the_one_in_tiled(tmp_path):
    folder = tmp_path / "data"
    ended = subprocess.run(
        [sys.executable, str(HERE / "flown_in_the_dashboard.py")],
        env={**os.environ, "AEFI_BENCH": "ptys", "AEFI_FOLDER": str(folder)},
        stdout=subprocess.PIPE,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0
    found = json.loads(ended.stdout.decode().splitlines()[-1])
    assert found["state"] == "completed"
    with held_ground(folder) as ground:
        client = connect(*ground.tiled_address())
        table = client[found["uid"]]["primary"].base["internal"].read()
        client.context.close()
    spec = a_spec(n_x=3, n_y=5)
    columns, rows = (
        np.searchsorted(spec.centres_mm(axis), table[f"{axis}_nominal"] - 1e-6)
        for axis in "xy"
    )
    drawn = np.array(found["drawn"])
    assert drawn.shape == (5, 3)
    np.testing.assert_array_equal(drawn[rows, columns], table[found["shown"]])
    time.sleep(0.5)
    assert processes_with(str(folder)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_window_that_is_told_to_end_leaves_nothing(tmp_path, number):
    folder = tmp_path / "data"
    window = subprocess.Popen(
        [sys.executable, "-m", "aefi_bluesky", "view", "--sim", "--folder", str(folder)]
    )
    deadline = time.monotonic() + ENDS_S
    while not (folder / "truth.jsonl").exists() and not list(folder.glob("*truth*")):
        assert window.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2.0)
    window.send_signal(number)
    assert window.wait(ENDS_S) == 0
    assert processes_with(str(folder)) == []


def test_a_window_follows_another_process(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "aefi_bluesky", "view", "--tiled", "nowhere"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "http://127.0.0.1:8000" in ended.stderr
