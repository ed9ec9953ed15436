"""Checking a chain, line by line, wherever the lines come from.

`Audit` takes records, stubs and statements in the order in which they lie, tells what is wrong as soon as it is sure,
and the rest at the end. It needs a few bytes of memory a record and raises nothing, whatever it is fed.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.proof import lines
from edge_agent.proof.attested import Attested
from edge_agent.proof.findings import Fault, Finding, Place
from edge_agent.proof.lines import Link, Unreadable
from edge_agent.proof.signing import PublicKey
from edge_agent.proof.statements import AnyStatement
from edge_agent.records.envelope import GENESIS_HASH

GENESIS: Final = Place(0, GENESIS_HASH)
_PAGE_BITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was checked. `signed_to` is the last sequence that a signed checkpoint vouches for, 0 where none does.

    Without a key the signatures could not be checked and `signed_to` stays 0; what statements say was compared all
    the same.
    """

    chain: str | None
    records: int
    stubs: int
    last: int
    purged_to: int
    checkpoints: int
    days: int
    signed_to: int
    signatures_checked: bool
    findings: int


@dataclass(slots=True)
class _Gap:
    """Sequences that were passed over.

    `before` are the hashes that the first may follow (empty: any), `after` the prevhash of the record behind it.
    """

    first: int
    last: int
    before: tuple[str, ...]
    after: str | None
    where: str


