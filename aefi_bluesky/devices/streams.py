"""The flyer's streams beside ``primary``: each is an object that bluesky collects.

One object a stream, because bluesky skips the events of a device that also writes
stream assets, and wants one stream for each object that it collects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from bluesky.protocols import HasName, Readable
from event_model.documents import PartialEventPage

from aefi_bluesky.devices.data_keys import LINE_UNITS, described
from aefi_bluesky.devices.flight_log import FlightLog, LinePage, Table
from aefi_bluesky.domain.errors import IllegalTransitionError
from aefi_bluesky.domain.results.scan_results import CHANNELS, FrameState

CurrentLog = Callable[[], FlightLog]


class MappedPlan(Protocol):
    """What has a grid."""

    @property
    def spec(self) -> Any:
        """The grid, which may be differential."""
        ...


class Images(Protocol):
    """Frames that can be seen as images: a flight's log, or what is like one."""

    @property
    def plan(self) -> MappedPlan:
        """What was measured."""
        ...

    def map_of(self, column: str, *, muted: bool = False) -> npt.NDArray[np.float64]:
        """Return a column as an image; see `FlightLog.map_of`."""
        ...


CurrentPages = Callable[[], list[LinePage]]


def page_of(columns: Mapping[str, list[Any]]) -> PartialEventPage:
    """Return columns of plain values as one event page, stamped with the present."""
    times = [time.time()] * len(next(iter(columns.values())))
    return {
        "data": dict(columns),
        "timestamps": dict.fromkeys(columns, times),
        "time": times,
    }


def plain_columns(table: Table, names: Iterable[str]) -> dict[str, list[Any]]:
    """Return columns of a table as plain values, in the order of their names."""
    return {name: table[name].tolist() for name in names}


class _Stream(HasName):
    """A named part of a flyer without hints of its own.

    Parameters
    ----------
    name
        Name of the device.
    parent
        The flyer.
    """

    def __init__(self, name: str, parent: Any) -> None:
        self._name = name
        self._parent = parent

    @property
    def name(self) -> str:
        """Name of the device."""
        return self._name

    @property
    def parent(self) -> Any:
        """The flyer."""
        return self._parent

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: BestEffortCallback shows nothing of this stream."""
        return {"fields": []}


class LineStream(_Stream):
    """``lines``: one event a line, which BestEffortCallback tables and plots."""

    def __init__(self, name: str, parent: Any, pages: CurrentPages) -> None:
        super().__init__(name, parent)
        self._pages = pages

    @property
    def hints(self) -> dict[str, Any]:
        """What a person wants to see of a line."""
        return {"fields": ["n_ok", "reading_rate", "fix_rate"]}

    def describe_collect(self) -> dict[str, Any]:
        """Return the data keys of a line."""
        return described(self.name, LINE_UNITS)

    def collect_pages(self) -> Iterator[PartialEventPage]:
        """Yield a page for each line to be handed out."""
        for page in self._pages():
            if lines := page.take_lines():
                yield page_of(plain_columns(lines, LINE_UNITS))


class SampleStream(_Stream):
    """``readings`` or ``fixes``: rows of the sample file, as stream assets."""

    def __init__(
        self,
        name: str,
        parent: Any,
        stream: str,
        log: CurrentLog,
        pages: CurrentPages,
    ) -> None:
        super().__init__(name, parent)
        self._stream = stream
        self._log = log
        self._pages = pages

    def describe_collect(self) -> dict[str, Any]:
        """Return the data keys of a sample."""
        return self._log().samples.describe(self._stream)

    def get_index(self) -> int:
        """Return the rows counted by the pages to be handed out."""
        return max((page.samples[self._stream] for page in self._pages()), default=0)

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Any]:
        """Yield resources once, and the rows of the pages to be handed out."""
        rows = self.get_index() if index is None else index
        yield from self._log().samples.asset_documents(self._stream, upto=rows)


class MapStream(_Stream, Readable[Any]):
    """``maps``: six images and their axes, at the end of each flight.

    Of a differential map six more, of its muted frames.
    """

    def __init__(self, name: str, parent: Any, log: Callable[[], Images]) -> None:
        super().__init__(name, parent)
        self._log = log
        self._described: tuple[int, int] | None = None

    @property
    def is_described(self) -> bool:
        """Whether a flight of the run has described the images."""
        return self._described is not None

    def forget_description(self) -> None:
        """Begin a run: none of its flights has described the images."""
        self._described = None

    def require_described_shape(self) -> None:
        """Refuse a flight whose images don't fit the run's.

        Raises
        ------
        IllegalTransitionError
            If an earlier flight of the run described images of another shape.
        """
        shape = self._shape()
        if self._described not in (None, shape):
            raise IllegalTransitionError(
                f"the maps of this run have {self._described} frames along y and x, "
                f"but this flight has {shape}: open a new run for it"
            )

    def _shape(self) -> tuple[int, int]:
        spec = self._log().plan.spec
        return spec.n_y, spec.n_x

    def _images(self) -> dict[str, tuple[Any, str]]:
        log = self._log()
        spec = log.plan.spec
        images = {f"map_{channel}": (log.map_of(channel), "V") for channel in CHANNELS}
        if spec.differential:
            images |= {
                f"map_{channel}_muted": (log.map_of(channel, muted=True), "V")
                for channel in CHANNELS
            }
        axes = {f"map_{axis}": (spec.centres_mm(axis), "mm") for axis in ("x", "y")}
        return {**images, **axes}

    def describe(self) -> dict[str, Any]:
        """Return the data keys of the images, shape (n_y, n_x)."""
        self._described = self._shape()
        return {
            name: {
                "source": f"{self.name}:{name}",
                "dtype": "array",
                "dtype_numpy": "<f8",
                "shape": list(values.shape),
                "units": unit,
            }
            for name, (values, unit) in self._images().items()
        }

    def read(self) -> dict[str, Any]:
        """Return the images as nested lists; NaN where a frame has no value."""
        now = time.time()
        return {
            name: {"value": values.tolist(), "timestamp": now}
            for name, (values, _unit) in self._images().items()
        }

    def read_configuration(self) -> dict[str, Any]:
        """Return nothing: the flyer has the configuration."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Return nothing: the flyer has the configuration."""
        return {}


