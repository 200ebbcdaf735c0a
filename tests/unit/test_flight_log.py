import dataclasses

import numpy as np
import pytest

from aefi_bluesky.devices.data_keys import FRAME_UNITS
from aefi_bluesky.devices.flight_log import _SHARES, FlightLog
from aefi_bluesky.devices.streams import (
    HealthStream,
    MapStream,
    page_of,
    plain_columns,
)
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FrameChunk,
    FrameState,
    LineChunk,
    ReadingChunk,
)
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.testing.fakes import FakeScanPort


class MemorySamples:
    """A sample file in memory."""

    uri = "memory"

    def __init__(self):
        self.rows = {"readings": 0, "fixes": 0}

    def append(self, stream, columns):
        self.rows[stream] += len(next(iter(columns.values())))

    def close(self):
        pass


class FullDisk(MemorySamples):
    def append(self, stream, columns):
        raise StorageError("disk full")


def flown(samples, **changes):
    plan = a_plan(**changes)
    log = FlightLog(plan, samples)
    FakeScanPort().execute_scan(plan, log)
    return plan, log


def a_frame(frame, state, **values):
    """One more frame, as a pass over gaps hands it out."""
    columns = dict.fromkeys((*FRAME_UNITS, "state"), 0.0)
    columns |= {"frame": int(frame), "state": FRAME_STATES.index(state), **values}
    return FrameChunk({name: np.array([value]) for name, value in columns.items()})


def pages_of(log):
    return list(iter(log.take_page, None))


def test_a_page_holds_the_frames_of_one_line():
    plan, log = flown(MemorySamples())
    pages = [page for page in pages_of(log) if page.lines]
    assert len(pages) == len(plan.lines)
    for line, page in zip(plan.lines, pages, strict=True):
        assert page.frames["line"].tolist() == [line.index] * line.n_frames
        assert page.lines["line"].tolist() == [line.index]


def test_frames_that_no_line_claimed_are_a_page_though_no_sample_came():
    log = FlightLog(a_plan(), MemorySamples())
    log.frames_ended(a_frame(3, FrameState.OK, line=1))
    log.close_page()
    (page,) = pages_of(log)
    assert page.frames["frame"].tolist() == [3]
    assert not page.lines


def test_samples_that_no_line_claimed_are_a_page_though_no_frame_came():
    log = FlightLog(a_plan(), MemorySamples())
    log.readings_taken(ReadingChunk({"t_end": np.array([5, 6])}))
    log.close_page()
    (page,) = pages_of(log)
    assert not page.frames
    assert page.samples == {"readings": 2, "fixes": 0}


def test_a_sample_that_came_after_a_line_is_of_the_next_page():
    log = FlightLog(a_plan(), MemorySamples())
    log.readings_taken(ReadingChunk({"t_end": np.array([5, 10, 20])}))
    line = dict.fromkeys(("line", *_SHARES, "t_end"), 0.0) | {"t_end": 10e-9}
    log.lines_ended(
        LineChunk({name: np.array([value]) for name, value in line.items()})
    )
    log.close_page()
    assert [page.samples["readings"] for page in pages_of(log)] == [2, 3]


def test_nothing_makes_no_page():
    log = FlightLog(a_plan(), MemorySamples())
    log.close_page()
    assert pages_of(log) == []


def test_pages_count_every_sample_in_the_end_and_none_twice():
    samples = MemorySamples()
    _, log = flown(samples)
    counted = [page.samples for page in pages_of(log)]
    assert counted[-1] == samples.rows
    for stream in samples.rows:
        totals = [page[stream] for page in counted]
        assert totals == sorted(totals)


def test_a_page_counts_the_samples_that_are_older_than_its_line():
    class Timed(MemorySamples):
        def __init__(self):
            super().__init__()
            self.times = {"readings": [], "fixes": []}

        def append(self, stream, columns):
            super().append(stream, columns)
            received = {"readings": "t_end", "fixes": "t_received"}[stream]
            self.times[stream] += columns[received].tolist()

    samples = Timed()
    _, log = flown(samples)
    for page in pages_of(log):
        if page.lines:
            ended_ns = round(page.lines["t_end"][0] * 1e9)
            for stream, times in samples.times.items():
                assert page.samples[stream] == sum(at <= ended_ns for at in times)


