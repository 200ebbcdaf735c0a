"""The simulated benches that are measured on, by the link to their stage."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import DeviceTimeoutError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.ports import ScanObserver
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.domain.spec.fly_spec import Excitation, FlyScanSpec, Pattern, Zone
from aefi_bluesky.engine import (
    EngineLinks,
    RustScanAdapter,
    SerialConnection,
    VirtualConnection,
)
from aefi_bluesky.engine.rust_scan_adapter import RustScanInFlight
from aefi_bluesky.session.configuration import BenchConfiguration, load_bench
from aefi_bluesky.session.simulated import (
    SimulationSettings,
    SimulatorProcess,
    simulated_bench,
)

POSITION_QUERY = b"@00PX\r"
ANSWER_BYTES = 6
"""Five digits, as in the middle of the travel where these benches rest, and CR."""

_FAST = SimulationSettings(tick_us=0)

LINKS = {
    "unlimited": replace(_FAST, paced=False),
    "9600": replace(_FAST, stage_baud=9600),
    "115200": replace(_FAST, stage_baud=115200),
    "usb 2 ms": replace(
        _FAST, stage_baud=115200, stage_turnaround_us=0, stage_tick_us=2000
    ),
    "ftdi 16 ms": replace(
        _FAST, stage_baud=115200, stage_turnaround_us=0, stage_tick_us=16_000
    ),
}
"""Links to the stage: none at all (software overhead only), two rates with the
turnaround of the bench file, and adapters that hand replies over at ticks only."""


def bench_of(settings: SimulationSettings, **acquisition: Any) -> BenchConfiguration:
    """Return the simulated bench with a link, and another acquisition if given."""
    bench = settings.of_bench(load_bench("simulated"))
    table = bench.acquisition.model_copy(update=acquisition)
    return bench.model_copy(update={"acquisition": table})


def line_limit_hz(settings: SimulationSettings) -> float | None:
    """Return position queries a second that the link allows; None without a link.

    Ten bits a byte, the turnaround, and the next tick of the adapter.
    """
    if not settings.paced:
        return None
    stage = bench_of(settings).stage
    n_bytes = len(POSITION_QUERY) + ANSWER_BYTES
    exchange_s = n_bytes * 10 / stage.baud + stage.turnaround_ms / 1000
    tick_s = settings.stage_tick_us * 1e-6
    return 1 / (-(-exchange_s // tick_s) * tick_s if tick_s else exchange_s)


def shuttle(length_mm: float, speed_mm_per_s: float, **changes: Any) -> FlyScanSpec:
    """Return a spec of two lines, there and back, in the middle of the travel."""
    spec = FlyScanSpec(
        zone=Zone.centred(634.0, 614.0, 0.5, length_mm),
        n_x=2,
        n_y=3,
        pattern=Pattern.SERPENTINE,
        fast_axis="y",
        speed_mm_per_s=speed_mm_per_s,
        n_avg=1,
        excitation=Excitation.off(),
    )
    return replace(spec, **changes)


def planned(description: BenchDescription, spec: FlyScanSpec) -> FlightPlan:
    """Return the plan of `spec`.

    Raises
    ------
    InfeasibleScanError
        If the bench can't fly it.
    """
    plan = plan_flight(spec, description)
    if isinstance(plan, FeasibilityReport):
        raise plan.error()
    return plan


def fly_virtually(
    settings: SimulationSettings,
    spec: FlyScanSpec,
    observer: ScanObserver,
    truth: Path | None = None,
    known_us: int = 0,
    **acquisition: Any,
) -> ScanResults:
    """Plan `spec` and fly it on a bench of its own in virtual time.

    Parameters
    ----------
    settings, acquisition
        As in `bench_of`.
    spec, observer
        What is flown, and who is told.
    truth
        File for what really happened.
    known_us
        What the engine is told of the stage's turnaround, in us.
    """
    configuration = bench_of(settings, **acquisition)
    description = configuration.description()
    virtual = simulated_bench(configuration, settings)
    links = replace(configuration.links(), stage_reply_delay_us=known_us)
    connection = VirtualConnection(links, virtual)
    port = RustScanAdapter(description, connection)
    results = port.execute_scan(planned(description, spec), observer)
    if truth:
        virtual.write_truth(truth)
    return results


TRUTH_PERIOD_S = 0.1
"""How often a running bench writes what happened."""

_PATIENCE_S = 10.0
"""How long a flight may take to end once it was told to."""


@dataclass(frozen=True, slots=True)
class RunningBench:
    """A simulated bench on ptys, in a process of its own.

    Parameters
    ----------
    configuration
        The bench, with its ports.
    settings
        Its link.
    truth
        File in which it writes what really happens.
    """

    configuration: BenchConfiguration
    settings: SimulationSettings
    truth: Path

    @property
    def description(self) -> BenchDescription:
        """What planning needs."""
        return self.configuration.description()

    @property
    def links(self) -> EngineLinks:
        """How the engine reaches it."""
        return self.configuration.links(paced=self.settings.paced)

    def adapter(self) -> RustScanAdapter:
        """Return a port that flies it."""
        return RustScanAdapter(self.description, SerialConnection(self.links))

    @contextlib.contextmanager
    def flying(
        self, spec: FlyScanSpec, observer: ScanObserver
    ) -> Generator[RustScanInFlight]:
        """Yield a flight of `spec`; it is over on leaving."""
        plan = planned(self.description, spec)
        flight = self.adapter().start_scan(plan, observer)
        try:
            yield flight
        finally:
            flight.stop()
            if flight.wait(_PATIENCE_S) is None:
                raise DeviceTimeoutError(
                    f"bench: expected the flight to end within {_PATIENCE_S:g} s after "
                    f"its stop, was {flight.progress().state.value}"
                )

    def whole_truth(self) -> Path:
        """Return the file with the truth, all until now written."""
        time.sleep(2 * TRUTH_PERIOD_S)
        return self.truth


class Benches:
    """Starts benches when they are asked for; see `open_benches`.

    Parameters
    ----------
    stack
        What ends them.
    folder
        Where they write what really happens.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._running: dict[Any, RunningBench] = {}

    def start(self, links: Collection[str]) -> None:
        """Start the benches with these links at once: a process takes seconds."""
        with ThreadPoolExecutor(max_workers=len(links) or 1) as pool:
            list(pool.map(lambda link: self.on(LINKS[link]), links))

    def on(self, settings: SimulationSettings, **acquisition: Any) -> RunningBench:
        """Return the bench with a link, started if it is not yet.

        Parameters
        ----------
        settings
            The link.
        acquisition
            Values of the bench file's ``[acquisition]`` to replace.
        """
        key = (settings, *sorted(acquisition.items()))
        if key not in self._running:
            truth = self._folder / f"truth-{abs(hash(key))}.jsonl"
            process = self._stack.enter_context(
                SimulatorProcess("simulated", settings, truth)
            )
            ports = process.stage_port, process.acquisition_port
            configuration = bench_of(settings, **acquisition).on_ports(*ports)
            self._running[key] = RunningBench(configuration, settings, truth)
        return self._running[key]


@contextlib.contextmanager
def open_benches() -> Generator[Benches]:
    """Yield benches that all end on leaving."""
    with contextlib.ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="aefi-bench-")
        yield Benches(stack, Path(stack.enter_context(folder)))
