"""What a person chooses of a session by a word, as a variable or an argument."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.session.folders import user_folder

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


@dataclass(frozen=True, slots=True)
class SessionChoices:
    """What the environment chooses of a session; see `aefi_bluesky.startup`.

    Parameters
    ----------
    kind
        The bench.
    bench
        Name of a shipped bench file, or a path.
    folder
        Where data go.
    has_object
        Whether a simulated bench has an object.
    tiled_uri, tiled_key
        Address and key of a Tiled server that already runs; None starts one.
    """

    kind: BenchKind
    bench: str
    folder: Path
    has_object: bool
    tiled_uri: str | None
    tiled_key: str | None

    @classmethod
    def of_environment(cls) -> SessionChoices:
        """Return what the variables of the environment say.

        Raises
        ------
        ConfigurationError
            If one of them has a wrong value.
        """
        kind = bench_kind(os.environ.get("AEFI_BENCH", "real"), "AEFI_BENCH")
        return cls(
            kind=kind,
            bench=os.environ.get("AEFI_BENCH_FILE", shipped_bench(kind)),
            folder=Path(os.environ.get("AEFI_FOLDER", user_folder())),
            has_object=yes_or_no("AEFI_SIMULATED_OBJECT", default=True),
            tiled_uri=os.environ.get("AEFI_TILED_URI"),
            tiled_key=os.environ.get("TILED_API_KEY"),
        )


def shipped_bench(kind: BenchKind) -> str:
    """Return the shipped bench file that is taken where none is named."""
    return "aefi" if kind == "real" else "simulated"
