"""A flyer over the simulated bench, in virtual time or on ptys, and what it emitted."""

from __future__ import annotations

from bluesky import SupplementalData
from bluesky.utils import RunEngineInterrupted
from recorded_run import RecordedRun
from simulator_log import SimulatorLog

from aefi_bluesky.application.observed_port import ObservedScanPort
from aefi_bluesky.devices import (
    AefiFlyer,
    BenchCalibration,
    BenchConstants,
    BenchMeter,
    ExcitationSource,
    FieldSensor,
    StageAxis,
)
from aefi_bluesky.devices.data_keys import SAMPLE_COLUMNS, SAMPLE_UNITS
from aefi_bluesky.engine import RustScanAdapter, SerialConnection, VirtualConnection
from aefi_bluesky.plans import fly_map
from aefi_bluesky.plans.at_rest import AtRest
from aefi_bluesky.plans.run_maker import RunMaker
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import (
    SimulationSettings,
    SimulatorProcess,
    simulated_bench,
)
from aefi_bluesky.storage.local.calibration_file import CalibrationFile
from aefi_bluesky.storage.runs.sample_file import RunFile

MAP = {
    "x_min_mm": 620.0,
    "x_max_mm": 650.0,
    "n_x": 5,
    "y_min_mm": 590.0,
    "y_max_mm": 630.0,
    "n_y": 9,
}
"""Five lines of nine frames near the middle of the travel."""

FRAMES, LINES = 45, 5


class FlyerBench:
    """A flyer, a RunEngine that flies it, and the documents of the last run.

    Parameters
    ----------
    engine
        The RunEngine.
    folder
        Where sample files go.
    connection
        How the engine reaches the bench.
    observers
        Get every chunk beside the flyer.
    samples
        Makes sample files; files in the folder by default.
    spools
        Keeps spools.
    configuration
        What the bench is described by.
    """

    def __init__(
        self,
        engine,
        folder,
        connection,
        *,
        observers=(),
        samples=None,
        spools=None,
        configuration=None,
    ):
        self.RE = engine
        self.folder = folder
        self.description = (configuration or load_bench("simulated")).description()
        self.port = RustScanAdapter(self.description, connection, spools)
        self.flyer = AefiFlyer(
            ObservedScanPort(self.port, observers),
            self.description,
            samples or self.open_samples,
            name="flyer",
        )
        stage, acquisition = self.port.stage, self.port.acquisition
        self.x = StageAxis(stage, self.description, "x", name="stage_x")
        self.y = StageAxis(stage, self.description, "y", name="stage_y")
        self.sensor = FieldSensor(acquisition, self.description, name="sensor")
        self.excitation = ExcitationSource(acquisition, self.flyer, name="excitation")
        self.meter = BenchMeter(
            stage, acquisition, self.description, name="bench_meter"
        )
        self.constants = BenchConstants(self.description, name="bench")
        self.calibration = BenchCalibration(
            CalibrationFile(folder, self.description.name),
            self.use,
            name="calibration",
        )
        self.run = RecordedRun()
        baseline = SupplementalData(
            baseline=[
                self.constants,
                self.calibration,
                self.excitation,
            ]
        )
        engine.preprocessors.append(baseline)
        engine.subscribe(self.run)

    def use(self, calibration):
        calibrated = calibration.applied_to(self.description)
        users = (self.port, self.flyer, self.constants, self.x, self.y, self.sensor)
        for user in users:
            user.recalibrate(calibrated)

    @property
    def run_maker(self):
        """Makes runs of a study's scans."""
        at_rest = AtRest(self.x, self.y, self.sensor, self.excitation)
        return RunMaker(self.flyer, self.flyer._port, at_rest)

    def open_samples(self, uid):
        return RunFile.create(self.folder / "raw", uid, SAMPLE_COLUMNS, SAMPLE_UNITS)

    def fly(self, **changes):
        self.RE(fly_map(self.flyer, **{**MAP, **changes}))
        return self.run

    def fly_until_paused(self, **changes):
        """Fly; tell whether somebody paused the run, which is left so."""
        try:
            self.fly(**changes)
        except RunEngineInterrupted:
            return True
        return False

    def close(self):
        """End the run and the flight."""
        if self.RE.state not in ("idle", "panicked"):
            self.RE.halt()
        self.flyer.stop()
        assert self.flyer.wait_for_end(10.0), "the flight did not come to rest"
        self.flyer._release()
        self.port.stage.stop()


class VirtualBench(FlyerBench):
    """The simulated bench in virtual time."""

    def __init__(
        self,
        engine,
        folder,
        *,
        seed=1,
        script="",
        spool_folder=None,
        bench="simulated",
        simulation=None,
        **options,
    ):
        configuration = load_bench(bench)
        settings = simulation or SimulationSettings(seed=seed, script=script)
        self.simulated = simulated_bench(configuration, settings)
        connection = VirtualConnection(
            configuration.links(), self.simulated, spool_folder
        )
        super().__init__(
            engine, folder, connection, configuration=configuration, **options
        )

    def log(self):
        """What really happened so far."""
        path = self.folder / "truth.jsonl"
        self.simulated.write_truth(path)
        return SimulatorLog.read(path)


class PtyBench(FlyerBench):
    """The simulated bench in real time on ptys, in a process of its own."""

    def __init__(self, engine, folder, *, script="", **options):
        self.truth = folder / "truth.jsonl"
        settings = SimulationSettings(script=script)
        self.simulator = SimulatorProcess("simulated", settings, self.truth)
        self.ports = self.simulator.stage_port, self.simulator.acquisition_port
        links = load_bench("simulated").on_ports(*self.ports).links()
        super().__init__(engine, folder, SerialConnection(links), **options)

    def log(self):
        """What really happened so far."""
        return SimulatorLog.whole(self.truth)
