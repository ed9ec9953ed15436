"""Which records were corrected later, so that every export shows what a record means today.

A stream of records is read once and forward, but its corrections come later. `Corrections` is made beforehand from
the correcting records alone and holds sixteen bytes for each; what they say is read again when it is wanted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from edge_agent.records.bodies import Amend, Return
from edge_agent.records.corrections import Standing, standing

Event = Mapping[str, Any]
ReadEvent = Callable[[int], Event | None]
"""The kept record with a sequence; None where it is not kept any more."""

_LOW_63: Final = (1 << 63) - 1


class Corrections:
    """The corrections among the records of one chain, by the record that they name."""

    def __init__(self, read: ReadEvent) -> None:
        self._read = read
        self._keys = array("q")
        self._sequences = array("q")

    @classmethod
    def among(cls, correcting: Iterable[Event], read: ReadEvent) -> Corrections:
        """The corrections in a stream of records; those that correct nothing do not matter."""
        found = sorted(
            (_key(event["data"]["corrects"]), int(event["sequence"]))
            for event in correcting
            if event["data"].get("corrects")
        )
        corrections = cls(read)
        corrections._keys = array("q", [key for key, _ in found])
        corrections._sequences = array("q", [sequence for _, sequence in found])
        return corrections

    def of(self, event: Event) -> list[Event]:
        """The records that correct this one, in the order of the chain."""
        return self._later(event["id"], None)

    def __len__(self) -> int:
        return len(self._keys)

    def standing(self, event: Event, *, before: int | None = None) -> Standing:
        """What a record means today, or meant before the record with the sequence `before`."""
        later = self._later(event["id"], before)
        for back in [each for each in later if each["type"] == Return.TYPE]:
            later += self._later(back["id"], before)
        return standing(event, later)

    def amendment_before(self, record_id: str, sequence: int) -> Event | None:
        """The last amendment of a record that was kept before `sequence`."""
        return next((e for e in reversed(self._later(record_id, sequence)) if e["type"] == Amend.TYPE), None)

    def _later(self, record_id: str, before: int | None) -> list[Event]:
        key = _key(record_id)
        found = []
        for at in range(bisect_left(self._keys, key), len(self._keys)):
            if self._keys[at] != key:
                break
            if before is not None and self._sequences[at] >= before:
                break
            event = self._read(self._sequences[at])
            if event is not None and event["data"].get("corrects") == record_id:
                found.append(event)
        return found


def _key(record_id: str) -> int:
    """63 bits of an id, nearly all of them random: two ids with the same key are told apart when they are read."""
    return int.from_bytes(record_id.replace("-", "").encode()[-16:]) % _LOW_63
