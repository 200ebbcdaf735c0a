"""The scans of a study flown by a program, each as a run in Tiled."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import cast

import click

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.study.events import StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.session import Session
from aefi_bluesky.session.choices import BenchKind
from aefi_bluesky.session.signals import StopOnTermination, ending_signals
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.views.console import FlightConsole, StepConsole, StudyConsole

_STORING_PATIENCE_S = 60.0


def fly_scans(
    study_id: StudyId,
    *,
    folder: Path,
    kind: str,
    has_object: bool,
    bench: str | None,
    tiled_uri: str | None,
    every: bool,
) -> int:
    """Fly a study's next scan, or all that are left, and return the exit status.

    Parameters
    ----------
    study_id
        The study.
    folder
        The data folder.
    kind
        ``real``, ``ptys`` or ``virtual``, see `Session.open`.
    has_object
        Whether a simulated bench has an object.
    bench
        Path of a bench file, or name of a shipped bench; the kind's own if None.
    tiled_uri
        Address of a Tiled server that already runs.
    every
        Whether to go on until none is pending or one did not complete.

    Returns
    -------
    int
        0 if all that was flown is completed, 128 and the signal's number after
        Ctrl-C, SIGTERM or SIGHUP, else 1.
    """
    with Session.open(
        kind=cast(BenchKind, kind),
        folder=folder,
        bench=bench or ("aefi" if kind == "real" else "simulated"),
        simulation=SimulationSettings(has_object=has_object),
        tiled_uri=tiled_uri,
        tiled_key=os.environ.get("TILED_API_KEY"),
    ) as session:
        console = StudyConsole()
        service = study_service(session, handlers=(console,))
        signals = (signal.SIGINT, *ending_signals())
        try:
            with StopOnTermination(session.RE, signals) as interruption:
                completed = _fly(service, study_id, console, every=every)
        finally:
            # A signal may fall between a flight's end and its record.
            service.recover(study_id)
            _tell_where(session, console)
    if interruption.received is not None:
        return 128 + interruption.received
    return 0 if completed else 1


def _fly(
    service: StudyService, study_id: StudyId, console: StudyConsole, *, every: bool
) -> bool:
    """Fly; return whether every scan that was flown is completed."""
    flights, steps = FlightConsole(), StepConsole()
    while True:
        try:
            service.execute_next_scan(study_id, flights, steps)
        except AefiError as err:
            click.echo(f"aefi: {err}", err=True)
            return False
        end = console.last_end
        if end is None or end.state != PlannedScanState.COMPLETED:
            return False
        if not every or not service.get_study(study_id).pending_scans:
            return True


def _tell_where(session: Session, console: StudyConsole) -> None:
    """Wait for Tiled, and say how the last run can be seen."""
    end = console.last_end
    if end is None or end.run_uid is None:
        return
    root, writer = session.folders.root, session.writer
    if not writer.flush(_STORING_PATIENCE_S) or writer.health.using_backup:
        click.echo(
            f"Tiled does not have the whole run; 'aefi recover {root}' stores it",
            err=True,
        )
    elif session.tiled is not None:
        click.echo(f"'aefi tiled {root} {end.run_uid}' shows it")
