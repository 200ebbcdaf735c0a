"""Which run a document belongs to, and which documents can become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


class RunSorter:
    """Tell the run of each document of interleaved runs.

    A document that names no run known to us, such as an old-style resource,
    belongs to the run that began last.
    """

    def __init__(self) -> None:
        self._run_of: dict[str, str] = {}
        self._newest = ""

    def run_of(self, name: str, document: dict[str, Any]) -> str:
        """Return the uid of the run; empty if no run has begun.

        Parameters
        ----------
        name
            Kind of document.
        document
            Its content.
        """
        uid = str(document.get("uid", ""))
        if name == "start":
            self._newest = uid
            return uid
        run = document.get("run_start") or self._run_of.get(
            document.get("descriptor") or document.get("resource", ""), self._newest
        )
        if name in ("descriptor", "resource"):
            self._run_of[uid] = run
        return str(run)

    def forget(self, run: str) -> None:
        """Forget a run that ended.

        Parameters
        ----------
        run
            Uid of the run.
        """
        self._run_of = {uid: of for uid, of in self._run_of.items() if of != run}


@dataclass(frozen=True, slots=True)
class SortedDocument:
    """One document, or several in one, of a known run.

    Parameters
    ----------
    run
        Uid of the run.
    name
        Kind of document.
    document
        Plain Python values.
    count
        How many documents it was.
    number
        Place of the last of them in the run, from 1.
    """

    run: str
    name: str
    document: dict[str, Any]
    count: int = 1
    number: int = 0


def sorted_run(
    run: str, documents: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[SortedDocument]:
    """Yield all documents of one run, with their places in it.

    Parameters
    ----------
    run
        Uid of the run.
    documents
        All of them, from its start.
    """
    for number, (name, document) in enumerate(documents, start=1):
        yield SortedDocument(run, name, document, number=number)


def merged(documents: Iterable[SortedDocument]) -> Iterator[SortedDocument]:
    """Yield documents with adjoining row ranges of one resource made one.

    Each ``stream_datum`` costs the server about 20 ms, whatever its length. A range
    takes the place of its first part, so that nothing comes before what it needs.

    Parameters
    ----------
    documents
        Documents in the order in which they were made.
    """
    places: dict[tuple[str, str], int] = {}
    result: list[SortedDocument] = []
    for item in documents:
        if item.name != "stream_datum":
            result.append(item)
            continue
        key = (item.document["descriptor"], item.document["stream_resource"])
        place = places.get(key)
        if place is not None and _adjoin(result[place].document, item.document):
            result[place] = _joined(result[place], item)
        else:
            places[key] = len(result)
            result.append(item)
    yield from result


def _adjoin(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(
        first[field]["stop"] == second[field]["start"]
        for field in ("indices", "seq_nums")
    )


def _joined(first: SortedDocument, second: SortedDocument) -> SortedDocument:
    ranges = {
        field: {
            "start": first.document[field]["start"],
            "stop": second.document[field]["stop"],
        }
        for field in ("indices", "seq_nums")
    }
    return SortedDocument(
        run=first.run,
        name=first.name,
        document={**second.document, **ranges},
        count=first.count + second.count,
        number=second.number,
    )
