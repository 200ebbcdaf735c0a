"""The Python in the documents runs; that of tutorials in `test_tutorials`.

It runs where the wheel is installed with what the page names, and nothing more.
"""

import re
import subprocess
from pathlib import Path

import pytest
import wheel_environment

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^python - <<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)
OTHER_CLIENTS = ROOT / "docs/how-to/use-the-simulated-bench-from-other-clients.md"


def pages():
    found = {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")}
    for page in sorted(found - {*ROOT.glob("docs/tutorials/*.md")}):
        text = page.read_text(encoding="utf-8")
        if BLOCK.search(text):
            yield pytest.param(text, id=str(page.relative_to(ROOT)))


def run(python, program, folder):
    done = subprocess.run(
        (python, "-c", program), cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", list(pages()))
def test_a_pages_code_runs_as_one_program(page, tmp_path):
    python = wheel_environment.make(tmp_path, wheel_environment.named_packages(page))
    # A page is read from its beginning: so its blocks are one program.
    run(python, "\n".join(BLOCK.findall(page)), tmp_path)


def test_the_environment_has_nothing_that_a_page_does_not_name(tmp_path):
    python = wheel_environment.make(tmp_path, [])
    done = subprocess.run((python, "-c", "import serial"), capture_output=True)
    assert b"No module named 'serial'" in done.stderr


def test_another_client_reaches_the_simulated_bench_as_its_page_says(tmp_path):
    page = OTHER_CLIENTS.read_text(encoding="utf-8")
    python = wheel_environment.make(tmp_path, wheel_environment.named_packages(page))
    links = tmp_path / "bench"
    (program,) = TYPED.findall(page)
    command = (python, "-m", "aefi_bluesky", "sim", "--links", str(links))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bench:
        try:
            while not (links / "stage").exists():
                assert bench.poll() is None
            shown = run(python, program.replace("/tmp/bench", str(links)), tmp_path)
        finally:
            bench.terminate()
    assert shown == "b'4EX00\\r'\n"
