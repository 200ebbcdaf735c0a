"""What the Tiled server loads from this package."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd


def json_lines(
    mimetype: str, table: pd.DataFrame, metadata: Mapping[str, Any] | None
) -> bytes:
    """Write a table as one JSON object a line, without record separators.

    Tiled 0.2.19 and 0.2.20 put the separator of RFC 7464 before each line and
    their own web page parses the lines bare, so that it shows "No rows" for every
    table. Values not finite become null: JSON has no word for them.

    Parameters
    ----------
    mimetype, metadata
        Handed over by Tiled; not used.
    table
        Rows to write.
    """
    del mimetype, metadata
    buffer = io.BytesIO()
    table.to_json(buffer, orient="records", lines=True, double_precision=15)
    return buffer.getvalue()
