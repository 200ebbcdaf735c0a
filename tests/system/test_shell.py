"""What a session's prompt offers, and that the session ends."""

import re

import pytest

pytestmark = pytest.mark.timeout(300)

PROMPT = """
from bluesky.run_engine import get_bluesky_event_loop
from ophyd.sim import motor
from aefi_bluesky.testing.builders import a_spec

def magic(name, line=""):
    get_ipython().run_line_magic(name, line)

magic("mov", "motor 3")
magic("wa")
magic("ct", "motors")
assert motor.position == 3
assert get_bluesky_event_loop() is RE.loop
print("xmode", get_ipython().InteractiveTB.mode)
studies.create_study("ball", MeasuredObject("a ball"), "me")
studies.configure_study("ball")
studies.add_scan("ball", "r", a_spec(n_x=2), ScanRole.REFERENCE)
results = studies.execute_next_scan("ball")
scan = studies.get_study("ball").scan("r")
print("scan", RE.md["scan_id"], scan.state, c[-1].metadata["start"]["study"])
"""


def test_prompt_has_magics_studies_and_a_link_to_each_run(start_shell):
    shell = start_shell(PROMPT, "--virtual")
    assert shell.finish() == 0, shell.out + shell.err
    assert "motors\n" in shell.out, "%wa lists the axes"
    assert "Data keys" in shell.out or "[This data will not be saved" in shell.out
    assert "xmode Minimal" in shell.out
    told = "{'id': 'ball', 'object': 'a ball', 'scan': 'r', 'role': 'reference'}"
    assert f"scan 1 completed {told}" in shell.out
    assert "Tiled: http://127.0.0.1:" in shell.out
    assert "session closes" in (shell.folder / "session.log").read_text()
    assert shell.children() == []


AXES = """
magic = get_ipython().run_line_magic
magic('wa', 'motors')
magic('mov', 'stage_x 640 stage_y 620')
magic('movr', 'stage_x -1')
magic('wa', 'motors')
RE(fly_map(flyer, 640, 650, 2, 600, 620, 9))
"""


def test_magics_list_and_move_the_axes_and_a_flight_follows(start_shell):
    shell = start_shell(AXES)
    assert shell.finish() == 0, shell.out + shell.err
    listed = re.findall(r"stage_([xy]) +([\d.]+) +0\.0 +(\d+\.\d+) +0", shell.out)
    assert [axis for axis, _, _ in listed] == ["x", "y", "x", "y"]
    *_, x, y = (float(position) for _, position, _ in listed)
    assert (x, y) == (pytest.approx(639, abs=0.05), pytest.approx(620, abs=0.05))
    assert "exit_status='success'" in shell.out
    assert shell.children() == []
