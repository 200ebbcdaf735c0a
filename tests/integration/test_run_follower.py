"""Runs shown by their documents: the same as what the run itself has as maps."""

import numpy as np
import pytest

from aefi_bluesky.domain.results.scan_results import CHANNELS, FrameState, ScanState
from aefi_bluesky.domain.spec.formats import to_plain
from aefi_bluesky.domain.spec.step_spec import TimeSeriesSpec
from aefi_bluesky.plans import fly_map, step_map, time_series
from aefi_bluesky.testing.builders import a_bench, a_step_spec
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.run_follower import RunFollower


@pytest.fixture
def followed(bench):
    """Runs a plan; returns its maps as the run has them, and what is shown."""

    def run(plan, **options):
        presenter, maps, names = Presenter(), {}, {}

        def keep(name, doc):
            if name == "descriptor":
                names[doc["uid"]] = doc["name"]
            elif name == "event" and names[doc["descriptor"]] == "maps":
                maps.update(doc["data"])

        bench.RE.subscribe(RunFollower(presenter, **options))
        bench.RE.subscribe(keep)
        bench.RE(plan)
        return maps, presenter.snapshot()

    return run


def at_rest(bench):
    return bench.x, bench.y, bench.sensor, bench.excitation


def test_a_flight_is_shown_by_its_documents(followed, bench):
    maps, shown = followed(fly_map(bench.flyer, 600, 610, 3, 590, 610, 5))
    for channel in CHANNELS:
        np.testing.assert_allclose(shown.image(channel), maps[f"map_{channel}"])
    assert shown.state is ScanState.COMPLETED
    assert shown.health.frames == {FrameState.OK: 15}
    assert shown.health.reading_rate_hz > 0
    assert shown.time_left_s == 0


@pytest.mark.parametrize("differential", [False, True])
def test_a_step_map_is_shown_by_its_documents(followed, bench, differential):
    plan = step_map(
        *at_rest(bench), 600, 610, 2, 590, 610, 3, differential=differential
    )
    maps, shown = followed(plan, flights=False)
    for channel in CHANNELS:
        np.testing.assert_allclose(shown.image(channel), maps[f"map_{channel}"])
        if differential:
            muted = shown.image(channel, muted=True)
            np.testing.assert_allclose(muted, maps[f"map_{channel}_muted"])
    assert shown.state is ScanState.COMPLETED
    assert shown.trace.label == "y"


def test_a_series_is_shown_as_a_trace(followed, bench):
    _, shown = followed(time_series(*at_rest(bench), 600, 600, count=5))
    assert isinstance(shown.plan.spec, TimeSeriesSpec)
    assert (shown.images, shown.grid, shown.trace.label) == ({}, None, "measurement")
    np.testing.assert_array_equal(shown.trace.along, np.arange(shown.plan.spec.count))


def test_a_flight_of_this_session_is_left_to_its_observer(followed, bench):
    _, shown = followed(fly_map(bench.flyer, 600, 610, 2, 590, 610, 3), flights=False)
    assert shown.plan is None


@pytest.mark.parametrize(
    "start",
    [
        {"uid": "another plan's"},
        {"uid": "damaged", "scan_spec": {"kind": "fly-map"}, "bench": {}},
        {"uid": "of tomorrow", "scan_spec": {"kind": "spiral"}, "bench": {}},
    ],
)
def test_a_run_that_is_no_scan_is_left_out(start):
    presenter = Presenter()
    follow = RunFollower(presenter)
    follow("start", start)
    follow("descriptor", {"uid": "d", "run_start": start["uid"], "name": "primary"})
    follow("event", {"descriptor": "d", "data": {"frame": 1}})
    follow("stop", {"run_start": start["uid"], "exit_status": "success"})
    assert presenter.snapshot().version == Presenter().snapshot().version


def test_what_cannot_be_shown_ends_no_run(caplog):
    presenter = Presenter()
    follow = RunFollower(presenter)
    start = {
        "uid": "1",
        "scan_spec": to_plain(a_step_spec()),
        "bench": a_bench().to_plain(),
    }
    follow("start", start)
    follow("descriptor", {"uid": "d", "run_start": "1", "name": "primary"})
    follow("event", {"descriptor": "d", "data": {"another": 1}})
    follow("stop", {"run_start": "1", "exit_status": "success"})
    assert "not shown any more" in caplog.text
