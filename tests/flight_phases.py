"""The same scan in other phases: what a rule promises, it promises for all of them.

A single flight of a small map meets one phase between detector, fixes and frames. These
variations have the bench description of the scan, but for the time of a byte, which no
rule asks for; so planning says the same of them: what is accepted has to survive each,
what is refused need fail in one only.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from random_cases import Case

from aefi_bluesky.domain.flight.load import reading_rate_hz
from aefi_bluesky.domain.flight.planning import compile_flight
from aefi_bluesky.domain.spec.fly_spec import TriggerKind, Zone
from aefi_bluesky.session.configuration import BAUD_CODES

FRAMES = 120
"""Frames flown at least, by flying lines again; each meets another phase."""

EXCHANGES = 1e5
"""As many exchanges at most: some scans are slow."""

QUERY_BITS = 120
"""A position query and its reply: what a bench file's fix rate is reckoned with."""

SETTING_UP = 40
"""Commands of the acquisition before its first reading."""

LONG_REPLIES_V = 3.0
"""Noise that gives nearly all readings as many digits as there are."""

PUNCTUAL = TriggerKind.PERIODIC, TriggerKind.POSITIONS
"""Triggers that need each reply in time; the others bear a lost tick."""


def other_phases(case: Case, seed: list[int]) -> Iterator[Case]:
    """Yield four variations of a case, each with a phase of its own.

    As it is; with the shortest bytes and the longest turnaround that the fix rate
    allows; with the longest bytes; the second again without lost ticks.
    """
    rng = np.random.default_rng(seed)
    slow, fast = _line_rates(case)
    for baud, loses_ticks, is_long in (
        (case.configuration.stage.baud, True, False),
        (fast, True, True),
        (slow, True, False),
        (fast, False, True),
    ):
        other = _with_line(_elsewhere(case, rng), baud)
        script = _lost_ticks(other, rng) if loses_ticks else ""
        noise_v = LONG_REPLIES_V if is_long else None
        yield _with_settings(other, script=script, noise_v=noise_v)


def exchanges(case: Case) -> float:
    """Return how many exchanges a flight of the case has on both links."""
    rates = reading_rate_hz(case.spec, case.bench) + case.bench.link.fix_rate_hz
    return compile_flight(case.spec, case.bench).duration_s * rates


def _elsewhere(case: Case, rng: np.random.Generator) -> Case:
    """Shift the frames by part of a step, fly the lines again, draw another seed."""
    spec, axis = case.spec, case.spec.effective_fast_axis
    wanted = math.ceil(FRAMES / spec.n_frames)
    repeats = max(1, min(wanted, int(EXCHANGES / exchanges(case))))
    shift = rng.uniform(-0.5, 0.5) * case.bench.axis(axis).mm_per_step
    ends = {each: spec.zone.along(each) for each in ("x", "y")}
    low, high = ends[axis]
    ends[axis] = low + shift, high + shift
    zone = Zone(*ends["x"], *ends["y"])
    spec = dataclasses.replace(spec, zone=zone, repeats=repeats)
    other = dataclasses.replace(case, spec=spec)
    return _with_settings(other, seed=int(rng.integers(2**31)))


def _line_rates(case: Case) -> tuple[int, int]:
    """Return the slowest and the fastest rate with the fix rate of the bench."""
    period_s = 1 / case.bench.link.fix_rate_hz
    able = [baud for baud in BAUD_CODES if QUERY_BITS / baud <= period_s]
    return min(able), max(able)


def _with_line(case: Case, baud: int) -> Case:
    """Take another line rate, and the turnaround that leaves the fix rate as it is."""
    stage = case.configuration.stage
    spare_s = 1 / case.bench.link.fix_rate_hz - QUERY_BITS / baud
    # Whole microseconds, and rather a little less than was promised.
    turnaround_us = math.floor(spare_s * 1e6 + 1e-3)
    stage = stage.model_copy(
        update={"baud": baud, "turnaround_ms": turnaround_us / 1000}
    )
    bench = case.configuration.model_copy(update={"stage": stage})
    other = dataclasses.replace(case, configuration=bench)
    return _with_settings(other, stage_baud=baud, stage_turnaround_us=turnaround_us)


def _lost_ticks(case: Case, rng: np.random.Generator) -> str:
    """Return a script in which a reply now and then misses a tick, one a frame."""
    tick_ms = case.settings.tick_us // 1000
    if not tick_ms or case.spec.trigger.kind in PUNCTUAL:
        return ""
    apart = 3 * case.spec.min_readings_per_frame + 6
    lost = rng.integers(apart, 2 * apart, int(exchanges(case) / apart) + 1)
    return "\n".join(
        f"at n{number} do delay-reply {tick_ms} acquisition"
        for number in SETTING_UP + np.cumsum(lost)
    )


def _with_settings(case: Case, **changes: object) -> Case:
    settings = dataclasses.replace(case.settings, **changes)
    return dataclasses.replace(case, settings=settings)
