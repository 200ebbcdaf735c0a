"""Which programs have a serial port open, where the system tells."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from aefi_bluesky.domain.errors import PortBusyError

_PROCESSES = Path("/proc")


@contextlib.contextmanager
def holders_named(ports: Sequence[str]) -> Generator[None]:
    """Add to a `PortBusyError` of one of `ports` the programs that have it open.

    Linux tells it of the processes that this user may look into; elsewhere the error
    stays as it is.
    """
    try:
        yield
    except PortBusyError as err:
        busy = [port for port in ports if f"port {port} " in str(err)]
        holders = [holder for port in busy for holder in _holders(port)]
        if not holders:
            raise
        raise PortBusyError(f"{err}: {', '.join(holders)}") from err


def _holders(port: str) -> Iterator[str]:
    device = os.path.realpath(port)
    for process in sorted(_PROCESSES.glob("[0-9]*")):
        # It may end while we look, or be somebody else's.
        with contextlib.suppress(OSError):
            if any(os.path.realpath(fd) == device for fd in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().decode(errors="replace")
                command = shlex.join(words.rstrip("\0").split("\0"))
                yield f"process {process.name}: {command}"
