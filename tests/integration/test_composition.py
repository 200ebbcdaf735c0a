"""The flyscan with everything else that Bluesky has, in virtual time."""

import threading
from collections import Counter

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.simulators import RunEngineSimulator, check_limits, summarize_plan
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import FailedStatus, IllegalMessageSequence, RunEngineInterrupted
from flyer_bench import FRAMES, LINES, MAP, VirtualBench
from ophyd import Signal
from ophyd.sim import SynAxis, SynGauss

from aefi_bluesky.devices import NestedFlyer
from aefi_bluesky.domain.errors import (
    AefiError,
    IllegalTransitionError,
    InfeasibleScanError,
    InvalidScanSpecError,
)
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.spec.fly_spec import Excitation, FlyScanSpec, Pattern, Zone
from aefi_bluesky.plans import (
    fly_in_run,
    fly_line,
    fly_lines,
    fly_map,
)
from aefi_bluesky.plans.fly import start_document
from aefi_bluesky.storage.runs.writer import DocumentWriter
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.testing.fakes import RecordingObserver
from aefi_bluesky.views.line_table import LineTable

BIG = {**MAP, "n_x": 41, "n_y": 21, "x_min_mm": 600.0, "x_max_mm": 660.0}
LONG = {**BIG, "n_x": 81, "y_min_mm": 560.0, "y_max_mm": 650.0, "n_y": 31}


@pytest.fixture
def motor():
    return SynAxis(name="motor")


@pytest.fixture
def det(motor):
    return SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1)


def the_map(**changes):
    """The small map as a spec."""
    zone = Zone(*(MAP[name] for name in ("x_min_mm", "x_max_mm")), 590.0, 630.0)
    given = {
        "zone": zone,
        "n_x": 5,
        "n_y": 9,
        "pattern": Pattern.SERPENTINE,
        "fast_axis": "y",
        "speed_mm_per_s": 32.7,
        "n_avg": 10,
        "excitation": Excitation.off(),
    }
    return FlyScanSpec(**{**given, **changes})


def flight_plan(bench, **changes):
    return bench.flyer.plan(the_map(**changes))


# -- a line --------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "shape"), [("y", (9, 1)), ("x", (1, 9))])
def test_a_line_has_the_streams_and_keys_of_a_map(bench, axis, shape):
    def keys(run):
        return {doc["name"]: set(doc["data_keys"]) for doc in run.of_kind("descriptor")}

    of_a_map = keys(bench.fly())
    bench.run.documents.clear()
    bench.RE(fly_line(bench.flyer, 620.0, 600.0, 640.0, 9, axis))
    run = bench.run
    run.check()
    run.check_frames_once(9)
    assert keys(run) == of_a_map
    assert set(run.column("primary", "state")) == {"ok"}
    slow = "x" if axis == "y" else "y"
    assert set(run.column("primary", f"{slow}_nominal")) == {620.0}
    assert np.shape(run.column("maps", "map_z_Q")[0]) == shape


def test_start_document_tells_the_plan_and_its_arguments(bench):
    bench.RE(fly_line(bench.flyer, 620.0, 600.0, 640.0, 9, n_avg=4))
    line = bench.run.start
    bench.run.documents.clear()
    whole = bench.fly().start
    assert line["plan_name"] == "fly_line"
    assert line["plan_args"]["flyer"] == "flyer"
    assert (line["plan_args"]["slow_mm"], line["plan_args"]["n_avg"]) == (620.0, 4)
    assert whole["plan_name"] == "fly_map"
    assert whole["plan_args"]["n_x"] == 5
    assert "md" not in whole["plan_args"]


def test_a_line_that_makes_no_sense_is_refused(bench):
    with pytest.raises(InvalidScanSpecError, match="fast axis must be 'x' or 'y'"):
        bench.RE(fly_line(bench.flyer, 620.0, 600.0, 640.0, 9, "z"))
    with pytest.raises(InfeasibleScanError):
        bench.RE(fly_line(bench.flyer, 620.0, 600.0, 1e5, 9))
    assert bench.run.documents == []


