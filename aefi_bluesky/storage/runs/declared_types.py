"""The values of a run as its data keys declare them, or wider keys if they don't fit.

Tiled makes a column of the first rows that it gets, and refuses what does not fit in
it later: a motor that begins at 0 and goes on to 0.5 loses all rows but the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

Value = Any
"""What an event holds of one data key."""

_KINDS = ("boolean", "integer", "number", "string")
"""Types of single values; each can hold what those before it can."""

_NUMPY_TYPES = {"boolean": "|b1", "integer": "<i8", "number": "<f8"}
_EXACT = 2.0**53
_INT64 = range(-(2**63), 2**63)


class ColumnTooNarrowError(Exception):
    """A value is not what its data key declares; the key has been made wider.

    What was sent of the run is to be sent again, from its start.
    """


class _Column(Protocol):
    def take(self, value: Value) -> Value:
        """Return the value as the column has it, or raise `_DoesNotFitError`."""
        ...

    def wider(self, value: Value) -> _Column:
        """Return the column that holds this value too."""
        ...

    def declared(self, data_key: Mapping[str, Any]) -> dict[str, Any]:
        """Return a data key that says what the column has."""
        ...


class _DoesNotFitError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Single:
    """A column of single values of one of `_KINDS`."""

    kind: str

    def take(self, value: Value) -> Value:
        if value is None:
            return _nothing(self.kind)
        if not isinstance(value, bool | int | float | str):
            return value  # not single: nobody here knows better than its writer
        match self.kind:
            case "boolean":
                return _boolean(value)
            case "integer":
                return _integer(value)
            case "number":
                return _number(value)
            case _:
                return str(value)

    def wider(self, value: Value) -> _Single:
        columns = map(_Single, _KINDS[_KINDS.index(self.kind) :])
        # The last of them holds everything.
        return next(column for column in columns if _fits(column, value))

    def or_wider(self, other: _Single) -> _Single:
        return max(self, other, key=lambda each: _KINDS.index(each.kind))

    def declared(self, data_key: Mapping[str, Any]) -> dict[str, Any]:
        if data_key["dtype"] == self.kind:
            return dict(data_key)
        changed = {**data_key, "dtype": self.kind}
        changed.pop("dtype_numpy", None)
        if self.kind in _NUMPY_TYPES:
            changed["dtype_numpy"] = _NUMPY_TYPES[self.kind]
        return changed


def _nothing(kind: str) -> Value:
    if kind == "number":
        return math.nan
    if kind == "string":
        return None
    raise _DoesNotFitError


def _boolean(value: Value) -> bool:
    if value not in (0, 1):
        raise _DoesNotFitError
    return bool(value)


def _integer(value: Value) -> int:
    if isinstance(value, float):
        if not (value.is_integer() and abs(value) <= _EXACT):
            raise _DoesNotFitError
    elif isinstance(value, str) or value not in _INT64:
        raise _DoesNotFitError
    return int(value)


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise _DoesNotFitError
    try:
        return float(value)
    except OverflowError as err:
        raise _DoesNotFitError from err


@dataclass(frozen=True, slots=True)
class _Array:
    """A column of arrays with elements of one type."""

    dtype: np.dtype[Any]

    def take(self, value: Value) -> Value:
        found = _array(value)
        if found is None or _same(found, self.dtype):
            return value
        if self.wider(value) == self:
            return value  # the widest there is
        raise _DoesNotFitError

    def wider(self, value: Value) -> _Array:
        found = _array(value)
        return self if found is None else _Array(_promoted(self.dtype, found.dtype))

    def or_wider(self, other: _Array) -> _Array:
        return _Array(_promoted(self.dtype, other.dtype))

    def declared(self, data_key: Mapping[str, Any]) -> dict[str, Any]:
        if "dtype_numpy" not in data_key and self.dtype == np.dtype("<f8"):
            return dict(data_key)  # what no type at all is taken for
        return {**data_key, "dtype_numpy": self.dtype.str}


def _array(value: Value) -> np.ndarray[Any, Any] | None:
    """Return a value as an array; None if it is ragged, or of no type of numpy's."""
    try:
        found = np.asarray(value)
    except ValueError:
        return None
    return found if found.dtype.kind in "biufU" and found.size else None


