"""How fast readings come, and how long each takes."""

from __future__ import annotations

import math
from typing import Protocol

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, TriggerKind

_ROUNDING = 1e-9
"""Relative difference of times that mean the same."""

_LEAST_BYTES = 1 / 3
"""Share of a reading's bytes that it has at least: eight codes of a digit each."""

_CLOCKS = 1.0001
"""The clock of an adapter and that of the host, at most."""


class Averaging(Protocol):
    """What says how many conversions are averaged into a reading."""

    @property
    def n_avg(self) -> int:
        """Conversions averaged into a reading."""
        ...


def frame_s(spec: FlyScanSpec) -> float:
    """Return the time that a frame is passed in, in s."""
    return spec.pitch_mm(spec.effective_fast_axis) / spec.speed_mm_per_s


def reading_rate_hz(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return the readings a second that `spec` gets from the detector, in Hz."""
    rate = detector_rate_hz(spec, bench)
    if spec.trigger.kind is TriggerKind.PERIODIC:
        return min(rate, 1 / spec.trigger.period_s)
    return rate


def detector_rate_hz(spec: Averaging, bench: BenchDescription) -> float:
    """Return the readings a second that the detector can give at best, in Hz.

    The rate was measured with one number of conversions, and more of them take longer:
    with their bytes on the line, and to the next tick of the adapter.
    """
    shortest_s = integration_s(spec, bench) + bench.detector.exchange_s
    return min(bench.detector.reading_rate_hz, 1 / _at_tick_s(shortest_s, bench))


def passing_readings(spec: Averaging, bench: BenchDescription, span_s: float) -> int:
    """Return the readings that go by in a span, in s: at least so long."""
    return math.ceil(span_s * detector_rate_hz(spec, bench) * (1 - _ROUNDING))


def fastest_reading_s(spec: Averaging, bench: BenchDescription) -> float:
    """Return what no reading takes less than, in s: its conversions, and the tick."""
    return _at_tick_s(integration_s(spec, bench), bench)


def _at_tick_s(time_s: float, bench: BenchDescription) -> float:
    tick_s = bench.detector.latency_tick_s
    if tick_s == 0:
        return time_s
    return math.ceil(time_s / tick_s * (1 - _ROUNDING)) * tick_s


def integration_s(spec: Averaging, bench: BenchDescription) -> float:
    """Return the time that a reading integrates over, in s."""
    return spec.n_avg / bench.detector.conversion_rate_hz


def slowest_reading_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return what a reading takes at most whose request follows no reply, in s.

    It leaves between two ticks of the adapter, and its reply may just miss one.
    """
    wire_s, tick_s = bench.detector.exchange_s, bench.detector.latency_tick_s
    longest_s = integration_s(spec, bench) + wire_s + tick_s
    return max(1 / detector_rate_hz(spec, bench), longest_s)


def readings_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return what the readings that a frame needs may take at most, in s.

    Each as the engine sees it: in the middle of what it may have integrated over.
    """
    n = spec.min_readings_per_frame
    mean_s = n / reading_rate_hz(spec, bench)
    match spec.trigger.kind:
        case TriggerKind.POSITIONS:
            return n * _aimed_s(spec, bench)
        case TriggerKind.PERIODIC:
            # Replies wait for a tick that is none of the period's; half of the wait
            # shifts the middle.
            return (mean_s + _at_tick_s(mean_s * _CLOCKS, bench)) / 2
        case _:
            # One of them may lose a tick, which shifts its middle by half of it, and
            # those behind it by all.
            return mean_s + bench.detector.latency_tick_s / (2 if n == 1 else 1)


def _aimed_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return how far readings that are aimed must lie apart, in s.

    A quarter of the distance is late. The next is due when a reply may just have missed
    a tick, and the second of a flight half a tick earlier, when the first has told the
    lead. One that is late leaves at a tick.
    """
    slowest_s, tick_s = slowest_reading_s(spec, bench), bench.detector.latency_tick_s
    return max(1 / detector_rate_hz(spec, bench), (slowest_s + tick_s / 2) / 1.25)


def uncertain_s(
    spec: FlyScanSpec, bench: BenchDescription, *, lost_ticks: int = 0
) -> float:
    """Return how long the middle of a reading's integration may have been, in s.

    It lies between request and reply, and the integration as a whole does, beside
    the bytes: what waits for a tick may have had few. A reply that is followed by the
    next request may have lost so many ticks.
    """
    detector = bench.detector
    taken_s = slowest_reading_s(spec, bench)
    if spec.trigger.kind not in (TriggerKind.POSITIONS, TriggerKind.PERIODIC):
        lost_s = lost_ticks * detector.latency_tick_s
        taken_s = 1 / detector_rate_hz(spec, bench) + lost_s
    least = _LEAST_BYTES if detector.latency_tick_s else 1.0
    known_s = integration_s(spec, bench) + least * detector.exchange_s
    return max(taken_s - known_s, 0.0)
