"""Values are what their data keys declare, or the data keys are made wider."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aefi_bluesky.storage.runs.declared_types import ColumnTooNarrowError, DeclaredTypes


def descriptor(uid="d", stream="primary", **dtypes):
    keys = {
        key: dtype if isinstance(dtype, dict) else {"dtype": dtype, "shape": []}
        for key, dtype in dtypes.items()
    }
    return "descriptor", {"uid": uid, "name": stream, "data_keys": keys}


def event(uid="d", at=1.0, **data):
    times = dict.fromkeys(data, at)
    return (
        "event",
        {"descriptor": uid, "time": at, "data": data, "timestamps": times},
    )


def settled(documents, types=None):
    """Return the documents as they are sent in the end, and how often they were."""
    types = types or DeclaredTypes()
    for tries in range(1, 20):
        try:
            return [types.fitted(*each) for each in documents], tries
        except ColumnTooNarrowError:
            continue
    raise AssertionError("it never fits")


def column(sent, key):
    return [doc["data"][key] for doc in sent if "data" in doc]


@pytest.mark.parametrize(
    ("dtype", "values", "stored", "kind"),
    [
        ("number", [0, 0.5], [0.0, 0.5], "number"),
        ("number", [True, None], [1.0, math.nan], "number"),
        ("integer", [0, 3.0], [0, 3], "integer"),
        ("integer", [0, 0.5], [0.0, 0.5], "number"),
        ("integer", [2**53 + 1, 1], [2**53 + 1, 1], "integer"),
        ("integer", [1, None], [1.0, math.nan], "number"),
        ("integer", [-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1], "integer"),
        ("integer", [1, 2**64], [1.0, 2.0**64], "number"),
        ("boolean", [True, 0], [True, False], "boolean"),
        ("boolean", [True, 2], [1, 2], "integer"),
        ("string", ["a", 1, None], ["a", "1", None], "string"),
        ("number", [0.5, "closed"], ["0.5", "closed"], "string"),
    ],
)
def test_a_column_holds_all_its_values(dtype, values, stored, kind):
    sent, _ = settled([descriptor(a=dtype), *(event(a=value) for value in values)])
    assert sent[0]["data_keys"]["a"]["dtype"] == kind
    found = column(sent, "a")
    assert [type(each) for each in found] == [type(each) for each in stored]
    assert repr(found) == repr(stored)


def test_a_value_that_fits_leaves_its_data_key_as_it_was():
    key = {"dtype": "integer", "dtype_numpy": "<u2", "shape": [], "units": "counts"}
    sent, tries = settled([descriptor(a=key), event(a=7)])
    assert (sent[0]["data_keys"]["a"], tries) == (key, 1)


def test_a_missing_number_in_an_array_needs_no_wider_key():
    key = {"dtype": "array", "dtype_numpy": "<f4", "shape": [2]}
    sent, tries = settled([descriptor(a=key), event(a=[math.nan, 0.5])])
    assert tries == 1
    assert sent[0]["data_keys"]["a"] == key


def test_a_wider_key_says_so_in_numpy_too_and_it_is_noted():
    types = DeclaredTypes()
    key = {"dtype": "integer", "dtype_numpy": "<i8", "shape": [], "units": "mm"}
    sent, tries = settled([descriptor(a=key), event(a=0), event(a=0.5)], types)
    assert sent[0]["data_keys"]["a"] == {
        **key,
        "dtype": "number",
        "dtype_numpy": "<f8",
    }
    assert tries == 2
    assert types.notes == [
        "data key 'a' of stream 'primary' is stored as number: the value 0.5 does not "
        "fit what was declared"
    ]


def test_descriptors_of_one_stream_share_their_columns():
    documents = [
        descriptor("one", a="integer"),
        event("one", a=610),
        descriptor("two", a="number"),
        event("two", a=610.5),
        descriptor("three", a="integer"),
        event("three", a=611),
        descriptor("other", stream="baseline", a="integer"),
        event("other", a=5),
    ]
    sent, tries = settled(documents)
    assert tries == 2
    assert [doc["data_keys"]["a"]["dtype"] for doc in sent if "name" in doc] == [
        *("number", "number", "number", "integer")
    ]
    assert repr(column(sent, "a")) == repr([610.0, 610.5, 611.0, 5])


def test_times_are_floats():
    sent, _ = settled([descriptor(a="number"), event(at=5, a=1)])
    assert repr(sent[1]["time"]) == repr(sent[1]["timestamps"]["a"]) == "5.0"


def test_pages_are_fitted_as_events_are():
    page = {
        "descriptor": "d",
        "time": [1, 2],
        "seq_num": [1, 2],
        "data": {"a": [0, 0.5], "b": [1, 2]},
        "timestamps": {"a": [1, 2], "b": [1, 2.5]},
    }
    sent, _ = settled([descriptor(a="integer", b="integer"), ("event_page", page)])
    assert repr(sent[1]["data"]) == repr({"a": [0.0, 0.5], "b": [1, 2]})
    assert repr(sent[1]["timestamps"]) == repr({"a": [1.0, 2.0], "b": [1.0, 2.5]})


def test_what_is_elsewhere_is_left_alone():
    key = {"dtype": "number", "shape": [], "external": "STREAM:"}
    sent, _ = settled([descriptor(a=key), event(a="datum/0")])
    assert column(sent, "a") == ["datum/0"]
    assert sent[0]["data_keys"]["a"] == key


@pytest.mark.parametrize(
    ("declared", "values", "dtype"),
    [
        ("<i8", [[1, 2], [3, 4.0]], "<i8"),
        ("<i8", [[1, 2], [3, 4.5]], "<f8"),
        ("|u1", [[1, 2], [3, 300]], None),
        ("<f4", [[0.5], [0.1]], "<f8"),
        ("<f8", [[math.nan], [1]], "<f8"),
        ("<U1", [["a"], ["abc"]], "<U4"),
        (None, [[1], [2.5]], None),
        (None, [[1], ["open"]], "<U32"),
        ("<i8", [[1], [[1], [2, 3]]], "<i8"),
    ],
)
def test_arrays_hold_all_their_elements(declared, values, dtype):
    key = {"dtype": "array", "shape": [None]}
    if declared:
        key["dtype_numpy"] = declared
    sent, _ = settled([descriptor(a=key), *(event(a=value) for value in values)])
    found = sent[0]["data_keys"]["a"].get("dtype_numpy")
    if dtype is not None:
        assert found == dtype
    for value, kept in zip(values, column(sent, "a"), strict=True):
        assert kept == value
        if found and np.dtype(found).kind in "iuf" and np.ndim(value[0]) == 0:
            assert np.array_equal(np.array(value, found), value, equal_nan=True)


SINGLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)
)
PYTHON = {"boolean": bool, "integer": int, "number": float, "string": str}


@given(st.sampled_from(sorted(PYTHON)), st.lists(SINGLE, min_size=1))
def test_any_values_end_in_one_type_and_none_is_changed(dtype, values):
    sent, tries = settled([descriptor(a=dtype), *(event(a=value) for value in values)])
    assert tries <= len(PYTHON)
    kind = sent[0]["data_keys"]["a"]["dtype"]
    for value, kept in zip(values, column(sent, "a"), strict=True):
        if value is None:
            assert kept is None or math.isnan(kept)
            continue
        assert type(kept) is PYTHON[kind]
        if kind == "string":
            assert kept == str(value)
        elif isinstance(value, float) and math.isnan(value):
            assert math.isnan(kept)
        elif isinstance(value, int) and kind == "number":
            assert kept == float(value)  # a float is what was declared
        else:
            assert kept == value
        if kind == "integer":
            assert -(2**63) <= kept < 2**63
