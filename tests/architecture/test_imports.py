"""Imports point inwards, in Python and in Rust."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "aefi_bluesky"
NATIVE = "aefi_bluesky.engine._native"


def python_files(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_from(source: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the full names of everything that `source` imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = node.level - is_package
            base = module.split(".")[: -up or None] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif _is_dynamic_import(node):
            yield node.args[0].value


def _is_dynamic_import(node: ast.AST) -> bool:
    """Return whether `node` is ``import_module("...")`` or ``__import__("...")``."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def imports(path: Path) -> set[str]:
    is_package = path.name == "__init__.py"
    return set(
        imported_from(path.read_text(), module_name(path), is_package=is_package)
    )


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_imports_are_found_in_all_their_forms():
    source = """
import a.b as c
from ..engine import _native
from . import chunks
def late():
    from aefi_bluesky.engine._native import Flight
    importlib.import_module("aefi_bluesky.session")
"""
    found = set(imported_from(source, "aefi_bluesky.views.console", is_package=False))
    assert found >= {
        "a.b",
        NATIVE,
        "aefi_bluesky.views.chunks",
        f"{NATIVE}.Flight",
        "aefi_bluesky.session",
    }
    inside = set(
        imported_from("from . import x", "aefi_bluesky.views", is_package=True)
    )
    assert "aefi_bluesky.views.x" in inside


@pytest.mark.parametrize("path", python_files("domain"), ids=module_name)
def test_domain_imports_the_standard_library_and_numpy_only(path):
    foreign = {
        name
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names | {"numpy"}
        and not is_within(name, "aefi_bluesky.domain")
    }
    assert not foreign


@pytest.mark.parametrize("path", python_files("application"), ids=module_name)
def test_application_imports_the_domain_only(path):
    foreign = {
        name
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not is_within(name, "aefi_bluesky.domain")
        and not is_within(name, "aefi_bluesky.application")
    }
    assert not foreign


@pytest.mark.parametrize("path", python_files("."), ids=module_name)
def test_native_module_is_imported_by_the_engine_and_the_session_only(path):
    if path.relative_to(PACKAGE).parts[0] in ("engine", "session", "session.py"):
        return
    assert not {name for name in imports(path) if is_within(name, NATIVE)}


@pytest.mark.parametrize("path", python_files("plans"), ids=module_name)
def test_plans_keep_their_annotations(path):
    # The queue server reads the annotations of plans: as text they say nothing.
    assert "__future__.annotations" not in imports(path)


def test_import_contracts_are_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rust_files(crate: str) -> list[Path]:
    return sorted((ROOT / "rust" / crate).rglob("*.rs"))


def rust_code(path: Path) -> str:
    """Return a Rust file without its line comments."""
    return re.sub(r"//.*", "", path.read_text())


def test_engine_knows_no_python():
    crate = ROOT / "rust" / "aefi-scan-engine"
    files = [crate / "Cargo.toml", *rust_files("aefi-scan-engine")]
    assert len(files) > 1
    named = [file for file in files if re.search(r"pyo3|python", rust_code(file), re.I)]
    assert not named


def test_simulated_bench_shares_no_protocol_code_with_the_engine():
    used = set()
    for path in rust_files("aefi-bench-sim"):
        code = rust_code(path)
        uses = re.findall(r"\baefi_scan_engine\b(?:::(?:\{([^}]*)\}|(\w+)))?", code)
        for group, single in uses:
            used |= {name.strip() for name in (group or single).split(",")}
    # An empty name stands for the whole crate; a trailing comma leaves one too.
    assert used <= {"Nanos", "Link", "VirtualBench"}
    assert used


def test_who_needs_no_window_gets_no_window_library():
    """Qt's choice of a binding is made by whoever opens a window."""
    program = (
        "import os, sys\n"
        "import aefi_bluesky, aefi_bluesky.session, aefi_bluesky.plans\n"
        "import aefi_bluesky.views.presenter, aefi_bluesky.views.pymodaq.spec_tree\n"
        "windows = {'PyQt5', 'PyQt6', 'PySide2', 'PySide6', 'pymodaq', 'pymodaq_gui',\n"
        "           'pyqtgraph', 'qtpy'}\n"
        "print('QT_API' in os.environ, windows & set(sys.modules))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "QT_API"}
    done = subprocess.run(
        (sys.executable, "-c", program),
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout.strip() == "False set()", done.stderr
