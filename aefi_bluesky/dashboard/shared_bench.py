"""The one bench of a Dashboard: its extension and its plugins are clients of it."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from pymodaq_gui.utils import DockArea
from qtpy import QtCore

from aefi_bluesky.application.leases import NullLease
from aefi_bluesky.domain.errors import DeviceUnavailableError
from aefi_bluesky.domain.ports import HardwareLease
from aefi_bluesky.session.choices import SessionChoices
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.session.view import opened_bench
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import ScanClient, ServedBench
from aefi_bluesky.views.pymodaq.closing import serve_until
from aefi_bluesky.views.pymodaq.handover import PortHandover
from aefi_bluesky.views.pymodaq.view import PyMoDAQView

_T = TypeVar("_T")


class SharedBench:
    """Opens the bench for the first who needs it, and closes it after the last plugin.

    What it opens is chosen by the variables of the environment that
    `aefi_bluesky.startup` has. An extension closes it by itself, with its window.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: ScanClient | None = None
        self._plugins: set[int] = set()
        self._lease: HardwareLease = NullLease()
        self.presenter = Presenter()
        self._view: PyMoDAQView | None = None
        self._closing: Future[None] | None = None
        # PyMoDAQ may terminate the thread of a plugin: none may hold a lock of ours.
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="pymodaq-plugins")

    @property
    def choices(self) -> SessionChoices:
        """What the environment chooses."""
        return SessionChoices.of_environment()

    @property
    def ports(self) -> tuple[str, ...]:
        """What the bench's ports are called; none of a simulated bench's own."""
        chosen = self.choices
        if chosen.kind != "real":
            return ()
        bench = load_bench(chosen.bench)
        return bench.stage.port, bench.acquisition.port

    def new_view(self, dockarea: DockArea, manager: Any) -> PyMoDAQView | None:
        """Return a view of the bench, which opens nothing; None if there is one.

        Parameters
        ----------
        dockarea
            Gets the docks.
        manager
            The Dashboard's manager of modules: those on a port of the bench let go of
            it before a port is opened.
        """
        if self._view is not None:
            return None
        self._lease = PortHandover(
            lambda: manager.modules_all,
            lambda module: manager.on_hardware_initialization(True, module),
            self.ports,
        )
        self._view = PyMoDAQView(dockarea, self.client(), self.presenter)
        return self._view

    def close_view(self, view: PyMoDAQView) -> None:
        """Close the view and the bench, and return when that is over."""
        view.close()
        if view is self._view:
            self._view, self._lease = None, NullLease()

    def client(self) -> ScanClient:
        """Return the client of the bench; nothing is opened."""
        with self._lock:
            if self._client is None or self._client.is_shut_down:
                bench = load_bench(self.choices.bench).description()
                self._client = ScanClient(self._opening, self.presenter, bench)
            return self._client

    def _opening(self) -> Any:
        if self._closing is not None:
            self._closing.result()  # one session a folder
        chosen = self.choices
        return opened_bench(
            kind=chosen.kind,
            folder=chosen.folder,
            bench=chosen.bench,
            simulation=SimulationSettings(has_object=chosen.has_object),
            tiled_uri=chosen.tiled_uri,
            tiled_key=chosen.tiled_key,
            lease=self,
        )

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """See `HardwareLease`: the one of the Dashboard, if it has one."""
        with self._lease.hold(owner):
            yield

    def join(self, plugin: object) -> ServedBench:
        """Return the bench for a plugin, and open it if it is closed; waits for that.

        Raises
        ------
        DeviceUnavailableError
            If it can't be opened.
        """
        client = self.client()
        _wait_for(client.open())
        self._plugins.add(id(plugin))
        return self.served()

    def served(self) -> ServedBench:
        """Return the open bench.

        Raises
        ------
        DeviceUnavailableError
            If it is not open.
        """
        client = self.client()
        if client.served is None:
            raise DeviceUnavailableError(
                f"the bench is {client.status.state}: {client.status.notice}"
            )
        return client.served

    def leave(self, plugin: object) -> None:
        """Close the bench if no other plugin and no window needs it; do not wait."""
        self._plugins.discard(id(plugin))
        client = self._client
        is_used = bool(self._plugins) or self._view is not None
        if is_used or client is None or client.is_shut_down:
            return
        self._closing = client.close()
        client.shut_down()

    def ask(self, call: Callable[[ServedBench], _T]) -> _T:
        """Return what a call of the bench returns, made on a thread of our own.

        Raises
        ------
        DeviceUnavailableError
            If the bench is not open.
        """
        asked = self._calls.submit(lambda: call(self.served()))
        return _wait_for(asked)


class PluginOfBench:
    """What the plugins of the bench have in common: they join it, and leave it."""

    controller: Any
    is_master: bool

    def ini_attributes(self) -> None:
        """Say what the controller is."""
        self.controller = None

    def joined(self, controller: Any) -> tuple[str, bool]:
        """Join the bench, and open it if it is closed; return what PyMoDAQ asks.

        Parameters
        ----------
        controller
            The bench of the master; None if this is the master.
        """
        self.controller = BENCH.join(self) if self.is_master else controller
        return "the bench is open", True

    def close(self) -> None:
        """Leave the bench; it closes after the last plugin, or with its window."""
        if self.is_master and self.controller is not None:
            self.controller = None
            BENCH.leave(self)


def _wait_for(ended: Future[_T]) -> _T:
    """Wait; the thread of the windows serves them, as a hand-over of ports needs it."""
    app = QtCore.QCoreApplication.instance()
    if app is not None and QtCore.QThread.currentThread() is app.thread():
        serve_until(ended)
    return ended.result()


BENCH = SharedBench()
"""The bench of this process."""
