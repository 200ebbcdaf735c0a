"""Every requirement is imported by the package, or it is said here why it is there."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

NOT_IMPORTED = {
    "databroker": "people's scripts open runs by it; Tiled's client is its successor",
    "bluesky-queueserver-api": "the client that people submit plans with",
}
"""Requirements that no module imports, and why they are there."""


def names(requirements):
    found = (re.match(r"[\w.-]+", each)[0].lower() for each in requirements)
    return {name.replace("_", "-") for name in found}


def imported_distributions():
    modules = set()
    for path in (ROOT / "aefi_bluesky").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    known = packages_distributions()
    return {
        distribution.lower().replace("_", "-")
        for module in modules - sys.stdlib_module_names
        # Windows are in a venv of their own: a module there is called as what has it.
        for distribution in known.get(module, (module,))
    }


@pytest.mark.parametrize(
    "requirement",
    sorted(
        names(PROJECT["dependencies"]).union(
            *map(names, PROJECT["optional-dependencies"].values())
        )
    ),
)
def test_a_requirement_is_imported_or_explained(requirement):
    is_imported = requirement in imported_distributions()
    assert is_imported is not (requirement in NOT_IMPORTED), requirement


def test_what_is_imported_is_required():
    """And not only there because something else brings it."""
    required = names(PROJECT["dependencies"]).union(
        *map(names, PROJECT["optional-dependencies"].values())
    )
    brought = imported_distributions() - required - {"aefi-bluesky"}
    assert brought <= set(BROUGHT), brought - set(BROUGHT)


BROUGHT = {
    "starlette": "tiled[server] is built on it",
    "uvicorn": "tiled[server] is served by it",
    "pandas": "tiled[server] hands tables over as its own",
    "pytest": "the contract suites are for whoever tests an adapter with it",
    "pyserial": "a client that is measured, if it is there",
    "pylablib": "a client that is measured, and a plugin of PyMoDAQ, if it is there",
    "pymodaq-gui": "pymodaq is built on it",
    "pymodaq-utils": "pymodaq is built on it",
    "qtpy": "pymodaq is built on it, whatever binding of Qt is there",
}
"""Distributions that are imported and not required, and why."""