def test_columns_are_handed_out_once_and_become_plain_python_values():
    plan, log = flown(MemorySamples())
    page = log.take_page()
    frames = page.take_frames()
    assert {len(column) for column in frames.values()} == {plan.lines[0].n_frames}
    assert page.take_frames() == {}
    data = page_of(plain_columns(frames, frames))["data"]
    for name, values in data.items():
        assert {type(value) for value in values} <= {int, float, str}, name
    assert set(data["state"]) == {"ok"}


def test_a_full_disk_is_kept_as_the_flights_failure():
    _, log = flown(FullDisk())
    assert isinstance(log.failure, StorageError)


def test_the_map_has_every_frame_at_its_place():
    plan, log = flown(MemorySamples())
    image = log.map_of("x_nominal")
    assert image.shape == (plan.spec.n_y, plan.spec.n_x)
    x = np.linspace(*plan.spec.zone.along("x"), plan.spec.n_x)
    assert image == pytest.approx(np.tile(x, (plan.spec.n_y, 1)))


def test_pixel_of_a_map_is_the_mean_of_its_frames_that_are_ok():
    plan, log = flown(MemorySamples(), n_x=2, repeats=2)
    at = np.flatnonzero((plan.frame_ix == 0) & (plan.frame_iy == 0))
    first, second = log.column("x_I")[at].tolist()
    assert first != second
    assert log.map_of("x_I")[0, 0] == pytest.approx((first + second) / 2)
    log.frames_ended(a_frame(at[0], FrameState.LATE))
    assert log.map_of("x_I")[0, 0] == second
    log.frames_ended(a_frame(at[1], FrameState.MISSED))
    assert np.isnan(log.map_of("x_I")[0, 0])
    # The last state of a frame counts: a gap that was filled is none.
    log.frames_ended(a_frame(at[1], FrameState.OK, x_I=0.25))
    assert log.map_of("x_I")[0, 0] == 0.25


def test_muted_frames_have_maps_of_their_own():
    plan, log = flown(MemorySamples(), differential=True)
    lines = {muted: log.map_of("line", muted=muted) for muted in (False, True)}
    rows = np.arange(plan.spec.n_x)
    assert (lines[False] == 2 * rows).all()
    assert (lines[True] == 2 * rows + 1).all()
    maps = MapStream("maps", None, lambda: log)
    found = {name: value["value"] for name, value in maps.read().items()}
    assert set(found) == set(maps.describe())
    for channel in CHANNELS:
        assert found[f"map_{channel}"] == log.map_of(channel).tolist()
        muted = log.map_of(channel, muted=True)
        assert found[f"map_{channel}_muted"] == muted.tolist()
        assert (muted != log.map_of(channel)).all()


def test_only_a_differential_map_has_muted_images():
    _, log = flown(MemorySamples())
    names = set(MapStream("maps", None, lambda: log).describe())
    assert names == {*(f"map_{channel}" for channel in CHANNELS), "map_x", "map_y"}


def test_the_time_budget_adds_up_to_the_flight():
    _, log = flown(MemorySamples())
    budget = log.budget_s()
    assert sum(budget.values()) == pytest.approx(log.results.flight_s)
    assert set(budget) == {
        "budget_turnaround_s",
        "budget_run_up_s",
        "budget_window_s",
        "budget_run_down_s",
        "budget_other_s",
    }


def test_health_tells_which_records_found_no_room():
    _, log = flown(MemorySamples())
    log.results = dataclasses.replace(
        log.results,
        n_lost={"readings": 3, "fixes": 0},
        lost_spans={"readings": (17, 40)},
    )
    health = HealthStream("health", None, lambda: log)
    found = {name: value["value"] for name, value in health.read().items()}
    assert found["lost_readings"] == 3
    assert (found["lost_readings_first"], found["lost_readings_last"]) == (17, 40)
    assert (found["lost_fixes"], found["lost_fixes_first"]) == (0, -1)
    assert set(health.describe()) == set(found)
