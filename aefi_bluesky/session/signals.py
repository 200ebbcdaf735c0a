"""Signals that end a run: SIGTERM, a closed terminal, and Ctrl-C if asked for."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any, Self

from bluesky import RunEngine
from bluesky.utils import DefaultDuringTask, SigintHandler

from aefi_bluesky.engine import RustScanAdapter

logger = logging.getLogger(__name__)

Handler = Callable[[int, FrameType | None], Any] | int | None


def in_main_thread() -> bool:
    """Return whether this is the main thread: Python has signals nowhere else."""
    return threading.current_thread() is threading.main_thread()


class CtrlC(SigintHandler):
    """bluesky's handler of Ctrl-C, in the main thread; elsewhere nothing.

    A worker thread of a window's program calls the RunEngine too. bluesky's own would
    fail there before the plan begins.
    """

    def __enter__(self) -> Any:
        self._is_entered = in_main_thread()
        return super().__enter__() if self._is_entered else self

    def __exit__(self, *raised: Any) -> None:
        if self._is_entered:
            super().__exit__(*raised)


_LOOK_PERIOD_S = 0.05


class _Watched:
    """An event that is waited for with an eye on signals.

    Python runs handlers in the main thread only. A signal that the system hands to
    another thread does not wake one that waits without a limit.
    """

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as the event does."""
        if timeout is not None:
            return self._event.wait(timeout)
        while not self._event.wait(_LOOK_PERIOD_S):
            pass
        return True

    def is_set(self) -> bool:
        """Return whether it is over."""
        return self._event.is_set()


class WaitForRun(DefaultDuringTask):
    """How the caller of the RunEngine waits for the end of a run.

    A worker thread only waits: Qt's loop is not its own. The main thread serves Qt's
    windows meanwhile. What a slot of theirs raises goes to ``sys.excepthook``, and the
    run goes on. Only where nobody has set such a hook, and Qt would end the process,
    bluesky's own way is taken: the run ends with what the slot raised.
    """

    def __init__(self) -> None:
        if in_main_thread():
            super().__init__()

    def block(self, blocking_event: threading.Event) -> None:
        """Return when the event is set."""
        if not in_main_thread():
            blocking_event.wait()
        elif (core := _qt_core()) is not None and _slots_may_raise():
            _serve_windows(core, blocking_event)
        else:
            # bluesky asks for an event, and takes what can be waited for.
            super().block(_Watched(blocking_event))  # pyright: ignore[reportArgumentType]


_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def _qt_core() -> Any:
    """Return ``QtCore`` of the process's application; None if it has no windows."""
    for binding in _BINDINGS:
        core: Any = sys.modules.get(f"{binding}.QtCore")
        if core is not None and core.QCoreApplication.instance() is not None:
            return core
    return None


def _slots_may_raise() -> bool:
    """Whether somebody takes what slots raise: else PyQt aborts the process."""
    return sys.excepthook is not sys.__excepthook__


def _serve_windows(core: Any, event: threading.Event) -> None:
    """Serve Qt's events until an event is set; Python sees signals meanwhile."""
    loop, look = core.QEventLoop(), core.QTimer()
    look.timeout.connect(lambda: event.is_set() and loop.quit())
    look.start(round(_LOOK_PERIOD_S * 1000))
    while not event.is_set():
        loop.exec()
        event.wait(_LOOK_PERIOD_S)  # a program that quits serves no further loop
    look.stop()