# -- inside a run of others --------------------------------------------------------


def test_lines_are_flown_between_the_readings_of_other_devices(bench, det, motor):
    @bpp.stage_decorator([bench.flyer, det])
    @bpp.run_decorator(md={"plan_name": "mixed"})
    def mixed():
        yield from bps.mv(motor, 1.0)
        yield from bps.trigger_and_read([det, motor], name="before")
        yield from bps.prepare(bench.flyer, flight_plan(bench), wait=True)
        yield from fly_lines(bench.flyer)
        yield from bps.mv(motor, 2.0)
        yield from bps.trigger_and_read([det, motor], name="after")

    bench.RE(mixed())
    run = bench.run
    run.check("before", "after")
    run.check_frames_once(FRAMES)
    assert run.start["plan_name"] == "mixed"
    assert run.column("before", "motor") == [1.0]
    assert run.column("after", "motor") == [2.0]
    assert run.stop["exit_status"] == "success"


def test_a_flight_at_each_position_of_a_foreign_motor_is_a_run_each(bench, motor):
    def stack():
        for z in (0.0, 1.0, 2.0):
            yield from bps.mv(motor, z)
            yield from fly_map(bench.flyer, **MAP, md={"z_mm": z})

    bench.RE(stack())
    runs = bench.run.runs()
    assert [run.start["z_mm"] for run in runs] == [0.0, 1.0, 2.0]
    for run in runs:
        run.check()
        run.check_frames_once(FRAMES)


def stack_in_one_run(bench, motor, plans):
    @bpp.stage_decorator([bench.flyer])
    @bpp.run_decorator(md=start_document(bench.flyer, plans[0]))
    def stack():
        for z, plan in enumerate(plans):
            yield from bps.mv(motor, float(z))
            yield from bps.trigger_and_read([motor], name="height")
            yield from fly_in_run(bench.flyer, plan)

    return stack()


def check_flights(run, flights):
    run.check("height")  # each stream is described once, its rows count on
    frames = Counter(run.column("primary", "frame"))
    assert frames == Counter(dict.fromkeys(range(FRAMES), flights))
    counts = run.stop["num_events"]
    assert counts["primary"] == flights * FRAMES
    assert counts["lines"] == flights * LINES
    assert (counts["maps"], counts["health"]) == (flights, flights)
    for stream in ("readings", "fixes"):
        taken = run.column("health", f"{stream}_taken")
        assert sum(taken) == counts[stream]
    files = Counter(doc["uri"] for doc in run.of_kind("stream_resource"))
    assert len(files) == flights


def test_all_flights_of_a_foreign_motor_may_be_one_run(bench, motor):
    bench.RE(stack_in_one_run(bench, motor, [flight_plan(bench)] * 3))
    check_flights(bench.run, 3)
    assert bench.run.column("height", "motor") == [0.0, 1.0, 2.0]
    images = bench.run.column("maps", "map_x_I")
    voltages = bench.run.column("primary", "x_I")
    for number, image in enumerate(images):
        of_flight = voltages[number * FRAMES : (number + 1) * FRAMES]
        assert sorted(np.ravel(image)) == sorted(of_flight)


@pytest.mark.parametrize("message", range(2, 107, 4))
def test_pause_at_any_message_flies_each_map_of_a_run_once(
    bench, motor, pause_at_message, message
):
    # Whatever is no flight is replayed as ever, the baseline too: so there is none.
    bench.RE.preprocessors.clear()

    @bpp.stage_decorator([bench.flyer])
    @bpp.run_decorator()
    def two():
        for z in (0.0, 1.0):
            yield from bps.mv(motor, z)
            yield from fly_in_run(bench.flyer, flight_plan(bench))

    pause_at_message(bench, message)
    with pytest.raises(RunEngineInterrupted):
        bench.RE(two())
    bench.RE.resume()
    check_flights(bench.run, 2)
    assert bench.run.stop["exit_status"] == "success"


