"""What runs inside the Tiled server's process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.tiled.catalogue_file import CatalogueInMaking
from aefi_bluesky.storage.tiled.configuration import CATALOGUE

LOCK_NAME = "server.lock"
"""A file beside the configuration that a server locks as long as it lives."""

_GRACE_S = 5.0


def main(configuration: str) -> None:
    """Serve a configuration file until told to stop or until the parent is gone.

    Parameters
    ----------
    configuration
        Path of the YAML file. The API key comes from the environment variable
        ``TILED_SINGLE_USER_API_KEY``.
    """
    end_with_parent(sys.stdin.buffer)
    lock = Path(configuration).with_name(LOCK_NAME).open("ab")
    file_lock.hold(lock)
    catalogue = CatalogueInMaking(Path(configuration).with_name(CATALOGUE))

    # Slow imports: the watch above already runs while they load.
    import uvicorn
    from tiled.config import parse_configs
    from tiled.server.app import build_app_from_config
    from tiled.utils import SHARE_TILED_PATH

    from aefi_bluesky.storage.tiled.confined_pages import ConfinedPages

    catalogue.finish()
    parsed = parse_configs(Path(configuration))
    application = build_app_from_config(parsed)
    pages = Path(SHARE_TILED_PATH or "", "ui")
    uvicorn.run(ConfinedPages(application, pages), **parsed.uvicorn)


def end_with_parent(pipe: BinaryIO) -> None:
    """End this process once the parent's end of a pipe is closed.

    The system closes it however the parent ends, SIGKILL included, on every
    platform.

    Parameters
    ----------
    pipe
        Nothing is ever written to it.
    """
    threading.Thread(
        target=_wait_and_end, args=(pipe,), name="parent watch", daemon=True
    ).start()


def _wait_and_end(pipe: BinaryIO) -> None:
    # Not by the pipe's buffer: an interpreter that ends could not take its lock.
    while os.read(pipe.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
