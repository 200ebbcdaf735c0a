"""Signals that stop the motion although the interpreter is held."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence

from aefi_bluesky.engine import _native

logger = logging.getLogger(__name__)

_listening: set[int] = set()
"""Descriptors that this process reads signals from."""


def _leave_to_the_parent() -> None:
    """In a child that was forked: its signals are not the parent's."""
    with contextlib.suppress(ValueError, OSError):
        found = signal.set_wakeup_fd(-1)
        if found not in _listening:
            signal.set_wakeup_fd(found)
    _listening.clear()


if sys.platform != "win32":  # where there is no fork
    os.register_at_fork(after_in_child=_leave_to_the_parent)


class SignalStop:
    """Pauses flights on signals, at once.

    Python's handlers wait until the interpreter is free: a C call in any thread can
    hold it for seconds. The system's handler below them writes each signal's number
    to a descriptor without the interpreter (`signal.set_wakeup_fd`); a thread of the
    engine reads it there and acts. Python hears of it as ever, and decides what
    becomes of the flight.
    """

    def __init__(self) -> None:
        self._native = _native.SignalStop()

    def watch(self, flight: _native.Flight) -> None:
        """Let signals pause `flight` too; it is not kept alive for it."""
        self._native.watch(flight)

    @contextlib.contextmanager
    def listening(
        self,
        at_once: Sequence[signal.Signals],
        on_second: Sequence[signal.Signals] = (),
        then: Callable[[], object] | None = None,
    ) -> Generator[None]:
        """Act on signals that have a Python handler, while the context is entered.

        Only in the main thread: Python has signals nowhere else, and elsewhere this
        does nothing. Who got the numbers before gets them still, and is put back at
        the end.

        Parameters
        ----------
        at_once
            These pause.
        on_second
            These pause at the second one within 10 s, but not sooner than 0.1 s after
            the first: as bluesky counts Ctrl-C.
        then
            Called after a pause by signal, when the interpreter is free, on a thread
            of its own: whoever runs the flight has to know. Not called if the pause
            was taken back meanwhile.
        """
        line = self._line(at_once, on_second)
        if line is None:
            yield
            return
        before = -1
        follower = None
        try:
            _listening.add(line.descriptor)
            before = signal.set_wakeup_fd(line.descriptor)
            follower = threading.Thread(
                target=self._follow,
                args=(line, before, then),
                name="aefi-signals",
                daemon=True,
            )
            follower.start()
            yield
        finally:
            _give_back(line.descriptor, before)
            _listening.discard(line.descriptor)
            line.close()
            if follower is not None:
                follower.join()

    def _line(
        self, at_once: Sequence[signal.Signals], on_second: Sequence[signal.Signals]
    ) -> _native.SignalLine | None:
        if threading.current_thread() is not threading.main_thread():
            return None
        try:
            return self._native.listen(at_once=at_once, on_second=on_second)
        except OSError as err:
            logger.warning("signals stop the motion only when Python runs: %s", err)
            return None

    def _follow(
        self,
        line: _native.SignalLine,
        before: int,
        then: Callable[[], object] | None,
    ) -> None:
        while (number := line.hear()) is not None:
            if before != -1:
                # Full or closed: its owner has enough to wake up for, or is gone.
                with contextlib.suppress(OSError):
                    os.write(before, bytes((number,)))
            if then is not None and self._native.is_holding:
                then()


def _give_back(ours: int, before: int) -> None:
    """Put back who got the numbers before; who came after us and stays, stays."""
    try:
        found = signal.set_wakeup_fd(before)
    except (OSError, ValueError):  # it was closed meanwhile
        found = signal.set_wakeup_fd(-1)
    if found not in (ours, -1):
        signal.set_wakeup_fd(found)