def test_a_run_has_maps_of_one_shape(bench, motor):
    plans = [flight_plan(bench), flight_plan(bench, n_x=4)]
    with pytest.raises(IllegalTransitionError, match=r"\(9, 5\) .* \(9, 4\)"):
        bench.RE(stack_in_one_run(bench, motor, plans))
    bench.run.check("height")
    bench.run.check_frames_once(FRAMES)
    assert bench.run.stop["exit_status"] == "fail"
    bench.run.documents.clear()
    bench.RE(stack_in_one_run(bench, motor, plans[1:]))  # in a run of its own it may
    bench.run.check("height")


def test_primary_of_other_devices_is_refused_by_name(bench, det):
    @bpp.stage_decorator([bench.flyer])
    @bpp.run_decorator()
    def collides():
        yield from bps.trigger_and_read([det])
        yield from fly_in_run(bench.flyer, flight_plan(bench))

    with pytest.raises(IllegalTransitionError, match=r"stream 'primary' .* devices"):
        bench.RE(collides())
    assert not bench.flyer.is_flying
    assert bench.run.stop["exit_status"] == "fail"
    assert not bench.log().moved


def test_flight_of_a_stack_that_fails_leaves_what_it_measured(make_bench, motor):
    bench = make_bench(script="at 60s do silence")
    with pytest.raises(AefiError, match="stage did not answer"):
        bench.RE(stack_in_one_run(bench, motor, [flight_plan(bench)] * 9))
    run = bench.run
    run.check("height")
    states = run.column("health", "state")
    assert set(states[:-1]) == {"completed"}
    assert states[-1] == "failed"
    assert run.stop["exit_status"] == "fail"


def test_flyer_that_was_not_prepared_again_does_not_fly_nothing(bench):
    @bpp.stage_decorator([bench.flyer])
    @bpp.run_decorator()
    def twice():
        yield from fly_in_run(bench.flyer, flight_plan(bench))
        yield from fly_lines(bench.flyer)

    with pytest.raises(IllegalTransitionError, match="not prepared since its last"):
        bench.RE(twice())
    bench.run.check()
    bench.run.check_frames_once(FRAMES)


# -- bluesky's own fly plans ----------------------------------------------------------


def prepared(bench, plan, **changes):
    """`plan` with the flyer staged and prepared for the small map."""

    @bpp.stage_decorator([bench.flyer])
    def whole():
        yield from bps.prepare(bench.flyer, flight_plan(bench, **changes), wait=True)
        yield from bps.checkpoint()
        return (yield from plan)

    return whole()


def check_nested(run, primary="primary", *, frames=FRAMES, lines=LINES):
    assert sorted(run.column(primary, "frame")) == list(range(frames))
    assert run.column("lines", "lines_line") == list(range(lines))
    assert run.column("health", "health_state") == ["completed"]
    assert run.stop["exit_status"] == "success"
    image = np.array(run.column("maps", "map_x_I")[0])
    assert sorted(image.ravel()) == sorted(run.column(primary, "x_I"))


def test_stock_fly_plan_has_every_frame_and_line(bench, capsys):
    bench.RE.subscribe(LineTable())
    nested = NestedFlyer(bench.flyer)
    bench.RE(prepared(bench, bp.fly([nested])))
    run = bench.run
    run.check()
    check_nested(run)
    (descriptor,) = (d for d in run.of_kind("descriptor") if d["name"] == "lines")
    configuration = descriptor["configuration"]["flyer_nested"]["data"]
    (path,) = (bench.folder / "raw").glob("*.h5")
    assert configuration["flyer_samples"].endswith(path.name)
    assert capsys.readouterr().out.count("|") > LINES


OUTLASTING = {"n_x": 241, "n_y": 31, "zone": Zone(600.0, 660.0, 560.0, 650.0)}
"""A map whose flight in virtual time outlasts the way of a pause by far."""


