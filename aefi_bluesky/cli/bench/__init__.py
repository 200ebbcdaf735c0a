"""``aefi bench``: honest figures, side by side with the alternatives."""

from aefi_bluesky.cli.bench.command import bench

__all__ = ["bench"]
