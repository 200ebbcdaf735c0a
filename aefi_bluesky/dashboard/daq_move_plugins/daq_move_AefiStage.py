"""The stage as an actuator: a client of the engine, which has the port for life.

Other plugins of the same stage must let go of its port for a flight; this one need not.
"""

# pyright: basic, reportMissingImports=false

from pymodaq.control_modules.move_utility_classes import (
    DAQ_Move_base,
    DataActuatorType,
    comon_parameters_fun,
)
from pymodaq.control_modules.thread_commands import ThreadStatus
from pymodaq.utils.data import DataActuator
from pymodaq_utils.utils import ThreadCommand

from aefi_bluesky.dashboard.shared_bench import BENCH, PluginOfBench
from aefi_bluesky.domain.errors import AefiError


class DAQ_Move_AefiStage(PluginOfBench, DAQ_Move_base):
    """An axis of the bench's stage, in mm.

    While a scan is under way its value is where the engine expects the axis, and moves
    are refused with a message.
    """

    _controller_units = "mm"
    is_multiaxes = True
    _axis_names = ["x", "y"]
    _epsilon = 0.03
    data_actuator_type = DataActuatorType.DataActuator
    params = comon_parameters_fun(axis_names=_axis_names, epsilon=_epsilon)

    def ini_stage(self, controller=None):
        """Join the bench; see `PluginOfBench.joined`."""
        return self.joined(controller)

    def get_actuator_value(self):
        """Return where the axis is, in mm."""
        x_mm, y_mm = BENCH.ask(lambda bench: bench.positions_mm())
        position = DataActuator(data={"x": x_mm, "y": y_mm}[self.axis_name], units="mm")
        return self.get_position_with_scaling(position)

    def move_abs(self, value):
        """Move to a position."""
        self.target_value = self.check_bound(value)
        self._move_to(self.set_position_with_scaling(self.target_value).value("mm"))

    def move_rel(self, value):
        """Move by a distance."""
        self.target_value = self.check_bound(self.current_value + value)
        self._move_to(self.set_position_with_scaling(self.target_value).value("mm"))

    def _move_to(self, target_mm):
        axis = self.axis_name
        self._order(lambda bench: bench.start_moves({axis: target_mm}))

    def move_home(self):
        """Look for the home input."""
        axis = self.axis_name
        self._order(lambda bench: bench.start_homing(axis).when_over(self.move_done))

    def _order(self, order):
        """Give an order; one that is refused is over, and says why."""
        try:
            BENCH.ask(order)
        except AefiError as err:
            self._say(err)
            self.ispolling = False  # there is no move to look at
            self.move_done(self._here())

    def _here(self):
        """Return where the axis is, or was when it was known last."""
        try:
            return self.get_actuator_value()
        except AefiError:
            return self.current_value

    def _say(self, err):
        self.emit_status(ThreadCommand(ThreadStatus.UPDATE_STATUS, str(err)))

    def stop_motion(self):
        """Stop both axes with their ramps: the controller has no other stop."""
        try:
            BENCH.served().stop_moves()  # at once: it takes no turn
        except AefiError as err:
            self._say(err)
        self.move_done(self._here())

    def commit_settings(self, param):
        """Take no notice: nothing here is a setting of the stage."""
