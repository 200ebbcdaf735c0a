"""What a flight produces, against what the host holds."""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import keep_number
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.feasibility.reading_rates import frame_s, reading_rate_hz
from aefi_bluesky.domain.flight.duration import flight_duration
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec

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

FRAME_BYTES = 2048
"""A frame as the documents have it: 27 columns of Python numbers, 32 bytes each with
its place in a list, and as many timestamps; beside it the engine's own record."""


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
        keep_number(self, "memory_bytes", "host: memory", "B", 1, 1e15, error=error)
        keep_number(self, "stall_s", "host: stall", "s", 1e-3, 1e6, error=error)


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


def line_fix_rate_hz(bench: BenchDescription) -> float:
    """Return the fixes of the fast axis a second in a line, in Hz.

    What is left of the line's bytes beside status and full position queries.
    """
    return bench.link.fix_rate_hz * (1 - STATUS_SHARE)
