"""The documents of a run that died, completed from what was recovered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.runs.asset_documents import AssetDocument
from aefi_bluesky.storage.runs.plain_documents import plain
from aefi_bluesky.storage.runs.sample_file import run_file_documents

Document = tuple[str, dict[str, Any]]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventRows:
    """What a stream of events should hold.

    Parameters
    ----------
    data_keys
        Its data keys, for a run that died before it described the stream.
    identity
        Columns that tell rows apart.
    pages
        Rows in order, cut as a run cuts its pages; each with its time, in s of UTC.
    """

    data_keys: Mapping[str, Any]
    identity: tuple[str, ...]
    pages: Sequence[tuple[float, Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class SampleRows:
    """What a stream of samples should hold.

    Parameters
    ----------
    data_keys
        Its data keys, for a run that died before it described the stream.
    file
        Has all rows.
    columns
        The same rows.
    """

    data_keys: Mapping[str, Any]
    file: Path
    columns: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RecoveredRun:
    """What the documents of a run should hold.

    Parameters
    ----------
    device
        Name of the device of all streams.
    events, samples
        By stream.
    """

    device: str
    events: Mapping[str, EventRows] = field(default_factory=dict[str, EventRows])
    samples: Mapping[str, SampleRows] = field(default_factory=dict[str, SampleRows])


def completed(documents: Sequence[Document], run: RecoveredRun) -> list[Document]:
    """Return the documents of a run without an end, and what they lack.

    Rows that the documents have stay as they are. Where a file has more samples than
    the documents tell of, it takes the place of the run's own.

    Parameters
    ----------
    documents
        Begin with a start document and have no stop document.
    run
        What they should hold.

    Raises
    ------
    StorageError
        If a row that both have differs in any bit: then nothing is completed.
    """
    result = list(documents)
    for stream, events in run.events.items():
        found = dict(_rows(result, stream, events.identity))
        pages = [(at, _lacking(rows, found, events)) for at, rows in events.pages]
        if any(rows for _, rows in pages):
            descriptor = _described(result, stream, run.device, events.data_keys)
            result += _pages(descriptor, pages, list(events.data_keys), len(found))
    for stream, samples in run.samples.items():
        rows = len(next(iter(samples.columns.values())))
        if rows > _announced(result, stream):
            result = _without_assets(result, stream)
            descriptor = _described(result, stream, run.device, samples.data_keys)
            assets = run_file_documents(samples.file, samples.columns, stream)
            result += _filled_in(assets, str(result[0][1]["uid"]), descriptor)
    return result


# -- events --------------------------------------------------------------------------


def _uid_of(documents: Sequence[Document], stream: str) -> str | None:
    for name, document in documents:
        if name == "descriptor" and document["name"] == stream:
            return str(document["uid"])
    return None


def _described(
    documents: list[Document], stream: str, device: str, keys: Mapping[str, Any]
) -> str:
    """Return the uid of a stream's descriptor, which is added if there is none."""
    known = _uid_of(documents, stream)
    if known is not None:
        return known
    uid = str(uuid.uuid4())
    descriptor = {
        "uid": uid,
        "run_start": documents[0][1]["uid"],
        "time": time.time(),
        "name": stream,
        "data_keys": {key: {**keys[key], "object_name": device} for key in keys},
        "object_keys": {device: list(keys)},
        "configuration": {},
        "hints": {device: {"fields": []}},
    }
    documents.append(("descriptor", descriptor))
    return uid


def _rows(
    documents: Sequence[Document], stream: str, identity: tuple[str, ...]
) -> Iterator[tuple[tuple[Any, ...], Row]]:
    """Yield identity and data of each row of a stream."""
    descriptor = _uid_of(documents, stream)
    for name, document in documents:
        if document.get("descriptor") != descriptor or descriptor is None:
            continue
        if name == "event":
            rows = [document["data"]]
        elif name == "event_page":
            data = document["data"]
            columns = zip(*data.values(), strict=True)
            rows = [dict(zip(data, values, strict=True)) for values in columns]
        else:
            continue
        for row in rows:
            yield tuple(row[name] for name in identity), row


def _lacking(
    rows: Sequence[Row], found: Mapping[tuple[Any, ...], Row], events: EventRows
) -> list[Row]:
    """Return the rows that the documents lack; those that they have must be equal."""
    lacking: list[Row] = []
    for row in rows:
        key = tuple(row[name] for name in events.identity)
        other = found.get(key)
        if other is None:
            lacking.append(row)
            continue
        for name in events.data_keys:
            if not _same(row[name], other[name]):
                place = dict(zip(events.identity, key, strict=True))
                raise StorageError(
                    f"documents and spool differ at {place}: {name} is "
                    f"{other[name]!r} in the documents, {row[name]!r} in the spool"
                )
    return lacking


def _same(left: Any, right: Any) -> bool:
    """Return whether two values are equal to the bit; all NaNs are alike."""
    if isinstance(left, float) and isinstance(right, float):
        both = np.array((left, right))
        if np.isnan(both).any():
            return bool(np.isnan(both).all())
        return both[0].tobytes() == both[1].tobytes()
    return bool(left == right)


def _pages(
    descriptor: str,
    pages: Sequence[tuple[float, Sequence[Row]]],
    columns: list[str],
    number: int,
) -> Iterator[Document]:
    for at, rows in pages:
        if not rows:
            continue
        times = [at] * len(rows)
        yield (
            "event_page",
            {
                "descriptor": descriptor,
                "uid": [str(uuid.uuid4()) for _ in rows],
                "seq_num": [number + place + 1 for place in range(len(rows))],
                "time": times,
                "data": plain({name: [row[name] for row in rows] for name in columns}),
                "timestamps": dict.fromkeys(columns, times),
                "filled": {},
            },
        )
        number += len(rows)


# -- samples -------------------------------------------------------------------------


def _announced(documents: Sequence[Document], stream: str) -> int:
    """Return how many rows the documents tell of."""
    descriptor = _uid_of(documents, stream)
    stops = (
        document["indices"]["stop"]
        for name, document in documents
        if name == "stream_datum" and document["descriptor"] == descriptor
    )
    return max(stops, default=0)


def _without_assets(documents: Sequence[Document], stream: str) -> list[Document]:
    descriptor = _uid_of(documents, stream)
    if descriptor is None:
        return list(documents)
    resources = {
        document["stream_resource"]
        for name, document in documents
        if name == "stream_datum" and document["descriptor"] == descriptor
    }
    return [
        (name, document)
        for name, document in documents
        if not (name == "stream_datum" and document["descriptor"] == descriptor)
        and not (name == "stream_resource" and document["uid"] in resources)
    ]


def _filled_in(
    assets: Iterator[AssetDocument], run: str, descriptor: str
) -> Iterator[AssetDocument]:
    """Fill in what the RunEngine does of a device's asset documents."""
    for name, document in assets:
        if name == "stream_resource":
            yield name, {**document, "run_start": run}
            continue
        first, last = document["indices"]["start"], document["indices"]["stop"]
        numbers = {"start": first + 1, "stop": last + 1}
        yield name, {**document, "descriptor": descriptor, "seq_nums": numbers}
