"""Webhook out: each record is told to another program's address, in order, once it is kept.

The queue is the store itself: where a webhook stands is noted, so nothing is held in memory, nothing is lost over a
restart, and nothing here can hold up a sale or a purge. A record that was purged before it could be told is counted.
Every call carries records as a CloudEvents batch and a signature over time and body:

    Trace-Signature: t=<Unix seconds>,v1=<HMAC-SHA256 of "<t>.<body>" under the secret, hexadecimal>

An answer of 2xx means that they arrived. Anything else is tried again with growing pauses; 410 ends the webhook until
the agent is started anew.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog

from edge_agent import clock
from edge_agent.retry import Backoff
from edge_agent.store import Head, Kept, Row

CONTENT_TYPE: Final = "application/cloudevents-batch+json"

_PAGE: Final = 100
_BYTES: Final = 256 * 1024
_PATIENCE: Final = 10.0
_TURN: Final = 5.0
_LONGEST_PAUSE: Final = 300.0
_GONE: Final = 410
_SECRET_LENGTH: Final = 16


class RecordStore(Protocol):
    """What a webhook needs of the store."""

    @property
    def chain(self) -> str:
        """The id of its chain."""

    @property
    def head(self) -> Head:
        """The last committed record's place."""

    def read(self, first: int, *, last: int | None = None, limit: int, max_bytes: int | None = None) -> list[Row]:
        """Kept records in order."""

    def note(self, key: str) -> str | None:
        """A remembered fact."""

    def set_note(self, key: str, value: str) -> None:
        """Remember a fact, with the next commit at the latest."""

    def on_kept(self, listener: Callable[[Sequence[Kept]], None]) -> None:
        """Have a listener called with what each commit kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to tell, what, and with which secret. `types` empty: every type."""

    id: str
    url: str
    secret: bytes
    types: tuple[str, ...] = ()


class NotTaken(Exception):
    """The other side did not take it; `status` is 0 where there was no answer."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class Webhook:
    """One webhook. `alarm` is told in words why it stands still, and None when it goes on."""

    def __init__(self, target: Target, store: RecordStore, alarm: Callable[[str | None], None]) -> None:
        self._target = target
        self._store = store
        self._alarm = alarm
        self._note = f"webhook/{target.id}"
        self._ends = tuple(f'"type":"{name}"}}'.encode() for name in target.types)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._backoff = Backoff(first=1.0, maximum=_LONGEST_PAUSE, floor=0.5)
        self._log = structlog.get_logger().bind(webhook=target.id)
        self._thread = threading.Thread(target=self._run, name=f"webhook-{target.id}", daemon=True)
        self._told = self._load()
        self.missed = 0

    def start(self) -> None:
        """Begin to tell what is kept from now on, or where it ended."""
        self._store.on_kept(self._kept)
        self._wake.set()
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End; what is not told yet is told after the next start."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def _kept(self, _kept: Sequence[Kept]) -> None:
        self._wake.set()

    def _load(self) -> int:
        """Where it ended; at a first start it begins with what is kept from now on, in a new chain with its first."""
        text = self._store.note(self._note)
        if text is None:
            return self._store.head.sequence
        chain, _, sequence = text.partition(" ")
        return int(sequence) if chain == self._store.chain and sequence.isdigit() else 0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_TURN)
            self._wake.clear()
            try:
                while not self._stop.is_set() and self._tell_page():
                    pass
            except NotTaken as problem:
                if problem.status == _GONE:
                    self._log.error("webhook.gone", reason=str(problem))
                    self._alarm("the other side wants no more (410)")
                    return
                pause = self._backoff.next()
                if self._backoff.attempts in (1, 5) or self._backoff.attempts % 50 == 0:
                    self._log.warning("webhook.not_taken", reason=str(problem), attempts=self._backoff.attempts)
                if self._backoff.attempts >= 5:
                    self._alarm(str(problem))
                self._stop.wait(pause)
                self._wake.set()
            except Exception as problem:  # noqa: BLE001 -- a webhook is nobody's business but its own
                self._log.error("webhook.failed", reason=f"{type(problem).__name__}: {problem}")
                self._stop.wait(_TURN)

    def _tell_page(self) -> bool:
        """Tell the next records; whether there may be more. Raises `NotTaken`."""
        rows = self._store.read(self._told + 1, limit=_PAGE, max_bytes=_BYTES)
        if not rows:
            return False
        if rows[0].sequence > self._told + 1 and self._told:
            gone = rows[0].sequence - self._told - 1
            self.missed += gone
            self._log.error("webhook.missed", records=gone, reason="they were purged before the other side took them")
        wanted = [row.body for row in rows if not self._ends or row.body.endswith(self._ends)]
        if wanted:
            self._send(b"[" + b",".join(wanted) + b"]", f"{self._store.chain}-{rows[-1].sequence}")
            if self._backoff.attempts:
                self._log.info("webhook.taken_again", attempts=self._backoff.attempts)
            self._backoff.reset()
            self._alarm(None)
        self._told = rows[-1].sequence
        self._store.set_note(self._note, f"{self._store.chain} {self._told}")
        return True

    def _send(self, body: bytes, delivery: str) -> None:
        parts = urlsplit(self._target.url)
        at = clock.now().wall_ms // 1000
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Trace-Signature": signature(self._target.secret, at, body),
            "Trace-Delivery": delivery,
            "User-Agent": "trace-edge-agent",
        }
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection = _connection(parts.scheme, parts.hostname or "", parts.port)
            try:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                answer.read(4096)
                status = answer.status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise NotTaken(0, f"no answer: {type(problem).__name__}: {problem}") from problem
        if not 200 <= status < 300:
            raise NotTaken(status, f"answered {status}")


def signature(secret: bytes, at: int, body: bytes) -> str:
    """The header by which the other side knows that it was us, and when."""
    value = hmac.new(secret, b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={value}"


def secret_of(text: str) -> bytes:
    """The secret in a file. Raises ValueError where it is too short to be one."""
    secret = text.strip().encode()
    if len(secret) < _SECRET_LENGTH:
        raise ValueError(f"a secret has at least {_SECRET_LENGTH} characters, this one has {len(secret)}")
    return secret


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=_PATIENCE)


def targets(sections: Sequence[Any]) -> list[Target]:
    """The webhooks of a configuration. Raises OSError or ValueError where a secret cannot be read or used."""
    from pathlib import Path

    return [
        Target(id=s.id, url=s.url, secret=secret_of(Path(s.secret_file).read_text()), types=s.types) for s in sections
    ]
