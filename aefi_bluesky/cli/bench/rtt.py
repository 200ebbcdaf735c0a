"""``aefi bench rtt``: round trips of one position query after the other."""

from __future__ import annotations

from collections.abc import Sequence

from aefi_bluesky.cli.bench.benches import Benches
from aefi_bluesky.cli.bench.clients import CLIENTS
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Ratio, Row, find
from aefi_bluesky.cli.bench.side_by_side import (
    add_line_limit,
    idle_engine,
    rate_targets,
    side_by_side,
)

ABOUT = (
    "Position queries one after another, from one client at a time, on ptys of a "
    "simulated stage. Without a link ('unlimited') the rate shows software overhead "
    "and nothing else: no device answers so fast. The line limit is calculated: ten "
    "bits a byte, the simulated turnaround, the adapter's tick. The engine's p50 and "
    "p99 come from a histogram, exact to 1/16; the CPU time is that of the asking "
    "thread. The own part is the engine's time from a reply to its next request. "
    "'Awake' does not sleep within 0.1 ms of a reply's usual time (``spin_us`` of the "
    "bench file)."
)

LIMIT_REASON = (
    "in every exchange two sleeping processes, client and simulated bench, wait "
    "until the system wakes them. The calculated limit leaves this out; the bare "
    "loop needs the same time."
)

CPU_REASON = (
    "the engine asks the system whether the port is ready before each read, since it "
    "must not wait for ever; the bare loop just blocks."
)


def measure(benches: Benches, effort: Effort) -> Report:
    """Measure all clients over links and loads."""
    rows = side_by_side(
        "rtt", CLIENTS, benches, effort, amount=effort.seconds, quantity="rate_hz"
    )
    add_line_limit(rows, "rate_hz")
    targets = rate_targets(rows, "rate_hz", "fixes", LIMIT_REASON)
    return Report("rtt", ABOUT, rows, [*targets, *_cpu_targets(rows)])


def _cpu_targets(rows: Sequence[Row]) -> list[Target]:
    targets: list[Target] = []
    for engine in idle_engine(rows):
        bare = find(rows, **{**engine.labels, "client": "os.read/os.write"})
        if bare:
            ratio = Ratio.of(engine.values["cpu_us"], bare.values["cpu_us"])
            name = f"CPU per exchange / bare loop, {engine.labels['link']}"
            targets.append(Target(name, ratio, 1.2, False, reason=CPU_REASON))
    return targets
