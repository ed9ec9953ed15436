"""The stand-in's durable store: each record once, refused ones with the reason, and the state of every chain.

SQLite with WAL and synchronous=FULL. One thread calls it. The tables are open to tests and to people:

    records(chain, sequence, id, type, hash, prevhash, site, gateway, body)     accepted, once each
    refused(chain, sequence, id, hash, prevhash, code, reason, retryable, times)
    chains(number, name, site, gateway, broken)      counters(name, value)      malformed(topic, reason, payload)
    keys(site, gateway, id, public)      checkpoints(site, gateway, chain, sequence, hash, …, state, reason)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hwsim.city.events import Event
from hwsim.city.files import Files
from hwsim.city.heads import SignedHead, key_id, read_head
from hwsim.city.rules import Rule

GENESIS: Final = "0" * 64
KEPT_MALFORMED: Final = 100
KEPT_PAYLOAD: Final = 4096

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chains(
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, site TEXT NOT NULL, gateway TEXT NOT NULL,
    broken TEXT) STRICT;
CREATE TABLE IF NOT EXISTS records(
    chain INTEGER NOT NULL REFERENCES chains(number), sequence INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL, hash TEXT NOT NULL, prevhash TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE(chain, sequence)) STRICT;
CREATE TABLE IF NOT EXISTS refused(
    chain INTEGER NOT NULL REFERENCES chains(number), sequence INTEGER NOT NULL, id TEXT NOT NULL,
    hash TEXT, prevhash TEXT, code TEXT NOT NULL, reason TEXT NOT NULL, retryable INTEGER NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY(chain, sequence)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys(
    site TEXT NOT NULL, gateway TEXT NOT NULL, id TEXT NOT NULL, public TEXT NOT NULL,
    PRIMARY KEY(site, gateway, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints(
    site TEXT NOT NULL, gateway TEXT NOT NULL, chain TEXT NOT NULL, sequence INTEGER NOT NULL, hash TEXT NOT NULL,
    time TEXT NOT NULL, sig TEXT NOT NULL, line BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY(chain, sequence, sig)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS malformed(
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One record that was not accepted, as the verdict names it."""

    sequence: int
    id: str
    code: str
    reason: str
    retryable: bool


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of the records of one chain in one message."""

    chain: str
    accepted: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class _Chain:
    """One chain as far as it is known; `known` counts accepted and refused sequences, each once."""

    number: int
    name: str
    site: str
    gateway: str
    broken: str | None = None
    highest: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class _Neighbour:
    hash: str
    prevhash: str
    accepted: bool
    times: int = 0


class Archive:
    """Opens or makes the store. Raises sqlite3.Error where the file is none or cannot be written."""

    def __init__(self, path: Path | None, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5.0)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self.received = 0
        self.duplicates = 0
        self.malformed = 0
        self.distinct = 0
        self.rejected = 0
        self._chains: dict[str, _Chain] = {}
        self.files = Files(self._db)
        self._load()

    def close(self) -> None:
        """Close the file; everything committed stays."""
        self._db.close()

    @property
    def sites(self) -> set[str]:
        """The sites that ever sent a record."""
        return {chain.site for chain in self._chains.values()}

    @property
    def chains(self) -> int:
        """How many chains are known."""
        return len(self._chains)

    @property
    def gaps(self) -> int:
        """Sequences missing below the highest of their chain."""
        return sum(chain.highest - chain.known for chain in self._chains.values())

    @property
    def broken(self) -> list[str]:
        """What is wrong with each chain that is not whole: a link that does not hold, or a fork."""
        return [chain.broken for chain in self._chains.values() if chain.broken]

    def begin(self) -> None:
        """Start a transaction that takes one or more messages."""
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since `begin` durable; only after it may a verdict be given."""
        counts = (("received", self.received), ("duplicates", self.duplicates), ("malformed", self.malformed))
        self._db.executemany(
            "INSERT INTO counters VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", counts
        )
        self._db.execute("COMMIT")

    def take(self, events: Iterable[Event], *, site: str, gateway: str) -> list[Outcome]:
        """Store the records of one message; the outcome holds after `commit` only."""
        by_chain: dict[str, list[Event]] = {}
        for event in events:
            by_chain.setdefault(event.chain, []).append(event)
        return [self._take_chain(self._chain(name, site, gateway), found) for name, found in by_chain.items()]

    def keep_malformed(self, topic: str, reason: str, payload: bytes) -> None:
        """Keep what could not be read, the last hundred, for a person to look at."""
        self.malformed += 1
        self._db.execute(
            "INSERT INTO malformed(topic, reason, payload) VALUES(?, ?, ?)", (topic, reason, payload[:KEPT_PAYLOAD])
        )
        self._db.execute(
            "DELETE FROM malformed WHERE number <= (SELECT max(number) FROM malformed) - ?", (KEPT_MALFORMED,)
        )

    @property
    def checkpoints(self) -> dict[str, int]:
        """How many signed heads there are in each state: `ok`, `waiting`, `bad`."""
        return dict(self._db.execute("SELECT state, count(*) FROM checkpoints GROUP BY state").fetchall())

    @property
    def checkpoint_faults(self) -> list[str]:
        """What is wrong with each signed head that does not hold."""
        query = "SELECT chain, sequence, reason FROM checkpoints WHERE state = 'bad' ORDER BY chain, sequence LIMIT 100"
        return [f"{chain}: checkpoint at {sequence}: {reason}" for chain, sequence, reason in self._db.execute(query)]

    def keys(self, site: str, gateway: str) -> list[str]:
        """The public keys that count for a gateway."""
        query = "SELECT public FROM keys WHERE site = ? AND gateway = ?"
        return [public for (public,) in self._db.execute(query, (site, gateway))]

    def add_key(self, site: str, gateway: str, key_id: str, public: str) -> None:
        """Let a key count for a gateway from now on."""
        self._db.execute("INSERT OR IGNORE INTO keys VALUES(?, ?, ?, ?)", (site, gateway, key_id, public))

    def keep_checkpoint(self, head: SignedHead, *, site: str, gateway: str) -> None:
        """Keep a signed head, once; `judge_checkpoints` says what it is worth."""
        self._db.execute(
            "INSERT OR IGNORE INTO checkpoints VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'waiting', '')",
            (site, gateway, head.chain, head.sequence, head.hash, head.time, head.sig, head.line),
        )

    def judge_checkpoints(self) -> None:
        """Hold every signed head that waits against the gateway's keys and the records that are there."""
        query = "SELECT site, gateway, line FROM checkpoints WHERE state = 'waiting' ORDER BY time DESC LIMIT 50"
        for site, gateway, line in self._db.execute(query).fetchall():
            head = read_head(line)
            state, reason = self._judge_head(head, site, gateway)
            self._db.execute(
                "UPDATE checkpoints SET state = ?, reason = ? WHERE chain = ? AND sequence = ? AND sig = ?",
                (state, reason, head.chain, head.sequence, head.sig),
            )

    def _judge_head(self, head: SignedHead, site: str, gateway: str) -> tuple[str, str]:
        keys = self.keys(site, gateway)
        if not any(key_id(each) == head.key for each in keys):
            return "waiting", f"the key {head.key} is not known"
        if not any(head.signed_by(each) for each in keys if key_id(each) == head.key):
            return "bad", "the signature does not hold"
        chain = self._chains.get(head.chain)
        row = None
        if chain is not None:
            row = self._db.execute(
                "SELECT hash FROM records WHERE chain = ? AND sequence = ? UNION ALL"
                " SELECT hash FROM refused WHERE chain = ? AND sequence = ? AND hash IS NOT NULL",
                (chain.number, head.sequence, chain.number, head.sequence),
            ).fetchone()
        if row is None:
            return "waiting", "the record is not here yet"
        return ("ok", "") if row[0] == head.hash else ("bad", f"the record here has the hash {row[0]}")

    def _load(self) -> None:
        for number, name, site, gateway, broken in self._db.execute(
            "SELECT number, name, site, gateway, broken FROM chains"
        ):
            chain = _Chain(number, name, site, gateway, broken)
            for table in ("records", "refused"):
                highest, known = self._db.execute(
                    f"SELECT coalesce(max(sequence), 0), count(*) FROM {table} WHERE chain = ?",  # noqa: S608
                    (number,),
                ).fetchone()
                chain.highest = max(chain.highest, highest)
                chain.known += known
            self._chains[name] = chain
        self.distinct = self._db.execute("SELECT count(*) FROM records").fetchone()[0]
        self.rejected = self._db.execute("SELECT count(*) FROM refused").fetchone()[0]
        counts = dict(self._db.execute("SELECT name, value FROM counters").fetchall())
        self.received = counts.get("received", 0)
        self.duplicates = counts.get("duplicates", 0)
        self.malformed = counts.get("malformed", 0)

    def _chain(self, name: str, site: str, gateway: str) -> _Chain:
        chain = self._chains.get(name)
        if chain is None:
            number = self._db.execute(
                "INSERT INTO chains(name, site, gateway) VALUES(?, ?, ?)", (name, site, gateway)
            ).lastrowid
            chain = self._chains[name] = _Chain(number or 0, name, site, gateway)
        elif (chain.site, chain.gateway) != (site, gateway):
            self._break(chain, f"{name} comes from {chain.site}/{chain.gateway} and from {site}/{gateway}")
        return chain

    def _take_chain(self, chain: _Chain, events: list[Event]) -> Outcome:
        outcome = Outcome(chain=chain.name)
        known = self._neighbours(chain, events)
        fresh: list[Event] = []
        for event in events:
            self.received += 1
            before = known.get(event.sequence)
            if before is not None and before.accepted:
                self._come_again(chain, event, before, outcome)
                continue
            refusal = self._judge(event, before)
            if refusal is not None:
                self._refuse(chain, event, refusal, before, known, outcome)
                continue
            if before is not None and before.hash and before.hash != event.hash:
                self._break(chain, f"{chain.name}: two records claim sequence {event.sequence}")
            self._link(chain, event, known)
            known[event.sequence] = _Neighbour(event.hash, event.prevhash, True)
            fresh.append(event)
        self._store(chain, fresh, known, outcome)
        return outcome

    def _neighbours(self, chain: _Chain, events: Sequence[Event]) -> dict[int, _Neighbour]:
        """What is known of the sequences of a message and of those next to them."""
        found: dict[int, _Neighbour] = {}
        if not chain.known:
            return found
        for first, last in ranges(event.sequence for event in events):
            span = (chain.number, first - 1, last + 1)
            for sequence, hash_, prevhash in self._db.execute(
                "SELECT sequence, hash, prevhash FROM records WHERE chain = ? AND sequence BETWEEN ? AND ?", span
            ):
                found[sequence] = _Neighbour(hash_, prevhash, True)
            if self.rejected:
                for sequence, hash_, prevhash, times in self._db.execute(
                    "SELECT sequence, hash, prevhash, times FROM refused WHERE chain = ? AND sequence BETWEEN ? AND ?",
                    span,
                ):
                    found.setdefault(sequence, _Neighbour(hash_ or "", prevhash or "", False, times))
        return found

    def _come_again(self, chain: _Chain, event: Event, before: _Neighbour, outcome: Outcome) -> None:
        if event.fault is None and event.hash == before.hash:
            self.duplicates += 1
            outcome.accepted.append(event.sequence)
            return
        if event.fault is None:
            self._break(chain, f"{chain.name}: two records claim sequence {event.sequence}")
            code, reason = "fork", "another record was accepted with this sequence"
        else:
            code, reason = event.fault
        # The accepted one stays; saying so would hide the fork.
        outcome.refused.append(Refused(sequence=event.sequence, id=event.id, code=code, reason=reason, retryable=False))

    def _judge(self, event: Event, before: _Neighbour | None) -> tuple[str, str, bool] | None:
        if event.fault is not None:
            return (*event.fault, False)
        for rule in self._rules:
            if rule.matches(event) and not (rule.once and before is not None):
                return "rule", f"refused by the rule {rule.text}", rule.retryable
        return None

    def _refuse(
        self,
        chain: _Chain,
        event: Event,
        refusal: tuple[str, str, bool],
        before: _Neighbour | None,
        known: dict[int, _Neighbour],
        outcome: Outcome,
    ) -> None:
        code, reason, retryable = refusal
        trusted = event.fault is None
        if before is None:
            self.rejected += 1
            self._count(chain, event.sequence)
        if trusted:
            self._link(chain, event, known)
        times = before.times + 1 if before else 1
        known[event.sequence] = _Neighbour(
            event.hash if trusted else "", event.prevhash if trusted else "", False, times
        )
        self._db.execute(
            "INSERT OR REPLACE INTO refused VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chain.number,
                event.sequence,
                event.id,
                event.hash if trusted else None,
                event.prevhash if trusted else None,
                code,
                reason,
                int(retryable),
                times,
            ),
        )
        outcome.refused.append(
            Refused(sequence=event.sequence, id=event.id, code=code, reason=reason, retryable=retryable)
        )

    def _store(self, chain: _Chain, fresh: list[Event], known: dict[int, _Neighbour], outcome: Outcome) -> None:
        if not fresh:
            return
        rows = [(chain.number, e.sequence, e.id, e.type, e.hash, e.prevhash, e.body) for e in fresh]
        before = self._db.total_changes
        self._db.executemany("INSERT OR IGNORE INTO records VALUES(?, ?, ?, ?, ?, ?, ?)", rows)
        if self._db.total_changes - before != len(fresh):
            fresh = self._refuse_used_ids(chain, fresh, known, outcome)
        for event in fresh:
            outcome.accepted.append(event.sequence)
        self.distinct += len(fresh)
        self._settle(chain, fresh)

    def _settle(self, chain: _Chain, fresh: Sequence[Event]) -> None:
        """Count what is new, and take what is now accepted off the list of the refused."""
        freed = 0
        for first, last in ranges(event.sequence for event in fresh):
            if self.rejected:
                freed += self._db.execute(
                    "DELETE FROM refused WHERE chain = ? AND sequence BETWEEN ? AND ? AND EXISTS("
                    "SELECT 1 FROM records r WHERE r.chain = refused.chain AND r.sequence = refused.sequence)",
                    (chain.number, first, last),
                ).rowcount
            chain.highest = max(chain.highest, last)
        self.rejected -= freed
        chain.known += len(fresh) - freed

    def _refuse_used_ids(
        self, chain: _Chain, fresh: list[Event], known: dict[int, _Neighbour], outcome: Outcome
    ) -> list[Event]:
        """Those that could not be stored carry an id that another record has: one id names one record."""
        stored: list[Event] = []
        for event in fresh:
            owner = self._db.execute("SELECT chain, sequence FROM records WHERE id = ?", (event.id,)).fetchone()
            if owner == (chain.number, event.sequence):
                stored.append(event)
                continue
            self._break(chain, f"{chain.name}: the id of sequence {event.sequence} names another record")
            times = self._db.execute(
                "SELECT times FROM refused WHERE chain = ? AND sequence = ?", (chain.number, event.sequence)
            ).fetchone()
            before = _Neighbour("", "", False, times[0]) if times else None
            self._refuse(chain, event, ("id", "the id names another record", False), before, known, outcome)
            outcome.accepted = [sequence for sequence in outcome.accepted if sequence != event.sequence]
        return stored

    def _link(self, chain: _Chain, event: Event, known: dict[int, _Neighbour]) -> None:
        before = known.get(event.sequence - 1)
        after = known.get(event.sequence + 1)
        if event.sequence == 1 and event.prevhash != GENESIS:
            self._break(chain, f"{chain.name}: the first record names a record before it")
        if before is not None and before.hash and before.hash != event.prevhash:
            self._break(chain, f"{chain.name}: {event.sequence} does not follow {event.sequence - 1}")
        if after is not None and after.prevhash and after.prevhash != event.hash:
            self._break(chain, f"{chain.name}: {event.sequence + 1} does not follow {event.sequence}")

    def _count(self, chain: _Chain, sequence: int) -> None:
        chain.known += 1
        chain.highest = max(chain.highest, sequence)

    def _break(self, chain: _Chain, reason: str) -> None:
        if chain.broken is None:
            chain.broken = reason
            self._db.execute("UPDATE chains SET broken = ? WHERE number = ?", (reason, chain.number))


def ranges(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Sequences as the fewest inclusive ranges, in order; doubles count once."""
    merged: list[tuple[int, int]] = []
    for sequence in sorted(set(sequences)):
        if merged and merged[-1][1] + 1 == sequence:
            merged[-1] = (merged[-1][0], sequence)
        else:
            merged.append((sequence, sequence))
    return merged
