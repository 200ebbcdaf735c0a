"""Plan stubs: parts of plans, to be used inside an open run."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

import uuid
from typing import Any, cast

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, MsgGenerator

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.errors import ScanPortError

COLLECT_PERIOD_S = 0.5
"""How often lines are collected while the flight is on, in s."""

END_PATIENCE_S = 30.0
"""How long a stopped flight may take to come to rest and store its data, in s."""

_REST_POLL_S = 0.05
_DECLARE_ATTEMPTS = 100  # a plan that nobody runs gets no answer either


def declare_streams(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Declare the streams that are collected while `flyer` flies.

    Parameters
    ----------
    flyer
        Prepared, so that its sample file is known.
    """
    for stream, name in _collected(flyer):
        yield from _declare(stream, name, collect=True)


def _collected(flyer: AefiFlyer) -> tuple[tuple[Any, str], ...]:
    """Return what is collected while `flyer` flies, and the streams' names."""
    return (
        (flyer, "primary"),
        (flyer.line_stream, "lines"),
        (flyer.reading_stream, "readings"),
        (flyer.fix_stream, "fixes"),
    )


def _declare(device: Any, name: str, *, collect: bool) -> MsgGenerator[None]:
    """Declare a stream, again where a pause made the RunEngine forget to.

    It then answers None, and nothing was emitted; once the stream is declared, a
    pause can't cut off any message that fills it.
    """
    for _ in range(_DECLARE_ATTEMPTS):
        if (yield from bps.declare_stream(device, name=name, collect=collect)):
            return


def hand_out(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Collect every line that waits; one checkpoint a line.

    Parameters
    ----------
    flyer
        Its streams are declared.
    """
    while flyer.next_page():
        yield from _collect_page(flyer)


def _collect_page(flyer: AefiFlyer) -> MsgGenerator[None]:
    for stream, name in _collected(flyer):
        yield from bps.collect(stream, name=name, return_payload=False)
    yield from bps.checkpoint()


def come_to_rest(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Stop `flyer`, wait until it rests and all is stored, and hand the data out.

    Parameters
    ----------
    flyer
        In any state.
    """
    flyer.stop()
    for _ in range(round(END_PATIENCE_S / _REST_POLL_S)):
        if not flyer.is_flying:
            break
        yield from bps.sleep(_REST_POLL_S)
    if flyer.has_page:  # one that the interruption may have cut off
        yield from _collect_page(flyer)
    yield from hand_out(flyer)


def fly_lines(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Fly what `flyer` is prepared for, in an open run, and hand out each line.

    Survives a hard or deferred pause at any point: nothing is replayed on resume,
    for the flyer itself knows where to go on. Stock loops end early instead, since
    the RunEngine forgets what it waits for.

    Parameters
    ----------
    flyer
        Staged and prepared.

    Raises
    ------
    ScanPortError
        If the flight fails; what was measured has been handed out.
    """

    def flight() -> MsgGenerator[None]:
        yield from declare_streams(flyer)
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.checkpoint()
        group = f"flight-{uuid.uuid4()}"
        status = yield from bps.complete(flyer, group=group)
        while True:
            last = status.done  # read before the lines are handed out
            if not last:
                yield from bps.wait(
                    group, timeout=COLLECT_PERIOD_S, error_on_timeout=False
                )
            yield from hand_out(flyer)
            if last:
                break
            if not status.done:
                # After a pause the group is forgotten and the wait returns at once.
                yield from bps.sleep(_REST_POLL_S)
        if not status.success:
            raise status.exception() or ScanPortError("the flight failed")

    def clean_up(error: Exception) -> MsgGenerator[None]:
        yield from come_to_rest(flyer)
        if isinstance(error, FailedStatus):
            # It names the status only; a person wants to know what happened.
            failure = cast("Exception | None", flyer.complete().exception(_REST_POLL_S))
            if failure is not None:
                raise failure from error

    yield from bpp.rewindable_wrapper(
        bpp.contingency_wrapper(flight(), except_plan=clean_up), False
    )


def read_results(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Read the images and the outcome of a flight that is over.

    Parameters
    ----------
    flyer
        Its flight is over.
    """
    for stream, name in ((flyer.map_stream, "maps"), (flyer.health_stream, "health")):
        yield from _declare(stream, name, collect=False)
        yield from bps.create(name)
        yield from bps.read(stream)
        yield from bps.save()
