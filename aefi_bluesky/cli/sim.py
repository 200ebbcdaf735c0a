"""``aefi sim``: the simulated bench alone, on two ptys."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TextIO

import click

from aefi_bluesky.cli.options import bench_option
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, bench_server
from aefi_bluesky.storage.tiled.server_process import end_with_parent


@click.command()
@bench_option("simulated")
@click.option("--seed", default=0, help="Seed of noise, jitter and tick phase.")
@click.option(
    "--baud",
    type=int,
    help="Rate of the stage's line, in Bd; that of the bench file by default.",
)
@click.option(
    "--acquisition-baud",
    type=int,
    help="Rate of the acquisition's line, in Bd; that of the bench file by default.",
)
@click.option(
    "--stage-turnaround-us",
    type=int,
    help="Time from a request to the reply of the stage, in us.",
)
@click.option(
    "--stage-jitter-us",
    default=0,
    help="Upper bound of a random addition to that time, in us.",
)
@click.option(
    "--stage-tick-us",
    default=0,
    help="Latency tick of the stage's serial adapter, in us; 0 for none.",
)
@click.option(
    "--tick-us",
    default=16_000,
    help="Latency tick of the acquisition's USB adapter, in us; 0 for none.",
)
@click.option(
    "--stage-echoes", is_flag=True, help="Let the stage's adapter send requests back."
)
@click.option(
    "--boot-ms",
    default=0,
    help="Time that the microcontroller needs after its port was opened, in ms.",
)
@click.option("--lag-s", type=float, help="Time constant of the lock-in, in s.")
@click.option("--noise-v", type=float, help="Noise of a reading, in V.")
@click.option("--no-object", is_flag=True, help="Simulate no object.")
@click.option(
    "--unpaced", is_flag=True, help="Let bytes take no time on the line: not physical."
)
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for what really happens on the bench, as JSON lines.",
)
@click.option(
    "--links",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the symbolic links 'stage' and 'acquisition' to the ptys.",
)
@click.option(
    "--faults",
    type=click.File(),
    help='File with one fault on each line, for example "at 1.5s do lose-reply stage".',
)
@click.option("--child", is_flag=True, hidden=True)
def sim(
    bench: str,
    seed: int,
    baud: int | None,
    acquisition_baud: int | None,
    stage_turnaround_us: int | None,
    stage_jitter_us: int,
    stage_tick_us: int,
    tick_us: int,
    stage_echoes: bool,
    boot_ms: int,
    lag_s: float | None,
    noise_v: float | None,
    no_object: bool,
    unpaced: bool,
    truth: Path | None,
    links: Path | None,
    faults: TextIO | None,
    child: bool,
) -> None:
    """Serve the simulated bench on two ptys until Ctrl-C.

    A pty is a serial port without hardware. Any client of the real devices may open
    the two ptys. The rates of both links are those of the bench file, unless an option
    changes them.
    """
    script = faults.read() if faults else ""
    settings = SimulationSettings(
        seed=seed,
        paced=not unpaced,
        script=script,
        stage_baud=baud,
        acquisition_baud=acquisition_baud,
        stage_turnaround_us=stage_turnaround_us,
        stage_jitter_us=stage_jitter_us,
        stage_tick_us=stage_tick_us,
        stage_echoes=stage_echoes,
        tick_us=tick_us,
        boot_ms=boot_ms,
        lag_s=lag_s,
        noise_v=noise_v,
        has_object=not no_object,
    )
    server = bench_server(load_bench(bench), settings, truth=truth, links=links)
    ports = {
        "stage": str(server.stage_path),
        "acquisition": str(server.acquisition_path),
    }
    if child:
        end_with_parent(sys.stdin.buffer)
        print(json.dumps(ports), flush=True)
    else:
        for name, path in ports.items():
            click.echo(f"{name}: {path}")
        click.echo("Press Ctrl-C to end the bench.")
    # SIGTERM ends the bench as Ctrl-C does: the truth is written to its end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run()
    except KeyboardInterrupt:
        return
