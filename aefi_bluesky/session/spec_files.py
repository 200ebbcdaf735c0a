"""Scan specs as files of plain JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.formats import ScanSpec, from_plain, to_plain


def read_spec(source: Path | TextIO) -> ScanSpec:
    """Read what `write_spec` wrote, or a person.

    Parameters
    ----------
    source
        The file; or an open one, such as standard input.

    Raises
    ------
    InvalidScanSpecError
        If there is no such file, it is no JSON, a key is unknown, twice there or
        missing, or a value is wrong.
    """
    name = source if isinstance(source, Path) else source.name
    try:
        return from_plain(_plain(source))
    except OSError as err:
        raise InvalidScanSpecError(f"spec file {name} cannot be read: {err}") from err
    except InvalidScanSpecError as err:
        raise InvalidScanSpecError(f"spec file {name}: {err}") from err
    # Besides syntax: text that is no UTF-8, digits or brackets without end.
    except (ValueError, RecursionError) as err:
        raise InvalidScanSpecError(f"spec file {name} is no JSON: {err}") from err


def _plain(source: Path | TextIO) -> Any:
    text = (
        source.read_text(encoding="utf-8")
        if isinstance(source, Path)
        else source.read()
    )
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; JSON itself would take the last of two values in silence."""
    plain = dict(pairs)
    if len(plain) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidScanSpecError(f"key {twice!r} appears twice")
    return plain


def write_spec(spec: ScanSpec, path: Path) -> None:
    """Write `spec` to a file that `read_spec` reads."""
    path.write_text(json.dumps(to_plain(spec), indent=2) + "\n", encoding="utf-8")
