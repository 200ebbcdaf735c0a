"""What a measurement found, and what it should have found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aefi_bluesky.cli.bench.rounds import FEWEST_ROUNDS, Ratio, Row, Spread


@dataclass(frozen=True, slots=True)
class Target:
    """What should be reached (design, section 11), and what was.

    Parameters
    ----------
    name
        What is judged.
    found
        What was measured.
    bar
        What it should be.
    at_least
        Whether more is better.
    unit
        Of both; empty for a ratio.
    reason
        The known reason why it falls short where it does, in a sentence.
    """

    name: str
    found: Spread | Ratio
    bar: float
    at_least: bool
    unit: str = ""
    reason: str = ""

    @property
    def spread(self) -> Spread:
        """The figures of what was found."""
        return self.found.spread if isinstance(self.found, Ratio) else self.found

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the bar."""
        if self.at_least:
            return self.spread.median >= self.bar
        return self.spread.median <= self.bar

    @property
    def doubts(self) -> list[str]:
        """Why the median alone may mislead."""
        doubts: list[str] = []
        if self.spread.rounds < FEWEST_ROUNDS:
            doubts.append("one round")
        elif not self.is_shown:
            doubts.append("ranges overlap: no difference")
        elif self.spread.low < self.bar < self.spread.high:
            doubts.append("not in every round")
        return doubts

    @property
    def is_shown(self) -> bool:
        """Whether there is a difference at all, where a ratio is judged."""
        return not isinstance(self.found, Ratio) or self.found.is_difference

    @property
    def why(self) -> str:
        """Why it falls short, in a sentence; empty if it does not."""
        if self.is_met:
            return ""
        if not self.is_shown:
            return "the ranges overlap: that it falls short is not shown."
        return self.reason or "not known."

    def verdict(self) -> str:
        """Return in words whether it is met, and what of it is doubtful."""
        return ", ".join(["met" if self.is_met else "FALLS SHORT", *self.doubts])

    def plain(self) -> dict[str, Any]:
        """Return the target as plain JSON values."""
        return {
            "name": self.name,
            "found": self.spread.plain(),
            "bar": self.bar,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.is_met,
            "verdict": self.verdict(),
            "why": self.why,
        }


@dataclass(slots=True)
class Report:
    """What one measurement found.

    Parameters
    ----------
    name
        Its sub-command.
    about
        What was measured and what the numbers must not be taken for.
    rows, targets
        The figures.
    """

    name: str
    about: str
    rows: list[Row]
    targets: list[Target] = field(default_factory=list[Target])

    def plain(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "about": self.about,
            "rows": [row.plain() for row in self.rows],
            "targets": [target.plain() for target in self.targets],
        }
