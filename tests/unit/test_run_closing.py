"""A run whose process died gets an end that says so, and its rows are counted."""

import json

import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.runs.closing import (
    LOST_END,
    PROCESS_DIED,
    abandoned_journals,
    close_journal,
    rows_told,
    run_uid,
)
from aefi_bluesky.storage.runs.journal import journal_documents

START = ("start", {"uid": "run", "time": 1.0})
PRIMARY = ("descriptor", {"uid": "p", "name": "primary"})
SAMPLES = ("descriptor", {"uid": "s", "name": "readings"})
EMPTY = ("descriptor", {"uid": "e", "name": "empty"})
DOCUMENTS = [
    START,
    PRIMARY,
    SAMPLES,
    EMPTY,
    ("event", {"descriptor": "p", "seq_num": 1}),
    ("event_page", {"descriptor": "p", "seq_num": [2, 3]}),
    ("event", {"descriptor": "unknown", "seq_num": 1}),
    ("stream_datum", {"descriptor": "s", "indices": {"start": 0, "stop": 4}}),
    ("stream_datum", {"descriptor": "s", "indices": {"start": 4, "stop": 9}}),
    ("stream_datum", {"descriptor": "s", "indices": {"start": 0, "stop": 4}}),
]


def test_rows_are_counted_by_stream():
    assert rows_told(DOCUMENTS) == {"primary": 3, "readings": 9, "empty": 0}
    assert rows_told([]) == {}


@pytest.mark.parametrize(
    "documents",
    [
        [],
        [PRIMARY, START],
        [("start", {"time": 1.0})],
        [("begin", {"uid": "run"})],
        [("zzz", {"uid": "run"})],
    ],
)
def test_what_begins_with_no_run_is_none(tmp_path, documents):
    with pytest.raises(StorageError, match="does not begin with a start document"):
        run_uid(tmp_path / "a.jsonl", documents)


def test_a_run_is_that_of_its_first_document(tmp_path):
    assert run_uid(tmp_path / "a.jsonl", DOCUMENTS) == "run"
    assert run_uid(tmp_path / "a.jsonl", [START, ("start", {"uid": "b"})]) == "run"


def journal(path, documents):
    lines = (json.dumps({"name": name, "doc": doc}) for name, doc in documents)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("suffix", "cause"), [(".jsonl.part", PROCESS_DIED), (".jsonl", LOST_END)]
)
def test_a_run_without_an_end_gets_one_that_says_why(tmp_path, suffix, cause):
    path = journal(tmp_path / f"run{suffix}", DOCUMENTS)
    uid, kept = close_journal(path)
    *before, (name, stop) = journal_documents(kept)
    assert (uid, kept) == ("run", tmp_path / "run.jsonl")
    assert before == DOCUMENTS
    assert (name, stop["exit_status"], stop["run_start"]) == ("stop", "fail", "run")
    assert json.loads(stop["reason"]) == {"cause": cause}
    assert stop["num_events"] == {"primary": 3, "readings": 9, "empty": 0}
    assert [each.name for each in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_journal_that_ends_in_samples_has_no_end(tmp_path):
    path = journal(tmp_path / "run.jsonl", DOCUMENTS)
    journal(tmp_path / "whole.jsonl", [*DOCUMENTS, ("stop", {"run_start": "run"})])
    assert abandoned_journals(tmp_path) == [path]


def test_a_run_with_an_end_is_neither_completed_nor_ended_again(tmp_path):
    whole = [*DOCUMENTS, ("stop", {"uid": "e", "run_start": "run"})]
    path = journal(tmp_path / "run.jsonl.part", whole)

    def never(_documents):
        raise AssertionError("it has an end")

    _, kept = close_journal(path, never)
    assert list(journal_documents(kept)) == whole
