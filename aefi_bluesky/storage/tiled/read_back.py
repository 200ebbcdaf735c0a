"""Whether a run reads back from Tiled as it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]


def differences(run: Any, expected: Mapping[str, Columns]) -> tuple[str, ...]:
    """Compare every column of every stream of a run, bit for bit.

    Parameters
    ----------
    run
        Tiled's client of a run.
    expected
        Stream name to column name to values.

    Returns
    -------
    tuple of str
        One sentence a difference; empty if there is none. Bluesky's own columns
        ``time``, ``seq_num`` and ``ts_*`` are not looked at.
    """
    found = set(run)
    return tuple(
        sentence
        for stream in sorted(found | expected.keys())
        for sentence in _stream_differences(run, stream, stream in found, expected)
    )


def _stream_differences(
    run: Any, stream: str, is_there: bool, expected: Mapping[str, Columns]
) -> Iterator[str]:
    if stream not in expected:
        yield f"stream {stream} is in Tiled and was not expected"
        return
    if not is_there:
        yield f"stream {stream} is not in Tiled"
        return
    client = run[stream]
    found = {name for name in client if not _is_bluesky_own(name)}
    table = _event_table(client)
    for name in sorted(found | expected[stream].keys()):
        column = f"{stream}/{name}"
        if name not in expected[stream]:
            yield f"{column} is in Tiled and was not expected"
        elif name not in found:
            yield f"{column} is not in Tiled"
        else:
            values = table.get(name)
            if values is None:
                values = np.asarray(client[name].read())
            yield from _column_differences(column, values, expected[stream][name])


def _event_table(client: Any) -> Columns:
    """Return the columns that Tiled keeps in one table, read at once."""
    if "internal" not in client.base:
        return {}
    table = client.base["internal"].read()
    return {name: table[name].to_numpy() for name in table.columns}


def _is_bluesky_own(column: str) -> bool:
    return column in ("time", "seq_num") or column.startswith("ts_")


def _column_differences(
    column: str, found: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> Iterator[str]:
    found, expected = _as_text(found), _as_text(np.asarray(expected))
    if not _same_type(found, expected):
        yield f"{column} is {found.dtype} in Tiled, {expected.dtype} was expected"
    elif found.shape != expected.shape:
        yield (
            f"{column} has shape {found.shape} in Tiled, {expected.shape} was expected"
        )
    else:
        differ = np.flatnonzero(_differ(found, expected))
        if len(differ):
            index = np.unravel_index(differ[0], found.shape)
            place = index[0] if len(index) == 1 else tuple(int(i) for i in index)
            yield (
                f"{column} differs in {len(differ)} of {found.size} values, first at "
                f"{place}: {found[index]!r} in Tiled, {expected[index]!r} was expected"
            )


def _as_text(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return strings as numpy's own text; other values as they are."""
    is_text = values.dtype.kind in "UT" or (
        values.dtype.kind == "O" and all(isinstance(item, str) for item in values.flat)
    )
    return values.astype(np.str_) if is_text else values


def _same_type(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> bool:
    """Return whether types agree but for byte order and the length of text."""
    if found.dtype.kind == expected.dtype.kind == "U":
        return True
    return found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")


def _differ(
    found: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Return where two arrays differ: floats by bit pattern, all NaNs alike."""
    if found.dtype.kind != "f":
        return found != expected
    equal = (found == expected) & (np.signbit(found) == np.signbit(expected))
    return ~(equal | (np.isnan(found) & np.isnan(expected)))
