"""The flyer in the form that bluesky's own fly plans expect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bluesky.protocols import HasName
from event_model.documents import PartialEventPage

from aefi_bluesky.devices.data_keys import FRAME_UNITS, LINE_UNITS
from aefi_bluesky.devices.flight_status import FlightStatus
from aefi_bluesky.devices.flyer import AefiFlyer
from aefi_bluesky.devices.streams import page_of, plain_columns
from aefi_bluesky.domain.results.scan_results import ScanResults

_FRAME_COLUMNS = [*FRAME_UNITS, "state"]


class NestedFlyer(HasName):
    """A prepared flyer for ``bp.fly`` and ``bpp.fly_during_wrapper``.

    They declare no stream and collect once, at the end: so all streams come from
    this one object, described as {stream: {key: ...}}, and there are no live data.
    bluesky allows a key in one stream of an object only: where another stream has a
    key of ``primary`` too, the stream's name is put before it (``lines_line``,
    ``health_state``). It takes no samples in this form: ``readings`` and ``fixes``
    stay in the sample file, which the configuration names.

    Parameters
    ----------
    flyer
        The flyer. Stage and prepare it first. A staged flyer is stopped whatever ends
        the plan.
    primary
        Name of the stream of frames; another one beside a plan that has a
        ``primary`` of its own.
    """

    def __init__(self, flyer: AefiFlyer, *, primary: str = "primary") -> None:
        self._flyer = flyer
        self._primary = primary
        self._described: ScanResults | None = None
        self._told: ScanResults | None = None

    @property
    def name(self) -> str:
        """Name of the device."""
        return f"{self._flyer.name}_nested"

    @property
    def parent(self) -> AefiFlyer:
        """The flyer: it is what is staged."""
        return self._flyer

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: all rows come at once, there is nothing to watch."""
        return {"fields": []}

    # -- the flight ------------------------------------------------------------

    def kickoff(self) -> Any:
        """Start the flight; see `AefiFlyer.kickoff`."""
        return self._flyer.kickoff()

    def complete(self) -> FlightStatus:
        """Return the status of the flight; see `AefiFlyer.complete`."""
        return self._flyer.complete()

    def pause(self) -> None:
        """Stop with a ramp and keep the ledger of frames; returns at once."""
        self._flyer.pause()

    def resume(self) -> None:
        """Go on at the first frame that is not ok."""
        self._flyer.resume()

    def stop(self, *, success: bool = False) -> None:
        """End the flight with a ramped stop; returns at once, idempotent."""
        self._flyer.stop(success=success)

    # -- documents -------------------------------------------------------------

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Return the data keys of each stream; of those that the flight has so far."""
        flyer = self._flyer
        nested = {
            self._primary: flyer.describe_collect(),
            "lines": _renamed("lines", flyer.line_stream.describe_collect()),
        }
        self._described = flyer.results
        if self._described is not None:
            for stream, source in self._results_streams():
                nested[stream] = _renamed(stream, source.describe())
        return nested

    def _results_streams(self) -> tuple[tuple[str, Any], ...]:
        flyer = self._flyer
        return ("maps", flyer.map_stream), ("health", flyer.health_stream)

    def collect_pages(self) -> Iterator[PartialEventPage]:
        """Yield all pages, then images and outcome.

        Neither of bluesky's plans collects before the end. The RunEngine does, if such
        a plan was interrupted. The flight is then stopped.
        """
        if self._flyer.results is None:
            self._flyer.stop()
        for page in self._flyer.take_pages():
            if frames := page.take_frames():
                yield page_of(plain_columns(frames, _FRAME_COLUMNS))
            if lines := page.take_lines():
                yield page_of(_renamed("lines", plain_columns(lines, LINE_UNITS)))
        if self._described is not self._told:
            self._told = self._described
            for stream, source in self._results_streams():
                row = {key: [told["value"]] for key, told in source.read().items()}
                yield page_of(_renamed(stream, row))

    def read_configuration(self) -> dict[str, Any]:
        """Return the constants that recalibration needs, and the sample file."""
        return {
            **self._flyer.read_configuration(),
            **self._flyer.sample_file_reading(),
        }

    def describe_configuration(self) -> dict[str, Any]:
        """Return the data keys of the configuration."""
        samples = {
            name: {
                "source": f"{self._flyer.name}:samples",
                "dtype": "string",
                "shape": [],
            }
            for name in self._flyer.sample_file_reading()
        }
        return {**self._flyer.describe_configuration(), **samples}


def _key(stream: str, column: str) -> str:
    return f"{stream}_{column}" if column in _FRAME_COLUMNS else column


def _renamed(stream: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {_key(stream, name): value for name, value in keys.items()}
