"""How long a flight takes, counted by hand on a link of round numbers."""

import dataclasses

import pytest

from aefi_bluesky.domain.flight.duration import (
    MUTE_EXCHANGES,
    OFF_EXCHANGES,
    SETUP_EXCHANGES,
    flight_duration,
    switching_off_s,
)
from aefi_bluesky.domain.flight.exchanges import POSITION, STATUS
from aefi_bluesky.domain.flight.geometry import approach_mm
from aefi_bluesky.domain.flight.legs import turnarounds_s
from aefi_bluesky.domain.flight.moves import last_half_step_s, way_s
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    FlyScanSpec,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.testing.builders import MM_PER_STEP, a_bench, a_spec

BENCH = a_bench()
READING_S = 1 / 62.5
FIX_S, BYTE_S = 0.02, 0.001
LINK = dataclasses.replace(BENCH.link, fix_rate_hz=1 / FIX_S, byte_s=BYTE_S)
HERE = 600.0, 600.0
EXCHANGES = SETUP_EXCHANGES + MUTE_EXCHANGES


def seconds(spec, **changes):
    return flight_duration(spec, a_bench(**changes), HERE).seconds


def test_exchange_takes_its_bytes_beyond_those_of_a_fix():
    assert POSITION.duration_s(LINK) == pytest.approx(0.020)
    assert STATUS.duration_s(LINK) == pytest.approx(0.035)
    unknown = dataclasses.replace(LINK, byte_s=0.0)
    assert STATUS.duration_s(unknown) == POSITION.duration_s(unknown)


def test_what_has_become_so_is_heard_by_the_next_query_and_told_by_its_reply():
    """Half an exchange, and what of the next one follows its request."""
    assert STATUS.notice_s(LINK) == pytest.approx(0.0175 + 0.035 - 0.007)


def test_line_that_is_repeated_takes_its_move_and_its_exchanges():
    """There and back: nothing moves between two serpentine lines in a row."""
    line = FlyScanSpec.calibration_line(
        "y",
        there_and_back=1,
        from_mm=600.0,
        to_mm=624.0,
        at_mm=600.0,
        n_frames=25,
        speed_mm_per_s=1000 * MM_PER_STEP,
        n_avg=10,
        excitation=Excitation.off(),
    )
    twice = dataclasses.replace(line, repeats=2 * line.repeats)
    added = seconds(twice, link=LINK) - seconds(line, link=LINK)
    speed = 1000 * MM_PER_STEP
    margin = 2 * MM_PER_STEP + 2 * speed * FIX_S
    move_s = (25.0 + 2 * margin) / speed
    commands_s = 2 * (0.023 + 0.020) + 0.035 + 0.010
    # The last half step takes half a millisecond, and the query comes meanwhile.
    notice_s = -0.0005 + (0.010 + 0.020 - 0.006) + 0.035
    look_s = 0.020 + 0.010
    each_s = added / (twice.n_lines - line.n_lines)
    assert each_s == pytest.approx(
        commands_s + move_s + notice_s + look_s, abs=MM_PER_STEP / speed
    )


def test_both_axes_go_to_the_next_line_one_command_after_the_other():
    """The fast one is sent last, and here it goes the longer way."""
    spec = a_spec(pattern=Pattern.RASTER, n_x=2)
    bench = a_bench(link=LINK)
    back_s = way_s(9 * 2.5 + 2 * approach_mm(spec, bench), bench)
    half_step_s = last_half_step_s(65.4, MM_PER_STEP, BENCH.motion)
    commands_s = 0.021 + 0.010
    notice_s = -half_step_s + (0.015 + 0.030 - 0.006) + 0.035
    found = turnarounds_s(spec, bench)
    assert found == pytest.approx(commands_s + back_s + notice_s, abs=MM_PER_STEP / 65)


def test_what_is_shorter_than_its_exchanges_is_told_by_the_first_query():
    spec = a_spec(n_x=2, zone=Zone(600.0, 600.0 + MM_PER_STEP, 590.0, 610.0))
    found = turnarounds_s(spec, a_bench(link=LINK))
    assert found == pytest.approx(0.021 + 0.030 + 0.035)


@pytest.mark.parametrize("start_mm_per_s", [21.8, 100.0])
def test_last_half_step_without_a_ramp_is_flown_at_speed(start_mm_per_s):
    motion = dataclasses.replace(BENCH.motion, start_speed_mm_per_s=start_mm_per_s)
    found = last_half_step_s(21.8, MM_PER_STEP, motion)
    assert found == pytest.approx(MM_PER_STEP / 2 / 21.8)


def test_last_half_step_of_a_slow_start_takes_its_time():
    motion = dataclasses.replace(BENCH.motion, start_speed_mm_per_s=1e-6, ramp_s=0.5)
    # From rest: t = sqrt(2 s / a).
    expected = (MM_PER_STEP / (20.0 / 0.5)) ** 0.5
    assert last_half_step_s(20.0, MM_PER_STEP, motion) == pytest.approx(expected, 1e-3)


