"""What plans measure of the bench, judged by what the simulator was told."""

import dataclasses

import pytest
from bluesky.simulators import RunEngineSimulator, summarize_plan

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.plans import characterise_bench
from aefi_bluesky.session.simulated import SimulationSettings


def characterise(bench, **options):
    bench.run.documents.clear()
    bench.RE(
        characterise_bench(bench.meter, bench.excitation, bench.calibration, **options)
    )
    return bench.calibration.current


def test_rates_turnaround_and_noise_are_those_of_the_bench(make_bench):
    bench = make_bench(simulation=SimulationSettings(noise_v=200e-6))
    found = characterise(bench, n_readings=400)
    # A reading of 10 conversions of 1 ms goes with the next tick of 16 ms.
    assert found.reading_rate_hz == pytest.approx(62.5, rel=0.01)
    assert found.turnaround_s == pytest.approx(1e-3, rel=0.1)
    assert found.fix_rate_hz == pytest.approx(
        bench.description.link.fix_line_limit_hz, rel=0.05
    )
    for noise in found.noise_v:
        # 400 readings tell it to 3.5 %; three of these.
        assert noise == pytest.approx(200e-6, rel=0.11)
    assert bench.excitation.state() == "off"
    bench.run.check()


def test_planning_uses_what_was_measured_from_now_on_and_in_the_next_session(
    make_bench,
):
    bench = make_bench()
    slow = SimulationSettings(tick_us=48_000)
    bench = make_bench(simulation=slow)
    assert bench.flyer.bench.detector.reading_rate_hz == pytest.approx(62.5)
    found = characterise(bench)
    assert found.reading_rate_hz == pytest.approx(1 / 0.048, rel=0.02)
    assert bench.flyer.bench.detector.reading_rate_hz == found.reading_rate_hz
    assert bench.run.start["plan_name"] == "characterise_bench"
    assert found.runs["reading_rate_hz"] == bench.run.start["uid"]
    later = dataclasses.replace(found)
    bench.calibration.set({"run": "uid", "lag_s": 0.01})
    assert bench.calibration.current.reading_rate_hz == later.reading_rate_hz


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_readings": 5}, "at least 10"),
        ({"n_avg": 200}, "1 to 127"),
        ({"polling_s": -1.0}, "0.05 to 600 s"),
    ],
)
def test_wrong_numbers_are_refused_and_nothing_is_kept(bench, options, words):
    with pytest.raises(InvalidScanSpecError, match=words):
        characterise(bench, **options)
    assert bench.calibration.current.fix_rate_hz is None


def test_bluesky_simulators_take_the_plan_without_a_bench(bench):
    def plan():
        return characterise_bench(bench.meter, bench.excitation, bench.calibration)

    summarize_plan(plan())
    RunEngineSimulator().simulate_plan(plan())
    assert bench.calibration.current.fix_rate_hz is None


def test_the_meter_has_a_key_for_each_voltage(bench):
    assert {f"noise_{channel}" for channel in CHANNELS} <= set(bench.meter.describe())
