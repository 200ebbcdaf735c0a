"""PyMoDAQ's plugins as clients of the engine: they need no hand-over."""

import math

import pytest
from pymodaq.utils.plugin_testing import (
    grab_and_wait,
    make_actuator,
    make_detector,
    move_abs_and_wait,
    move_home_and_wait,
    move_rel_and_wait,
)

from aefi_bluesky.dashboard.daq_move_plugins.daq_move_AefiStage import (
    DAQ_Move_AefiStage,
)
from aefi_bluesky.dashboard.daq_viewer_plugins.plugins_0D import daq_0Dviewer_AefiSensor
from aefi_bluesky.dashboard.shared_bench import BENCH
from aefi_bluesky.domain.results.scan_results import CHANNELS, ScanState
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import ScanRole
from aefi_bluesky.testing.builders import a_spec, an_object
from aefi_bluesky.views.pymodaq.client import ClientState


@pytest.fixture
def stage(qtbot, monkeypatch, tmp_path, request):
    """The x axis, on a bench in virtual time unless told."""
    monkeypatch.setenv("AEFI_BENCH", getattr(request, "param", "virtual"))
    monkeypatch.setenv("AEFI_FOLDER", str(tmp_path / "data"))
    actuator = make_actuator(DAQ_Move_AefiStage)
    assert actuator.initialized
    yield actuator
    actuator.close()
    assert BENCH.client().status.state is ClientState.CLOSED


def test_an_axis_moves_and_comes_home(stage):
    assert move_abs_and_wait(stage, 612.5).value() == pytest.approx(612.5, abs=0.02)
    assert move_rel_and_wait(stage, 10.0).value() == pytest.approx(622.5, abs=0.04)
    x_mm, _ = BENCH.served().positions_mm()
    assert x_mm == pytest.approx(622.5, abs=0.04)
    home = move_home_and_wait(stage, timeout_ms=60_000)
    # The home input is at 0; the ramp down from there goes on for some mm.
    assert -20.0 < home.value() < 0.0


def test_an_impossible_target_is_refused_with_a_message(stage):
    said = []
    stage.emit_status = said.append
    before = stage.get_actuator_value()
    after = move_abs_and_wait(stage, 9000.0)
    assert after.value() == before.value()
    assert "9000" in said[0].attribute


def test_a_detector_joins_the_same_bench(stage, qtbot):
    sensor = make_detector(daq_0Dviewer_AefiSensor.DAQ_0DViewer_AefiSensor)
    data = grab_and_wait(sensor)
    assert data[0].labels == list(CHANNELS)
    assert all(math.isfinite(float(each[0])) for each in data[0].data)
    sensor.close()
    assert BENCH.client().status.state is ClientState.READY


@pytest.mark.realtime
@pytest.mark.parametrize("stage", ["ptys"], indirect=True)
def test_in_flight_it_shows_where_the_axis_is_and_refuses(stage, qtbot, until):
    client, served = BENCH.client(), BENCH.served()
    sensor = make_detector(daq_0Dviewer_AefiSensor.DAQ_0DViewer_AefiSensor)
    study = StudyId("ball")
    served.studies.create_study(study, an_object(), "me")
    served.studies.configure_study(study)
    served.studies.add_scan(study, ScanId("scan"), a_spec(n_x=3), ScanRole.REFERENCE)
    client.run_next(study)
    until(
        lambda: (
            (found := client.progress()) is not None
            and found.state is ScanState.FLYING
            and found.lines_done > 0
        )
    )
    said = []
    stage.emit_status = said.append
    sensor.emit_status = said.append
    assert 580.0 < stage.get_actuator_value().value() < 620.0
    move_abs_and_wait(stage, 700.0)
    data = grab_and_wait(sensor)
    assert all(math.isnan(float(each[0])) for each in data[0].data)
    assert len(said) == 2
    assert all("a plan is running" in each.attribute for each in said)
    until(lambda: client.status.state is ClientState.READY, 60.0)
    scan = served.studies.get_study(study).scan(ScanId("scan"))
    assert str(scan.state) == "completed"
    sensor.close()
