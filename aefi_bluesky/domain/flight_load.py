"""What a flight produces, against what the host holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.flight_duration import flight_duration
from aefi_bluesky.domain.scan_spec import FlyScanSpec, TriggerKind

STATUS_SHARE = 0.05
"""Share of the stage's line that status and full position queries may take in flight;
their period is stretched on a slow line so that they take no more."""

RING_SAMPLES = 262_144
"""Fixes, and readings, that the engine holds for a consumer that takes none.

``SAMPLES`` of the engine's shell; frames and lines always have room.
"""

READING_BYTES = 112
"""A row of ``readings``: 10 columns of 8 bytes and 8 codes of 4."""

FIX_BYTES = 40
"""A row of ``fixes``: 5 columns of 8 bytes."""

_ROUNDING = 1e-9
"""Relative difference of times that mean the same."""

_LEAST_BYTES = 1 / 3
"""Share of a reading's bytes that it has at least: eight codes of a digit each."""

_CLOCKS = 1.0001
"""The clock of an adapter and that of the host, at most."""

FRAME_BYTES = 2048
"""A frame as the documents have it: 27 columns of Python numbers, 32 bytes each with
its place in a list, and as many timestamps; beside it the engine's own record."""


class Averaging(Protocol):
    """What says how many conversions are averaged into a reading."""

    @property
    def n_avg(self) -> int:
        """Conversions averaged into a reading."""
        ...


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What the host can hold of a flight.

    Parameters
    ----------
    memory_bytes
        What a flight's documents may take, all of them kept at once: as when Tiled
        does not answer. 1 GiB unless told.
    stall_s
        How long a consumer may take nothing before anything is lost, in s: a slow
        disk, a Python that is busy. Ten seconds unless told.
    """

    memory_bytes: float = 2.0**30
    stall_s: float = 10.0

    def __post_init__(self) -> None:
        error = ConfigurationError
        require_number("host: memory", self.memory_bytes, "B", 1, 1e15, error=error)
        require_number("host: stall", self.stall_s, "s", 1e-3, 1e6, error=error)


@dataclass(frozen=True, slots=True)
class FlightLoad:
    """What a flight produces at most.

    Parameters
    ----------
    readings_per_frame
        Readings whose middle falls into a frame, on average.
    fixes_per_frame
        Fixes of the fast axis while a frame is passed, on average.
    readings, fixes
        In one pass over all lines, turnarounds included.
    memory_bytes
        Of all documents, if none can be let go before the end. Samples go to a file;
        the engine's rings are as large for every flight.
    file_bytes
        Of the samples, in one pass, before they are compressed.
    bearable_stall_s
        A consumer may take nothing for so long before a ring is full, in s.
    """

    readings_per_frame: float
    fixes_per_frame: float
    readings: int
    fixes: int
    memory_bytes: int
    file_bytes: int
    bearable_stall_s: float


def flight_load(spec: FlyScanSpec, bench: BenchDescription) -> FlightLoad:
    """Return what flying `spec` on `bench` produces.

    Readings and fixes come at their measured mean rates all through the longest
    flight that is expected; `spec` need not be feasible.
    """
    duration = flight_duration(spec, bench)
    longest_s = duration.seconds + duration.error_s
    reading_hz, fix_hz = reading_rate_hz(spec, bench), bench.link.fix_rate_hz
    passing_s = frame_s(spec)
    bytes_per_s = reading_hz * READING_BYTES + fix_hz * FIX_BYTES
    return FlightLoad(
        readings_per_frame=passing_s * reading_hz,
        fixes_per_frame=passing_s * line_fix_rate_hz(bench),
        readings=round(longest_s * reading_hz),
        fixes=round(longest_s * fix_hz),
        memory_bytes=document_bytes(spec),
        file_bytes=round(longest_s * bytes_per_s),
        bearable_stall_s=RING_SAMPLES / max(reading_hz, fix_hz),
    )


def document_bytes(spec: FlyScanSpec) -> int:
    """Return what the documents of all frames take, in bytes."""
    return spec.n_frames * FRAME_BYTES


def frame_s(spec: FlyScanSpec) -> float:
    """Return the time that a frame is passed in, in s."""
    return spec.pitch_mm(spec.effective_fast_axis) / spec.speed_mm_per_s


def line_fix_rate_hz(bench: BenchDescription) -> float:
    """Return the fixes of the fast axis a second in a line, in Hz.

    What is left of the line's bytes beside status and full position queries.
    """
    return bench.link.fix_rate_hz * (1 - STATUS_SHARE)


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
