"""Plan stubs: parts of plans, to be used inside an open run."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

import uuid
from typing import Any, TypeVar, cast

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, MsgGenerator
from event_model import EventModelValidationError

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.errors import AefiError, IllegalTransitionError, ScanPortError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.plans.device_names import FLYERS, device_names

_T = TypeVar("_T")

COLLECT_PERIOD_S = 0.5
"""How often lines are collected while the flight is on, in s."""

END_PATIENCE_S = 30.0
"""How long a stopped flight may take to come to rest and store its data, in s."""

_REST_POLL_S = 0.05


def is_carried_out() -> MsgGenerator[bool]:
    """Tell whether a RunEngine carries this plan out.

    A simulator answers no message. The RunEngine answers this one always, while a
    pause may cut off others, which then have no answer either.
    """
    return (yield Msg("rewindable", None, None)) is not None


def declare_streams(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Declare the streams that are collected while `flyer` flies.

    Nothing is declared if an earlier flight of the open run has done it: the rows of
    this one follow in the same streams.

    Parameters
    ----------
    flyer
        The flyer. It must be prepared, so that its sample file is known.

    Raises
    ------
    IllegalTransitionError
        If the open run has a stream of one of these names from other devices, or
        maps of another shape from an earlier flight.
    """
    if (yield from _has_streams(flyer)):
        flyer.map_stream.require_described_shape()
        return
    for stream, name in _collected(flyer):
        yield from _declare(stream, name, collect=True)
    flyer.map_stream.forget_description()


def _has_streams(flyer: AefiFlyer) -> MsgGenerator[bool]:
    """Tell whether an earlier flight of `flyer` has declared them in the open run.

    bluesky can't be asked, but it refuses to collect for a stream that is not
    declared, by an assertion (with ``python -O``, by the lookup behind it). There is
    nothing to be collected yet.
    """
    while True:
        try:
            rows = yield from bps.collect(flyer, name="primary", return_payload=True)
        except (AssertionError, KeyError):
            return False
        if cast("object", rows) is not None:
            return True
        if not (yield from is_carried_out()):
            return False


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
    try:
        while not (yield from bps.declare_stream(device, name=name, collect=collect)):
            if not (yield from is_carried_out()):
                return
    except EventModelValidationError as err:
        raise IllegalTransitionError(
            f"the open run has a stream {name!r} of other devices, but {device.name} "
            "needs a stream of that name: read the other devices into a stream of "
            "another name"
        ) from err


def hand_out(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Collect every line that waits, with one checkpoint for each line.

    Parameters
    ----------
    flyer
        The flyer; its streams must be declared.
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
        The flyer, in any state.
    """
    flyer.stop()
    for _ in range(round(END_PATIENCE_S / _REST_POLL_S)):
        if not flyer.is_flying:
            break
        yield from bps.sleep(_REST_POLL_S)
    if flyer.has_page:  # one that the interruption may have cut off
        yield from _collect_page(flyer)
    yield from hand_out(flyer)


@device_names(flyer=FLYERS)
def fly_lines(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Fly what `flyer` is prepared for, in an open run, and hand out each line.

    A hard or deferred pause is possible at any point. Nothing is replayed on resume,
    because the flyer itself knows where to go on. Bluesky's own loops end early after
    a pause, because the RunEngine forgets what it was waiting for.

    Parameters
    ----------
    flyer
        The flyer, staged and prepared.

    Raises
    ------
    ScanPortError
        If the flight fails. What was measured until then has been handed out.
    """

    def flight() -> MsgGenerator[None]:
        yield from declare_streams(flyer)
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.checkpoint()
        group = f"flight-{uuid.uuid4()}"
        status = yield from bps.complete(flyer, group=group)
        if cast("object", status) is None:  # a simulator's: nothing flies
            return
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


def by_name(plan: MsgGenerator[_T]) -> MsgGenerator[_T]:
    """Let a plan fail with the original error, not with that of the failed status.

    Parameters
    ----------
    plan
        A plan that waits for our devices.
    """
    try:
        return (yield from plan)
    except FailedStatus as error:
        if isinstance(error.__cause__, AefiError):
            raise error.__cause__ from None
        raise


def read_results(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Read the images and the outcome of a flight that is over.

    Parameters
    ----------
    flyer
        The flyer, whose flight must be over.
    """
    first_of_run = not flyer.map_stream.is_described
    for stream, name in ((flyer.map_stream, "maps"), (flyer.health_stream, "health")):
        if first_of_run:
            yield from _declare(stream, name, collect=False)
        yield from bps.create(name)
        yield from bps.read(stream)
        yield from bps.save()


def fly_to_results(flyer: AefiFlyer) -> MsgGenerator[None]:
    """Fly as `fly_lines` does, then read images and outcome, however it ends.

    Parameters
    ----------
    flyer
        The flyer, staged and prepared.

    Raises
    ------
    ScanPortError
        If the flight fails. What was measured until then has been handed out.
    """

    def results(_error: Exception | None = None) -> MsgGenerator[None]:
        if flyer.results is not None:
            yield from read_results(flyer)

    yield from bpp.contingency_wrapper(
        fly_lines(flyer), except_plan=results, else_plan=results
    )


@device_names(flyer=FLYERS)
def fly_in_run(flyer: AefiFlyer, plan: FlightPlan) -> MsgGenerator[None]:
    """Fly in a run that is open, as often as you like, between any other messages.

    All flights of a run share its streams, which the first one declares: their rows
    follow each other, and the n-th rows of ``maps`` and ``health`` are those of the
    n-th flight. Each flight has a sample file of its own. After a pause, messages
    before the flight are not replayed.

    Parameters
    ----------
    flyer
        The flyer, staged.
    plan
        The plan to fly, from ``flyer.plan(spec)``. All flights of a run must have maps
        of the same shape.

    Raises
    ------
    IllegalTransitionError
        If a flight is under way, or the run has other streams of these names, or its
        maps have another shape. Nothing has moved.
    ScanPortError
        If the flight fails. What was measured until then has been handed out.
    """

    def flight() -> MsgGenerator[None]:
        yield from bps.prepare(flyer, plan, wait=True)
        yield from fly_to_results(flyer)

    yield from bpp.rewindable_wrapper(flight(), False)
