"""Random scan specs and benches, for properties that must hold for all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from aefi_bluesky.domain.bench import (
    AxisDescription,
    BenchDescription,
    DetectorDescription,
    LinkDescription,
    MotionDescription,
)
from aefi_bluesky.domain.scan_spec import Pattern, Trigger, TriggerKind, Zone
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
