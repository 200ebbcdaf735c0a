"""The view on ptys, judged by the simulator's truth and by what Tiled has."""

import sys
import time

import numpy as np
import pytest
from qtpy import QtCore

from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FrameState,
    ScanState,
)
from aefi_bluesky.domain.spec.excitation import Excitation, ExcitationMode
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.testing.builders import a_spec, a_step_spec
from aefi_bluesky.views.pymodaq.client import ClientState
from aefi_bluesky.views.pymodaq.spec_tree import spec_of
from aefi_bluesky.views.truth import Truth

pytestmark = pytest.mark.realtime

DRIVEN = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)
FLOWN = a_spec(n_x=3, n_y=9, excitation=DRIVEN)
AT_REST = a_step_spec(n_x=3, n_y=3, excitation=DRIVEN)
REST_S = 1.0


@pytest.fixture
def shown(opened_view, tmp_path):
    window = opened_view(folder=tmp_path / "data")
    window.folders = SessionFolders.below(tmp_path / "data")
    return window


def run(window, spec, until):
    """Type a spec, and click Run."""
    view = window.view
    view.form.show_spec(spec)
    until(lambda: (verdict := view.client.status.verdict) and verdict.spec == spec)
    button = view.bar.buttons["run"]
    until(button.isEnabled)
    button.click()
    until(lambda: view.client.status.state is ClientState.BUSY)


def wait_for_end(window, until):
    until(lambda: window.view.client.status.state is ClientState.READY, 120.0)
    window.view.refresh()


def truth_of(window, qtbot):
    qtbot.wait(300)  # what was written until now is whole then
    return Truth.read(window.folders.truth)


def moves_after(window, at_ns, qtbot):
    truth = truth_of(window, qtbot)
    later = np.array([at_ns, at_ns + 2_000_000_000])
    return any(len({*truth.position_steps(axis, later)}) > 1 for axis in "xy")


def last_scan(window, until, *, final=True):
    window.view.client.refresh()
    found = []

    def look():
        scans = window.view.client.status.studies[0].scans
        found[:] = scans[-1:]
        return bool(scans) and (scans[-1].state.is_final or not final)

    until(look)
    return found[0]


def drawn(window):
    """The image that is on the screen."""
    return np.asarray(window.view.map.viewer.view.get_image_item("red").image)


@pytest.mark.parametrize("spec", [FLOWN, AT_REST], ids=["flown", "at rest"])
def test_what_is_drawn_is_what_tiled_has(shown, until, spec):
    run(shown, spec, until)
    wait_for_end(shown, until)
    scan = last_scan(shown, until)
    assert scan.state is PlannedScanState.COMPLETED
    view = shown.view
    session = view.client.served
    assert scan.run_uid == view.client.status.last_run
    assert scan.run_uid in session.run_url(scan.run_uid)
    expected = maps_of(shown, scan.run_uid, until)
    for channel in CHANNELS:
        view.map.chooser.setCurrentText(channel)
        view.refresh()
        np.testing.assert_array_equal(drawn(shown), expected[channel])


def maps_of(window, uid, until):
    """The stream ``primary`` of a run in Tiled, as images."""
    from tiled.client import from_uri

    url = window.view.client.served.run_url(uid)
    server, key = url.split("/ui/")[0], url.split("api_key=")[1].split("#")[0]
    client = from_uri(f"{server}/api/v1", api_key=key)
    until(lambda: client[uid].metadata.get("stop"))
    table = client[uid]["primary"].base["internal"].read()
    client.context.close()
    spec = window.view.shown._presenter.snapshot().plan.spec
    columns, rows = (
        np.searchsorted(spec.centres_mm(axis), table[f"{axis}_nominal"] - 1e-6)
        for axis in "xy"
    )
    images = {channel: np.full((spec.n_y, spec.n_x), np.nan) for channel in CHANNELS}
    for channel, image in images.items():
        image[rows, columns] = table[channel]
    return images


@pytest.mark.parametrize("spec", [FLOWN, AT_REST], ids=["flown", "at rest"])
def test_pause_brings_the_stage_to_rest_and_resume_ends_the_scan(
    shown, until, qtbot, spec
):
    run(shown, spec, until)
    buttons = shown.view.bar.buttons
    until(buttons["pause"].isEnabled)
    qtbot.wait(1000)
    buttons["pause"].click()
    qtbot.wait(round(REST_S * 1000))
    rested_ns = time.monotonic_ns()
    qtbot.wait(1000)
    assert not moves_after(shown, rested_ns, qtbot)
    until(buttons["resume"].isEnabled)
    buttons["resume"].click()
    wait_for_end(shown, until)
    assert last_scan(shown, until).state is PlannedScanState.COMPLETED
    planned = spec.n_x * spec.n_y
    assert shown.view.shown._presenter.snapshot().counts.sum() == planned


