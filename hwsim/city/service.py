"""The city stand-in as a service: messages in, stored once, verdicts out."""

from __future__ import annotations

import dataclasses
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson

from hwsim.city.archive import Archive, Outcome, Refused, ranges
from hwsim.city.events import Malformed, read_batch
from hwsim.city.files import BadPiece
from hwsim.city.heads import key_id, new_keys, read_head
from hwsim.city.link import BrokerLink
from hwsim.city.rules import Rule
from hwsim.sockets import parse_address

MAX_WAITING: Final = 1000  # messages between the network and the store; the broker holds back the rest
GROUP: Final = 64  # messages at most in one commit
REFUSED_IN_VERDICT: Final = 1000
_TOPIC: Final = re.compile(r"trace/v1/([A-Za-z0-9_-]+)/([A-Za-z0-9_-]+)/(records|attachments|checkpoint|info)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What the stand-in has seen since its store was made, and how it stands now.

    `received` counts each record as often as it came, `distinct` the accepted ones once, `duplicates` copies of
    accepted ones, `gaps` sequences missing below the highest of their chain, `rejected` records that stand refused
    now, `malformed` messages that could not be read. `chain_ok` is false once a link did not hold or two records
    claimed one place; `broken` says where. `checkpoints` counts signed heads that agree with what is held here,
    `checkpoints_waiting` those whose record or key is not here yet; `checkpoint_ok` is false once one did not hold,
    `checkpoint_faults` says which. `attachments` are the files that are whole, `pieces` what came of any.
    """

    received: int = 0
    distinct: int = 0
    duplicates: int = 0
    gaps: int = 0
    rejected: int = 0
    chain_ok: bool = True
    malformed: int = 0
    chains: int = 0
    verdicts: int = 0
    connected: bool = False
    protocol: str = "5"
    broken: tuple[str, ...] = ()
    checkpoints: int = 0
    checkpoints_waiting: int = 0
    checkpoint_ok: bool = True
    checkpoint_faults: tuple[str, ...] = ()
    attachments: int = 0
    pieces: int = 0

    def line(self) -> bytes:
        """One line of JSON."""
        return orjson.dumps(dataclasses.asdict(self))


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    acknowledge: Callable[[], None]


class City:
    """The platform's end of the line. `start` and `stop`, or a context manager.

    `broker` is HOST:PORT; `store` a SQLite file, None for memory. `silent` stores and acknowledges but gives no
    verdict for so many seconds (`float("inf")` for ever); `slow_ms` is a pause before each message is looked at.
    """

    def __init__(
        self,
        broker: str,
        *,
        store: Path | None = None,
        reject: Iterable[Rule | str] = (),
        silent: float = 0.0,
        slow_ms: float = 0.0,
        client_id: str = "hwsim-city",
    ) -> None:
        host, port = parse_address(broker)
        rules = [rule if isinstance(rule, Rule) else Rule.parse(rule) for rule in reject]
        self._archive = Archive(store, rules)
        self._link = BrokerLink(host, port, client_id=client_id, on_message=self._queue, on_up=self._announce_again)
        self._inbox: queue.Queue[_Message] = queue.Queue(MAX_WAITING)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._slow_s = slow_ms / 1000
        self._silent_until = time.monotonic() + silent
        self._accepting = True
        self._announce: set[str] = set(self._archive.sites)
        self._announced: set[str] = set()
        self._verdicts = 0
        self._stats = Stats()
        self._failure: str | None = None
        self._worker = threading.Thread(target=self._work, name="hwsim-city", daemon=True)
        self._publish_stats()

    def start(self) -> City:
        """Connect and take records; does not wait for the broker."""
        self._worker.start()
        self._link.start()
        return self

    def stop(self) -> None:
        """Finish the message at hand, disconnect (the broker keeps the session) and close the store."""
        self._stopping.set()
        if self._worker.is_alive():
            self._worker.join(10.0)
        self._link.stop()
        self._archive.close()

    def __enter__(self) -> City:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def stats(self) -> Stats:
        """How it stands after the last commit."""
        return dataclasses.replace(self._stats, connected=self._link.subscribed, protocol=self._link.protocol)

    @property
    def failure(self) -> str | None:
        """Why the store cannot go on; None while it can."""
        return self._failure

    def attachment(self, sha256: str) -> bytes:
        """The bytes that are there of an attachment; read beside the worker, between its commits."""
        return self._archive.files.content(sha256)

    def media_type(self, sha256: str) -> str | None:
        """What an attachment was said to be."""
        return self._archive.files.media_type(sha256)

    @property
    def bytes_again(self) -> int:
        """Bytes of attachments that came and were there already."""
        return self._archive.files.again

    def wait(self, holds: Callable[[Stats], bool], timeout: float) -> Stats:
        """Wait until `holds` is true of the figures. Raises TimeoutError with the last figures."""
        with self._changed:
            if not self._changed.wait_for(lambda: holds(self.stats), timeout):
                raise TimeoutError(f"not within {timeout} s: {self.stats}")
            return self.stats

    def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait until the broker has confirmed the subscription. Raises TimeoutError."""
        if not self._link.wait_subscribed(timeout):
            raise TimeoutError(f"not subscribed within {timeout} s")

    def silence(self, seconds: float) -> None:
        """Give no verdicts for so long from now on; 0 ends a silence."""
        self._silent_until = time.monotonic() + seconds

    def slow(self, milliseconds: float) -> None:
        """Pause before each message from now on."""
        self._slow_s = milliseconds / 1000

    def accept(self, accepting: bool) -> None:
        """Tell all sites on `platform/state` whether records are wanted."""
        self._accepting = accepting
        for site in sorted(self._announced):
            self._say_state(site)

    def _queue(self, topic: str, payload: bytes, acknowledge: Callable[[], None]) -> None:
        message = _Message(topic, payload, acknowledge)
        while not self._stopping.is_set():
            try:
                self._inbox.put(message, timeout=0.5)
            except queue.Full:
                continue
            return

    def _announce_again(self) -> None:
        # A broker without persistence forgets retained messages when it restarts.
        self._announced.clear()
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._greet()
                group = self._gather()
                if group:
                    self._take(group)
        except (sqlite3.Error, OSError) as problem:
            # Without a store there must be no verdict and no acknowledgement: the broker keeps the rest.
            self._failure = f"{type(problem).__name__}: {problem}"
            self._stopping.set()
            with self._changed:
                self._changed.notify_all()

    def _gather(self) -> list[_Message]:
        try:
            group = [self._inbox.get(timeout=0.1)]
        except queue.Empty:
            return []
        # A slow platform takes its time for each message, so it must not take them in groups.
        while len(group) < GROUP and not self._slow_s:
            try:
                group.append(self._inbox.get_nowait())
            except queue.Empty:
                break
        if self._slow_s:
            self._stopping.wait(self._slow_s)
        return group

    def _take(self, group: Sequence[_Message]) -> None:
        results: dict[tuple[str, str], list[Outcome]] = {}
        words: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self._archive.begin()
        for message in group:
            match = _TOPIC.fullmatch(message.topic)
            if match is None:
                self._archive.keep_malformed(message.topic, "topic levels are ASCII [A-Za-z0-9_-]", message.payload)
                continue
            site, gateway, what = match.groups()
            self._announce.add(site)
            if what == "attachments":
                self._take_piece(message, site, gateway, words)
                continue
            try:
                if what != "records":
                    self._take_word(what, site, gateway, message.payload)
                    continue
                events = read_batch(message.payload, source=f"/{site}/{gateway}")
            except Malformed as problem:
                self._archive.keep_malformed(message.topic, str(problem), message.payload)
                continue
            results.setdefault((site, gateway), []).extend(self._archive.take(events, site=site, gateway=gateway))
        self._archive.judge_checkpoints()
        self._archive.commit()
        for message in group:
            message.acknowledge()
        if time.monotonic() >= self._silent_until:
            for (site, gateway), outcomes in results.items():
                self._give_verdicts(f"trace/v1/{site}/{gateway}/verdicts", outcomes)
            for (site, gateway, chain), found in words.items():
                self._link.publish(f"trace/v1/{site}/{gateway}/verdicts", verdict(chain, (), (), found))
        self._publish_stats()

    def _take_word(self, kind: str, site: str, gateway: str, payload: bytes) -> None:
        """What a gateway says of itself: its signed head, or the key that signs it. Raises `Malformed`."""
        if not payload:
            return  # a retained message was removed
        if kind == "checkpoint":
            self._archive.keep_checkpoint(read_head(payload), site=site, gateway=gateway)
            return
        try:
            info = orjson.loads(payload)
        except orjson.JSONDecodeError as problem:
            raise Malformed(f"not JSON: {problem}") from problem
        if isinstance(info, dict):
            for public in new_keys(self._archive.keys(site, gateway), info):
                self._archive.add_key(site, gateway, key_id(public), public)

    def _take_piece(
        self, message: _Message, site: str, gateway: str, words: dict[tuple[str, str, str], list[dict[str, Any]]]
    ) -> None:
        try:
            chain, word = self._archive.files.take(message.payload, site=site, gateway=gateway)
        except BadPiece as problem:
            self._archive.keep_malformed(message.topic, str(problem), message.payload)
            return
        words.setdefault((site, gateway, chain), []).append(word)

    def _give_verdicts(self, topic: str, outcomes: Iterable[Outcome]) -> None:
        merged: dict[str, Outcome] = {}
        for outcome in outcomes:
            whole = merged.setdefault(outcome.chain, Outcome(chain=outcome.chain))
            whole.accepted.extend(outcome.accepted)
            whole.refused.extend(outcome.refused)
        for outcome in merged.values():
            # The last word on a sequence in this group counts; an accepted one is never refused again.
            accepted = set(outcome.accepted)
            by_sequence = {each.sequence: each for each in outcome.refused if each.sequence not in accepted}
            refused = list(by_sequence.values())
            for start in range(0, max(1, len(refused)), REFUSED_IN_VERDICT):
                part = refused[start : start + REFUSED_IN_VERDICT]
                self._link.publish(topic, verdict(outcome.chain, accepted if start == 0 else (), part))
                self._verdicts += 1

    def _greet(self) -> None:
        if not self._link.subscribed:
            return
        for site in sorted(self._announce - self._announced):
            self._say_state(site)
            self._announced.add(site)

    def _say_state(self, site: str) -> None:
        state = {"accepting": self._accepting, "drain_per_s": None, "time": _now()}
        self._link.publish(f"trace/v1/{site}/platform/state", orjson.dumps(state), retain=True)

    def _publish_stats(self) -> None:
        archive = self._archive
        broken = tuple(archive.broken)
        heads = archive.checkpoints
        with self._changed:
            self._stats = Stats(
                received=archive.received,
                distinct=archive.distinct,
                duplicates=archive.duplicates,
                gaps=archive.gaps,
                rejected=archive.rejected,
                chain_ok=not broken,
                malformed=archive.malformed,
                chains=archive.chains,
                verdicts=self._verdicts,
                broken=broken,
                checkpoints=heads.get("ok", 0),
                checkpoints_waiting=heads.get("waiting", 0),
                checkpoint_ok=not heads.get("bad", 0),
                checkpoint_faults=tuple(archive.checkpoint_faults) if heads.get("bad", 0) else (),
                attachments=archive.files.complete,
                pieces=archive.files.pieces,
            )
            self._changed.notify_all()


def verdict(
    chain: str, accepted: Iterable[int], refused: Sequence[Refused], attachments: Sequence[dict[str, Any]] = ()
) -> bytes:
    """The payload of one message on `verdicts`: accepted sequences as merged ranges, refused ones one by one, and the
    word on attachments where there is one."""
    more = {"attachments": attachments} if attachments else {}
    return orjson.dumps(
        more
        | {
            "v": 1,
            "chain": chain,
            "time": _now(),
            "accepted": ranges(accepted),
            "rejected": [dataclasses.asdict(each) for each in refused],
        }
    )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
