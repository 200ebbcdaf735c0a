"""A window beside an IPython prompt."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from IPython.core.getipython import get_ipython
from pymodaq_gui.qt_utils import mkQApp

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import ScanClient, ServedBench
from aefi_bluesky.views.pymodaq.view import PyMoDAQView
from aefi_bluesky.views.pymodaq.window import ViewWindow

_windows: list[ViewWindow] = []
"""Those that are open: nobody else keeps them."""


def open_window(
    opening: Callable[[], AbstractContextManager[ServedBench]], bench: BenchDescription
) -> ViewWindow:
    """Open a window and return; the prompt serves its events between two inputs.

    Parameters
    ----------
    opening
        Returns the context in which the window has the session.
    bench
        The bench, for the first spec in the form.
    """
    mkQApp("aefi")
    shell = get_ipython()
    if shell is not None:
        shell.enable_gui("qt")
    presenter = Presenter()
    client = ScanClient(opening, presenter, bench)
    client.open()
    window = ViewWindow(
        lambda area: PyMoDAQView(area, client, presenter), f"aefi: bench {bench.name}"
    )
    _windows[:] = [each for each in _windows if each.isVisible()]
    _windows.append(window)
    window.show()
    return window


def close_windows() -> None:
    """Close what is still open, before the session ends."""
    while _windows:
        _windows.pop().close()
