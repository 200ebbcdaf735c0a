"""Whoever ends a flight in the middle of a line: the stage stops, the data stay.

In real time on ptys. Tolerance: from the STOP's arrival at the controller to rest,
the ramp's length and the way of 20 ms at line speed.
"""

import json
import signal
import threading

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import RunEngineInterrupted
from real_time import (
    LINE_SPEED,
    Program,
    Terminal,
    is_in_second_line,
    opens_exclusively,
    wait_until,
)
from simulator_log import SimulatorLog

from aefi_bluesky.domain.errors import DeviceTimeoutError
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer

pytestmark = pytest.mark.realtime

START_SPEED, RAMP_S = 1000, 0.3
RAMP_STEPS = (LINE_SPEED + START_SPEED) / 2 * RAMP_S
EXCHANGE_STEPS = LINE_SPEED * 0.020


def check_stopped(log):
    assert log.at_rest
    assert log.stops, "no STOP reached the controller"
    assert log.way_after(log.stops[0]["t_ns"]) <= RAMP_STEPS + EXCHANGE_STEPS


# -- signals to a program -------------------------------------------------------------

SIGNALS = {
    "Ctrl-C twice": [signal.SIGINT, signal.SIGINT],
    "SIGTERM": [signal.SIGTERM],
}


@pytest.mark.parametrize("signals", SIGNALS.values(), ids=SIGNALS)
def test_signal_in_mid_line_stops_the_stage_and_keeps_the_data(
    start_demo, shared_tiled, signals
):
    server, root = shared_tiled
    folder = root / f"data {'-'.join(number.name for number in signals)}"
    demo = start_demo("--tiled", server.uri, key=server.api_key, folder=folder)
    demo.wait_for_second_line()
    for number in signals:
        demo.send(number)
    assert demo.finish() not in (0, None)
    assert "Traceback" not in demo.out + demo.err
    check_stopped(SimulatorLog.read(demo.truth))
    assert demo.children() == []
    assert list((folder / "backup").iterdir()) == []
    client = connect(server.uri, server.api_key)
    try:
        check_ended_run(client.values().last())
    finally:
        client.context.close()


def check_ended_run(run):
    assert run.stop["exit_status"] == "abort"
    assert json.loads(run.stop["reason"])["cause"] == "stop requested"
    readings = run["readings"]["t_start"].read()
    assert len(readings) == run.stop["num_events"]["readings"] > 0
    frames = run["primary"]["frame"].read()
    assert len(frames) == run.stop["num_events"]["primary"] > 0


def test_interrupted_run_is_read_from_a_server_started_again(start_demo):
    demo = start_demo()
    demo.wait_for_second_line()
    demo.send(signal.SIGINT)
    assert demo.finish() == 130
    assert "Traceback" not in demo.out + demo.err
    assert demo.children() == []
    check_stopped(SimulatorLog.read(demo.truth))
    with TiledServer(demo.folder / "tiled", demo.folder / "raw") as server:
        client = connect(server.uri, server.api_key)
        try:
            check_ended_run(client.values().last())
        finally:
            client.context.close()


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_a_closed_terminal_stops_the_stage_and_ends_the_session(terminal, tmp_path):
    folder = tmp_path / "data"
    shell = Program("shell", folder, "--sim", **terminal.owned())
    try:
        shell.wait_until(lambda: "In [" in terminal.text, "the prompt")
        terminal.type("RE(fly_map(flyer, 600, 650, 11, 590, 630, 9))")
        shell.wait_for_second_line()
        terminal.close()
        assert shell.process.wait(60) is not None
    finally:
        shell.close()
    check_stopped(SimulatorLog.read(shell.truth))
    assert shell.children() == []
    log = (folder / "session.log").read_text()
    assert "session closes" in log
    assert "may be on" not in log
    # All is in Tiled, the run's end too: nothing waits to be recovered.
    assert list((folder / "backup").iterdir()) == []


@pytest.fixture
def ctrl_c_raises():
    """Python's own handler: a shell's background jobs begin with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_raises")
def test_ctrl_c_while_waiting_for_a_move_stops_the_stage(pty_bench):
    # To this thread: only its own signals wake it from a wait.
    to_us = threading.get_ident(), signal.SIGINT

    def interrupt():
        wait_until(lambda: pty_bench.x.moving and pty_bench.x.position > 640, "motion")
        signal.pthread_kill(*to_us)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        pty_bench.x.move(900.0, wait=True)
    interrupting.join()
    wait_until(lambda: not pty_bench.x.moving, "rest")
    assert pty_bench.x.position < 850.0
    pty_bench.port.stage.release()  # it keeps its port from the first move on
    log = pty_bench.log()
    assert log.at_rest
    assert log.stops, "no STOP reached the controller"


# -- the RunEngine's own ways --------------------------------------------------------


@pytest.fixture
def paused_bench(pty_bench):
    """A bench that was paused in the middle of a line."""

    def pause():
        wait_until(lambda: is_in_second_line(pty_bench.truth), "the second line")
        pty_bench.RE.request_pause()

    asking = threading.Thread(target=pause)
    asking.start()
    assert pty_bench.fly_until_paused()
    asking.join()
    return pty_bench


def test_pause_in_a_move_stops_both_axes_and_resume_sends_them_on(pty_bench):
    timer = threading.Timer(0.5, pty_bench.RE.request_pause)
    timer.start()
    with pytest.raises(RunEngineInterrupted):
        pty_bench.RE(bps.mv(pty_bench.x, 700.0, pty_bench.y, 680.0))
    timer.join()
    pty_bench.RE.resume()  # they ramp down still
    assert pty_bench.x.position == pytest.approx(700.0, abs=0.0218)
    assert pty_bench.y.position == pytest.approx(680.0, abs=0.0218)
    pty_bench.port.stage.release()
    assert pty_bench.log().stops, "no STOP reached the controller"


@pytest.mark.parametrize("end", ["abort", "stop", "halt"])
def test_run_ended_after_a_pause_leaves_the_stage_at_rest(paused_bench, end):
    getattr(paused_bench.RE, end)()
    assert paused_bench.flyer.wait_for_end(10.0)
    run = paused_bench.run
    run.check()
    assert run.stop["exit_status"] == "abort"
    assert run.column("primary", "frame") != []
    if end != "halt":  # which asks no plan for what is left
        check_all_is_handed_out(run)
    check_stopped(paused_bench.log())
    assert [opens_exclusively(port) for port in paused_bench.ports] == [True, True]


def test_detector_that_falls_silent_lets_the_stage_stop(make_pty_bench):
    bench = make_pty_bench(script="at n250 do silence acquisition")
    with pytest.raises(DeviceTimeoutError, match="acquisition did not answer"):
        bench.fly()
    bench.run.check()
    assert bench.run.stop["exit_status"] == "fail"
    assert bench.run.reason["state"] == "failed"
    check_all_is_handed_out(bench.run)
    check_stopped(bench.log())


def check_all_is_handed_out(run):
    frames = run.reason["frames"]
    counts = run.stop["num_events"]
    assert counts["primary"] == sum(frames.values()) - frames["not-reached"]
    assert [counts["readings"]] == run.column("health", "readings_taken")
    assert [counts["fixes"]] == run.column("health", "fixes_taken")


def test_paused_stage_rests_until_resumed(paused_bench):
    wait_until(lambda: paused_bench.log().at_rest, "rest", 5.0)
    check_stopped(paused_bench.log())
    paused_bench.RE.resume()
    run = paused_bench.run
    run.check()
    run.check_frames_once(45)
    assert run.stop["exit_status"] == "success"
