"""A program that ends with the one that started it, however that one ends.

Run as a script, this file is the leash: a small process between both, which ends the
program, and whatever the program has started and left, once its standard input is
closed. The system closes it however the parent ends, SIGKILL included.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GRACE_S = 5.0
"""How long the program may take to end after SIGTERM before it is killed."""

_POLL_S = 0.1


class LeashedProcess:
    """A program on a leash; away from the terminal's Ctrl-C.

    Parameters
    ----------
    command
        The program and its arguments.
    log_file
        Gets what it prints.
    environment
        Its environment; this process's own if None.

    Raises
    ------
    OSError
        If the log file can't be written.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_file: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log_file = log_file
        with log_file.open("wb") as log:
            self._leash = subprocess.Popen(
                [sys.executable, "-I", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Whether the program lives."""
        return self._leash.poll() is None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the program has ended; return its status, None if it takes longer.

        Parameters
        ----------
        timeout_s
            How long to wait, in s; None waits for ever.
        """
        try:
            return self._leash.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the program and what it has started; nothing if it has ended."""
        if self._leash.stdin is not None:
            self._leash.stdin.close()
        self._leash.wait()  # it is not patient itself

    def last_words(self, n_lines: int = 12) -> str:
        """Return the end of what the program printed."""
        text = self.log_file.read_text(errors="replace")
        return "\n".join(text.splitlines()[-n_lines:])


def main(command: Sequence[str]) -> int:
    """Run `command` until it ends, or until the parent lets the leash go.

    Parameters
    ----------
    command
        The program and its arguments.

    Returns
    -------
    int
        The program's status; 128 and the signal's number if one ended it.
    """
    if sys.platform == "win32":
        raise NotImplementedError("a leash is not available on Windows")
    program = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not (_has_ended(program) or stopped.is_set() or _is_let_go()):
        pass
    os.kill(program.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while not _has_ended(program) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    # The program, or what it has left; its number can't be another's by now, since
    # nobody has asked yet how it ended.
    os.killpg(program.pid, signal.SIGKILL)
    status = program.wait()
    return status if status >= 0 else 128 - status


def _has_ended(program: subprocess.Popen[bytes]) -> bool:
    """Return whether the program has ended, without taking its status."""
    if sys.platform == "win32":
        return program.poll() is not None
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, program.pid, options) is not None


def _is_let_go() -> bool:
    """Wait a moment; return whether the parent closed its end of the pipe."""
    # Nothing is ever written to it: what can be read is its end.
    return bool(select.select([sys.stdin], [], [], _POLL_S)[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
