"""``aefi plan``: plans a scan, or says why it is not possible; nothing moves."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from aefi_bluesky.cli.options import bench_option
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.report import FeasibilityReport, Violation
from aefi_bluesky.domain.feasibility.speed_advisor import ReadingNoise, cost_of_speed
from aefi_bluesky.domain.flight.geometry import approach_mm
from aefi_bluesky.domain.flight.load import HostLimits, flight_load
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import kind_of
from aefi_bluesky.domain.spec.step_spec import StepSpec
from aefi_bluesky.domain.step.planning import StepPlan, plan_steps
from aefi_bluesky.session.calibrations import measured_bench
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import SessionFolders, user_folder
from aefi_bluesky.session.spec_files import read_spec


@click.command()
@click.argument("spec", type=click.Path(path_type=Path, allow_dash=True))
@bench_option("simulated")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--from",
    "rests_at",
    type=(float, float),
    metavar="X Y",
    help="Position of the stage before the scan, in mm: makes the duration more exact.",
)
@click.option(
    "--noise",
    type=float,
    metavar="V",
    help="Noise of a reading of ten conversions, in V: prints the noise of a frame.",
)
@click.option(
    "--memory",
    type=float,
    metavar="MB",
    help="Memory that the documents of the flight may take, in MB.",
)
@click.option(
    "--stall",
    type=float,
    metavar="S",
    help="How long the program that takes the data may stall without a loss, in s.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    envvar="AEFI_FOLDER",
    help="Data folder with the calibration; by default that of 'aefi shell'.",
)
def plan(
    spec: Path,
    bench: str,
    folder: Path | None,
    as_json: bool,
    rests_at: tuple[float, float] | None,
    noise: float | None,
    memory: float | None,
    stall: float | None,
) -> None:
    """Plan the scan in the JSON file SPEC, or say why it can't be done.

    Nothing moves. SPEC may be - for standard input. The exit status is 1 if the scan
    can't be done.
    """
    scan = read_spec(sys.stdin if str(spec) == "-" else spec)
    configuration, host = load_bench(bench), _host(memory, stall)
    folders = SessionFolders((folder or user_folder()).absolute())
    description = measured_bench(configuration, folders)
    of_reading = None if noise is None else ReadingNoise((noise,))
    if isinstance(scan, FlyScanSpec):
        planned = plan_flight(scan, description, host=host, rests_at=rests_at)
    else:
        _require_flight_options_unused(scan, noise, memory, stall)
        planned = plan_steps(scan, description, rests_at=rests_at)
    if isinstance(planned, FeasibilityReport):
        done = "fly" if isinstance(scan, FlyScanSpec) else "be measured"
        click.echo(_refusal(planned, done, as_json=as_json))
        sys.exit(1)
    if isinstance(planned, StepPlan):
        facts, table = _step_facts(planned, description), _step_table
    else:
        facts, table = _facts(planned, description), _table
        if of_reading is not None:
            cost = cost_of_speed(planned.spec, description, of_reading)
            facts |= {"frame_noise_v": cost.noise_v[0], "blur_mm": cost.blur_mm}
    click.echo(json.dumps(facts, indent=2) if as_json else table(facts))


def _require_flight_options_unused(scan: StepSpec, *options: float | None) -> None:
    if any(option is not None for option in options):
        raise click.UsageError(
            f"--noise, --memory and --stall are only for flights, the kind of the spec "
            f"was {kind_of(scan).value!r}"
        )


def _host(memory_mb: float | None, stall_s: float | None) -> HostLimits:
    usual = HostLimits()
    return HostLimits(
        usual.memory_bytes if memory_mb is None else memory_mb * 1e6,
        usual.stall_s if stall_s is None else stall_s,
    )


def _step_facts(planned: StepPlan, bench: BenchDescription) -> dict[str, Any]:
    return {
        "feasible": True,
        "bench": bench.name,
        "kind": kind_of(planned.spec).value,
        "measurements": planned.n_measurements,
        "duration_s": planned.duration_s,
        "duration_error_s": planned.duration_error_s,
    }


def _step_table(facts: dict[str, Any]) -> str:
    return _aligned(
        {
            "kind": facts["kind"],
            "measurements": str(facts["measurements"]),
            "duration": _duration(facts),
        }
    )


def _facts(planned: FlightPlan, bench: BenchDescription) -> dict[str, Any]:
    return {
        "feasible": True,
        "bench": bench.name,
        "kind": kind_of(planned.spec).value,
        "differential": planned.spec.differential,
        "lines": len(planned.lines),
        "frames": planned.n_frames,
        "speed_mm_per_s": planned.speed_mm_per_s,
        "run_up_mm": approach_mm(planned.spec, bench),
        "duration_s": planned.duration_s,
        "duration_error_s": planned.duration_error_s,
        **asdict(flight_load(planned.spec, bench)),
        "digest": planned.digest,
    }


def _table(facts: dict[str, Any]) -> str:
    muted = ", every second one muted" if facts["differential"] else ""
    rows = {
        "lines": f"{facts['lines']}, at {facts['speed_mm_per_s']:g} mm/s{muted}",
        "frames": f"{facts['frames']}",
        "run-up": f"{facts['run_up_mm']:.2f} mm, and as much run-down",
        "duration": _duration(facts),
        "readings": f"{facts['readings_per_frame']:.2f} a frame, "
        f"{facts['readings']} in all at most",
        "fixes": f"{facts['fixes_per_frame']:.1f} a frame, "
        f"{facts['fixes']} in all at most",
        "memory": f"{facts['memory_bytes'] / 1e6:.1f} MB of documents; "
        f"{facts['file_bytes'] / 1e6:.1f} MB of samples in a file",
        "stall": f"{facts['bearable_stall_s']:.0f} s without a reader before "
        "anything is lost",
    }
    if "frame_noise_v" in facts:
        rows["noise"] = (
            f"{facts['frame_noise_v'] * 1e6:.3g} uV a frame, readings blurred over "
            f"{facts['blur_mm']:.3g} mm"
        )
    return _aligned(rows)


def _duration(facts: dict[str, Any]) -> str:
    minutes, seconds = divmod(round(facts["duration_s"]), 60)
    return (
        f"{facts['duration_s']:.1f} s ± {facts['duration_error_s']:.1f} s "
        f"({minutes} min {seconds} s)"
    )


def _aligned(rows: dict[str, str]) -> str:
    return "\n".join(f"{name:<16}{value}" for name, value in rows.items())


def _refusal(report: FeasibilityReport, done: str, *, as_json: bool) -> str:
    if not as_json:
        return f"This scan can't {done}:\n{report}"
    violations = [_plain(violation) for violation in report.violations]
    return json.dumps({"feasible": False, "violations": violations}, indent=2)


def _plain(violation: Violation) -> dict[str, Any]:
    """Return a violation as plain JSON values; its change too, if there is one."""
    change = violation.nearest
    return {
        "rule": violation.rule,
        # What has no number is no JSON number either.
        "found": None if math.isnan(violation.found) else violation.found,
        "limit": None if math.isnan(violation.limit) else violation.limit,
        "unit": violation.unit,
        "guard": violation.guard,
        "fails_for_certain": violation.fails_for_certain,
        "message": violation.message,
        "suggestion": violation.suggestion,
        "change": None
        if isinstance(change, str)
        else {
            "parameter": change.parameter,
            "value": change.value,
            "unit": change.unit,
        },
    }
