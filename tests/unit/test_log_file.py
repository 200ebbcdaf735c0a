"""What a session logs is in its folder, and warnings are still seen."""

import logging

import pytest

from aefi_bluesky.domain.errors import ConfigurationError, StorageError
from aefi_bluesky.session.log_file import log_to

OURS = logging.getLogger("aefi_bluesky.somewhere")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "session.log"


def test_log_is_a_file_as_long_as_the_session(path):
    handlers = list(logging.getLogger("aefi_bluesky").handlers)
    with log_to(path):
        OURS.info("inside %d", 1)
        OURS.debug("too little")
        logging.getLogger("bluesky.RE").error("a plan failed")
        logging.getLogger("httpx").error("of somebody else")
    OURS.info("outside")
    first, second = path.read_text().splitlines()
    assert first.endswith("INFO aefi_bluesky.somewhere: inside 1")
    assert second.endswith("ERROR bluesky.RE: a plan failed")
    assert logging.getLogger("aefi_bluesky").handlers == handlers
    assert not OURS.isEnabledFor(logging.DEBUG)


def test_level_is_chosen_by_the_environment(path, monkeypatch):
    monkeypatch.setenv("AEFI_LOG_LEVEL", "debug")
    with log_to(path):
        OURS.debug("so little")
    assert "DEBUG" in path.read_text()


def test_unknown_level_is_refused_with_the_nearest(path, monkeypatch):
    monkeypatch.setenv("AEFI_LOG_LEVEL", "warn")
    with pytest.raises(ConfigurationError, match="was 'warn'; did you mean 'WARNING'"):
        log_to(path).__enter__()
    assert not path.exists()


def test_warning_of_ours_is_on_stderr_too(path, monkeypatch, capsys):
    # As in a program: pytest has handlers at the root.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with log_to(path):
        OURS.info("not this")
        OURS.warning("but this")
    assert capsys.readouterr().err == "but this\n"


def test_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        log_to(tmp_path).__enter__()
