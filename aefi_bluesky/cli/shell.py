"""``aefi shell``: the IPython session."""

from __future__ import annotations

import click


@click.command()
@click.option("--sim", "simulated", is_flag=True, help="On the simulated bench.")
def shell(simulated: bool) -> None:
    """Open an IPython session on the bench."""
