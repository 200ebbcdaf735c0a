"""A person's prompt waits for Tiled and gets a link that opens; a queue does not."""

from types import SimpleNamespace

import pytest

from aefi_bluesky.session.run_links import STORING_PATIENCE_S, RunLinks
from aefi_bluesky.storage.tiled.server import TiledServer


class Writer:
    """Notes how long it was waited for."""

    def __init__(self, *, stores=True, using_backup=False):
        self.health = SimpleNamespace(using_backup=using_backup)
        self.waits = []
        self._stores = stores

    def flush(self, timeout_s):
        self.waits.append(timeout_s)
        return self._stores


@pytest.fixture
def say(tmp_path, capsys):
    """Says where the run ``uid`` is; returns the lines."""
    server = TiledServer(tmp_path / "tiled", tmp_path)
    server._port, server._api_key = 8000, "secret"

    def say(writer, *, attended):
        session = SimpleNamespace(writer=writer, browse_url=server.browse_url)
        RunLinks(session, attended=attended)("stop", {"run_start": "uid"})
        return capsys.readouterr().out.splitlines()

    return say


PAGE = "Tiled: http://127.0.0.1:8000/ui/browse/uid"


def test_a_person_gets_a_link_that_opens_the_stored_run(say):
    writer = Writer()
    assert say(writer, attended=True) == [f"{PAGE}?api_key=secret"]
    assert writer.waits == [STORING_PATIENCE_S]


def test_a_person_is_told_that_tiled_is_slow_and_does_not_wait_for_a_dead_one(say):
    slow, *link = say(Writer(stores=False), attended=True)
    assert "still storing" in slow
    assert link == [f"{PAGE}?api_key=secret"]
    dead = Writer(stores=False, using_backup=True)
    assert len(say(dead, attended=True)) == 1
    assert dead.waits == []


def test_a_queue_does_not_wait_and_gets_no_key(say):
    writer = Writer(stores=False)
    assert say(writer, attended=False) == [PAGE]
    assert writer.waits == []
