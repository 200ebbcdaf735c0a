"""What is accepted flies within all limits; what is refused for certain fails.

The judge is the simulated bench's truth (`forced_flights`), not the rules. What is
refused within a guard band is `test_guard_bands`' matter.
"""

import dataclasses
import itertools
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from forced_flights import broken_promises, fly, resting_place
from random_cases import BLOCKS, SPECS, Case, random_cases

from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.load import HostLimits
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import Pattern, Trigger, TriggerKind, Zone
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.testing.builders import a_spec

EVIDENCE = {
    "speed": {"speed"},
    "ramp": {"ramp"},
    "positioning ramp": {"ramp"},
    "travel": {"travel"},
    "readings per frame": {"frames"},
    "fixes per frame": {"frames"},
    "time for pulses": {"frames", "pulses"},
    "trigger": {"frames", "pulses"},
    "trigger period": {"period"},
}
"""Rule to what a flight shows of it, beside that engine or controller refuse it.

``aim`` is a guard band as a whole (`test_guard_bands`); what does not fit into memory
or a ring is no flight for a test (`test_domain_feasibility` does the sums).
"""


def shows_in_flight(violation, case):
    """Whether a violation that fails for certain can be seen in a simulated flight.

    The wiring of another detector can't: there is none on the simulated bench.
    """
    if not violation.fails_for_certain or violation.rule not in EVIDENCE:
        return False
    wiring, kind = case.configuration.wiring, case.spec.trigger.kind
    if violation.rule == "trigger" and kind is TriggerKind.SYNC_OUTPUT:
        return wiring.encoder_pulses_per_count == 0
    return violation.rule != "trigger" or kind is not TriggerKind.LATCH


def duration_is_met(flown, plan):
    """Within 2 %, and what the plan itself says."""
    flown_s = flown.results.flight_s
    off_s = abs(plan.duration_s - flown_s)
    return off_s <= min(0.02 * flown_s, plan.duration_error_s), off_s / flown_s


def fly_block(seed, folder):
    """Fly so many cases; return what was found wrong, and the counts."""
    faults, counts, worst = [], Counter(), 0.0
    for index, case in enumerate(itertools.islice(random_cases(seed), SPECS // BLOCKS)):
        rests_at = resting_place(case)
        planned = plan_flight(case.spec, case.bench, rests_at=rests_at)
        if isinstance(planned, FeasibilityReport):
            counts["refused"] += 1
            broken = broken_promises(fly(case, folder), case)
            for violation in planned.violations:
                is_shown = bool(
                    broken & (EVIDENCE.get(violation.rule, set()) | {"refused"})
                )
                certainty = "certain" if violation.fails_for_certain else "guard"
                counts[f"{violation.rule}, {certainty}: {is_shown}"] += 1
                if shows_in_flight(violation, case) and not is_shown:
                    faults.append(f"case {index}: flies although refused: {violation}")
        else:
            counts["accepted"] += 1
            flown = fly(case, folder)
            if broken := broken_promises(flown, case):
                faults.append(f"case {index}: accepted, and broke {sorted(broken)}")
                continue
            is_met, off = duration_is_met(flown, planned)
            worst = max(worst, off)
            counts["duration off by more than 1 %"] += off > 0.01
            if not is_met:
                faults.append(f"case {index}: duration off by {off:.2%}")
    return faults, counts, worst


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(BLOCKS))
def test_accepted_flies_and_refused_fails(seed, tmp_path, record_property):
    faults, counts, worst = fly_block(seed, tmp_path)
    record_property("worst_duration_error", worst)
    if report := os.environ.get("AEFI_SPECS_REPORT"):
        with Path(report).open("a") as lines:
            lines.write(json.dumps({**counts, "worst": worst}) + "\n")
    assert not faults, "\n".join(faults)
    assert counts["accepted"] > SPECS / BLOCKS / 10


def shipped_case(**changes):
    """A small map on the shipped bench, in the middle of the travel."""
    settings = SimulationSettings(seed=1)
    bench = settings.of_bench(load_bench("simulated"))
    spec = a_spec(zone=Zone(620.0, 640.0, 600.0, 620.0), **changes)
    return Case(spec, bench, settings, HostLimits())


def with_stage(case, **changes):
    stage = case.configuration.stage.model_copy(update=changes)
    bench = case.configuration.model_copy(update={"stage": stage})
    return dataclasses.replace(case, configuration=bench)


def test_judge_finds_nothing_in_a_feasible_flight(tmp_path):
    case = shipped_case()
    assert broken_promises(fly(case, tmp_path), case) == set()


def test_judge_sees_each_broken_promise(tmp_path):
    """One flight for each: what was asked is not what the judge is told."""
    asked = shipped_case()
    flown = fly(asked, tmp_path)
    axis = asked.configuration.stage.y
    short = with_stage(asked, y=axis.model_copy(update={"travel_max_mm": 615.0}))
    assert broken_promises(flown, short) == {"travel"}
    slow = with_stage(asked, max_speed_steps_per_s=1400)
    assert broken_promises(flown, slow) == {"speed"}
    other = dataclasses.replace(
        flown, plan=dataclasses.replace(flown.plan, ramp_s=0.29)
    )
    assert broken_promises(other, asked) == {"ramp"}
    spec = dataclasses.replace(asked.spec, trigger=Trigger(TriggerKind.PERIODIC, 0.02))
    assert broken_promises(flown, dataclasses.replace(asked, spec=spec)) == {"period"}
    spec = dataclasses.replace(asked.spec, trigger=Trigger(TriggerKind.SYNC_OUTPUT))
    assert broken_promises(flown, dataclasses.replace(asked, spec=spec)) == {"pulses"}
    hurried = shipped_case(speed_mm_per_s=109.0, min_readings_per_frame=5)
    assert broken_promises(fly(hurried, tmp_path), hurried) == {"frames"}


def test_first_line_is_aimed_at_from_where_the_stage_rests(tmp_path):
    """It is approached fast, in its own direction, and flown slowly."""
    case = shipped_case(
        n_x=2,
        n_y=21,
        speed_mm_per_s=1.3,
        pattern=Pattern.RASTER,
        trigger=Trigger(TriggerKind.POSITIONS),
    )
    zone = Zone(620.0, 640.0, 1000.0, 1007.0)
    case = dataclasses.replace(case, spec=dataclasses.replace(case.spec, zone=zone))
    case = with_stage(case, baud=9600, positioning_speed_steps_per_s=9000)
    settings = dataclasses.replace(case.settings, stage_baud=9600)
    case = dataclasses.replace(case, settings=settings)
    planned = plan_flight(case.spec, case.bench, rests_at=resting_place(case))
    if isinstance(planned, FeasibilityReport):
        pytest.fail(str(planned), pytrace=False)
    assert broken_promises(fly(case, tmp_path), case) == set()
