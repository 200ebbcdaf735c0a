"""Every reason why a plan cannot fly, with the nearest change that can."""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.errors import InfeasibleScanError

Value = float | tuple[float, float] | tuple[str, ...]
"""A number, both ends of a span, or what there is to choose from."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one value.

    Parameters
    ----------
    parameter
        Dotted name of what is changed: a field of the spec (``speed_mm_per_s``,
        ``n_x``, ``zone.y``: a span that both ends must lie in, ``x_mm``: one for the
        place, ``trigger.period_s``: of a periodic trigger, ``trigger.kind``), of the
        bench (``bench.motion.ramp_s``) or of the advice asked for.
    value
        What it is to be, in `unit`.
    unit
        Unit of the value; empty for none.
    words
        The same for people: a format for the value, or for its parts.
    """

    parameter: str
    value: Value
    unit: str
    words: str

    def __str__(self) -> str:
        if isinstance(self.value, float | int):
            return self.words.format(self.value)
        if self.parameter == "trigger.kind":
            return self.words.format(", ".join(map(str, self.value)))
        return self.words.format(*self.value)


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a spec breaks on a bench.

    Parameters
    ----------
    rule
        The rule's name.
    found, limit
        What the spec asks for and what the bench allows, in `unit`.
    unit
        Unit of both numbers.
    message
        One sentence for people.
    nearest
        The nearest change that fits; in words what else could be done where no single
        one does.
    guard
        How much of the limit is a guard band, in `unit`: what is beyond the limit by
        more than this fails for certain, what is not may fly all the same. Zero for a
        hard limit.
    """

    rule: str
    found: float
    limit: float
    unit: str
    message: str
    nearest: Change | str
    guard: float = 0.0

    @property
    def suggestion(self) -> str:
        """The nearest change in words."""
        return str(self.nearest)

    @property
    def fails_for_certain(self) -> bool:
        """Whether the plan would fail if it were flown, not only might."""
        # A guard band is known as well as its numbers are.
        return not abs(self.found - self.limit) <= self.guard * (1 + 1e-9)

    def __str__(self) -> str:
        margin = (
            ""
            if self.fails_for_certain
            else "; this is within the guard band: the scan may fail, but need not"
        )
        return f"{self.message}{margin} ({self.suggestion})"


@dataclass(frozen=True, slots=True)
class FeasibilityReport:
    """All violations of one spec at once; never empty."""

    violations: tuple[Violation, ...]

    def __str__(self) -> str:
        return "\n".join(f"- {violation}" for violation in self.violations)

    def error(self) -> InfeasibleScanError:
        """Return the report as an error."""
        return InfeasibleScanError(tuple(str(v) for v in self.violations))
