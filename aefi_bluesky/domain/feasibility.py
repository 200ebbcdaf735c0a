"""Every reason why a plan cannot fly, with the nearest change that can."""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.errors import InfeasibleScanError


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
    suggestion
        The nearest change that fits.
    """

    rule: str
    found: float
    limit: float
    unit: str
    message: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.message} ({self.suggestion})"


@dataclass(frozen=True, slots=True)
class FeasibilityReport:
    """All violations of one spec at once; never empty."""

    violations: tuple[Violation, ...]

    def __str__(self) -> str:
        return "\n".join(f"- {violation}" for violation in self.violations)

    def error(self) -> InfeasibleScanError:
        """Return the report as an error."""
        return InfeasibleScanError(tuple(str(v) for v in self.violations))
