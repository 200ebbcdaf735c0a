"""Specs of every kind through the real widgets, and back."""

from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_strategies import TRIGGERS, fly_specs, step_specs

from aefi_bluesky.domain.spec.formats import SpecKind, kind_of
from aefi_bluesky.domain.spec.zone import Zone
from aefi_bluesky.testing.builders import a_bench
from aefi_bluesky.views.pymodaq.first_specs import first_spec
from aefi_bluesky.views.pymodaq.scan_form import ScanForm
from aefi_bluesky.views.pymodaq.spec_tree import spec_of, tree_of

FIRST = partial(first_spec, bench=a_bench())


@pytest.fixture
def form(qtbot):
    made = ScanForm(FIRST)
    qtbot.addWidget(made)
    return made


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(fly_specs(triggers=TRIGGERS), step_specs()))
def test_a_spec_comes_back_from_the_form(form, spec):
    form.show_spec(spec)
    assert spec_of(form.values()) == spec


@pytest.mark.parametrize("kind", list(SpecKind))
def test_each_kind_can_be_chosen(form, kind, until):
    form.settings.child("kind").setValue(kind.value)
    rows = {row["name"] for row in tree_of(FIRST(kind))}
    until(lambda: form.values().keys() == rows)
    assert kind_of(spec_of(form.values())) is kind


def test_what_kinds_share_is_kept_when_another_is_chosen(form, until):
    form.settings.child("zone").child("x_min_mm").setValue(601.5)
    form.settings.child("n_avg").setValue(23)
    form.settings.child("kind").setValue(SpecKind.STEP_MAP.value)
    until(lambda: form.values()["kind"] == SpecKind.STEP_MAP.value)
    until(lambda: "settle_s" in form.values())
    spec = spec_of(form.values())
    assert (spec.zone.x_min_mm, spec.n_avg) == (601.5, 23)


def test_values_are_told_when_nobody_types_any_more(form, qtbot):
    with qtbot.waitSignal(form.changed) as told:
        form.settings.child("n_x").setValue(5)
        form.settings.child("n_x").setValue(7)
    assert told.args[0]["n_x"] == 7


def test_a_zone_becomes_that_of_the_form(form):
    zone = Zone(600.0, 610.0, 590.0, 605.0)
    form.take_zone(zone)
    assert spec_of(form.values()).zone == zone


def test_an_unknown_word_is_shown_as_the_reason(form):
    from aefi_bluesky.views.pymodaq.client import Verdict

    form.show_verdict(Verdict(None, "speed must be 1 to 65 mm/s, was 90 mm/s"))
    assert "was 90 mm/s" in form.verdict.text()
    form.show_verdict(None)
    assert form.verdict.text() == ""