@dataclass(frozen=True, slots=True)
class StopMotion:
    """For ``RE.context_managers``: signals stop the motion without the interpreter.

    First the engine stops the stage. The RunEngine pauses as soon as Python runs again,
    whatever its own handlers have done with the signals: Python takes two signals that
    came while a C call held the interpreter for one.

    Parameters
    ----------
    port
        The port that flies.
    at_once
        Signals that stop at once.
    on_second
        Signals that stop at the second one within 10 s; the first Ctrl-C is a
        deferred pause by bluesky's own handler.
    """

    port: RustScanAdapter
    at_once: tuple[signal.Signals, ...] = ()
    on_second: tuple[signal.Signals, ...] = (signal.SIGINT,)

    def __call__(self, engine: RunEngine) -> AbstractContextManager[None]:
        """Return the context of one call of `engine`."""
        if in_main_thread() and _bluesky_serves_qt():
            # bluesky gives the descriptor to Qt, which has to wake up for Ctrl-C.
            logger.warning(
                "with matplotlib on Qt, signals stop the motion only when Python runs"
            )
        return self.port.stopped_by_signals(
            self.at_once, self.on_second, then=lambda: request_pause(engine)
        )

    def also_at_once(self, signals: tuple[signal.Signals, ...]) -> StopMotion:
        """Return the same with more signals that stop at once."""
        return replace(
            self,
            at_once=tuple({*self.at_once, *signals}),
            on_second=tuple({*self.on_second} - {*signals}),
        )


def _bluesky_serves_qt() -> bool:
    """Whether bluesky waits in Qt's loop for a run's end; see `WaitForRun`."""
    if _qt_core() is not None and _slots_may_raise():
        return False
    matplotlib: Any = sys.modules.get("matplotlib")
    return matplotlib is not None and "qt" in matplotlib.get_backend().lower()


def request_pause(engine: RunEngine) -> None:
    """Pause the run of `engine` at once; nothing if it is pausing or ending."""
    try:
        engine.request_pause()
    except RuntimeError as err:
        # A second signal, or one at the run's end.
        logger.info("the run was not paused: %s", err)


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return what asks a program to end: SIGTERM, and SIGHUP of a closed terminal.

    Not the latter under ``nohup``, nor where the system has none.
    """
    hang_up: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return (signal.SIGTERM,)
    return signal.SIGTERM, hang_up


def _let_go_of_a_closed_terminal() -> None:
    """Discard output to a terminal that is gone: printing to it would raise."""
    if sys.platform == "win32":
        return  # which has no hang-ups
    import termios

    for stream in (1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as err:
            if err.args[0] == errno.EIO:
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream)


def _handles_ctrl_c(manager: Any) -> bool:
    return isinstance(manager, type) and issubclass(manager, SigintHandler)


class StopOnTermination:
    """While entered, a signal pauses a run at once, and ends the program without one.

    The motion of a paused run is stopped. The caller of the RunEngine gets
    `RunEngineInterrupted` and must end the run: the plan then closes the run and hands
    its data out. At a prompt the user ends the run, or a second SIGTERM does: then the
    program leaves by `SystemExit`, so that all parts of the program can clean up.
    If SIGINT is among the signals, Ctrl-C does the same. Bluesky's own handler, which
    would first wait for the next checkpoint, is not used then.
    If the RunEngine has a `StopMotion`, the signals stop the motion by that too.

    Parameters
    ----------
    engine
        Its run is ended.
    signals
        The signals that do so; those of `ending_signals` if None.
    """

    def __init__(
        self, engine: RunEngine, signals: tuple[signal.Signals, ...] | None = None
    ) -> None:
        self._engine = engine
        self._signals = ending_signals() if signals is None else signals
        self._before: dict[signal.Signals, Handler] = {}
        self._managers: list[Any] | None = None
        self.received: signal.Signals | None = None

    def __enter__(self) -> Self:
        if in_main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._take)
            self._managers = list(self._engine.context_managers)
            self._engine.context_managers = self._adapted(self._managers)
        return self

    def _adapted(self, managers: list[Any]) -> list[Any]:
        kept = [
            each
            for each in managers
            if not _handles_ctrl_c(each) or signal.SIGINT not in self._signals
        ]
        return [
            each.also_at_once(self._signals) if isinstance(each, StopMotion) else each
            for each in kept
        ]

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
        if number == getattr(signal, "SIGHUP", None):
            _let_go_of_a_closed_terminal()
        is_first = self.received is None
        state: Any = self._engine.state  # a str that also knows its states
        self.received = signal.Signals(number)
        if state.is_running:
            # Not here: a pause waits for the RunEngine, and a signal handler must not.
            threading.Thread(target=request_pause, args=(self._engine,)).start()
        elif state.is_idle or (state.is_paused and is_first):
            # In between the run is ending already, and is not to be torn.
            raise SystemExit(128 + number)
