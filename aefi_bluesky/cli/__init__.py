"""The command ``aefi``."""

from __future__ import annotations

import sys

import click

from aefi_bluesky.cli.lazy_group import LazyCommand, LazyGroup
from aefi_bluesky.domain.errors import AefiError

COMMANDS = {
    "bench": LazyCommand(
        "aefi_bluesky.cli.bench",
        "Measure the engine, and other programs for comparison, on simulated benches.",
    ),
    "demo": LazyCommand(
        "aefi_bluesky.cli.demo",
        "Fly a map on the simulated bench and show what came out.",
    ),
    "export": LazyCommand(
        "aefi_bluesky.cli.export",
        "Write the run RUN into a file that another program reads.",
    ),
    "plan": LazyCommand(
        "aefi_bluesky.cli.plan",
        "Plan the scan in the JSON file SPEC, or say why it can't be done.",
    ),
    "qserver": LazyCommand(
        "aefi_bluesky.cli.qserver",
        "Run plans by name through bluesky-queueserver until Ctrl-C.",
    ),
    "recover": LazyCommand(
        "aefi_bluesky.cli.recover",
        "Recover the data folder FOLDER of a session that died.",
    ),
    "shell": LazyCommand(
        "aefi_bluesky.cli.shell",
        "Open an IPython session on the bench: RE, flyer, plans, the catalogue ``c``.",
    ),
    "sim": LazyCommand(
        "aefi_bluesky.cli.sim",
        "Serve the simulated bench on two ptys until Ctrl-C.",
    ),
    "study": LazyCommand(
        "aefi_bluesky.cli.study",
        "Plan a study of an object, fly its scans and close it, without IPython.",
    ),
    "tiled": LazyCommand(
        "aefi_bluesky.cli.tiled",
        "Serve the runs of the data folder FOLDER, and print the link to run UID.",
    ),
    "view": LazyCommand(
        "aefi_bluesky.cli.view",
        "Show a window that plans, flies and shows scans, or follows another "
        "session's.",
    ),
}
"""All commands; none is imported before it is asked for: Bluesky takes seconds."""


@click.group(cls=LazyGroup, lazy=COMMANDS)
@click.version_option(package_name="aefi-bluesky")
def aefi() -> None:
    """Fly-scan maps of a low-frequency electric field."""


def main() -> None:
    """Run the command line; an error of ours is one sentence, not a traceback."""
    try:
        aefi()
    except AefiError as err:
        click.echo(f"aefi: {err}", err=True)
        sys.exit(1)


__all__ = ["aefi", "main"]