def test_what_is_left_of_a_reading_or_of_the_wait_for_it_ends_the_flight():
    free = seconds(a_spec())
    for periods, left in ((1, 1 / 2), (2, 1 / 2), (4, (1 + 9) / 8)):
        trigger = Trigger(TriggerKind.PERIODIC, periods * READING_S)
        added = seconds(a_spec(trigger=trigger)) - free
        assert added == pytest.approx((left - 1 / 2) * READING_S)


@pytest.mark.parametrize(
    ("kind", "setting_up", "a_line"),
    [
        (TriggerKind.SYNC_OUTPUT, 4, 2),
        (TriggerKind.LATCH, 1, 3),
    ],
)
def test_trigger_by_wire_takes_exchanges_of_its_own(kind, setting_up, a_line):
    link = dataclasses.replace(LINK, setup_s=2.0)
    added = seconds(a_spec(trigger=Trigger(kind)), link=link) - seconds(
        a_spec(), link=link
    )
    assert added == pytest.approx((setting_up + 9 * a_line) * FIX_S)


# -- how well it is known ------------------------------------------------------


def error_s(spec, rests_at=HERE, **changes):
    return flight_duration(spec, a_bench(**changes), rests_at).error_s


QUIET = dataclasses.replace(
    BENCH.detector, setup_s=1e-9, conversion_rate_hz=1e9, reading_rate_hz=1e9
)
"""Takes no time itself, so that what is left is the stage's."""
SILENT = dataclasses.replace(BENCH.link, fix_rate_hz=1e9, setup_s=0.0, byte_s=0.0)


def test_each_line_adds_what_a_host_may():
    few, many = a_spec(n_x=2), a_spec(n_x=12)
    moves_s = seconds(many, link=SILENT, detector=QUIET) - seconds(
        few, link=SILENT, detector=QUIET
    )
    added = error_s(many, link=SILENT, detector=QUIET) - error_s(
        few, link=SILENT, detector=QUIET
    )
    # 5 ms a line, and a thousandth of its moves for the controller's clock.
    assert added == pytest.approx(10 * 0.005 + 0.001 * moves_s, rel=0.01)


def test_the_clock_of_the_controller_is_known_to_a_thousandth():
    slow, quick = a_spec(speed_mm_per_s=2.18), a_spec(speed_mm_per_s=21.8)
    moves_s = seconds(slow, link=SILENT, detector=QUIET) - seconds(
        quick, link=SILENT, detector=QUIET
    )
    added = error_s(slow, link=SILENT, detector=QUIET) - error_s(
        quick, link=SILENT, detector=QUIET
    )
    assert moves_s > 50
    assert added == pytest.approx(0.001 * moves_s, rel=0.01)


def test_each_line_adds_two_position_queries():
    spec = a_spec()
    link = dataclasses.replace(SILENT, fix_rate_hz=10.0)
    moves_s = seconds(spec, link=link, detector=QUIET) - seconds(
        spec, link=SILENT, detector=QUIET
    )
    added = error_s(spec, link=link, detector=QUIET) - error_s(
        spec, link=SILENT, detector=QUIET
    )
    assert added == pytest.approx(spec.n_lines * 2 * 0.1 + 0.001 * moves_s, rel=0.02)


@pytest.mark.parametrize(
    # As long as they were seen to take, or else as long as a reading.
    ("setup_s", "exchange_s"),
    [(0.0, READING_S), (2.0, 2.0 / EXCHANGES), (1.0, 1.0 / EXCHANGES)],
)
def test_switching_off_takes_its_exchanges(setup_s, exchange_s):
    detector = dataclasses.replace(
        BENCH.detector, setup_s=setup_s, reading_rate_hz=1 / READING_S
    )
    found = switching_off_s(a_bench(detector=detector))
    assert found == pytest.approx(OFF_EXCHANGES * exchange_s)


def test_half_of_the_set_up_is_not_known():
    spec = a_spec()
    link = dataclasses.replace(SILENT, setup_s=8.0)
    added = error_s(spec, link=link, detector=QUIET) - error_s(
        spec, link=SILENT, detector=QUIET
    )
    assert added == pytest.approx(4.0, abs=1e-3)


def test_half_of_the_way_there_is_not_known_unless_it_is_told_from_where():
    spec = a_spec()
    known, unknown = (
        flight_duration(spec, a_bench(link=SILENT, detector=QUIET), place)
        for place in (HERE, None)
    )
    longest_s = way_s(max(588.0, BENCH.x.travel_max_mm - 590.0), BENCH)
    added = unknown.error_s - known.error_s
    assert added == pytest.approx(longest_s / 2, rel=0.02)
    assert unknown.seconds == pytest.approx(
        known.seconds + longest_s / 2 - way_s(14.0, BENCH), rel=0.01
    )


def test_aimed_readings_are_over_when_the_last_line_is():
    """What follows begins between two ticks of the adapter: half of one is unknown."""
    detector = dataclasses.replace(BENCH.detector, latency_tick_s=0.4)
    spec = a_spec(trigger=Trigger(TriggerKind.POSITIONS))
    coarse, fine = (
        flight_duration(spec, a_bench(detector=each), HERE)
        for each in (detector, BENCH.detector)
    )
    assert coarse.seconds - fine.seconds == pytest.approx(-0.2)
    assert coarse.error_s - fine.error_s == pytest.approx(0.2)
