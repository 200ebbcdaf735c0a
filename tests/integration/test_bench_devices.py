"""Axes, sensor and excitation: Bluesky's own plans work on them, in virtual time."""

import threading
import time
from dataclasses import replace

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from aefi_bluesky.domain.errors import (
    DeviceTimeoutError,
    InvalidScanSpecError,
    MotionFaultError,
    PortBusyError,
    ScanAbortedError,
    ScanPortError,
)
from aefi_bluesky.domain.ports import MoveEnd
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    FlyScanSpec,
    Pattern,
    Zone,
)
from aefi_bluesky.session import Session

STEP_MM = 0.0218
"""Motor step of the simulated bench."""


SPEC = FlyScanSpec(
    zone=Zone(100, 1100, 100, 1100),
    n_x=201,
    n_y=201,
    pattern=Pattern.SERPENTINE,
    fast_axis="y",
    speed_mm_per_s=32.7,
    n_avg=10,
    excitation=Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0),
)
"""Long enough not to be over before somebody asks for something else."""


def run(bench, plan):
    """Run a plan and keep its documents only."""
    bench.run.documents.clear()
    bench.RE(plan)


def column(bench, name):
    return bench.run.column("primary", name)


def test_both_axes_are_moved_at_once_and_read_where_they_are(bench):
    run(bench, bps.mv(bench.x, 630.0, bench.y, 610.0))
    for axis, target in ((bench.x, 630.0), (bench.y, 610.0)):
        assert axis.position == pytest.approx(target, abs=STEP_MM / 2)
        assert not axis.moving
    reading = bench.x.read()
    assert reading["x_nominal"]["value"] == 630.0
    assert reading["x_lo"]["value"] <= reading["x"]["value"] <= reading["x_hi"]["value"]
    assert set(reading) == set(bench.x.describe())


def test_stock_plans_step_the_axes_and_read_the_sensor(bench):
    run(bench, bp.grid_scan([bench.sensor], bench.x, 630, 634, 3, bench.y, 600, 604, 2))
    assert len(column(bench, "x_I")) == 6
    assert np.allclose(column(bench, "x_nominal"), [630, 630, 632, 632, 634, 634])
    assert np.allclose(column(bench, "y"), [600, 604, 600, 604, 600, 604], atol=STEP_MM)
    run(bench, bp.rel_scan([bench.sensor], bench.y, -1, 1, 3))
    assert np.allclose(column(bench, "y"), [603, 604, 605], atol=2 * STEP_MM)
    run(bench, bp.count([bench.sensor], 4))
    times = column(bench, "t")
    assert times[0] < 1.0
    assert times == sorted(set(times))
    bench.run.check()


def test_a_sensor_averages_the_readings_of_a_trigger(bench):
    bench.sensor.n_readings.put(50)
    run(bench, bp.count([bench.sensor], 1))
    assert column(bench, "count") == [50]
    # 60 uV of noise and the quantisation of the bench's 10 conversions.
    assert 30e-6 < column(bench, "x_I_std")[0] < 120e-6


@pytest.mark.parametrize("target", [-1.0, 5000.0, float("nan"), "5"])
def test_a_target_outside_the_travel_is_refused_before_anything_moves(bench, target):
    before = bench.x.position
    with pytest.raises(InvalidScanSpecError, match=r"stage_x: target must be .* mm"):
        run(bench, bps.mv(bench.x, target))
    assert bench.x.position == before


def test_a_velocity_that_the_stage_lacks_is_refused(bench):
    bench.x.velocity.put(1e5)
    with pytest.raises(InvalidScanSpecError, match=r"axis x: speed must be .* mm/s"):
        run(bench, bps.mv(bench.x, 630))


