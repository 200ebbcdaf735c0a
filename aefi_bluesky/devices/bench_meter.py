"""What the bench really does at rest: rates, noise and turnaround of its links."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import time
from typing import Any

import numpy as np
from ophyd import Component, Device
from ophyd.status import DeviceStatus

from aefi_bluesky.devices.background_status import in_background
from aefi_bluesky.devices.data_keys import numeric_key
from aefi_bluesky.devices.setting import Setting, count, number
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import IllegalTransitionError
from aefi_bluesky.domain.ports import Acquisition, StageMotion
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.results.voltage import code_to_volts

_UNITS = {
    "reading_rate_hz": "Hz",
    "reading_period_p50_s": "s",
    "reading_period_p99_s": "s",
    "fix_rate_hz": "Hz",
    "turnaround_s": "s",
    **{f"noise_{channel}": "V" for channel in CHANNELS},
}


class BenchMeter(Device):
    """Measures both links and the noise while nothing moves.

    A trigger lets some readings go by while the lock-in settles, takes ``n_readings``
    back to back and then asks for positions for ``polling_s``. Noise is the standard
    deviation of the readings (n - 1).

    Parameters
    ----------
    stage, acquisition
        The two links that are measured.
    bench
        The converter's constants.
    name
        Name of the device.
    """

    n_avg = Component(Setting, take=count(1, 127), value=10, kind="config")
    """Conversions averaged into a reading, 1 to 127."""
    n_readings = Component(Setting, take=count(10), value=200, kind="config")
    """Readings, at least 10."""
    n_discarded = Component(Setting, take=count(0), value=30, kind="config")
    """Readings that go by before: half a second as the bench is wired."""
    polling_s = Component(
        Setting, take=number("s", 0.05, 600), value=2.0, kind="config"
    )
    """How long positions are asked for, in s."""

    def __init__(
        self,
        stage: StageMotion,
        acquisition: Acquisition,
        bench: BenchDescription,
        *,
        name: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._stage = stage
        self._acquisition = acquisition
        self._detector = bench.detector
        self._values: dict[str, float] | None = None

    @property
    def values(self) -> dict[str, float]:
        """The values that the last trigger measured.

        Raises
        ------
        IllegalTransitionError
            If nothing was measured yet.
        """
        if self._values is None:
            raise IllegalTransitionError(f"{self.name} was not triggered")
        return self._values

    def trigger(self) -> DeviceStatus:
        """Measure. If a link fails, the status fails with an error that names it."""
        n_avg: Any = self.n_avg.get()
        n_readings: Any = self.n_readings.get()
        n_discarded: Any = self.n_discarded.get()
        polling_s: Any = self.polling_s.get()

        def measure() -> None:
            self._values = {
                **self._of_readings(n_avg, n_readings, n_discarded),
                **self._of_fixes(polling_s),
            }

        return in_background(self, measure)

    def _of_readings(
        self, n_avg: int, n_readings: int, n_discarded: int
    ) -> dict[str, float]:
        batch = self._acquisition.take_readings(n_avg, n_discarded + n_readings)
        batch = batch.without_first(n_discarded)
        periods = np.diff(batch.t_end_ns) * 1e-9
        volts = code_to_volts(
            batch.codes[:, : len(CHANNELS)], self._detector.vref_v, self._detector.gain
        )
        noise = volts.std(axis=0, ddof=1).tolist()
        return {
            "reading_rate_hz": 1 / float(periods.mean()),
            "reading_period_p50_s": float(np.percentile(periods, 50)),
            "reading_period_p99_s": float(np.percentile(periods, 99)),
            **{f"noise_{name}": v for name, v in zip(CHANNELS, noise, strict=True)},
        }

    def _of_fixes(self, polling_s: float) -> dict[str, float]:
        fixes = self._stage.measure_fixes(polling_s)
        return {"fix_rate_hz": fixes.rate_hz, "turnaround_s": fixes.turnaround_s}

    def read(self) -> dict[str, Any]:
        """Return the values that the last trigger measured."""
        now, values = time.time(), self.values
        return {name: {"value": values[name], "timestamp": now} for name in _UNITS}

    def describe(self) -> dict[str, Any]:
        """Return the data keys."""
        return {
            name: numeric_key(f"{self.name}:{name}", name, unit)
            for name, unit in _UNITS.items()
        }

    @property
    def hints(self) -> dict[str, Any]:
        """The rates: what a person looks at first."""
        return {"fields": ["reading_rate_hz", "fix_rate_hz"]}
