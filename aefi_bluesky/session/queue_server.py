"""The queue server: bluesky-queueserver's manager over a session of ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from bluesky_queueserver import (
    CommTimeoutError,
    ZMQCommSendThreads,
    generate_zmq_public_key,
)

from aefi_bluesky.domain.errors import QueueServerError, StorageError
from aefi_bluesky.session.leashed_process import LeashedProcess
from aefi_bluesky.storage.local.loopback import HOST, free_port, is_free

START_TIMEOUT_S = 60.0
"""How long the manager may take to answer; a few seconds are usual."""

END_TIMEOUT_S = 60.0
"""How long a run may take to come to rest and the session to store it."""

_POLL_S = 0.2
_PRIVATE_KEY = "QSERVER_ZMQ_PRIVATE_KEY_FOR_SERVER"

# A worker that still stores its last run is waited for; the manager would kill it.
_PROGRAM = f"""
import multiprocessing
from bluesky_queueserver.manager.start_manager import start_manager
start_manager()
for worker in multiprocessing.active_children():
    worker.join({END_TIMEOUT_S})
"""


class QueueServer:
    """A queue server in a process of its own, on loopback; for a ``with`` block.

    Its worker imports `aefi_bluesky.startup` when a client opens the environment.

    Parameters
    ----------
    folder
        Folder with the configuration from `install_profile`; gets the lists and the
        log of the queue server.
    redis_address
        ``HOST:PORT`` of the Redis that keeps the queue.
    session
        Variables of the environment that choose the session; see
        `aefi_bluesky.startup`.
    control_port, info_port
        Ports for the requests of clients and for the console output; 0 selects a free
        port.
    """

    def __init__(
        self,
        folder: Path,
        redis_address: str,
        session: Mapping[str, str],
        *,
        control_port: int,
        info_port: int,
    ) -> None:
        self._folder = folder
        self._redis_address = redis_address
        self._session = session
        self._control_port = control_port or free_port()
        self._info_port = info_port or free_port()
        self._process: LeashedProcess | None = None

    @property
    def control_address(self) -> str:
        """Address for the requests of clients."""
        return f"tcp://{HOST}:{self._control_port}"

    @property
    def info_address(self) -> str:
        """Address of the console output for clients."""
        return f"tcp://{HOST}:{self._info_port}"

    @property
    def log_file(self) -> Path:
        """What the manager and the session print."""
        return self._folder / "manager.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        QueueServerError
            If a port is taken, or the manager ends, or does not answer in time.
        """
        for port in (self._control_port, self._info_port):
            if not is_free(port):
                raise QueueServerError(
                    f"port {port} on {HOST} is taken, perhaps by another queue server: "
                    "end that server, or use free ports: --port 0 --info-port 0"
                )
        self._process = self._launch()
        try:
            self._wait_for_answer(self._process)
        except BaseException:
            self._process.stop()
            raise

    def wait(self) -> None:
        """Wait until it ends, by a client's ``manager_stop`` for example.

        Raises
        ------
        QueueServerError
            If it ends by itself otherwise.
        """
        process = self._process
        if process is not None and process.wait() != 0:
            raise self._failure(process, "has ended")

    def stop(self) -> None:
        """End the run, the session and the manager; nothing if it has ended.

        The motion stops first, the run is closed as aborted, and what was measured
        is stored. What does not end so in time is killed.
        """
        process, self._process = self._process, None
        if process is None:
            return
        try:
            deadline = time.monotonic() + END_TIMEOUT_S
            self._ask_to_end(process, deadline)
            process.wait(max(deadline - time.monotonic(), 0))
        finally:  # a second Ctrl-C ends it at once
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

    def _launch(self) -> LeashedProcess:
        configuration = str(self._folder / "qs-config.yml")
        return LeashedProcess(
            [sys.executable, "-c", _PROGRAM, "--config", configuration],
            self.log_file,
            os.environ | self._variables(),
        )

    def _variables(self) -> dict[str, str]:
        return {
            **self._session,
            "AEFI_QSERVER_REDIS": self._redis_address,
            "AEFI_QSERVER_CONTROL_PORT": str(self._control_port),
            "AEFI_QSERVER_INFO_PORT": str(self._info_port),
            "AEFI_QSERVER_FOLDER": str(self._folder),
            "MPLBACKEND": "Agg",  # the worker has no windows
        }

    def _wait_for_answer(self, process: LeashedProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with self._client() as ask:
            while process.is_running and time.monotonic() < deadline:
                with contextlib.suppress(CommTimeoutError):
                    ask("status")
                    return
        raise self._failure(process, "did not start")

    def _failure(self, process: LeashedProcess, what: str) -> QueueServerError:
        return QueueServerError(
            f"the queue server {what}; the last lines of {self.log_file}:\n"
            f"{process.last_words()}"
        )

    def _ask_to_end(self, process: LeashedProcess, deadline: float) -> None:
        """Look at the manager's state and ask for the next step, until there is none.

        A request that comes too early is refused, and made again.
        """
        with self._client() as ask:
            while process.is_running and time.monotonic() < deadline:
                # A busy manager may answer late: it is asked again.
                with contextlib.suppress(CommTimeoutError):
                    if self._ask_for_next_step(ask):
                        return
                time.sleep(_POLL_S)

    @staticmethod
    def _ask_for_next_step(ask: Callable[..., dict[str, Any]]) -> bool:
        """Ask for what comes next on the way to the end; return whether it is that."""
        status = ask("status")
        state = status["manager_state"]
        if status["re_state"] == "running":
            ask("re_pause", option="immediate")
        elif state == "paused":
            ask("re_abort")
        elif state == "idle" and status["worker_environment_exists"]:
            ask("environment_close")
        elif state == "idle":
            ask("manager_stop", option="safe_on")
            return True
        return False

    @contextlib.contextmanager
    def _client(self) -> Generator[Callable[..., dict[str, Any]]]:
        private = os.environ.get(_PRIVATE_KEY)
        client = ZMQCommSendThreads(
            zmq_server_address=self.control_address,
            server_public_key=generate_zmq_public_key(private) if private else None,
        )

        def ask(method: str, **parameters: Any) -> dict[str, Any]:
            # Nothing else comes back where no callback is given.
            answer = client.send_message(method=method, params=parameters)
            return cast("dict[str, Any]", answer)

        try:
            yield ask
        finally:
            client.close()
            # It leaves its threads to the garbage collector, and has no public way.
            client._ctx.term()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def install_profile(folder: Path) -> None:
    """Copy the shipped configuration to where the manager may write beside it.

    Only the user may read there: the log has all that plans print.

    Parameters
    ----------
    folder
        Where to; made if absent.

    Raises
    ------
    StorageError
        If it can't be written.
    """
    shipped = resources.files("aefi_bluesky.profiles") / "qserver"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with resources.as_file(shipped) as source:
            shutil.copytree(source, folder, dirs_exist_ok=True)
        folder.chmod(0o700)  # copytree gives it the source's
    except OSError as err:
        raise StorageError(
            f"the queue server's folder {folder} cannot be written: {err}"
        ) from err
