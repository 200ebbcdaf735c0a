"""``aefi view``: the window."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.options import folder_option
from aefi_bluesky.cli.session_options import bench_options, require_simulated
from aefi_bluesky.session.choices import shipped_bench
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import user_folder
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.presenter import Presenter


@click.command()
@bench_options
@folder_option
@click.option(
    "--tiled",
    "followed",
    metavar="URI",
    help="Only follow the runs of another session, by the address of its Tiled server; "
    "the key is TILED_API_KEY. No bench is opened.",
)
def view(followed: str | None, **chosen: Any) -> None:
    """Show a window that plans, flies and shows scans, or follows another session's."""
    require_simulated(chosen["kind"], no_object=chosen["no_object"])
    from aefi_bluesky.session.view import require_windows

    require_windows()
    if followed is None:
        sys.exit(_fly(**chosen))
    sys.exit(_follow(followed))


def _fly(kind: Any, no_object: bool, bench: str | None, folder: Path | None) -> int:
    from aefi_bluesky.session.signals import ending_signals
    from aefi_bluesky.session.view import opened_bench
    from aefi_bluesky.views.pymodaq.client import ScanClient
    from aefi_bluesky.views.pymodaq.view import PyMoDAQView
    from aefi_bluesky.views.pymodaq.window import run_window

    kind = kind or "real"
    name = bench or shipped_bench(kind)
    description = load_bench(name).description()
    presenter = Presenter()
    client = ScanClient(
        partial(
            opened_bench,
            kind=kind,
            folder=folder or user_folder(),
            bench=name,
            simulation=SimulationSettings(has_object=not no_object),
        ),
        presenter,
        description,
    )
    client.open()
    return run_window(
        lambda area: PyMoDAQView(area, client, presenter),
        f"aefi: bench {description.name}",
        (signal.SIGINT, *ending_signals()),
    )


def _follow(uri: str) -> int:
    from aefi_bluesky.session.followed_runs import FollowedRuns
    from aefi_bluesky.session.signals import ending_signals
    from aefi_bluesky.views.pymodaq.follow_view import FollowView
    from aefi_bluesky.views.pymodaq.window import run_window

    presenter = Presenter()
    runs = FollowedRuns(uri, os.environ.get("TILED_API_KEY"), presenter)
    return run_window(
        lambda area: FollowView(area, runs, presenter),
        f"aefi: runs of {uri}",
        (signal.SIGINT, *ending_signals()),
    )
