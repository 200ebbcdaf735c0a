"""The converter's and the signal generator's registers for one flight.

Addresses and codes are those of the ADS131A04 and the AD9106 as the microcontroller
routes them (acquisition reference §1.2, §3.2, §4).
"""

from __future__ import annotations

from aefi_bluesky.domain.bench.description import DetectorDescription
from aefi_bluesky.domain.spec.fly_spec import Excitation, ExcitationMode

RegisterWrites = list[tuple[int, int]]

GENERATOR_CLOCK_HZ = 16_000_000
"""Clock of the AD9106, Hz; taken from the bench's source, not measured."""

FULL_LEVEL_GAIN = 5500
"""Gain register at 100 % (acquisition reference §4.3)."""

_BOTH_SINE = 12593
_QUARTER_TURN = 16384
_REFERENCE_GAIN = 10000
_SECOND_PHASE = {
    ExcitationMode.Y_DIR: 0,
    ExcitationMode.X_DIR: 32768,
    ExcitationMode.CIRCULAR_PLUS: 16384,
    ExcitationMode.CIRCULAR_MINUS: 49152,
}
_GAIN_CODES = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4}
_OSR_CODES = {
    osr: code
    for code, osr in enumerate(
        (4096, 2048, 1024, 800, 768, 512, 400, 384, 256, 200, 192, 128, 96, 64, 48, 32)
    )
}
_CLOCK_DIVIDER = 2
_MODULATOR_DIVIDER_CODE = 1


def level_gain(percent: float) -> int:
    """Return the gain register of a level in percent, truncated as the bench does."""
    return int(percent / 100 * FULL_LEVEL_GAIN)


def frequency_words(frequency_hz: float) -> tuple[int, int]:
    """Return registers 62 and 63 of a frequency in Hz (acquisition reference §4.1)."""
    word = round(frequency_hz * 2**32 / GENERATOR_CLOCK_HZ)
    return word >> 16, word & 0xFFFF


def converter_writes(detector: DetectorDescription) -> RegisterWrites:
    """Return the writes that set the converter to the bench's OSR and gain."""
    clock = 32 * _MODULATOR_DIVIDER_CODE + _OSR_CODES[detector.osr]
    gain = _GAIN_CODES[detector.gain]
    return [(13, _CLOCK_DIVIDER), (14, clock), *((17 + i, gain) for i in range(4))]


def excitation_writes(excitation: Excitation) -> RegisterWrites:
    """Return the writes that switch an excitation on, its levels last."""
    high, low = frequency_words(excitation.frequency_hz)
    return [
        (62, high),
        (63, low),
        (39, _BOTH_SINE),
        (38, _BOTH_SINE),
        (67, 0),
        (66, _SECOND_PHASE[excitation.mode]),
        (51, _REFERENCE_GAIN),
        (65, _QUARTER_TURN),
        (50, _REFERENCE_GAIN),
        (64, 0),
        (53, level_gain(excitation.level_s3s4_percent)),
        (52, level_gain(excitation.level_s1s2_percent)),
    ]


def off_writes() -> RegisterWrites:
    """Return the writes that take the excitation away."""
    return [(53, 0), (52, 0)]
