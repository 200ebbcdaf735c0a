"""The measured constants of the bench, as a device: runs read it, plans set it."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ophyd import Device
from ophyd.status import DeviceStatus

from aefi_bluesky.domain.bench.calibration import Calibration

_UNITS = {
    "lag_s": "s",
    "reading_rate_hz": "Hz",
    "fix_rate_hz": "Hz",
    "turnaround_s": "s",
}


class CalibrationStore(Protocol):
    """Keeps a bench's calibration."""

    def load(self) -> Calibration:
        """Return what was saved last."""
        ...

    def save(self, calibration: Calibration) -> None:
        """Replace what was saved."""
        ...


class BenchCalibration(Device):
    """Constants of the bench as measured, kept from session to session.

    ``bps.mv(calibration, {"run": uid, "lag_s": 0.012})`` saves constants and uses them
    from now on.

    Parameters
    ----------
    store
        The store of the constants.
    use
        Called with every new calibration, and with the stored one at once.
    name
        Name of the device.
    """

    def __init__(
        self,
        store: CalibrationStore,
        use: Callable[[Calibration], None],
        *,
        name: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._store = store
        self._use = use
        self._current = store.load()
        self._use(self._current)

    @property
    def current(self) -> Calibration:
        """The calibration that is used now."""
        return self._current

    def check_value(self, value: Mapping[str, Any]) -> None:
        """Refuse constants that are not possible.

        Raises
        ------
        ConfigurationError
            If a constant is unknown or out of range.
        """
        self._changed(value)

    def _changed(self, measured: Mapping[str, Any]) -> Calibration:
        values = dict(measured)
        run = values.pop("run", "")
        return self._current.measured(run, **values)

    def locate(self) -> dict[str, dict[str, Any]]:
        """Return the constants that are used, as `set` takes them."""
        plain = self._current.to_plain()
        used = {name: plain[name] for name in _UNITS if plain[name] is not None}
        return {"setpoint": used, "readback": used}

    def set(self, measured: Mapping[str, Any]) -> DeviceStatus:
        """Save constants, with the uid of their ``run``, and use them from now on.

        Raises
        ------
        ConfigurationError
            If a constant is unknown or out of range.
        StorageError
            If they can't be saved; nothing has changed.
        PortBusyError
            If a flight is under way.
        """
        changed = self._changed(measured)
        self._use(changed)
        try:
            self._store.save(changed)
        except Exception:
            self._use(self._current)
            raise
        self._current = changed
        status = DeviceStatus(self)
        status.set_finished()
        return status

    def _values(self) -> dict[str, Any]:
        plain = self._current.to_plain()
        return {
            f"{self.name}_{name}": plain[name]
            for name in _UNITS
            if plain[name] is not None
        }

    def read(self) -> dict[str, Any]:
        """Return what was measured."""
        now = time.time()
        return {
            key: {"value": value, "timestamp": now}
            for key, value in self._values().items()
        }

    def describe(self) -> dict[str, Any]:
        """Return the data keys of what was measured."""
        return {
            key: {
                "source": f"run {self._current.runs.get(name, '')}",
                "dtype": "number",
                "shape": [],
                "units": unit,
            }
            for name, unit in _UNITS.items()
            if (key := f"{self.name}_{name}") in self._values()
        }

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: constants are not plotted."""
        return {"fields": []}
