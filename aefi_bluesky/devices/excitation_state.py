"""What is known of the excitation, for the baseline of each run."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import time
from typing import Any

from ophyd import Device

from aefi_bluesky.devices.flyer import AefiFlyer


class ExcitationState(Device):
    """Whether the spheres are driven, as far as the last flight knows.

    The microcontroller has no read-back (acquisition reference §1): ``off`` means
    that it acknowledged every write that takes the excitation away, ``unknown``
    that no flight of this session has, or that the last one did not get so far.

    Parameters
    ----------
    flyer
        Commands the excitation.
    name
        Name of the device.
    """

    def __init__(self, flyer: AefiFlyer, *, name: str) -> None:
        super().__init__(name=name)
        self._flyer = flyer

    def _state(self) -> str:
        if self._flyer.is_flying:
            return "on"
        return "off" if self._flyer.excitation_off else "unknown"

    def read(self) -> dict[str, Any]:
        """Return ``off``, ``on`` or ``unknown``."""
        return {self.name: {"value": self._state(), "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        """Return the data key."""
        return {
            self.name: {
                "source": "last acknowledged register writes",
                "dtype": "string",
                "shape": [],
            }
        }

    @property
    def hints(self) -> dict[str, Any]:
        """The state: BestEffortCallback prints it before and after a run."""
        return {"fields": [self.name]}
