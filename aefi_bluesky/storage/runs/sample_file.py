"""One HDF5 file a run, for streams with too many rows for events."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.runs.asset_documents import (
    AssetDocument,
    external_data_key,
    stream_data,
    stream_resources,
)

CHUNK_ROWS = 16384
"""Rows of a chunk. Tiled lists all chunks one by one, so that small ones cost."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One dataset; `dataset_path` and `dtype` outlive the open file."""

    dataset: h5py.Dataset
    dataset_path: str
    dtype: np.dtype[Any]
    unit: str | None


@dataclass(slots=True)
class _Stream:
    """The columns of one stream, and how many rows are in which state."""

    name: str
    columns: dict[str, _Column]
    rows: int = 0
    flushed: int = 0
    announced: int = 0
    resources: tuple[str, ...] = ()


class RunFile:
    """Append rows to a file that others read while it grows.

    The file is in SWMR mode (single writer, many readers): Tiled reads it live,
    and after a crash all flushed rows are readable with ``swmr=True``. A column is
    the 1-D dataset ``/<stream>/<column>``. May be called from several threads.
    Made by `RunFile.create`; usable in a ``with`` block.
    """

    def __init__(
        self, path: Path, file: h5py.File, streams: Mapping[str, _Stream]
    ) -> None:
        self._path = path
        self._file = file
        self._streams = streams
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        folder: Path,
        run_uid: str,
        streams: Mapping[str, Mapping[str, np.dtype[Any]]],
        units: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Self:
        """Make the file of a run.

        Parameters
        ----------
        folder
            Where it goes; created if absent. Tiled must be allowed to read there.
        run_uid
            Name of the file, before ``.h5``.
        streams
            Stream name to column name to type.
        units
            Stream name to column name to unit, for columns that have one.

        Raises
        ------
        StorageError
            If the file exists already or can't be written, or its path has a
            character that no document can carry.
        """
        path = folder.absolute() / f"{run_uid}.h5"
        if set("?#") & set(str(path)):
            raise StorageError(f"Tiled cannot serve {path}: '?' or '#' in its path")
        with _storage_errors("made", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = h5py.File(path, "x", libver="latest")
            file.attrs["run_uid"] = run_uid
            made = {
                name: _make_stream(file, name, columns, (units or {}).get(name, {}))
                for name, columns in streams.items()
            }
            file.swmr_mode = True
        return cls(path, file, made)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def uri(self) -> str:
        """Where the file is, in the form that Tiled reads."""
        return file_uri(self._path)

    @property
    def is_open(self) -> bool:
        """Whether rows can be appended."""
        return bool(self._file)

    def rows(self, stream: str) -> int:
        """Return the number of rows appended to a stream.

        Parameters
        ----------
        stream
            Name of the stream.
        """
        return self._stream(stream).rows

    def append(self, stream: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Append rows: all columns of a stream, of equal length.

        Parameters
        ----------
        stream
            Name of the stream.
        columns
            Column name to 1-D array of the column's very type.

        Raises
        ------
        StorageError
            If columns are missing, unknown, of unequal length or of another type,
            or the file can't be written; the rows then don't count.
        """
        with self._lock:
            target = self._stream(stream)
            start, stop = target.rows, target.rows + _checked_length(target, columns)
            with _storage_errors("written", self._path):
                for name, column in target.columns.items():
                    column.dataset.resize((stop,))
                    column.dataset[start:stop] = columns[name]
            target.rows = stop

    def flush(self) -> None:
        """Hand all rows to the system, so that readers see them.

        Raises
        ------
        StorageError
            If the file can't be written.
        """
        with self._lock:
            with _storage_errors("written", self._path):
                self._file.flush()
            for stream in self._streams.values():
                stream.flushed = stream.rows

    def close(self) -> None:
        """Close the file when all rows are on the disk; nothing if it is closed.

        Raises
        ------
        StorageError
            If the last rows can't be written; the file counts as closed then too.
        """
        with self._lock:
            if not self._file:
                return
            try:
                self.flush()
            finally:
                with _storage_errors("closed", self._path):
                    self._file.close()
            with _storage_errors("synced", self._path), self._path.open("rb") as file:
                os.fsync(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def describe(self, stream: str, *, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return the data keys of a stream, as a device describes them.

        Parameters
        ----------
        stream
            Name of the stream.
        prefix
            Put before each column's name to make its data key.
        """
        return {
            f"{prefix}{name}": external_data_key(
                f"{self.uri}#{column.dataset_path}", column.dtype, column.unit
            )
            for name, column in self._stream(stream).columns.items()
        }

    def asset_documents(
        self, stream: str, *, prefix: str = "", upto: int | None = None
    ) -> Iterator[AssetDocument]:
        """Yield what a device hands the RunEngine for rows not announced yet.

        The first rows come with one ``stream_resource`` a column. Rows are flushed
        before they are announced; after `close` too, the last ones can be.

        Parameters
        ----------
        stream
            Name of the stream.
        prefix
            Put before each column's name to make its data key; always the same.
        upto
            Announce no row from this one on; all rows if None.

        Raises
        ------
        StorageError
            If the rows can't be flushed.
        """
        with self._lock:
            if self._file:
                self.flush()
            documents = self._unannounced(self._stream(stream), prefix, upto)
        yield from documents

    def _unannounced(
        self, stream: _Stream, prefix: str, upto: int | None
    ) -> list[AssetDocument]:
        start, stop = stream.announced, stream.flushed
        if upto is not None:
            stop = min(stop, upto)
        if start >= stop:
            return []
        documents: list[AssetDocument] = []
        if not stream.resources:
            stream.resources = tuple(str(uuid.uuid4()) for _ in stream.columns)
            keys = (
                (f"{prefix}{name}", column.dataset_path)
                for name, column in stream.columns.items()
            )
            named = dict(zip(stream.resources, keys, strict=True))
            documents.extend(stream_resources(self.uri, named, CHUNK_ROWS))
        documents.extend(stream_data(stream.resources, start, stop))
        stream.announced = stop
        return documents

    def _stream(self, name: str) -> _Stream:
        try:
            return self._streams[name]
        except KeyError:
            known = ", ".join(self._streams)
            raise StorageError(
                f"{self._path} has no stream {name!r}, only {known}"
            ) from None


def file_uri(path: Path) -> str:
    """Return where a file is, in the form that Tiled reads: nothing is escaped.

    Parameters
    ----------
    path
        Absolute.
    """
    return "file://localhost/" + path.as_posix().lstrip("/")


def run_file_documents(
    path: Path, columns: Mapping[str, npt.NDArray[Any]], stream: str
) -> Iterator[AssetDocument]:
    """Yield the asset documents of all rows of a stream in a file that is whole.

    Parameters
    ----------
    path
        The file, absolute.
    columns
        Columns of the stream and their rows.
    stream
        Name of the stream.
    """
    named = {str(uuid.uuid4()): (name, f"{stream}/{name}") for name in columns}
    rows = len(next(iter(columns.values())))
    yield from stream_resources(file_uri(path), named, CHUNK_ROWS)
    yield from stream_data(named, 0, rows)


def _make_stream(
    file: h5py.File,
    name: str,
    columns: Mapping[str, np.dtype[Any]],
    units: Mapping[str, str],
) -> _Stream:
    group = file.create_group(name)
    made: dict[str, _Column] = {}
    for column, kind in columns.items():
        dtype = np.dtype(kind)
        dataset = group.create_dataset(
            column, shape=(0,), maxshape=(None,), chunks=(CHUNK_ROWS,), dtype=dtype
        )
        unit = units.get(column)
        if unit is not None:
            dataset.attrs["units"] = unit
        made[column] = _Column(dataset, f"{name}/{column}", dtype, unit)
    return _Stream(name, made)


def _checked_length(stream: _Stream, columns: Mapping[str, npt.NDArray[Any]]) -> int:
    if columns.keys() != stream.columns.keys():
        raise StorageError(
            f"stream {stream.name} has columns {sorted(stream.columns)}, "
            f"received {sorted(columns)}"
        )
    for name, column in stream.columns.items():
        if columns[name].dtype != column.dtype:
            raise StorageError(
                f"column {column.dataset_path} is {column.dtype}, "
                f"received {columns[name].dtype}"
            )
    shapes = {array.shape for array in columns.values()}
    if len(shapes) != 1 or len(min(shapes)) != 1:
        raise StorageError(
            f"columns of stream {stream.name} must be 1-D and of one length, "
            f"received shapes {sorted(shapes)}"
        )
    return shapes.pop()[0]


@contextlib.contextmanager
def _storage_errors(what: str, path: Path) -> Generator[None]:
    """Turn what h5py raises into our error; ValueError is its word for "closed"."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as err:
        raise StorageError(f"run file {path} cannot be {what}: {err}") from err
