"""The documents of flights in virtual time, however they end."""

import json
import sys
from importlib import resources

import h5py
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from flyer_bench import FRAMES, LINES

from aefi_bluesky.domain.errors import (
    AefiError,
    DeviceProtocolError,
    DeviceTimeoutError,
    DeviceUnavailableError,
    MotionFaultError,
)
from aefi_bluesky.domain.flight.load import FRAME_BYTES
from aefi_bluesky.domain.results.scan_results import FrameState

MESSAGES = 73
"""Messages of the plan that flies the small map, from stage to unstage."""

LAST_OF_FLIGHT = 56
"""From here on the closing baseline may be under way: the flight is done."""

BIG = {"n_x": 41, "n_y": 21, "x_min_mm": 600.0, "x_max_mm": 660.0}
BIG_FRAMES = 41 * 21


# -- success ------------------------------------------------------------------


def test_completed_flight_hands_out_every_frame_once(bench):
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert set(run.column("primary", "state")) == {"ok"}
    assert (run.stop["exit_status"], run.stop["reason"]) == ("success", "")
    assert run.column("baseline", "excitation") == ["unknown", "off"]


def test_each_stream_has_its_rows(bench):
    run = bench.fly()
    run.check_pages_of_lines()
    counts = run.stop["num_events"]
    assert counts["primary"] == FRAMES
    assert counts["lines"] == len(run.pages("lines")) == len(run.pages("primary"))
    assert counts["lines"] == LINES
    assert (counts["maps"], counts["health"], counts["baseline"]) == (1, 1, 2)
    (path,) = (bench.folder / "raw").glob("*.h5")
    with h5py.File(path, swmr=True) as file:
        for stream in ("readings", "fixes"):
            lengths = {len(column) for column in file[stream].values()}
            assert lengths == {counts[stream]}


def test_time_of_lines_and_of_their_link_is_that_of_the_flight(bench):
    run = bench.fly(**BIG)
    (flight_s,) = run.column("health", "flight_s")
    parts = ("turnaround", "run_up", "window", "run_down"), ("link", "host")
    for names in parts:
        spent_s = sum(sum(run.column("lines", name)) for name in names)
        assert 0.99 * flight_s < spent_s <= flight_s
    assert min(run.column("lines", "host")) >= 0


def test_aimed_readings_are_one_a_frame_and_near_its_centre(bench):
    run = bench.fly(trigger="positions")
    run.check_frames_once(FRAMES)
    assert set(run.column("primary", "count")) == {1}
    assert set(run.column("primary", "state")) == {"ok"}
    off = np.subtract(run.column("primary", "y"), run.column("primary", "y_nominal"))
    assert np.abs(off).max() < 5.0 / 4
    late = run.column("health", "reading_late_max_s") + run.column("primary", "late")
    assert min(late) >= 0
    assert max(late) < 0.02
    assert run.start["scan_spec"]["trigger"] == {"kind": "positions", "period_s": 0.0}


WIRING = """
[wiring]
encoder_pulses_per_count = 0.390625
sync_output = true
digital_output = 5
latch = true
"""


@pytest.fixture
def wired_bench(make_bench, tmp_path):
    shipped = resources.files("aefi_bluesky.profiles") / "benches" / "simulated.toml"
    path = tmp_path / "wired.toml"
    path.write_text(shipped.read_text(encoding="utf-8") + WIRING, encoding="utf-8")
    return make_bench(bench=path)


@pytest.mark.parametrize(
    ("trigger", "output"), [("sync-output", 2), ("digital-output", 5)]
)
def test_each_frame_has_its_pulse_by_wire(wired_bench, trigger, output):
    run = wired_bench.fly(trigger=trigger)
    run.check_frames_once(FRAMES)
    assert set(run.column("primary", "state")) == {"ok"}
    assert run.stop["exit_status"] == "success"
    rises = wired_bench.log().rises
    assert [rise["output"] for rise in rises] == [output] * FRAMES
    assert run.start["bench"]["wiring"]["digital_output"] == 5


def test_a_run_with_a_latch_and_no_edge_is_like_any_other(wired_bench):
    run = wired_bench.fly(trigger="latch")
    run.check_frames_once(FRAMES)
    assert set(run.column("primary", "state")) == {"ok"}


def test_maps_hold_the_frames_of_primary(bench):
    run = bench.fly()
    ((image,),) = (run.column("maps", "map_x_I"),)
    image = np.array(image)
    assert image.shape == (9, 5)
    ix = np.rint((np.array(run.column("primary", "x_nominal")) - 620.0) / 7.5)
    iy = np.rint((np.array(run.column("primary", "y_nominal")) - 590.0) / 5.0)
    found = image[iy.astype(int), ix.astype(int)]
    assert found.tolist() == run.column("primary", "x_I")


