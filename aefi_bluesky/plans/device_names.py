"""Which devices a plan's parameters may name where it is asked for by name."""

from collections.abc import Callable
from typing import Any, ParamSpec, cast

from bluesky.utils import MsgGenerator

try:
    import bluesky_queueserver as queueserver
except ImportError:  # an extra; without a queue server nobody asks by name
    queueserver = None

FLYERS = "__FLYABLE__:.*"
"""Every device of the session that flies."""
MOVERS = "__MOTOR__:.*"
"""Every device that can be set and read."""
DETECTORS = "__DETECTOR__:.*"
"""Every device that can be read and not set."""

P = ParamSpec("P")
Plan = Callable[P, MsgGenerator[Any]]


def device_names(**patterns: str) -> Callable[[Plan[P]], Plan[P]]:
    """Let bluesky-queueserver refuse a wrong device when a plan is submitted.

    It knows no type of ours: any name would be taken and fail in the run, which stops
    the queue. As a decorator; it changes nothing where no queue server is installed.

    Parameters
    ----------
    **patterns
        For each parameter the devices that it takes, as queueserver writes them:
        `FLYERS`, `MOVERS` or `DETECTORS`.
    """
    if queueserver is None:
        return lambda plan: plan
    described = {
        name: {"annotation": "Devices", "devices": {"Devices": [pattern]}}
        for name, pattern in patterns.items()
    }
    annotate = queueserver.parameter_annotation_decorator({"parameters": described})
    return cast("Callable[[Plan[P]], Plan[P]]", annotate)
