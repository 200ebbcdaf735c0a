"""A group of commands that imports a command when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is, and what a list of commands says of it.

    Parameters
    ----------
    module
        Module that has the command, by the command's own name.
    short_help
        The command's own, so that a list needs no import.
    """

    module: str
    short_help: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for.

    Parameters
    ----------
    lazy
        The commands by name.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now; None if there is none of this name."""
        found = self.lazy.get(cmd_name)
        return getattr(import_module(found.module), cmd_name) if found else None

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self.lazy[name].short_help) for name in names])