def test_axes_sensor_and_excitation_are_refused_by_name_in_flight(make_bench):
    bench = make_bench()
    refusals = []

    def try_all():
        for attempt in (
            lambda: bench.x.set(630.0),
            lambda: bench.y.home(),
            lambda: bench.sensor.trigger().wait(),
            lambda: bench.excitation.set("off").wait(),
        ):
            try:
                attempt()
            except PortBusyError as err:
                refusals.append(str(err))

    # In virtual time a flight is over in no time, unless it is paused.
    bench.flyer.prepare(bench.flyer.plan(SPEC))
    bench.flyer.kickoff()
    bench.flyer.pause()
    try_all()
    bench.flyer.stop()
    assert bench.flyer.wait_for_end(10.0)
    assert len(refusals) == 4
    assert all("the bench is in flight" in each for each in refusals)
    assert "axis x cannot be moved" in refusals[0]


def test_the_truth_is_told_whoever_has_the_bench(make_bench):
    bench = make_bench()
    for target_mm in (100.0, 600.0) * 10:
        status = bench.x.set(target_mm)
        bench.log()  # before the move, or after it
        status.wait(10)
        bench.log()  # at once: the mover may not have given the bench back


def test_a_flight_begins_where_the_axes_were_left_and_they_go_on_after_it(bench):
    run(bench, bps.mv(bench.x, 600.0))
    bench.fly()
    assert bench.run.stop["exit_status"] == "success"
    # The last line's end, not where the axis was moved to before.
    assert bench.x.position == pytest.approx(650.0, abs=STEP_MM)
    run(bench, bps.mv(bench.x, 640.0))
    assert bench.x.position == pytest.approx(640.0, abs=STEP_MM)


def test_a_fault_of_the_stage_fails_the_move_by_name(make_bench):
    bench = make_bench(script="at 0s do silence stage")
    with pytest.raises(DeviceTimeoutError, match="stage did not answer"):
        bench.x.set(630.0)
    bench = make_bench(script="at n60 do alarm stage")
    status = bench.x.set(630.0)
    with pytest.raises(MotionFaultError, match="axis X reports alarm"):
        status.wait(10)
    bench.port.clear_errors()
    bench.x.set(631.0).wait(10)
    assert bench.x.position == pytest.approx(631.0, abs=STEP_MM)


def test_home_is_found(make_bench):
    bench = make_bench()
    run(bench, bps.mv(bench.x, 20.0))
    bench.x.home(wait=True)
    assert -10 < bench.x.position < 0


def test_the_excitation_is_on_for_the_plan_that_asks_for_it(bench):
    seen = []

    def plan():
        yield from bps.mv(bench.excitation, "on")
        seen.append(bench.excitation.state())
        yield from bp.count([bench.sensor], 1)

    run(bench, plan())
    driven = abs(column(bench, "x_I")[0])
    assert seen == ["on"]
    assert bench.excitation.state() == "off"
    # The lock-in forgets within some readings.
    run(bench, bp.count([bench.sensor], 10))
    assert abs(column(bench, "x_I")[-1]) < 0.01 * driven


def test_the_excitation_is_off_after_a_failed_and_an_aborted_plan(bench):
    def plan():
        yield from bps.mv(bench.excitation, "on")
        raise ValueError("as planned")

    with pytest.raises(ValueError, match="as planned"):
        run(bench, plan())
    assert bench.excitation.state() == "off"


def test_the_excitation_goes_on_after_a_pause(bench):
    def plan():
        yield from bps.mv(bench.excitation, "on")
        yield from bps.checkpoint()
        yield from bps.pause()
        yield from bp.count([bench.sensor], 1)

    with pytest.raises(RunEngineInterrupted):
        run(bench, plan())
    assert bench.excitation.state() == "off"
    bench.RE.resume()
    assert abs(column(bench, "x_I")[0]) > 1e-3
    assert bench.excitation.state() == "off"


def test_a_setting_is_checked_and_applied_at_once(bench):
    with pytest.raises(InvalidScanSpecError, match="s1s2 must be from 0 to 100 %"):
        bench.excitation.level_s1s2.put(101)

    def plan():
        yield from bps.mv(bench.excitation, "on")
        yield from bp.list_scan([bench.sensor], bench.excitation.level_s1s2, [100, 10])

    bench.excitation.level_s3s4.put(0.0)
    run(bench, plan())
    high, low = np.abs(column(bench, "x_I"))
    assert high > 3 * low


