"""Specs of every kind as rows of a parameter tree, and back."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_strategies import TRIGGERS, fly_specs, step_specs

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.formats import SpecKind, kind_of
from aefi_bluesky.testing.builders import a_spec
from aefi_bluesky.views.pymodaq.spec_tree import spec_of, tree_of, values_of

ROWS = {"name", "title", "type"}


def leaves(tree):
    for row in tree:
        if "children" in row:
            yield from leaves(row["children"])
        else:
            yield row


@given(st.one_of(fly_specs(triggers=TRIGGERS), step_specs()))
def test_a_spec_comes_back_from_its_tree(spec):
    tree = tree_of(spec)
    assert spec_of(values_of(tree)) == spec
    assert tree[0]["value"] == kind_of(spec)
    fields = [field.name for field in dataclasses.fields(spec)]
    assert [row["name"] for row in tree[1:]] == fields


@given(st.one_of(fly_specs(triggers=TRIGGERS), step_specs()))
def test_each_row_has_what_a_parameter_is_made_of(spec):
    types = {"list": str, "float": float, "int": int, "bool": bool, "str": str}
    for row in leaves(tree_of(spec)):
        assert set(row) >= ROWS
        assert type(row["value"]) is types[row["type"]], row
        if row["type"] == "list":
            assert row["value"] in row["limits"]
        assert "_" not in row["title"]


def test_units_stand_beside_the_values():
    rows = {row["name"]: row for row in leaves(tree_of(a_spec()))}
    shown = {name: (row["title"], row.get("suffix")) for name, row in rows.items()}
    assert shown["speed_mm_per_s"] == ("speed", "mm/s")
    assert shown["x_min_mm"] == ("x min", "mm")
    assert shown["level_s1s2_percent"] == ("level s1s2", "%")
    assert shown["frequency_hz"] == ("frequency", "Hz")
    assert shown["n_avg"] == ("n avg", None)
    assert rows["fast_axis"]["limits"] == ["x", "y"]
    kinds = [kind.value for kind in SpecKind]
    assert tree_of(a_spec())[0]["limits"] == kinds


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_avg", 0, "1 to 127"),
        ("speed_mm_per_s", -1.0, "mm/s"),
        ("fast_axis", "z", "'z'"),
        ("n_lines", 3, "n_lines"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, message):
    values = {**values_of(tree_of(a_spec())), name: value}
    with pytest.raises(InvalidScanSpecError, match=message):
        spec_of(values)


def test_frequencies_are_typed_as_numbers_with_commas_between():
    typed = {
        "kind": "frequency-sequence",
        "x_mm": 600.0,
        "y_mm": 600.0,
        "n_avg": 10,
        "excitation": values_of(tree_of(a_spec()))["excitation"],
        "frequencies_hz": " 100, 1e3;2500  ",
    }
    assert spec_of(typed).frequencies_hz == (100.0, 1000.0, 2500.0)
    with pytest.raises(InvalidScanSpecError, match="commas between"):
        spec_of({**typed, "frequencies_hz": "100, many"})
