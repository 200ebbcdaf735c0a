"""Measured limits of the bench, which planning and speed advice use."""

from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import BenchCalibration, BenchMeter, ExcitationSource
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.plans.device_names import DETECTORS, MOVERS, device_names
from aefi_bluesky.plans.stubs import by_name


@device_names(meter=DETECTORS, excitation=MOVERS, calibration=MOVERS)
def characterise_bench(
    meter: BenchMeter,
    excitation: ExcitationSource,
    calibration: BenchCalibration,
    n_readings: int = 200,
    n_avg: int = 10,
    polling_s: float = 2.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure reading rate, fix rate, turnaround and noise at rest, and use them.

    Nothing moves. The excitation is on while readings are taken, with its present
    settings, and off afterwards.

    Parameters
    ----------
    meter
        The meter of the bench.
    excitation
        The source of the excitation, on while readings are taken.
    calibration
        The device that stores what was measured. Planning uses it from now on.
    n_readings
        Number of readings, at least 10.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    polling_s
        How long positions are asked for, in s.
    md
        More metadata for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    PortBusyError
        In flight, or while an axis moves.
    """

    def measure() -> MsgGenerator[None]:
        yield from bps.mv(excitation, "on")
        # Empty where nothing is carried out: bluesky's simulators.
        found.update((yield from bps.trigger_and_read([meter, excitation])) or {})
        yield from bps.mv(excitation, "off")

    found: dict[str, Any] = {}

    for setting, value in (
        (meter.n_readings, n_readings),
        (meter.n_avg, n_avg),
        (meter.polling_s, polling_s),
    ):
        yield from bps.mv(setting, value)
    uid = yield from bpp.run_wrapper(
        by_name(measure()), md={"plan_name": "characterise_bench", **(md or {})}
    )
    if found:
        yield from bps.mv(calibration, _constants(found, uid, n_avg))
    return uid


def _constants(found: dict[str, Any], run: str, n_avg: int) -> dict[str, Any]:
    values = {name: reading["value"] for name, reading in found.items()}
    rates = ("reading_rate_hz", "fix_rate_hz", "turnaround_s")
    return {
        "run": run,
        **{name: values[name] for name in rates},
        "noise_v": tuple(values[f"noise_{channel}"] for channel in CHANNELS),
        "noise_n_avg": n_avg,
    }
