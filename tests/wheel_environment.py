"""A Python that has what the wheel brings, and nothing else of this machine."""

import re
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

import aefi_bluesky

INSTALLED = re.compile(r"pip install '?([^`'#\n]+)")


def named_packages(page):
    """Return what a page tells its reader to install, ours with the page's extras."""
    return [
        Requirement(name)
        for line in INSTALLED.findall(page)
        for name in line.split()
        if name != "."
    ]


def make(folder, requirements):
    """Return the Python of a new environment with our package and `requirements`."""
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "aefi_bluesky").symlink_to(Path(aefi_bluesky.__file__).parent)
    for name in sorted(_closure([Requirement("aefi-bluesky"), *requirements])):
        _link(name, site)
    return folder / "venv" / "bin" / "python"


def _closure(requirements):
    """Return the names of all distributions that `requirements` need."""
    seen = set()
    queue = [(each.name, extra) for each in requirements for extra in _extras(each)]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                queue += [(needed.name, each) for each in _extras(needed)]
    return {name for name, _ in seen}


def _extras(requirement):
    return {"", *requirement.extras}


def _link(name, site):
    """Link the top of what a distribution installed."""
    files = distribution(name).files or ()
    tops = {file.parts[0] for file in files if file.parts[0] not in ("..", "/")}
    stack = Path(str(distribution(name).locate_file(""))).resolve()
    assert stack.is_relative_to(Path(sys.prefix).resolve())
    for top in tops - {"__pycache__", "aefi_bluesky.pth"}:
        # Some share a folder: namespace packages.
        if not (site / top).exists():
            (site / top).symlink_to(stack / top)