@pytest.mark.parametrize("after_ms", [0, 10, 30])
def test_hard_pause_of_the_stock_fly_plan_loses_nothing(
    bench, pause_in_flight, after_ms
):
    # A plan without checkpoints is replayed from its beginning, baseline included;
    # so it must not be paused when its run is closed already.
    bench.RE.preprocessors.clear()
    pause_in_flight(bench, after_ms / 1000)
    plan = bp.fly([NestedFlyer(bench.flyer)])
    with pytest.raises(RunEngineInterrupted):
        bench.RE(prepared(bench, plan, **OUTLASTING))
    assert bench.flyer.is_flying
    bench.RE.resume()
    bench.run.check()
    check_nested(bench.run, frames=241 * 31, lines=241)


@pytest.mark.parametrize("end", ["abort", "stop", "halt"])
def test_interrupted_stock_fly_plan_stops_its_flight(bench, pause_in_flight, end):
    pause_in_flight(bench, 0.0)
    plan = flight_plan(bench, **OUTLASTING)

    def unstaged():
        yield from bps.prepare(bench.flyer, plan, wait=True)
        yield from bps.checkpoint()
        yield from bp.fly([NestedFlyer(bench.flyer)])

    with pytest.raises(RunEngineInterrupted):
        bench.RE(unstaged())
    getattr(bench.RE, end)()
    assert bench.flyer.wait_for_end(10.0)
    assert bench.flyer.results.state.value == "stopped"
    bench.run.check()


def test_failed_flight_of_the_stock_fly_plan_keeps_its_rows(make_bench):
    bench = make_bench(script="at 8s do silence")
    with pytest.raises(FailedStatus):
        bench.RE(prepared(bench, bp.fly([NestedFlyer(bench.flyer)])))
    bench.run.check()
    assert bench.run.stop["exit_status"] == "fail"
    assert bench.run.column("health", "health_state") == ["failed"]
    assert len(bench.run.column("primary", "frame")) > 0


def test_stock_fly_plan_without_preparing_again_is_refused(bench):
    nested = NestedFlyer(bench.flyer)
    bench.RE(prepared(bench, bp.fly([nested])))
    with pytest.raises(IllegalTransitionError, match="not prepared since its last"):
        bench.RE(bp.fly([nested]))


def test_flight_goes_on_during_a_count(bench, det):
    nested = NestedFlyer(bench.flyer, primary="frames")
    plan = bpp.fly_during_wrapper(bp.count([det], num=3), [nested])
    bench.RE(prepared(bench, plan))
    run = bench.run
    run.check("frames")
    check_nested(run, "frames")
    assert len(run.column("primary", "det")) == 3
    assert run.start["plan_name"] == "count"


def test_fly_during_decorates_a_plan(bench, det):
    @bpp.fly_during_decorator([NestedFlyer(bench.flyer, primary="frames")])
    def counted():
        yield from bp.count([det], num=2)

    bench.RE(prepared(bench, counted()))
    check_nested(bench.run, "frames")


# -- preprocessors around the plan -------------------------------------------------


def test_run_inside_a_run_is_refused_by_name(bench):
    plan = bpp.run_wrapper(fly_map(bench.flyer, **MAP))
    with pytest.raises(IllegalMessageSequence, match="close_run"):
        bench.RE(plan)
    bench.run.check()
    assert not bench.flyer.is_flying
    assert bench.run.stop["exit_status"] == "fail"
    bench.run.documents.clear()
    bench.fly().check_frames_once(FRAMES)


def test_run_with_a_key_flies_beside_an_open_run(bench, det):
    @bpp.run_decorator(md={"plan_name": "outer"})
    def outer():
        yield from bps.trigger_and_read([det])
        yield from bpp.set_run_key_wrapper(fly_map(bench.flyer, **MAP), "map")
        yield from bps.trigger_and_read([det])

    bench.RE(outer())
    around, flown = bench.run.runs()
    around.check()
    flown.check()
    flown.check_frames_once(FRAMES)
    assert len(around.column("primary", "det")) == 2
    assert flown.stop["exit_status"] == around.stop["exit_status"] == "success"


