"""What a window shows: judged against what the flight itself has."""

import threading

import numpy as np
import pytest

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.domain.results.map_image import map_image
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FrameState,
    ScanState,
)
from aefi_bluesky.domain.results.uncertainty import voltage_uncertainty
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.testing.fakes import FakeScanPort
from aefi_bluesky.views.presenter import SHOWN, Presenter
from aefi_bluesky.views.recorder import Recorder

OK = FRAME_STATES.index(FrameState.OK)


def flown(plan):
    presenter, recorder = Presenter(), Recorder()
    ObservedScanPort(FakeScanPort(), [presenter]).execute_scan(plan, recorder)
    return presenter.snapshot(), recorder


def expected(plan, recorder, channel, *, muted=False):
    frames = recorder.columns("frames")
    ok = frames["state"] == OK
    return map_image(plan, frames["frame"][ok], frames[channel][ok], muted=muted)


@pytest.mark.parametrize("fast_axis", ["x", "y"])
@pytest.mark.parametrize("repeats", [1, 2])
def test_images_are_the_maps_of_the_flight(fast_axis, repeats):
    plan = a_plan(n_x=4, n_y=5, fast_axis=fast_axis, repeats=repeats)
    shown, recorder = flown(plan)
    for channel in CHANNELS:
        image = shown.image(channel)
        assert image.shape == (5, 4)
        np.testing.assert_allclose(image, expected(plan, recorder, channel))
    assert (shown.counts == repeats).all()
    assert shown.muted == {}


def test_muted_frames_have_images_of_their_own():
    plan = a_plan(n_x=4, n_y=5, differential=True)
    shown, recorder = flown(plan)
    for muted in (False, True):
        np.testing.assert_allclose(
            shown.image("y_Q", muted=muted),
            expected(plan, recorder, "y_Q", muted=muted),
        )


def test_amplitude_and_phase_are_those_of_the_components():
    shown, _ = flown(a_plan(n_x=4))
    signal = shown.image("z_I") + 1j * shown.image("z_Q")
    np.testing.assert_allclose(shown.image("amplitude z"), np.abs(signal))
    np.testing.assert_allclose(shown.image("phase z"), np.angle(signal, deg=True))
    for name in SHOWN:
        assert shown.image(name).shape == (9, 4)
    with pytest.raises(KeyError):
        shown.image("amplitude w")


def test_trace_is_the_last_line_along_the_fast_axis():
    shown, recorder = flown(a_plan(n_x=4))
    frames = recorder.columns("frames")
    last = frames["line"] == frames["line"].max()
    assert (np.diff(shown.trace.along) > 0).all()
    np.testing.assert_array_equal(shown.trace.along, np.sort(frames["y"][last]))
    order = np.argsort(frames["y"][last])
    np.testing.assert_array_equal(shown.trace.volts["x_I"], frames["x_I"][last][order])
    width = np.median((frames["y_hi"] - frames["y_lo"])[last])
    assert shown.health.interval_mm == pytest.approx(width)
    assert shown.health.reading_rate_hz == recorder.columns("lines")["reading_rate"][-1]


def test_it_shows_a_flight_from_its_start_to_its_end():
    presenter, seen = Presenter(), []
    before = presenter.snapshot()
    assert (before.plan, before.state, before.images) == (None, None, {})
    assert np.isnan(before.time_left_s)

    class Watching(Recorder):
        def lines_ended(self, lines):
            super().lines_ended(lines)
            seen.append(presenter.snapshot())

    plan = a_plan(n_x=4)
    port = ObservedScanPort(FakeScanPort(), [presenter, Watching()])
    port.execute_scan(plan, Recorder())
    known = [int(shown.counts.sum()) for shown in seen]
    assert known == [9, 18, 27, 36]
    left = [shown.time_left_s for shown in seen]
    np.testing.assert_allclose(left, plan.duration_s * np.array([3, 2, 1, 0]) / 4)
    versions = [shown.version for shown in seen]
    assert versions == sorted(set(versions))
    end = presenter.snapshot()
    assert (end.state, end.time_left_s) == (ScanState.COMPLETED, 0.0)
    assert end.results.frames == end.health.frames
    assert end.version > versions[-1]
    assert presenter.snapshot().version == end.version


def test_the_next_flight_begins_with_an_empty_map():
    presenter = Presenter()
    port = ObservedScanPort(FakeScanPort(), [presenter])
    port.execute_scan(a_plan(n_x=4), Recorder())
    presenter.flight_started(a_plan(n_x=7))
    shown = presenter.snapshot()
    assert shown.image("x_I").shape == (9, 7)
    assert np.isnan(shown.image("x_I")).all()
    assert (shown.results, shown.trace, shown.health.frames) == (None, None, {})


def test_snapshots_are_taken_while_frames_come_in():
    presenter, stop, failures = Presenter(), threading.Event(), []

    def draw():
        while not stop.is_set():
            shown = presenter.snapshot()
            known = int(shown.counts.sum())
            if shown.images and np.isfinite(shown.image("x_I")).sum() != known:
                failures.append(known)

    drawing = threading.Thread(target=draw)
    drawing.start()
    ObservedScanPort(FakeScanPort(), [presenter]).execute_scan(
        a_plan(n_x=40), Recorder()
    )
    stop.set()
    drawing.join()
    assert failures == []


def test_uncertainties_are_those_of_the_domain():
    plan = a_plan(n_x=4, n_y=5)
    shown, recorder = flown(plan)
    frames = recorder.columns("frames")
    several = frames["count"] > 1
    half = (frames["y_hi"] - frames["y_lo"]) / 2
    for channel in CHANNELS:
        noise_v = np.median(frames[f"{channel}_std"][several])
        of_domain = voltage_uncertainty(
            map_image(plan, frames["frame"], frames[channel]),
            map_image(plan, frames["frame"], frames["count"]),
            map_image(plan, frames["frame"], half),
            5.0,
            noise_v,
            along=0,
        )
        found = shown.image(f"uncertainty {channel}")
        np.testing.assert_allclose(found, of_domain)


def test_where_nothing_says_how_noisy_it_is_the_uncertainty_is_not_known():
    presenter = Presenter()
    presenter.flight_started(a_plan(n_x=4))
    assert np.isnan(presenter.snapshot().image("uncertainty x_I")).all()