def test_a_pause_in_a_move_stops_the_stage_and_resume_goes_on(
    bench, pause_at_next_wait
):
    def plan():
        yield from bps.checkpoint()
        yield from bps.mv(bench.x, 900.0)

    pause_at_next_wait(bench)
    with pytest.raises(RunEngineInterrupted):
        run(bench, plan())
    bench.RE.resume()
    assert bench.x.position == pytest.approx(900.0, abs=STEP_MM)


def test_the_configuration_tells_what_recalibration_needs(bench):
    run(bench, bpp.run_wrapper(bps.trigger_and_read([bench.sensor, bench.x])))
    data = bench.run.configuration("primary", "sensor")
    assert data["sensor_vref_v"] == 2.442
    assert data["sensor_n_avg"] == 10
    assert bench.run.configuration("primary", "stage_x")["stage_x_velocity"] > 0


def test_an_adaptive_plan_steps_finer_where_the_field_changes(bench):
    bench.excitation.set("on").wait(10)
    plan = bp.adaptive_scan(
        *([bench.sensor], "x_I", bench.y, 560.0, 660.0),
        min_step=1.0,
        max_step=20.0,
        target_delta=1e-3,
        backstep=False,
    )
    run(bench, plan)
    steps = np.diff(column(bench, "y"))
    assert len(steps) > 5
    assert steps.min() < 0.7 * steps.max()
    bench.excitation.set("off").wait(10)
    assert bench.excitation.state() == "off"


def test_a_suspender_holds_a_scan_and_it_goes_on_by_itself(bench):
    shutter = Signal(name="shutter", value=0)
    bench.RE.install_suspender(SuspendBoolHigh(shutter, sleep=0.1))
    timers = []

    def trip(_name, doc):
        if doc["seq_num"] == 2 and not timers:
            shutter.put(1)
            timers.append(threading.Timer(0.3, shutter.put, (0,)))
            timers[0].start()

    bench.RE.subscribe(trip, "event")
    run(bench, bp.scan([bench.sensor], bench.x, 600, 604, 5))
    timers[0].join()
    assert bench.run.stop["exit_status"] == "success"
    assert np.allclose(column(bench, "x_nominal"), [600, 601, 602, 603, 604])


def test_a_session_that_ends_leaves_nothing_driven_and_nothing_moving(tmp_path):
    with Session.open(kind="virtual", folder=tmp_path) as session:
        session.excitation.set("on").wait(10)
        session.stage_x.set(1000.0)
        assert session.excitation.state() == "on"
    assert session.excitation.state() == "off"
    assert not session.stage_x.moving


class Sampler:
    """What the acquisition asks of the engine; readings take as long as they should."""

    def __init__(self):
        self.calls = []

    def run(self, *, writes, averaging=1, readings=0):
        self.calls.append((list(writes), readings))
        return [(n, n + 1, [0] * 8) for n in range(readings)]

    def switch_off(self, writes):
        self.run(writes=writes)

    def release(self):
        pass


@pytest.fixture
def acquisition(bench):
    acquisition = bench.port.acquisition
    acquisition._sampler = Sampler()
    return acquisition


def test_switching_off_does_not_count_as_setting_the_converter_up(acquisition):
    acquisition.switch_off()
    acquisition.take_readings(10)
    (off, _), (set_up, _) = acquisition._sampler.calls
    assert off == [(53, 0), (52, 0)]
    assert (13, 2) in set_up


def test_many_readings_are_cut_off_when_the_excitation_is_switched_off(acquisition):
    take = acquisition._sampler.run

    def run_and_switch_off(**what):
        if len(acquisition._sampler.calls) == 3:
            threading.Thread(target=acquisition.switch_off).start()
            time.sleep(0.2)  # it says so before it waits for its turn
        return take(**what)

    acquisition._sampler.run = run_and_switch_off
    with pytest.raises(ScanAbortedError, match=r"switched off after \d+ of 20000"):
        acquisition.take_readings(10, 20_000)


