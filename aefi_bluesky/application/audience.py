"""All who watch the flights of a port; who comes late hears what was."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from aefi_bluesky.application.forwarder import Forwarder, Say, Told, tell
from aefi_bluesky.domain.ports import ScanObserver


class _Seat:
    """One observer, who hears one thing after the other."""

    def __init__(self, observer: ScanObserver) -> None:
        self.observer = observer
        self.lock = threading.RLock()

    def hear(self, say: Say) -> None:
        with self.lock:
            tell(self.observer, say)


class Audience:
    """Observers of flights beside each flight's own.

    One that raises is logged, and harms no other. One that joins in flight first hears
    the plan, the states, and the frames and lines so far, on the thread that joins.
    Readings and fixes so far are not kept.

    Parameters
    ----------
    observers
        Who watches from the beginning, in this order.
    """

    def __init__(self, observers: Iterable[ScanObserver] = ()) -> None:
        self._lock = threading.Lock()
        self._seats = [_Seat(observer) for observer in observers]
        self._so_far: list[Say] = []

    def join(self, observer: ScanObserver) -> None:
        """Let an observer watch from now on."""
        seat = _Seat(observer)
        # What comes meanwhile waits until this one has heard what was.
        with seat.lock:
            with self._lock:
                so_far = tuple(self._so_far)
                self._seats.append(seat)
            for say in so_far:
                seat.hear(say)

    def leave(self, observer: ScanObserver) -> None:
        """Let an observer watch no longer; nothing if it does not watch."""
        with self._lock:
            self._seats = [
                seat for seat in self._seats if seat.observer is not observer
            ]

    def beside(self, own: ScanObserver) -> ScanObserver:
        """Return an observer of one flight that tells `own`, and then the audience.

        What `own` raises goes on to the port, when all have been told.
        """
        return _Crowd(own, self)

    def hear(self, told: Told, say: Say) -> None:
        """Tell everybody, and keep what somebody who comes later must hear."""
        with self._lock:
            if told in (Told.START, Told.END):
                self._so_far = []
            if told not in (Told.SAMPLES, Told.END):
                self._so_far.append(say)
            seats = tuple(self._seats)
        for seat in seats:
            seat.hear(say)


class _Crowd(Forwarder):
    """A flight's own observer and the audience as one observer."""

    def __init__(self, own: ScanObserver, audience: Audience) -> None:
        self._own = own
        self._audience = audience

    def forward(self, told: Told, say: Say) -> None:
        try:
            say(self._own)
        finally:
            self._audience.hear(told, say)
