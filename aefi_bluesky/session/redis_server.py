"""Redis, where the queue server keeps its queue: one of our own, or one that runs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from aefi_bluesky.domain.errors import QueueServerError
from aefi_bluesky.session.leashed_process import LeashedProcess
from aefi_bluesky.storage.local.loopback import HOST, free_port

START_TIMEOUT_S = 30.0
"""How long a start may take; some tenths of a second are usual."""

_ANSWER_TIMEOUT_S = 2.0
_POLL_S = 0.05


def require_redis(address: str) -> None:
    """See that a Redis answers.

    Parameters
    ----------
    address
        ``HOST:PORT``.

    Raises
    ------
    QueueServerError
        If the address is none, or nobody answers there as Redis does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise QueueServerError(
            f"Redis's address must be HOST:PORT with a port of 1 to 65535, "
            f"was {address!r}"
        )
    try:
        _ping(host, int(port))
    except redis.RedisError as err:
        raise QueueServerError(f"no Redis at {address}: {err}") from err


def _ping(host: str, port: int) -> None:
    with redis.Redis(host, port, socket_timeout=_ANSWER_TIMEOUT_S) as client:
        client.ping()


class RedisServer:
    """A Redis of our own on loopback that keeps nothing; for a ``with`` block.

    Parameters
    ----------
    folder
        Gets its log; exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._process: LeashedProcess | None = None

    @property
    def address(self) -> str:
        """``HOST:PORT``; known once it runs."""
        return f"{HOST}:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        QueueServerError
            If Redis is not installed, or ends, or does not answer in time.
        """
        program = shutil.which("redis-server")
        if program is None:
            raise QueueServerError(
                "redis-server is not on PATH: install it (Debian: apt-get install "
                "redis-server), or give the address of a Redis that runs: "
                "--redis HOST:PORT"
            )
        self._port = free_port()
        self._process = LeashedProcess(
            [
                *(program, "--bind", HOST, "--port", str(self._port)),
                *("--dir", str(self._folder), "--save", "", "--appendonly", "no"),
            ],
            self._folder / "redis.log",
        )
        try:
            self._wait_for_answer(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; nothing if it is stopped."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_for_answer(self, process: LeashedProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                return _ping(HOST, self._port)
            except redis.RedisError as err:
                if not process.is_running or time.monotonic() > deadline:
                    raise QueueServerError(
                        f"Redis did not start on {self.address}; the last lines of "
                        f"{process.log_file}:\n{process.last_words()}"
                    ) from err
            time.sleep(_POLL_S)
