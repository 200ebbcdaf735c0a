from __future__ import annotations

import enum
import json
import math

import numpy as np
import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.runs.journal import RunJournal, journal_documents
from aefi_bluesky.storage.runs.plain_documents import json_line, plain
from aefi_bluesky.storage.runs.sorting import RunSorter, SortedDocument, merged


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.arange(3), [0, 1, 2]),
        (np.array([np.int8(1), "b"], dtype=object), [1, "b"]),
        ((1, {2}), [1, [2]]),
        ({np.int64(1): {"a": np.zeros(1)}}, {"1": {"a": [0.0]}}),
    ],
)
def test_numpy_becomes_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    json.dumps(found)


def test_what_json_cannot_say_is_written_as_its_repr():
    line = json_line("start", {"colour": Colour.RED, "z": 1j, "nan": np.nan})
    found = json.loads(line)["doc"]
    assert found["colour"] == "<Colour.RED: 1>"
    assert found["z"] == "1j"
    assert math.isnan(found["nan"])
    assert line.count("\n") == 1


def test_a_journal_is_kept_under_its_lasting_name_and_grows_on(tmp_path):
    journal = RunJournal(tmp_path / "new", "uid/1")
    journal.append("start", {"a": 1})
    assert journal.path.name == "uid_1.jsonl.part"
    assert journal.keep().name == "uid_1.jsonl"
    journal.append("stop", {"b": np.int64(2)})
    assert journal.keep() == journal.path
    journal.close()
    assert list(journal_documents(journal.path)) == [
        ("start", {"a": 1}),
        ("stop", {"b": 2}),
    ]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["uid_1.jsonl"]


def test_a_kept_journal_is_never_overwritten(tmp_path):
    for text in ("first", "second"):
        journal = RunJournal(tmp_path, "uid")
        journal.append("start", {"text": text})
        journal.keep()
        journal.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "uid.2.jsonl",
        "uid.jsonl",
    ]


def test_a_discarded_journal_is_gone(tmp_path):
    journal = RunJournal(tmp_path, "uid")
    journal.append("start", {})
    journal.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_cut_short_is_left_out_and_another_one_named(tmp_path):
    path = tmp_path / "uid.jsonl.part"
    path.write_text(json_line("start", {}) + '{"name": "descr')
    assert [name for name, _ in journal_documents(path)] == ["start"]
    path.write_text("{}\n" + json_line("start", {}))
    with pytest.raises(StorageError, match=r"line 1 of .*part is no document"):
        list(journal_documents(path))
    with pytest.raises(StorageError, match="cannot be read"):
        list(journal_documents(tmp_path / "absent"))


def test_documents_of_interleaved_runs_are_told_apart():
    sorter = RunSorter()
    documents = [
        ("start", {"uid": "A"}, "A"),
        ("start", {"uid": "B"}, "B"),
        ("descriptor", {"uid": "dA", "run_start": "A"}, "A"),
        ("descriptor", {"uid": "dB", "run_start": "B"}, "B"),
        ("event", {"uid": "e", "descriptor": "dA"}, "A"),
        ("event_page", {"uid": ["e"], "descriptor": "dB"}, "B"),
        ("stream_resource", {"uid": "r", "run_start": "A"}, "A"),
        ("stream_datum", {"uid": "s", "descriptor": "dA"}, "A"),
        ("resource", {"uid": "old", "run_start": "A"}, "A"),
        ("datum", {"datum_id": "old/0", "resource": "old"}, "A"),
        ("datum", {"datum_id": "x/0", "resource": "unknown"}, "B"),
        ("stop", {"uid": "s", "run_start": "A"}, "A"),
    ]
    assert [sorter.run_of(name, doc) for name, doc, _ in documents] == [
        run for *_, run in documents
    ]
    sorter.forget("A")
    assert sorter.run_of("event", {"uid": "e", "descriptor": "dB"}) == "B"


def test_a_document_before_any_run_has_no_run():
    assert RunSorter().run_of("event", {"uid": "e", "descriptor": "d"}) == ""


def datum(resource, start, stop, seq_start=None):
    first = start + 1 if seq_start is None else seq_start
    return SortedDocument(
        "run",
        "stream_datum",
        {
            "uid": f"{resource}/{start}",
            "stream_resource": resource,
            "descriptor": "d",
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": first, "stop": first + stop - start},
        },
    )


def test_adjoining_ranges_of_a_resource_become_one():
    page = SortedDocument("run", "event_page", {})
    first = (datum("x", 0, 5), datum("y", 0, 5))
    second = (datum("x", 5, 9), datum("y", 5, 9), datum("x", 20, 21))
    found = list(merged([*first, page, *second]))
    assert [item.count for item in found] == [2, 2, 1, 1]
    assert found[0].document["indices"] == {"start": 0, "stop": 9}
    assert found[0].document["seq_nums"] == {"start": 1, "stop": 10}
    assert found[0].document["uid"] == "x/5"
    assert found[2] is page


def test_ranges_with_a_gap_in_sequence_numbers_stay_apart():
    found = list(merged([datum("x", 0, 5), datum("x", 5, 9, seq_start=100)]))
    assert [item.count for item in found] == [1, 1]
