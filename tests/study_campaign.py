"""A campaign in a process of its own, to be killed: ``python study_campaign.py``.

``every FOLDER`` runs it once for each point at which it may be killed, and kills it
there; ``flying FILE`` stays in its first flight.
"""

import itertools
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.builders import a_bench, a_spec, an_object
from aefi_bluesky.testing.fakes import FakeScanPort, RecordingObserver

STUDY = "study"


class TellingObserver(RecordingObserver):
    """Calls `tell` after each line."""

    def __init__(self, tell):
        super().__init__()
        self.tell = tell

    def lines_ended(self, lines):
        self.tell()


def steps(service, observer):
    """Yield the steps of a whole campaign, to be called in order."""
    yield lambda: service.create_study(STUDY, an_object(), "an operator")
    yield lambda: service.configure_study(STUDY)
    yield lambda: service.add_scan(STUDY, "r", a_spec(), ScanRole.REFERENCE)
    yield lambda: service.add_scan(STUDY, "o", a_spec(), ScanRole.OBJECT, reference="r")
    yield lambda: service.execute_next_scan(STUDY, observer)
    yield lambda: service.execute_next_scan(STUDY, observer)
    yield lambda: service.complete_study(STUDY)
    yield lambda: service.archive_study(STUDY)


def run(service, tell=lambda: None):
    """Run the campaign; `tell` is called between its steps and in its flights."""
    for step in steps(service, TellingObserver(tell)):
        step()
        tell()


def kill_after(points):
    """Return a function that kills this process when it was called so often."""
    left = itertools.count(points, -1)

    def point(*_):
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return point


def run_until_killed(path, points):
    """Run the campaign and be killed before a statement, or between two steps."""
    point, connect = kill_after(points), sqlite3.connect

    def traced(*args, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(point)
        return connection

    sqlite3.connect = traced
    run(StudyService(SqliteStudyRepository(path), FakeScanPort(), a_bench()), point)


def run_for_every_point(folder):
    for points in itertools.count():
        child = os.fork()
        if child == 0:
            run_until_killed(folder / f"{points:04}.sqlite", points)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


def stay_in_flight():
    print("flying", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "every":
        run_for_every_point(where)
    else:
        repository = SqliteStudyRepository(where)
        flown = StudyService(repository, FakeScanPort(), a_bench())
        run(flown, lambda: repository.get(STUDY).active_scan and stay_in_flight())
