"""Ports on this machine's own address."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
"""Where servers of ours listen, and nowhere else.

Whoever can register data with Tiled can read every file of the user; whoever reaches
the queue server can move the stage.
"""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: a port that was closed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
