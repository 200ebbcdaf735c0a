"""A flyer over the simulated bench in virtual time, and what it emitted."""

from __future__ import annotations

from bluesky import SupplementalData
from bluesky.utils import RunEngineInterrupted
from recorded_run import RecordedRun
from simulator_log import SimulatorLog

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.devices import AefiFlyer, BenchConstants
from aefi_bluesky.devices.data_keys import SAMPLE_COLUMNS, SAMPLE_UNITS
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.storage.run_file import RunFile

MAP = {
    **{"x_min_mm": 620.0, "x_max_mm": 650.0, "n_x": 5},
    **{"y_min_mm": 590.0, "y_max_mm": 630.0, "n_y": 9},
}
"""Five lines of nine frames near the middle of the travel."""

FRAMES, LINES = 45, 5


class VirtualBench:
    """A flyer over the simulated bench in virtual time, its engine and documents."""

    def __init__(self, engine, folder, *, seed=1, script="", observers=(), samples=None):
        configuration = load_bench("simulated")
        self.folder = folder
        self.simulated = simulated_bench(
            configuration, SimulationSettings(seed=seed, script=script)
        )
        starter = VirtualConnection(configuration.links(), self.simulated)
        description = configuration.description()
        self.port = RustScanAdapter(description, starter)
        self.flyer = AefiFlyer(
            ObservedScanPort(self.port, observers),
            description,
            samples or self.open_samples,
            name="flyer",
        )
        self.RE = engine
        self.run = RecordedRun()
        constants = SupplementalData(
            baseline=[BenchConstants(description, name="bench")]
        )
        engine.preprocessors.append(constants)
        engine.subscribe(self.run)

    def open_samples(self, uid):
        return RunFile.create(self.folder / "raw", uid, SAMPLE_COLUMNS, SAMPLE_UNITS)

    def plan(self, **changes):
        return fly_map(self.flyer, **{**MAP, **changes})

    def fly(self, **changes):
        self.RE(self.plan(**changes))
        return self.run

    def fly_until_paused(self, **changes):
        """Fly; tell whether somebody paused the run, which is left so."""
        try:
            self.fly(**changes)
        except RunEngineInterrupted:
            return True
        return False

    def moved(self):
        """Whether an axis of the simulated bench was ever in motion."""
        path = self.folder / "truth.jsonl"
        self.simulated.write_truth(path)
        return SimulatorLog.read(path).moved
