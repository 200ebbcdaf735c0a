"""Other programs that have a port open."""

import contextlib
import subprocess
import sys


@contextlib.contextmanager
def programs(opening):
    """Yield what starts a program that opens a port, and says so when it has.

    Parameters
    ----------
    opening
        Python that opens the port ``sys.argv[1]``.
    """
    started = []
    code = f"import sys; {opening}; print('open', flush=True); sys.stdin.read()"

    def start(port):
        program = subprocess.Popen(
            [sys.executable, "-c", code, port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(program)
        assert program.stdout.readline() == b"open\n"
        return program

    yield start
    for program in started:
        program.communicate()
