"""A session: bench, engine, devices, RunEngine and storage, and their ends."""

from __future__ import annotations

import atexit
import contextlib
import logging
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import bluesky
from bluesky import RunEngine, SupplementalData

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
from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.calibration import Calibration
from aefi_bluesky.domain.errors import ConfigurationError, PortBusyError
from aefi_bluesky.domain.ports import ScanObserver
from aefi_bluesky.engine import RustScanAdapter, SerialConnection, VirtualConnection
from aefi_bluesky.session.configuration import BenchConfiguration, load_bench
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.session.log_file import log_to
from aefi_bluesky.session.run_metadata import run_metadata
from aefi_bluesky.session.run_spools import RunSpools
from aefi_bluesky.session.signals import StopMotion, StopOnTermination
from aefi_bluesky.session.simulated import (
    SimulationSettings,
    SimulatorProcess,
    simulated_bench,
)
from aefi_bluesky.storage.calibration_file import CalibrationFile
from aefi_bluesky.storage.document_writer import DocumentWriter
from aefi_bluesky.storage.run_file import RunFile
from aefi_bluesky.storage.tiled_client import connect
from aefi_bluesky.storage.tiled_server import TiledServer

logger = logging.getLogger(__name__)

# The RunEngine logs each failed plan with its traceback and raises it too: without
# a handler of the user's, once is enough.
logging.getLogger("bluesky").addHandler(logging.NullHandler())

_END_PATIENCE_S = 10.0

BenchKind = Literal["real", "ptys", "virtual"]
"""The bench: real ports, a simulated one on ptys, or one in virtual time."""


def bench_kind(name: str, asked_by: str) -> BenchKind:
    """Return the kind of bench called `name`.

    Parameters
    ----------
    name
        As somebody wrote it.
    asked_by
        Where; for the message.

    Raises
    ------
    ConfigurationError
        If there is no such kind.
    """
    for kind in get_args(BenchKind):
        if name == kind:
            return kind
    kinds = ", ".join(map(repr, get_args(BenchKind)))
    raise ConfigurationError(f"{asked_by} must be one of {kinds}, was {name!r}")


class Calibrated(Protocol):
    """What works with the constants of the bench."""

    def recalibrate(self, bench: BenchDescription) -> None:
        """Work from now on with what was measured of the bench."""
        ...


@dataclass
class Session:
    """Everything that a person or a command works with.

    Parameters
    ----------
    users
        Are told whenever something was measured of the bench.
    port
        What flies; clears latched errors too.
    observed
        The same as the flyer sees it: others may watch its flights.
    flyer, constants, excitation, calibration, meter, stage_x, stage_y, sensor
        The devices.
    RE
        The RunEngine, with the document writer subscribed.
    sd
        Baseline devices of each run.
    catalog
        The Tiled client.
    tiled
        The server, where this session started it; None for a foreign one.
    writer
        Stores documents.
    folders
        Where data are.
    virtual_bench
        The simulated bench in virtual time, where there is one.
    """

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
    RE: RunEngine
    sd: SupplementalData
    catalog: Any
    tiled: TiledServer | None
    writer: DocumentWriter
    folders: SessionFolders
    virtual_bench: Any = None

    @property
    def bench(self) -> BenchDescription:
        """The bench's description, with what was measured of it."""
        return self.flyer.bench

    def browse_url(self, uid: str, *, with_key: bool = True) -> str | None:
        """Return the link that opens a run in Tiled, if the server is ours.

        Parameters
        ----------
        uid
            Full uid of the run.
        with_key
            Whether the link has Tiled's key.
        """
        return self.tiled.browse_url(uid, with_key=with_key) if self.tiled else None

    def write_truth(self) -> Path:
        """Return the file of what the simulated bench really did.

        In virtual time it is written now; on ptys the bench writes it all the time.
        """
        if self.virtual_bench is not None:
            self.virtual_bench.write_truth(self.folders.truth)
        return self.folders.truth

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        *,
        kind: BenchKind,
        folder: Path,
        bench: str = "simulated",
        simulation: SimulationSettings | None = None,
        tiled_uri: str | None = None,
        tiled_key: str | None = None,
        observers: Sequence[ScanObserver] = (),
        md: Mapping[str, Any] | None = None,
    ) -> Generator[Session, None, None]:
        """Build a session, and end all of it on leaving, at exit at the latest.

        The data folder is this session's alone. What it logs is there, and
        ``RE.md`` is kept there; the environment may choose otherwise (see `log_to`,
        `run_metadata`).

        Parameters
        ----------
        kind
            The bench: real ports, a simulated one on ptys, or in virtual time.
        folder
            Where data go.
        bench
            Name of a shipped bench file, or a path.
        simulation
            What is chosen of a simulated bench.
        tiled_uri, tiled_key
            A Tiled server that runs already; None starts one.
        observers
            Get every chunk of every flight beside the flyer.
        md
            Put over what is kept of the RunEngine's metadata.

        Raises
        ------
        ConfigurationError
            If the bench file or a variable of the environment is wrong.
        StorageError
            If the folder can't be written, or Tiled or Redis is not reachable.
        SessionBusyError
            If another session works in the folder; names it.
        """
        configuration = load_bench(bench)
        folders = SessionFolders.below(folder)
        with contextlib.ExitStack() as stack:
            stack.enter_context(folders.held())
            stack.enter_context(log_to(folders.log))
            metadata = stack.enter_context(run_metadata(folders.metadata))
            metadata.update(md or {})
            settings, spools = simulation or SimulationSettings(), RunSpools()
            port, virtual = _scan_port(
                stack, kind, bench, configuration, settings, folders, spools
            )
            tiled = None
            if tiled_uri is None:
                tiled = stack.enter_context(TiledServer(folders.tiled, folders.raw))
                tiled_uri, tiled_key = tiled.uri, tiled.api_key
            uri, key = tiled_uri, tiled_key or ""
            catalog = connect(uri, key)
            stack.callback(catalog.context.close)
            writer = DocumentWriter(
                lambda: connect(uri, key), folders.backup, on_stored=spools.run_stored
            )
            stack.callback(writer.close)
            description = configuration.description()
            observed = ObservedScanPort(port, observers)
            flyer = AefiFlyer(
                observed,
                description,
                _sample_files(folders),
                name="flyer",
            )
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

            calibration = BenchCalibration(
                CalibrationFile(folders.calibrations, description.name),
                use,
                name="calibration",
            )
            session = cls(
                users=users,
                port=port,
                observed=observed,
                flyer=flyer,
                constants=constants,
                excitation=excitation,
                calibration=calibration,
                meter=BenchMeter(
                    port.stage, port.acquisition, description, name="bench_meter"
                ),
                stage_x=stage_x,
                stage_y=stage_y,
                sensor=sensor,
                RE=_run_engine(metadata, stack, port),
                sd=SupplementalData(),
                catalog=catalog,
                tiled=tiled,
                writer=writer,
                folders=folders,
                virtual_bench=virtual,
            )
            session.sd.baseline = [
                session.constants,
                session.calibration,
                session.excitation,
            ]
            session.RE.preprocessors.append(session.sd)
            session.RE.subscribe(spools)
            session.RE.subscribe(writer)
            logger.info("session opened: bench %s (%s)", description.name, kind)
            stack.callback(logger.info, "session closes")
            # Whoever does not leave the context, as a script that dies outside of a
            # ``with``, leaves it to the interpreter: too late, without threads.
            atexit.register(stack.close)
            stack.callback(atexit.unregister, stack.close)
            yield session


