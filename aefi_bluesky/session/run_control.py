"""Control of the run that a worker thread carries out: flights and measurements."""

from __future__ import annotations

import contextlib
import enum
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted

from aefi_bluesky.domain.errors import IllegalTransitionError, PortBusyError
from aefi_bluesky.domain.ports import ScanControl
from aefi_bluesky.domain.results.scan_results import ScanProgress, ScanState
from aefi_bluesky.plans.run_maker import RunOfScan
from aefi_bluesky.session.signals import request_pause

_BEGINS_WITHIN_S = 10.0
_LOOK_S = 0.01


class _Wish(enum.IntEnum):
    """What is to become of the run; a higher one replaces a lower one."""

    NONE = 0
    PAUSE = 1
    STOP = 2
    ABORT = 3


_REASONS = {_Wish.STOP: "stop requested", _Wish.ABORT: "abort requested"}
_NOBODY = "interrupted"
"""Why a run ends that was interrupted by a signal: nobody is there to resume it."""


class RunControl:
    """A `ScanControl` over the RunEngine, for the thread that carries scans out.

    A pause that is asked for here is waited out by that thread. One that comes from
    elsewhere, as from a signal, ends the run.

    Parameters
    ----------
    engine
        Runs the plans.
    flight
        Controls the flight of a run: it comes to rest before the RunEngine hears.
    abort_axes
        Stops axes without a ramp that move outside of a flight.
    """

    def __init__(
        self, engine: RunEngine, flight: ScanControl, abort_axes: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._flight = flight
        self._abort_axes = abort_axes
        self._wishes = threading.Condition()
        self._wish = _Wish.NONE
        self._is_asked = False
        self._made: RunOfScan | None = None

    # -- by the thread that carries out ---------------------------------------

    def carry_out(self, made: RunOfScan, plan: Any) -> bool:
        """Run a plan until its run is closed; return whether somebody ended it.

        Parameters
        ----------
        made
            The scan; its progress is shown.
        plan
            The plan that carries it out.
        """
        call: Callable[[], Any] = partial(self._engine, plan)
        with self._carrying_out(made):
            while True:
                try:
                    call()
                except RunEngineInterrupted:
                    wish = self._wish_in_pause()
                    if wish is _Wish.NONE:
                        call = self._engine.resume
                        continue
                    self._end(_REASONS.get(wish, _NOBODY))
                    return True
                return False

    @contextlib.contextmanager
    def _carrying_out(self, made: RunOfScan) -> Generator[None]:
        with self._wishes:
            self._made, self._wish, self._is_asked = made, _Wish.NONE, False
        try:
            yield
        finally:
            with self._wishes:
                self._made, self._wish = None, _Wish.NONE

    def _wish_in_pause(self) -> _Wish:
        """Return what follows the pause of a run: none to go on."""
        with self._wishes:
            if not self._is_asked:
                return _Wish.PAUSE  # by somebody who does not come back
            self._wishes.wait_for(lambda: self._wish is not _Wish.PAUSE)
            self._is_asked = self._wish is not _Wish.NONE
            return self._wish

    def _end(self, reason: str) -> None:
        # Who ended the run from elsewhere has closed it.
        if self._engine.state == "paused":
            self._engine.abort(reason)

    # -- by everybody ----------------------------------------------------------

    def pause(self) -> None:
        """See `ScanControl`."""
        with self._wishes:
            if self._made is None:
                raise IllegalTransitionError(
                    "only a scan under way can be paused, and none is"
                )
            self._wish = max(self._wish, _Wish.PAUSE)
            self._is_asked = True
        with contextlib.suppress(IllegalTransitionError):
            self._flight.pause()  # or the scan is measured at rest
        self._interrupt()

    def resume(self) -> None:
        """See `ScanControl`."""
        with self._wishes:
            if self._wish is not _Wish.PAUSE:
                raise IllegalTransitionError(
                    "only a scan that is paused can be resumed, and none is"
                )
            self._wish = _Wish.NONE
            self._wishes.notify_all()

    def stop(self) -> None:
        """See `ScanControl`."""
        if self._wants(_Wish.STOP):
            with contextlib.suppress(IllegalTransitionError):
                self._flight.pause()
            self._interrupt()

    def abort(self) -> None:
        """See `ScanControl`."""
        with self._wishes:
            if self._made is None:
                return
        # Before the run hears of it, whose end would stop the flight with a ramp.
        self._flight.abort()
        if self._wants(_Wish.ABORT):
            self._abort_axes()
            self._interrupt()

    def _wants(self, wish: _Wish) -> bool:
        with self._wishes:
            if self._made is None:
                return False
            self._wish = max(self._wish, wish)
            self._is_asked = True
            self._wishes.notify_all()
            return True

    def _interrupt(self) -> None:
        # A pause waits for the RunEngine, and nobody here does.
        threading.Thread(target=self._pause_when_it_runs, daemon=True).start()

    def _pause_when_it_runs(self) -> None:
        """Pause the run; it may be about to begin."""
        made = self._made
        deadline = time.monotonic() + _BEGINS_WITHIN_S
        while made is not None and self._made is made and time.monotonic() < deadline:
            if self._engine.state == "running":
                request_pause(self._engine)
                return
            if self._engine.state != "idle":
                return
            time.sleep(_LOOK_S)

    def progress(self) -> ScanProgress | None:
        """See `ScanControl`."""
        with self._wishes:
            made = self._made
        if made is None:
            return None
        is_paused = self._engine.state == "paused"
        state = ScanState.PAUSED if is_paused else ScanState.FLYING
        return self._flight.progress() or made.progress(state)


class IdleEngine:
    """A `HardwareLease` that is refused while the RunEngine runs another's plan.

    A plan may begin a scan itself: it runs on the RunEngine's own thread.

    Parameters
    ----------
    engine
        Runs the plans.
    """

    def __init__(self, engine: RunEngine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """Let a scan begin; see `HardwareLease`.

        Raises
        ------
        PortBusyError
            If a plan runs or is paused.
        """
        # bluesky has no public way to ask.
        own = self._engine._th  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if self._engine.state != "idle" and threading.current_thread() is not own:
            raise PortBusyError(
                f"{owner} cannot begin: a plan is {self._engine.state}; wait for its "
                "end, or end it"
            )
        yield
