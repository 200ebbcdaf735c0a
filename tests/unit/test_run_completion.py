"""What a dead run lacks is completed; what it has stays as it is."""

import json
import math

import numpy as np
import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.session import recovery
from aefi_bluesky.session.recovery import RecoveredSpool
from aefi_bluesky.storage.runs.closing import abandoned_journals
from aefi_bluesky.storage.runs.completion import (
    EventRows,
    RecoveredRun,
    SampleRows,
    completed,
)
from aefi_bluesky.storage.runs.sample_file import RunFile

KEYS = {name: {"source": "t", "dtype": "number", "shape": []} for name in ("n", "v")}
START = ("start", {"uid": "run", "time": 1.0})
DESCRIPTOR = ("descriptor", {"uid": "d", "run_start": "run", "name": "primary"})


def page(*rows):
    data = {"n": [n for n, _ in rows], "v": [v for _, v in rows]}
    numbers = list(range(1, len(rows) + 1))
    return "event_page", {"descriptor": "d", "data": data, "seq_num": numbers}


def run_with(*rows):
    pages = [(2.0, [{"n": n, "v": v} for n, v in rows])]
    return RecoveredRun("flyer", {"primary": EventRows(KEYS, ("n",), pages)})


@pytest.mark.parametrize("value", [0.5, math.nan, math.inf, -0.0, 2**60, "ok"])
def test_rows_that_both_have_add_nothing(value):
    documents = [START, DESCRIPTOR, page((1.0, value))]
    # Equal, and not the same object: the spool is read from a file.
    spooled = json.loads(json.dumps(value))
    assert completed(documents, run_with((1.0, spooled))) == documents


@pytest.mark.parametrize(
    ("had", "spooled"),
    [
        *((0.5, 0.25), (math.nan, 0.5), (0.5, math.nan), (0.0, -0.0), (1.0, math.inf)),
        *((2**60, 2**60 + 1), ("ok", "late")),
    ],
)
def test_rows_that_differ_in_a_bit_are_not_completed(had, spooled):
    documents = [START, DESCRIPTOR, page((1.0, had))]
    with pytest.raises(
        StorageError, match=r"documents and spool differ at \{'n': 1\.0\}"
    ):
        completed(documents, run_with((1.0, spooled)))


def test_rows_that_documents_lack_are_added():
    documents = [START, DESCRIPTOR, page((1.0, 0.5))]
    lacking = (2.0, 0.25), (3.0, 0.125)
    *before, (name, added) = completed(documents, run_with((1.0, 0.5), *lacking))
    assert before == documents
    assert name == "event_page"
    assert added["data"] == {"n": [2.0, 3.0], "v": [0.25, 0.125]}
    assert added["seq_num"] == [2, 3]
    assert (added["descriptor"], added["time"]) == ("d", [2.0, 2.0])


def test_a_stream_that_was_never_described_gets_a_descriptor():
    _, (name, descriptor), (_, added) = completed([START], run_with((1.0, 0.5)))
    assert name == "descriptor"
    assert descriptor["run_start"] == "run"
    assert descriptor["name"] == "primary"
    assert descriptor["data_keys"]["v"]["object_name"] == "flyer"
    assert added["descriptor"] == descriptor["uid"]
    assert added["seq_num"] == [1]


@pytest.fixture
def file(tmp_path):
    columns = {"readings": {"v": np.dtype("<f8")}}
    with RunFile.create(tmp_path, "recovered", columns, {}) as made:
        made.append("readings", {"v": np.arange(3.0)})
    return tmp_path / "recovered.h5"


def with_samples(file, told):
    """Documents that tell of so many samples of a run's own file, and its spool's."""
    resource = {"uid": "r", "data_key": "v", "uri": "file://localhost/own.h5"}
    datum = {
        "uid": "r/0",
        "descriptor": "s",
        "stream_resource": "r",
        "indices": {"start": 0, "stop": told},
        "seq_nums": {"start": 1, "stop": told + 1},
    }
    documents = [
        START,
        ("descriptor", {"uid": "s", "run_start": "run", "name": "readings"}),
        ("stream_resource", resource),
        ("stream_datum", datum),
    ]
    keys = {"v": {"source": "t", "dtype": "number", "shape": [], "external": "STREAM:"}}
    samples = SampleRows(keys, file, {"v": np.arange(3.0)})
    return documents, RecoveredRun("flyer", samples={"readings": samples})


@pytest.mark.parametrize("told", [3, 4])
def test_a_file_with_no_more_samples_takes_no_place(file, told):
    documents, run = with_samples(file, told)
    assert completed(documents, run) == documents


def test_a_file_with_more_samples_takes_the_place_of_the_runs_own(file):
    documents, run = with_samples(file, 2)
    found = completed(documents, run)
    uris = [doc["uri"] for name, doc in found if name == "stream_resource"]
    assert len(uris) == 1
    assert uris[0].endswith("recovered.h5")
    (datum,) = (doc for name, doc in found if name == "stream_datum")
    assert datum["indices"] == {"start": 0, "stop": 3}
    assert datum["seq_nums"] == {"start": 1, "stop": 4}
    assert datum["descriptor"] == "s"


def test_two_spools_of_a_run_are_not_taken_for_one(tmp_path):
    spools = [
        RecoveredSpool(
            tmp_path / name, {"run": {"uid": "run"}}, tmp_path / f"{name}.h5"
        )
        for name in ("a.spool", "b.spool")
    ]
    completion = recovery._Completion(spools)
    documents = [START, DESCRIPTOR]
    assert completion(documents) == documents
    assert completion.failed
    assert "2 spools of this run" in completion.remark


def test_a_run_without_a_spool_is_no_failure(tmp_path):
    completion = recovery._Completion([])
    assert completion([START]) == [START]
    assert not completion.failed


def test_a_journal_that_cannot_be_read_has_no_end(tmp_path):
    unreadable = tmp_path / "run.jsonl"
    unreadable.write_bytes(b"\xff\n")
    ended = tmp_path / "ended.jsonl"
    ended.write_text('{"name": "start", "doc": {}}\n{"name": "stop", "doc": {}}\n')
    assert abandoned_journals(tmp_path) == [unreadable]