@pytest.mark.parametrize("spec", [FLOWN, AT_REST], ids=["flown", "at rest"])
def test_stop_brings_the_stage_to_rest_and_the_excitation_off(
    shown, until, qtbot, spec
):
    run(shown, spec, until)
    buttons = shown.view.bar.buttons
    until(buttons["stop"].isEnabled)
    qtbot.wait(1500)
    driven_ns = time.monotonic_ns()
    buttons["stop"].click()
    qtbot.wait(round(REST_S * 1000))
    rested_ns = time.monotonic_ns()
    wait_for_end(shown, until)
    qtbot.wait(1000)
    assert not moves_after(shown, rested_ns, qtbot)
    truth = truth_of(shown, qtbot)
    assert truth.level_at(driven_ns) > 0
    assert truth.level_at(time.monotonic_ns()) == 0
    assert last_scan(shown, until).state is PlannedScanState.CANCELLED


def test_what_an_unrelated_slot_raises_does_not_touch_the_flight(shown, until, qtbot):
    class Foreign(QtCore.QObject):
        said = QtCore.Signal()

    foreign = Foreign()

    def fail():
        raise ValueError("an unrelated window")

    foreign.said.connect(fail)
    hooks = {sys.excepthook}
    run(shown, FLOWN, until)
    with qtbot.captureExceptions() as raised:
        for _ in range(3):
            hooks.add(sys.excepthook)
            foreign.said.emit()
            qtbot.wait(300)
        hooks.add(sys.excepthook)
        wait_for_end(shown, until)
    assert [kind for kind, _, _ in raised] == [ValueError] * 3
    snapshot = shown.view.shown._presenter.snapshot()
    assert snapshot.state is ScanState.COMPLETED
    assert snapshot.health.frames[FrameState.OK] == 27
    assert sum(snapshot.results.frames.values()) == 27
    assert len(hooks) <= 2  # pytest-qt's own while it captures


def test_an_infeasible_spec_cannot_be_run(shown, until, qtbot):
    view, run_button = shown.view, shown.view.bar.buttons["run"]
    until(run_button.isEnabled)
    view.form.show_spec(a_spec(speed_mm_per_s=500.0))
    view.refresh()
    assert not run_button.isEnabled()  # what was known of the old one is forgotten
    until(lambda: view.client.status.verdict is not None)
    view.refresh()
    assert "500" in view.form.verdict.text()
    began_ns = time.monotonic_ns()
    run_button.click()
    qtbot.wait(500)
    assert view.client.status.state is ClientState.READY
    assert view.client.status.studies[0].scans == ()
    truth = truth_of(shown, qtbot)
    assert {level for _, level in truth.drives} <= {0.0}
    assert len(truth.conversions) == 0
    assert all((rows[:, 2:] == 0).all() for rows in truth.segments.values())
    assert not moves_after(shown, began_ns, qtbot)


def double_click(map_, qtbot, ix, iy):
    """Double-click at a place of the drawn image, in pixels of it."""
    widget = map_.viewer.view.image_widget
    item = map_.viewer.view.get_image_item("red")
    at = widget.mapFromScene(item.mapToScene(QtCore.QPointF(ix, iy)))
    left = QtCore.Qt.MouseButton.LeftButton
    qtbot.mouseMove(widget.viewport(), at)
    qtbot.mouseDClick(widget.viewport(), left, pos=at)
    qtbot.mouseRelease(widget.viewport(), left, pos=at)


def test_a_double_click_in_the_middle_of_a_frame_goes_to_its_centre(
    shown, until, qtbot
):
    spec = a_spec(n_x=4, n_y=5)
    run(shown, spec, until)
    wait_for_end(shown, until)
    client, map_ = shown.view.client, shown.view.map
    places = []
    map_.place_chosen.connect(lambda x, y: places.append((x, y)))
    for ix, iy in ((0, 0), (3, 4), (1, 2)):
        centre = spec.centres_mm("x")[ix], spec.centres_mm("y")[iy]
        double_click(map_, qtbot, ix + 0.5, iy + 0.5)
        until(lambda: places)
        assert places.pop() == pytest.approx(centre, abs=0.01)
        until(lambda: client.status.state is ClientState.READY)
        assert client.served.positions_mm() == pytest.approx(centre, abs=0.02)
    # Elsewhere the place itself is meant.
    double_click(map_, qtbot, 1.25, 2.5)
    until(lambda: places)
    x_mm, _ = places.pop()
    assert x_mm == pytest.approx(spec.centres_mm("x")[1] - 20 / 3 / 4, abs=0.1)


