"""``aefi study``: each command is one call of the study service."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aefi_bluesky.cli.session_options import bench_options, require_simulated
from aefi_bluesky.cli.study import store, tables
from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.study import ScanRole, Study
from aefi_bluesky.session.folders import SessionFolders, user_folder
from aefi_bluesky.session.spec_files import read_spec
from aefi_bluesky.storage.local.hold import user_name

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _in_folder(command: _Command) -> _Command:
    option = click.option(
        "--folder",
        envvar="AEFI_FOLDER",
        default=user_folder,
        type=click.Path(path_type=Path),
        help="Data folder that has the studies; that of 'aefi shell' by default.",
    )
    return option(command)


def _of_study(command: _Command) -> _Command:
    return click.argument("study_id", metavar="STUDY")(_in_folder(command))


_ROLES = [role.value for role in ScanRole]

_cause = click.option("--cause", required=True, help="Why, in one sentence.")


@click.group()
def study() -> None:
    """Plan a study of an object, fly its scans and close it, without a prompt."""


# -- look ------------------------------------------------------------------------------


@study.command("list")
@_in_folder
def list_studies(folder: Path) -> None:
    """List the studies, oldest first.

    A study that can't be read does not keep the others from being listed. The exit
    status is 1 then.
    """
    if not store.has_studies(folder):
        click.echo(f"No studies in {folder}.")
        return
    service = store.planning(folder)
    studies: list[Study] = []
    unread: list[AefiError] = []
    for each in service.study_ids():
        try:
            studies.append(service.get_study(each))
        except AefiError as err:
            unread.append(err)
    click.echo(tables.studies_table(studies))
    for error in unread:
        click.echo(f"aefi: {error}", err=True)
    if unread:
        sys.exit(1)


@study.command()
@_of_study
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def show(study_id: str, folder: Path, as_json: bool) -> None:
    """Show STUDY and its scans."""
    shown = store.planning(folder).get_study(StudyId(study_id))
    text = json.dumps(shown.to_plain(), indent=2) if as_json else None
    click.echo(text or tables.study_page(shown))


@study.command("next")
@_of_study
def next_scan(study_id: str, folder: Path) -> None:
    """Print the scan that 'run' would fly, or the rule that forbids one."""
    scan = store.planning(folder).next_scan(StudyId(study_id))
    click.echo(tables.scan_line(scan))


# -- plan ------------------------------------------------------------------------------


@study.command()
@_of_study
@click.option("--object", "reference", required=True, help="Its name or number.")
@click.option("--operator", default=user_name, help="Who measures; you.")
@click.option(
    "--size", type=(float, float, float), metavar="X Y Z", help="Extents, mm."
)
@click.option("--depth", type=float, metavar="MM", help="Surface to its top, mm.")
@click.option("--medium", default="", help="What it lies in.")
@click.option("--lift-off", type=float, metavar="MM", help="Surface to sensor, mm.")
def create(
    study_id: str,
    folder: Path,
    reference: str,
    operator: str,
    size: tuple[float, float, float] | None,
    depth: float | None,
    medium: str,
    lift_off: float | None,
) -> None:
    """Create STUDY of an object; it has no bench and no scans yet."""
    measured = MeasuredObject(reference, size, depth, medium, lift_off)
    service = store.planning(folder, create=True)
    service.create_study(StudyId(study_id), measured, operator)
    click.echo(f"study {study_id} created; 'aefi study configure' gives it a bench")


@study.command()
@_of_study
@click.option("--bench", default="aefi", help="Bench file, or a shipped name.")
def configure(study_id: str, folder: Path, bench: str) -> None:
    """Make a bench the snapshot of STUDY: its scans are flown on no other one."""
    service = store.planning(folder, bench=bench)
    service.configure_study(StudyId(study_id))
    click.echo(f"study {study_id} configured for bench {bench}")


@study.command("add-scan")
@_of_study
@click.argument("scan_id", metavar="SCAN")
@click.argument("spec", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--role", type=click.Choice([role.value for role in ScanRole]), required=True
)
@click.option(
    "--after",
    "prerequisites",
    multiple=True,
    metavar="SCAN",
    help="A scan to be completed first; may come several times.",
)
@click.option("--reference", metavar="SCAN", help="What it is compared with.")
def add_scan(
    study_id: str,
    folder: Path,
    scan_id: str,
    spec: Path,
    role: str,
    prerequisites: tuple[str, ...],
    reference: str | None,
) -> None:
    """Plan SCAN in STUDY, as the JSON file SPEC says; - is standard input."""
    service = store.planning(folder)
    service.add_scan(
        StudyId(study_id),
        ScanId(scan_id),
        read_spec(sys.stdin if str(spec) == "-" else spec),
        ScanRole(role),
        tuple(map(ScanId, prerequisites)),
        reference=None if reference is None else ScanId(reference),
    )
    click.echo(f"scan {scan_id} planned in study {study_id}")


@study.command()
@_of_study
@click.argument("scan_id", metavar="SCAN")
@click.argument("retry_id", metavar="NEW")
def retry(study_id: str, folder: Path, scan_id: str, retry_id: str) -> None:
    """Plan SCAN of STUDY again as NEW, if it failed or was cancelled."""
    store.planning(folder).retry_scan(
        StudyId(study_id), ScanId(scan_id), ScanId(retry_id)
    )
    click.echo(f"scan {retry_id} planned in study {study_id}, a retry of {scan_id}")


@study.command()
@_of_study
@click.argument("scan_id", metavar="SCAN")
@_cause
def cancel(study_id: str, folder: Path, scan_id: str, cause: str) -> None:
    """Give up SCAN of STUDY, which was not started."""
    store.planning(folder).cancel_scan(StudyId(study_id), ScanId(scan_id), cause)
    click.echo(f"scan {scan_id} of study {study_id} cancelled")


# -- fly -------------------------------------------------------------------------------


@study.command()
@_of_study
@click.option("--all", "every", is_flag=True, help="All that are left, in order.")
@bench_options
@click.option(
    "--tiled",
    "tiled_uri",
    envvar="AEFI_TILED_URI",
    help="A Tiled server that runs already; its key is in TILED_API_KEY.",
)
def run(
    study_id: str,
    folder: Path,
    every: bool,
    kind: str | None,
    no_object: bool,
    bench: str | None,
    tiled_uri: str | None,
) -> None:
    """Fly the next scan of STUDY, on the real bench unless told; Ctrl-C stops it.

    With --all it ends at the first scan that does not complete. The exit status is 0
    only if all that was flown is completed.
    """
    require_simulated(kind, no_object=no_object)
    # Refused here, nothing has to be started first.
    service = store.planning(folder)
    with SessionFolders(folder.absolute()).held():
        service.next_scan(StudyId(study_id))
    # Here, not above: planning needs no Bluesky.
    from aefi_bluesky.cli.study.flying import fly_scans

    status = fly_scans(
        StudyId(study_id),
        folder=folder,
        kind=kind or "real",
        has_object=not no_object,
        bench=bench,
        tiled_uri=tiled_uri,
        every=every,
    )
    sys.exit(status)


@study.command()
@_of_study
def recover(study_id: str, folder: Path) -> None:
    """Fail the scan of STUDY that runs though no session flies it any more."""
    lost = store.planning(folder).recover(StudyId(study_id))
    if lost is None:
        click.echo("Nothing to recover.")
    else:
        click.echo(f"scan {lost.id} failed: {lost.cause}")


# -- close -----------------------------------------------------------------------------


@study.command()
@_of_study
def complete(study_id: str, folder: Path) -> None:
    """Close STUDY, whose scans have all ended."""
    store.planning(folder).complete_study(StudyId(study_id))
    click.echo(f"study {study_id} completed")


@study.command()
@_of_study
@_cause
def abort(study_id: str, folder: Path, cause: str) -> None:
    """Give STUDY up, and cancel what is pending."""
    store.planning(folder).abort_study(StudyId(study_id), cause)
    click.echo(f"study {study_id} aborted")


@study.command()
@_of_study
def archive(study_id: str, folder: Path) -> None:
    """Close STUDY for good: nothing of it can be changed any more."""
    store.planning(folder).archive_study(StudyId(study_id))
    click.echo(f"study {study_id} archived")
