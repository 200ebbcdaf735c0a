"""The log of a session, a file in its data folder."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Generator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from aefi_bluesky.domain.errors import ConfigurationError, StorageError
from aefi_bluesky.domain.plain_values import nearest_hint

LEVEL_VARIABLE = "AEFI_LOG_LEVEL"
"""Names the least level that is kept; INFO where it is not set."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_LOGGERS = ("aefi_bluesky", "bluesky", "ophyd")
_LARGEST_BYTES = 5_000_000
_KEPT_FILES = 3
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


@contextlib.contextmanager
def log_to(path: Path) -> Generator[None]:
    """Log to a file inside the context; warnings of ours go to stderr as before.

    Parameters
    ----------
    path
        The file; it is begun anew at 5 MB, and three older ones are kept beside it.

    Raises
    ------
    ConfigurationError
        If ``AEFI_LOG_LEVEL`` names no level.
    StorageError
        If the file can't be written.
    """
    level = _chosen_level()
    try:
        file = RotatingFileHandler(
            path, maxBytes=_LARGEST_BYTES, backupCount=_KEPT_FILES, encoding="utf-8"
        )
    except OSError as err:
        raise StorageError(f"log {path} cannot be written: {err.strerror}") from err
    file.setLevel(level)
    file.setFormatter(logging.Formatter(_FORMAT))
    ours = logging.getLogger("aefi_bluesky")
    before = ours.level
    with contextlib.ExitStack() as stack:
        stack.callback(file.close)
        for name in _LOGGERS:
            _attach(stack, logging.getLogger(name), file)
        ours.setLevel(level)
        stack.callback(ours.setLevel, before)
        if logging.lastResort is not None and not logging.getLogger().handlers:
            # Python's own, which it leaves out where a logger has a handler.
            _attach(stack, ours, logging.lastResort)
        yield


def _attach(
    stack: contextlib.ExitStack, logger: logging.Logger, handler: logging.Handler
) -> None:
    logger.addHandler(handler)
    stack.callback(logger.removeHandler, handler)


def _chosen_level() -> str:
    chosen = os.environ.get(LEVEL_VARIABLE) or "INFO"
    level = chosen.upper()
    if level not in LEVELS:
        raise ConfigurationError(
            f"{LEVEL_VARIABLE} must be one of {', '.join(LEVELS)}, was {chosen!r}"
            f"{nearest_hint(level, LEVELS)}"
        )
    return level
