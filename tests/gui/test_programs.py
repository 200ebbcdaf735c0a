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

from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.session.ground import held_ground
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.testing.builders import a_spec
from aefi_bluesky.views.truth import Truth

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


def test_a_dashboard_that_is_told_to_end_leaves_the_bench_first(tmp_path):
    folder = tmp_path / "data"
    dashboard = subprocess.Popen(
        [sys.executable, str(HERE / "flown_in_the_dashboard.py"), "forever"],
        env={**os.environ, "AEFI_BENCH": "ptys", "AEFI_FOLDER": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with dashboard:
        assert any("IN FLIGHT" in line for line in dashboard.stdout)
        dashboard.terminate()
        dashboard.stdout.read()
        assert dashboard.wait(ENDS_S) == -signal.SIGTERM
    folders = SessionFolders.below(folder)
    truth = Truth.read(folders.truth)
    assert truth.drives[-1][1] == 0.0
    assert max(level for _, level in truth.drives) > 0
    assert all(rows[-1, 2] == 0 for rows in truth.segments.values())
    with held_ground(folder) as ground:
        client = connect(*ground.tiled_address())
        stop = client[client.keys().tail(1)[0]].metadata["stop"]
        client.context.close()
    assert stop["exit_status"] == "abort"


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


def test_where_to_follow_is_asked_for_in_words():
    ended = subprocess.run(
        [sys.executable, "-m", "aefi_bluesky", "view", "--tiled", "nowhere"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "http://127.0.0.1:8000" in ended.stderr


PROMPT = """
import sys, time
view()
from qtpy import QtCore, QtWidgets
from aefi_bluesky.views.pymodaq import prompt
window = prompt._windows[0]
app = QtWidgets.QApplication.instance()
while window.view.client.status.state != "ready":
    app.processEvents()
hooks, raised = {sys.excepthook}, []
def fail():
    hooks.add(sys.excepthook)
    raised.append(1)
    raise ValueError("an unrelated window")
timer = QtCore.QTimer()
timer.timeout.connect(fail)
timer.start(200)
result = RE(fly_map(flyer, 600, 610, 3, 590, 610, 9))
timer.stop()
hooks.add(sys.excepthook)
window.view.refresh()
shown = window.view.shown._presenter.snapshot()
assert result.exit_status == "success", result
assert flyer.results.frames["ok"] == 27
assert int(shown.counts.sum()) == 27
assert len(hooks) == 1, hooks
assert len(raised) > 3
print("SEEN", len(raised))
"""


def test_a_prompt_serves_its_window_and_flies_on_whatever_a_slot_raises(tmp_path):
    code = tmp_path / "prompt.py"
    code.write_text(PROMPT)
    command = ["shell", "--sim", "--folder", str(tmp_path / "data")]
    ended = subprocess.run(
        [sys.executable, "-m", "aefi_bluesky", *command, "-c", f"%run -i {code}"],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "SEEN" in ended.stdout, ended.stdout + ended.stderr
    # The status of -c tells of the slot's error: the last one in the process.
    assert ended.returncode == 1
