"""``aefi recover``: what a session that died has left."""

from __future__ import annotations

from pathlib import Path

import click

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.session import SessionFolders
from aefi_bluesky.session.recovery import RecoveredSpool, recover_spools
from aefi_bluesky.storage.run_closing import abandoned_journals, close_journal


@click.command()
@click.argument(
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("aefi-demo"),
)
def recover(folder: Path) -> None:
    """Recover the data folder FOLDER of a session that died.

    Writes what flights have spooled to FOLDER/recovered, and closes the runs in
    FOLDER/backup that have no end. Spools are left as they are. Doing it again
    changes nothing.
    """
    folders = SessionFolders(folder.absolute())
    found = False
    for spool in recover_spools(folders):
        found = True
        click.echo(_sentence(spool))
    for journal in abandoned_journals(folders.backup):
        found = True
        click.echo(_close(journal))
    if not found:
        click.echo("Nothing to recover.")


def _close(journal: Path) -> str:
    try:
        uid, kept = close_journal(journal)
    except StorageError as err:
        return f"{journal.name}: {err}"
    return f"run {uid}: closed, its process died -> {kept}"


def _sentence(spool: RecoveredSpool) -> str:
    if not spool.summary:
        return f"{spool.path.name}: {spool.remark}"
    summary, rows = spool.summary, spool.summary["rows"]
    states = ", ".join(f"{n} {state}" for state, n in summary["frames"].items())
    words = [
        f"flight {summary['state'] or 'cut off'}",
        f"frames: {states or 'none'} of {summary['note']['frames_planned']}",
        f"{rows['readings']} readings",
        f"{rows['fixes']} fixes",
        f"{summary['torn_bytes']} bytes torn",
    ]
    target = " ".join(str(word) for word in (spool.file, spool.remark) if word)
    return f"{spool.path.name}: {'; '.join(words)} -> {target}"
