"""``aefi recover``: what a session that died has left."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aefi_bluesky.session import SessionFolders
from aefi_bluesky.session.recovery import (
    ClosedRun,
    RecoveredSpool,
    StoredRun,
    close_runs,
    recover_spools,
    store_runs,
)


@click.command()
@click.argument(
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("aefi-demo"),
)
def recover(folder: Path) -> None:
    """Recover the data folder FOLDER of a session that died.

    Writes what flights have spooled to FOLDER/raw/recovered, completes and closes
    the runs in FOLDER/backup that have no end, and stores all runs of FOLDER/backup
    in the folder's Tiled. Spools are left as they are. Doing it again changes
    nothing.

    An item that fails does not keep the others from being recovered. The exit status
    is 1 if any item failed.
    """
    folders = SessionFolders(folder.absolute())
    spools: list[RecoveredSpool] = []
    failures: list[bool] = []
    for spool in recover_spools(folders):
        spools.append(spool)
        failures.append(spool.failed)
        click.echo(_sentence(spool))
    for run in close_runs(folders, spools):
        failures.append(run.failed)
        click.echo(_closed(run))
    for stored in store_runs(folders):
        failures.append(stored.uid is None)
        click.echo(_stored(stored, folder))
    if not failures:
        click.echo("Nothing to recover.")
    if any(failures):
        click.echo(
            f"aefi: {sum(failures)} of the {len(failures)} items above could not be "
            f"recovered; their files stay in {folder}",
            err=True,
        )
        sys.exit(1)


def _stored(run: StoredRun, folder: Path) -> str:
    if run.uid is None:
        return f"{run.journal.name}: not stored: {run.remark}"
    command = f"aefi tiled {folder} {run.uid}"
    return f"run {run.uid}: stored in Tiled; to see it: {command}"


def _closed(run: ClosedRun) -> str:
    if run.uid is None:
        return f"{run.journal.name}: {run.remark}"
    added = ", ".join(f"{n} {stream}" for stream, n in run.added.items() if n)
    words = [f"run {run.uid}: closed, its end was missing"]
    words += [f"{added} added"] if added else []
    words += [run.remark] if run.remark else []
    return f"{'; '.join(words)} -> {run.kept}"


def _sentence(spool: RecoveredSpool) -> str:
    if not spool.summary:
        return f"{spool.path.name}: {spool.remark}"
    summary, rows = spool.summary, spool.summary["rows"]
    states = ", ".join(f"{n} {state}" for state, n in summary["frames"].items())
    words = [
        f"run {spool.run_uid}" if spool.run_uid else "no run",
        f"flight {summary['state'] or 'cut off'}",
        f"frames: {states or 'none'} of {summary['frames_planned']}",
        f"{rows['readings']} readings",
        f"{rows['fixes']} fixes",
        f"{summary['torn_bytes']} bytes torn",
    ]
    target = " ".join(str(word) for word in (spool.file, spool.remark) if word)
    return f"{spool.path.name}: {'; '.join(words)} -> {target}"