def test_a_stop_beats_a_switching_on_that_has_not_begun(bench):
    held = threading.Event()
    drive = bench.port.acquisition.drive

    def slow_drive(excitation):
        held.wait(5)
        drive(excitation)

    bench.port.acquisition.drive = slow_drive
    first = bench.excitation.set("on")
    second = bench.excitation.set("on")  # waits for the first one's writes
    stopping = threading.Thread(target=bench.excitation.stop)
    stopping.start()
    time.sleep(0.1)
    held.set()
    stopping.join(5)
    first.wait(5)
    second.wait(5)
    assert bench.excitation.state() == "off"


def test_what_cannot_be_switched_off_is_told_aloud(bench, caplog):
    bench.excitation.set("on").wait(10)

    def silent():
        raise DeviceTimeoutError("acquisition did not answer")

    bench.port.acquisition.switch_off = silent
    bench.excitation.stage()
    with pytest.raises(DeviceTimeoutError):
        bench.excitation.unstage()
    assert "the excitation may be on" in caplog.text
    bench.excitation.stage()  # it is not staged any more


def test_a_position_is_asked_anew_after_a_fault(make_bench):
    bench = make_bench(script="at n60 do alarm stage")
    with pytest.raises(MotionFaultError):
        bench.x.set(700.0).wait(10)
    bench.port.clear_errors()
    stage = bench.port.stage
    assert not stage.is_at("x", 700.0)
    assert 634 < bench.x.position < 700
    bench.x.set(636.0).wait(10)
    assert stage.is_at("x", 636.0)


def test_what_a_flight_could_not_switch_off_is_switched_off_at_the_end(make_bench):
    bench = make_bench(script="at n60 do hang-up acquisition")
    with pytest.raises(ScanPortError):
        bench.fly()
    assert bench.excitation.state() == "unknown"
    tried = []
    bench.port.acquisition.switch_off = lambda: tried.append("off")
    bench.excitation.stop()
    bench.excitation.stop()
    assert tried == ["off"]


def test_a_setting_does_not_drive_what_is_being_switched_off(bench):
    bench.excitation.set("on").wait(10)
    calls, off = [], bench.port.acquisition.switch_off
    bench.port.acquisition.drive = lambda _excitation: calls.append("drive")

    def slow_off():
        time.sleep(0.2)
        off()
        calls.append("off")

    bench.port.acquisition.switch_off = slow_off
    stopping = threading.Thread(target=bench.excitation.stop)
    stopping.start()
    time.sleep(0.05)
    bench.excitation.level_s1s2.put(20.0)
    stopping.join(5)
    assert calls == ["off"]
    assert bench.excitation.state() == "off"


# -- where an axis was sent, and where it is ---------------------------------


@pytest.mark.parametrize(("count", "by_mm"), [(100, 0.01), (30, 0.1), (40, -0.003)])
def test_relative_moves_add_up(bench, count, by_mm):
    run(bench, bps.mv(bench.x, 600))

    def steps():
        for _ in range(count):
            yield from bps.mvr(bench.x, by_mm)

    run(bench, steps())
    wanted = 600 + count * by_mm
    assert bench.x.locate()["setpoint"] == pytest.approx(wanted, abs=1e-9)
    assert bench.x.position == pytest.approx(wanted, abs=STEP_MM / 2)


class StoppedHalfway:
    """A stage whose moves are all stopped by somebody when they are half done."""

    def __init__(self, stage):
        self.stage = stage

    def __getattr__(self, name):
        return getattr(self.stage, name)

    def start_move(self, axis, target_mm, speed):
        x_mm, _ = self.stage.positions_mm()
        self.stage.start_move(axis, (x_mm + target_mm) / 2, speed)

    def wait(self, axis, timeout_s):
        end = self.stage.wait(axis, timeout_s)
        return end and MoveEnd("stopped")


