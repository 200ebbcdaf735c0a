"""The table of commands says what the commands themselves say."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from aefi_bluesky.cli import COMMANDS, aefi

CONTEXT = click.Context(aefi)


@pytest.mark.parametrize("name", COMMANDS)
def test_table_agrees_with_the_command(name):
    command = aefi.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=1000) == COMMANDS[name].short_help


def test_help_lists_every_command():
    listed = CliRunner().invoke(aefi, ["--help"]).output
    words = listed.split("Commands:")[1].split()
    for name, command in COMMANDS.items():
        assert name in words
        assert " ".join(command.short_help.split()) in " ".join(words)


def test_unknown_command_is_refused_by_name():
    done = CliRunner().invoke(aefi, ["fly"])
    assert done.exit_code == 2
    assert "No such command 'fly'" in done.output


def test_help_imports_no_command():
    code = (
        "import sys; from click.testing import CliRunner; from aefi_bluesky.cli"
        " import COMMANDS, aefi; CliRunner().invoke(aefi, ['--help']);"
        "print([c.module for c in COMMANDS.values() if c.module in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
