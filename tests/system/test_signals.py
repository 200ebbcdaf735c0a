"""Signals stop the stage at once, whatever Python is busy with.

In real time on ptys. What is judged is a ratio: the STOP's arrival at the controller
against the time that the interpreter is held, or against what Python alone would
take. The figures themselves are printed.
"""

import signal
import time

import numpy as np
import pytest
from real_time import LINE_SPEED
from simulator_log import SimulatorLog

pytestmark = pytest.mark.realtime

HELD_S = 3.0
"""How long the interpreter is held; two signals 0.3 s apart fall well inside."""

HOLD = f"""
import ctypes, threading, time
from pathlib import Path

def hold():
    while not Path("FOLDER/hold").exists():
        time.sleep(0.01)
    Path("FOLDER/held").write_text(str(time.monotonic_ns()))
    ctypes.PyDLL(None).sleep({HELD_S:.0f})  # does not let the interpreter go

threading.Thread(target=hold, daemon=True).start()
RE(fly_map(flyer, 630, 640, 3, 600, 900, 13))
"""

TRIES = 10

AGAIN = f"""
import time
from bluesky.utils import RunEngineInterrupted

def go_on(way):
    try:
        way()
    except RunEngineInterrupted:
        time.sleep(1.0)  # resumed at once, the pause could be taken back unseen

go_on(lambda: RE(fly_map(flyer, 630, 640, 3, 600, 1150, 13)))
for _ in range({TRIES - 1}):
    go_on(RE.resume)
RE.abort()
"""


def send_twice(program, pause_s=0.3):
    """Press Ctrl-C twice; return when the second one was sent, in ns."""
    program.send(signal.SIGINT)
    time.sleep(pause_s)
    sent = time.monotonic_ns()
    program.send(signal.SIGINT)
    return sent


def send_termination(program):
    sent = time.monotonic_ns()
    program.send(signal.SIGTERM)
    return sent


def delay_ms(log, sent):
    """How long after `sent` the next STOP arrived, in ms."""
    later = [stop["t_ns"] for stop in log.stops if stop["t_ns"] >= sent]
    assert later, "no STOP reached the controller"
    return (later[0] - sent) * 1e-6


@pytest.mark.parametrize("send", [send_termination, send_twice])
def test_signal_stops_the_stage_while_the_interpreter_is_held(
    start_shell, tmp_path, capsys, record_property, send
):
    folder = tmp_path / "data"
    shell = start_shell(HOLD.replace("FOLDER", str(folder)))
    shell.wait_until(lambda: cruises(shell) >= 1, "the first line")
    (folder / "hold").touch()
    shell.wait_until((folder / "held").exists, "the interpreter to be held")
    time.sleep(0.2)  # from the note to the call
    sent = send(shell)
    assert shell.finish() == 1
    released = int((folder / "held").read_text()) + HELD_S * 1e9
    log = SimulatorLog.read(shell.truth)
    delay = delay_ms(log, sent)
    left = (released - sent) * 1e-6
    record_property("stop_ms", delay)
    with capsys.disabled():
        print(
            f"\nsignals: STOP {delay:.1f} ms after {send.__name__}, "
            f"{left:.0f} ms before the interpreter was free"
        )
    assert delay < left / 10
    assert log.at_rest
    assert shell.children() == []
    assert "hard pause" in shell.out or "Pausing" in shell.out


def cruises(program):
    """How often the stage reached line speed, if it has that speed now; else 0."""
    if not program.truth.exists():
        return 0
    count, now = SimulatorLog.read(program.truth).cruises("y", LINE_SPEED)
    return count if now else 0


@pytest.mark.timeout(400)
def test_every_second_interrupt_stops_the_stage_and_each_resume_flies_on(
    start_shell, capsys, record_property
):
    shell = start_shell(AGAIN)
    sent = []
    for number in range(1, TRIES + 1):
        shell.wait_until(lambda at=number: cruises(shell) >= at, f"flight {number}")
        sent.append(send_twice(shell))
    assert shell.finish() == 0, shell.out + shell.err
    log = SimulatorLog.read(shell.truth)
    delays = [delay_ms(log, each) for each in sent]
    record_property("stop_ms", delays)
    with capsys.disabled():
        print(
            f"\nsignals: STOP after the second Ctrl-C, {TRIES} times: "
            f"median {np.median(delays):.2f} ms, worst {max(delays):.2f} ms"
        )
    assert log.at_rest
    # A person's two key presses are 300 ms apart: the STOP is no matter of the first.
    assert max(delays) < 300
