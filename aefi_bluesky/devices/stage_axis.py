"""An axis of the stage, as a positioner."""

# ophyd's own types leave these open, or name a dict class of their own.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import math
import threading
import time
from typing import Any, Literal

from ophyd import Component, Device, SignalRO
from ophyd.positioner import PositionerBase
from ophyd.status import MoveStatus

from aefi_bluesky.devices.data_keys import numeric_key
from aefi_bluesky.devices.setting import Setting, number
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import InvalidScanSpecError, ScanAbortedError
from aefi_bluesky.domain.ports import StageMotion

_REPORT_PERIOD_S = 0.1

_STOP_PATIENCE_S = 2.0
"""How long a new move waits for the end of one that was stopped; a ramp is shorter."""


class StageAxis(Device, PositionerBase):
    """One axis: it moves, can be stopped and homed, and knows its limits.

    Its reading has the keys of the flyer's frames: ``x`` (where it is), ``x_lo`` and
    ``x_hi`` (half a step on either side), ``x_nominal`` (where it was sent last), all
    in mm. A stop of one axis stops both: the controller has no other (Arcus
    reference §4).

    Parameters
    ----------
    stage
        The stage that the axis belongs to.
    bench
        The bench, with travel and speeds.
    axis
        ``"x"`` or ``"y"``.
    name
        Name of the device.
    home_speed_mm_per_s
        Speed on the way home, in mm/s; the home input overshoots with it.
    """

    velocity = Component(Setting, take=number("mm/s", 0), value=0.0, kind="config")
    """Speed of the next moves, in mm/s."""

    user_offset = Component(SignalRO, value=0.0, kind="omitted")
    """Zero: positions are the controller's own; ``%wa`` shows it."""

    def __init__(
        self,
        stage: StageMotion,
        bench: BenchDescription,
        axis: Literal["x", "y"],
        *,
        name: str,
        home_speed_mm_per_s: float = 32.7,
        **kwargs: Any,
    ) -> None:
        self.bench = bench
        self._stage = stage
        self._axis: Literal["x", "y"] = axis
        self._travel = bench.axis(axis)
        self._home_speed = home_speed_mm_per_s
        self._nominal = float("nan")
        self._follower: threading.Thread | None = None
        self._stopped = False
        kwargs.setdefault("labels", {"motors"})
        super().__init__(name=name, **kwargs)
        self.velocity.put(bench.motion_along(axis).positioning_speed_mm_per_s)

    def recalibrate(self, bench: BenchDescription) -> None:
        """Use the constants that were measured of the bench from now on."""
        self.bench = bench

    # -- what people and stock plans ask -------------------------------------

    @property
    def egu(self) -> str:
        """Unit of a position."""
        return "mm"

    @property
    def precision(self) -> int:
        """Digits shown: a step is some 0.02 mm."""
        return 3

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the travel, in mm."""
        return self._travel.travel_min_mm, self._travel.travel_max_mm

    @property
    def position(self) -> float:
        """Position of the axis, in mm: as read last, or as expected in flight."""
        return self._stage.positions_mm()["xy".index(self._axis)]

    def locate(self) -> dict[str, float]:
        """Return the target of the axis, ``setpoint``, and where it is, ``readback``.

        Relative moves begin at the setpoint: a readback is a whole number of steps, and
        what is less than half a step would be lost each time. Where the axis is not
        where it was sent (stopped, homed, flown), the setpoint is where it is.

        Returns
        -------
        dict
            Both in mm.
        """
        position = self.position
        setpoint = self._nominal if self._goes_where_sent() else position
        return {"setpoint": setpoint, "readback": position}

    def _goes_where_sent(self) -> bool:
        if math.isnan(self._nominal):
            return False
        return self._moving or self._stage.is_at(self._axis, self._nominal)

    def check_value(self, pos: float) -> None:
        """Refuse a value that is not a position inside the travel.

        Raises
        ------
        InvalidScanSpecError
            If the position is outside the travel; the message has the travel.
        """
        self._target_mm(pos)

    def _target_mm(self, position: object) -> float:
        return self._travel.require_inside(f"{self.name}: target", position)

    # -- moves ---------------------------------------------------------------

    def move(
        self,
        position: float,
        wait: bool = False,
        moved_cb: Any = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        """Start to move to a position in mm; see `PositionerBase.move`.

        Raises
        ------
        InvalidScanSpecError
            If the target or the velocity is out of range. Nothing has moved.
        PortBusyError
            In flight.
        IllegalTransitionError
            If the axis is moving.
        """
        target = self._target_mm(position)
        if self._stage.is_at(self._axis, target):
            return self._stay(target)
        speed: Any = self.velocity.get()
        return self._begin(
            lambda: self._stage.start_move(self._axis, target, speed),
            target,
            wait=wait,
            moved_cb=moved_cb,
            timeout=timeout,
        )

    def _stay(self, target: float) -> MoveStatus:
        self._nominal = target
        status = MoveStatus(self, target)
        status.set_finished()
        return status

    def home(
        self, direction: Literal["forward", "reverse"] = "reverse", wait: bool = False
    ) -> MoveStatus:
        """Look for the home input; `stop` ends this move as any other.

        Parameters
        ----------
        direction
            ``reverse`` looks downwards, as the bench does every day.
        wait
            Whether to return only when the input is found. Ctrl-C then stops the axis.

        Raises
        ------
        InvalidScanSpecError
            If the direction is neither ``forward`` nor ``reverse``.
        """
        if direction not in ("forward", "reverse"):
            raise InvalidScanSpecError(
                f"{self.name}: home direction must be 'forward' or 'reverse', "
                f"was {direction!r}"
            )
        speed = self._home_speed
        return self._begin(
            lambda: self._stage.start_homing(
                self._axis, upwards=direction == "forward", speed_mm_per_s=speed
            ),
            float("nan"),
            wait=wait,
        )

    def _begin(
        self,
        start: Any,
        target: float,
        *,
        wait: bool,
        moved_cb: Any = None,
        timeout: float | None = None,
    ) -> MoveStatus:
        if self._stopped and self._follower is not None:
            # A resume may follow a pause at once: the axis is ramping down still.
            self._follower.join(_STOP_PATIENCE_S)
        # Before it moves: a stage in motion can't be asked by anybody else.
        self._set_position(self.position)
        # It asks where the axis is, too; and a fault may be quicker than the next line.
        status = MoveStatus(self, target, timeout=timeout, settle_time=self.settle_time)
        try:
            start()
        except Exception as err:
            status.set_exception(err)
            raise
        self._nominal = target
        if moved_cb is not None:
            status.add_callback(lambda *_: moved_cb(status, obj=self))
        self._moving = True
        self._stopped = False
        self._run_subs(sub_type=self.SUB_START, timestamp=time.time())
        self._follower = threading.Thread(
            target=self._follow,
            args=(status,),
            name=f"aefi-{self.name}",
            daemon=True,  # the session stops the stage; the exit must not wait
        )
        self._follower.start()
        if wait:
            self._wait(status)
        return status

    def _wait(self, status: MoveStatus) -> None:
        """Wait for the end; Ctrl-C stops the stage, as ophyd's own motors do."""
        try:
            status.wait()
        except KeyboardInterrupt:
            self.stop()
            raise

    def _follow(self, status: MoveStatus) -> None:
        """Report how the move goes until it has ended."""
        try:
            while (end := self._stage.wait(self._axis, _REPORT_PERIOD_S)) is None:
                self._set_position(self.position)
            if end.outcome != "failed":  # else nobody knows where it is
                self._set_position(self.position)
        except Exception as err:
            self._conclude(status, err)
            return
        stopped_well = end.outcome == "stopped" and self._stage.stopped_well
        if end.outcome == "arrived" or stopped_well:
            self._conclude(status, None)
        elif end.outcome == "stopped":
            where = f"{self.name} was stopped at {self.position:.3f} mm"
            self._conclude(status, ScanAbortedError(where))
        else:
            self._conclude(status, end.error)

    def _conclude(self, status: MoveStatus, error: Exception | None) -> None:
        self._moving = False
        if not status.done:
            if error is None:
                status.set_finished()
            else:
                status.set_exception(error)
        self._run_subs(sub_type=self.SUB_DONE, timestamp=time.time())

    def stop(self, *, success: bool = False) -> None:
        """Stop both axes with their ramps; returns at once, idempotent.

        Parameters
        ----------
        success
            Whether the status of the move is done without a failure. The RunEngine
            wants this in a pause, and sends the axis on its way again. Otherwise the
            status fails.
        """
        if self._moving:
            self._stopped = True
            self._stage.stop(success=success)

    def abort(self) -> None:
        """Stop both axes at once, without a ramp: steps may be lost."""
        self._stage.abort()

    # -- documents -----------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Return where the axis is, and where it was sent."""
        now, position = time.time(), self.position
        half = self._travel.um_per_step / 2000
        axis = self._axis
        nominal = position if math.isnan(self._nominal) else self._nominal
        values = {
            axis: position,
            f"{axis}_nominal": nominal,
            f"{axis}_lo": position - half,
            f"{axis}_hi": position + half,
        }
        return {
            key: {"value": value, "timestamp": now} for key, value in values.items()
        }

    def describe(self) -> dict[str, Any]:
        """Return the data keys."""
        axis, (low, high) = self._axis, self.limits
        keys = (axis, f"{axis}_nominal", f"{axis}_lo", f"{axis}_hi")
        return {
            key: {
                **numeric_key(f"{self.name}:{key}", key, "mm"),
                "precision": self.precision,
                "lower_ctrl_limit": low,
                "upper_ctrl_limit": high,
            }
            for key in keys
        }

    @property
    def hints(self) -> dict[str, Any]:
        """Where it is: what stock plans plot against."""
        return {"fields": [self._axis]}
