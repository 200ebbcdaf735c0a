"""What was measured of a bench, in place of what its file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import keep_count, keep_number, require_number
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.plain_values import known_fields, known_keys


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants of one bench as measured; None where nothing was.

    Parameters
    ----------
    bench
        Name of the bench.
    lag_s
        Lag of the readings, in s; see `DetectorDescription`.
    reading_rate_hz
        Readings that really arrive, a second.
    fix_rate_hz
        Position replies that really arrive, a second.
    turnaround_s
        From the end of a position request to the start of its reply, in s.
    noise_v
        Standard deviation of a reading, in V, of each of the six voltages.
    noise_n_avg
        Conversions averaged in those readings.
    runs
        Uid of the run that each number was measured in, by its name.
    """

    bench: str
    lag_s: float | None = None
    reading_rate_hz: float | None = None
    fix_rate_hz: float | None = None
    turnaround_s: float | None = None
    noise_v: tuple[float, ...] | None = None
    noise_n_avg: int | None = None
    runs: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        error = ConfigurationError
        for name, unit, low, high in (
            ("lag_s", "s", 0, 10),
            ("reading_rate_hz", "Hz", 1e-3, 1e6),
            ("fix_rate_hz", "Hz", 1e-3, 1e6),
            ("turnaround_s", "s", 0, 1),
        ):
            if getattr(self, name) is not None:
                what = f"calibration: {name}"
                keep_number(self, name, what, unit, low, high, error=error)
        if self.noise_v is not None:
            what = "calibration: noise of a reading"
            noise = (
                require_number(what, each, "V", 0, 10, error=error)
                for each in self.noise_v
            )
            object.__setattr__(self, "noise_v", tuple(noise))
        if self.noise_n_avg is not None:
            what = "calibration: conversions averaged"
            keep_count(self, "noise_n_avg", what, 1, 127, error=error)

    def measured(self, run: str, **values: Any) -> Self:
        """Return the same with some constants as measured in a run.

        Raises
        ------
        ConfigurationError
            If one of them can't be.
        """
        names = [each.name for each in dataclasses.fields(self)]
        what, error = "calibration", ConfigurationError
        values = known_keys(what, values, names, optional=names, error=error)
        runs = {**self.runs, **dict.fromkeys(values, run)}
        return replace(self, **values, runs=runs)

    def applied_to(self, bench: BenchDescription) -> BenchDescription:
        """Return `bench` with what was measured in place of what was known.

        Raises
        ------
        ConfigurationError
            If it is another bench.
        """
        if bench.name != self.bench:
            raise ConfigurationError(
                f"calibration is of bench {self.bench!r}, but this bench is "
                f"{bench.name!r}"
            )
        detector = {"lag_s": self.lag_s, "reading_rate_hz": self.reading_rate_hz}
        link = {"fix_rate_hz": self.fix_rate_hz}
        return replace(
            bench,
            detector=replace(bench.detector, **_known(detector)),
            link=replace(bench.link, **_known(link)),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the calibration as plain JSON values."""
        plain = dataclasses.asdict(self)
        plain["noise_v"] = None if self.noise_v is None else list(self.noise_v)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the calibration that `to_plain` made plain.

        Raises
        ------
        ConfigurationError
            If a key is unknown or missing, or a value is wrong.
        """
        values: dict[str, Any] = {
            **known_fields("calibration", cls, plain, error=ConfigurationError)
        }
        if values.get("noise_v") is not None:
            values["noise_v"] = tuple(values["noise_v"])
        return cls(**values)


def _known(values: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
