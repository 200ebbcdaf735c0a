"""``aefi export``: a run for other programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.options import folder_option, tiled_option
from aefi_bluesky.domain.errors import ConfigurationError, StorageError
from aefi_bluesky.session.exports import StoredRun, stored_run
from aefi_bluesky.session.folders import user_folder
from aefi_bluesky.session.ground import held_ground
from aefi_bluesky.storage.tiled.client import connect


@click.command()
@click.argument("run")
@click.option(
    "--to",
    "program",
    required=True,
    type=click.Choice(["pymodaq"]),
    help="pymodaq: an HDF5 file for PyMoDAQ's browser; needs aefi-bluesky[pymodaq-h5].",
)
@folder_option
@tiled_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file; by default aefi-RUN in the present folder.",
)
def export(
    run: str,
    program: str,
    folder: Path | None,
    tiled_uri: str | None,
    output: Path | None,
) -> None:
    """Write the run RUN into a file that another program reads.

    RUN is the run's uid, or its beginning. A session that is open has its folder for
    itself: give the address of its Tiled server then (--tiled).
    """
    write, ending = _PROGRAMS[program]
    with _runs(folder or user_folder(), tiled_uri) as client:
        found = stored_run(client, run)
    path = output or Path(f"aefi-{found.start['uid'][:8]}{ending}")
    if path.is_dir():
        raise StorageError(f"{path} is a folder; -o names a file")
    _write_whole(path, lambda unfinished: write(unfinished, found))
    click.echo(f"Written: {path}")


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file, or leave what was there as it was.

    HDF5 does not survive a disk that is full: it writes in the system's folder for such
    files, and only what is whole is copied.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with tempfile.TemporaryDirectory(prefix="aefi-export-") as folder:
            whole = Path(folder) / path.name
            write(whole)
            shutil.copyfile(whole, unfinished)
        unfinished.replace(path)
    except (OSError, RuntimeError) as err:  # h5py has the latter too
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise StorageError(f"{path} cannot be written: {err}") from err


@contextlib.contextmanager
def _runs(folder: Path, tiled_uri: str | None) -> Generator[Any]:
    if tiled_uri is not None:
        client = connect(tiled_uri, os.environ.get("TILED_API_KEY", ""))
        with contextlib.closing(client.context):
            yield client
        return
    if not folder.is_dir():
        raise StorageError(f"there is no data folder {folder}")
    with held_ground(folder) as ground:
        client = connect(*ground.tiled_address())
        with contextlib.closing(client.context):
            yield client


def _to_pymodaq(path: Path, run: StoredRun) -> None:
    try:
        from aefi_bluesky.views.pymodaq.h5 import Samples, write_h5
    except ImportError as err:
        raise ConfigurationError(
            f"PyMoDAQ's files need pymodaq_data ({err}): "
            "pip install 'aefi-bluesky[pymodaq-h5]'"
        ) from err
    columns = dict(run.readings)
    x_mm, y_mm = columns.pop("x"), columns.pop("y")
    write_h5(path, run.start, run.shown, Samples(x_mm, y_mm, columns))


_PROGRAMS: dict[str, tuple[Callable[[Path, StoredRun], None], str]] = {
    "pymodaq": (_to_pymodaq, ".h5"),
}
"""What writes for a program, and the ending of its files."""
