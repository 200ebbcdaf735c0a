"""What ends a run from outside: SIGTERM always, Ctrl-C where it is wanted."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from bluesky import RunEngine
from bluesky.utils import SigintHandler

logger = logging.getLogger(__name__)

Handler = Callable[[int, FrameType | None], Any] | int | None


class StopOnTermination:
    """While entered, SIGTERM pauses a run at once, and ends the program without one.

    A paused run's motion is stopped. Whoever called the RunEngine gets
    `RunEngineInterrupted` and ends the run: its plan closes it and hands its data
    out. At a prompt that is the user, or a second SIGTERM: the program then leaves by
    `SystemExit`, so that whoever built something takes it down.
    With SIGINT among the signals, Ctrl-C does so too: bluesky's own handler, which
    would wait for the next checkpoint first, is put aside.

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
        self._managers: list[Any] | None = None
        self.received: signal.Signals | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._take)
            if signal.SIGINT in self._signals:
                self._managers = list(self._engine.context_managers)
                self._engine.context_managers = [
                    each for each in self._managers if each is not SigintHandler
                ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._managers is not None:
            self._engine.context_managers = self._managers

    def _take(self, number: int, frame: FrameType | None) -> None:
        is_first = self.received is None
        state: Any = self._engine.state  # a str that also knows its states
        self.received = signal.Signals(number)
        if state.is_running:
            # Not here: a pause waits for the RunEngine, and a signal handler must not.
            threading.Thread(target=self._pause).start()
        elif state.is_idle or (state.is_paused and is_first):
            # In between the run is ending already, and is not to be torn.
            raise SystemExit(128 + number)

    def _pause(self) -> None:
        try:
            self._engine.request_pause()
        except RuntimeError as err:
            # A second signal, or one at the run's end: it is pausing or ending.
            logger.info("no pause on %s: %s", self.received, err)
