"""Options of the commands that build a session as `aefi_bluesky.startup` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.session.folders import SessionFolders

_BENCH_OPTIONS = (
    click.option("--sim", "kind", flag_value="ptys", help="On the simulated bench."),
    click.option(
        "--virtual", "kind", flag_value="virtual", help="On the same in virtual time."
    ),
    click.option(
        "--no-object", is_flag=True, help="The simulated bench without its object."
    ),
    click.option("--bench", help="Bench file, or a shipped bench's name."),
)

_OPTIONS = (
    *_BENCH_OPTIONS,
    click.option(
        "--folder",
        type=click.Path(path_type=Path),
        envvar="AEFI_FOLDER",
        help="Folder for data; a folder of the user's by default.",
    ),
    click.option("--tiled", "tiled_uri", help="A Tiled server that runs already."),
)


def bench_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``kind``, ``no_object`` and ``bench``."""
    return _with(command, _BENCH_OPTIONS)


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what `session_variables` takes, and ``folder``."""
    return _with(command, _OPTIONS)


def _with(
    command: Callable[..., None], options: Sequence[Callable[..., Any]]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


def session_variables(
    folders: SessionFolders, chosen: dict[str, Any]
) -> dict[str, str]:
    """Return what tells `aefi_bluesky.startup` of these options.

    Parameters
    ----------
    folders
        Where data go.
    chosen
        ``kind``, ``no_object``, ``bench`` and ``tiled_uri`` as they were given.

    Raises
    ------
    click.UsageError
        If a real bench is to be without an object.
    """
    require_simulated(chosen["kind"], no_object=chosen["no_object"])
    variables = {
        "AEFI_BENCH": chosen["kind"] or "real",
        "AEFI_SIMULATED_OBJECT": "no" if chosen["no_object"] else None,
        "AEFI_BENCH_FILE": chosen["bench"],
        "AEFI_FOLDER": str(folders.root),
        "AEFI_TILED_URI": chosen["tiled_uri"],
    }
    return {name: value for name, value in variables.items() if value}


def require_simulated(kind: str | None, *, no_object: bool) -> None:
    """Refuse to take the object of a real bench away: a person must.

    Raises
    ------
    click.UsageError
        If the bench is real and is to have none.
    """
    if no_object and kind is None:
        raise click.UsageError(
            "--no-object is for the simulated bench, with --sim or --virtual; on the "
            "real one take the object away by hand"
        )