def _same(found: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> bool:
    try:
        held = found.astype(dtype)
    except (ValueError, OverflowError):
        return False
    if (held.dtype.kind == "U") is not (found.dtype.kind == "U"):
        return False
    is_float = found.dtype.kind == "f" and held.dtype.kind == "f"
    return np.array_equal(held, found, equal_nan=is_float)


def _promoted(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any]:
    both = np.result_type(one, other)
    if both.kind != "U":
        return both
    # In powers of two: a text that grows by a letter an event is not sent each time.
    length = 1 << (both.itemsize // 4 - 1).bit_length()
    return np.dtype(f"<U{max(length, 1)}")


def _fits(column: _Column, value: Value) -> bool:
    try:
        column.take(value)
    except _DoesNotFitError:
        return False
    return True


def _column_of(data_key: Mapping[str, Any]) -> _Column | None:
    """Return what a data key declares; None if its values are elsewhere or of no type.

    An array without a type is one of numbers (event-model's broad types).
    """
    if "external" in data_key or "dtype_descr" in data_key:
        return None
    if data_key["dtype"] in _KINDS:
        return _Single(data_key["dtype"])
    try:
        dtype = np.dtype(data_key.get("dtype_numpy") or "<f8")
    except TypeError:
        return None
    return _Array(dtype) if dtype.kind in "biufU" else None


class DeclaredTypes:
    """The types of all columns of one run, in the order its documents come.

    Two descriptors of one stream share their columns.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._columns: dict[tuple[str, str], _Column] = {}
        self._streams: dict[str, str] = {}

    def fitted(self, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return a document whose values are what the run's data keys declare.

        Parameters
        ----------
        name
            Kind of document.
        document
            Its content, plain; not changed.

        Raises
        ------
        ColumnTooNarrowError
            If a value does not fit what was declared.
        """
        if name == "descriptor":
            return self._descriptor(document)
        if name == "event":
            return self._event(document)
        if name == "event_page":
            return self._page(document)
        return document

    def _descriptor(self, document: dict[str, Any]) -> dict[str, Any]:
        stream = self._streams[document["uid"]] = document["name"]
        keys: dict[str, Any] = {}
        for key, data_key in document["data_keys"].items():
            column = _column_of(data_key)
            keys[key] = data_key
            if column is not None:
                self._declare(stream, key, column)
                keys[key] = self._columns[stream, key].declared(data_key)
        return {**document, "data_keys": keys}

    def _declare(self, stream: str, key: str, column: Any) -> None:
        known: Any = self._columns.setdefault((stream, key), column)
        if known == column:
            return
        if type(known) is not type(column):
            return  # single in one descriptor, an array in another: left to Tiled
        wider = known.or_wider(column)
        if wider != known:
            self._widen(stream, key, wider, "a later descriptor of it")

    def _event(self, document: dict[str, Any]) -> dict[str, Any]:
        stream = self._streams.get(document["descriptor"], "")
        data = {
            key: self._taken(stream, key, value)
            for key, value in document["data"].items()
        }
        times = {key: _time(at) for key, at in document["timestamps"].items()}
        at = _time(document["time"])
        return {**document, "data": data, "timestamps": times, "time": at}

    def _page(self, document: dict[str, Any]) -> dict[str, Any]:
        stream = self._streams.get(document["descriptor"], "")
        data = {
            key: [self._taken(stream, key, value) for value in values]
            for key, values in document["data"].items()
        }
        times = {
            key: [_time(at) for at in each]
            for key, each in document["timestamps"].items()
        }
        at = [_time(each) for each in document["time"]]
        return {**document, "data": data, "timestamps": times, "time": at}

    def _taken(self, stream: str, key: str, value: Value) -> Value:
        column = self._columns.get((stream, key))
        if column is None:
            return value
        try:
            return column.take(value)
        except _DoesNotFitError:
            self._widen(stream, key, column.wider(value), f"the value {value!r:.80}")

    def _widen(self, stream: str, key: str, column: _Column, cause: str) -> NoReturn:
        self._columns[stream, key] = column
        kind = getattr(column, "kind", None) or getattr(column, "dtype", None)
        note = (
            f"data key {key!r} of stream {stream!r} is stored as {kind}: {cause} does "
            "not fit what was declared"
        )
        self.notes.append(note)
        raise ColumnTooNarrowError(note)


def _time(at: Any) -> Any:
    """Return a time as a float; whole seconds are one, too."""
    return float(at) if isinstance(at, int) else at
