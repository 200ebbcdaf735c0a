"""The whole thread by its own command, from the spec to what Tiled gives back."""

import json
import subprocess
import sys

import pytest

from aefi_bluesky.cli.report import read_back
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session import Session
from aefi_bluesky.views.recorder import Recorder


def demo(folder, *options):
    report = folder / "out.json"
    done = subprocess.run(
        (sys.executable, "-m", "aefi_bluesky", "demo", "--json", str(report), *options),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout


@pytest.mark.timeout(400)
def test_the_standard_map_is_flown_and_read_back_bit_for_bit(tmp_path):
    report, shown = demo(tmp_path, "--standard", "--virtual")
    assert report["frames"]["planned"] == report["frames"]["ok"] == 6561
    assert report["position_um"]["inside_fraction"] == 1.0
    assert report["read_back_equal"] is True
    assert report["exit_status"] == "success"
    assert report["uid"] in shown
    assert (tmp_path / "aefi-demo" / "maps.png").stat().st_size > 10_000


def test_the_report_has_what_its_readers_expect(tmp_path):
    report, _ = demo(tmp_path, "--virtual")
    states = [
        "ok",
        "late",
        "missed",
        "duplicate",
        "out-of-window",
        "aborted",
        "not-reached",
    ]
    assert list(report["frames"]) == ["planned", *states]
    assert set(report["rates_hz"]) == {"loop", "reading", "fix", "fix_line_limit"}
    position = {"rms_error", "median_interval", "inside_fraction"}
    assert set(report["position_um"]) == position
    assert report["frames"]["planned"] == sum(report["frames"][s] for s in states)
    assert report["readings"] > 0
    assert report["fixes"] > 0
    assert report["flight_s"] > report["wall_s"], "virtual time does not wait"


def test_the_smallest_map_reads_back_bit_for_bit(tmp_path):
    recorder = Recorder()
    with Session.open(kind="virtual", folder=tmp_path, observers=[recorder]) as session:
        (uid,) = session.RE(
            fly_map(session.flyer, 630, 640, 2, 600, 610, 2)
        ).run_start_uids
        assert session.writer.flush(60)
        assert read_back(session, recorder, uid) == ()
