"""What a machine lacks is said in a sentence each, before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "sed", "sort", "head", "tr", "dirname", "id", "env", "printf")


@pytest.fixture
def machine(tmp_path):
    """A machine as its PATH is: what `install` gave it, and the tools of any system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)

    class Machine:
        path = folder

        def install(self, name, script):
            program = folder / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)

        def lacks(self, what):
            done = subprocess.run(
                [ROOT / ".ci" / "needs", what],
                env={"PATH": str(folder)},
                capture_output=True,
                text=True,
                timeout=30,
            )
            told = done.stderr.splitlines()
            assert done.stdout == ""
            assert all(line.startswith("missing: ") for line in told)
            assert done.returncode == int(bool(told))
            return told

    whole = Machine()
    whole.install("python3", f'exec {sys.executable} "$@"')
    whole.install("cargo", "echo 'cargo 1.95.0 (f2d3ce0bd 2026-03-21)'")
    whole.install("cc", "")
    whole.install("redis-server", "")
    whole.install("id", "echo 1000")
    return whole


def test_a_whole_machine_lacks_nothing(machine):
    assert machine.lacks("user") == machine.lacks("tests") == []


@pytest.mark.parametrize(
    ("program", "script", "sentence"),
    [
        ("python3", "echo Python 3.9.2", "Python 3.11 or later; 'python3' is 3.9.2"),
        ("python3", "exit 127", "Python 3.11 or later; 'python3' was not found"),
        (
            "python3",
            '[ "$1" = --version ] && echo Python 3.12.1',
            "the venv module of Python 3.12.1",
        ),
        ("cargo", "echo 'cargo 1.63.0'", "Rust 1.89 or later; 'cargo' is 1.63.0"),
        ("cargo", "exit 1", "Rust 1.89 or later; 'cargo' was not found"),
    ],
)
def test_what_is_too_old_or_absent_is_named(machine, program, script, sentence):
    machine.install(program, script)
    (told,) = machine.lacks("user")
    assert sentence in told


def test_all_that_is_missing_is_said_at_once(machine):
    for program in ("python3", "cargo", "cc", "redis-server"):
        (Path(machine.path) / program).unlink()
    told = machine.lacks("tests")
    assert len(told) == 4
    assert "redis-server" in told[-1]
    assert len(machine.lacks("user")) == 3


def test_root_of_a_debian_gets_the_servers_by_itself(machine):
    (Path(machine.path) / "redis-server").unlink()
    assert len(machine.lacks("tests")) == 1
    machine.install("id", "echo 0")
    machine.install("apt-get", "")
    assert machine.lacks("tests") == []


# -- what make installs ------------------------------------------------------


def requirements(*options, project=None):
    script = ROOT / ".ci" / "requirements.py"
    if project is not None:
        folder = project / ".ci"
        folder.mkdir(exist_ok=True)
        script = Path(shutil.copy(script, folder))
    done = subprocess.run(
        [sys.executable, script, *options], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_user_gets_nothing_of_a_developers():
    user = requirements("--build", "--user")
    developer = requirements("--group", "dev", "--extra", "qserver")
    assert any(each.startswith("bluesky>=") for each in user)
    assert any(each.startswith("ruff") for each in developer)
    assert not set(user) & set(developer)


def test_only_a_change_of_what_is_installed_changes_a_list(tmp_path):
    text = (ROOT / "pyproject.toml").read_text()
    asked = ("--build", "--user", "--group", "dev")

    def lists(changed):
        (tmp_path / "pyproject.toml").write_text(changed)
        return (
            requirements(*asked, project=tmp_path),
            requirements("--package", project=tmp_path),
        )

    before = lists(text)
    assert lists(text.replace('"PTH"', "").replace("line-length = 88", "")) == before
    more = text.replace('"click>=8.1"', '"click>=8.2"')
    assert more != text
    assert lists(more)[0] != before[0]
    other = text.replace('aefi = "aefi_bluesky.cli:main"', 'aefi = "elsewhere:main"')
    assert lists(other)[1] != before[1]
    assert lists(other)[0] == before[0]


def test_every_tool_that_judges_has_one_version():
    tools = requirements("--group", "tools")
    names = {each.split(">=")[0].split("<")[0] for each in tools}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if "==" in line}
    assert names == pinned, "run 'make constraints'"


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="a source archive has no commits to clone"
)
def test_the_fresh_run_remembers_nothing(tmp_path):
    """Its commands see an empty home and no caches of pip's."""
    seen = 'echo "$HOME:$(ls -A "$HOME"):$PIP_NO_CACHE_DIR:$PIP_FIND_LINKS:$(ls -A)"'
    done = subprocess.run(
        [ROOT / ".ci" / "fresh", seen],
        env={**os.environ, "PIP_FIND_LINKS": "/opt/wheels", "AEFI_FOLDER": "/x"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("/"))
    home, content, no_cache, wheels, *_ = line.split(":")
    assert home != os.environ["HOME"]
    assert (content, no_cache, wheels) == ("", "1", "")
    assert ".venv" not in done.stdout.replace(".venv-quick", "")
    assert not Path(home).exists()