class HealthStream(_Stream, Readable[Any]):
    """``health``: how the flight ended and what became of each frame."""

    def __init__(self, name: str, parent: Any, log: CurrentLog) -> None:
        super().__init__(name, parent)
        self._log = log

    def _values(self) -> dict[str, Any]:
        results = self._log().results
        if results is None:
            return {}
        states = {f"frames_{state}": results.frames[state] for state in FrameState}
        lost: dict[str, int] = {}
        for kind, count in results.n_lost.items():
            first, last = results.lost_spans.get(kind, (-1, -1))
            lost[f"lost_{kind}"] = count
            lost[f"lost_{kind}_first"] = first
            lost[f"lost_{kind}_last"] = last
        latch_fraction, latch_error = results.latch
        return {
            "state": results.state.value,
            "cause": results.cause,
            **{name.replace("-", "_"): count for name, count in states.items()},
            **lost,
            "readings_taken": results.n_readings,
            "fixes_taken": results.n_fixes,
            "flight_s": results.flight_s,
            "position_suspect": int(results.position_suspect),
            "excitation_off": int(results.excitation_off),
            **{f"sent_{kind}": count for kind, count in results.stops_sent.items()},
            **{f"link_{kind}": count for kind, count in results.anomalies.items()},
            **{f"{name}_s": span for name, span in results.times_s.items()},
            "latch_fraction": latch_fraction,
            "latch_error": latch_error,
            "realtime_refused": results.realtime_refused,
            **{f"realtime_{name}": told for name, told in results.realtime.items()},
            **self._log().budget_s(),
        }

    def describe(self) -> dict[str, Any]:
        """Return the data keys of the outcome."""
        kinds = {str: "string", int: "integer", float: "number"}
        return {
            name: {
                "source": f"{self.name}:{name}",
                "dtype": kinds[type(value)],
                "shape": [],
                **({"units": "s"} if name.endswith("_s") else {}),
            }
            for name, value in self._values().items()
        }

    def read(self) -> dict[str, Any]:
        """Return the outcome."""
        now = time.time()
        return {
            name: {"value": value, "timestamp": now}
            for name, value in self._values().items()
        }

    def read_configuration(self) -> dict[str, Any]:
        """Return nothing: the flyer has the configuration."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Return nothing: the flyer has the configuration."""
        return {}
