"""An interpreter that is held: no other Python code runs."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any


def hold_interpreter(seconds: float) -> tuple[int, int]:
    """Stay so long inside one call of C that keeps the interpreter.

    The call sleeps, so that nothing but the interpreter is taken from the others:
    what a call costs that computes is the business of a load.

    Returns
    -------
    tuple
        Begin and end, in ns of the monotonic clock.
    """
    milliseconds = round(seconds * 1000)
    begin = time.monotonic_ns()
    _sleep_inside(milliseconds)
    return begin, time.monotonic_ns()


def _sleep_inside(milliseconds: int) -> None:
    # Unlike CDLL, PyDLL does not let go of the interpreter during a call.
    if sys.platform == "win32":
        kernel: Any = ctypes.PyDLL("kernel32")
        kernel.Sleep(milliseconds)
    else:
        library: Any = ctypes.PyDLL(None)
        library.poll(None, 0, milliseconds)
