"""A mapping kept in one small JSON file."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from aefi_bluesky.domain.errors import InvalidMetadataError, StorageError


class JsonDict(MutableMapping[str, Any]):
    """A dictionary that is in its file whenever an item of it was set or deleted.

    What is changed inside a value is seen at the next such moment: the RunEngine sets
    ``scan_id`` when a run opens, and so saves what was done to nested values before.
    The file is replaced as a whole. It belongs to one process at a time.

    Parameters
    ----------
    path
        The file; made at the first change. Its folder exists.

    Raises
    ------
    StorageError
        If the file can't be read, or is no JSON object.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = _read(path)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, key: str, value: Any) -> None:
        """Set an item and save all of them.

        Raises
        ------
        InvalidMetadataError
            If this or a nested value is no plain JSON; names its key. The item is
            not set.
        StorageError
            If the file can't be written; the item is not set.
        """
        self._replace({**self._values, key: value})

    def __delitem__(self, key: str) -> None:
        """Delete an item and save the others; see `__setitem__`."""
        left = dict(self._values)
        del left[key]
        self._replace(left)

    def __repr__(self) -> str:
        return repr(self._values)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        # The RunEngine copies its metadata into a document: no second writer of
        # the file comes of it.
        return copy.deepcopy(self._values, memo)

    def _replace(self, values: dict[str, Any]) -> None:
        _require_plain(self._path, "", values)
        _write(self._path, json.dumps(values, indent=2, allow_nan=False))
        self._values = values


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise StorageError(f"metadata {path} cannot be read: {err.strerror}") from err
    except ValueError as err:
        # Begun anew, scan ids would be given twice.
        raise StorageError(
            f"metadata {path} is no JSON: {err}; mend it, or move it away and set "
            "RE.md['scan_id'] to the last one used"
        ) from err
    if not isinstance(values, dict):
        raise StorageError(f"metadata {path} must be a JSON object, was {values!r}")
    return values


def _write(path: Path, text: str) -> None:
    """Replace the file by one that is whole and on the disk."""
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as err:
        raise StorageError(f"metadata {path} cannot be written: {err}") from err


def _require_plain(path: Path, key: str, value: Any) -> None:
    """Refuse what JSON would not give back equal: it would be lost in silence."""
    if isinstance(value, dict):
        for name, item in value.items():
            within = f"{key}.{name}" if key else str(name)
            if not isinstance(name, str):
                raise _not_plain(path, within, "its key must be text", name)
            _require_plain(path, within, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_plain(path, f"{key}[{index}]", item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _not_plain(path, key, "a number must be finite", value)
    elif type(value) not in (str, bool, int, float, type(None)):
        kinds = "text, a bool, a number, None, or a list or dict of these"
        raise _not_plain(path, key, f"the value must be {kinds}", value)


def _not_plain(path: Path, key: str, rule: str, value: object) -> InvalidMetadataError:
    return InvalidMetadataError(
        f"metadata key {key!r} can't be kept in {path}: {rule}, "
        f"was {value!r} of type {type(value).__name__}"
    )
