"""``aefi study``: each command is one call of the study service."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aefi_bluesky.cli.options import bench_option, tiled_option
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
        help="Data folder with the studies; that of 'aefi shell' by default.",
    )
    return option(command)


def _of_study(command: _Command) -> _Command:
    return click.argument("study_id", metavar="STUDY")(_in_folder(command))


_ROLES = [role.value for role in ScanRole]

_cause = click.option("--cause", required=True, help="Reason, in one sentence.")


@click.group()
def study() -> None:
    """Plan a study of an object, fly its scans and close it, without IPython."""


# -- look ------------------------------------------------------------------------------


@study.command("list")
@_in_folder
def list_studies(folder: Path) -> None:
    """List the studies, oldest first.

    If a study can't be read, the others are listed all the same, and the exit status
    is 1.
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
    """Print the scan that 'run' would fly, or the rule that forbids a scan."""
    scan = store.planning(folder).next_scan(StudyId(study_id))
    click.echo(tables.scan_line(scan))


# -- plan ------------------------------------------------------------------------------


@study.command()
@_of_study
@click.option(
    "--object", "reference", required=True, help="Name or number of the object."
)
@click.option(
    "--operator",
    default=user_name,
    help="Name of the person who measures; by default your user name.",
)
@click.option(
    "--size",
    type=(float, float, float),
    metavar="X Y Z",
    help="Size of the object along x, y and z, in mm.",
)
@click.option(
    "--depth",
    type=float,
    metavar="MM",
    help="Distance from the surface of the medium down to the object's top, in mm.",
)
@click.option(
    "--medium",
    default="",
    help="Medium that the object lies in, for example 'dry sand'.",
)
@click.option(
    "--lift-off",
    type=float,
    metavar="MM",
    help="Distance from the surface of the medium up to the sensor, in mm.",
)
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
@bench_option("aefi")
def configure(study_id: str, folder: Path, bench: str) -> None:
    """Make a bench the snapshot of STUDY: its scans are flown on no other bench."""
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
    help="Scan that must be completed before this one; may be given several times.",
)
@click.option(
    "--reference",
    metavar="SCAN",
    help="Reference scan that this scan is compared with.",
)
def add_scan(
    study_id: str,
    folder: Path,
    scan_id: str,
    spec: Path,
    role: str,
    prerequisites: tuple[str, ...],
    reference: str | None,
) -> None:
    """Plan SCAN in STUDY. The JSON file SPEC describes it; - is standard input."""
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
    """Cancel SCAN of STUDY, which must not have started yet."""
    store.planning(folder).cancel_scan(StudyId(study_id), ScanId(scan_id), cause)
    click.echo(f"scan {scan_id} of study {study_id} cancelled")


# -- fly -------------------------------------------------------------------------------


@study.command()
@_of_study
@click.option("--all", "every", is_flag=True, help="Fly all pending scans, in order.")
@bench_options
@tiled_option
def run(
    study_id: str,
    folder: Path,
    every: bool,
    kind: str | None,
    no_object: bool,
    bench: str | None,
    tiled_uri: str | None,
) -> None:
    """Fly the next scan of STUDY; Ctrl-C stops it.

    The scan is flown on the real bench, unless --sim or --virtual is given. With --all
    the command ends at the first scan that does not complete. The exit status is 0
    only if every scan that was flown is completed.
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
    """Mark the scan of STUDY as failed whose program died while it was running."""
    lost = store.planning(folder).recover(StudyId(study_id))
    if lost is None:
        click.echo("Nothing to recover.")
    else:
        click.echo(f"scan {lost.id} failed: {lost.cause}")


# -- close -----------------------------------------------------------------------------


@study.command()
@_of_study
def complete(study_id: str, folder: Path) -> None:
    """Close STUDY; all its scans must have ended."""
    store.planning(folder).complete_study(StudyId(study_id))
    click.echo(f"study {study_id} completed")


@study.command()
@_of_study
@_cause
def abort(study_id: str, folder: Path, cause: str) -> None:
    """Give STUDY up, and cancel its pending scans."""
    store.planning(folder).abort_study(StudyId(study_id), cause)
    click.echo(f"study {study_id} aborted")


@study.command()
@_of_study
def archive(study_id: str, folder: Path) -> None:
    """Archive STUDY: after that, nothing in it can be changed."""
    store.planning(folder).archive_study(StudyId(study_id))
    click.echo(f"study {study_id} archived")
