"""Work that a device does beside the plan, and the status that tells its end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ophyd import Device
from ophyd.status import DeviceStatus


def in_background(device: Device, work: Callable[[], None]) -> DeviceStatus:
    """Begin `work` in a thread of its own.

    Parameters
    ----------
    device
        Whose work it is.
    work
        Raises what it fails by.

    Returns
    -------
    DeviceStatus
        Done when `work` returns, or failed by what it raised.
    """
    status = DeviceStatus(device)

    def run() -> None:
        try:
            work()
        except Exception as err:
            status.set_exception(err)
        else:
            status.set_finished()

    threading.Thread(target=run, name=f"aefi-{device.name}", daemon=True).start()
    return status
