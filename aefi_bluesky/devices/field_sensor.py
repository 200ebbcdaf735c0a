"""The field sensor at rest: readings by trigger, keyed as the flyer's frames."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np
from ophyd import Component, Device
from ophyd.status import DeviceStatus

from aefi_bluesky.devices.background_status import in_background
from aefi_bluesky.devices.bench_constants import described_constants, stamped_constants
from aefi_bluesky.devices.data_keys import FRAME_UNITS, numeric_key
from aefi_bluesky.devices.setting import Setting, count
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import IllegalTransitionError, ScanAbortedError
from aefi_bluesky.domain.ports import Acquisition, SampleBatch
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.results.voltage import code_to_volts

_COLUMNS = tuple(
    column
    for column in FRAME_UNITS
    if column in ("t", "count") or column.removesuffix("_std") in CHANNELS
)


class FieldSensor(Device):
    """Six voltages: each trigger takes readings and keeps their mean.

    Its reading has the keys of the flyer's frames: the voltages and their standard
    deviations over the readings in V (n - 1; NaN for one), ``count`` (readings), ``t``
    (middle of the first and the last reading, in s since the device was staged, by the
    bench's clock).

    Parameters
    ----------
    acquisition
        The link to the acquisition, which takes the readings.
    bench
        The converter's constants.
    name
        Name of the device.
    """

    n_avg = Component(Setting, take=count(1, 127), value=10, kind="config")
    """Conversions averaged into a reading, 1 to 127."""

    n_readings = Component(Setting, take=count(1), value=1, kind="config")
    """Readings a trigger takes."""

    n_discarded = Component(Setting, take=count(0), value=0, kind="config")
    """Readings that a trigger lets go by before: while the lock-in settles."""

    def __init__(
        self,
        acquisition: Acquisition,
        bench: BenchDescription,
        *,
        name: str,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("labels", {"detectors"})
        super().__init__(name=name, **kwargs)
        self._acquisition = acquisition
        self.recalibrate(bench)
        self._zero_ns: int | None = None
        self._values: dict[str, float | int] | None = None
        self._taken_at = 0.0

    def recalibrate(self, bench: BenchDescription) -> None:
        """Use the constants that were measured of the bench from now on."""
        self._detector = bench.detector
        self._constants = {
            f"{self.name}_{constant}": value
            for constant, value in dataclasses.asdict(bench.detector).items()
        }

    def stage(self) -> list[Any]:
        """Let ``t`` begin with the next reading."""
        self._zero_ns = None
        return super().stage()

    def trigger(self) -> DeviceStatus:
        """Take readings. The status is done when all are taken.

        If a link fails, the status fails with an error that names it.
        """
        n_avg: Any = self.n_avg.get()
        n_readings: Any = self.n_readings.get()
        n_discarded: Any = self.n_discarded.get()

        def take() -> None:
            try:
                batch = self._acquisition.take_readings(n_avg, n_discarded + n_readings)
                self._values = self._summary(batch.without_first(n_discarded))
                self._taken_at = time.time()
            except ScanAbortedError:
                # Cut off by a pause or an end: what is read is triggered again.
                self._values = None

        return in_background(self, take)

    def _summary(self, batch: SampleBatch) -> dict[str, float | int]:
        volts = code_to_volts(
            batch.codes[:, : len(CHANNELS)], self._detector.vref_v, self._detector.gain
        )
        n = len(volts)
        std = volts.std(axis=0, ddof=1) if n > 1 else np.full(len(CHANNELS), math.nan)
        if self._zero_ns is None:
            self._zero_ns = int(batch.t_start_ns[0])
        middle = (int(batch.t_start_ns[0]) + int(batch.t_end_ns[-1])) / 2
        return {
            "t": (middle - self._zero_ns) * 1e-9,
            "count": n,
            **dict(zip(CHANNELS, volts.mean(axis=0).tolist(), strict=True)),
            **{
                f"{channel}_std": value
                for channel, value in zip(CHANNELS, std.tolist(), strict=True)
            },
        }

    def read(self) -> dict[str, Any]:
        """Return the readings of the last trigger.

        Raises
        ------
        IllegalTransitionError
            If nothing was taken yet.
        """
        if self._values is None:
            raise IllegalTransitionError(f"{self.name} was not triggered")
        return {
            name: {"value": self._values[name], "timestamp": self._taken_at}
            for name in _COLUMNS
        }

    def describe(self) -> dict[str, Any]:
        """Return the data keys."""
        return {
            name: numeric_key(f"{self.name}:{name}", name, FRAME_UNITS[name])
            for name in _COLUMNS
        }

    def read_configuration(self) -> dict[str, Any]:
        """Return the settings, and the constants that recalibration needs."""
        settings: Any = super().read_configuration()
        return {**settings, **stamped_constants(self._constants)}

    def describe_configuration(self) -> dict[str, Any]:
        """Return the settings' and the constants' data keys."""
        settings: Any = super().describe_configuration()
        return {**settings, **described_constants(self._constants, self.name)}

    @property
    def hints(self) -> dict[str, Any]:
        """The voltages in phase: what is plotted and shown."""
        return {"fields": [channel for channel in CHANNELS if channel.endswith("_I")]}
