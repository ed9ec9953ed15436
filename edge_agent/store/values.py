"""The frozen values that the store hands out and takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

MIB = 1 << 20


class Row(NamedTuple):
    """One kept record: its sequence and its canonical bytes."""

    sequence: int
    body: bytes


class Head(NamedTuple):
    """A place on the chain: a record's sequence and hash. (0, 64 zeros) stands before the first record."""

    sequence: int
    hash: str


class Kept(NamedTuple):
    """What was just committed. A named tuple, because one is made for every record on the hot path."""

    sequence: int
    id: str
    type: str
    subject: str
    hash: str
    chain: str


class SigningKey(NamedTuple):
    """A public key that signed this store's statements, and since when."""

    id: str
    public: str
    since: str


class Salvaged(NamedTuple):
    """A record that was read back from a database that had to be set aside."""

    chain: str
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the store.

    `queue` records may wait for the committer; one commit takes at most `group` records and about
    `group_bytes` bytes. `busy_timeout` is how many seconds SQLite waits for another process's lock.
    `gather_ms` holds a commit back for company: 0 commits at once, 5 to 20 ms spares a flash card and costs
    latency. Delivered records are kept for `keep_days` days and within `max_bytes` of database (None: no bound);
    `reserve_bytes` of disk are held back so that there is room to make room: more than the write-ahead log needs,
    which grows to about 4 MiB.
    """

    queue: int = 10_000
    group: int = 1_000
    group_bytes: int = 4 * MIB
    busy_timeout: float = 5.0
    gather_ms: int = 0
    keep_days: int = 730
    max_bytes: int | None = None
    reserve_bytes: int = 8 * MIB

    def __post_init__(self) -> None:
        for name in ("queue", "group", "group_bytes", "keep_days", "reserve_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.gather_ms < 0 or self.busy_timeout < 0:
            raise ValueError("gather_ms and busy_timeout must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How the records of this chain stand towards one target; `kept` is always the sum of the other three."""

    kept: int
    delivered: int
    rejected: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one verdict changed."""

    newly_accepted: int
    newly_refused: int


RefusedState = Literal["rejected", "rejected-superseded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record in quarantine: the platform's code and words, and when its verdict came (Unix milliseconds).

    `rejected-superseded` means that a correcting record took its place.
    """

    sequence: int
    id: str
    code: str
    reason: str
    time_ms: int
    state: RefusedState = "rejected"
