"""How fast readings come, and how long each takes."""

from __future__ import annotations

import math
from typing import Protocol

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.scan_spec import FlyScanSpec, TriggerKind

_ROUNDING = 1e-9
"""Relative difference of times that mean the same."""


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


def uncertain_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    """Return how long the middle of a reading's integration may have been, in s.

    It lies between request and reply, and the integration as a whole does.
    """
    taken_s = 1 / detector_rate_hz(spec, bench)
    if spec.trigger.kind in (TriggerKind.POSITIONS, TriggerKind.PERIODIC):
        taken_s = slowest_reading_s(spec, bench)
    return taken_s - integration_s(spec, bench)
