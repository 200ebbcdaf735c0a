"""The engine over real ttys, against a simulated bench that paces its bytes.

A pty's figures are no device's: what is judged is the ratio to what the line allows
at the same turnaround, both from the simulated bench.
"""

import sys

import numpy as np
import pytest

from aefi_bluesky.views.recorder import Recorder
from aefi_bluesky.views.truth import Truth, judge

pytestmark = pytest.mark.realtime

THREE_LINES = {"n_x": 3, "x_max_mm": 640.0}


@pytest.fixture
def recorder():
    return Recorder()


def test_flight_over_ttys_keeps_up_with_the_line(
    make_pty_bench, recorder, capsys, record_property
):
    bench = make_pty_bench(observers=[recorder])
    run = bench.fly(**THREE_LINES)
    run.check()
    run.check_frames_once(27)
    assert set(run.column("primary", "state")) == {"ok"}

    limit = bench.description.link.fix_line_limit_hz
    fixes = float(np.median(run.column("lines", "fix_rate")))
    record_property("fixes_per_s", fixes)
    record_property("line_limit_per_s", limit)
    with capsys.disabled():
        print(
            f"\nserial: {fixes:.1f} position fixes/s (median of 3 lines) on ptys "
            f"paced as 115200 Bd; the line allows {limit:.1f}/s; "
            f"ratio {fixes / limit:.3f}"
        )
    assert fixes / limit > 0.5


def test_true_position_is_inside_every_interval_over_ttys(
    make_pty_bench, recorder, record_property
):
    bench = make_pty_bench(observers=[recorder])
    bench.fly(**THREE_LINES)
    scale = {
        "x": bench.description.x.um_per_step / 1000,
        "y": bench.description.y.um_per_step / 1000,
    }
    truth = Truth.read(bench.truth)
    report = judge(recorder.columns("readings"), truth, bench.flyer.began_ns, scale)
    record_property("rms_error_um", report.rms_error_um)
    assert report.n_judged > 0.9 * len(recorder.columns("readings")["t_start"])
    assert report.inside_fraction == 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="settings of Linux")
def test_slack_is_applied_and_the_latency_timer_that_a_tty_lacks_is_told(
    make_pty_bench,
):
    bench = make_pty_bench()
    run = bench.fly(n_x=2, x_max_mm=630.0)
    run.check()
    (refused,) = run.column("health", "realtime_refused")
    for link, port in zip(("stage", "detector"), bench.ports, strict=True):
        setting = f"realtime_{link}"
        assert run.column("health", f"{setting}_timer_slack") == ["applied"]
        assert run.column("health", f"{setting}_fifo_priority") == ["not asked"]
        missing = f"not available: {port} has no latency timer"
        assert run.column("health", f"{setting}_low_latency") == [missing]
        assert f"{link}_low_latency 1 ms: {missing}" in refused
