"""What a person chooses of a session by a word, as a variable or an argument."""

from __future__ import annotations

import os
from typing import Literal, get_args

from aefi_bluesky.domain.errors import ConfigurationError

BenchKind = Literal["real", "ptys", "virtual"]
"""The bench: real ports, a simulated one on ptys, or one in virtual time."""


def bench_kind(name: str, asked_by: str) -> BenchKind:
    """Return the kind of bench called `name`.

    Parameters
    ----------
    name
        As somebody wrote it.
    asked_by
        Where; for the message.

    Raises
    ------
    ConfigurationError
        If there is no such kind.
    """
    for kind in get_args(BenchKind):
        if name == kind:
            return kind
    kinds = ", ".join(map(repr, get_args(BenchKind)))
    raise ConfigurationError(f"{asked_by} must be one of {kinds}, was {name!r}")


def yes_or_no(variable: str, *, default: bool) -> bool:
    """Return whether a variable of the environment says yes.

    Raises
    ------
    ConfigurationError
        If it says neither yes nor no.
    """
    word = os.environ.get(variable, "yes" if default else "no")
    if word not in ("yes", "no"):
        raise ConfigurationError(f"{variable} must be 'yes' or 'no', was {word!r}")
    return word == "yes"
