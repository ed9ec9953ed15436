"""One connection to the broker; the only home of paho.

A `Connection` is used once: a fresh paho client, no reconnecting of its own, so that nothing of an old
connection can leak into the next. Dialling (name lookup, TCP, TLS, CONNECT) blocks and has its own short-lived
thread; from then on the relay's thread drives the socket through `turn`, which returns what happened.

paho knows neither the broker's Receive Maximum nor ours: `free` says how many messages may still be published.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent import clock
from edge_agent.uplink.settings import MAX_WINDOW, LinkSettings, TlsSettings
from edge_agent.uplink.versions import MqttVersion
from edge_agent.uplink.waker import Waker
from edge_agent.uplink.wire import MAX_PAYLOAD

SESSION_EXPIRY: Final = 7 * 86_400
_UNSUPPORTED_VERSION: Final = 0x84  # MQTT 5.0, 3.2.2.2; paho maps return code 1 of 3.1.1 to it
_MAX_PACKET: Final = MAX_PAYLOAD + 4_096
_DIAL_PATIENCE: Final = 6
"""Times the connect timeout, which counts for each address and for TLS; a name server has limits of its own."""
_NO_LIMIT: Final = 2**28  # MQTT 5.0, 1.5.5: no packet is larger


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNACK: how many QoS 1 messages may be under way, and how large a packet the broker takes."""

    session_present: bool
    window: int
    max_packet: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK, one reason code for each topic asked for; 0x80 and above are refusals."""

    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK with its reason code (0 on MQTT 3.1.1)."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message from the broker. It is acknowledged by `Connection.acknowledge` after its effect."""

    topic: str
    payload: bytes
    mid: int
    qos: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of the connection, in words. `suspect`: the version of MQTT may be the cause."""

    reason: str
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection ends without a goodbye."""

    topic: str
    payload: bytes


Event = Connected | Subscribed | Acknowledged | Arrived | Closed


