"""The command ``aefi``."""

from __future__ import annotations

import sys

import click

from aefi_bluesky.cli.demo import demo
from aefi_bluesky.cli.recover import recover
from aefi_bluesky.cli.shell import shell
from aefi_bluesky.cli.sim import sim
from aefi_bluesky.cli.tiled import tiled
from aefi_bluesky.domain.errors import AefiError


@click.group()
@click.version_option(package_name="aefi-bluesky")
def aefi() -> None:
    """Fly-scan maps of a low-frequency electric field."""


for _command in (demo, recover, shell, sim, tiled):
    aefi.add_command(_command)


def main() -> None:
    """Run the command line; an error of ours is one sentence, not a traceback."""
    try:
        aefi()
    except AefiError as err:
        click.echo(f"aefi: {err}", err=True)
        sys.exit(1)


__all__ = ["aefi", "main"]
