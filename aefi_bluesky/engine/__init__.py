"""The Rust engine behind the domain's `ScanPort`."""

from aefi_bluesky.engine.links import (
    EngineLinks,
    PortOpening,
    RealtimeSettings,
    SerialConnection,
    VirtualConnection,
)
from aefi_bluesky.engine.rust_scan_adapter import RustScanAdapter
from aefi_bluesky.engine.spool import SPOOL_SUFFIX, NoRuns, SpooledFlight, SpoolKeeper

__all__ = [
    "SPOOL_SUFFIX",
    "EngineLinks",
    "NoRuns",
    "PortOpening",
    "RealtimeSettings",
    "RustScanAdapter",
    "SerialConnection",
    "SpoolKeeper",
    "SpooledFlight",
    "VirtualConnection",
]
