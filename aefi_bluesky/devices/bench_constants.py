"""The bench's constants as a device, for the baseline and the configuration."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import time
from typing import Any

from ophyd import Device

from aefi_bluesky.domain.bench.description import BenchDescription


def flat_constants(bench: BenchDescription, prefix: str) -> dict[str, Any]:
    """Return a bench's numbers under flat names, ``prefix_motion_ramp_s``."""
    flat: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{path}_{key}", inner)
        else:
            flat[path] = value

    walk(prefix, bench.to_plain())
    return flat


def described_constants(constants: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the data keys of flat constants."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {
        name: {"source": f"{source}:{name}", "dtype": kinds[type(value)], "shape": []}
        for name, value in constants.items()
    }


def stamped_constants(constants: dict[str, Any]) -> dict[str, Any]:
    """Return flat constants as a reading of now."""
    now = time.time()
    return {
        name: {"value": value, "timestamp": now} for name, value in constants.items()
    }


class BenchConstants(Device):
    """Scales, speeds and detector constants, read before and after each run.

    Parameters
    ----------
    bench
        The bench.
    name
        Name of the device.
    """

    def __init__(self, bench: BenchDescription, *, name: str) -> None:
        super().__init__(name=name)
        self.recalibrate(bench)

    def recalibrate(self, bench: BenchDescription) -> None:
        """Use the constants that were measured of the bench from now on."""
        self._constants = flat_constants(bench, self.name)

    def read(self) -> dict[str, Any]:
        """Return every constant."""
        return stamped_constants(self._constants)

    def describe(self) -> dict[str, Any]:
        """Return the constants' data keys."""
        return described_constants(self._constants, self.name)

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: constants are not plotted."""
        return {"fields": []}
