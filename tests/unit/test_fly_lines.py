"""The messages of a flight in a run, answered as a RunEngine does."""

import pytest
from ophyd.status import Status

from aefi_bluesky.domain.errors import DeviceTimeoutError, ScanPortError
from aefi_bluesky.plans.stubs import END_PATIENCE_S, come_to_rest, fly_in_run, fly_lines


class Stream:
    def __init__(self, name):
        self.name = name
        self.is_described = False

    def require_described_shape(self):
        pass

    forget_description = require_described_shape


class Flyer(Stream):
    """Never flies; has as many pages as it is given."""

    def __init__(self, pages=0, *, is_flying=False):
        super().__init__("flyer")
        self.pages = pages
        self.is_flying = is_flying
        self.results = object()
        self.status = Status()
        for name in ("line", "reading", "fix", "map", "health"):
            setattr(self, f"{name}_stream", Stream(name))

    @property
    def has_page(self):
        return False

    def next_page(self):
        self.pages -= 1
        return self.pages >= 0

    def stop(self):
        pass

    def complete(self):
        return self.status


def answered(plan, flyer):
    """Return all messages of a plan."""
    messages, answer = [], None
    while True:
        try:
            message = plan.send(answer)
        except StopIteration:
            return messages
        messages.append(message)
        answer = {
            "rewindable": True,
            "collect": [],
            "complete": flyer.status,
            "prepare": flyer.status,
            "declare_stream": ["descriptor"],
        }.get(message.command)


def ended(flyer, error=None):
    if error is None:
        flyer.status.set_finished()
    else:
        flyer.status.set_exception(error)
    assert flyer.status.exception(1) is error
    return flyer


def test_nothing_of_a_flight_is_replayed():
    flyer = ended(Flyer())
    for plan in (fly_lines(flyer), fly_in_run(flyer, object())):
        messages = answered(plan, flyer)
        first, last = messages[1], messages[-1]
        assert (first.command, first.args) == ("rewindable", (False,))
        assert (last.command, last.args) == ("rewindable", (True,))


def test_a_flight_begins_when_the_flyer_is_prepared():
    flyer = ended(Flyer())
    plan = object()
    commands = [
        (each.command, each.args) for each in answered(fly_in_run(flyer, plan), flyer)
    ]
    at = commands.index(("prepare", (plan,)))
    assert commands[at + 1][0] == "wait"


def test_every_page_is_emitted_and_none_is_handed_back():
    flyer = ended(Flyer(pages=3))
    messages = answered(fly_lines(flyer), flyer)
    collected = [
        each
        for each in messages
        if each.command == "collect" and not each.kwargs["return_payload"]
    ]
    assert [each.kwargs["name"] for each in collected] == [
        *("primary", "lines", "readings", "fixes")
    ] * 3


@pytest.mark.parametrize("error", [DeviceTimeoutError("stage"), None])
def test_a_flight_fails_with_the_error_of_its_status(error):
    flyer = Flyer()
    if error is None:
        # A status that says no more than that.
        flyer.status = type("Failed", (), {"done": True, "success": False})()
        flyer.status.exception = lambda timeout=None: None
    else:
        ended(flyer, error)
    with pytest.raises(ScanPortError) as raised:
        answered(fly_lines(flyer), flyer)
    assert error is None or raised.value is error


def test_a_flight_that_does_not_come_to_rest_is_waited_for_so_long():
    flyer = Flyer(is_flying=True)
    messages = answered(come_to_rest(flyer), flyer)
    slept = [each.args[0] for each in messages if each.command == "sleep"]
    assert sum(slept) == pytest.approx(END_PATIENCE_S)


def test_a_flyer_at_rest_is_not_waited_for():
    assert answered(come_to_rest(Flyer()), Flyer()) == []
