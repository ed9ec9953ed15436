"""The relay: outbox to broker, verdicts to outbox. One thread owns the dispatch and the connection."""

from __future__ import annotations

import enum
import math
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from edge_agent import clock
from edge_agent.attachments import sniff
from edge_agent.model import Refusal, Verdict
from edge_agent.retry import Backoff
from edge_agent.uplink import wire
from edge_agent.uplink.attachment_lane import AttachmentLane
from edge_agent.uplink.dispatch import FAILURE, Dispatch
from edge_agent.uplink.forwarding import FORWARDED, sources_in, topic_of
from edge_agent.uplink.loads import Lane, Load
from edge_agent.uplink.mqtt import Acknowledged, Arrived, Closed, Connected, Connection, Event, Subscribed, Will
from edge_agent.uplink.ports import Attachments, Range, SalvagedRow, Store
from edge_agent.uplink.settings import Identity, LinkSettings
from edge_agent.uplink.shipments import joined
from edge_agent.uplink.versions import MqttVersion, Versions
from edge_agent.uplink.waker import Waker
from edge_agent.uplink.witness import EVERY, Witness

SENT_SHOWN: Final = 500
"""So many of the newest records are told apart as sent or not: those that a page shows."""
_TURN: Final = 1.0
"""Seconds: the relay's loop turns at least this often, and says so to the watchdog."""
_HEARING: Final = 0.2
"""Seconds that a new connection listens, before it publishes records, for the retained checkpoint and old verdicts."""
_HEARD: Final = 0.05
"""The same once the checkpoint has come: verdicts that wait come with it."""
_TOLD_BY: Final = 1_024
"""Bytes of an attachment that tell what it is."""
_MARGIN: Final = 1_024
"""Bytes of a packet that are not payload: topic, identifier, properties."""

_log = structlog.get_logger("edge_agent.uplink")


