"""What the exchanges with the stage controller take: those of the engine, counted.

Positions have five digits (Arcus reference §8.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from aefi_bluesky.domain.bench.description import LinkDescription
from aefi_bluesky.domain.spec.trigger import TriggerKind


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its reply.

    Parameters
    ----------
    request, reply
        Bytes of each, its CR included.
    """

    request: int
    reply: int

    @property
    def n_bytes(self) -> int:
        """Bytes of both."""
        return self.request + self.reply

    def duration_s(self, link: LinkDescription) -> float:
        """Return how long it takes, in s: a fix, and the bytes beyond a fix's."""
        return 1 / link.fix_rate_hz + (self.n_bytes - POSITION.n_bytes) * link.byte_s

    def heard_s(self, link: LinkDescription) -> float:
        """Return when the controller has heard the request, in s from its start."""
        return self.request * link.byte_s

    def notice_s(self, link: LinkDescription) -> float:
        """Return when a reply tells what has just become so, in s, on average.

        Asked back to back: half an exchange passes until the next is heard.
        """
        return 1.5 * self.duration_s(link) - self.heard_s(link)


POSITION = Exchange(6, 6)
"""``@00PY`` and ``12345``: asked while a line is flown."""

POSITIONS = Exchange(6, 16)
"""``@00PP`` and ``12345:12345:0:0``: asked on the way to a line, and at its end."""

STATUS = Exchange(7, 20)
"""``@00MST`` and ``0:0:0:0:0:0:0:36:0``: asked at the target, until it is idle."""

MOVE = Exchange(10, 3)
"""``@00X12345`` and ``OK``."""

SPEED = Exchange(12, 3)
"""``@00HSX=3000`` and ``OK``."""

READ_SPEED = Exchange(7, 5)
"""``@00HSX`` and ``3000``: a speed is read back after it was set."""

PREPARING = {
    TriggerKind.SYNC_OUTPUT: 4,
    TriggerKind.DIGITAL_OUTPUT: 1,
    TriggerKind.LATCH: 1,
}
"""Exchanges that a trigger by wire adds to the set-up, each about as long as a fix:
output off, condition, width, and the encoder read; output off; latch off."""

ARMING = {TriggerKind.SYNC_OUTPUT: 2, TriggerKind.LATCH: 1}
"""The same before a line: count, and output on; latch on."""

DISARMING = {TriggerKind.LATCH: 2}
"""The same behind a line: was there an edge, and latch off."""