def test_a_relative_move_begins_where_a_stopped_axis_stands(bench):
    run(bench, bps.mv(bench.x, 600))
    stage = bench.x._stage
    bench.x._stage = StoppedHalfway(stage)
    status = bench.x.set(1000)
    with pytest.raises(ScanAbortedError, match=r"stopped at 799\.995 mm"):
        status.wait(10.0)
    bench.x._stage = stage
    stands = bench.x.position
    assert bench.x.locate() == {"setpoint": stands, "readback": stands}
    run(bench, bps.mvr(bench.x, 5.0))
    assert bench.x.position == pytest.approx(stands + 5.0, abs=STEP_MM)


def test_a_relative_move_begins_where_a_flight_has_left_the_axis(bench):
    run(bench, bps.mv(bench.x, 600, bench.y, 600))
    bench.fly()
    for axis in (bench.x, bench.y):
        position = axis.position
        assert axis.locate() == {"setpoint": position, "readback": position}


def test_an_axis_that_was_homed_is_where_it_is(bench):
    run(bench, bps.mv(bench.y, 20))
    bench.y.home(wait=True)
    assert bench.y.locate()["setpoint"] == bench.y.position


def test_positions_of_a_scan_are_floats_whoever_wrote_them(bench):
    for start in (630, np.int64(630), np.float32(630), np.array(630)):
        run(bench, bp.list_scan([bench.sensor], bench.x, [start, 630.5]))
        assert column(bench, "x_nominal") == [630.0, 630.5]
        assert {type(each) for each in column(bench, "x_nominal")} == {float}


def stopped_and_resumed(excitation):
    """As a RunEngine does at a pause."""
    excitation.stop()
    excitation.pause()
    excitation.resume()
    return excitation.state()


def test_what_a_pause_switched_off_is_on_again(bench):
    bench.excitation.set("on").wait(10)
    assert stopped_and_resumed(bench.excitation) == "on"
    bench.excitation.set("off").wait(10)


@pytest.mark.parametrize("asked", ["read", "set"])
def test_a_pause_brings_back_only_what_its_own_stop_has_switched_off(bench, asked):
    assert bench.excitation.frequency.get() == 1000.0
    bench.excitation.set("on").wait(10)
    bench.excitation.stop()
    if asked == "read":
        bench.excitation.read()
    else:
        bench.excitation.set("off").wait(10)
    bench.excitation.pause()
    bench.excitation.resume()
    assert bench.excitation.state() == "off"


def test_what_was_not_known_to_be_on_stays_off_after_a_pause(bench):
    drive = bench.port.acquisition.drive

    def unanswered(excitation):
        raise DeviceTimeoutError("acquisition did not answer")

    bench.port.acquisition.drive = unanswered
    with pytest.raises(DeviceTimeoutError):
        bench.excitation.set("on").wait(10)
    bench.port.acquisition.drive = drive
    # ophyd stops a device whose status fails, on a thread of its own.
    while bench.excitation.state() != "off":
        time.sleep(0.01)
    bench.excitation.pause()
    bench.excitation.resume()
    assert bench.excitation.state() == "off"


def test_what_was_not_on_yet_stays_off_after_a_pause(bench):
    bench.excitation.set("off").wait(10)
    with bench.excitation._writing:
        waiting = bench.excitation.set("on")
        assert bench.excitation.state() == "off"
        stopping = threading.Thread(target=bench.excitation.stop)
        stopping.start()
        while not bench.excitation._stops:
            time.sleep(0.01)
    stopping.join(5)
    waiting.wait(5)
    bench.excitation.pause()
    bench.excitation.resume()
    assert bench.excitation.state() == "off"


ZONE = Zone(600, 610, 600, 610)


def test_a_flight_that_switched_off_is_known(bench):
    bench.excitation.set("on").wait(10)
    bench.flyer.prepare(bench.flyer.plan(replace(SPEC, zone=ZONE, n_x=3, n_y=3)))
    bench.flyer.kickoff().wait(10)
    bench.flyer.complete().wait(10)
    assert bench.excitation.state() == "off"
    bench.excitation.set("on").wait(10)
    assert bench.excitation.state() == "on"
    bench.excitation.set("off").wait(10)
