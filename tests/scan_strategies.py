"""Random scan specs and benches, for properties that must hold for all of them."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st

from aefi_bluesky.domain.bench.description import (
    AxisDescription,
    BenchDescription,
    DetectorDescription,
    LinkDescription,
    MotionDescription,
)
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.testing.builders import a_bench, a_spec

BENCH = a_bench()
SPEEDS = BENCH.motion.min_speed_mm_per_s, BENCH.motion.max_speed_mm_per_s
ANY_SPEED, ANYWHERE = (0.01, 200.0), (-300.0, 1600.0)
"""More than the bench can do."""

TRIGGERS = (
    Trigger(),
    Trigger(TriggerKind.POSITIONS),
    Trigger(TriggerKind.PERIODIC, 0.2),
)


def _span(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(low, high)
    pairs = st.tuples(ends, ends).map(lambda e: (min(e), max(e)))
    return pairs.filter(lambda e: e[0] < e[1])


@st.composite
def specs(draw, speeds=SPEEDS, ends=(0.0, 1220.0), triggers=TRIGGERS[:1]):
    x_mm, y_mm = draw(_span(*ends)), draw(_span(*ends))
    return a_spec(
        zone=Zone(*x_mm, *y_mm),
        n_x=draw(st.integers(2, 30)),
        n_y=draw(st.integers(2, 30)),
        pattern=draw(st.sampled_from(Pattern)),
        fast_axis=draw(st.sampled_from(["x", "y"])),
        speed_mm_per_s=draw(st.floats(*speeds)),
        n_avg=draw(st.integers(1, 127)),
        min_readings_per_frame=draw(st.integers(1, 3)),
        trigger=draw(st.sampled_from(triggers)),
    )


@st.composite
def fly_specs(draw, differential=(False, True), triggers=TRIGGERS[:1]):
    """Maps and lines, flown again, and differential ones."""
    spec = draw(specs(triggers=triggers))
    counts = {"x": spec.n_x, "y": spec.n_y}
    counts[spec.slow_axis] = draw(st.integers(1, 5))
    return dataclasses.replace(
        spec,
        n_x=counts["x"],
        n_y=counts["y"],
        repeats=draw(st.integers(1, 4)),
        differential=draw(st.sampled_from(differential)),
    )


_PLACES = st.floats(-1e6, 1e6)
_SETTLING = st.floats(0.0, 3600.0)


@st.composite
def excitations(draw):
    levels = st.floats(0.0, 100.0)
    return Excitation(
        draw(st.sampled_from(ExcitationMode)),
        draw(levels),
        draw(levels),
        draw(st.floats(1.0, 8e6)),
    )


@st.composite
def step_maps(draw):
    grid = draw(specs(ends=(0.0, 1220.0)))
    return StepMapSpec(
        zone=grid.zone,
        n_x=draw(st.integers(1, 8)),
        n_y=draw(st.integers(1, 8)),
        pattern=grid.pattern,
        fast_axis=grid.fast_axis,
        n_avg=grid.n_avg,
        excitation=draw(excitations()),
        readings_per_point=draw(st.integers(1, 100)),
        settle_s=draw(_SETTLING),
        differential=draw(st.booleans()),
    )


def step_specs():
    """Step-wise specs of all kinds."""
    at_rest = {
        "x_mm": _PLACES,
        "y_mm": _PLACES,
        "n_avg": st.integers(1, 127),
        "excitation": excitations(),
        "settle_s": _SETTLING,
    }
    measured = {"readings": st.integers(1, 100), "differential": st.booleans()}
    frequencies = st.lists(st.floats(1.0, 8e6), min_size=1, max_size=9).map(tuple)
    return st.one_of(
        step_maps(),
        st.builds(PointSpec, **at_rest, **measured),
        st.builds(
            TimeSeriesSpec,
            **at_rest,
            count=st.integers(1, 50),
            period_s=st.floats(0.0, 86_400.0),
        ),
        st.builds(
            FrequencySequenceSpec, **at_rest, **measured, frequencies_hz=frequencies
        ),
    )


def _axes() -> st.SearchStrategy[AxisDescription]:
    return st.builds(
        AxisDescription,
        st.floats(-100.0, 100.0),
        st.floats(200.0, 1500.0),
        st.floats(0.1, 100.0),
    )


@st.composite
def _motions(draw):
    return MotionDescription(
        start_speed_mm_per_s=draw(st.floats(0.001, 60.0)),
        ramp_s=draw(st.floats(0.0005, 5.0)),
        positioning_speed_mm_per_s=draw(st.floats(0.1, 300.0)),
        min_speed_mm_per_s=draw(st.floats(0.1, 10.0)),
        max_speed_mm_per_s=draw(st.floats(10.0, 300.0)),
    )


@st.composite
def _links(draw):
    rate = draw(st.floats(5.0, 15_000.0))
    return LinkDescription(rate, rate, draw(st.floats(0.0, 0.5)))


@st.composite
def benches(draw) -> BenchDescription:
    detector = BENCH.detector
    return BenchDescription(
        name="random bench",
        x=draw(_axes()),
        y=draw(_axes()),
        motion=draw(_motions()),
        detector=DetectorDescription(
            reading_rate_hz=draw(st.floats(5.0, 15_000.0)),
            vref_v=detector.vref_v,
            gain=detector.gain,
            osr=detector.osr,
            conversion_rate_hz=draw(st.floats(100.0, 100_000.0)),
        ),
        link=draw(_links()),
    )