def _scan_port(
    stack: contextlib.ExitStack,
    kind: BenchKind,
    bench: str,
    configuration: BenchConfiguration,
    settings: SimulationSettings,
    folders: SessionFolders,
    spools: RunSpools,
) -> tuple[RustScanAdapter, Any]:
    description = configuration.description()
    if kind == "virtual":
        virtual = simulated_bench(configuration, settings)
        links = configuration.links(paced=settings.paced)
        connection = VirtualConnection(links, virtual, folders.spool)
        return RustScanAdapter(description, connection, spools), virtual
    if kind == "ptys":
        simulator = stack.enter_context(
            SimulatorProcess(bench, settings, folders.truth)
        )
        configuration = configuration.on_ports(
            simulator.stage_port, simulator.acquisition_port
        )
    links = configuration.links(paced=settings.paced)
    connection = SerialConnection(links, folders.spool)
    return RustScanAdapter(description, connection, spools), None


def _sample_files(folders: SessionFolders) -> Any:
    def create(uid: str) -> RunFile:
        return RunFile.create(folders.raw, uid, SAMPLE_COLUMNS, SAMPLE_UNITS)

    return create


def _run_engine(
    md: MutableMapping[str, Any], stack: contextlib.ExitStack, port: RustScanAdapter
) -> RunEngine:
    # bluesky asks for a dict, and takes any mapping that can be changed.
    engine = RunEngine(md, call_returns_result=True)  # pyright: ignore[reportArgumentType]
    engine.md.setdefault("versions", {}).update({"bluesky": bluesky.__version__})
    engine.context_managers.append(StopMotion(port))
    stack.callback(_end_run_engine, engine)
    stack.enter_context(StopOnTermination(engine))
    return engine


def _end_run_engine(engine: RunEngine) -> None:
    """End what is left of a run, then the RunEngine's own thread and loop."""
    if engine.state == "paused":
        engine.abort("the session ends")
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    # bluesky has no public way to end it.
    engine._th.join()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    engine.loop.close()


def _leave_safe(
    flyer: AefiFlyer, port: RustScanAdapter, excitation: ExcitationSource
) -> None:
    """Let nothing move and nothing be driven when nobody is left to look after it."""
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
        logger.error("the ports are kept: %s", err)


def _switch_off(excitation: ExcitationSource) -> None:
    try:
        excitation.stop()
    except Exception as err:
        logger.critical("the excitation may be on: %s", err)
