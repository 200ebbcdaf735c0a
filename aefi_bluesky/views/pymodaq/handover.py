"""Takes the bench's ports from PyMoDAQ's modules, and gives them back.

``init_hardware(False)`` alone does not close a plugin whose thread is busy: the loop of
that thread ends before the request runs, and nothing tells so (pymodaq 5.3.8). So each
module is made quiet, its thread is waited for, and the plugin's own end is acknowledged
before the thread goes.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from pymodaq.control_modules.thread_commands import ControlToHardware, ThreadStatus
from pymodaq_utils.utils import ThreadCommand
from qtpy import QtCore

from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.views.pymodaq.closing import serve_until

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

PATIENCE_S = 5.0
"""How long a module may take for each step: pylablib waits 3 s for a reply."""

GUI_PATIENCE_S = 30.0
"""How long the windows may be busy with something else, as with a dialog."""

_LOOK_MS = 5


Steps = Generator[Callable[[], bool], bool, _T]
"""Work in the thread of the windows: yields what it waits for, and is sent whether that
came in time."""


class PortHandover(QtCore.QObject):
    """A `HardwareLease`: modules that use a port of the bench let go of it meanwhile.

    It lives in the thread of the windows and may be held from any thread. The windows
    are served all the while.

    Parameters
    ----------
    modules
        Returns the control modules of the Dashboard.
    initialise
        Initialises a module as the Dashboard does (``on_hardware_initialization``).
    resources
        What the bench's ports are called. A module uses one if a setting of its
        plugin names it.
    patience_s
        How long a module may take for each step, in s.
    """

    _asked = QtCore.Signal(object, object)

    def __init__(
        self,
        modules: Callable[[], Iterable[Any]],
        initialise: Callable[[Any], None],
        resources: Iterable[str],
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__()
        self._modules = modules
        self._initialise = initialise
        self._resources = {_real(name) for name in resources}
        self._patience_s = patience_s
        self._stuck: list[_Barrier] = []
        self._walks: list[_Walk] = []
        self._asked.connect(self._begin)

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """Own the ports inside the context; see `HardwareLease`.

        Raises
        ------
        PortBusyError
            If a module moves, or its thread does not answer in time: it is left as it
            was.
        """
        taken = self._in_gui(self._take(owner))
        try:
            yield
        finally:
            self._restore(taken)

    def _restore(self, taken: Sequence[_Taken]) -> None:
        try:
            failures = self._in_gui(self._give_back(taken))
        except PortBusyError as err:
            failures = [f"{err}: its modules must be initialised by hand"]
        for failure in failures:
            logger.error("%s", failure)

    # -- in the thread of the windows ------------------------------------------

    def _in_gui(self, steps: Steps[_T]) -> _T:
        """Take steps in the thread of the windows, and return what they return."""
        ended: Future[_T] = Future()
        if QtCore.QThread.currentThread() is self.thread():
            self._begin(steps, ended)
            serve_until(ended)
            return ended.result()
        self._asked.emit(steps, ended)
        try:
            return ended.result(GUI_PATIENCE_S)
        except TimeoutError as err:
            if not ended.cancel():
                return ended.result()  # it has begun, and each step ends in time
            raise PortBusyError(
                f"PyMoDAQ's windows did not answer within {GUI_PATIENCE_S:g} s"
            ) from err

    def _begin(self, steps: Steps[Any], ended: Future[Any]) -> None:
        if ended.set_running_or_notify_cancel():
            self._walks = [walk for walk in self._walks if not walk.ended.done()]
            self._walks.append(_Walk(steps, ended, self._patience_s))

    # -- taking ------------------------------------------------------------------

    def users(self) -> list[Any]:
        """Return the modules that hold a port of the bench, slaves first."""
        holding = [
            module
            for module in self._modules()
            if module.initialized_state
            and _can_hear(module)
            and self._uses_a_port(module)
        ]
        return sorted(holding, key=lambda module: module.master)

    def _uses_a_port(self, module: Any) -> bool:
        names = {_real(value) for value in _texts(module.settings)}
        if names & self._resources:
            return True
        # A slave has the controller of its master, whatever its own settings say.
        return not module.master and any(
            other.master and other.id == module.id and self._uses_a_port(other)
            for other in self._modules()
        )

    def _take(self, owner: str) -> Steps[list[_Taken]]:
        users = self.users()
        for module in users:
            if not getattr(module, "move_done_bool", True):
                raise PortBusyError(
                    f"PyMoDAQ's module {module.title!r} moves: stop it or wait for its "
                    f"end, before {owner} takes its port"
                )
        taken = [_Taken(module) for module in users]
        try:
            for each in taken:
                each.quieten()
            yield from self._wait_for_threads(taken, owner)
            for each in taken:
                yield from self._close(each)
        except Exception:
            for failure in (yield from self._give_back(taken)):
                logger.error("%s", failure)
            raise
        return taken

    def _wait_for_threads(self, taken: Sequence[_Taken], owner: str) -> Steps[None]:
        """Wait until the threads have done what they were asked before."""
        threads = {id(each.thread): each for each in taken}
        for each in threads.values():
            passed = threading.Event()
            barrier = _Barrier(passed)
            barrier.moveToThread(each.thread)
            barrier.reached.emit()
            if not (yield passed.is_set):
                self._stuck.append(barrier)  # its thread may come to it yet
                raise PortBusyError(
                    f"PyMoDAQ's module {each.module.title!r} did not answer within "
                    f"{self._patience_s:g} s: {owner} does not get its port"
                )

    def _close(self, taken: _Taken) -> Steps[None]:
        module = taken.module
        closed = threading.Event()

        def hear(status: ThreadCommand) -> None:
            if status.command == ThreadStatus.CLOSE:
                closed.set()

        module.custom_sig.connect(hear)
        try:
            module.command_hardware.emit(ThreadCommand(ControlToHardware.CLOSE))
            if not (yield closed.is_set):
                taken.was_polling = False  # it may close yet
                raise PortBusyError(
                    f"PyMoDAQ's module {module.title!r} did not close its port within "
                    f"{self._patience_s:g} s; initialise it by hand if it does so yet"
                )
        finally:
            module.custom_sig.disconnect(hear)
        taken.is_closed = True
        # Its thread goes too: a second one beside it would open the port twice.
        module.init_hardware(False)

    # -- giving back -------------------------------------------------------------

    def _give_back(self, taken: Sequence[_Taken]) -> Steps[list[str]]:
        """Initialise what was closed, masters first; return what failed."""
        failures: list[str] = []
        for each in reversed(taken):
            if each.module not in self._modules():
                continue  # it was removed meanwhile
            try:
                yield from self._wake(each)
            except Exception as err:
                failures.append(f"PyMoDAQ's module {each.module.title!r}: {err}")
        return failures

    def _wake(self, taken: _Taken) -> Steps[None]:
        module = taken.module
        if taken.is_closed:
            self._initialise(module)
        is_ready = yield lambda: not taken.is_closed or module.initialized_state
        taken.wake()
        if not is_ready:
            raise TimeoutError(
                f"it was not initialised again within {self._patience_s:g} s: do so by "
                "hand"
            )


class _Walk(QtCore.QObject):
    """Takes steps one after the other, and lets the windows live in between."""

    def __init__(
        self, steps: Steps[Any], ended: Future[Any], patience_s: float
    ) -> None:
        super().__init__()
        self._steps, self.ended, self._patience_s = steps, ended, patience_s
        self._condition: Callable[[], bool] | None = None
        self._deadline = 0.0
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._go_on(None)

    def _look(self) -> None:
        try:
            came = self._condition is not None and self._condition()
        except Exception as err:
            self._timer.stop()
            self.ended.set_exception(err)
            return
        if came or time.monotonic() > self._deadline:
            self._timer.stop()
            self._go_on(came)

    def _go_on(self, came: bool | None) -> None:
        try:
            self._condition = self._steps.send(came)  # pyright: ignore[reportArgumentType]
        except StopIteration as end:
            self.ended.set_result(end.value)
        except BaseException as err:  # Ctrl-C too: a worker waits for the end
            self.ended.set_exception(err)
        else:
            self._deadline = time.monotonic() + self._patience_s
            self._timer.start()


class _Barrier(QtCore.QObject):
    """Says when a thread has come to what was posted to it last."""

    reached = QtCore.Signal()

    def __init__(self, passed: threading.Event) -> None:
        super().__init__()
        self._passed = passed
        self._home = self.thread()
        self.reached.connect(self._pass, QtCore.Qt.ConnectionType.QueuedConnection)

    @QtCore.Slot()
    def _pass(self) -> None:
        self.moveToThread(self._home)  # where it was made, and is forgotten
        self._passed.set()


class _Taken:
    """A module whose port was taken, and what it did before."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.thread = module.controller_and_thread.thread.thread
        self.is_closed = False
        timer = getattr(module, "_refresh_timer", None)
        self.was_polling = timer is not None and timer.isActive()

    def quieten(self) -> None:
        """Let it ask for nothing more, and nobody press its buttons."""
        self.module.stop_grab()
        self._enable(enabled=False)

    def wake(self) -> None:
        """Let it do again what it did."""
        self._enable(enabled=True)
        if self.was_polling and self.module.initialized_state:
            self.module.get_continuous_actuator_value(True)

    def _enable(self, *, enabled: bool) -> None:
        if self.module.ui is not None:
            self.module.ui.toolbar.setEnabled(enabled)


def _can_hear(module: Any) -> bool:
    """Whether the thread of a module runs: PyMoDAQ may have ended it by itself."""
    thread = module.controller_and_thread.thread
    return thread is not None and thread.isRunning()


def _texts(parameter: Any) -> Iterable[str]:
    """Yield all texts in a tree of settings."""
    value = parameter.value() if not parameter.hasChildren() else None
    if isinstance(value, str) and value:
        yield value
    for child in parameter.children():
        yield from _texts(child)


def _real(name: str) -> str:
    """Return the name of a port without its links; others as they are."""
    return os.path.realpath(name) if name.startswith("/") else name
