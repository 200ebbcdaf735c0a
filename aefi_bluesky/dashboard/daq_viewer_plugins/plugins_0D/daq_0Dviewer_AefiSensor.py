"""The field sensor as a detector: a client of the engine."""

# pyright: basic, reportMissingImports=false

import math

import numpy as np
from pymodaq.control_modules.thread_commands import ThreadStatus
from pymodaq.control_modules.viewer_utility_classes import (
    DAQ_Viewer_base,
    comon_parameters,
)
from pymodaq.utils.data import DataFromPlugins, DataToExport
from pymodaq_utils.utils import ThreadCommand

from aefi_bluesky.dashboard.shared_bench import BENCH, PluginOfBench
from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.results.scan_results import CHANNELS


class DAQ_0DViewer_AefiSensor(PluginOfBench, DAQ_Viewer_base):
    """The six voltages, in V; NaN, with a message, while a scan is under way."""

    params = [
        *comon_parameters,
        {
            "title": "Conversions averaged",
            "name": "n_avg",
            "type": "int",
            "value": 10,
            "limits": [1, 127],
        },
    ]

    def ini_detector(self, controller=None):
        """Join the bench; see `PluginOfBench.joined`."""
        return self.joined(controller)

    def grab_data(self, Naverage=1, **kwargs):
        """Take readings, and give their mean.

        Parameters
        ----------
        Naverage
            Readings in the mean.
        kwargs
            What PyMoDAQ says besides.
        """
        try:
            n_avg = self.settings["n_avg"]
            volts = BENCH.ask(lambda bench: bench.take_readings(n_avg, Naverage))
        except AefiError as err:
            self.emit_status(ThreadCommand(ThreadStatus.UPDATE_STATUS, str(err)))
            volts = dict.fromkeys(CHANNELS, math.nan)
        data = DataFromPlugins(
            "field",
            data=[np.array([volts[channel]]) for channel in CHANNELS],
            dim="Data0D",
            labels=list(CHANNELS),
            units="V",
        )
        self.dte_signal.emit(DataToExport("field", data=[data]))

    def commit_settings(self, param):
        """Take no notice: settings are used with the next reading."""

    def stop(self):
        """Say nothing: a reading ends by itself."""
        return ""
