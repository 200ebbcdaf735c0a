"""``aefi bench startup``: how long a session takes to its prompt."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path

from aefi_bluesky.cli.bench.clients import Figures
from aefi_bluesky.cli.bench.effort import Effort
from aefi_bluesky.cli.bench.load import IDLE
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Cell, Ratio, Row, interleave
from aefi_bluesky.domain.errors import DeviceTimeoutError, DeviceUnavailableError

ABOUT = (
    "Wall time from the command to IPython's prompt, on a terminal, compared with "
    "the time that the imports alone take in a separate Python: those of a prompt, "
    "and those of Tiled's server. The data folder has been used before, except where "
    "the table says 'new'."
)

BARE = {
    "bare prompt": (
        *("-m", "IPython", "--no-banner", "-c"),
        "import bluesky.plans, tiled.client, matplotlib.pyplot, ophyd",
    ),
    "bare server": ("-c", "import tiled.server.app, uvicorn"),
}
"""Python's arguments for the imports alone."""

_PROMPT = b"In [1]:"
_COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE_S = 120.0
_OWN_S = 1.0
"""What a session may take beside its slowest imports."""

_REASON = (
    "server and prompt start at the same time on two cores, and other programs took "
    "a part of these (see foreign CPU)."
)


def measure(effort: Effort) -> Report:
    """Measure sessions in a used and in a new folder, beside the bare imports."""
    with tempfile.TemporaryDirectory(prefix="aefi-bench-") as folder:
        used = Path(folder) / "used"
        _shell(used)
        cells = [
            *(_cell(name, partial(_import, name)) for name in BARE),
            _cell("aefi shell", partial(_shell, used)),
            _cell("aefi shell, new folder", partial(_shell_in_new, Path(folder))),
        ]
        rows = interleave(cells, effort.rounds, effort.budget_s)
    return Report("startup", ABOUT, rows, _targets(*rows[:3]))


def _cell(name: str, measured: partial[Figures]) -> Cell:
    return Cell({"client": name}, IDLE, measured)


def _targets(prompt: Row, server: Row, shell: Row) -> list[Target]:
    if not (prompt.values and server.values and shell.values):
        return []
    longer = max(
        (row.values["wall_s"] for row in (prompt, server)),
        key=lambda spread: spread.median,
    )
    less = Ratio.of(shell.values["less_own_s"], longer)
    name = f"(prompt - {_OWN_S:g} s) / longer bare imports"
    return [Target(name, less, 1.3, False, reason=_REASON)]


def _import(name: str) -> Figures:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *BARE[name]],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    return {"wall_s": time.perf_counter() - began}


def _shell_in_new(folder: Path) -> Figures:
    return _shell(Path(tempfile.mkdtemp(dir=folder)))


def _shell(folder: Path) -> Figures:
    command = [sys.executable, "-m", "aefi_bluesky", "shell", "--sim", "--folder"]
    began = time.perf_counter()
    with _on_terminal([*command, str(folder)]) as terminal:
        _read_until_prompt(terminal)
        wall_s = time.perf_counter() - began
    return {"wall_s": wall_s, "less_own_s": wall_s - _OWN_S}


@contextlib.contextmanager
def _on_terminal(command: list[str]) -> Generator[int]:
    """Yield the near end of a program's terminal; the program is ended on leaving."""
    if sys.platform == "win32":
        raise DeviceUnavailableError("terminals are not available on Windows")
    import pty

    near, far = pty.openpty()
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "TERM": "xterm",
        # Nobody is here who would answer where the cursor is.
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }
    program = subprocess.Popen(
        command,
        stdin=far,
        stdout=far,
        stderr=far,
        env=environment,
        start_new_session=True,
    )
    os.close(far)
    try:
        yield near
    finally:
        program.terminate()
        while program.poll() is None:  # what it prints must not hold it up
            _read(near, 0.1)
        os.close(near)


def _read_until_prompt(terminal: int) -> None:
    printed = b""
    deadline = time.monotonic() + _PATIENCE_S
    while _PROMPT not in _COLOURS.sub(b"", printed):
        if time.monotonic() > deadline:
            raise DeviceTimeoutError(
                f"bench: expected a prompt within {_PATIENCE_S:g} s, was "
                f"{printed[-200:].decode(errors='replace')!r}"
            )
        printed += _read(terminal, 0.5)


def _read(terminal: int, patience_s: float) -> bytes:
    ready, _, _ = select.select([terminal], [], [], patience_s)
    try:
        return os.read(terminal, 65536) if ready else b""
    except OSError:  # its other end is closed
        time.sleep(patience_s)
        return b""