def test_staged_again_with_another_baseline_and_a_monitor(bench, det, motor):
    watched = Signal(name="watched", value=0)

    @bpp.stage_decorator([det])
    @bpp.baseline_decorator([motor], name="motor_baseline")
    @bpp.monitor_during_decorator([watched])
    def plan():
        return (yield from fly_map(bench.flyer, **MAP))

    bench.RE.subscribe(lambda *_: watched.put(watched.get() + 1), "event_page")
    bench.RE(plan())
    run = bench.run
    run.check("motor_baseline", "watched_monitor")
    run.check_frames_once(FRAMES)
    assert len(run.column("motor_baseline", "motor")) == 2
    assert len(run.column("watched_monitor", "watched")) > 1


class TripOnce(RecordingObserver):
    """Raises a signal once a line was flown, and has it lowered soon after."""

    def __init__(self, signal):
        super().__init__()
        self.signal = signal
        self.timer = threading.Timer(0.5, signal.put, (0,))

    def lines_ended(self, lines):
        super().lines_ended(lines)
        if self.names.count("lines_ended") == 1:
            self.signal.put(1)
            self.timer.start()


@pytest.mark.parametrize("way", ["installed", "decorated"])
def test_suspender_stops_the_flight_with_a_ramp_and_lets_it_go_on(make_bench, way):
    signal = Signal(name="door", value=0)
    trip = TripOnce(signal)
    bench = make_bench(observers=[trip])
    suspender = SuspendBoolHigh(signal)
    plan = fly_map(bench.flyer, **LONG)
    if way == "installed":
        bench.RE.install_suspender(suspender)
    else:
        plan = bpp.suspend_wrapper(plan, suspender)
    bench.RE(plan)
    trip.timer.join()
    run = bench.run
    run.check()
    run.check_frames_once(LONG["n_x"] * LONG["n_y"])
    assert set(run.column("primary", "state")) == {"ok"}
    assert run.stop["exit_status"] == "success"
    assert ScanState.PAUSED in trip.values("state_changed")
    assert run.column("health", "sent_aborts") == [0]
    assert run.column("health", "sent_stops")[0] >= 1
    if way == "installed":
        bench.RE.remove_suspender(suspender)


def test_metadata_of_every_origin_is_in_the_start_document(bench):
    bench.RE.md["proposal"] = "p1"
    plan = bpp.inject_md_wrapper(
        fly_map(bench.flyer, **MAP, md={"sample": "sphere"}), {"injected": True}
    )
    bench.RE(plan, operator="me")
    start = bench.run.start
    told = [start[key] for key in ("proposal", "sample", "injected", "operator")]
    assert told == ["p1", "sphere", True, "me"]
    assert start["plan_name"] == "fly_map"


def test_mutators_leave_the_plan_whole(bench, det):
    seen = Counter()

    def count(message):
        seen[message.command] += 1
        return message

    def insert(message):
        if message.command == "open_run":
            return None, bps.trigger_and_read([det], name="inserted")
        return None, None

    plan = bpp.msg_mutator(fly_map(bench.flyer, **MAP), count)
    uids = bench.RE(bpp.plan_mutator(plan, insert))
    run = bench.run
    run.check("inserted")
    run.check_frames_once(FRAMES)
    assert seen["kickoff"] == seen["complete"] == seen["open_run"] == 1
    assert uids == (run.start["uid"],)


# -- without a RunEngine ------------------------------------------------------------


def test_plans_can_be_looked_at_without_a_bench(bench, capsys):
    def both():
        yield from fly_map(bench.flyer, **MAP)
        yield from bpp.run_wrapper(fly_in_run(bench.flyer, flight_plan(bench)))

    summarize_plan(both())
    assert capsys.readouterr().out.count("Open Run") == 2
    check_limits(both())
    commands = Counter(m.command for m in RunEngineSimulator().simulate_plan(both()))
    assert commands["kickoff"] == commands["complete"] == 2
    assert commands["declare_stream"] == 8
    assert commands["open_run"] == commands["close_run"] == 2
    assert bench.flyer.results is None
    assert not bench.log().moved
    assert not (bench.folder / "raw").exists()


def test_looking_at_a_plan_leaves_the_last_flight_alone(bench):
    bench.fly()
    image = bench.flyer.map_of("x_I")
    RunEngineSimulator().simulate_plan(fly_map(bench.flyer, **BIG))
    assert np.array_equal(bench.flyer.map_of("x_I"), image)


