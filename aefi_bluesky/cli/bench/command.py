"""``aefi bench``: measures the engine side by side with its alternatives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.bench import (
    estimator,
    fly,
    handoff,
    jitter,
    rtt,
    scaling,
    startup,
    stop,
    table,
)
from aefi_bluesky.cli.bench.benches import LINKS, Benches, open_benches
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import LOADS, machine
from aefi_bluesky.cli.bench.report import Report

MEASUREMENTS: dict[str, Callable[[Benches, Effort], Report]] = {
    "rtt": rtt.measure,
    "fly": fly.measure,
    "jitter": jitter.measure,
    "handoff": handoff.measure,
    "stop": stop.measure,
    "estimator": lambda _benches, effort: estimator.measure(effort),
    "scaling": lambda _benches, effort: scaling.measure(effort),
    "startup": lambda _benches, effort: startup.measure(effort),
}
"""What can be measured, in the order of ``all``."""

RULES = (
    "Everything below was measured on a simulated bench on this machine. A rate on a "
    "pty is not the rate of a real device. Numbers are medians of interleaved rounds, "
    "with their range. If the ranges of a ratio overlap, no difference is shown. "
    "UNQUIET: other programs took more than 20 % of the machine. Not measured: the "
    "turnaround of a real controller, a real microcontroller, Windows, a real-time "
    "kernel, the time from Ctrl-C to STOP, the fault list."
)


@click.command()
@click.argument("what", type=click.Choice([*MEASUREMENTS, "all"]))
@click.option(
    "--quick",
    is_flag=True,
    help="Take less than two minutes; too short to prove anything.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for all numbers, as JSON.",
)
@click.option("--rounds", type=click.IntRange(1), help="Number of interleaved rounds.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.05),
    help="Duration of one cell (one measurement in one round), in s.",
)
@click.option(
    "--stall-s",
    type=click.FloatRange(0.1),
    help="How long Python is stalled in handoff, in s.",
)
@click.option(
    "--stops", type=click.IntRange(1), help="Number of stops in a cell of stop."
)
@click.option(
    "--readings",
    type=click.IntRange(10_000),
    help="Number of readings in the largest flight of scaling.",
)
@click.option(
    "--link",
    "links",
    type=click.Choice([*LINKS]),
    multiple=True,
    help="Link to measure on, for rtt, fly, jitter and stop; may be repeated.",
)
@click.option(
    "--load",
    "loads",
    type=click.Choice(LOADS),
    multiple=True,
    help="Load to measure under, for rtt, fly, jitter and stop; may be repeated.",
)
def bench(what: str, quick: bool, json_file: Path | None, **chosen: Any) -> None:
    """Measure the engine, and other programs for comparison, on simulated benches.

    WHAT is one of: round trips (rtt), whole samples in flight (fly), regularity
    (jitter), the way of the data to Python (handoff), stop latency (stop), position
    estimates (estimator), the cost of large scans (scaling), the time until a session
    shows its prompt (startup), or all.
    """
    effort = _effort(quick, chosen)
    names = list(MEASUREMENTS) if what == "all" else [what]
    before, began = machine(), time.monotonic()
    click.echo(f"{table.machine_line(before)}\n\n{table.wrapped(RULES)}")
    click.echo(
        f"up to {effort.rounds} rounds, {effort.seconds:g} s a cell"
        f"{'; quick: too few and too short to prove anything' if quick else ''}"
    )
    reports: list[Report] = []
    with open_benches() as benches:
        benches.start({link for name in names for link in effort.links.get(name, ())})
        for name in names:
            reports.append(MEASUREMENTS[name](benches, effort))
            click.echo(f"\n{table.text_of(reports[-1])}")
    took_s = time.monotonic() - began
    click.echo(_summary(reports))
    click.echo(f"\n{took_s:.0f} s; load after {machine()['load_average']}")
    if json_file:
        document = {
            "machine": before,
            "load_after": machine()["load_average"],
            "effort": {"quick": quick, "rounds": effort.rounds, "s": effort.seconds},
            "took_s": took_s,
            "measurements": {report.name: report.plain() for report in reports},
        }
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _summary(reports: Sequence[Report]) -> str:
    """Return in words how many targets are met, and which are not."""
    targets = [target for report in reports for target in report.targets]
    missed = [target.name for target in targets if not target.is_met]
    if not targets:
        return ""
    met = f"\n{len(targets) - len(missed)} of {len(targets)} targets met"
    return "\n  falls short: ".join([met, *missed])


def _effort(quick: bool, chosen: dict[str, Any]) -> Effort:
    effort = Effort.quick() if quick else Effort.full()
    largest = chosen.pop("readings")
    if largest is not None:
        smaller = tuple(size for size in effort.readings if size < largest)
        effort = replace(effort, readings=(*smaller, largest))
    if chosen["links"]:
        chosen["links"] = dict.fromkeys(effort.links, chosen["links"])
    return replace(effort, **{name: value for name, value in chosen.items() if value})
