"""An observer that may take its time."""

from __future__ import annotations

import logging
import threading
from collections import deque

from aefi_bluesky.application.forwarder import Forwarder, Say, Told, tell
from aefi_bluesky.domain.ports import ScanObserver

logger = logging.getLogger(__name__)

MOST_SAMPLES = 256
"""Chunks of readings and of fixes that wait: 7 s of those of the engine."""


class BufferedObserver(Forwarder):
    """Tells an observer on a thread of its own: whoever flies never waits for it.

    If it is slower than the flight, the oldest readings and fixes that it has not heard
    are left out. Frames, lines and states are not; what a flight has of them is bounded
    by its plan.

    Parameters
    ----------
    observer
        Told everything in order; one that raises is logged.
    most_samples
        Chunks of readings and fixes that wait, at most.
    """

    def __init__(
        self, observer: ScanObserver, most_samples: int = MOST_SAMPLES
    ) -> None:
        self._observer = observer
        self._most = most_samples
        self._waiting: deque[tuple[bool, Say]] = deque()
        self._samples = 0
        self._busy = False
        self._changed = threading.Condition()
        self._is_closed = False
        self.n_left_out = 0
        self._thread = threading.Thread(
            target=self._run, name="aefi-observer", daemon=True
        )
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Tell what still waits and end the thread; return whether time sufficed."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all was told; return whether that was in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._busy, timeout_s
            )

    def _put(self, say: Say, *, is_sample: bool) -> None:
        with self._changed:
            self._waiting.append((is_sample, say))
            self._samples += is_sample
            if self._samples > self._most:
                self._leave_one_out()
            self._changed.notify_all()

    def _leave_one_out(self) -> None:
        oldest = next(
            at for at, (is_sample, _) in enumerate(self._waiting) if is_sample
        )
        del self._waiting[oldest]
        self._samples -= 1
        self.n_left_out += 1

    def _run(self) -> None:
        while (say := self._next()) is not None:
            tell(self._observer, say)

    def _next(self) -> Say | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            is_sample, say = self._waiting.popleft()
            self._samples -= is_sample
            self._busy = True
            return say

    def forward(self, told: Told, say: Say) -> None:
        """Let it wait for the observer; the end says aloud what was left out."""
        if told is Told.END:
            self._tell_what_was_left_out()
        self._put(say, is_sample=told is Told.SAMPLES)

    def _tell_what_was_left_out(self) -> None:
        with self._changed:
            left_out, self.n_left_out = self.n_left_out, 0
        if left_out:
            logger.warning(
                "observer %r was too slow: it was not told of %d chunks of samples",
                type(self._observer).__name__,
                left_out,
            )
