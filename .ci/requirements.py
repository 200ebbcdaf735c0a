"""Print what of pyproject.toml has to be installed, a requirement a line.

``make`` compares it with what it printed before: a change of a linter's table, or of a
description, installs nothing.

    requirements.py [--build] [--user] [--extra NAME]... [--group NAME]...
    requirements.py --package
"""

import argparse
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def group(groups: dict[str, list[Any]], name: str) -> Iterator[str]:
    """Yield the requirements of a dependency group (PEP 735), included ones too."""
    for each in groups[name]:
        if isinstance(each, str):
            yield each
        else:
            yield from group(groups, each["include-group"])


def main() -> None:
    """Print what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="store_true", help="what the build needs")
    parser.add_argument("--user", action="store_true", help="what a user needs")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME")
    parser.add_argument("--group", action="append", default=[], metavar="NAME")
    parser.add_argument("--package", action="store_true", help="what is installed")
    chosen = parser.parse_args()
    table = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project = table["project"]
    if chosen.package:  # a change of it wants the package installed anew
        told = project["name"], project["version"], project["scripts"]
        told = *told, project["entry-points"]
        print(json.dumps([told, table["tool"]["maturin"]], indent=1))
        return
    found: list[str] = []
    if chosen.build:
        found += table["build-system"]["requires"]
    if chosen.user:
        found += project["dependencies"]
    for name in chosen.extra:
        found += project["optional-dependencies"][name]
    for name in chosen.group:
        found += group(table["dependency-groups"], name)
    print("\n".join(sorted(set(found))))


if __name__ == "__main__":
    main()
