"""The Rust engine behind the domain's `ScanPort`."""

from aefi_bluesky.engine.links import (
    EngineLinks,
    serial_starter,
    virtual_starter,
)
from aefi_bluesky.engine.rust_scan_adapter import RustScanAdapter

__all__ = ["EngineLinks", "RustScanAdapter", "serial_starter", "virtual_starter"]
