"""``aefi tiled``: the Tiled server over a data folder."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from aefi_bluesky.session import SessionFolders
from aefi_bluesky.storage.tiled.server import TiledServer


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("aefi-demo"))
@click.argument("uid", required=False)
@click.option("--port", default=0, help="Port of the server; 0 selects a free port.")
def tiled(folder: Path, uid: str | None, port: int) -> None:
    """Serve the runs of the data folder FOLDER, and print the link to run UID.

    Press Ctrl-C to end the server.
    """
    folders = SessionFolders.below(folder)
    with TiledServer(folders.tiled, folders.raw, port=port) as server:
        click.echo(f"Tiled: {server.browse_url(uid or '')}")
        click.echo("Press Ctrl-C to end the server.")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
