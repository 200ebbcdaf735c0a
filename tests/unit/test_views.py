import dataclasses
import io

import matplotlib as mpl
import numpy as np
import pytest

from aefi_bluesky.domain.results.scan_results import CHANNELS, ScanState
from aefi_bluesky.domain.study.events import ScanEnded, ScanStarted, StudyId
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.testing.fakes import FakeScanPort
from aefi_bluesky.views.console import FlightConsole, StudyConsole
from aefi_bluesky.views.maps import LiveMap, save_maps
from aefi_bluesky.views.progress import FlightProgress

ZONE = (0.0, 20.0, 100.0, 110.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Status:
    def watch(self, func):
        self.tell = func


def test_progress_shows_lines_rate_and_time_left():
    out, status = Terminal(), Status()
    progress = FlightProgress(out)
    progress([status])
    status.tell(
        current=3, target=12, unit="lines", time_elapsed=30.0, time_remaining=90.0
    )
    progress(None)
    assert "line 3 of 12, 6.0 lines/min, 1:30 left" in out.getvalue()


def test_progress_watches_a_status_once_however_often_it_is_waited_for():
    out, status = Terminal(), Status()
    progress = FlightProgress(out)
    progress([status])
    del status.tell
    progress([status])
    assert not hasattr(status, "tell")


def test_six_maps_are_saved_even_where_nothing_was_measured(tmp_path):
    maps = {channel: np.full((3, 2), np.nan) for channel in CHANNELS}
    maps["x_I"] = np.arange(6.0).reshape(3, 2)
    save_maps(tmp_path / "maps.png", maps, ZONE, "title")
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def live_map(monkeypatch):
    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "show", lambda self: None)
    yield LiveMap()
    pyplot.close("all")


def page(descriptor, x, y, value):
    data = {channel: [value] * len(x) for channel in CHANNELS}
    return {"descriptor": descriptor, "data": {"x_nominal": x, "y_nominal": y, **data}}


def test_the_live_map_takes_a_page_at_a_time(live_map):
    zone = dict(
        zip(("x_min_mm", "x_max_mm", "y_min_mm", "y_max_mm"), ZONE, strict=True)
    )
    live_map("start", {"scan_spec": {"n_x": 3, "n_y": 2, "zone": zone}})
    keys = {"x_nominal": {}, "y_nominal": {}}
    live_map("descriptor", {"uid": "d", "name": "primary", "data_keys": keys})
    live_map("event_page", page("d", [0.0, 10.0, 20.0], [110.0] * 3, 0.5))
    live_map("event_page", page("other", [0.0], [100.0], 9.0))
    drawn = live_map._map.values["z_Q"]
    assert drawn[1].tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(drawn[0]).all()


def test_the_live_map_leaves_muted_lines_out(live_map):
    zone = dict(
        zip(("x_min_mm", "x_max_mm", "y_min_mm", "y_max_mm"), ZONE, strict=True)
    )
    spec = {"n_x": 3, "n_y": 2, "zone": zone, "differential": True}
    live_map("start", {"scan_spec": spec})
    keys = {"x_nominal": {}, "y_nominal": {}}
    live_map("descriptor", {"uid": "d", "name": "primary", "data_keys": keys})
    for line, value in ((0, 0.5), (1, 9.0)):
        doc = page("d", [0.0, 10.0, 20.0], [100.0] * 3, value)
        doc["data"]["line"] = [line] * 3
        live_map("event_page", doc)
    drawn = live_map._map.values["x_I"]
    assert drawn[0].tolist() == [0.5, 0.5, 0.5]
    assert np.isnan(drawn[1]).all()


def test_the_live_map_leaves_other_runs_alone(live_map):
    live_map("start", {"plan_name": "count"})
    live_map("descriptor", {"uid": "d", "name": "primary", "data_keys": {}})
    live_map("event_page", page("d", [0.0], [100.0], 9.0))
    assert live_map._map is None


def test_console_has_a_line_for_each_line_flown():
    out = io.StringIO()
    FakeScanPort().execute_scan(a_plan(), FlightConsole(out))
    head, *lines, end = out.getvalue().splitlines()[:11]
    assert head.startswith("81 frames in 9 lines, about ")
    assert [line.split(":")[0] for line in lines] == [
        f"line {number} of 9" for number in range(1, 10)
    ]
    assert "9 ok, 0 not" in lines[0]
    assert end.startswith("flight completed after ")
    assert end.endswith(": 81 ok")


def test_console_says_what_a_flight_leaves_to_be_done():
    out, console = io.StringIO(), FlightConsole
    results = FakeScanPort().execute_scan(a_plan(), console(io.StringIO()))
    suspect = dataclasses.replace(
        results, state=ScanState.ABORTED, position_suspect=True, excitation_off=False
    )
    console(out).flight_ended(suspect)
    assert "flight aborted" in out.getvalue()
    assert "reference the axes" in out.getvalue()
    assert "the excitation is not known to be off" in out.getvalue()


def test_study_console_tells_start_and_end_of_scans():
    out, study = io.StringIO(), StudyId("ball")
    console = StudyConsole(out)
    console.handle(ScanStarted(study, "r"))
    assert console.last_end is None
    ended = ScanEnded(study, "r", "failed", "uid-1", "axis x: limit")
    console.handle(ended)
    assert console.last_end is ended
    assert out.getvalue().splitlines() == [
        "scan r of study ball",
        "scan r failed, run uid-1: axis x: limit",
    ]
