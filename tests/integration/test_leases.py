"""The lease of a session: held while a port is needed, and not a moment else."""

import contextlib

import pytest

from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState, ScanRole
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session import Session
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.testing.builders import a_spec, an_object


class CountingLease:
    """Knows who holds it, and may refuse."""

    def __init__(self):
        self.holders, self.given, self.refuses = 0, 0, False

    @contextlib.contextmanager
    def hold(self, owner):
        if self.refuses:
            raise PortBusyError(f"another plugin has the port, not {owner}")
        assert self.holders == 0
        self.holders += 1
        self.given += 1
        yield
        self.holders -= 1


@pytest.fixture
def lease():
    return CountingLease()


@pytest.fixture
def session(tmp_path, lease):
    with Session.open(kind="virtual", folder=tmp_path / "data", lease=lease) as opened:
        yield opened
    assert lease.holders == 0


def test_opening_a_session_needs_no_port(session, lease):
    assert lease.given == 0


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.stage_x.set(605.0).wait(),
        lambda session: session.stage_x.position,
        lambda session: session.sensor.trigger().wait(),
        lambda session: session.excitation.set("off").wait(),
        lambda session: session.port.clear_errors(),
        lambda session: session.RE(fly_map(session.flyer, 600, 605, 2, 590, 600, 3)),
    ],
    ids=["move", "position", "reading", "excitation", "errors", "flight"],
)
def test_whatever_needs_a_port_holds_it_until_it_is_released(session, lease, use):
    use(session)
    assert (lease.holders, lease.given) == (1, 1)
    use(session)
    assert (lease.holders, lease.given) == (1, 1)
    session.port.release()
    assert lease.holders == 0
    session.port.release()
    assert lease.given == 1


def test_a_refused_lease_is_named_and_nothing_moves(session, lease):
    lease.refuses = True
    with pytest.raises(PortBusyError, match="another plugin has the port"):
        session.stage_x.set(605.0)
    lease.refuses = False
    assert session.stage_x.set(605.0).wait() is None


def test_a_scan_that_is_refused_after_the_lease_gives_it_back(
    session, lease, monkeypatch
):
    def busy():
        raise PortBusyError("process 7 has the port")

    monkeypatch.setattr(session.port._connection, "require_free", busy, raising=False)
    with pytest.raises(PortBusyError, match="process 7"), session.port.hold("a test"):
        pass
    assert (lease.holders, lease.given) == (0, 1)


def test_a_scan_gives_the_lease_back_and_a_refused_one_stays_pending(session, lease):
    service, study = study_service(session), StudyId("ball")
    service.create_study(study, an_object(), "me")
    service.configure_study(study)
    service.add_scan(study, ScanId("scan"), a_spec(n_x=2), ScanRole.REFERENCE)
    lease.refuses = True
    with pytest.raises(PortBusyError, match="study 'ball' cannot begin: another"):
        service.execute_next_scan(study)
    assert service.next_scan(study).state is PlannedScanState.PENDING
    lease.refuses = False
    service.execute_next_scan(study)
    assert (lease.holders, lease.given) == (0, 1)