class LinkState(enum.StrEnum):
    """How the link stands. `connected` means subscribed too, so that verdicts can come."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """The link at one moment. `since` is monotonic seconds, `reason` says why in words.

    `in_flight` counts messages that the broker has not acknowledged, `unverdicted` records that were published
    and are not settled; `last_verdict_age` is in seconds, None before the first. `warning` tells what keeps
    records from being delivered over a link that stands.
    """

    state: LinkState
    since: float
    reason: str
    protocol: str | None = None
    session: str | None = None
    in_flight: int = 0
    unverdicted: int = 0
    last_verdict_age: float | None = None
    platform_accepting: bool = True
    warning: str | None = None


def _nothing() -> None:
    return None


def _no_facts() -> Mapping[str, Any]:
    return {}


class Relay:
    """Publishes what is kept until the platform has accepted it.

    `info` yields the facts of the retained `info` message; `pulse` is called whenever the loop turns, at least
    every `_TURN` seconds unless something holds it up; `told` is called when records were sent or settled, or the link
    changed. `witness` makes the checkpoints and reads the retained one; without it there are none. `start` brings a
    thread that begins again after a fault.
    """

    def __init__(
        self,
        store: Store,
        settings: LinkSettings,
        identity: Identity,
        *,
        attachments: Attachments | None = None,
        info: Callable[[], Mapping[str, Any]] = _no_facts,
        pulse: Callable[[], None] = _nothing,
        witness: Witness | None = None,
        told: Callable[[], None] = _nothing,
    ) -> None:
        self._store = store
        self._told = told
        self._forwarded: str | None = None
        self._sent: tuple[Range, ...] = ()
        self._outbox = store.outbox()
        self._settings = settings
        self._identity = identity
        self._attachments = attachments
        self._files = None if attachments is None else AttachmentLane(attachments, settings)
        self._info = info
        self._pulse = pulse
        self._topics = wire.Topics.of(identity)
        self._compress = wire.compressor(settings.compression)
        self._note = f"uplink.mqtt_version {settings.host}:{settings.port}"
        self._waker = Waker()
        self._stopping = threading.Event()
        self._goodbye_until = 0.0
        self._thread: threading.Thread | None = None
        self._dispatch = Dispatch(self._outbox, store.salvaged, settings)
        self._versions = Versions(None)
        self._backoff = Backoff(maximum=settings.reconnect_max)
        self._connection: Connection | None = None
        self._abandoned: Connection | None = None
        self._version = MqttVersion.V5
        self._session = ""
        self._since = ""
        self._dial_at = 0.0
        self._window: Connected | None = None
        self._subscribe_by = 0.0
        self._own: set[int] = set()
        self._witness = witness
        self._granted: int | None = None
        self._open_at = 0.0
        self._unsigned = False
        self._checkpoint_at = 0.0
        self._checkpointed: bytes | None = None
        self._info_at = 0.0
        self._last_verdict: float | None = None
        self._delivered = False
        self._warned: str | None = None
        self._logged: tuple[LinkState, str] | None = None
        self._status = LinkStatus(state=LinkState.OFFLINE, since=clock.monotonic(), reason="not started")
        store.on_kept(self._on_kept)
        if self._compress.name != settings.compression:
            _log.warning("link.compression", wanted=settings.compression, used=self._compress.name)

    # For others, from any thread

    def start(self) -> None:
        """Run in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._supervise, name="relay", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> bool:
        """Say goodbye to the broker and end, within `timeout` seconds; False where that did not come about."""
        self._goodbye_until = clock.monotonic() + 0.8 * timeout
        self._stopping.set()
        self._waker.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def attached(self) -> None:
        """A new attachment waits; from any thread."""
        if self._files is not None:
            self._files.changed()
            self._waker.set()

    def status(self) -> LinkStatus:
        """How the link stands now."""
        last = self._last_verdict
        return replace(
            self._status,
            in_flight=self._dispatch.in_flight,
            unverdicted=self._dispatch.unverdicted,
            last_verdict_age=None if last is None else clock.monotonic() - last,
            platform_accepting=self._dispatch.platform.accepting,
            warning=self._dispatch.refusal,
        )

    def sent(self) -> tuple[Range, ...]:
        """Which of the newest `SENT_SHOWN` records were published and wait for the platform's word."""
        return self._sent

    def _on_kept(self, _kept: Sequence[Any]) -> None:
        self._waker.set()

    def _note_sent(self) -> None:
        """Let others see, from any thread, what is under way."""
        head = self._store.head.sequence
        self._sent = self._dispatch.sent(max(1, head - SENT_SHOWN + 1), head)
        self._told()

    # The thread

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self.run()
            except Exception as problem:  # noqa: BLE001 -- the one supervising loop: a fault must not end the uplink
                _log.error("relay.failed", reason=f"{type(problem).__name__}: {problem}", exc_info=problem)
                self._set_state(LinkState.OFFLINE, f"a fault: {problem}")
                self._stopping.wait(self._backoff.next())

    def run(self) -> None:
        """Relay until `stop`. What it raises is a fault of the store or of ours; it may be called again."""
        self._dispatch = Dispatch(self._outbox, self._store.salvaged, self._settings)
        self._versions = Versions(self._store.note(self._note))
        self._dial_at = 0.0
        try:
            while not self._stopping.is_set():
                self._pulse()
                self._turn()
            self._say_goodbye()
        finally:
            self._drop()
            self._set_state(LinkState.OFFLINE, "stopped")

    def _turn(self) -> None:
        now = clock.monotonic()
        connection = self._connection
        if connection is None:
            if self._abandoned is not None and self._abandoned.dialling:
                self._dial_at = max(self._dial_at, now + _TURN)  # one attempt at a time
            if now < self._dial_at:
                self._waker.wait(min(_TURN, self._dial_at - now))
                return
            self._abandoned = None
            connection = self._dial(now)
        wait = self._dispatch.deadline(now) - now if connection.free > 0 else _TURN
        if self._granted is not None:
            wait = min(wait, self._open_at - now)
        if self._files is not None and self._dispatch.quiet(now):
            wait = min(wait, self._files.deadline(now) - now)
        for event in connection.turn(min(_TURN, max(0.0, wait))):
            self._handle(event)
        now = clock.monotonic()
        if self._status.state is LinkState.CONNECTED:
            self._dispatch.kept(self._store.head.sequence)
            self._listen_for_others(connection)
            self._publish(connection, now)
            self._look_for_standstill(now)
        elif self._granted is not None:
            if now >= self._open_at:
                self._open(self._granted)
        elif self._window is not None and now >= self._subscribe_by:
            self._lost(f"no answer to SUBSCRIBE within {self._settings.connect_timeout:g} s")

    def _listen_for_others(self, connection: Connection) -> None:
        """A courier brought records of another box: its verdicts are to be listened for, too."""
        note = self._store.note(FORWARDED)
        if note != self._forwarded:
            self._forwarded = note
            connection.subscribe(list(self._foreign_verdicts()))

    def _foreign_verdicts(self) -> tuple[str, ...]:
        """The topics of the verdicts on records that are forwarded for other boxes."""
        return tuple(f"trace/v1{source}/verdicts" for source in sources_in(self._forwarded))

    # Connecting and losing the connection

    def _dial(self, now: float) -> Connection:
        self._version = self._versions.next
        self._session = uuid.uuid4().hex
        self._since = clock.rfc3339(clock.now().wall_ms, self._identity.zone)
        self._window = None
        self._granted = None
        self._own.clear()
        self._delivered = False
        will = Will(self._topics.state, wire.state(online=False, session=self._session, since=self._since))
        client_id = self._identity.client_id
        self._connection = Connection(self._settings, client_id, self._version, will=will, waker=self._waker)
        self._set_state(LinkState.CONNECTING, self._status.reason)
        return self._connection

    def _handle(self, event: Event) -> None:
        connection = self._connection
        if connection is None:
            return  # dropped while handling an event of the same turn
        match event:
            case Connected():
                self._on_connected(connection, event)
            case Subscribed():
                self._on_subscribed(event)
            case Acknowledged():
                self._on_acknowledged(event)
            case Arrived():
                self._on_arrived(event)
                connection.acknowledge(event)
            case Closed():
                self._lost(event.reason, suspect=event.suspect)

    def _on_connected(self, connection: Connection, connected: Connected) -> None:
        self._window = connected
        self._versions.worked()
        if self._store.note(self._note) != self._version:
            self._store.set_note(self._note, self._version)
        self._subscribe_by = clock.monotonic() + self._settings.connect_timeout
        # Also where the broker still has the session: it may have lost the subscription all the same.
        self._forwarded = self._store.note(FORWARDED)
        own = [] if self._witness is None else [self._topics.checkpoint]  # the last one
        connection.subscribe([self._topics.verdicts, self._topics.platform_state, *self._foreign_verdicts(), *own])
        self._publish_state(connection, online=True)
        self._info_at = 0.0

    def _on_subscribed(self, subscribed: Subscribed) -> None:
        if self._window is None or self._granted is not None or self._status.state is LinkState.CONNECTED:
            return
        if subscribed.codes[0] >= FAILURE and self._settings.acknowledgement == "platform":
            self._lost(f"the broker refuses the subscription to verdicts, reason {subscribed.codes[0]}")
            return
        self._granted = min(self._settings.window, self._window.window)
        hears = self._witness is not None and subscribed.codes[-1] < FAILURE
        if self._witness is not None and not hears:
            _log.warning("link.refused", what="our own checkpoint", code=subscribed.codes[-1])
        # What is retained and what waits for us comes right behind the answer to SUBSCRIBE: it is heard first.
        self._open_at = clock.monotonic() + (_HEARING if hears else 0.0)

    def _open(self, window: int) -> None:
        """Everything that the broker had for us was heard: records may go."""
        if self._window is None:
            return
        self._granted = None
        self._unsigned, self._checkpoint_at, self._checkpointed = True, 0.0, None
        self._dispatch.opened(
            clock.monotonic(),
            head=self._store.head.sequence,
            window=window,
            max_bytes=self._window.max_packet - _MARGIN,
        )
        if self._files is not None:
            self._files.opened()
        self._set_state(LinkState.CONNECTED, f"MQTT {self._version}, window {window}")

    def _lost(self, reason: str, *, suspect: bool = False) -> None:
        now = clock.monotonic()
        stood = self._status.state is LinkState.CONNECTED
        if stood and (self._delivered or now - self._status.since >= self._settings.progress_timeout):
            self._backoff.reset()
        at_once = self._window is None and self._versions.failed(suspect=suspect)
        self._dial_at = now if at_once else now + self._backoff.next()
        self._drop()
        self._set_state(LinkState.OFFLINE, reason)

    def _drop(self) -> None:
        self._dispatch.closed()
        self._granted = None
        self._note_sent()
        if self._files is not None:
            self._files.closed(clock.monotonic())
        if self._connection is not None:
            self._connection.close()
            self._abandoned, self._connection = self._connection, None

    def _set_state(self, state: LinkState, reason: str) -> None:
        connected = state is LinkState.CONNECTED
        self._status = LinkStatus(
            state=state,
            since=clock.monotonic(),
            reason=reason,
            protocol=str(self._version) if connected else None,
            session=self._session if connected else None,
        )
        if state is not LinkState.CONNECTING and self._logged != (state, reason):
            self._logged = (state, reason)
            _log.info("link.state", state=str(state), reason=reason, protocol=self._status.protocol)
        self._told()

    def _say_goodbye(self) -> None:
        """Tell the broker that we go, so that the platform need not wait for the will."""
        connection = self._connection
        if connection is None or self._window is None:
            return
        self._turn_until(connection, lambda: connection.free > 0)
        if self._status.state is LinkState.CONNECTED:
            self._publish_checkpoint(connection, clock.monotonic())
            self._turn_until(connection, lambda: connection.free > 0)
        if connection.free > 0:
            mid = self._publish_state(connection, online=False)
            self._turn_until(connection, lambda: mid not in self._own)
        connection.disconnect()
        self._turn_until(connection, lambda: False)

    def _turn_until(self, connection: Connection, done: Callable[[], bool]) -> None:
        while not done() and self._connection is not None and clock.monotonic() < self._goodbye_until:
            for event in connection.turn(min(0.1, max(0.0, self._goodbye_until - clock.monotonic()))):
                if isinstance(event, Closed):
                    self._drop()
                else:
                    self._handle(event)

    def _look_for_standstill(self, now: float) -> None:
        reason = self._dispatch.stalled(now)
        if reason is not None:
            self._lost(reason)

    # Publishing

    def _publish(self, connection: Connection, now: float) -> None:
        if now >= self._info_at and connection.free > 0:
            self._info_at = now + self._settings.info_interval
            payload = wire.info(self._info())
            self._own.add(connection.publish(self._topics.info, payload, retain=True, content_type=wire.JSON_TYPE))
        while connection.free > 0:
            load = self._dispatch.next(now)
            if load is None:
                self._publish_piece(connection, now)
                break
            bodies, ranges = self._read(load, now)
            if bodies:
                payload, content_type = self._compress(wire.batch(bodies))
                salvaged = load.lane is Lane.SALVAGED
                topic = topic_of(bodies[0], "records") if salvaged else self._topics.records
                mid = connection.publish(topic, payload, content_type=content_type)
                self._dispatch.published(load, ranges, mid, now)
                self._unsigned = True
                self._note_sent()
        if self._unsigned and now >= self._checkpoint_at:
            self._publish_checkpoint(connection, now)

    def _publish_checkpoint(self, connection: Connection, now: float) -> int | None:
        """Publish the signed head, if there is a new one and room for it; its message id."""
        if self._witness is None or connection.free < 1:
            return None
        self._unsigned, self._checkpoint_at = False, now + EVERY
        payload = self._witness.checkpoint()
        if payload is None or payload == self._checkpointed:
            return None
        self._checkpointed = payload
        mid = connection.publish(self._topics.checkpoint, payload, retain=True, content_type=wire.JSON_TYPE)
        self._own.add(mid)
        return mid

    def _publish_piece(self, connection: Connection, now: float) -> None:
        """A piece of an attachment, where nothing else is to be sent or under way."""
        lane, files = self._files, self._attachments
        if lane is None or files is None or not self._dispatch.quiet(now):
            return
        piece = lane.next(now)
        if piece is None:
            return
        data = files.read(piece.sha256, piece.offset, piece.length)
        if data is None or len(data) != piece.length:
            _log.error("attachment.unreadable", sha256=piece.sha256)
            lane.unreadable(piece)
            return
        head = files.read(piece.sha256, 0, _TOLD_BY) or b""
        payload = wire.piece(
            chain=self._store.chain,
            sha256=piece.sha256,
            size=piece.size,
            media_type=sniff(head) or "application/octet-stream",
            offset=piece.offset,
            data=data,
        )
        mid = connection.publish(self._topics.attachments, payload, content_type=wire.PIECE_TYPE)
        lane.published(piece, mid, now)

    def _publish_state(self, connection: Connection, *, online: bool) -> int:
        payload = wire.state(online=online, session=self._session, since=self._since)
        mid = connection.publish(self._topics.state, payload, retain=True, content_type=wire.JSON_TYPE)
        self._own.add(mid)
        return mid

    def _read(self, load: Load, now: float) -> tuple[list[bytes], list[Range]]:
        """The records of `load` that fit into one message, at least one: their bytes and ranges."""
        if load.lane is Lane.SALVAGED:
            return self._fit_rows(load)
        bodies: list[bytes] = []
        ranges: list[Range] = []
        room = self._dispatch.pace.max_bytes - 2
        for first, last in load.ranges:
            expected = first
            for row in self._store.read(first, last=last, limit=last - first + 1, max_bytes=max(1, room)):
                if row.sequence != expected or (bodies and len(row.body) + 1 > room):
                    break
                bodies.append(row.body)
                room -= len(row.body) + 1
                expected += 1
            if expected > first:
                ranges.append((first, expected - 1))
            if expected <= last:
                break
        if not bodies:
            first = load.ranges[0][0]
            _log.error("record.unreadable", sequence=first)
            self._dispatch.unreadable(replace(load, ranges=((first, first),)), now)
        return bodies, ranges

    def _fit_rows(self, load: Load) -> tuple[list[bytes], list[Range]]:
        room = self._dispatch.pace.max_bytes - 2
        fitting: list[SalvagedRow] = []
        for row in load.rows:
            if fitting and len(row.body) + 1 > room:
                break
            fitting.append(row)
            room -= len(row.body) + 1
        return [row.body for row in fitting], list(joined(row.sequence for row in fitting))

    # What the broker and the platform say

    def _on_acknowledged(self, acknowledged: Acknowledged) -> None:
        if acknowledged.mid in self._own:
            self._own.discard(acknowledged.mid)
            if acknowledged.code >= FAILURE:
                _log.warning("link.refused", what="state, info or checkpoint", code=acknowledged.code)
            return
        if self._files is not None and self._files.acknowledged(acknowledged.mid, acknowledged.code, clock.monotonic()):
            return
        delivered = self._dispatch.acknowledged(acknowledged.mid, acknowledged.code, clock.monotonic())
        if delivered is not None:
            if delivered.chain is None:
                self._settle(delivered.ranges, ())
                self._note_sent()
            else:
                self._settle_salvaged(Verdict(chain=delivered.chain, accepted=delivered.ranges))
        if self._dispatch.refusal != self._warned:
            self._warned = self._dispatch.refusal
            _log.warning("link.refused", what="records", reason=self._warned or "no longer")

    def _on_arrived(self, message: Arrived) -> None:
        if message.topic == self._topics.verdicts or message.topic in self._foreign_verdicts():
            self._on_verdict(message.payload)
        elif message.topic == self._topics.platform_state:
            self._on_platform_state(message.payload)
        elif message.topic == self._topics.checkpoint and self._witness is not None:
            if self._witness.retained(message.payload):
                self._set_back()
            elif self._granted is not None:
                self._open_at = clock.monotonic() + _HEARD

    def _set_back(self) -> None:
        """The platform holds more of the chain than we do: nothing more is published of it."""
        self._lost("the platform holds more of the chain than the store")
        self._dial_at = math.inf

    def _on_verdict(self, payload: bytes) -> None:
        told = self._hear_of_attachments(payload)
        verdict = wire.decode_verdict(payload)
        if isinstance(verdict, wire.Malformed):
            _log.warning("verdict.malformed", reason=verdict.reason)
            return
        waited = self._status.state is not LinkState.CONNECTED
        if waited and self._witness is not None and self._witness.waiting_verdict(verdict, payload):
            self._set_back()
            return
        if told and not (verdict.accepted or verdict.rejected):
            return
        if verdict.chain == self._store.chain:
            verdict = self._known(verdict)
            moved = self._settle(verdict.accepted, verdict.rejected)
            self._dispatch.verdict(verdict, moved=moved, now=clock.monotonic())
            self._note_sent()
        else:
            moved = self._settle_salvaged(verdict)
            awaited = self._dispatch.salvage_verdict(verdict, clock.monotonic())
            if not moved and not awaited:
                _log.warning("verdict.unknown", chain=verdict.chain, ours=self._store.chain)
                return
        self._last_verdict = clock.monotonic()
        accepted = sum(last - first + 1 for first, last in verdict.accepted)
        _log.info("verdict", accepted=accepted, rejected=len(verdict.rejected))

    def _hear_of_attachments(self, payload: bytes) -> bool:
        """Take what a verdict says of attachments; whether it says anything of them."""
        if self._files is None or b'"attachments"' not in payload:
            return False
        words = wire.decode_attachments(payload)
        if isinstance(words, wire.Malformed):
            _log.warning("verdict.malformed", reason=words.reason)
            return True
        for sha256 in self._files.heard(words, clock.monotonic()):
            _log.info("attachment.delivered", sha256=sha256)
        for word in words:
            if word.refused is not None:
                _log.warning("attachment.refused", sha256=word.sha256, reason=word.refused, retryable=word.retryable)
        return True

    def _known(self, verdict: Verdict) -> Verdict:
        """The part of a verdict on our chain that is about records that there are."""
        head = self._store.head.sequence
        accepted = tuple((first, min(last, head)) for first, last in verdict.accepted if first <= head)
        rejected = tuple(refusal for refusal in verdict.rejected if refusal.sequence <= head)
        if accepted != verdict.accepted or rejected != verdict.rejected:
            _log.warning("verdict.unknown", chain=verdict.chain, head=head)
        return Verdict(chain=verdict.chain, accepted=accepted, rejected=rejected)

    def _settle(self, accepted: Iterable[Range], rejected: Iterable[Refusal]) -> bool:
        settled = self._outbox.settle(accepted, rejected, clock.now())
        moved = settled.newly_accepted + settled.newly_refused > 0
        self._delivered = self._delivered or moved
        return moved

    def _settle_salvaged(self, verdict: Verdict) -> bool:
        moved = self._store.salvaged.settle(verdict.chain, verdict.accepted, verdict.rejected) > 0
        self._delivered = self._delivered or moved
        return moved

    def _on_platform_state(self, payload: bytes) -> None:
        state = wire.decode_platform_state(payload)
        if isinstance(state, wire.Malformed):
            _log.warning("platform.malformed", reason=state.reason)
            return
        _log.info("platform.state", accepting=state.accepting, drain_per_s=state.drain_per_s)
        self._dispatch.heard(state, clock.monotonic())
