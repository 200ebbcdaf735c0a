"""A tutorial is true: what it says to type gives what it says comes out."""

import contextlib
import doctest
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pytest

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]

STEP = re.compile(
    r"^```python\n(?P<cell>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?"
    r"|^```console\n(?P<console>.*?)^```\n",
    re.MULTILINE | re.DOTALL,
)
"""A cell and what it shows, if the page has that right below; or shell commands."""

COMMAND = re.compile(r"^\$ (?P<words>.*)\n(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)

DRESS = re.compile(r"^Out\[\d+\]: |\x1b\[[0-9;]*m", re.MULTILINE)
"""What IPython puts before a value, and its colours."""

SHELL = re.compile(r"(?:^|`)aefi (shell [^\n`]*)", re.MULTILINE)
"""A session to be opened, in a block or in the text."""

LEAVE = "exit\n"

HOST = """
import contextlib, io, json, sys
for _cell in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()) as _shown:
        _done = get_ipython().run_cell(json.loads(_cell), store_history=False)
    vars(sys).pop("last_value", None)
    print(json.dumps([_done.success, _shown.getvalue()]), flush=True)
"""
"""What the prompt runs: a line in is a cell, a line out is how it went."""


@dataclass
class Prompt:
    """``aefi shell --virtual``, at which cells are typed.

    Parameters
    ----------
    process
        The shell; it runs `HOST`.
    """

    process: subprocess.Popen

    def type(self, cell):
        """Run a cell; return whether it succeeded, and what it showed."""
        self.process.stdin.write(json.dumps(cell) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the session ended at:\n{cell}"
        return json.loads(line)

    def leave(self):
        """End the session; return its exit status."""
        try:
            self.process.communicate(timeout=60)
        finally:
            self.process.kill()  # nothing, if it has ended
        return self.process.returncode


@dataclass
class Desk:
    """Where somebody follows a tutorial: a home of their own, and a prompt.

    In virtual time, so that ``--sim`` of the page is ``--virtual`` here.

    Parameters
    ----------
    home
        The home folder, where commands are run.
    shells
        What the page says to open each session by, in order.
    """

    home: Path
    shells: Iterator[str]
    prompt: Prompt | None = None

    def command(self, *words):
        return [sys.executable, "-m", "aefi_bluesky", *words]

    @property
    def environment(self):
        kept = {k: v for k, v in os.environ.items() if k != "XDG_DATA_HOME"}
        # The fonts that matplotlib has found take long to find.
        fonts = {"MPLCONFIGDIR": mpl.get_configdir()}
        return {**kept, **fonts, "HOME": str(self.home), "USER": "ann"}

    def type(self, cell, shown):
        if cell == LEAVE:
            prompt, self.prompt = self.prompt, None
            assert prompt.leave() == 0
            return
        if self.prompt is None:
            self.prompt = Prompt(
                subprocess.Popen(
                    self.command(*in_virtual_time(next(self.shells)), "-c", HOST),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=self.home,
                    env=self.environment,
                )
            )
        succeeded, said = self.prompt.type(cell)
        if shown is None:
            assert succeeded, said
        else:
            check(cell, shown, DRESS.sub("", said))

    def enter(self, line, shown):
        program, *words = (w.replace("~", str(self.home)) for w in shlex.split(line))
        assert program == "aefi", "commands of a tutorial are ours"
        done = subprocess.run(
            self.command(*in_virtual_time(shlex.join(words))),
            capture_output=True,
            text=True,
            cwd=self.home,
            env=self.environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if shown:
            check(line, shown, done.stdout.replace(str(self.home), "~"))

    def close(self):
        if self.prompt is not None:
            self.prompt.leave()


def in_virtual_time(line):
    return ["--virtual" if word == "--sim" else word for word in shlex.split(line)]


def check(typed, wanted, got):
    """Compare; ``...`` stands for anything, one blank for any number of them."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(wanted.strip(), got.strip(), flags)
    assert same, f"{typed}\nshows:\n{got}\nthe page says:\n{wanted}"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(path, id=path.stem)
        for path in sorted(ROOT.glob("docs/tutorials/*.md"))
        if path.stem != "index"
    ],
)
def test_what_a_tutorial_says_comes_out(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    steps = list(STEP.finditer(text))
    assert steps
    with contextlib.closing(Desk(tmp_path, iter(SHELL.findall(text)))) as desk:
        for step in steps:
            if step["cell"] is not None:
                desk.type(step["cell"], step["shown"])
                continue
            for command in COMMAND.finditer(step["console"]):
                desk.enter(command["words"], command["shown"])
