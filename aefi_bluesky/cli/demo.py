"""``aefi demo``: a map flown on the simulated bench, from study to Tiled."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.cli import report as reporting
from aefi_bluesky.cli.options import tiled_option
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    FlyScanSpec,
    Pattern,
    Zone,
)
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.session import Session
from aefi_bluesky.session.signals import StopOnTermination, ending_signals
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.views.maps import save_maps
from aefi_bluesky.views.progress import FlightProgress
from aefi_bluesky.views.recorder import Recorder

OBJECT_X_MM, OBJECT_Y_MM = 635.0, 610.0
"""Where the simulated object lies, in mm."""

_OBJECT = MeasuredObject("simulated object")

_EXCITATION = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)


def demo_spec(*, standard: bool) -> FlyScanSpec:
    """Return the map of the demo: about 20 s, or the bench's standard map."""
    if standard:
        return FlyScanSpec.standard(OBJECT_X_MM, OBJECT_Y_MM, _EXCITATION)
    return FlyScanSpec(
        zone=Zone.centred(OBJECT_X_MM, OBJECT_Y_MM, 100.0, 60.0),
        n_x=7,
        n_y=13,
        pattern=Pattern.SERPENTINE,
        fast_axis="y",
        speed_mm_per_s=32.7,
        n_avg=10,
        excitation=_EXCITATION,
    )


@click.command()
@click.option(
    "--standard",
    is_flag=True,
    help="Fly the standard map of 81 x 81 frames (about 9 min).",
)
@click.option("--virtual", is_flag=True, help="Fly in virtual time, without waiting.")
@click.option("--seed", default=0, help="Seed of the simulated bench.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the numbers of the table, as JSON.",
)
@click.option(
    "--folder",
    default=Path("aefi-demo"),
    type=click.Path(path_type=Path),
    help="Folder for the data and the picture.",
)
@tiled_option
def demo(
    standard: bool,
    virtual: bool,
    seed: int,
    json_file: Path | None,
    folder: Path,
    tiled_uri: str | None,
) -> None:
    """Fly a map on the simulated bench and show what came out."""
    mpl.use("Agg")
    recorder = Recorder()
    click.echo("Starting the simulated bench and Tiled ...")
    with Session.open(
        kind="virtual" if virtual else "ptys",
        folder=folder,
        simulation=SimulationSettings(seed=seed),
        tiled_uri=tiled_uri,
        tiled_key=os.environ.get("TILED_API_KEY"),
    ) as session:
        spec = demo_spec(standard=standard)
        plan = session.flyer.plan(spec)
        click.echo(
            f"Flying {plan.n_frames} frames in {len(plan.lines)} lines, "
            f"about {plan.duration_s:.0f} s ± {plan.duration_error_s:.0f} s of bench "
            "time; press Ctrl-C to stop."
        )
        flown = _fly(session, spec, recorder)
        outcome = _report(session, recorder, flown)
        _show(session, recorder, outcome, json_file, folder)
        _linger(session, flown["uid"], folder)
    if outcome["exit_status"] != "success" or not outcome["read_back_equal"]:
        sys.exit(130 if flown["signal"] is signal.SIGINT else 1)


def _fly(session: Session, spec: FlyScanSpec, recorder: Recorder) -> dict[str, Any]:
    """Fly the one scan of a study; a signal closes its run with its cause."""
    engine, progress = session.RE, FlightProgress()
    stops: list[Any] = []
    engine.subscribe(lambda _name, doc: stops.append(doc), "stop")
    # bluesky's own type for it is None.
    engine.waiting_hook = progress  # pyright: ignore[reportAttributeAccessIssue]
    # A demo's study ends with it: the next one has the same name.
    service, study = study_service(session, InMemoryStudyRepository()), StudyId("demo")
    service.create_study(study, _OBJECT, "aefi demo")
    service.configure_study(study)
    # One map alone is no object scan: it has no reference to be compared with.
    service.add_scan(study, ScanId("map"), spec, ScanRole.PRE_SCAN)
    before = time.monotonic()
    with StopOnTermination(engine, (signal.SIGINT, *ending_signals())) as interruption:
        try:
            service.execute_next_scan(study, recorder)
        except Exception as err:
            click.echo(f"aefi: {err}", err=True)
    progress.close()
    stop = stops[-1] if stops else {"run_start": "", "exit_status": "not started"}
    return {
        "uid": stop["run_start"],
        "exit_status": stop["exit_status"],
        "reason": stop.get("reason", ""),
        "wall_s": time.monotonic() - before,
        "signal": interruption.received,
    }


def _report(
    session: Session, recorder: Recorder, flown: dict[str, Any]
) -> dict[str, Any]:
    results = recorder.results
    click.echo("Storing the run and reading it back ...")
    stored = session.writer.flush(60.0) and not session.writer.health.using_backup
    differences = ("Tiled does not have the run",)
    if stored and flown["uid"]:
        differences = reporting.read_back(session, recorder, flown["uid"])
    for difference in differences:
        click.echo(f"read back: {difference}", err=True)
    position = reporting.position_report(session, recorder)
    judged = asdict(position) if position else {}
    return {
        "frames": reporting.frame_counts(recorder),
        "rates_hz": reporting.rates_hz(recorder, session.bench),
        "position_um": {
            "rms_error": judged.get("rms_error_um"),
            "median_interval": judged.get("median_interval_um"),
            "inside_fraction": judged.get("inside_fraction"),
        },
        "readings": results.n_readings if results else 0,
        "fixes": results.n_fixes if results else 0,
        "flight_s": results.flight_s if results else 0.0,
        "wall_s": flown["wall_s"],
        "uid": flown["uid"],
        "exit_status": flown["exit_status"],
        "reason": flown["reason"],
        "read_back_equal": not differences,
    }


def _show(
    session: Session,
    recorder: Recorder,
    outcome: dict[str, Any],
    json_file: Path | None,
    folder: Path,
) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    click.echo(f"\n{reporting.table(outcome)}")
    if outcome["reason"]:
        click.echo(f"reason          {outcome['reason']}")
    plan = recorder.plan
    if plan is not None and recorder.results is not None:
        zone = plan.spec.zone
        images = {name: session.flyer.map_of(name) for name in CHANNELS}
        picture = folder / "maps.png"
        extent = (zone.x_min_mm, zone.x_max_mm, zone.y_min_mm, zone.y_max_mm)
        save_maps(picture, images, extent, f"run {outcome['uid'][:8]}")
        click.echo(f"picture         {picture}")
    for backup in session.writer.health.backup_files:
        click.echo(f"backup          {backup}")


def _linger(session: Session, uid: str, folder: Path) -> None:
    """Keep Tiled running while a person looks at the run; a script does not wait."""
    url = session.browse_url(uid) if uid else None
    if url is None:
        return
    click.echo(f"Tiled           {url}")
    if sys.stdin.isatty() and sys.stdout.isatty():
        click.echo("Press Enter (or Ctrl-C) to stop the Tiled server.", nl=False)
        try:
            sys.stdin.readline()
        except KeyboardInterrupt:
            click.echo()
    click.echo(f"The server stops now; 'aefi tiled {folder} {uid}' starts it again.")
