"""Documents as plain Python values, which JSON can write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

_PLAIN = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return a value with every numpy scalar and array made plain Python.

    Parameters
    ----------
    value
        Anything a document may hold. What is neither plain, numpy nor a container
        is returned as it is.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain_numpy(value)
    return value


def _plain_numpy(value: Any) -> Any:
    bare = value.tolist()
    if value.dtype.hasobject:
        return plain(bare)
    return bare


def json_line(name: str, document: Mapping[str, Any]) -> str:
    """Return a document as one line, in the form of the Tiled plugins' own backup.

    A value that JSON has no word for is written as its ``repr``: better an odd
    value than a lost document.

    Parameters
    ----------
    name
        Kind of document, for example ``start``.
    document
        Its content.
    """
    entry = {"name": name, "doc": plain(document)}
    return json.dumps(entry, default=repr) + "\n"
