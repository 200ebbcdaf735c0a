"""What of the engine is timed from inside, for the benches."""

from __future__ import annotations

from aefi_bluesky.engine import _native


def sample_path_ns(batches: int) -> list[tuple[float, float]]:
    """Return ns a sample, for each batch of 16 384 samples.

    Returns
    -------
    list
        Two stamps, parsing and the push into a ring; and the whole exchange of a
        conversation, without its port.
    """
    return _native.sample_path(batches)
