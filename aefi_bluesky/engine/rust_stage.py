"""The stage outside flights, over the Rust engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import require_number
from aefi_bluesky.domain.errors import (
    DeviceTimeoutError,
    IllegalTransitionError,
    PortBusyError,
)
from aefi_bluesky.domain.ports import FixRate, MoveEnd
from aefi_bluesky.domain.spec.fly_spec import AxisName
from aefi_bluesky.engine.links import AxisSpeeds, Connection
from aefi_bluesky.engine.native_plan import mm_per_step

_AXES: tuple[AxisName, AxisName] = ("x", "y")

_SLICE_S = 1.0

_REQUEST_BYTES = 6
"""``@00PX`` and CR."""

HOME_MODE = 0
"""To the home input, and down from there with a ramp (Arcus reference §6.5): as the
bench homes every day."""


class RustStage:
    """Moves axes while no flight is under way; see `StageMotion`.

    The port is opened with the first move and kept until a flight or `release` takes
    it back.

    Parameters
    ----------
    bench
        Travel, speeds and scales.
    connection
        Reaches the bench.
    outside_flight
        A context that refuses to be entered in flight, and keeps flights from
        beginning.
    in_flight_mm
        Returns where the axes are in a flight, in mm; None outside.
    """

    def __init__(
        self,
        bench: BenchDescription,
        connection: Connection,
        outside_flight: Callable[[str], AbstractContextManager[None]],
        in_flight_mm: Callable[[], tuple[float, float] | None],
    ) -> None:
        self._bench = bench
        self._mm = {axis: mm_per_step(bench, axis) for axis in _AXES}
        self._connection = connection
        self._moves = connection.stage_moves(self._speeds())
        self._outside_flight = outside_flight
        self._in_flight_mm = in_flight_mm
        # Between a release and the next look anybody may have moved the stage.
        self._is_known = False
        self._stopped_well = False

    def _speeds(self) -> AxisSpeeds:
        x, y = (self._bench.motion_along(axis) for axis in _AXES)
        ramp = round(y.ramp_s * 1000)
        return AxisSpeeds(
            (
                round(x.positioning_speed_mm_per_s / self._mm["x"]),
                round(y.positioning_speed_mm_per_s / self._mm["y"]),
            ),
            (
                round(x.start_speed_mm_per_s / self._mm["x"]),
                round(y.start_speed_mm_per_s / self._mm["y"]),
            ),
            (ramp, ramp),
        )

    def start_move(
        self, axis: AxisName, target_mm: float, speed_mm_per_s: float | None = None
    ) -> None:
        """See `StageMotion`."""
        self._bench.axis(axis).require_inside(f"axis {axis}: target", target_mm)
        speed = self._steps_per_s(axis, speed_mm_per_s)
        target = round(target_mm / self._mm[axis])
        with self._outside_flight(f"axis {axis} cannot be moved"):
            begun = self._moves.move_to(axis, target, speed)
        self._require_begun(axis, begun=begun)

    def start_homing(
        self,
        axis: AxisName,
        *,
        upwards: bool = False,
        speed_mm_per_s: float | None = None,
    ) -> None:
        """See `StageMotion`."""
        speed = self._steps_per_s(axis, speed_mm_per_s)
        with self._outside_flight(f"axis {axis} cannot be homed"):
            begun = self._moves.home(axis, upwards, HOME_MODE, speed)
        self._require_begun(axis, begun=begun)

    def _steps_per_s(self, axis: AxisName, speed_mm_per_s: float | None) -> int:
        motion = self._bench.motion_along(axis)
        if speed_mm_per_s is None:
            speed_mm_per_s = motion.positioning_speed_mm_per_s
        require_number(
            f"axis {axis}: speed",
            speed_mm_per_s,
            "mm/s",
            motion.min_speed_mm_per_s,
            max(motion.max_speed_mm_per_s, motion.positioning_speed_mm_per_s),
        )
        return round(speed_mm_per_s / self._mm[axis])

    def _require_begun(self, axis: AxisName, *, begun: bool) -> None:
        if not begun:
            raise IllegalTransitionError(
                f"axis {axis} is moving: stop it or wait for its end"
            )
        self._is_known = True

    def wait(self, axis: AxisName, timeout_s: float) -> MoveEnd | None:
        """See `StageMotion`."""
        waited = self._moves.wait(axis, timeout_s)
        return None if waited is None else MoveEnd(*waited)

    @property
    def stopped_well(self) -> bool:
        """See `StageMotion`."""
        return self._stopped_well

    def is_at(self, axis: AxisName, target_mm: float) -> bool:
        """See `StageMotion`."""
        known = self._is_known and self._in_flight_mm() is None
        found = self._moves.positions["xy".index(axis)]
        end = self.wait(axis, 0.0)
        rests = known and end is not None and end.outcome != "failed"
        return rests and found == round(target_mm / self._mm[axis])

    @property
    def is_known(self) -> bool:
        """Whether `positions_mm` answers without asking the stage."""
        return self._is_known or self._in_flight_mm() is not None

    def positions_mm(self) -> tuple[float, float]:
        """See `StageMotion`."""
        flown = self._in_flight_mm()
        if flown is not None:
            return flown
        steps = self._moves.positions
        if not self._is_known or None in steps:
            with self._outside_flight("the positions of the axes cannot be read"):
                steps = self._moves.look()
            self._is_known = True
        x, y = (float("nan") if each is None else each for each in steps)
        return x * self._mm["x"], y * self._mm["y"]

    def stop(self, *, success: bool = False) -> None:
        """See `StageMotion`."""
        self._stopped_well = success
        self._moves.stop()

    def abort(self) -> None:
        """See `StageMotion`."""
        self._moves.abort()

    def measure_fixes(self, duration_s: float) -> FixRate:
        """See `StageMotion`."""
        require_number("duration of polling", duration_s, "s", 0.05, 600)
        x_mm, _ = self.positions_mm()
        reply = len(str(round(x_mm / self._mm["x"]))) + 1
        exchanges, elapsed_s, left_s = 0, 0.0, duration_s
        while left_s > 0:
            # In slices: nobody may have to wait for ten minutes of polling.
            with self._outside_flight("the stage's link cannot be measured"):
                self.release()
                polled = self._connection.poll_stage(min(left_s, _SLICE_S))
            exchanges += max(polled["stage_fixes"] - 1, 0)
            elapsed_s += polled["stage_elapsed"] * 1e-9
            left_s -= _SLICE_S
        if exchanges < 1:
            raise DeviceTimeoutError(
                f"the stage answered less than 2 position queries in {duration_s:g} s"
            )
        period_s = elapsed_s / exchanges
        wire_s = (_REQUEST_BYTES + reply) * self._connection.stage_byte_s
        return FixRate(1 / period_s, max(period_s - wire_s, 0.0))

    def wait_for_rest(self, timeout_s: float) -> bool:
        """Wait until no axis moves by an order from here; return whether so."""
        return self._moves.wait_for_rest(timeout_s)

    def release(self) -> None:
        """Let the port go.

        Raises
        ------
        PortBusyError
            If an axis moves.
        """
        if not self._moves.release():
            raise PortBusyError("an axis is moving: stop it or wait for its end")
        self._is_known = False
