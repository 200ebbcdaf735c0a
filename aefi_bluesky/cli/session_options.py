"""Options of the commands that build a session as `aefi_bluesky.startup` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from aefi_bluesky.cli.options import bench_option, folder_option
from aefi_bluesky.session.folders import SessionFolders

_BENCH_OPTIONS = (
    click.option(
        "--sim",
        "kind",
        flag_value="ptys",
        help="Use the simulated bench, in real time.",
    ),
    click.option(
        "--virtual",
        "kind",
        flag_value="virtual",
        help="Use the simulated bench in virtual time, without waiting.",
    ),
    click.option(
        "--no-object",
        is_flag=True,
        help="Use the simulated bench without the simulated object.",
    ),
    bench_option(),
)

_OPTIONS = (
    *_BENCH_OPTIONS,
    folder_option,
    click.option(
        "--tiled", "tiled_uri", help="Address of a Tiled server that already runs."
    ),
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
    """Return these options as environment variables of `aefi_bluesky.startup`.

    Parameters
    ----------
    folders
        Where data go.
    chosen
        ``kind``, ``no_object``, ``bench`` and ``tiled_uri`` as they were given.

    Raises
    ------
    click.UsageError
        If a real bench was chosen together with ``--no-object``.
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
    """Refuse ``--no-object`` on a real bench: a person must remove the object.

    Raises
    ------
    click.UsageError
        If the bench is real and `no_object` is true.
    """
    if no_object and kind is None:
        raise click.UsageError(
            "--no-object is only for the simulated bench (--sim or --virtual); on the "
            "real bench, take the object away by hand"
        )
