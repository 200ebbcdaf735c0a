"""What is accepted flies in any phase; what is refused in a guard band fails in one.

One flight of a small map meets one phase between detector, fixes and frames, and a rule
promises for all of them. So accepted scans, and those at the very limit of the rules,
are flown in others (`flight_phases`), and none breaks a promise. What is refused in
guard bands alone breaks one in one of five flights, but for a remainder: a quarter at
most, with the reasons of `REMAINDER` and `NARROW`.
"""

import dataclasses
import itertools
import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest
from flight_phases import EXCHANGES, exchanges, other_phases
from forced_flights import broken_promises, fly
from nearest_changes import followed
from random_cases import BLOCKS, SPECS, random_cases

from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.planning import plan_flight

PHASES = 4 if SPECS > 1000 else 1
"""Other phases that what is accepted is flown in; what is refused, in four."""

REMAINDER = {
    "readings per frame": 0.35,
    "fixes per frame": -math.inf,
    "time for pulses": 0.65,
    "aim": 0.4,
}
"""Rule to the share of its limit from which on a refusal need not be seen to fail.

Readings: replies of the simulated field are shorter than they may be, edges and aims
are mostly known better than to a step. Fixes: an interval is as wide as it may be for
few readings, and another one of the frame makes up for them. Pulses: queries are short
on a fast line. Aim: a prediction is rarely off by as much as it may be.
"""

NARROW = 4.0
"""Frames of so few steps are mostly told apart better than can be relied upon."""


def rules_broken(case):
    """Return the rules that a case breaks, each with its violation."""
    planned = plan_flight(case.spec, case.bench)
    if not isinstance(planned, FeasibilityReport):
        return {}
    return {each.rule: each for each in planned.violations}


def flights(case, seed):
    """Yield a case and its variations, but for those that planning says else of."""
    yield case
    asked = rules_broken(case).keys()
    for other in other_phases(case, seed):
        if rules_broken(other).keys() == asked:
            yield other


def is_remainder(case):
    """Whether a refusal is one of those that no flight need show."""
    fast = case.spec.effective_fast_axis
    if case.spec.pitch_mm(fast) < NARROW * case.bench.axis(fast).mm_per_step:
        return True
    return all(
        each.found >= REMAINDER.get(rule, 1.0) * each.limit
        for rule, each in rules_broken(case).items()
    )


def at_the_limit(case):
    """Return what the suggestions lead to, if to a plan on the very bench."""
    changed = followed(case.spec, case.bench)
    if changed is None or changed[1] != case.bench:
        return None
    case = dataclasses.replace(case, spec=changed[0])
    return case if exchanges(case) < EXCHANGES else None


def judge_accepted(case, seed, folder, counts):
    """Yield what an accepted case does wrong in other phases."""
    others = [*flights(case, seed)][1:]
    # Each case begins with another one, so that all of them have their turn.
    first = seed[-1] % 4
    for other in (others[first:] + others[:first])[:PHASES]:
        counts["accepted ones flown"] += 1
        if broken := broken_promises(fly(other, folder), other):
            yield f"accepted, and broke {sorted(broken)}: {other}"


def judge_refused(case, seed, folder, counts):
    """Yield what is wrong with a refusal in guard bands alone."""
    rules = " and ".join(sorted(rules_broken(case)))
    for number, other in enumerate(flights(case, seed)):
        if broken_promises(fly(other, folder), other):
            counts[f"{rules}: fails in flight {number}"] += 1
            return
    counts[f"{rules}: not seen to fail"] += 1
    counts["not seen to fail"] += 1
    if not is_remainder(case):
        reasons = "; ".join(map(str, rules_broken(case).values()))
        yield f"flies in any phase although refused: {reasons}"


def judge(case, seed, folder, counts):
    """Yield what is wrong with what planning says of a case."""
    violations = rules_broken(case).values()
    if not violations:
        counts["accepted"] += 1
        yield from judge_accepted(case, seed, folder, counts)
    elif not any(each.fails_for_certain for each in violations):
        counts["refused in guard bands"] += 1
        yield from judge_refused(case, seed, folder, counts)
        if limit := at_the_limit(case):
            yield from judge_accepted(limit, seed, folder, counts)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_guard_band_is_no_wider_than_its_phases(block, tmp_path):
    counts, faults = Counter(), []
    cases = itertools.islice(random_cases(block), SPECS // BLOCKS)
    for index, case in enumerate(cases):
        found = judge(case, [block, index], tmp_path, counts)
        faults += [f"case {index}: {fault}" for fault in found]
    if report := os.environ.get("AEFI_GUARD_REPORT"):
        with Path(report).open("a") as lines:
            lines.write(json.dumps(counts) + "\n")
    assert not faults, "\n".join(faults)
    # A quarter, with room for the chances of a small block.
    assert counts["not seen to fail"] <= counts["refused in guard bands"] / 4 + 4
