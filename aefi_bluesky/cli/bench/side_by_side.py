"""Clients that take turns on the same links, under the same loads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aefi_bluesky.cli.bench.benches import LINKS, Benches, line_limit_hz
from aefi_bluesky.cli.bench.clients import Client
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import BUSY_THREAD, IDLE
from aefi_bluesky.cli.bench.report import Target
from aefi_bluesky.cli.bench.rounds import Cell, Ratio, Row, compare, find, interleave

BUSY_REASON = (
    "the link thread needs no lock of the interpreter, but the busy thread leaves "
    "one core less for the link thread, the simulated bench and other programs."
)


def side_by_side(
    what: str,
    clients: Sequence[Client],
    benches: Benches,
    effort: Effort,
    *,
    amount: float,
    quantity: str,
) -> list[Row]:
    """Measure clients over the links and loads of a measurement.

    Parameters
    ----------
    what
        The measurement, which knows its links.
    clients
        Who takes turns; one that is missing gets a row that says so.
    benches, effort
        Where, and how much of it.
    amount
        What each client is to do in a cell: seconds, or stops.
    quantity
        What the engine is compared by with each other client.
    """
    missing = {client.name: client.missing() for client in clients}
    rows: list[Row] = []
    for link in effort.links[what]:
        bench = benches.on(LINKS[link])
        cells = [
            Cell(
                {"client": client.name, "link": link},
                load,
                partial(client.poll, bench, amount),
            )
            for load in effort.loads
            for client in clients
            if not missing[client.name]
        ]
        found = interleave(cells, effort.rounds, effort.budget_s)
        compare(found, quantity)
        rows += found
    absent = [Row({"client": name}, note=why) for name, why in missing.items() if why]
    return rows + absent


def add_line_limit(rows: Sequence[Row], rate: str) -> None:
    """Give each row its rate over what its line allows, if it has a line."""
    for row in rows:
        limit_hz = line_limit_hz(LINKS[row.labels["link"]]) if row.values else None
        if limit_hz is not None:
            row.values["of_limit"] = row.values[rate].scaled(1 / limit_hz)


def idle_engine(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the engine on an idle machine, a link each."""
    wanted = {"client": "engine", "load": IDLE}
    return [row for row in rows if row.values and wanted.items() <= row.labels.items()]


def rate_targets(
    rows: Sequence[Row], rate: str, name: str, limit_reason: str
) -> list[Target]:
    """Return the targets of a rate: near its line's limit, and as good when busy."""
    targets: list[Target] = []
    for idle in idle_engine(rows):
        link = idle.labels["link"]
        if "of_limit" in idle.values:
            share, of_limit = (
                idle.values["of_limit"],
                f"{name} / line limit, {link}, idle",
            )
            targets.append(Target(of_limit, share, 0.95, True, reason=limit_reason))
        busy = find(rows, **{**idle.labels, "load": BUSY_THREAD})
        if busy:
            ratio = Ratio.of(busy.values[rate], idle.values[rate])
            of_idle = f"{name}, busy thread / idle, {link}"
            targets.append(Target(of_idle, ratio, 0.98, True, reason=BUSY_REASON))
    return targets
