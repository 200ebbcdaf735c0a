"""Ten thousand random scans: planned or refused, and what is suggested is accepted."""

import itertools
import math
from collections import Counter

import pytest
from nearest_changes import changed, followed, leaves_a_line
from random_cases import random_cases

from aefi_bluesky.domain.feasibility.report import Change, FeasibilityReport
from aefi_bluesky.domain.flight.planning import plan_flight

BLOCKS, SPECS = 10, 1000
"""A block has its own seed, and so many specs, each with a bench of its own."""

SUGGESTED = {
    "speed_mm_per_s",
    "zone.x",
    "zone.y",
    "n_x",
    "n_y",
    "trigger.period_s",
    "trigger.kind",
    "bench.motion.ramp_s",
}


def rules(planned):
    """Return the rules that are broken, that of travel by its axis."""
    if not isinstance(planned, FeasibilityReport):
        return []
    return [(each.rule, each.message[:6]) for each in planned.violations]


def judge(violation, spec, bench, host):
    """Assert that a violation has its numbers, and what is suggested is accepted."""
    assert violation.message
    assert violation.suggestion
    assert violation.guard >= 0
    assert math.isnan(violation.found) == (violation.rule == "trigger")
    change = violation.nearest
    if isinstance(change, Change) and leaves_a_line(spec, change):
        left = rules(plan_flight(*changed(spec, bench, change), host=host))
        assert (violation.rule, violation.message[:6]) not in left, violation


@pytest.mark.parametrize("seed", range(BLOCKS))
def test_what_is_suggested_is_accepted(seed):
    counts = Counter()
    for case in itertools.islice(random_cases(seed), SPECS):
        spec, bench, host = case.spec, case.bench, case.host
        planned = plan_flight(spec, bench, host=host)
        if not isinstance(planned, FeasibilityReport):
            counts["accepted"] += 1
            continue
        for violation in planned.violations:
            counts[violation.rule] += 1
            if isinstance(violation.nearest, Change):
                counts[violation.nearest.parameter] += 1
            judge(violation, spec, bench, host)
        counts["led to a plan"] += followed(spec, bench, host) is not None
    # So many that each rule, and each kind of change, was really tried.
    assert counts["accepted"] > SPECS / 10
    assert counts["led to a plan"] > SPECS / 5
    assert all(count > 3 for count in counts.values()), counts
    assert counts.keys() >= SUGGESTED
