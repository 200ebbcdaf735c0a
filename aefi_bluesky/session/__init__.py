"""The composition root: everything is built here from one configuration."""

from aefi_bluesky.session.composition import Session
from aefi_bluesky.session.configuration import BenchConfiguration, load_bench
from aefi_bluesky.session.folders import SessionFolders

__all__ = ["BenchConfiguration", "Session", "SessionFolders", "load_bench"]
