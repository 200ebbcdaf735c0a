"""An Arcus Performax stage by pylablib, as anybody's plugin would drive it.

It has the serial port for itself, and so must let go of it for a flight.
"""

# pyright: basic, reportMissingImports=false

from typing import Any

from pylablib.devices import Arcus
from pymodaq.control_modules.move_utility_classes import (
    DAQ_Move_base,
    DataActuatorType,
    comon_parameters_fun,
)
from pymodaq.utils.data import DataActuator


class DAQ_Move_ArcusPerformax(DAQ_Move_base):
    """An axis of a 4EX stage on a serial line, in mm."""

    _controller_units = "mm"
    is_multiaxes = True
    _axis_names = ["x", "y", "z", "u"]
    _epsilon = 0.03
    data_actuator_type = DataActuatorType.DataActuator
    params = [
        {"title": "Port", "name": "port", "type": "str", "value": ""},
        {"title": "Baud", "name": "baud", "type": "int", "value": 9600},
        {
            "title": "mm per step",
            "name": "mm_per_step",
            "type": "float",
            "value": 0.0218,
        },
        *comon_parameters_fun(axis_names=_axis_names, epsilon=_epsilon),
    ]

    def ini_attributes(self):
        """Say what the controller is."""
        self.controller: Any = None

    def ini_stage(self, controller=None):
        """Open the port.

        Parameters
        ----------
        controller
            The stage of the master; None if this is the master.
        """
        if self.is_master:
            line = self.settings["port"], self.settings["baud"]
            self.controller = Arcus.Performax4EXStage(conn=line)
        else:
            self.controller = controller
        return "the stage is open", True

    def get_actuator_value(self):
        """Return where the axis is, in mm."""
        steps = self.controller.get_position(self.axis_name)
        position = DataActuator(data=steps * self.settings["mm_per_step"], units="mm")
        return self.get_position_with_scaling(position)

    def move_abs(self, value):
        """Move to a position."""
        self.target_value = self.check_bound(value)
        target = self.set_position_with_scaling(self.target_value).value("mm")
        steps = round(target / self.settings["mm_per_step"])
        self.controller.move_to(self.axis_name, steps)

    def move_rel(self, value):
        """Move by a distance."""
        self.move_abs(self.current_value + value)

    def move_home(self):
        """Refuse: which way home is, is the bench's matter."""
        self.move_done()

    def stop_motion(self):
        """Stop the axis with its ramp."""
        self.controller.stop(self.axis_name)
        self.move_done()

    def commit_settings(self, param):
        """Take no notice: settings are used when the port is opened."""

    def close(self):
        """Close the port; nothing if it is closed, as pylablib has it."""
        if self.is_master and self.controller is not None:
            self.controller.close()
