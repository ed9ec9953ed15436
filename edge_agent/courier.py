"""Taking in what a courier brought: the platform's verdicts, or records of this or another box. Works on the store.

What comes here was looked through before; it is checked again as far as it can change something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import orjson

from edge_agent import clock
from edge_agent.exports.courier import BadFile, Header, RecordCheck, digest_of, digests_of
from edge_agent.model import Verdict
from edge_agent.store import Reader, Salvaged, Store
from edge_agent.uplink import wire
from edge_agent.uplink.forwarding import FORWARDED, is_source, note_with

_PATIENCE: Final = 30.0
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a file changed: verdicts accepted or rejected records; records were new or there already."""

    accepted: int = 0
    rejected: int = 0
    new: int = 0
    known: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})

    def plain(self) -> dict[str, int]:
        """As plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def verdict_of(number: int, line: bytes, reader: Reader, chain: str | None) -> Verdict:
    """The verdict in a line, held against the store; raises `BadFile`.

    It may be about records that were made here only, and accepts those that the platform can show to be the same. A
    range of which some are no longer here is passed over: those have had their verdict, the others are sent again.
    """
    verdict = wire.decode_verdict(line)
    if isinstance(verdict, wire.Malformed):
        raise BadFile(f"line {number}: no verdict: {verdict.reason}")
    head = reader.head().sequence
    highest = max([last for _, last in verdict.accepted] + [each.sequence for each in verdict.rejected], default=0)
    if verdict.chain == chain and highest > head:
        raise BadFile(
            f"line {number}: the platform has record {highest} of chain {chain}, this box has made {head}:"
            " was its store set back to an older state?"
        )
    digests = digests_of(orjson.loads(line))
    accepted = []
    for first, last in verdict.accepted:
        if (first, last) not in digests:
            raise BadFile(f"line {number}: no digest stands behind the accepted records {first} to {last}")
        count, digest = _digest(reader, None if verdict.chain == chain else verdict.chain, first, last)
        if count == last - first + 1:
            if digest != digests[first, last]:
                raise BadFile(f"line {number}: records {first} to {last} here are not those that the platform has")
            accepted.append((first, last))
    return replace(verdict, accepted=tuple(accepted))


def _digest(reader: Reader, chain: str | None, first: int, last: int) -> tuple[int, str]:
    """How many records of a range are here, and their digest; of this chain for None."""
    count = 0

    def hashes() -> Iterator[str]:
        nonlocal count
        for body in _ours(reader, first, last) if chain is None else _waiting(reader, chain, first, last):
            count += 1
            yield orjson.loads(body)["hash"]

    digest = digest_of(hashes())
    return count, digest


def _ours(reader: Reader, first: int, last: int) -> Iterator[bytes]:
    while first <= last and (rows := reader.read(first, last=last, limit=_PAGE)):
        yield from (row.body for row in rows)
        first = rows[-1].sequence + 1


def _waiting(reader: Reader, chain: str, first: int, last: int) -> Iterator[bytes]:
    """Those of another chain that wait for their verdict."""
    after = (chain, first - 1)
    while rows := reader.salvaged(after=after, limit=_PAGE):
        for row in rows:
            if row.chain != chain or row.sequence > last:
                return
            yield row.body
        after = (chain, rows[-1].sequence)


def take(store: Store, header: Header, lines: Iterable[bytes], own_source: str) -> Taken:
    """Take lines of a file; raises `BadFile`."""
    if header.kind == "records":
        return take_records(store, header, lines, own_source)
    if header.source != own_source:
        raise BadFile(f"line 1: these are verdicts for {header.source}, this box is {own_source}")
    return take_verdicts(store, lines)


def take_verdicts(store: Store, lines: Iterable[bytes]) -> Taken:
    """Settle records by verdicts; in memory at once, on disk within a second. Accepted wins, twice is as once."""
    taken = Taken()
    for number, line in enumerate(lines, 1):
        verdict = verdict_of(number, line, store.reader, store.chain)
        if verdict.chain == store.chain:
            settled = store.outbox().settle(verdict.accepted, verdict.rejected, clock.now())
            taken += Taken(accepted=settled.newly_accepted, rejected=settled.newly_refused)
        else:
            taken += Taken(accepted=store.salvaged.settle(verdict.chain, verdict.accepted, verdict.rejected))
    return taken


def take_records(store: Store, header: Header, lines: Iterable[bytes], own_source: str) -> Taken:
    """Keep records that wait for delivery, with their ids and places, until the platform has spoken; after COMMIT.

    They go out in the lowest lane, under the name of the box that made them. What this very store holds is known.
    """
    if not is_source(header.source):
        raise BadFile(f"line 1: source {header.source!r} is not /SITE/GATEWAY")
    check = RecordCheck.of(header)
    rows, known = [], 0
    for number, line in enumerate(lines, 1):
        chain, sequence = check.check(number, line)
        if chain == store.chain:
            known += 1
        else:
            rows.append(Salvaged(chain, sequence, line))
    if rows and header.source != own_source:
        try:
            store.set_note(FORWARDED, note_with(store.note(FORWARDED), header.source))
        except ValueError as problem:
            raise BadFile(f"line 1: {problem}") from None
    new = store.salvaged.bring_in(rows, _PATIENCE) if rows else 0
    return Taken(new=new, known=known + len(rows) - new)
