"""The device that drives the spheres: on for a plan, off after it."""

# ophyd's own types leave these open, or name a dict class of their own.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Literal

from ophyd import Component, Device
from ophyd.status import DeviceStatus

from aefi_bluesky.devices.background_status import in_background
from aefi_bluesky.devices.flyer import AefiFlyer
from aefi_bluesky.devices.setting import Setting, number
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import member
from aefi_bluesky.domain.ports import Acquisition
from aefi_bluesky.domain.spec.fly_spec import Excitation, ExcitationMode

logger = logging.getLogger(__name__)

_State = Literal["on", "off", "unknown"]


class _DrivenBy(Setting):
    """A number or word of the excitation, applied at once while it is on."""

    def put(self, value: Any, **kwargs: Any) -> None:
        """Take a value over, and drive with it; see `Setting`."""
        self.check_value(value)
        if self.parent is not None and hasattr(self.parent, "apply"):
            self.parent.apply(self.attr_name, value)
        super().put(value, **kwargs)


def _mode(name: str, value: object) -> str:
    return member(name, ExcitationMode, value).value


_LEVEL = number("%", 0, 100)


class ExcitationSource(Device):
    """Drives the spheres with what its settings say, while it is ``on``.

    ``bps.mv(excitation, "on")`` switches the excitation on for the plan that does so.
    When the plan ends, in whatever way, the RunEngine stops all devices that the plan
    moved, and a stopped source is off. A pause switches the excitation off, and a
    resume switches it on again. Flights do all this by themselves.

    The microcontroller can't be read (acquisition reference §1). So ``off`` means that
    it acknowledged every write that switches the excitation off, and ``on`` that it
    acknowledged every write that switches it on. ``unknown`` means that this session
    has not written yet, or that the last flight ended before it switched the excitation
    off.

    Parameters
    ----------
    acquisition
        The link to the acquisition, which writes the registers.
    flyer
        The flyer. Its flights have their own excitation.
    name
        Name of the device.
    """

    mode = Component(
        _DrivenBy, take=_mode, value=ExcitationMode.X_DIR.value, kind="config"
    )
    """Phase between the sphere pairs; see `ExcitationMode`."""
    level_s1s2 = Component(_DrivenBy, take=_LEVEL, value=50.0, kind="config")
    """Level of the first sphere pair, 0 to 100 %."""
    level_s3s4 = Component(_DrivenBy, take=_LEVEL, value=50.0, kind="config")
    """Level of the second one."""
    frequency = Component(
        _DrivenBy, take=number("Hz", 1, 8e6), value=1000.0, kind="config"
    )
    """Frequency, 1 Hz to 8 MHz."""

    def __init__(
        self, acquisition: Acquisition, flyer: AefiFlyer, *, name: str, **kwargs: Any
    ) -> None:
        self._acquisition = acquisition
        self._flyer = flyer
        self._state: _State = "unknown"
        self._seen: object = None
        # The flight before the last switching off from here.
        self._off_after: object = None
        # From the first write that gives it to the last that takes it away.
        self._may_be_on = False
        # One writes at a time; a stop makes what waits to switch on give up.
        self._writing = threading.Lock()
        self._stops = 0
        # Whether a stop found it on; whether a pause did.
        self._was_on = self._goes_on = False
        super().__init__(name=name, **kwargs)

    # -- what it is driven with ----------------------------------------------

    def settings(self, **changed: Any) -> Excitation:
        """Return the excitation of the settings, or with some of them changed.

        Raises
        ------
        InvalidScanSpecError
            If the settings are no possible excitation.
        """
        values = {each: getattr(self, each).get() for each in self.component_names}
        values |= changed
        return Excitation(
            member("excitation mode", ExcitationMode, values["mode"]),
            values["level_s1s2"],
            values["level_s3s4"],
            values["frequency"],
        )

    def apply(self, setting: str, value: Any) -> None:
        """Check a new value of a setting, and drive with it if it is on."""
        excitation = self.settings(**{setting: value})
        with self._writing:  # not behind the back of who switches off
            if self.state() == "on" and not self._flyer.is_flying:
                self._acquisition.drive(excitation)

    # -- on and off ----------------------------------------------------------

    def state(self) -> _State:
        """Return ``on``, ``off`` or ``unknown``."""
        if self._flyer.is_flying:
            return "on"
        results = self._flyer.results
        if results is not None and results is not self._seen:
            self._seen = results
            self._state = "off" if self._flyer.excitation_off else "unknown"
        return self._state

    def check_value(self, value: str) -> None:
        """Refuse a value that is neither ``on`` nor ``off``.

        Raises
        ------
        InvalidScanSpecError
            If it is another word.
        """
        if value not in ("on", "off"):
            raise InvalidScanSpecError(
                f"{self.name} must be set to 'on' or 'off', was {value!r}"
            )

    def locate(self) -> dict[str, str]:
        """Return the state asked for last, and the present one, perhaps ``unknown``."""
        setpoint = "on" if self._may_be_on else "off"
        return {"setpoint": setpoint, "readback": self.state()}

    def set(self, state: Literal["on", "off"]) -> DeviceStatus:
        """Switch on or off; done when the microcontroller acknowledged every write.

        Raises
        ------
        InvalidScanSpecError
            If the value is another word, or the settings are no possible excitation.
        """
        self.check_value(state)
        self._was_on = False
        if self.state() == state and not self._flyer.is_flying:
            status = DeviceStatus(self)
            status.set_finished()
            return status
        if state == "off":
            return in_background(self, self._switch_off)
        self._may_be_on = True  # before its thread begins: a stop must know
        stops = self._stops
        return in_background(self, lambda: self._drive_unless_stopped(stops))

    def _drive_unless_stopped(self, stops: int) -> None:
        with self._writing:
            if self._stops != stops:
                return
            excitation = self.settings()
            self._know("unknown")
            self._may_be_on = True
            self._acquisition.drive(excitation)
            self._know("on")

    def _switch_off(self) -> None:
        self._stops += 1
        with self._writing:
            self._know("unknown")
            self._acquisition.switch_off()
            self._may_be_on = False
            self._off_after = self._flyer.results
            self._know("off")

    def _know(self, state: _State) -> None:
        self._seen = self._flyer.results
        self._state = state

    def stop(self, *, success: bool = False) -> None:
        """Switch off, if this device switched the excitation on.

        A flight switches its own excitation off.

        Raises
        ------
        ScanPortError
            If the acquisition does not acknowledge it.
        """
        if self._flyer.is_flying or not (self._may_be_on or self._flight_left_it):
            return
        self._was_on = self.state() == "on"
        try:
            self._switch_off()
        except Exception:
            # Who asked may keep it to himself, as bluesky does: 100 V are told aloud.
            logger.critical(
                "%s could not be switched off: the excitation may be on", self.name
            )
            raise

    @property
    def _flight_left_it(self) -> bool:
        """Whether the last flight did not get so far as to switch it off."""
        results = self._flyer.results
        is_new = results is not None and results is not self._off_after
        return is_new and not self._flyer.excitation_off

    def pause(self) -> None:
        """Remember what the stop before has switched off."""
        self._goes_on, self._was_on = self._was_on, False

    def resume(self) -> None:
        """Switch on again what a pause has switched off."""
        if self._goes_on:
            self._goes_on = False
            self._drive_unless_stopped(self._stops)

    def unstage(self) -> list[Any]:
        """Switch off, whatever happened."""
        try:
            self.stop()
        finally:
            unstaged = super().unstage()
        return unstaged

    # -- documents -----------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Return ``off``, ``on`` or ``unknown``."""
        self._was_on = False
        return {self.name: {"value": self.state(), "timestamp": time.time()}}

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
