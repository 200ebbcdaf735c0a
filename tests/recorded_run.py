"""What one run emitted, as tests ask for it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from event_model import DocumentNames, schema_validators

EVENT_STREAMS = ("primary", "lines", "maps", "health", "baseline", "lag")
SAMPLE_STREAMS = ("readings", "fixes")


class RecordedRun:
    """A callback that keeps the documents of one run, in order."""

    def __init__(self):
        self.documents: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name, doc):
        self.documents.append((name, doc))

    def of_kind(self, name):
        return [doc for kind, doc in self.documents if kind == name]

    def runs(self):
        """Each run by itself, in the order they began, also if they overlap."""
        runs, run_of_descriptor = {}, {}
        for name, doc in self.documents:
            if name == "start":
                run = runs[doc["uid"]] = RecordedRun()
            elif "run_start" in doc:
                run = runs[doc["run_start"]]
            else:
                run = run_of_descriptor[doc["descriptor"]]
            if name == "descriptor":
                run_of_descriptor[doc["uid"]] = run
            run(name, doc)
        return list(runs.values())

    @property
    def start(self):
        (start,) = self.of_kind("start")
        return start

    @property
    def stop(self):
        (stop,) = self.of_kind("stop")
        return stop

    @property
    def reason(self):
        return json.loads(self.stop["reason"])

    def descriptors(self):
        """Descriptor uid to stream name."""
        return {doc["uid"]: doc["name"] for doc in self.of_kind("descriptor")}

    def _of_stream(self, stream, *kinds):
        uids = {uid for uid, name in self.descriptors().items() if name == stream}
        for kind, doc in self.documents:
            if kind in kinds and doc["descriptor"] in uids:
                yield kind, doc

    def seq_nums(self, stream):
        """Sequence numbers of an event stream, as they came."""
        numbers = []
        for kind, doc in self._of_stream(stream, "event", "event_page"):
            found = doc["seq_num"]
            numbers.extend([found] if kind == "event" else found)
        return numbers

    def sample_ranges(self, stream):
        """Column to the ranges of sequence numbers that it was announced in."""
        columns = {
            doc["uid"]: doc["data_key"] for doc in self.of_kind("stream_resource")
        }
        ranges = {}
        for _kind, doc in self._of_stream(stream, "stream_datum"):
            span = doc["seq_nums"]["start"], doc["seq_nums"]["stop"]
            ranges.setdefault(columns[doc["stream_resource"]], []).append(span)
        return ranges

    def pages(self, stream):
        """The data of each event page of a stream."""
        return [doc["data"] for _kind, doc in self._of_stream(stream, "event_page")]

    def column(self, stream, name):
        """One column of a stream, over pages and events."""
        values = []
        for kind, doc in self._of_stream(stream, "event", "event_page"):
            found = doc["data"][name]
            values.extend([found] if kind == "event" else found)
        return values

    def times(self, stream):
        """When each event of a stream was made, in s."""
        return [doc["time"] for _kind, doc in self._of_stream(stream, "event")]

    def configuration(self, stream, device):
        """The configuration of a device in a stream's descriptor."""
        (found,) = (doc for doc in self.of_kind("descriptor") if doc["name"] == stream)
        return found["configuration"][device]["data"]

    # -- what holds of every run, however it ended ---------------------------

    def check(self, *foreign):
        """Assert what holds of the documents of every run, however it ended.

        Parameters
        ----------
        foreign
            Streams that other devices have in the run.
        """
        self._check_schemas()
        self._check_order(foreign)
        self._check_sequence_numbers()

    def _check_schemas(self):
        for name, doc in self.documents:
            schema_validators[DocumentNames[name]].validate(doc)

    def _check_order(self, foreign):
        assert self.documents[0][0] == "start"
        assert self.documents[-1][0] == "stop"
        names = Counter(self.descriptors().values())
        assert set(names) <= {*EVENT_STREAMS, *SAMPLE_STREAMS, *foreign}
        assert set(names.values()) <= {1}, "a stream was described twice"

    def _check_sequence_numbers(self):
        counted = {}
        for stream in set(self.descriptors().values()) - set(SAMPLE_STREAMS):
            numbers = self.seq_nums(stream)
            assert numbers == list(range(1, len(numbers) + 1)), stream
            counted[stream] = len(numbers)
        for stream in SAMPLE_STREAMS:
            for column, ranges in self.sample_ranges(stream).items():
                starts = [1, *(stop for _start, stop in ranges[:-1])]
                assert [start for start, _stop in ranges] == starts, column
                rows = ranges[-1][1] - 1
                assert counted.setdefault(stream, rows) == rows, column
        expected = {stream: count for stream, count in counted.items() if count}
        found = {name: n for name, n in self.stop["num_events"].items() if n}
        assert found == expected

    def check_frames_once(self, planned):
        """Assert that ``primary`` has each planned frame once, in pages of one line."""
        frames = Counter(self.column("primary", "frame"))
        assert frames == Counter(range(planned))

    def check_pages_of_lines(self):
        for page in self.pages("primary"):
            assert len(set(page["line"])) == 1
        for page in self.pages("lines"):
            assert len(page["line"]) == 1
