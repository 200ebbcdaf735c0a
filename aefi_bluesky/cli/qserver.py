"""``aefi qserver``: the queue server over the session."""

from __future__ import annotations

import contextlib
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.session_options import session_options, session_variables
from aefi_bluesky.domain.errors import QueueServerError
from aefi_bluesky.session.folders import SessionFolders, user_folder


@click.command()
@session_options
@click.option(
    "--redis",
    "redis_address",
    metavar="HOST:PORT",
    help="Address of a Redis that already runs. By default aefi starts one, which "
    "keeps nothing after it ends.",
)
@click.option("--port", default=60615, help="Port for requests; 0 selects a free port.")
@click.option(
    "--info-port",
    default=60625,
    help="Port on which the console output is published; 0 selects a free port.",
)
def qserver(
    folder: Path | None,
    redis_address: str | None,
    port: int,
    info_port: int,
    **chosen: Any,
) -> None:
    """Run plans by name through bluesky-queueserver until Ctrl-C."""
    if find_spec("bluesky_queueserver") is None:
        raise QueueServerError(
            "bluesky-queueserver is not installed; to install it: "
            "pip install 'aefi-bluesky[qserver]'"
        )
    from aefi_bluesky.session.queue_server import QueueServer, install_profile
    from aefi_bluesky.session.redis_server import RedisServer, require_redis
    from aefi_bluesky.session.signals import ending_signals

    folders = SessionFolders.below(folder or user_folder())
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        stack.enter_context(folders.queue_held())
        install_profile(folders.queue)
        # As Ctrl-C, so that everything that was started is ended.
        for number in ending_signals():
            signal.signal(number, signal.default_int_handler)
        if redis_address is None:
            redis_address = stack.enter_context(RedisServer(folders.queue)).address
        else:
            require_redis(redis_address)
        server = stack.enter_context(
            QueueServer(
                folders.queue,
                redis_address,
                session_variables(folders, chosen),
                control_port=port,
                info_port=info_port,
            )
        )
        click.echo(f"requests: {server.control_address}")
        click.echo(f"console:  {server.info_address}")
        click.echo(f"log:      {server.log_file}")
        click.echo("Press Ctrl-C to end the run, the session and the queue server.")
        server.wait()
