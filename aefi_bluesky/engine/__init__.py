"""The Rust engine behind the domain's `ScanPort`."""

from aefi_bluesky.engine.links import (
    EngineLinks,
    SerialConnection,
    VirtualConnection,
)
from aefi_bluesky.engine.rust_scan_adapter import RustScanAdapter

__all__ = ["EngineLinks", "RustScanAdapter", "SerialConnection", "VirtualConnection"]
