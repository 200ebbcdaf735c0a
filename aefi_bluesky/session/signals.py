"""What ends a run from outside: SIGTERM always, Ctrl-C where it is wanted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from bluesky import RunEngine

Handler = Callable[[int, FrameType | None], Any] | int | None


class StopOnTermination:
    """While entered, SIGTERM pauses the run at once and then ends the program.

    The run's plan stops the motion, closes the run and hands its data out; the
    program leaves by `SystemExit`, so that whoever built something takes it down.

    Parameters
    ----------
    engine
        Its run is ended.
    signals
        The signals that do so.
    """

    def __init__(
        self, engine: RunEngine, signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    ) -> None:
        self._engine = engine
        self._signals = signals
        self._before: dict[signal.Signals, Handler] = {}
        self.received: signal.Signals | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        if self._engine.state == "running":
            # Not here: a pause waits for the RunEngine, and a signal handler must not.
            threading.Thread(target=self._engine.request_pause).start()
        else:
            raise SystemExit(128 + number)
