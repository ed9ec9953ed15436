"""What a check found: what is wrong, and where."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """A record's place on the chain: its sequence and hash. (0, 64 zeros) stands before the first record."""

    sequence: int
    hash: str


class Fault(enum.StrEnum):
    """The kinds of finding."""

    UNREADABLE = "unreadable"  # the line is neither a record nor a stub nor a statement
    CHANGED = "changed"  # the content is not the one that was hashed
    MISSING = "missing"
    REPEATED = "repeated"
    REORDERED = "reordered"
    FORKED = "forked"  # two records claim one sequence
    BROKEN_LINK = "broken-link"  # a record does not name the one before it
    MISPLACED = "misplaced"  # the store keeps it under another sequence
    OTHER_CHAIN = "other-chain"
    STUB = "stub"  # a stub where only whole records belong
    SIGNATURE = "signature"
    NOT_AS_SIGNED = "not-as-signed"  # the chain says something else than what was signed
    PROOF = "proof"  # a path that does not lead from the record to the root


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    `where` says where it was read (`line 12`, `row 12`), `sequence` to `last` which places of the chain it
    concerns, `what` the rest in words.
    """

    fault: Fault
    where: str
    what: str
    sequence: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.fault}: {self.what}"
