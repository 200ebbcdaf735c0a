"""An install without the checkout flies: the wheel has all that it needs."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_a_wheel_in_a_clean_venv_flies_from_another_folder(tmp_path):
    run(
        *(sys.executable, "-m", "maturin", "build", "--release"),
        *("--out", str(tmp_path / "dist")),
        cwd=ROOT,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    # The stack of this venv, but not the checkout: its path file is left out.
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--no-deps", str(wheel), cwd=tmp_path)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    stack = next(Path(sys.prefix, "lib").glob("python*/site-packages"))
    (site / "stack.pth").write_text(f"{_without_checkout(stack, tmp_path)}\n")
    aefi = tmp_path / "venv" / "bin" / "aefi"
    report = tmp_path / "out.json"
    run(str(aefi), "demo", "--virtual", "--json", str(report), cwd=tmp_path)
    assert json.loads(report.read_text())["read_back_equal"] is True
    where = run(
        *(str(python), "-c", "import aefi_bluesky; print(aefi_bluesky.__file__)"),
        cwd=tmp_path,
    )
    assert Path(where.strip()).is_relative_to(site)


def _without_checkout(stack, tmp_path):
    """Return a folder of links to all installed packages but our own."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for entry in stack.iterdir():
        if not entry.name.startswith("aefi_bluesky"):
            (folder / entry.name).symlink_to(entry)
    return folder
