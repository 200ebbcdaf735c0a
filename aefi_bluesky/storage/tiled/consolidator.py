"""What registers a growing HDF5 column in Tiled without a memory of its rows."""

from __future__ import annotations

from typing import Any

from bluesky_tiled_plugins.writing.consolidators import (
    CONSOLIDATOR_REGISTRY,
    HDF5Consolidator,
    Patch,
)

HDF5_MIMETYPE = "application/x-hdf5"


class LeanHDF5Consolidator(HDF5Consolidator):
    """Count rows and sequence numbers instead of mapping each one.

    The stock class keeps a dictionary entry a row and column, about 106 bytes:
    850 MB for a million rows of eight columns. Nothing in the plugins reads that
    dictionary but `has_skips`, for which two counters are enough.
    """

    _num_seq_nums: int = 0

    def consume_stream_datum(self, doc: Any) -> Patch:
        """Account for the rows of a document.

        Parameters
        ----------
        doc
            A ``stream_datum`` document whose rows follow those before.
        """
        first = self.shape[0]
        self._num_rows += doc["indices"]["stop"] - doc["indices"]["start"]
        self._num_seq_nums += doc["seq_nums"]["stop"] - doc["seq_nums"]["start"]
        trailing = self.shape[1:]
        return Patch(
            offset=(first, *(0 for _ in trailing)),
            shape=(self.shape[0] - first, *trailing),
        )

    @property
    def has_skips(self) -> bool:
        """Whether there are rows without a sequence number."""
        return self._num_rows > self._num_seq_nums


def install() -> None:
    """Let every writer in this process use the lean class for HDF5 files."""
    CONSOLIDATOR_REGISTRY[HDF5_MIMETYPE] = LeanHDF5Consolidator
