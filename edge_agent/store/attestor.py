"""What the store says of itself under its signature: checkpoints, the roots of days, purges, changes of keys.

Statements are made when they are due and kept with the committer's next transaction. While signing is blocked, none
is made: the chain is in doubt, and a person must look at it first.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

import orjson
import structlog

from edge_agent import clock
from edge_agent.proof import AnyStatement, Checkpoint, DayRoot, KeyChange, NotAKey, Place, PublicKey, Purged, Signer
from edge_agent.proof.days import Days, EndedDay
from edge_agent.proof.statements import sign_checkpoint, sign_day_root, sign_evidence, sign_key_change, sign_purged
from edge_agent.store import keys
from edge_agent.store.errors import CommitFailed, KeyUnusable
from edge_agent.store.keys import KeyFile
from edge_agent.store.values import Head

BLOCKED: Final = "signing_blocked"
CHECKPOINT, DAY, PURGED, KEY = "checkpoint", "day", "purged", "key"
_PUT: Final = "INSERT OR REPLACE INTO statements (kind, sequence, time, body) VALUES (?, ?, ?, ?)"
_ROTATE_WITHIN: Final = 20.0
_log = structlog.get_logger(__name__)


def establish(connection: sqlite3.Connection, path: Path) -> tuple[KeyFile, str | None]:
    """The key that signs from now on, made where there is none; and what a person must know of it before it signs.

    A key that is gone, or another one in its place, must not stop the stall, and must not pass unseen either.
    Raises `KeyForbidden`, `KeyUnusable`, and `StoreUnusable` where a new key cannot be written.
    """
    row = connection.execute("SELECT id FROM signing_keys ORDER BY number DESC LIMIT 1").fetchone()
    if row is not None and keys.credential_path() is None:
        keys.promote(path, row[0])  # a change of keys that a power cut interrupted
    found = keys.find(path)
    made = found is None
    if found is None:
        found = keys.make(path)
    now, own = clock.rfc3339(clock.now().wall_ms, UTC), found.signer.public
    if row is not None and row[0] == own.id:
        return found, None
    know(connection, own, now)
    if row is None:
        return found, None
    wrong = (
        f"the key {row[0]}, which signed this store, is gone; {own.id} was made"
        if made
        else f"this store was signed by the key {row[0]}, and {found.path} is {own.id}"
    )
    chain = connection.execute("SELECT body FROM records ORDER BY sequence DESC LIMIT 1").fetchone()
    if chain is not None:
        name = orjson.loads(chain[0])["chain"]
        # Signed by itself: it says that the keys changed, and vouches for nothing.
        put(connection, sign_key_change(found.signer, chain=name, successor=own, reason=wrong, time=now))
    return found, f"{wrong}; say that this is right with: edge-agent keys accept"


def know(connection: sqlite3.Connection, key: PublicKey, since: str) -> None:
    """Remember a public key as the one that signs from now on."""
    connection.execute("DELETE FROM signing_keys WHERE id = ?", (key.id,))
    connection.execute("INSERT INTO signing_keys (id, public, since) VALUES (?, ?, ?)", (key.id, str(key), since))


_KINDS: Final[dict[type, tuple[str, str]]] = {
    Checkpoint: (CHECKPOINT, "sequence"),
    DayRoot: (DAY, "last"),
    Purged: (PURGED, "purged_to"),
    KeyChange: (KEY, ""),
}


class Attestor:
    """Signs and hands what it signed to the committer, whose rider it is. Thread-safe.

    `blocked` says why nothing is signed; None while all is well.
    """

    def __init__(self, *, path: Path, connection: sqlite3.Connection, zone: tzinfo, head: Callable[[], Head]) -> None:
        self.chain = ""
        self._path = path
        self._key, wrong = establish(connection, path)
        self.zone = zone
        self._head = head
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one change of keys at a time
        self._unwritten: list[AnyStatement] = []
        self._writing: list[AnyStatement] = []
        self._meta: dict[str, str | None] = {}
        self._writing_meta: dict[str, str | None] = {}
        self._written = threading.Condition(self._lock)
        self._last: tuple[Place, bytes] | None = None
        self._keys = {}
        for (text,) in connection.execute("SELECT public FROM signing_keys"):
            with suppress(NotAKey):  # a damaged row: what it signed is not known as ours
                known = PublicKey.parse(text)
                self._keys[known.id] = known
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (BLOCKED,)).fetchone()
        self.blocked: str | None = row[0] if row else None
        if wrong is not None:
            self.block(wrong if self.blocked is None else f"{self.blocked}; {wrong}")

    def begin(self, connection: sqlite3.Connection, chain: str, anchor: Head) -> None:
        """The chain is known. A store of a version that did not sign is given its signed anchor."""
        self.chain = chain
        if (
            anchor.sequence
            and connection.execute("SELECT 1 FROM statements WHERE kind = ?", (PURGED,)).fetchone() is None
        ):
            self.purged(connection, anchor)

    def knows(self, statement: AnyStatement) -> bool:
        """Whether one of the keys that ever signed for this store signed this."""
        key = self._keys.get(statement.key)
        return key is not None and statement.signed_by(key)

    @property
    def signer(self) -> Signer:
        """The key that signs now."""
        return self._key.signer

    def checkpoint(self) -> bytes | None:
        """The signed head of the chain; the same as before where nothing was kept since. None while blocked."""
        head = self._head()
        with self._lock:
            if self.blocked is not None or not head.sequence:
                return None
            place = Place(*head)
            if self._last is None or self._last[0] != place:
                made = sign_checkpoint(self.signer, chain=self.chain, place=place, time=self._now())
                self._unwritten.append(made)
                self._last = place, made.dumps()
            return self._last[1]

    def evidence(self, day: str, manifest: str) -> bytes | None:
        """The signed word on an archive; None while blocked. It goes with the archive and is not kept here."""
        if self.blocked is not None:
            return None
        return sign_evidence(self.signer, chain=self.chain, day=day, manifest=manifest, time=self._now()).dumps()

    def day_ended(self, ended: EndedDay) -> Sequence[AnyStatement]:
        """What is to be said of a day that ended: its root, and the place of its last record."""
        if self.blocked is not None:
            return ()
        now, signer, chain = self._now(), self.signer, self.chain
        root = sign_day_root(
            signer, chain=chain, day=ended.day, first=ended.first, last=ended.last, root=ended.root, time=now
        )
        return root, sign_checkpoint(signer, chain=chain, place=Place(ended.last, ended.hash), time=now)

    def purged(self, connection: sqlite3.Connection, place: Head) -> None:
        """Say in the committer's transaction up to where was purged; the newest word stands for those before it."""
        if self.blocked is not None:
            return
        connection.execute("DELETE FROM statements WHERE kind = ?", (PURGED,))
        put(connection, sign_purged(self.signer, chain=self.chain, place=Place(*place), time=self._now()))
        # Checkpoints and days before the anchor can be compared with nothing any more; changes of keys stay.
        connection.execute(
            "DELETE FROM statements WHERE kind IN (?, ?) AND sequence < ?", (CHECKPOINT, DAY, place.sequence)
        )

    def _now(self) -> str:
        return clock.rfc3339(clock.now().wall_ms, self.zone)

    def block(self, reason: str, **meta: str) -> None:
        """Sign nothing from now on, over restarts too, until `unblock`."""
        with self._lock:
            self.blocked = reason
            self._meta |= {BLOCKED: reason, **meta}
        _log.error("signing.blocked", reason=reason)

    def unblock(self) -> bool:
        """A person has looked: sign again. Whether signing was blocked."""
        with self._lock:
            was, self.blocked = self.blocked, None
            if was is not None:
                self._meta[BLOCKED] = None
        if was is not None:
            _log.warning("signing.unblocked", after=was)
        return was is not None

    def rotate(self, reason: str, successor: KeyFile | None = None) -> KeyChange:
        """Hand over to a new key, or to `successor`; returns when that is durable.

        Raises `KeyUnusable` where the present key is a credential and no successor is named, `CommitFailed` and
        TimeoutError where the change could not be written: the old key goes on then.
        """
        with self._turn:
            if successor is None:
                if not self._key.ours:
                    raise KeyUnusable(
                        f"the key {self._key.path} is a credential of the service manager and cannot be replaced from"
                        " here; make the next one (openssl genpkey -algorithm ed25519), name it with --new-key, and"
                        " put it into the unit before the next start"
                    )
                signer = Signer.generate()
                keys.stage(self._path, signer)
                successor = KeyFile(signer, keys.key_path(self._path), ours=True)
            change = sign_key_change(
                self.signer, chain=self.chain, successor=successor.signer.public, reason=reason, time=self._now()
            )
            with self._written:
                self._unwritten.append(change)
                if not self._written.wait_for(lambda: not self._holds(change), _ROTATE_WITHIN):
                    self._unwritten = [each for each in self._unwritten if each is not change]
                    raise CommitFailed("the change of keys could not be written; the old key goes on")
                self._key, self._last = successor, None
                self._keys[successor.signer.public.id] = successor.signer.public
            if successor.ours:
                keys.promote(self._path, successor.signer.public.id)
            _log.warning("key.changed", key=successor.signer.public.id, before=change.key, reason=reason)
            return change

    def _holds(self, statement: AnyStatement) -> bool:
        return any(each is statement for each in (*self._unwritten, *self._writing))

    # --- the committer's thread

    def waiting(self) -> bool:
        """Whether something was signed and is not on disk."""
        return bool(self._unwritten or self._meta)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write it."""
        with self._lock:
            self._writing, self._unwritten = self._unwritten, []
            self._writing_meta, self._meta = self._meta, {}
        for statement in self._writing:
            put(connection, statement, sequence=self._head().sequence)
            if isinstance(statement, KeyChange):
                know(connection, statement.next_key, statement.time)
        for key, value in self._writing_meta.items():
            if value is None:
                connection.execute("DELETE FROM meta WHERE key = ?", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def committed(self) -> None:
        """It is on disk."""
        with self._written:
            self._writing, self._writing_meta = [], {}
            self._written.notify_all()

    def rolled_back(self) -> None:
        """It is not; it goes with the next transaction."""
        with self._lock:
            self._unwritten = self._writing + self._unwritten
            self._meta = self._writing_meta | self._meta
            self._writing, self._writing_meta = [], {}


def put(connection: sqlite3.Connection, statement: AnyStatement, *, sequence: int = 0) -> None:
    """Write a statement down; `sequence` counts for one that is about none."""
    kind, place = _KINDS[type(statement)]
    at = getattr(statement, place) if place else sequence
    connection.execute(_PUT, (kind, at, statement.time, statement.dumps()))


class DayRoots:
    """A chore of the committer: goes through what was kept, behind the head, and has the root of each day signed.

    It needs no work on the way of a record, and remembers how far it came, so that a start reads little again. What
    it has not passed must not be purged (`passed`); `hurry` says that a purge waits for it.
    """

    STEP: Final = 2_000
    BEHIND = 1_000
    """Records that are worth a transaction of their own."""
    _LOOK_EVERY: Final = 1.0
    _READ_EVERY: Final = 600.0
    _META: Final = "days"

    def __init__(
        self,
        *,
        connection: sqlite3.Connection,
        attestor: Attestor,
        head: Callable[[], Head],
        anchor: Head,
        reached: int,
        hurry: Callable[[], bool],
        step: int = STEP,
    ) -> None:
        self._attestor = attestor
        self._head = head
        self._hurry = hurry
        self._step = step
        self._next_look = 0.0
        self._next_read = clock.monotonic() + self._READ_EVERY
        self._read_to, self._days = self._load(connection, anchor, reached)
        self._saved = self._read_to, self._days.state()

    def _load(self, connection: sqlite3.Connection, anchor: Head, reached: int) -> tuple[int, Days]:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (self._META,)).fetchone()
        if row is not None:
            try:
                state = orjson.loads(row[0])
                if anchor.sequence <= state["passed"] <= reached:
                    return state["passed"], Days.resumed(state["state"])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
                _log.error("days.unreadable", reason=str(problem))
        return anchor.sequence, Days(whole=anchor.sequence == 0)

    @property
    def passed(self) -> int:
        """The last sequence that is taken into account and remembered so."""
        return self._saved[0]

    def owed(self) -> bool:
        """What is not done before the end is done after the next start."""
        return False

    def urgent(self) -> bool:
        """Whether a purge waits."""
        return self._hurry() and self.passed < self._head().sequence

    def waiting(self) -> bool:
        """Whether there is enough to read, or a day is over."""
        head = self._head().sequence
        if head - self.passed >= self.BEHIND or self.urgent():
            return True
        now = clock.monotonic()
        if now < self._next_look:
            return False
        if self._over(head):
            return True
        self._next_look = now + self._LOOK_EVERY
        return False

    def _over(self, head: int) -> bool:
        """Whether the day under way has ended: by the clock, or by a record of a later date."""
        if self._read_to < head and (not self._days.day or clock.monotonic() >= self._next_read):
            return True
        at = clock.now()
        today = clock.rfc3339(at.wall_ms, self._attestor.zone)[:10]
        if self._read_to < head:
            return today != self._days.day
        return self._by_clock(at.wall_ms, synced=at.synced)

    def _by_clock(self, wall_ms: int, *, synced: bool) -> bool:
        ends = self._days.ends
        return synced and ends is not None and wall_ms >= ends.timestamp() * 1000

    def write(self, connection: sqlite3.Connection) -> None:
        """Read on by one step, and write down what follows."""
        now = clock.monotonic()
        self._next_look, self._next_read = now + self._LOOK_EVERY, now + self._READ_EVERY
        head = self._head().sequence
        rows = connection.execute(
            "SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (self._read_to, self._step),
        )
        for sequence, body in rows:  # one at a time: a step of bodies in memory would never be given back
            if sequence != self._read_to + 1:
                self._days.miss()
            self._read_to = sequence
            try:
                ended = self._days.add(sequence, *hash_and_time(body))
            except ValueError as problem:
                _log.error("days.record_unreadable", sequence=sequence, reason=str(problem))
                self._days.miss()
                continue
            self._end(connection, ended)
        at = clock.now()
        if self._read_to >= head and self._by_clock(at.wall_ms, synced=at.synced):
            self._end(connection, self._days.close())
        state = {"passed": self._read_to, "state": self._days.state()}
        connection.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (self._META, orjson.dumps(state).decode())
        )

    def _end(self, connection: sqlite3.Connection, ended: EndedDay | None) -> None:
        if ended is None:
            return
        for statement in self._attestor.day_ended(ended):
            put(connection, statement)
        # Of the checkpoints within the day one an hour stays: enough to say where a chain that was written anew parts.
        connection.execute(
            "DELETE FROM statements WHERE kind = ? AND sequence BETWEEN ? AND ? AND sequence NOT IN ("
            "SELECT max(sequence) FROM statements WHERE kind = ? AND sequence BETWEEN ? AND ?"
            " GROUP BY substr(time, 1, 13))",
            (CHECKPOINT, ended.first, ended.last - 1, CHECKPOINT, ended.first, ended.last - 1),
        )

    def committed(self) -> None:
        """The step is durable."""
        self._saved = self._read_to, self._days.state()

    def rolled_back(self) -> None:
        """It is not: begin it again."""
        self._read_to, state = self._saved
        self._days = Days.resumed(state)


_HASH: Final = b'"datacontenttype":"application/json","hash":"'
_TIME: Final = b'"time":"'


def hash_and_time(body: bytes) -> tuple[str, str]:
    """Hash and time of a stored record, without parsing the whole of it. Raises ValueError.

    In canonical form the envelope's keys after `data` are in a known order, and quotes inside texts are escaped: so
    the last place where such a key stands is the envelope's own.
    """
    at, then = body.rfind(_HASH), body.rfind(_TIME)
    if at < 0 or then < at:
        raise ValueError("the record has no hash and time where they belong")
    value = body[at + len(_HASH) : at + len(_HASH) + 64]
    end = body.index(b'"', then + len(_TIME))
    return value.decode(), body[then + len(_TIME) : end].decode()
