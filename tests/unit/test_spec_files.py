"""A spec written to a file is read again; a bad file is refused by what is bad."""

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_strategies import ANY_SPEED, ANYWHERE, TRIGGERS, specs, step_specs

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.fly_spec import Excitation, ExcitationMode, FlyScanSpec
from aefi_bluesky.session.spec_files import read_spec, write_spec
from aefi_bluesky.testing.builders import a_spec

EXAMPLE = Path(__file__).parents[2] / "docs/how-to/examples/standard-map.json"


@given(
    st.one_of(specs(speeds=ANY_SPEED, ends=ANYWHERE, triggers=TRIGGERS), step_specs())
)
def test_spec_survives_a_file_to_the_bit(tmp_path_factory, spec):
    path = tmp_path_factory.mktemp("specs") / "spec.json"
    write_spec(spec, path)
    assert read_spec(path) == spec
    with path.open(encoding="utf-8") as opened:
        assert read_spec(opened) == spec


def test_example_of_the_documents_is_the_standard_map():
    excitation = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)
    assert read_spec(EXAMPLE) == FlyScanSpec.standard(635.0, 610.0, excitation)


def refused(tmp_path, text):
    path = tmp_path / "spec.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidScanSpecError) as caught:
        read_spec(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[1", "zone: 1", b"\xff\xfe", "[" * 100_000, "1" * 5000, '{"a": }']
)
def test_what_is_no_json_is_refused(tmp_path, text):
    assert "is no JSON" in refused(tmp_path, text)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"zone"'])
def test_json_of_another_kind_is_refused(tmp_path, text):
    assert "scan spec must be a mapping" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_av", 10, "unknown key 'n_av'; did you mean 'n_avg'?"),
        ("n_x", 9.0, "frames along x must be a whole number"),
        ("n_x", True, "frames along x must be a whole number"),
        ("n_x", "9", "frames along x must be a whole number"),
        ("speed_mm_per_s", "10", "speed must be from .* was '10'"),
        ("speed_mm_per_s", None, "speed must be from"),
        ("speed_mm_per_s", float("nan"), "speed must be from .* was nan"),
        ("speed_mm_per_s", float("inf"), "speed must be from .* was inf"),
        ("speed_mm_per_s", 10**400, "speed must be from"),
        ("fast_axis", ["x"], "fast axis must be 'x' or 'y'"),
        ("trigger", None, "trigger must be a mapping"),
        ("zone", {"x_min": 1}, "zone: unknown key 'x_min'; did you mean 'x_min_mm'?"),
    ],
)
def test_wrong_value_is_named(tmp_path, key, value, message):
    text = json.dumps({**a_spec().to_plain(), key: value})
    assert re.search(message.replace("?", r"\?"), refused(tmp_path, text))


def test_key_that_is_there_twice_is_named(tmp_path):
    assert "key 'n_x' appears twice" in refused(tmp_path, '{"n_x": 1, "n_x": 2}')


def test_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InvalidScanSpecError, match="cannot be read"):
            read_spec(path)


@given(st.text())
def test_any_text_is_a_spec_or_refused(text):
    opened = io.StringIO(text)
    opened.name = "text"
    with pytest.raises(InvalidScanSpecError, match="spec file text"):
        read_spec(opened)
