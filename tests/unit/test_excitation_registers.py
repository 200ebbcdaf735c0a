import pytest

from aefi_bluesky.domain.spec.fly_spec import Excitation, ExcitationMode
from aefi_bluesky.engine.excitation_registers import (
    converter_writes,
    excitation_writes,
    frequency_words,
    level_gain,
    off_writes,
)
from aefi_bluesky.testing.builders import a_bench


@pytest.mark.parametrize(
    ("frequency_hz", "words"),
    [
        (1, (0, 268)),
        (1_000, (4, 6291)),
        (2_000, (8, 12583)),
        (150_000, (614, 26214)),
        (1_000_000, (4096, 0)),
    ],
)
def test_frequency_words_are_those_of_the_reference(frequency_hz, words):
    assert frequency_words(frequency_hz) == words


@pytest.mark.parametrize(
    ("percent", "gain"),
    [(0, 0), (10, 550), (33, 1815), (35, 1924), (57, 3134), (70, 3849), (100, 5500)],
)
def test_levels_are_truncated_as_the_bench_does(percent, gain):
    assert level_gain(percent) == gain


@pytest.mark.parametrize(
    ("mode", "phase"),
    [
        (ExcitationMode.Y_DIR, 0),
        (ExcitationMode.X_DIR, 32768),
        (ExcitationMode.CIRCULAR_PLUS, 16384),
        (ExcitationMode.CIRCULAR_MINUS, 49152),
    ],
)
def test_a_mode_is_the_phase_of_the_second_channel(mode, phase):
    writes = dict(excitation_writes(Excitation(mode, 10.0, 20.0, 1000.0)))
    assert (writes[67], writes[66]) == (0, phase)
    assert (writes[53], writes[52]) == (level_gain(20.0), level_gain(10.0))


def test_levels_come_last_so_that_nothing_else_changes_under_power():
    writes = excitation_writes(Excitation(ExcitationMode.X_DIR, 10.0, 10.0, 1000.0))
    assert [address for address, _ in writes[-2:]] == [53, 52]
    assert off_writes() == [(53, 0), (52, 0)]


def test_the_converter_is_set_to_the_benchs_osr_and_gain():
    writes = dict(converter_writes(a_bench().detector))
    assert writes[13] == 2
    assert writes[14] == 32, "divider 2, OSR 4096"
    assert {writes[address] for address in (17, 18, 19, 20)} == {0}
