"""``aefi shell``: the IPython session."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.session_options import session_options, session_variables
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.session.folders import SessionFolders, user_folder


@click.command()
@session_options
@click.option("-c", "code", help="Python code to run; the session then ends.")
def shell(folder: Path | None, code: str | None, **chosen: Any) -> None:
    """Open an IPython session on the bench: RE, flyer, plans, the catalogue ``c``."""
    folders = SessionFolders.below(folder or user_folder())
    os.environ.update(session_variables(folders, chosen))
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MPLBACKEND", "Agg")
    # Not under a session that works in the folder: its IPython reads the profile.
    with folders.held():
        profile = install_profile(folders)
    # Here, not in the profile: an error of ours is a sentence, not IPython's report.
    from aefi_bluesky import startup

    try:
        _run_ipython(profile, code)
    finally:
        startup.close_session()
    sys.exit(_status(code))


def _run_ipython(profile: Path, code: str | None) -> None:
    # After the session, whose server starts while things are imported.
    import IPython

    argv = ["--profile-dir", str(profile), "--no-banner"]
    if code is not None:
        IPython.start_ipython([*argv, "-c", code])
    else:
        _greet()
        IPython.start_ipython(argv)


def install_profile(folders: SessionFolders) -> Path:
    """Copy the IPython profile to where it can be written, and return where.

    IPython writes its history into the profile. So the shipped profile, which may be
    read-only, is of no use.

    Raises
    ------
    StorageError
        If the profile can't be copied.
    """
    target = folders.root / "profile_aefi"
    shipped = resources.files("aefi_bluesky.profiles") / "profile_aefi"
    try:
        with resources.as_file(shipped) as source:
            shutil.copytree(source, target, dirs_exist_ok=True)
    except OSError as err:
        raise StorageError(f"profile {target} cannot be written: {err}") from err
    return target


def _greet() -> None:
    click.echo(
        "You can use RE, flyer, fly_map, bec, sd, studies and the catalogue c. For "
        "example:\n"
        "  RE(fly_map(flyer, 600, 650, 11, 590, 630, 9))\n"
        '  c[-1]["primary"].read()'
    )


def _status(code: str | None) -> int:
    """Return 1 if the code given ended by an exception; IPython only shows it."""
    return int(code is not None and hasattr(sys, "last_value"))
