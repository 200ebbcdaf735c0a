"""What a device hands the RunEngine about rows that are in a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from aefi_bluesky.storage.tiled.consolidator import HDF5_MIMETYPE

AssetDocument = tuple[str, dict[str, Any]]
"""Kind and content of a ``stream_resource`` or ``stream_datum``."""


def external_data_key(
    source: str, dtype: np.dtype[Any], unit: str | None
) -> dict[str, Any]:
    """Return the data key of a column that is in a file.

    Parameters
    ----------
    source
        Where the column is, for the reader of the descriptor.
    dtype
        Type of a value.
    unit
        Unit of a value; None if it has none.
    """
    key: dict[str, Any] = {
        "source": source,
        "dtype": "number",
        "dtype_numpy": dtype.str,
        "shape": [],
        "external": "STREAM:",
    }
    return key if unit is None else {**key, "units": unit}


def stream_resources(
    uri: str, columns: Mapping[str, tuple[str, str]], chunk_rows: int
) -> Iterator[AssetDocument]:
    """Yield one ``stream_resource`` a column.

    Parameters
    ----------
    uri
        The file.
    columns
        Uid of the resource to data key and path in the file. The path has no
        leading slash, as h5py and Tiled name datasets.
    chunk_rows
        Rows of a chunk.
    """
    for uid, (data_key, dataset) in columns.items():
        yield (
            "stream_resource",
            {
                "uid": uid,
                "data_key": data_key,
                "mimetype": HDF5_MIMETYPE,
                "uri": uri,
                "parameters": {
                    "dataset": dataset,
                    "chunk_shape": [chunk_rows],
                    "swmr": True,
                },
            },
        )


def stream_data(
    resources: Iterable[str], start: int, stop: int
) -> Iterator[AssetDocument]:
    """Yield one ``stream_datum`` a resource for rows from `start` up to `stop`.

    The RunEngine (bluesky 1.15.1) fills in descriptor and sequence numbers.

    Parameters
    ----------
    resources
        Uids of the resources.
    start, stop
        First row, and the row after the last.
    """
    for resource in resources:
        yield (
            "stream_datum",
            {
                "uid": str(uuid.uuid4()),
                "stream_resource": resource,
                "descriptor": "",
                "indices": {"start": start, "stop": stop},
                "seq_nums": {"start": 0, "stop": 0},
            },
        )
