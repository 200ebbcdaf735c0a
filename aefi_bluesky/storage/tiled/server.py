"""The Tiled server as a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.local.loopback import HOST, free_port
from aefi_bluesky.storage.tiled.configuration import (
    configuration_text,
    tiled_configuration,
)
from aefi_bluesky.storage.tiled.server_process import LOCK_NAME

START_TIMEOUT_S = 90.0
"""How long a start may take; 8 s are usual, most of them imports."""

STOP_GRACE_S = 8.0
"""How long the server may take to end by itself before it is killed."""

OTHER_GRACE_S = 12.0
"""How long another server over the same folder may take to end, if it does."""

_IN_UTF8 = {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
"""Tiled and what it starts read their files by the locale; folders have any name."""

_POLL_S = 0.1
_LOG_LINES = 12
_PACKAGE_ROOT = str(Path(__file__).parents[3])
_COMMAND = (
    "import sys; sys.path.append(sys.argv[2]); "
    "from aefi_bluesky.storage.tiled.server_process import main; main(sys.argv[1])"
)


class TiledServer:
    """Start and stop one Tiled server; usable in a ``with`` block.

    The server has its own process, because in the acquisition process it would
    hold the interpreter for 0.3 s at a time. It listens on loopback, does not get
    the terminal's Ctrl-C and ends when the process that started it ends.

    Parameters
    ----------
    folder
        Catalogue, tables, arrays, key, configuration and log of the server;
        created if absent. One server a folder.
    raw_folder
        Where run files are; must hold every file that documents refer to.
    port
        TCP port; 0 takes a free one at each start.
    start_timeout_s
        How long `start` waits for the first answer, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        raw_folder: Path,
        *,
        port: int = 0,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self._folder = folder.absolute()
        self._raw_folder = raw_folder.absolute()
        self._wanted_port = port
        self._start_timeout_s = start_timeout_s
        self._port = port
        self._api_key = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The server's own folder."""
        return self._folder

    @property
    def log_file(self) -> Path:
        """What the server printed since its last start."""
        return self._folder / "server.log"

    @property
    def key_file(self) -> Path:
        """The API key; readable by its owner only."""
        return self._folder / "api_key"

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def uri(self) -> str:
        """Address of the server's API; known once it runs."""
        return f"http://{HOST}:{self._port}/api/v1"

    @property
    def api_key(self) -> str:
        """Key of the server; empty before the first start."""
        return self._api_key

    def browse_url(self, uid: str, *, with_key: bool = True) -> str:
        """Return a link that opens a run in Tiled's web page.

        Parameters
        ----------
        uid
            Full uid of the run.
        with_key
            Whether it has the key, without which the page shows nothing.
        """
        page = f"http://{HOST}:{self._port}/ui/browse/{uid}"
        return f"{page}?api_key={self._api_key}" if with_key else page

    def start(self) -> None:
        """Start the server and wait until it answers; nothing if it runs already.

        Raises
        ------
        StorageError
            If a folder can't be written, another server runs over it, or the server
            does not answer in time; with the last lines of its log.
        """
        self.launch()
        self.wait_for_answer()

    def launch(self) -> None:
        """Start the server's process and return; nothing if it runs already.

        Raises
        ------
        StorageError
            If a folder can't be written, or another server runs over it.
        """
        if self.is_running:
            return
        self.stop()  # forgets a process that ended by itself
        self._api_key = self._prepare_folders()
        self._wait_for_other()
        self._port = self._wanted_port or free_port()
        self._process = self._launched()

    def wait_for_answer(self) -> None:
        """Wait until the server that was launched answers; else stop it.

        Raises
        ------
        StorageError
            If it does not in time, or ends; with the last lines of its log.
        """
        try:
            self._wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server; kill it if it takes too long. Nothing if it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

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

    def _prepare_folders(self) -> str:
        for folder in (self._folder, self._raw_folder):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as err:
                raise _unwritable(folder, err) from err
        try:
            return _private_key(self.key_file)
        except OSError as err:
            raise _unwritable(self._folder, err) from err

    def _wait_for_other(self) -> None:
        """Wait for the server of a session that died: it ends soon after it."""
        lock = self._folder / LOCK_NAME
        deadline = time.monotonic() + OTHER_GRACE_S
        while lock.exists() and file_lock.is_held(lock):
            if time.monotonic() > deadline:
                raise StorageError(
                    f"another Tiled server runs over {self._folder}: end the session "
                    "or the 'aefi tiled' that started it, because a folder can have "
                    "only one server"
                )
            time.sleep(_POLL_S)

    def _launched(self) -> subprocess.Popen[bytes]:
        configuration = self._folder / "tiled.yml"
        settings = tiled_configuration(self._folder, self._raw_folder, self._port)
        try:
            _write_private(configuration, configuration_text(settings))
            _write_private(self.log_file, "")
            with self.log_file.open("ab") as log:
                return subprocess.Popen[bytes](
                    [
                        *(sys.executable, "-P", "-c", _COMMAND),
                        *(str(configuration), _PACKAGE_ROOT),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        **_IN_UTF8,
                        "TILED_SINGLE_USER_API_KEY": self._api_key,
                    },
                    **_away_from_terminal(),
                )
        except OSError as err:
            raise _unwritable(self._folder, err) from err

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while not self._answers():
            if not self.is_running:
                raise self._failure("ended while starting")
            if time.monotonic() > deadline:
                waited = f"{self._start_timeout_s:g} s"
                raise self._failure(f"did not answer within {waited}")
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=2.0)
        try:
            headers = {"Authorization": f"Apikey {self._api_key}"}
            connection.request("GET", "/api/v1/metadata/", headers=headers)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _failure(self, what: str) -> StorageError:
        text = self.log_file.read_text(errors="replace").replace(self._api_key, "(key)")
        tail = "\n".join(text.splitlines()[-_LOG_LINES:])
        return StorageError(
            f"the Tiled server in {self._folder} {what}; "
            f"the last lines of {self.log_file}:\n{tail}"
        )


def _unwritable(folder: Path, err: OSError) -> StorageError:
    reason = err.strerror or str(err)
    return StorageError(f"Tiled's folder {folder} cannot be written: {reason}")


def _private_key(path: Path) -> str:
    """Return the key in a file, made at the first call."""
    with contextlib.suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    path.chmod(0o600)
    key = path.read_text().strip()
    if not (key.isascii() and key.isalnum()):
        raise StorageError(
            f"the key in {path} must be letters and digits; "
            "delete the file to get a new one"
        )
    return key


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)
    path.chmod(0o600)


def _away_from_terminal() -> dict[str, Any]:
    """Return what keeps a child from getting the terminal's Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
