"""A bench's port and the devices that share it: all that measures, without storage."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ophyd import Device

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
from aefi_bluesky.domain.bench.calibration import Calibration
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.domain.ports import HardwareLease, ScanObserver
from aefi_bluesky.engine import RustScanAdapter, SerialConnection, VirtualConnection
from aefi_bluesky.session.choices import BenchKind
from aefi_bluesky.session.configuration import BenchConfiguration
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.session.simulated import (
    SimulationSettings,
    SimulatorProcess,
    simulated_bench,
)
from aefi_bluesky.session.spools_of_runs import SpoolsOfRuns
from aefi_bluesky.storage.local.calibration_file import CalibrationFile
from aefi_bluesky.storage.runs.sample_file import RunFile

logger = logging.getLogger(__name__)

_END_PATIENCE_S = 10.0


class Calibrated(Protocol):
    """What works with the constants of the bench."""

    def recalibrate(self, bench: BenchDescription) -> None:
        """Work from now on with what was measured of the bench."""
        ...


@dataclass(kw_only=True)
class BenchDevices:
    """A bench and its devices: clients of one port.

    Parameters
    ----------
    folders
        Where data are.
    users
        Are told whenever something was measured of the bench.
    port
        What flies; clears latched errors too.
    observed
        The same as the flyer sees it: others may watch its flights.
    flyer, constants, excitation, calibration, meter, stage_x, stage_y, sensor
        The devices.
    virtual_bench
        The simulated bench in virtual time, where there is one.
    """

    folders: SessionFolders
    users: list[Calibrated]
    port: RustScanAdapter
    observed: ObservedScanPort
    flyer: AefiFlyer
    constants: BenchConstants
    excitation: ExcitationSource
    calibration: BenchCalibration
    meter: BenchMeter
    stage_x: StageAxis
    stage_y: StageAxis
    sensor: FieldSensor
    virtual_bench: Any = None

    @property
    def bench(self) -> BenchDescription:
        """The bench's description, with what was measured of it."""
        return self.flyer.bench

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices; each has the name that people call it by."""
        return (
            *(self.stage_x, self.stage_y, self.sensor, self.excitation),
            *(self.flyer, self.constants, self.meter, self.calibration),
        )

    def write_truth(self) -> Path:
        """Return the file of what the simulated bench really did.

        In virtual time it is written now; on ptys the bench writes it all the time.
        """
        if self.virtual_bench is not None:
            self.virtual_bench.write_truth(self.folders.truth)
        return self.folders.truth


@contextlib.contextmanager
def open_bench(
    *,
    kind: BenchKind,
    folders: SessionFolders,
    bench: str,
    configuration: BenchConfiguration,
    simulation: SimulationSettings | None = None,
    observers: Sequence[ScanObserver] = (),
    spools: SpoolsOfRuns | None = None,
    lease: HardwareLease | None = None,
) -> Generator[BenchDevices, None, None]:
    """Build the devices of a bench; on leaving, stop the stage and the excitation.

    Parameters
    ----------
    kind
        The bench: real ports, a simulated one on ptys, or in virtual time.
    folders
        Where data go; held by the caller.
    bench
        Name of a shipped bench file, or a path.
    configuration
        What that file says.
    simulation
        Settings of a simulated bench.
    observers
        Get every chunk of every flight beside the flyer.
    spools
        Knows the runs that flights belong to; without, each flight's spool is let
        go when it completes.
    lease
        Held while the ports are in use; None if nobody else in the process uses them.
    """
    description = configuration.description()
    settings = simulation or SimulationSettings()
    with contextlib.ExitStack() as stack:
        port, virtual = _scan_port(
            stack, kind, bench, configuration, settings, folders, spools, lease
        )
        observed = ObservedScanPort(port, observers)
        flyer = AefiFlyer(observed, description, _sample_files(folders), name="flyer")
        excitation = ExcitationSource(port.acquisition, flyer, name="excitation")
        stack.callback(_leave_safe, flyer, port, excitation)
        constants = BenchConstants(description, name="bench")
        stage_x = StageAxis(port.stage, description, "x", name="stage_x")
        stage_y = StageAxis(port.stage, description, "y", name="stage_y")
        sensor = FieldSensor(port.acquisition, description, name="sensor")
        users: list[Calibrated] = [
            *(port, flyer, constants),
            *(stage_x, stage_y, sensor),
        ]

        def use(measured: Calibration) -> None:
            calibrated = measured.applied_to(description)
            for user in users:
                user.recalibrate(calibrated)

        yield BenchDevices(
            folders=folders,
            users=users,
            port=port,
            observed=observed,
            flyer=flyer,
            constants=constants,
            excitation=excitation,
            calibration=BenchCalibration(
                CalibrationFile(folders.calibrations, description.name),
                use,
                name="calibration",
            ),
            meter=BenchMeter(
                port.stage, port.acquisition, description, name="bench_meter"
            ),
            stage_x=stage_x,
            stage_y=stage_y,
            sensor=sensor,
            virtual_bench=virtual,
        )


def _scan_port(
    stack: contextlib.ExitStack,
    kind: BenchKind,
    bench: str,
    configuration: BenchConfiguration,
    settings: SimulationSettings,
    folders: SessionFolders,
    spools: SpoolsOfRuns | None,
    lease: HardwareLease | None = None,
) -> tuple[RustScanAdapter, Any]:
    description = configuration.description()
    if kind == "virtual":
        virtual = simulated_bench(configuration, settings)
        links = configuration.links(paced=settings.paced)
        connection = VirtualConnection(links, virtual, folders.spool)
        return RustScanAdapter(description, connection, spools, lease), virtual
    if kind == "ptys":
        simulator = stack.enter_context(
            SimulatorProcess(bench, settings, folders.truth)
        )
        configuration = configuration.on_ports(
            simulator.stage_port, simulator.acquisition_port
        )
    links = configuration.links(paced=settings.paced)
    connection = SerialConnection(links, folders.spool)
    return RustScanAdapter(description, connection, spools, lease), None


def _sample_files(folders: SessionFolders) -> Any:
    def create(uid: str) -> RunFile:
        return RunFile.create(folders.raw, uid, SAMPLE_COLUMNS, SAMPLE_UNITS)

    return create


def _leave_safe(
    flyer: AefiFlyer, port: RustScanAdapter, excitation: ExcitationSource
) -> None:
    """Stop the motion and the excitation, because no program will watch them now."""
    flyer.stop()
    port.stage.stop()
    _switch_off(excitation)  # a flight does so by itself, when it rests
    if not flyer.wait_for_end(_END_PATIENCE_S):
        logger.error("the flight did not come to rest within %g s", _END_PATIENCE_S)
    _switch_off(excitation)
    if not port.stage.wait_for_rest(_END_PATIENCE_S):
        logger.error("the axes did not come to rest within %g s", _END_PATIENCE_S)
    try:
        port.release()
    except PortBusyError as err:
        logger.error("the ports could not be given back: %s", err)


def _switch_off(excitation: ExcitationSource) -> None:
    try:
        excitation.stop()
    except Exception as err:
        logger.critical("the excitation may be on: %s", err)
