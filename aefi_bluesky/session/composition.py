"""A session: a bench's devices, RunEngine and storage, and their ends."""

from __future__ import annotations

import atexit
import contextlib
import logging
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bluesky
from bluesky import RunEngine, SupplementalData
from bluesky.utils import DuringTask
from bluesky_tiled_plugins.clients.catalog_of_bluesky_runs import CatalogOfBlueskyRuns

from aefi_bluesky.domain.ports import HardwareLease, ScanObserver
from aefi_bluesky.engine import RustScanAdapter
from aefi_bluesky.session.bench_devices import BenchDevices, open_bench
from aefi_bluesky.session.choices import BenchKind
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.ground import Ground, held_ground
from aefi_bluesky.session.log_file import log_to
from aefi_bluesky.session.run_metadata import run_metadata
from aefi_bluesky.session.signals import (
    CtrlC,
    StopMotion,
    StopOnTermination,
    WaitForRun,
)
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.session.spools_of_runs import SpoolsOfRuns
from aefi_bluesky.storage.runs.writer import DocumentWriter
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer

logger = logging.getLogger(__name__)

# The RunEngine logs each failed plan with its traceback and raises it too: without
# a handler of the user's, once is enough.
logging.getLogger("bluesky").addHandler(logging.NullHandler())


@dataclass(kw_only=True)
class Session(BenchDevices):
    """A session: the devices of a bench, the RunEngine and the storage of the runs.

    Parameters
    ----------
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
    """

    RE: RunEngine
    sd: SupplementalData
    catalog: CatalogOfBlueskyRuns
    tiled: TiledServer | None
    writer: DocumentWriter

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
        ground: Ground | None = None,
        lease: HardwareLease | None = None,
        waits_on: Literal["main", "worker"] | None = None,
    ) -> Generator[Session, None, None]:
        """Build a session, and end all of it on leaving, at exit at the latest.

        No other session can use the data folder meanwhile. The log and ``RE.md`` are
        kept in it, unless environment variables choose otherwise (see `log_to`,
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
            Settings of a simulated bench.
        tiled_uri, tiled_key
            Address and key of a Tiled server that already runs; None starts one.
        observers
            Get every chunk of every flight beside the flyer.
        md
            Metadata of the RunEngine; replaces the values that were kept from earlier
            sessions.
        ground
            The data folder, if the caller already holds it with `held_ground`: then
            `folder`, `tiled_uri` and `tiled_key` are not used. None holds it here.
        lease
            Held while the ports are in use, by flights, moves or readings; None if
            nobody else in the process uses them.
        waits_on
            The thread that calls the RunEngine. In the ``main`` thread signals end
            runs, and Qt's windows are served. In a ``worker`` neither: its program must
            end the session at a signal. None, as ``main``, finds out with each call.

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
        with contextlib.ExitStack() as stack:
            if ground is None:
                laid = held_ground(folder, tiled_uri=tiled_uri, tiled_key=tiled_key)
                ground = stack.enter_context(laid)
            folders = ground.folders
            stack.enter_context(log_to(folders.log))
            metadata = stack.enter_context(run_metadata(folders.metadata))
            metadata.update(md or {})
            spools = SpoolsOfRuns()
            uri, key = ground.tiled_address()
            catalog = connect(uri, key)
            stack.callback(catalog.context.close)
            writer = DocumentWriter(
                lambda: connect(uri, key), folders.backup, on_stored=spools.run_stored
            )
            stack.callback(writer.close)
            # After storage: its end comes first, and stops the motion.
            opened = open_bench(
                kind=kind,
                folders=folders,
                bench=bench,
                configuration=configuration,
                simulation=simulation,
                observers=observers,
                spools=spools,
                lease=lease,
            )
            devices = stack.enter_context(opened)
            session = cls(
                **vars(devices),
                RE=_run_engine(metadata, stack, devices.port, waits_on),
                sd=SupplementalData(
                    baseline=[
                        devices.constants,
                        devices.calibration,
                        devices.excitation,
                    ]
                ),
                catalog=catalog,
                tiled=ground.tiled,
                writer=writer,
            )
            session.RE.preprocessors.append(session.sd)
            session.RE.subscribe(spools)
            session.RE.subscribe(writer)
            logger.info(
                "session opened: bench %s (%s)", configuration.description().name, kind
            )
            stack.callback(logger.info, "session closes")
            # Whoever does not leave the context, as a script that dies outside of a
            # ``with``, leaves it to the interpreter: too late, without threads.
            atexit.register(stack.close)
            stack.callback(atexit.unregister, stack.close)
            yield session


def _run_engine(
    md: MutableMapping[str, Any],
    stack: contextlib.ExitStack,
    port: RustScanAdapter,
    waits_on: Literal["main", "worker"] | None,
) -> RunEngine:
    in_worker = waits_on == "worker"
    # bluesky asks for a dict, and takes any mapping that can be changed.
    engine = RunEngine(
        md,  # pyright: ignore[reportArgumentType]
        call_returns_result=True,
        context_managers=[] if in_worker else [CtrlC, StopMotion(port)],
        during_task=DuringTask() if in_worker else WaitForRun(),
    )
    engine.md.setdefault("versions", {}).update({"bluesky": bluesky.__version__})
    stack.callback(_end_run_engine, engine)
    if not in_worker:
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
