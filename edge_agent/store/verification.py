"""Verifying a store: its rows, its statements and what it was purged of, beside a running agent or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from edge_agent.proof import Audit, Fault, Finding, NotAKey, Place, PublicKey, Purged
from edge_agent.proof.audit import Report
from edge_agent.proof.lines import Link, Unreadable
from edge_agent.proof.lines import read as read_line
from edge_agent.proof.statements import AnyStatement, parse
from edge_agent.store.reading import Reader
from edge_agent.store.values import Head

_PAGE: Final = 500


def _nothing(_passed: int) -> None:
    """Nobody watches."""


class Verification:
    """The check of a store's chain. `findings` is to be gone through once; after that `report` and `salvaged` hold.

    `keys` are the public keys that count; without any the store's own are taken, which proves that it is in itself
    consistent and no more.
    """

    def __init__(self, reader: Reader, *, keys: Iterable[PublicKey] = ()) -> None:
        self._reader = reader
        self._keys = list(keys)
        self.salvaged = 0
        self.report: Report | None = None
        self.keys: tuple[str, ...] = ()

    def findings(self, progress: Callable[[int], None] = _nothing) -> Iterator[Finding]:
        """Everything that is wrong, in the order in which it is met. Memory does not grow with the store's bodies."""
        reader = self._reader
        anchor = reader.anchor()
        statements: list[tuple[str, AnyStatement]] = []
        for number, line in enumerate(reader.statements(), 1):
            statement = parse(line)
            if statement is None:
                what = "what is kept as a signed statement is none"
                yield Finding(fault=Fault.UNREADABLE, where=f"statement {number}", what=what)
            else:
                statements.append((f"statement {number}", statement))
        keys = self._keys or list(self._own_keys())
        self.keys = tuple(key.id for key in keys)
        last = reader.head().sequence
        yield from self._unsigned_purge(anchor, [each for _, each in statements])
        audit = Audit(
            chain=reader.chain(),
            statements=statements,
            keys=keys,
            purged=Place(*anchor),
            at_least=max(last, reader.reached()),
            stubs=False,
        )
        passed = 0
        while rows := reader.read(passed + 1, last=last, limit=_PAGE):
            for row in rows:
                yield from audit.feed(f"row {row.sequence}", row.body, row=row.sequence)
            progress(rows[-1].sequence - passed)
            passed = rows[-1].sequence
        # What the purge of a running agent took meanwhile is no gap; what is not delivered now was never purged.
        anchor = reader.anchor()
        yield from audit.finish(purged=Place(*anchor), owed=reader.undelivered(min(anchor.sequence, last)))
        yield from self._salvaged()
        self.report = audit.report

    def _unsigned_purge(self, anchor: Head, statements: Iterable[AnyStatement]) -> Iterator[Finding]:
        """Purges are signed in the transaction that purges; a purge without that is somebody else's."""
        signed = max((each.purged_to for each in statements if isinstance(each, Purged)), default=0)
        if anchor.sequence > signed and self._reader.signing_blocked() is None:
            what = f"the store says that it was purged up to {anchor.sequence}, and signed is {signed}"
            yield Finding(
                fault=Fault.NOT_AS_SIGNED, where="anchor", what=what, sequence=signed + 1, last=anchor.sequence
            )

    def _own_keys(self) -> Iterator[PublicKey]:
        for each in self._reader.signing_keys():
            try:
                yield PublicKey.parse(each.public)
            except NotAKey:
                continue  # what it signed is then told as signed by a key that is not ours

    def _salvaged(self) -> Iterator[Finding]:
        """Records of earlier chains have lost their neighbours; each is held against its own hash."""
        after = ("", 0)
        while rows := self._reader.salvaged(after=after, limit=_PAGE):
            for row in rows:
                self.salvaged += 1
                where = f"salvaged {row.chain} {row.sequence}"
                link = read_line(row.body)
                if isinstance(link, Unreadable):
                    yield Finding(fault=Fault.UNREADABLE, where=where, what=link.reason, sequence=row.sequence)
                elif not isinstance(link, Link) or link.changed:
                    what = "the content is not the one that was hashed"
                    yield Finding(fault=Fault.CHANGED, where=where, what=what, sequence=row.sequence)
            after = (rows[-1].chain, rows[-1].sequence)
