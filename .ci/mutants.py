"""Change lines that must not be wrong, and see whether tests notice: ``make mutants``.

Each module of the table is mutated by cosmic-ray in a clone of what is committed, a
sample of its mutants at a time, and the tests beside it are run. What survives is to be
killed by a test, or explained in ``mutants-left.toml``.

    mutants.py [--sample N] [--seed N] [MODULE ...]
"""

import argparse
import random
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "target" / "mutants"
LEFT = ROOT / ".ci" / "mutants-left.toml"

# Where a wrong line hurts most, and the tests that should notice it.
TABLE = {
    "domain/study/study": "unit/test_study_rules.py unit/test_study_machine.py "
    "unit/test_study_format.py contract/test_study_repositories.py",
    "domain/feasibility/flight_rules": "unit/test_domain_feasibility.py "
    "integration/test_guard_bands.py",
    "domain/feasibility/speed_spans": "unit/test_domain_feasibility.py",
    "domain/feasibility/travel_rules": "unit/test_domain_feasibility.py",
    "domain/flight/duration": "unit/test_domain_flight_duration.py",
    "domain/results/uncertainty": "unit/test_map_uncertainty.py unit/test_flyer.py",
    "domain/checks": "unit/test_numbers_at_the_door.py unit/test_domain_scan_spec.py",
    "devices/flyer": "unit/test_flyer.py integration/test_flight_callbacks.py",
    "devices/flight_log": "unit/test_flight_log.py unit/test_flyer.py",
    "devices/excitation_source": "integration/test_bench_devices.py",
    "plans/stubs": "unit/test_fly_lines.py integration/test_composition.py",
    "session/bench_devices": "unit/test_leaving_safe.py",
    "storage/runs/completion": "unit/test_run_completion.py",
    "storage/runs/closing": "unit/test_run_closing.py unit/test_run_completion.py",
    "storage/runs/declared_types": "unit/test_declared_types.py",
}

CONFIGURATION = """
[cosmic-ray]
module-path = "{module}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -p no:xdist {tests}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
# Types are no code: `X | None` becomes nothing else that runs.
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""


def clone() -> Path:
    """Return a clone of what is committed, with the engine that was built here."""
    place = WORK / "clone"
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    for built in (ROOT / "aefi_bluesky" / "engine").glob("_native*"):
        if built.suffix == ".so":
            shutil.copy(built, place / "aefi_bluesky" / "engine")
    return place


def sampled(session: Path, sample: int, seed: int) -> None:
    """Leave a sample of a session's mutants."""
    with sqlite3.connect(session) as store:
        jobs = sorted(row[0] for row in store.execute("SELECT job_id FROM work_items"))
        # Filtered ones have a result already.
        done = {row[0] for row in store.execute("SELECT job_id FROM work_results")}
        open_jobs = [job for job in jobs if job not in done]
        kept = set(random.Random(seed).sample(open_jobs, min(sample, len(open_jobs))))
        for job in set(jobs) - kept:
            for table in ("mutation_specs", "work_results", "work_items"):
                store.execute(f"DELETE FROM {table} WHERE job_id = ?", (job,))


def changed_lines(diff: str) -> list[str]:
    """Return the lines that a mutant has in place of others."""
    return [
        line[1:].strip()
        for line in diff.splitlines()
        if line.startswith("+") and not line.startswith("+++")
    ]


def tried(place: Path, module: str, sample: int, seed: int) -> tuple[int, list[str]]:
    """Return how many mutants of a module were tried, and those that survived."""
    session, configuration = WORK / "session.sqlite", WORK / "cosmic-ray.toml"
    session.unlink(missing_ok=True)
    tests = " ".join(f"tests/{each}" for each in TABLE[module].split())
    path = f"aefi_bluesky/{module}.py"
    text = CONFIGURATION.format(module=path, python=sys.executable, tests=tests)
    configuration.write_text(text)
    programs = Path(sys.executable).parent

    def run(program: str, *arguments: Path) -> None:
        subprocess.run([programs / program, *arguments], cwd=place, check=True)

    run("cosmic-ray", Path("init"), configuration, session)
    run("cr-filter-operators", session, configuration)
    sampled(session, sample, seed)
    run("cosmic-ray", Path("exec"), configuration, session)
    with sqlite3.connect(session) as store:
        rows = list(store.execute("SELECT test_outcome, diff FROM work_results"))
    left = [
        line
        for outcome, diff in rows
        if "SURVIVED" in str(outcome).upper()
        for line in changed_lines(diff)
    ]
    return len(rows), left


def main() -> int:
    """Mutate, and say what survived; 1 if a survivor is not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=20, help="mutants a module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    chosen = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    explained = {
        (entry["module"], entry["line"])
        for entry in tomllib.loads(LEFT.read_text())["left"]
    }
    place, unexplained = clone(), 0
    for module in chosen.modules or TABLE:
        count, left = tried(place, module, chosen.sample, chosen.seed)
        new = [line for line in left if (module, line) not in explained]
        unexplained += len(new)
        print(
            f"{module}: {count} tried, {count - len(left)} killed, {len(left)} left, "
            f"{len(new)} of them not explained",
            flush=True,
        )
        for line in new:
            print(f"    {line}", flush=True)
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