def test_limits_of_the_stage_are_checked_without_moving(bench):
    with pytest.raises(InfeasibleScanError):
        check_limits(fly_map(bench.flyer, **{**MAP, "y_max_mm": 1e5}))


# -- again and again ----------------------------------------------------------------


def test_maps_are_repeated(bench):
    bench.RE(bps.repeat(lambda: fly_map(bench.flyer, **MAP), num=3))
    runs = bench.run.runs()
    assert len(runs) == 3
    for run in runs:
        run.check()
        run.check_frames_once(FRAMES)


def test_map_flies_after_one_that_failed(make_bench):
    bench = make_bench(script="at 8.7s do stall-detector 400")
    with pytest.raises(AefiError, match="frames are not ok"):
        bench.fly()
    bench.run.documents.clear()
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert run.stop["exit_status"] == "success"


@pytest.mark.parametrize("end", ["abort", "stop", "halt"])
def test_map_flies_after_one_that_was_ended(bench, pause_in_flight, end):
    pause_in_flight(bench, 0.0)
    assert bench.fly_until_paused(**BIG)
    getattr(bench.RE, end)()
    assert bench.flyer.wait_for_end(10.0)
    bench.RE.msg_hook = None
    bench.run.documents.clear()
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert run.stop["exit_status"] == "success"


def test_a_plan_decides_by_the_last_map_where_to_fly_next(bench):
    zones = []

    def follow_the_maximum():
        x, y, half = 635.0, 610.0, 20.0
        for _ in range(3):
            zones.append((x - half, x + half, y - half, y + half))
            x_min, x_max, y_min, y_max = zones[-1]
            yield from fly_map(bench.flyer, x_min, x_max, 9, y_min, y_max, 9)
            image = np.abs(bench.flyer.map_of("x_I"))
            iy, ix = np.unravel_index(np.argmax(image), image.shape)
            x = float(np.linspace(x_min, x_max, 9)[ix])
            y = float(np.linspace(y_min, y_max, 9)[iy])
            half /= 2

    bench.RE(follow_the_maximum())
    runs = bench.run.runs()
    assert len(runs) == 3
    for run, zone in zip(runs, zones, strict=True):
        run.check()
        spec = run.start["scan_spec"]["zone"]
        assert tuple(spec.values()) == zone


def test_a_flyer_serves_one_run_engine_after_another(bench, new_run_engine):
    bench.fly()
    other = new_run_engine()
    assert isinstance(other, RunEngine)
    bench.run.documents.clear()
    other.subscribe(bench.run)
    other(fly_map(bench.flyer, **MAP))
    bench.run.check()
    bench.run.check_frames_once(FRAMES)


# -- in Tiled -----------------------------------------------------------------------


def test_tiled_has_all_flights_of_a_run_in_one_stream_each(
    new_run_engine, shared_tiled, motor
):
    server, folder = shared_tiled
    bench = VirtualBench(new_run_engine(), folder)
    writer = DocumentWriter(
        lambda: connect(server.uri, server.api_key), folder / "backup"
    )
    bench.RE.subscribe(writer)
    (uid,) = bench.RE(stack_in_one_run(bench, motor, [flight_plan(bench)] * 2))
    assert writer.flush(30)
    writer.close()
    bench.close()
    catalog = connect(server.uri, server.api_key)
    run = catalog[uid]
    counts = bench.run.stop["num_events"]
    assert len(run["primary"].read()["frame"]) == 2 * FRAMES
    assert run["maps"]["map_x_I"].read().shape == (2, 9, 5)
    for stream, column in (("readings", "code_1"), ("fixes", "counts")):
        values = run[stream][column].read()
        files = sorted((folder / "raw").glob("*.h5"), key=lambda f: f.stat().st_mtime)
        kept = []
        for path in files[-2:]:
            with h5py.File(path, swmr=True) as file:
                kept.append(file[stream][column][:])
        assert values.tolist() == np.concatenate(kept).tolist()
        assert len(values) == counts[stream]
    catalog.context.close()
