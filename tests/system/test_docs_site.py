"""The documentation's site is built without a warning, and has every public name."""

import importlib
import inspect
import pkgutil
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.ext.autodoc.mock import mock
from sphinx.util.inventory import InventoryFile

import aefi_bluesky
from aefi_bluesky import devices, plans

ROOT = Path(__file__).parents[2]
HIDDEN = ("aefi_bluesky.cli", "aefi_bluesky.startup", "aefi_bluesky.profiles")
"""Commands are on a page of their own; the others run a session when imported."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    # A copy: the build writes the pages of the API beside the others.
    source = shutil.copytree(
        ROOT / "docs",
        folder / "docs",
        ignore=shutil.ignore_patterns("_build", "api"),
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    built = subprocess.run(
        [*command, str(source), str(folder / "html")], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def documented(site):
    """Names of the API to the pages that have them."""
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    found = {}
    for domain, names in inventory.data.items():
        if domain.startswith("py:"):
            found |= {name: item.uri.split("#")[0] for name, item in names.items()}
    return found


WINDOWS = runpy.run_path(str(ROOT / "docs" / "conf.py"))["autodoc_mock_imports"]


def public_modules():
    for found in pkgutil.walk_packages(aefi_bluesky.__path__, "aefi_bluesky."):
        hidden = found.name.startswith(HIDDEN) or found.name.endswith("__main__")
        if not hidden and "._" not in found.name:
            # As the site is built: without the windows' libraries.
            with mock(WINDOWS):
                yield importlib.import_module(found.name)


def public_names(module):
    """Classes and functions that are defined in a module, for everybody."""
    for name, value in vars(module).items():
        is_ours = getattr(value, "__module__", None) == module.__name__
        is_public = not name.startswith("_")
        if (
            is_ours
            and is_public
            and (inspect.isclass(value) or inspect.isroutine(value))
        ):
            yield name


@pytest.mark.parametrize("package", [plans, devices])
def test_each_plan_and_each_device_has_a_page(site, documented, package):
    assert package.__all__
    for name in package.__all__:
        page = documented[f"{package.__name__}.{name}"]
        assert name in (site / page).read_text()


def test_every_public_name_is_in_the_reference(site, documented):
    missing = [
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name in public_names(module)
        if f"{module.__name__}.{name}" not in documented
    ]
    assert missing == []


def test_every_command_and_option_is_in_the_reference(site):
    from aefi_bluesky.cli import COMMANDS

    page = (site / "reference" / "command-line.html").read_text()
    for name in COMMANDS:
        assert f'id="aefi-{name}"' in page, name
    assert "--no-object" in page