def test_without_a_map_a_double_click_means_no_place(shown, qtbot):
    map_, places = shown.view.map, []
    map_.place_chosen.connect(lambda x, y: places.append((x, y)))
    map_.viewer.sig_double_clicked.emit(0.4, 0.7)
    assert places == []


def test_stop_is_heard_before_the_run_exists(shown, until):
    view = shown.view
    view.form.show_spec(a_spec(n_x=9, n_y=17))
    until(view.bar.buttons["run"].isEnabled)
    view.bar.buttons["run"].click()
    view.client.stop()
    wait_for_end(shown, until)
    assert last_scan(shown, until, final=False).state in (
        PlannedScanState.PENDING,
        PlannedScanState.CANCELLED,
    )


def test_a_scan_that_ends_leaves_the_form_as_it_was_typed_meanwhile(shown, until):
    run(shown, FLOWN, until)
    typed = a_spec(n_x=5)
    shown.view.form.show_spec(typed)
    wait_for_end(shown, until)
    shown.view.refresh()
    assert spec_of(shown.view.form.values()) == typed


def test_a_study_that_is_closed_elsewhere_is_not_replaced_by_another(shown, until):
    view, service = shown.view, shown.view.client.served.studies
    view.client.create_study("other", "another ball", "ann")
    until(lambda: view.studies.chooser.count() == 2)
    view.studies.wish("other")
    assert view.studies.study.id == "other"
    service.abort_study("other", "closed by aefi study")
    view.client.refresh()
    until(lambda: view.studies.chooser.count() == 1)
    assert view.studies.study is None
    view.refresh()
    assert not view.bar.buttons["run"].isEnabled()


def test_a_region_becomes_the_next_zone(shown, until, qtbot):
    run(shown, a_spec(n_x=4, n_y=5), until)
    wait_for_end(shown, until)
    map_ = shown.view.map
    map_.take_region.click()
    region = map_.viewer.view.ROIselect
    region.setPos((596.0, 594.0))
    region.setSize((5.0, 7.0))
    map_.take_region.click()
    zone = shown.view.form.values()["zone"]
    assert tuple(zone.values()) == pytest.approx((596.0, 601.0, 594.0, 601.0))


def test_closed_in_flight_it_leaves_the_bench_at_rest(
    opened_view, until, qtbot, tmp_path
):
    folders = SessionFolders.below(tmp_path / "left")
    window = opened_view(folder=tmp_path / "left")
    window.folders = folders
    beats = [time.monotonic()]
    beat = QtCore.QTimer()
    beat.timeout.connect(lambda: beats.append(time.monotonic()))
    beat.start(50)
    run(window, a_spec(n_x=9, n_y=17, excitation=DRIVEN), until)
    qtbot.wait(2000)
    dialogs = []
    look = QtCore.QTimer()
    look.timeout.connect(
        lambda: dialogs.extend(
            d for d in [QtCore.QCoreApplication.instance().activeModalWidget()] if d
        )
    )
    look.start(20)
    assert window.close()
    look.stop()
    qtbot.wait(100)
    beat.stop()
    assert {type(d).__name__ for d in dialogs} == {"ClosingDialog"}
    assert max(np.diff(beats)) < 1.0
    truth = Truth.read(folders.truth)
    assert truth.level_at(time.monotonic_ns()) == 0
    assert all(rows[-1, 2] == 0 for rows in truth.segments.values())  # at rest
    from aefi_bluesky.session.ground import held_ground
    from aefi_bluesky.storage.tiled.client import connect

    with held_ground(folders.root) as ground:
        client = connect(*ground.tiled_address())
        uid = client.keys().tail(1)[0]
        assert client[uid].metadata["stop"]["exit_status"] == "abort"
        client.context.close()


def test_what_was_chosen_is_recalled(opened_view, until, tmp_path):
    first = opened_view(folder=tmp_path / "kept")
    first.view.map.chooser.setCurrentText("amplitude y")
    run(first, FLOWN, until)
    wait_for_end(first, until)
    first.close()
    second = opened_view(folder=tmp_path / "kept")
    assert spec_of(second.view.form.values()) == FLOWN
    assert second.view.map.chooser.currentText() == "amplitude y"
    assert second.view.studies.study.id == "ball"