class Connection:
    """One attempt to reach the broker, and the connection that comes of it."""

    def __init__(
        self, settings: LinkSettings, client_id: str, version: MqttVersion, *, will: Will | None, waker: Waker
    ) -> None:
        """Begin to dial. Without a will the broker is to keep no session either: a visit, not a gateway."""
        self._settings = settings
        self._lasting = will is not None
        self._version = version
        self._waker = waker
        self._events: list[Event] = []
        self._unacknowledged: set[int] = set()
        self._window = 0
        self._closed = False
        self._client = client = self._fresh_client(client_id)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = self._on_socket_open
        self._lock = threading.Lock()  # guards the handing over from the dialling thread
        self._dialled: bool | None = None
        self._dial_failure = Closed("")
        self._deadline = clock.monotonic() + _DIAL_PATIENCE * settings.connect_timeout
        self._thread = threading.Thread(target=self._dial, name="uplink-dial", daemon=True)
        self._thread.start()

    @property
    def dialling(self) -> bool:
        """Whether the dialling thread is still at work, perhaps after we gave up on it (a slow name server)."""
        return self._thread.is_alive()

    @property
    def free(self) -> int:
        """How many more messages may be published before one is acknowledged."""
        return 0 if self._closed else self._window - len(self._unacknowledged)

    def turn(self, timeout: float) -> Sequence[Event]:
        """Move bytes, waiting at most `timeout` seconds for some or for the waker; return what happened."""
        if self._closed:
            return self._take()
        if not self._window:
            timeout = min(timeout, max(0.0, self._deadline - clock.monotonic()))
        if not self._dialled:  # or the dialling has failed since the last turn
            if self._dialled is None:
                self._waker.wait(timeout)
            self._look_at_dialling()
            return self._take()
        self._move(timeout)
        if not self._window and not self._closed and clock.monotonic() >= self._deadline:
            self._end(Closed(f"no answer to CONNECT within {self._settings.connect_timeout:g} s", suspect=True))
        return self._take()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for QoS 1 on each topic; a `Subscribed` comes."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, content_type: str | None = None) -> int:
        """Publish at QoS 1 and return the packet identifier that `Acknowledged` will name.

        Only while `free` is above 0. On a connection that has just ended the message is lost with it.
        """
        properties = None
        if content_type is not None and self._version is MqttVersion.V5:
            properties = _properties(PacketTypes.PUBLISH, ContentType=content_type)
        mid: int = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid
        self._unacknowledged.add(mid)
        return mid

    def acknowledge(self, message: Arrived) -> None:
        """Tell the broker that a message has had its effect."""
        self._client.ack(message.mid, message.qos)

    def disconnect(self) -> None:
        """Say goodbye; the broker drops the will. A `Closed` comes."""
        self._client.disconnect()

    def close(self) -> None:
        """Drop the connection as it is; the broker publishes the will. May be called twice."""
        with self._lock:
            self._closed = True
            if self._dialled is None:
                return  # the dialling thread closes what it opens
        self._close_socket()

    # Dialling

    def _fresh_client(self, client_id: str) -> paho.Client:
        five = self._version is MqttVersion.V5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else not self._lasting,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages = MAX_WINDOW
        client.max_queued_messages = MAX_WINDOW
        client.connect_timeout = self._settings.connect_timeout
        return client

    def _dial(self) -> None:
        dialled = False
        try:
            if self._settings.tls is not None:
                self._client.tls_set_context(tls_context(self._settings.tls))
            if self._settings.username is not None:
                self._client.username_pw_set(self._settings.username, _password(self._settings))
            self._connect()
            dialled = True
        except ssl.SSLError as problem:
            self._dial_failure = Closed(f"TLS: {problem.reason or ''} {getattr(problem, 'verify_message', '')}".strip())
        except socket.gaierror as problem:
            self._dial_failure = Closed(f"cannot look up {self._settings.host}: {problem.strerror}")
        except (OSError, ValueError) as problem:
            self._dial_failure = Closed(f"cannot reach {self._settings.host}:{self._settings.port}: {problem}")
        with self._lock:
            self._dialled = dialled
            self._deadline = clock.monotonic() + self._settings.connect_timeout
            abandoned = self._closed
        if abandoned:
            self._close_socket()
        self._waker.set()

    def _connect(self) -> None:
        host, port, keepalive = self._settings.host, self._settings.port, self._settings.keepalive
        if self._version is MqttVersion.V311:
            self._client.connect(host, port, keepalive)
            return
        properties = _properties(
            PacketTypes.CONNECT,
            SessionExpiryInterval=SESSION_EXPIRY if self._lasting else 0,
            ReceiveMaximum=MAX_WINDOW,
            MaximumPacketSize=_MAX_PACKET,
        )
        self._client.connect(host, port, keepalive, clean_start=not self._lasting, properties=properties)

    def _look_at_dialling(self) -> None:
        with self._lock:
            dialled = self._dialled
        if dialled is False:
            self._end(self._dial_failure)
        elif dialled is None and clock.monotonic() >= self._deadline:
            self._end(
                Closed(
                    f"cannot reach {self._settings.host} within {_DIAL_PATIENCE * self._settings.connect_timeout:g} s"
                )
            )

    # Moving bytes

    def _move(self, timeout: float) -> None:
        sock = self._client.socket()
        if sock is None:
            self._end(Closed("the connection was lost", suspect=not self._window))
            return
        if getattr(sock, "pending", int)():
            timeout = 0.0  # TLS has bytes for us that the descriptor does not show
        poller = poll()
        poller.register(sock.fileno(), POLLIN | (POLLOUT if self._client.want_write() else 0))
        poller.register(self._waker.fileno(), POLLIN)
        ready = dict(poller.poll(timeout * 1000))
        if ready.pop(self._waker.fileno(), 0):
            self._waker.clear()
        for events in ready.values():
            if events & POLLOUT:
                self._client.loop_write()
            if events & (POLLIN | POLLERR | POLLHUP):
                self._client.loop_read()
        if not ready and timeout == 0.0:
            self._client.loop_read()
        self._client.loop_misc()

    def _take(self) -> Sequence[Event]:
        events, self._events = self._events, []
        return events

    def _end(self, closed: Closed) -> None:
        if not self._closed:
            self._events.append(closed)
            self.close()

    def _close_socket(self) -> None:
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    # What paho calls, from within `turn` (and `_on_socket_open` from the dialling thread)

    def _on_socket_open(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A dead peer is noticed when it leaves our bytes unacknowledged for as long as it may leave a ping.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500 * self._settings.keepalive)

    def _on_connect(
        self, _client: paho.Client, _userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            suspect = reason.value == _UNSUPPORTED_VERSION
            self._end(Closed(f"the broker refuses the connection: {reason} ({reason.value})", suspect=suspect))
            return
        self._window = min(MAX_WINDOW, getattr(properties, "ReceiveMaximum", MAX_WINDOW))
        max_packet = getattr(properties, "MaximumPacketSize", _NO_LIMIT)
        self._events.append(Connected(flags.session_present, self._window, max_packet))

    def _on_subscribe(
        self, _client: paho.Client, _userdata: Any, _mid: int, codes: Sequence[ReasonCode], _properties: Any
    ) -> None:
        self._events.append(Subscribed(tuple(code.value for code in codes)))

    def _on_publish(self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        self._unacknowledged.discard(mid)
        self._events.append(Acknowledged(mid, reason.value))

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._events.append(Arrived(topic, bytes(message.payload), message.mid, message.qos))

    def _on_disconnect(
        self, _client: paho.Client, _userdata: Any, flags: paho.DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            words = f"the broker ended the connection: {reason} ({reason.value})"
        elif not self._window:
            words = "the broker closed the connection before answering CONNECT"
        else:
            words = f"the connection was lost: {reason}"
        self._end(Closed(words, suspect=not self._window))


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or later, certificate and host name checked. Raises OSError where a file cannot be used."""
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def _properties(packet: int, **values: Any) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _password(settings: LinkSettings) -> str | None:
    if settings.password_file is None:
        return None
    return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
