"""The acquisition and the excitation outside flights, over the Rust engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import require_count
from aefi_bluesky.domain.errors import ScanAbortedError
from aefi_bluesky.domain.ports import SampleBatch
from aefi_bluesky.domain.spec.fly_spec import Excitation
from aefi_bluesky.engine.excitation_registers import (
    RegisterWrites,
    converter_writes,
    excitation_writes,
    off_writes,
)
from aefi_bluesky.engine.links import Connection

_SLICE_S = 0.5

MOST_READINGS = 100_000
"""Readings at once, at most: about half an hour as the bench is wired."""


class RustAcquisition:
    """Takes readings and drives the spheres while no flight is under way.

    See `Acquisition`. The port is opened at first use and kept until a flight or
    `release` takes it back.

    Parameters
    ----------
    bench
        The converter's settings.
    connection
        Reaches the bench.
    outside_flight
        A context that refuses to be entered in flight, and keeps flights from
        beginning.
    """

    def __init__(
        self,
        bench: BenchDescription,
        connection: Connection,
        outside_flight: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._bench = bench
        self._sampler = connection.sampler()
        self._outside_flight = outside_flight
        self._is_set_up = False
        self._offs = 0

    def take_readings(self, n_avg: int, readings: int = 1) -> SampleBatch:
        """See `Acquisition`."""
        require_count("conversions averaged", n_avg, 1, 127)
        require_count("readings", readings, 1, MOST_READINGS)
        samples: list[tuple[int, int, list[int]]] = []
        offs = self._offs
        while len(samples) < readings:
            # In slices: who switches off must not wait for half an hour of readings.
            wanted = min(readings - len(samples), self._slice(n_avg))
            with self._outside_flight("no reading can be taken"):
                if self._offs != offs:
                    raise ScanAbortedError(
                        f"the excitation was switched off after {len(samples)} of "
                        f"{readings} readings"
                    )
                samples += self._run(self._set_up(), n_avg, wanted)
        return SampleBatch(
            t_start_ns=np.array([start for start, _, _ in samples], dtype=np.int64),
            t_end_ns=np.array([end for _, end, _ in samples], dtype=np.int64),
            codes=np.array([codes for _, _, codes in samples], dtype=np.int32),
        )

    def drive(self, excitation: Excitation) -> None:
        """See `Acquisition`."""
        with self._outside_flight("the excitation cannot be changed"):
            self._run([*self._set_up(), *excitation_writes(excitation)])

    def switch_off(self) -> None:
        """See `Acquisition`."""
        # Told before it waits for its turn: readings under way end with their slice.
        self._offs += 1
        with self._outside_flight("the excitation cannot be switched off here"):
            was_set_up, self._is_set_up = self._is_set_up, False
            self._sampler.switch_off(off_writes())
            self._is_set_up = was_set_up

    def _slice(self, n_avg: int) -> int:
        """Return the readings that take about `_SLICE_S`; at least one."""
        detector = self._bench.detector
        each_s = max(1 / detector.reading_rate_hz, n_avg / detector.conversion_rate_hz)
        return max(int(_SLICE_S / each_s), 1)

    def _set_up(self) -> RegisterWrites:
        # Nobody else can have changed it while the port is ours.
        return [] if self._is_set_up else converter_writes(self._bench.detector)

    def _run(
        self, writes: RegisterWrites, n_avg: int = 1, readings: int = 0
    ) -> list[tuple[int, int, list[int]]]:
        self._is_set_up = False
        taken = self._sampler.run(writes=writes, averaging=n_avg, readings=readings)
        self._is_set_up = True
        return taken

    def release(self) -> None:
        """Let the port go."""
        self._sampler.release()
        self._is_set_up = False
