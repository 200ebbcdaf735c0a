"""Leases of a bench: none at all, and several at once."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from aefi_bluesky.domain.ports import HardwareLease


class NullLease:
    """A `HardwareLease` that is always given: nobody else uses the bench."""

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """Own the bench inside the context; `owner` is asked for nothing."""
        del owner
        yield


class SeveralLeases:
    """A `HardwareLease` that needs several, and takes them in their order."""

    def __init__(self, *leases: HardwareLease) -> None:
        self._leases = leases

    @contextlib.contextmanager
    def hold(self, owner: str) -> Generator[None]:
        """Own the bench inside the context; see `HardwareLease`."""
        with contextlib.ExitStack() as held:
            for lease in self._leases:
                held.enter_context(lease.hold(owner))
            yield