def test_start_document_tells_what_is_flown(bench):
    start = bench.fly(md={"sample": "a sphere"}).start
    assert start["plan_name"] == "fly_map"
    assert start["sample"] == "a sphere"
    assert start["scan_spec"]["n_x"] == 5
    assert start["flight_plan"]["frames"] == FRAMES
    assert len(start["flight_plan"]["sha256"]) == 64
    assert start["bench"]["detector"]["vref_v"] == 2.442
    assert start["hints"] == {"dimensions": [[["line"], "lines"]]}


def test_only_lines_are_hinted_for_plots(bench):
    hints = {
        doc["name"]: [
            field for hint in doc["hints"].values() for field in hint["fields"]
        ]
        for doc in bench.fly().of_kind("descriptor")
    }
    assert hints.pop("lines") == ["n_ok", "reading_rate", "fix_rate"]
    assert hints.pop("baseline") == ["excitation"]  # printed, not plotted
    assert set(map(tuple, hints.values())) == {()}


def test_second_flight_of_a_flyer_is_a_run_of_its_own(bench):
    bench.fly()
    first = bench.run.documents[:]
    bench.run.documents.clear()
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert run.start["uid"] != first[0][1]["uid"]


# -- pause and resume -----------------------------------------------------------


@pytest.mark.parametrize("message", range(1, MESSAGES, 2))
def test_pause_at_any_message_loses_and_doubles_nothing(
    bench, pause_at_message, message
):
    pause_at_message(bench, message)
    assert bench.fly_until_paused()
    bench.RE.resume()
    bench.run.check()
    bench.run.check_pages_of_lines()
    bench.run.check_frames_once(FRAMES)
    assert bench.run.stop["exit_status"] == "success"


@pytest.mark.parametrize("after_ms", range(0, 120, 10))
def test_hard_pause_in_flight_loses_and_doubles_nothing(
    bench, pause_in_flight, after_ms
):
    pause_in_flight(bench, after_ms / 1000)
    if bench.fly_until_paused(**BIG):
        bench.RE.resume()
    bench.run.check()
    bench.run.check_pages_of_lines()
    bench.run.check_frames_once(BIG_FRAMES)
    assert set(bench.run.column("primary", "state")) == {"ok"}
    assert min(bench.run.column("lines", "host")) >= 0
    assert bench.run.stop["exit_status"] == "success"


def test_flight_survives_pause_after_pause(bench, pause_at_message, pause_at_next_wait):
    pause_at_message(bench, 20)
    assert bench.fly_until_paused(**BIG)
    for _ in range(5):
        pause_at_next_wait(bench)
        with pytest.raises(RunEngineInterrupted):
            bench.RE.resume()
    bench.RE.resume()
    bench.run.check()
    bench.run.check_frames_once(BIG_FRAMES)
    assert bench.run.stop["exit_status"] == "success"


@pytest.mark.parametrize("message", [1, 8, 18, 22, 30, 45])
def test_deferred_pause_waits_for_the_end_of_a_line(bench, pause_at_message, message):
    pause_at_message(bench, message, defer=True)
    assert bench.fly_until_paused()
    lines = len(bench.run.pages("lines"))
    assert [len(page["frame"]) for page in bench.run.pages("primary")] == [9] * lines
    bench.RE.resume()
    bench.run.check()
    bench.run.check_frames_once(FRAMES)
    assert bench.run.stop["exit_status"] == "success"


# -- abort, stop, halt ----------------------------------------------------------


@pytest.mark.parametrize("message", range(8, LAST_OF_FLIGHT, 6))
@pytest.mark.parametrize("end", ["abort", "stop"])
def test_ended_run_is_an_abort_with_its_cause(bench, pause_at_message, end, message):
    pause_at_message(bench, message)
    assert bench.fly_until_paused()
    getattr(bench.RE, end)()
    bench.run.check()
    assert bench.run.stop["exit_status"] == "abort"
    assert bench.run.reason["error"] == f"Request{end.capitalize()}"


@pytest.mark.parametrize("message", range(8, LAST_OF_FLIGHT, 6))
def test_halted_run_is_closed_and_its_flight_stops(bench, pause_at_message, message):
    # The RunEngine asks no plan what the cause was: the reason stays empty.
    pause_at_message(bench, message)
    assert bench.fly_until_paused()
    bench.RE.halt()
    bench.run.check()
    assert bench.run.stop["exit_status"] == "abort"
    assert bench.flyer.wait_for_end(10.0)


@pytest.mark.parametrize("end", ["abort", "stop", "halt"])
@pytest.mark.parametrize("after_ms", [0, 5, 15, 30])
def test_flight_ended_midway_hands_out_what_it_has(
    bench, pause_in_flight, end, after_ms
):
    pause_in_flight(bench, after_ms / 1000)
    assert bench.fly_until_paused(**BIG)
    getattr(bench.RE, end)()
    run = bench.run
    run.check()
    assert run.stop["exit_status"] == "abort"
    assert bench.flyer.wait_for_end(10.0)
    frames = run.column("primary", "frame")
    assert len(set(frames)) == len(frames)
    if end != "halt":
        ended = BIG_FRAMES - run.reason["frames"]["not-reached"]
        assert len(frames) == ended
        assert run.column("health", "state") == [run.reason["state"]]
        assert run.column("baseline", "excitation") == ["unknown", "off"]
        for stream in ("readings", "fixes"):
            taken = run.column("health", f"{stream}_taken")
            assert taken == [run.stop["num_events"][stream]]


