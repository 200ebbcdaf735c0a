"""A mapping in a file: what was set is there for the next session, or is refused."""

import copy
import math

import numpy as np
import pytest

from aefi_bluesky.domain.errors import InvalidMetadataError, StorageError
from aefi_bluesky.storage.local.json_dict import JsonDict


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run-engine.json"


def test_items_outlive_their_mapping(path):
    first = JsonDict(path)
    first["scan_id"] = 7
    first["sample"] = {"name": "ball", "sizes": [1, 2.5, None, True]}
    first["gone"] = 1
    del first["gone"]
    assert dict(JsonDict(path)) == dict(first)
    assert list(JsonDict(path)) == ["scan_id", "sample"]
    assert len(JsonDict(path)) == 2


def test_change_inside_a_value_is_saved_with_the_next_item(path):
    first = JsonDict(path)
    first["sample"] = {"name": "ball"}
    first["sample"]["name"] = "cube"
    assert JsonDict(path)["sample"] == {"name": "ball"}
    first["scan_id"] = 1
    assert JsonDict(path)["sample"] == {"name": "cube"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({1, 2}, r"key 'a' .*was \{1, 2\} of type set"),
        ((1, 2), "key 'a' .*of type tuple"),
        (np.int64(3), "key 'a' .*of type int64"),
        (math.nan, "key 'a' .*a number must be finite, was nan"),
        ({"b": [0, {"c": b"x"}]}, r"key 'a\.b\[1\]\.c' .*of type bytes"),
        ({1: 2}, r"key 'a\.1' .*its key must be text, was 1"),
    ],
)
def test_value_that_json_would_lose_is_refused_by_its_key(path, value, sentence):
    kept = JsonDict(path)
    kept["a"] = "before"
    with pytest.raises(InvalidMetadataError, match=sentence):
        kept["a"] = value
    assert kept["a"] == JsonDict(path)["a"] == "before"


def test_value_spoilt_from_inside_is_refused_before_the_next_run(path):
    kept = JsonDict(path)
    kept["sample"] = {}
    kept["sample"]["size"] = {3}
    with pytest.raises(InvalidMetadataError, match=r"'sample\.size'"):
        kept["scan_id"] = 1
    assert "scan_id" not in kept


def test_copy_writes_nothing(path):
    kept = JsonDict(path)
    kept["sample"] = {"name": "ball"}
    copied = copy.deepcopy(kept)
    copied["sample"]["name"] = "cube"
    copied["scan_id"] = 9
    assert dict(JsonDict(path)) == dict(kept) == {"sample": {"name": "ball"}}


def test_missing_key_is_no_item(path):
    kept = JsonDict(path)
    with pytest.raises(KeyError):
        kept["scan_id"]
    with pytest.raises(KeyError):
        del kept["scan_id"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "is no JSON: .*RE.md"), ("[1]", r"must be a JSON object, was \[1\]")],
)
def test_damaged_file_is_refused_not_begun_anew(path, text, sentence):
    path.write_text(text)
    with pytest.raises(StorageError, match=rf"run-engine\.json {sentence}"):
        JsonDict(path)
    assert path.read_text() == text


def test_file_that_cannot_be_written_keeps_what_was(path):
    kept = JsonDict(path)
    kept["a"] = 1
    path.with_suffix(".unfinished").mkdir()
    with pytest.raises(StorageError, match=r"run-engine\.json cannot be written"):
        kept["a"] = 2
    assert kept["a"] == JsonDict(path)["a"] == 1