class _Seen:
    """The first 64 bits of the hash at each sequence, to tell a repeated record from a forked one."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def put(self, sequence: int, value: str) -> None:
        page = self._pages.get(sequence >> _PAGE_BITS)
        if page is None:
            page = self._pages[sequence >> _PAGE_BITS] = array("Q", bytes(8 << _PAGE_BITS))
        page[sequence & ((1 << _PAGE_BITS) - 1)] = int(value[:16], 16)

    def same(self, sequence: int, value: str) -> bool:
        page = self._pages.get(sequence >> _PAGE_BITS)
        return page is not None and page[sequence & ((1 << _PAGE_BITS) - 1)] == int(value[:16], 16)


class Audit:
    """The check of one chain.

    `chain` is the one that is meant, by default that of the first statement or line that holds. `statements` are
    known beforehand, each with where it was read. `keys` are the public keys that count. `purged` is a place that
    the caller knows to be purged up to; a signed `Purged` says the same. `owed` are ranges that cannot have been
    purged, whatever is said, and `at_least` is a sequence that the chain is known to have reached. With `any_order`
    (a stream as it came over the wire) order and repetition are no findings; with `stubs` False every stub is one.
    """

    def __init__(
        self,
        *,
        chain: str | None = None,
        statements: Iterable[tuple[str, AnyStatement]] = (),
        keys: Iterable[PublicKey] = (),
        purged: Place = GENESIS,
        owed: Sequence[tuple[int, int]] = (),
        at_least: int = 0,
        any_order: bool = False,
        stubs: bool = True,
    ) -> None:
        self._attested = Attested(statements, keys, purged=purged, at_least=at_least)
        self._chain = chain if chain is not None else self._attested.chain
        self._chain_is_sure = self._chain is not None
        self._owed = owed
        self._any_order = any_order
        self._stubs_allowed = stubs
        self._expected = 1
        self._tip: tuple[str, ...] = (GENESIS_HASH,)  # what the next record may name; empty: that is not known
        self._gaps: list[_Gap] = []
        self._seen = _Seen()
        self._unread: list[str] = []
        self._records = self._stubs = self._found = 0

    # --- what comes in

    def feed(self, where: str, line: bytes, *, row: int | None = None) -> list[Finding]:
        """Take the next line; `row` is the sequence under which a store keeps it. Returns what is wrong for sure."""
        found = list(self._feed(where, line, row))
        self._found += len(found)
        return found

    def _feed(self, where: str, line: bytes, row: int | None) -> Iterator[Finding]:
        item = lines.read(line)
        if isinstance(item, Unreadable):
            if row is None:
                self._unread.append(where)
            elif row >= self._expected:
                self._pass_over(where, row)
            yield Finding(fault=Fault.UNREADABLE, where=where, what=item.reason, sequence=row)
        elif isinstance(item, Link):
            self._adopt(item)
            yield from self._attested.sort(self._chain)
            yield from self._take(where, item, row)
        # else a statement: those that count were given beforehand

    def _adopt(self, link: Link) -> None:
        """Take the chain from the first line; one whose content was changed counts only until a better one comes."""
        if not self._chain_is_sure:
            self._chain = self._chain if self._chain is not None and link.changed else link.chain
            self._chain_is_sure = not link.changed

    def _take(self, where: str, link: Link, row: int | None) -> Iterator[Finding]:
        if link.chain != self._chain and not link.changed:
            what = f"record {link.sequence} belongs to chain {link.chain}, not to {self._chain}"
            yield Finding(fault=Fault.OTHER_CHAIN, where=where, what=what, sequence=link.sequence)
            return
        if link.whole:
            self._records += 1
        else:
            self._stubs += 1
            if not self._stubs_allowed:
                what = f"of record {link.sequence} only the stub is there"
                yield Finding(fault=Fault.STUB, where=where, what=what, sequence=link.sequence)
        sequence = self._sequence_of(link, row)
        if link.changed:
            name = link.sequence if sequence is None else sequence
            what = f"record {name}: the content has the hash {link.computed}, and says {link.hash}"
            yield Finding(fault=Fault.CHANGED, where=where, what=what, sequence=name)
        elif row is not None and row != link.sequence:
            what = f"the store keeps record {link.sequence} as {row}"
            yield Finding(fault=Fault.MISPLACED, where=where, what=what, sequence=row)
        if sequence is not None:
            yield from self._place(where, link, sequence)

    def _sequence_of(self, link: Link, row: int | None) -> int | None:
        """Where a record belongs. One whose content was changed may lie about that; None where it cannot be told."""
        if not link.changed:
            return link.sequence
        if row is not None:
            return row
        if link.sequence == self._expected or self._gap_at(link.sequence) is not None:
            return link.sequence
        return self._expected if link.prevhash in self._tip else None

    # --- places

    def _place(self, where: str, link: Link, sequence: int) -> Iterator[Finding]:
        at = self._gap_at(sequence)
        if sequence >= self._expected:
            yield from self._go_on(where, link, sequence)
        elif at is not None:
            yield from self._fill(where, link, sequence, at)
        elif not self._seen.same(sequence, link.hash):
            what = f"another record with sequence {sequence} came before; this one has the hash {link.hash}"
            yield Finding(fault=Fault.FORKED, where=where, what=what, sequence=sequence)
        elif not self._any_order:
            what = f"record {sequence} came before"
            yield Finding(fault=Fault.REPEATED, where=where, what=what, sequence=sequence)

    def _go_on(self, where: str, link: Link, sequence: int) -> Iterator[Finding]:
        if sequence > self._expected:
            behind = f", behind what cannot be read ({', '.join(self._unread[-3:])})" if self._unread else ""
            self._gaps.append(_Gap(self._expected, sequence - 1, self._tip, link.prevhash, where + behind))
        elif not link.changed and self._tip and link.prevhash not in self._tip:
            yield self._broken(where, sequence, link.prevhash)
        self._unread.clear()
        self._expected = sequence + 1
        self._tip = link.hashes
        self._seen.put(sequence, link.hash)
        yield from self._attested.compare(where, sequence, link)
        yield from self._attested.grow(sequence, link)

    def _fill(self, where: str, link: Link, sequence: int, at: int) -> Iterator[Finding]:
        """A record that should have come before; it parts the gap in two."""
        gap = self._gaps[at]
        parts = (
            _Gap(gap.first, sequence - 1, gap.before, link.prevhash, gap.where),
            _Gap(sequence + 1, gap.last, link.hashes, gap.after, gap.where),
        )
        self._gaps[at : at + 1] = [part for part in parts if part.first <= part.last]
        self._seen.put(sequence, link.hash)
        if not self._any_order:
            what = f"record {sequence} stands behind record {self._expected - 1}"
            yield Finding(fault=Fault.REORDERED, where=where, what=what, sequence=sequence)
        if sequence == gap.first and not link.changed and gap.before and link.prevhash not in gap.before:
            yield self._broken(where, sequence, link.prevhash)
        if sequence == gap.last and gap.after is not None and gap.after not in link.hashes:
            yield self._broken(where, sequence + 1, gap.after)
        yield from self._attested.compare(where, sequence, link)

    def _pass_over(self, where: str, row: int) -> None:
        """A row that cannot be read still has its place; what follows it cannot be compared with it."""
        if row > self._expected:
            self._gaps.append(_Gap(self._expected, row - 1, self._tip, None, where))
        self._gaps.append(_Gap(row, row, (), None, ""))
        self._expected = row + 1
        self._tip = ()

    def _gap_at(self, sequence: int) -> int | None:
        """Which gap a sequence lies in."""
        at = bisect.bisect_right(self._gaps, sequence, key=lambda gap: gap.first) - 1
        return at if at >= 0 and sequence <= self._gaps[at].last else None

    def _broken(self, where: str, sequence: int, prevhash: str) -> Finding:
        what = (
            f"record {sequence} follows a record with the hash {prevhash}, and record {sequence - 1} has another:"
            " one of the two is not the one that was kept"
        )
        return Finding(fault=Fault.BROKEN_LINK, where=where, what=what, sequence=sequence)

    # --- the end

    def finish(self, *, purged: Place | None = None, owed: Sequence[tuple[int, int]] = ()) -> list[Finding]:
        """What can only be told when nothing more comes.

        `purged` is a place up to which was purged meanwhile, `owed` what turned out to be owed besides.
        """
        self._owed = (*self._owed, *owed)
        found = list(self._finish(purged))
        self._found += len(found)
        return found

    def _finish(self, purged: Place | None) -> Iterator[Finding]:
        yield from self._attested.sort(self._chain)
        if purged is not None:
            self._attested.purge(purged)
        place = self._attested.purged
        for gap in self._gaps:
            yield from self._missing(gap, place.sequence)
            if gap.last == place.sequence and gap.after is not None and gap.after != place.hash:
                yield self._broken(gap.where, place.sequence + 1, gap.after)
        end = self._expected - 1
        reach, where = self._attested.reach
        if reach > end:
            what = f"the chain ends with record {end} and is known to reach {reach}: {_span(end + 1, reach)} missing"
            yield Finding(fault=Fault.MISSING, where=where, what=what, sequence=end + 1, last=reach)

    def _missing(self, gap: _Gap, purged_to: int) -> Iterator[Finding]:
        if not gap.where:
            return  # a row that is there and cannot be read, and told as such
        for owed_first, owed_last in self._owed:
            first, last = max(gap.first, owed_first), min(gap.last, owed_last, purged_to)
            if first <= last:
                what = f"{_span(first, last)} missing, and cannot have been purged"
                yield Finding(fault=Fault.MISSING, where=gap.where, what=what, sequence=first, last=last)
        first = max(gap.first, purged_to + 1)
        if first <= gap.last:
            what = f"{_span(first, gap.last)} missing"
            yield Finding(fault=Fault.MISSING, where=gap.where, what=what, sequence=first, last=gap.last)

    @property
    def report(self) -> Report:
        """What was checked; complete after `finish`."""
        attested = self._attested
        return Report(
            chain=self._chain,
            records=self._records,
            stubs=self._stubs,
            last=self._expected - 1,
            purged_to=attested.purged.sequence,
            checkpoints=attested.checkpoints,
            days=attested.days,
            signed_to=attested.signed_to,
            signatures_checked=attested.signatures_checked,
            findings=self._found,
        )


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
