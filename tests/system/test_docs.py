"""The Python in the documents runs; that of tutorials in `test_tutorials`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    pages = {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")}
    for page in sorted(pages - {*ROOT.glob("docs/tutorials/*.md")}):
        found = BLOCK.findall(page.read_text(encoding="utf-8"))
        if found:
            # A page is read from its beginning: so its blocks are one program.
            yield pytest.param("\n".join(found), id=str(page.relative_to(ROOT)))


@pytest.mark.parametrize("program", list(blocks()))
def test_a_pages_code_runs_as_one_program(program, tmp_path):
    done = subprocess.run(
        (sys.executable, "-c", program), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
