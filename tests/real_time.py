"""Waiting for a real-time bench, and demos as a person starts them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import serial
from simulator_log import SimulatorLog

LINE_SPEED = 1500
"""Speed in the lines of the demo's map and the tests', in steps/s: 32.7 mm/s."""

PATIENCE_S = 60.0


def wait_until(condition, what, patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}"
        time.sleep(0.05)


def is_in_second_line(truth):
    """Whether the simulated stage crosses its second window now."""
    if not truth.exists():
        return False
    return SimulatorLog.read(truth).cruises("y", LINE_SPEED) == (2, True)


def opens_exclusively(port):
    with serial.Serial(port, 115200, exclusive=True):
        return True


class Program:
    """A command of ``aefi`` on the simulated bench, as a process."""

    def __init__(self, command, folder, *options, key="", **popen):
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "aefi_bluesky", *command.split()),
                *("--folder", str(folder), *options),
            ],
            text=True,
            env={**os.environ, "TILED_API_KEY": key},
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **popen,
            },
        )
        self.out = self.err = ""

    @property
    def truth(self):
        return self.folder / "truth.jsonl"

    def wait_for_second_line(self):
        self.wait_until(lambda: is_in_second_line(self.truth), "the second line")

    def send(self, number):
        self.process.send_signal(number)

    def finish(self):
        """Wait for the end; return the exit status."""
        self.out, self.err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode

    def children(self):
        """Processes that are left and have to do with the demo's folder."""
        left = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = file.read_bytes().decode(errors="replace")
                place = str(file.with_name("cwd").readlink())
            except OSError:  # it ended while we looked
                continue
            if str(self.folder) in words + place:
                left.append(words)
        return left

    def wait_until(self, condition, what):
        """Wait; fail at once if the program ends before."""
        wait_until(lambda: condition() or self.process.poll() is not None, what)
        assert self.process.poll() is None, (self.finish(), self.out, self.err)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Terminal:
    """A terminal of a program's own, and what the program prints to it."""

    def __init__(self):
        self._ours, self.theirs = pty.openpty()
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        # Until the last one who has the other end open is gone, or we are.
        with contextlib.suppress(OSError):
            while data := os.read(self._ours, 4096):
                self.text += data.decode(errors="replace")

    def owned(self):
        """What makes a process of a new session the owner of this terminal."""
        return {
            **dict.fromkeys(("stdin", "stdout", "stderr"), self.theirs),
            "start_new_session": True,
            "preexec_fn": self._own,
        }

    @staticmethod
    def _own():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # Ignored by what is run under nohup, as these tests may be.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def type(self, line):
        os.write(self._ours, f"{line}\r".encode())

    def close(self):
        """Hang up."""
        for end in (self.theirs, self._ours):
            with contextlib.suppress(OSError):
                os.close(end)
        self._reader.join()


class Demo(Program):
    """``aefi demo`` as a process."""

    def __init__(self, folder, *options, **popen):
        super().__init__("demo", folder, *options, **popen)


class Shell(Program):
    """``aefi shell --sim -c CODE`` as a process."""

    def __init__(self, folder, code, *options, **popen):
        super().__init__("shell", folder, "--sim", "-c", code, *options, **popen)