def test_flyer_flies_again_after_an_abort(bench, pause_in_flight):
    pause_in_flight(bench, 0.0)
    assert bench.fly_until_paused(**BIG)
    bench.RE.abort()
    bench.RE.msg_hook = None
    bench.run.documents.clear()
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert run.stop["exit_status"] == "success"


# -- failure --------------------------------------------------------------------

FAULTS = {
    "at 8s do silence": (DeviceTimeoutError, "stage did not answer"),
    "at 8s do silence acquisition": (DeviceTimeoutError, "acquisition did not answer"),
    "at 8s do stall-detector 60000": (DeviceTimeoutError, "acquisition did not answer"),
    "at 8s do hang-up": (AefiError, "stage"),
    "at 8s do hang-up acquisition": (AefiError, "acquisition"),
    "at 8s do limit": (MotionFaultError, "limit"),
    "at 8s do alarm": (MotionFaultError, "alarm"),
    "at 8s do errored": (DeviceProtocolError, "ERRORED"),
    "at 8s do power-cycle": (MotionFaultError, "reports 0 steps"),
    "at 0s do wrong-identity": (DeviceUnavailableError, "2ED07"),
    "at 0s do silence": (DeviceTimeoutError, "stage did not answer"),
}


@pytest.mark.parametrize("script", FAULTS)
def test_failed_flight_raises_its_cause_and_stores_it(make_bench, script):
    error, sentence = FAULTS[script]
    bench = make_bench(script=script)
    with pytest.raises(error, match=sentence):
        bench.fly()
    run = bench.run
    run.check()
    assert run.stop["exit_status"] == "fail"
    assert sentence in run.reason["cause"]
    assert run.reason["state"] == "failed"
    assert sum(run.reason["frames"].values()) == FRAMES
    ended = FRAMES - run.reason["frames"]["not-reached"]
    assert len(run.column("primary", "frame")) == ended
    assert run.column("health", "cause") == [run.reason["cause"]]


def test_too_few_readings_for_a_frame_fail_the_run(make_bench):
    bench = make_bench(script="at 8.7s do stall-detector 400")
    with pytest.raises(AefiError, match=r"of 45 frames are not ok, 0 were allowed"):
        bench.fly()
    bench.run.check()
    assert bench.run.stop["exit_status"] == "fail"
    bad = FRAMES - bench.run.reason["frames"][FrameState.OK]
    assert bad > 0


def test_bad_frames_may_be_allowed(make_bench):
    bench = make_bench(script="at 8.7s do stall-detector 400")
    run = bench.fly(allowed_bad_frames=9)
    run.check()
    assert run.stop["exit_status"] == "success"


# -- the same again -------------------------------------------------------------

WALL_CLOCK = {"time", "timestamps", "uid", "run_start", "descriptor", "scan_id"}
WALL_CLOCK |= {"stream_resource", "uri", "versions"}


def without_wall_clock(value):
    if isinstance(value, dict):
        return {
            key: without_wall_clock(inner)
            for key, inner in value.items()
            if key not in WALL_CLOCK
        }
    return value


def comparable(run):
    """The documents without wall clock and identifiers; NaN made equal to itself."""
    for name, doc in run.documents:
        kept = without_wall_clock(doc)
        if name == "descriptor":
            for stamps in kept["configuration"].values():
                stamps.pop("timestamps", None)
            for key in kept["data_keys"].values():
                key.pop("source")  # the file's name
        # The RunEngine keeps devices in sets: the order of keys is not ours.
        yield name, json.dumps(kept, sort_keys=True)


def test_same_seed_gives_the_same_documents(make_bench):
    first, second = make_bench(seed=5), make_bench(seed=5)
    one = list(comparable(first.fly()))
    two = list(comparable(second.fly()))
    assert one == two


def test_another_seed_gives_other_voltages(make_bench):
    first, second = make_bench(seed=5), make_bench(seed=6)
    assert first.fly().column("primary", "x_I") != second.fly().column("primary", "x_I")


def _bytes_of(value, seen):
    """Bytes of plain values, all that they hold included, each object once."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    held = value.values() if isinstance(value, dict) else value
    inside = held if isinstance(value, dict | list) else ()
    return sys.getsizeof(value) + sum(_bytes_of(each, seen) for each in inside)


def test_documents_of_a_frame_take_what_planning_allows_for(bench):
    """All columns and their time stamps, as the page of a line holds them."""
    # Long lines: what a page has once counts little.
    bench.fly(**BIG)
    descriptors = bench.run.descriptors()
    pages = [
        page
        for page in bench.run.of_kind("event_page")
        if descriptors[page["descriptor"]] == "primary"
    ]
    taken = _bytes_of(pages, set()) / BIG_FRAMES
    assert FRAME_BYTES / 4 < taken < FRAME_BYTES
