from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from aefi_bluesky.storage.tiled.read_back import differences


class Column:
    def __init__(self, values):
        self.values = values

    def read(self):
        return self.values


class Stream(dict):
    """A stream's client; `base` has the table of events, where there is one."""

    base: ClassVar = {}


def run(**streams):
    return {
        stream: Stream((name, Column(values)) for name, values in columns.items())
        for stream, columns in streams.items()
    }


def compare(found, expected):
    return differences(run(s={"a": found}), {"s": {"a": expected}})


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan, -0.0, np.inf]),
        np.arange(5),
        np.array([], dtype="f8"),
        np.array([True, False]),
        np.array(["ok", "late"]),
        np.zeros((3, 4)),
    ],
)
def test_equal_is_no_difference(values):
    assert compare(values, values.copy()) == ()


def test_text_is_equal_whatever_its_type():
    assert compare(np.array(["a", "bcd"], dtype=object), np.array(["a", "bcd"])) == ()


def test_byte_order_is_no_difference():
    assert compare(np.arange(3, dtype=">i4"), np.arange(3, dtype="<i4")) == ()


@pytest.mark.parametrize(
    ("found", "expected", "sentence"),
    [
        (
            np.array([1.0, 2.0, 3.0]),
            np.array([1.0, np.nextafter(2.0, 3), 3.0]),
            "s/a differs in 1 of 3 values, first at 1: np.float64(2.0) in Tiled, "
            "np.float64(2.0000000000000004) was expected",
        ),
        (
            np.array([0.0]),
            np.array([-0.0]),
            "s/a differs in 1 of 1 values, first at 0: np.float64(0.0) in Tiled, "
            "np.float64(-0.0) was expected",
        ),
        (
            np.array([[1, 2], [3, 4]]),
            np.array([[1, 2], [9, 9]]),
            "s/a differs in 2 of 4 values, first at (1, 0): np.int64(3) in Tiled, "
            "np.int64(9) was expected",
        ),
        (
            np.arange(3),
            np.arange(4),
            "s/a has shape (3,) in Tiled, (4,) was expected",
        ),
        (
            np.zeros(3, "i4"),
            np.zeros(3, "i8"),
            "s/a is int32 in Tiled, int64 was expected",
        ),
        (
            np.array(["a"]),
            np.array(["b"]),
            "s/a differs in 1 of 1 values, first at 0: np.str_('a') in Tiled, "
            "np.str_('b') was expected",
        ),
    ],
)
def test_a_difference_is_said_in_words(found, expected, sentence):
    assert compare(found, expected) == (sentence,)


def test_blueskys_own_columns_are_not_looked_at():
    values = np.zeros(1)
    found = run(s={"a": values, "ts_a": values, "time": values, "seq_num": values})
    assert differences(found, {"s": {"a": values}}) == ()


def test_events_are_read_as_one_table():
    class Unread:
        def read(self):
            raise AssertionError("a column of the table was asked for by itself")

    stream = Stream(a=Unread())
    stream.base = {"internal": Column(pd.DataFrame({"a": [1, 2], "seq_num": [1, 2]}))}
    assert differences({"s": stream}, {"s": {"a": np.array([1, 2])}}) == ()
    (difference,) = differences({"s": stream}, {"s": {"a": np.array([1, 3])}})
    assert "differs in 1 of 2 values" in difference
