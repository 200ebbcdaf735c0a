"""The composition root: everything is built here from one configuration."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aefi_bluesky.session.configuration import BenchConfiguration, load_bench

if TYPE_CHECKING:
    from aefi_bluesky.session.composition import Session
    from aefi_bluesky.session.folders import SessionFolders

__all__ = ["BenchConfiguration", "Session", "SessionFolders", "load_bench"]

_LATER = {"Session": "composition", "SessionFolders": "folders"}
"""Bluesky and Tiled take seconds to import: who reads a bench file needs neither."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
