"""Specs of all kinds survive plain JSON, and what is misspelt is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_strategies import TRIGGERS, fly_specs, step_specs

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.excitation import Excitation
from aefi_bluesky.domain.spec.formats import SpecKind, from_plain, kind_of, to_plain
from aefi_bluesky.domain.spec.step_spec import FrequencySequenceSpec, TimeSeriesSpec
from aefi_bluesky.testing.builders import a_spec

AT_REST = {"x_mm": 600.0, "y_mm": 600.0, "n_avg": 10, "excitation": Excitation.off()}
SERIES = TimeSeriesSpec(**AT_REST, count=10)
SEQUENCE = FrequencySequenceSpec(**AT_REST, frequencies_hz=(1e3, 2e3))


@given(st.one_of(fly_specs(triggers=TRIGGERS), step_specs()))
def test_spec_survives_json_to_the_bit(spec):
    plain = to_plain(spec)
    assert from_plain(json.loads(json.dumps(plain, allow_nan=False))) == spec
    assert plain["kind"] == kind_of(spec).value


@given(st.one_of(fly_specs(triggers=TRIGGERS), step_specs()), st.data())
def test_key_misspelt_or_left_out_is_named(spec, data):
    plain = to_plain(spec)
    key = data.draw(st.sampled_from([key for key in plain if key != "kind"]))
    misspelt = {**plain, key + "s": plain[key]}
    del misspelt[key]
    with pytest.raises(InvalidScanSpecError, match=rf"unknown key .* mean '{key}'"):
        from_plain(misspelt)
    left = {name: value for name, value in plain.items() if name != key}
    has_default = key in {
        *("repeats", "differential", "trigger", "min_readings_per_frame"),
        *("allowed_bad_frames", "gap_fill_passes", "settle_s", "period_s"),
        *("readings", "readings_per_point"),
    }
    if has_default:
        assert type(from_plain(left)) is type(spec)
        return
    with pytest.raises(InvalidScanSpecError, match=f"key '{key}' is missing"):
        from_plain(left)


def test_spec_without_a_kind_is_a_map_to_fly():
    assert from_plain(a_spec().to_plain()) == a_spec()
    plain = {**a_spec().to_plain(), "kind": "fly-map"}
    del plain["repeats"], plain["differential"]
    assert from_plain(plain) == a_spec()


@pytest.mark.parametrize("bad", ["map", "fly", None, 3, ["point"]])
def test_unknown_kind_names_the_kinds(bad):
    with pytest.raises(InvalidScanSpecError, match="must be one of fly-map, step-map"):
        from_plain({**a_spec().to_plain(), "kind": bad})


def test_misspelt_kind_is_named():
    plain = {**a_spec().to_plain(), "kinds": "fly-map"}
    with pytest.raises(InvalidScanSpecError, match="did you mean 'kind'"):
        from_plain(plain)


def test_key_of_another_kind_is_unknown():
    plain = {**to_plain(SERIES), "speed_mm_per_s": 10.0}
    with pytest.raises(InvalidScanSpecError, match="unknown key 'speed_mm_per_s'"):
        from_plain(plain)


@pytest.mark.parametrize("bad", [1000.0, "1000", None, {"a": 1}])
def test_frequencies_are_a_list(bad):
    plain = {**to_plain(SEQUENCE), "frequencies_hz": bad}
    with pytest.raises(InvalidScanSpecError, match="frequencies must be a list in Hz"):
        from_plain(plain)


@pytest.mark.parametrize("plain", [[], None, 3, "point"])
def test_what_is_no_mapping_is_refused(plain):
    with pytest.raises(InvalidScanSpecError, match="scan spec must be a mapping"):
        from_plain(plain)


def test_every_kind_has_its_name():
    kinds = [kind_of(a_spec()), kind_of(SERIES), kind_of(SEQUENCE)]
    assert kinds == [
        SpecKind.FLY_MAP,
        SpecKind.TIME_SERIES,
        SpecKind.FREQUENCY_SEQUENCE,
    ]
